"""Frames of a video file, with exact times, whatever state the file is in."""

from __future__ import annotations

import contextlib
import stat
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import av.error
import cv2
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition

from humanseg.closing import Closing
from humanseg.errors import PartialError, SourceError
from humanseg.frames import Frame, StreamInfo
from humanseg.media.av_gate import RESTART_SECONDS, clock_zero, fraction, open_input, reading
from humanseg.media.color import HDR_TRANSFERS, Coding, ToBgr, resolve, tags_of
from humanseg.media.planar import PlanarFrame, Planes, ToPlanes

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

    from humanseg.frames import Image

# Packets in a row that may fail before the rest is given up.
_DAMAGED_IN_A_ROW = 100
# Reads in a row that may fail before a file counts as broken off.
_FAULTS_IN_A_ROW = 3
# Formats whose header states a length; others let FFmpeg guess it from the bit rate.
_STATES_LENGTH = {"mov", "mp4", "matroska", "webm", "avi", "flv", "asf", "mxf", "nut"}
# Frames by which a file may fall short of a length in seconds: containers round it.
_ROUNDING_FRAMES = 2
# Share of the promised frames that damage may cost before it is more than a warning.
_DAMAGE_SHARE = 0.01


class VideoFileSource(Closing):
    """Frames of a video file.

    A file that breaks off or is damaged gives all that can be decoded before the error. Not
    thread safe: one thread reads.

    Attributes:
        warnings: what the user should know, a sentence each; grows while frames are read.
        is_planar: whether frames come as planes; may be switched off before the first is read.
    """

    def __init__(
        self, path: Path | str, *, threads: int | None = None, planar: bool = False
    ) -> None:
        """Open the file and decode its first frame.

        Args:
            path: of the video.
            threads: for the decoder; None leaves the number to FFmpeg.
            planar: give `PlanarFrame`s, which hold what the decoder made, where the sides are
                even; see `is_planar`.

        Raises:
            SourceError: the file is missing, is no video, or holds no frame.
        """
        self._path = Path(path)
        self._threads = threads
        self.is_planar = planar
        self.warnings: list[str] = []
        self._convert = ToBgr()
        self._to_planes = ToPlanes()
        self._is_started = False
        self._container: InputContainer | None = None
        self._open()

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Frames to the end; a second round starts from the beginning again.

        Raises:
            PartialError: the file ended before its promised end, or is damaged; all that could be
                decoded has been yielded.
        """
        if self._is_started or self._container is None:
            self.close()
            self.warnings.clear()
            self._open()
        self._is_started = True
        held: Frame | None = None
        for index, decoded in enumerate(self._decoder):
            frame = self._frame(decoded, index)
            if held is not None:
                # Containers store what lies between decoded, not between shown frames.
                yield _lasting(held, frame.time - held.time)
            held = frame
        if held is not None:
            yield _lasting(held, self._last_duration(held))
        self._report()

    def close(self) -> None:
        """Give the file back; while another thread hangs in a read, it is left to the system."""
        if self._container is not None:
            container, self._container = self._container, None
            try:
                self._decoder.close()
            except ValueError:  # that thread is inside FFmpeg; closing under it would crash
                return
            container.close()

    def _open(self) -> None:
        _check_path(self._path)
        with reading(self._path):
            container = open_input(self._path)
        self._container = container
        try:
            stream = _video_stream(container, self._path)
            self._set_threads(stream)
            self._decoder = _Decoder(container, stream)
            first = self._decoder.first(self._path)
            self._describe(container, stream, first)
        except BaseException:
            container.close()
            self._container = None
            raise

    def _set_threads(self, stream: VideoStream) -> None:
        stream.thread_type = "AUTO"
        if self._threads is not None:
            stream.codec_context.thread_count = self._threads

    def _describe(
        self, container: InputContainer, stream: VideoStream, first: av.VideoFrame
    ) -> None:
        """Learn what the frames have in common, from the headers and the first frame."""
        self._size = (first.height, first.width)
        self.is_planar = self.is_planar and not (first.height % 2 or first.width % 2)
        self._turn = _Turn(first)
        height, width = self._turn.size(*self._size)
        rate = fraction(stream.average_rate) or fraction(stream.guessed_rate)
        self._length = _length(container, stream)
        length = self._length.seconds if self._length else None
        aspect = fraction(stream.codec_context.sample_aspect_ratio) or Fraction(1)
        self._step = 1 / rate if rate else Fraction(1, 25)
        self._zero = clock_zero(container)
        self._last_time: Fraction | None = None
        self._last_end = Fraction(0)
        self._longest_gap = Fraction(0)
        self._untimed = 0
        self._given = 0
        self._is_resized = False
        self._is_exact_count = bool(stream.frames)
        self._info = StreamInfo(
            width=width,
            height=height,
            rate=rate,
            frame_count=stream.frames or (round(length * rate) if length and rate else None),
            time_base=fraction(stream.time_base) or self._step,
            duration=None if length is None else float(length),
            origin=self._path,
            color=tags_of(first),
            pixel_aspect=1 / aspect if self._turn.is_sideways else aspect,
        )
        self._coding: Coding = resolve(self._info.color, height=height, width=width)
        curve = HDR_TRANSFERS.get(self._info.color.transfer or "")
        if curve:
            self.warnings.append(
                f"the video is HDR ({curve}); its colours are read as they are, not tone-mapped"
            )

    def _frame(self, decoded: av.VideoFrame, index: int) -> Frame:
        if not self._is_resized and (decoded.height, decoded.width) != self._size:
            self._is_resized = True
            self.warnings.append(
                f"the picture changes from {self._size[1]}x{self._size[0]} to "
                f"{decoded.width}x{decoded.height} at frame {index}; it is scaled to the first size"
            )
        with reading(self._path):
            picture = self._planes(decoded) if self.is_planar else self._pixels(decoded)
        time = self._time(decoded)
        base = fraction(decoded.time_base) or self._info.time_base
        duration = decoded.duration * base if decoded.duration else None
        self._given = index + 1
        self._last_end = time + (duration or self._step)
        if isinstance(picture, Planes):
            return PlanarFrame(picture, index, time, duration)
        return Frame(picture, index, time, duration)

    def _pixels(self, decoded: av.VideoFrame) -> Image:
        return self._turn(self._convert(decoded, self._coding, size=self._size))

    def _planes(self, decoded: av.VideoFrame) -> Planes:
        planes = self._to_planes(decoded, self._coding, size=self._size)
        if not self._turn.is_needed:
            return planes
        turned = Planes.empty(self._info.height, self._info.width, self._coding)
        for plane, into in zip(
            (planes.y, planes.u, planes.v), (turned.y, turned.u, turned.v), strict=True
        ):
            into[:] = self._turn(plane)
        return turned

    def _time(self, decoded: av.VideoFrame) -> Fraction:
        """The frame's time; made from the frame before where the file gives none or goes back."""
        last = self._last_time
        base = fraction(decoded.time_base) or self._info.time_base
        if decoded.pts is not None:
            time = decoded.pts * base - self._zero
            if last is not None and time <= last:
                self._untimed += 1
                if last - time > RESTART_SECONDS:
                    self._zero -= last + self._step - time
                    base = self._step
                time = last + base
        else:
            self._untimed += 1
            time = Fraction(0) if last is None else last + self._step
        if last is not None:
            self._longest_gap = max(self._longest_gap, time - last)
        self._last_time = time
        return time

    def _last_duration(self, last: Frame) -> Fraction | None:
        """How long the last frame is shown: to the stated end, if that is about due."""
        if self._length is not None and self._length.is_own:
            rest = self._length.start + self._length.seconds - last.time
            if 0 < rest <= max(last.duration or self._step, self._longest_gap) * Fraction(3, 2):
                return rest
        return last.duration

    def _report(self) -> None:
        """Say at the end what went wrong on the way.

        Raises:
            PartialError: clearly fewer frames came than the file promises.
        """
        damaged = self._decoder.damaged
        if self._untimed:
            self.warnings.append(
                f"{self._untimed} of {self._given} frames had no usable time in the file; "
                "theirs were made from the frames before"
            )
        if damaged:
            self.warnings.append(
                f"{damaged} damaged packet{' was' if damaged == 1 else 's were'} skipped"
            )
        promised = self._info.frame_count
        if not self._is_short():
            return
        if promised and promised > self._given:
            about = "" if self._is_exact_count else "about "
            what = f"{self._given} of {about}{promised} frames could be read"
        else:
            what = f"{self._given} frames could be read, the rest is damaged"
        raise PartialError(
            what,
            subject=self._path,
            hint="the file is damaged or was cut short; what could be read has been used",
        )

    def _is_short(self) -> bool:
        """Whether clearly less came than promised.

        A count alone is no proof (edit lists hide frames, a rate may be an average), nor is a
        length (a last frame may stand long): frames must be missing at the end, or to damage.
        """
        decoder = self._decoder
        if decoder.gave_up:
            return True
        if self._is_exact_count:
            promised = self._info.frame_count or 0
            if decoder.damaged and promised - self._given > max(1, _DAMAGE_SHARE * promised):
                return True
            if decoder.packets >= promised - 1:
                return False
        if self._length is None:
            return decoder.is_broken_off
        return self._length.is_missed(
            self._last_end, decoder.beside_end, step=self._step, longest_gap=self._longest_gap
        )


