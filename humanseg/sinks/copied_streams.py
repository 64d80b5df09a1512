"""Sound and subtitles carried over from one file to another."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import av
import av.error
from av.stream import Discard, Disposition

from humanseg.media.av_gate import RESTART_SECONDS, clock_zero, fraction, open_input, reading

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

    AnyPacket = av.Packet[Any]

# Sound that each kind of file may hold and players then play; FFmpeg's own table says yes to more.
# None: whatever FFmpeg's table says.
_MP4_SOUND = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}
_MOV_SOUND = {"aac", "mp3", "ac3", "eac3", "alac", "adpcm_ima_qt"} | {
    f"pcm_{kind}"
    for kind in ("u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be")
}
_SOUND_HELD: dict[str, set[str] | None] = {
    ".mp4": _MP4_SOUND,
    ".m4v": _MP4_SOUND,
    ".mov": _MOV_SOUND,
    ".webm": {"opus", "vorbis"},
    ".mkv": None,
}
# What other sound is made into, at a rate that keeps stereo music clean.
_SOUND_MADE = {".webm": ("libopus", 128_000)}
_SOUND_ELSE = ("aac", 160_000)
_LAYOUTS = {"mono", "stereo"}

_SUBTITLES_HELD = {
    ".mp4": {"mov_text"},
    ".m4v": {"mov_text"},
    ".mov": {"mov_text"},
    ".webm": {"webvtt"},
    ".mkv": {
        "subrip",
        "ass",
        "ssa",
        "webvtt",
        "dvd_subtitle",
        "hdmv_pgs_subtitle",
        "dvb_subtitle",
    },
}
_SUBTITLES_MADE = {".mkv": "subrip", ".webm": "webvtt"}
_TEXTS = {"mov_text", "subrip", "webvtt", "ass", "ssa", "text"}

_STREAM_TAGS = ("language", "title", "handler_name")
_NO_FILE_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}


class CopiedStreams:
    """Sound and subtitles of a file, handed to an output in step with its pictures.

    Attributes:
        warnings: what could not be carried over untouched, a sentence each.
        kinds: "audio" and "subtitle", once a packet of the kind was written.
    """

    def __init__(self, source: Path, output: OutputContainer, suffix: str) -> None:
        """Open the source a second time and add its streams to the output.

        Args:
            source: file to take from.
            output: not started yet; metadata and chapters are set too.
            suffix: of the output, lower case.

        Raises:
            SourceError: the file cannot be opened.
        """
        self._path = source
        self._output = output
        self._suffix = suffix
        self._is_matroska = suffix in (".mkv", ".webm")
        self._carriers: dict[int, _Carrier] = {}
        self.warnings: list[str] = []
        self.kinds: set[str] = set()
        with reading(source):
            self._input: InputContainer = open_input(source)
        try:
            self._zero = clock_zero(self._input)
            for stream in self._input.streams:
                self._add(stream)
            self._copy_tags()
            self._packets = self._demux()
            self._next = next(self._packets, None)
        except BaseException:
            self._input.close()
            raise

    def write_until(self, time: Fraction | None, *, shift: Fraction = Fraction(0)) -> None:
        """Mux every packet that starts at or before a time; None muxes all.

        Args:
            time: in seconds, on the clock of the frames.
            shift: seconds to put all packets later.

        Raises:
            av.error.FFmpegError: the output refuses.
        """
        while self._next is not None:
            packet = self._next
            if time is not None and _start(packet) > time:
                return
            carrier = self._carriers[packet.stream.index]
            for made in carrier.carry(packet):
                self._mux(made, carrier, shift)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Give the source back."""
        self._packets.close()
        self._next = None
        self._input.close()

    def _mux(self, packet: AnyPacket, carrier: _Carrier, shift: Fraction) -> None:
        base = fraction(packet.time_base)
        if packet.pts is None or base is None:
            return
        if shift:
            ticks = round(shift / base)
            packet.dts = (packet.pts if packet.dts is None else packet.dts) + ticks
            packet.pts += ticks
        if self._is_matroska and packet.pts < 0:
            # Matroska has no time before zero and would move everything else instead. What ends
            # there is never heard; what reaches over starts a few milliseconds late.
            if packet.pts + (packet.duration or 0) <= 0:
                return
            packet.pts = packet.dts = 0
        self._output.mux(packet)
        self.kinds.add(carrier.kind)

    def _demux(self) -> Generator[AnyPacket, None, None]:
        """Packets with rising times on the frames' clock, then an empty one a stream."""
        streams = [stream for stream in self._input.streams if stream.index in self._carriers]
        if not streams:
            return
        clocks = {stream.index: _Clock(stream, self._zero) for stream in streams}
        try:
            for packet in self._input.demux(streams):
                if packet.size:
                    clocks[packet.stream.index].settle(packet)
                yield packet
        except av.error.FFmpegError:
            self.warnings.append("the sound or subtitles could not be read to the end")

    def _add(self, stream: Stream) -> None:
        carrier: _Carrier | None = None
        if stream.type == "audio":
            carrier = self._sound(cast("AudioStream", stream))
        elif stream.type == "subtitle":
            carrier = self._subtitles(stream)
        elif stream.type == "attachment" and self._suffix == ".mkv":
            self._output.add_stream_from_template(stream)
        elif stream.type == "video" and stream.disposition & Disposition.attached_pic:
            self.warnings.append("the cover picture is left out")
        if carrier is None:
            stream.discard = Discard.all
            return
        self._carriers[stream.index] = carrier
        carrier.output.disposition = stream.disposition
        for key in _STREAM_TAGS:
            if key in stream.metadata:
                carrier.output.metadata[key] = stream.metadata[key]

    def _sound(self, stream: AudioStream) -> _Carrier | None:
        codec = _codec_name(stream)
        held = _SOUND_HELD[self._suffix]
        if codec is None:
            self.warnings.append("a sound track is coded in an unknown way and is left out")
            return None
        if held is None or codec in held:
            try:
                made = self._output.add_stream_from_template(stream)
            except ValueError:
                pass  # FFmpeg's table says no
            else:
                if codec == "aac" and not stream.codec_context.extradata and not self._is_matroska:
                    return _Unframed(stream, made, self._path)
                return _Copied("audio", made)
        library, bit_rate = _SOUND_MADE.get(self._suffix, _SOUND_ELSE)
        self.warnings.append(
            f"a {self._suffix} file cannot hold {codec} sound; it was converted to "
            f"{library.removeprefix('lib')}"
        )
        return _Converted(stream, self._output, library, bit_rate)

    def _subtitles(self, stream: Stream) -> _Carrier | None:
        codec = _codec_name(stream)
        if codec in _SUBTITLES_HELD[self._suffix]:
            try:
                return _Copied("subtitle", self._output.add_stream_from_template(stream))
            except ValueError:
                pass  # FFmpeg's table says no
        made = _SUBTITLES_MADE.get(self._suffix)
        if made is None or codec not in _TEXTS:
            self.warnings.append(
                f"a {self._suffix} file cannot hold {codec or 'these'} subtitles; they are left out"
            )
            return None
        return _Text(codec, self._output.add_mux_stream(made))

    def _copy_tags(self) -> None:
        for key, value in self._input.metadata.items():
            if key.lower() not in _NO_FILE_TAGS:
                self._output.metadata[key] = value
        chapters = self._input.chapters()
        if chapters:
            self._output.set_chapters(chapters)