class _Decoder:
    """Decoded frames of one stream, past whatever cannot be decoded.

    Attributes:
        packets: read of this stream.
        damaged: packets that could not be decoded.
        beside_end: where the packets of the other streams end, in the container's time.
        gave_up: too many packets in a row could not be decoded.
        is_broken_off: the file could not be read to its end.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self.packets = 0
        self.damaged = 0
        self.beside_end = Fraction(0)
        self.gave_up = False
        self.is_broken_off = False
        self._frames: Generator[av.VideoFrame, None, None] = self._decode()
        self._first: av.VideoFrame | None = None

    def first(self, path: Path) -> av.VideoFrame:
        """The first frame, which iterating gives again.

        Raises:
            SourceError: nothing can be decoded.
        """
        with reading(path):
            self._first = next(self._frames, None)
        if self._first is None:
            raise SourceError(
                "holds no frame that can be decoded",
                subject=path,
                hint="the recording may have been cut short; try to play it",
            )
        return self._first

    def __iter__(self) -> Iterator[av.VideoFrame]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._frames

    def close(self) -> None:
        """Let go of the container, so that it can be closed."""
        self._frames.close()

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        in_a_row = 0
        for packet in self._demux():
            # The empty packets at the end all say stream_index 0; their stream is right.
            if packet.stream is not self._stream:
                self._note_end(packet)
                continue
            self.packets += bool(packet.size)
            try:
                frames = self._stream.codec_context.decode(packet)
            except av.error.FFmpegError:
                self.damaged += 1
                in_a_row += 1
                if in_a_row == _DAMAGED_IN_A_ROW:
                    self.gave_up = True
                    break
                continue
            if frames:
                in_a_row = 0
            yield from frames
        if self.gave_up or self.is_broken_off:
            with contextlib.suppress(av.error.FFmpegError):
                yield from self._stream.codec_context.decode(None)

    def _demux(self) -> Iterator[av.Packet[Stream]]:
        """Packets to the end; reading goes on behind a fault where it can."""
        streams = [
            stream
            for stream in self._container.streams
            if stream is self._stream or stream.type in ("audio", "subtitle")
        ]
        faults = 0
        while faults < _FAULTS_IN_A_ROW:
            try:
                for packet in self._container.demux(streams):
                    faults = 0
                    yield packet
                return
            except av.error.FFmpegError:
                faults += 1
        self.is_broken_off = True

    def _note_end(self, packet: av.Packet[Stream]) -> None:
        base = fraction(packet.time_base)
        if packet.pts is not None and base:
            self.beside_end = max(self.beside_end, (packet.pts + (packet.duration or 0)) * base)


@dataclass(frozen=True, slots=True)
class _Length:
    """A length in seconds that a header states.

    Attributes:
        seconds: as stated.
        start: time from which it counts.
        is_own: it is the video stream's; else the longest stream's.
    """

    seconds: Fraction
    start: Fraction
    is_own: bool

    def is_missed(
        self, end: Fraction, beside_end: Fraction, *, step: Fraction, longest_gap: Fraction
    ) -> bool:
        """Whether what came ends clearly before it.

        Args:
            end: of the video.
            beside_end: of the other streams.
            step: usual seconds between frames.
            longest_gap: longest seconds between frames.
        """
        if not self.is_own:
            end = max(end, beside_end)
        # A gap seen before may come again as the last frame's unwritten duration.
        slack = max(_ROUNDING_FRAMES * step, longest_gap) * Fraction(3, 2)
        return self.start + self.seconds - end > slack


def _length(container: InputContainer, stream: VideoStream) -> _Length | None:
    """What the headers say of the length; None where FFmpeg would only guess it."""
    names = set(container.format.name.split(","))
    if not names & _STATES_LENGTH:
        return None
    base = fraction(stream.time_base)
    rate = fraction(stream.average_rate)
    if "avi" in names and stream.frames and rate:
        # FFmpeg shrinks the seconds of a cut file to its size, but not the count.
        return _Length(stream.frames / rate, Fraction(0), is_own=True)
    if stream.duration and base:
        start = (stream.start_time or 0) * base if "mp4" in names else Fraction(0)
        return _Length(stream.duration * base, start, is_own=True)
    tagged = _clock_seconds(stream.metadata.get("DURATION", ""))
    if tagged:
        return _Length(tagged, Fraction(0), is_own=True)
    if container.duration:
        return _Length(Fraction(container.duration, av.time_base), Fraction(0), is_own=False)
    return None


def _clock_seconds(text: str) -> Fraction | None:
    """Seconds of "00:01:02.500000000", as Matroska files state a stream's length."""
    try:
        hours, minutes, seconds = text.split(":")
        return Fraction(hours) * 3600 + Fraction(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None


def _lasting(frame: Frame, duration: Fraction | None) -> Frame:
    """The same frame, shown so many seconds."""
    if isinstance(frame, PlanarFrame):
        return frame.with_duration(duration)
    return replace(frame, duration=duration)


class _Turn:
    """Turns and flips pixels as the file's display matrix asks.

    Attributes:
        is_sideways: rows become columns.
    """

    def __init__(self, frame: av.VideoFrame) -> None:
        a, b, c, d = _display_matrix(frame)
        # x' = a x + c y and y' = b x + d y; other angles go to the nearest right one.
        self.is_sideways = abs(b) + abs(c) > abs(a) + abs(d)
        across, down = (c, b) if self.is_sideways else (a, d)
        self._flip = {(False, False): None, (True, False): 1, (False, True): 0, (True, True): -1}[
            (across < 0, down < 0)
        ]

    @property
    def is_needed(self) -> bool:
        """Whether calling it changes anything."""
        return self.is_sideways or self._flip is not None

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) after turning."""
        return (width, height) if self.is_sideways else (height, width)

    def __call__(self, pixels: Image) -> Image:
        """Turned pixels; the same array where there is nothing to do."""
        if self.is_sideways:
            pixels = cast("Image", cv2.transpose(pixels))
        if self._flip is not None:
            pixels = cast("Image", cv2.flip(pixels, self._flip))
        return pixels


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """The four numbers of the display matrix that turn and flip, in 1/65536."""
    try:
        data = cast("Any", frame.side_data)[SideDataType.DISPLAYMATRIX]
    except KeyError:
        return 65536, 0, 0, 65536
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    return a, b, c, d


def _check_path(path: Path) -> None:
    """Refuse what FFmpeg would explain badly.

    Raises:
        SourceError: no such file, a folder, a pipe or device, or an empty file.
    """
    with reading(path):
        status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(
            "is a folder, not a video", subject=path, hint="name a video file inside it"
        )
    if not stat.S_ISREG(status.st_mode):
        # A pipe can be read only once, and the sound is read apart from the pictures.
        raise SourceError(
            "is no ordinary file", subject=path, hint="store the video in a file first"
        )
    if status.st_size == 0:
        raise SourceError(
            "is empty", subject=path, hint="the recording or the copy failed; make it again"
        )


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to show: the first that is marked as default, cover pictures left out.

    Raises:
        SourceError: there is none, or no decoder for it.
    """
    name = container.format.name
    if name.endswith("_pipe") or name == "image2":
        raise SourceError(
            "is a picture, not a video", subject=path, hint="use `humanseg image` for pictures"
        )
    if name == "tty":  # FFmpeg takes plain text for a film of letters
        raise SourceError("is a text, not a video", subject=path, hint="name a video file")
    videos = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not videos:
        if container.streams.audio:
            raise SourceError("holds sound only", subject=path, hint="name a file with a video")
        raise SourceError("has no video stream", subject=path, hint="name a file with a video")
    defaults = [stream for stream in videos if stream.disposition & Disposition.default]
    stream = (defaults or videos)[0]
    if stream.codec_context is None:
        raise SourceError(
            "is coded in a way this FFmpeg cannot read",
            subject=path,
            hint="convert it to H.264 first",
        )
    return stream