def _codec_name(stream: Stream) -> str | None:
    return None if stream.codec_context is None else stream.codec_context.codec.canonical_name


def _start(packet: AnyPacket) -> Fraction:
    base = fraction(packet.time_base)
    if packet.dts is None or base is None:  # the empty packets at the end
        return Fraction(-1)
    return packet.dts * base


class _Clock:
    """Puts the packets of one stream onto the frames' clock, and makes their times rise.

    Muxers refuse times that stand still or go back, as damaged and joined files have them.
    """

    def __init__(self, stream: Stream, zero: Fraction) -> None:
        base = fraction(stream.time_base) or Fraction(1, av.time_base)
        self._move = -round(zero / base)
        self._restart = RESTART_SECONDS / base
        self._is_text = stream.type == "subtitle"
        self._last: int | None = None
        self._end = 0

    def settle(self, packet: AnyPacket) -> None:
        """Change a packet's times."""
        dts = packet.pts if packet.dts is None else packet.dts
        pts = packet.dts if packet.pts is None else packet.pts
        if dts is None or pts is None:
            dts = pts = self._end - self._move
        lead = pts - dts
        dts += self._move
        if self._last is not None and dts <= self._last:
            if self._last - dts > self._restart:
                self._move += self._end - dts
            # Two subtitles may start together; sound goes on where it ended.
            dts = self._last + 1 if self._is_text else self._end
        self._last = dts
        self._end = dts + max(1, packet.duration or 0)
        packet.dts, packet.pts = dts, dts + lead


class _Carrier(Protocol):
    """Makes packets for one output stream from packets of one input stream."""

    kind: str
    output: Stream

    def carry(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        """Packets to mux; an empty packet asks for what is held back."""


class _Copied:
    """Packets as they are."""

    def __init__(self, kind: str, output: Stream) -> None:
        self.kind = kind
        self.output = output

    def carry(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        if not packet.size:
            return ()
        packet.stream = self.output
        return (packet,)


class _Unframed:
    """AAC of broadcasts: a header in each packet becomes one for the stream, the rest stays."""

    kind = "audio"

    def __init__(self, stream: AudioStream, output: AudioStream, path: Path) -> None:
        # FFmpeg does this by itself for a plain mp4, but not for one in fragments.
        header = _first_header(path, stream.index)
        if header is not None:
            output.codec_context.extradata = header
        self._filter = av.BitStreamFilterContext("aac_adtstoasc", stream)
        self.output: Stream = output

    def carry(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        if not packet.size:
            return ()
        try:
            made = self._filter.filter(packet)
        except av.error.FFmpegError:
            return ()  # a damaged packet is a gap
        for each in made:
            each.stream = self.output
        return made


def _first_header(path: Path, index: int) -> bytes | None:
    """The AAC decoder's settings, from the first good packet of a stream."""
    with reading(path), open_input(path) as container:
        stream = container.streams[index]
        unframe = av.BitStreamFilterContext("aac_adtstoasc", stream)
        for packet in container.demux(stream):
            with suppress(av.error.FFmpegError):
                for made in unframe.filter(packet) if packet.size else ():
                    if made.has_sidedata("new_extradata"):
                        return bytes(made.get_sidedata("new_extradata"))
    return None


class _Converted:
    """Sound decoded and coded anew."""

    kind = "audio"

    def __init__(
        self, stream: AudioStream, output: OutputContainer, library: str, bit_rate: int
    ) -> None:
        self._decoder = stream.codec_context
        rate = 48_000 if library == "libopus" else stream.codec_context.sample_rate
        made = cast("AudioStream", output.add_stream(library, rate=rate))
        made.bit_rate = bit_rate
        layout = stream.codec_context.layout.name
        made.codec_context.layout = layout if layout in _LAYOUTS else "stereo"
        self._encoder = made
        self.output: Stream = made

    def carry(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        made: list[AnyPacket] = []
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return made  # a damaged packet is a gap
        for frame in frames:
            made += self._encoder.encode(frame)
        if not packet.size:
            made += self._encoder.encode(None)
        return made


class _Text:
    """Subtitles rewritten as plain text."""

    kind = "subtitle"

    def __init__(self, codec: str, output: Stream) -> None:
        self._codec = codec
        self.output = output

    def carry(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        text = _plain_text(bytes(packet), self._codec)
        if not text:
            return ()
        made: AnyPacket = av.Packet(text.encode())
        made.stream = self.output
        made.time_base = packet.time_base
        made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
        return (made,)


def _plain_text(data: bytes, codec: str) -> str:
    """The words of a subtitle packet, without its format's marks."""
    if codec == "mov_text":  # two bytes of length, the text, then boxes for style
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
    text = data.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):  # eight fields stand before the text
        text = text.split(",", 8)[-1].replace("\\N", "\n").replace("\\n", "\n")
    return re.sub(r"\{\\[^}]*\}|<[^<>]*>", "", text).strip()
