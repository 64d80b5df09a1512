"""A video file written beside its final name, with the source's sound, times and colours."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import av
import av.error
from av.video.frame import PictureType

from humanseg.errors import PartialError, SettingsError, SinkError
from humanseg.frames import ColorTags, Frame, StreamInfo
from humanseg.media.av_gate import open_output, sink_error
from humanseg.media.color import Coding, FromBgr, resolve, tag_numbers
from humanseg.media.planar import PIXEL_FORMAT, PlanarFrame
from humanseg.sinks.copied_streams import CopiedStreams
from humanseg.sinks.encoders import choose_encoder
from humanseg.sinks.target import check_target, partial_path

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

# Ordinary mp4 when finished, readable fragments until then; delay_moov keeps the first time exact.
_MP4_OPTIONS = {
    "movflags": "hybrid_fragmented+delay_moov",
    # Microseconds of video that a kill or a power cut may cost, at most.
    "frag_duration": "1000000",
}
_MP4_SUFFIXES = (".mp4", ".m4v", ".mov")
# FFmpeg 7.1 is the first that knows hybrid_fragmented.
_HYBRID_SINCE = (61, 7)
# Seconds and share of a source's length by which a video may end early and count as whole.
_WHOLE_SECONDS = 1.0
_WHOLE_SHARE = 0.02
# Seconds that a frame may be decoded before it is shown; more is nonsense.
_REORDER_SECONDS = 3600
_USUAL_RATE = Fraction(25)

_FAILURES = (av.error.FFmpegError, OSError, MemoryError)


class VideoFileSink:
    """Writes frames to a video file.

    The file grows under `<stem>.partial<suffix>` and gets its name when it is finished. Leaving
    the context with an error finishes what there is under the partial name; only a PartialError
    of the source finishes it under its own name. Not thread safe: one thread writes.

    Attributes:
        partial_path: where the file grows, and stays after an error.
        frames: written so far.
    """

    def __init__(
        self,
        path: Path | str,
        like: StreamInfo,
        *,
        codec: str | None = None,
        crf: int | None = None,
        encoder_preset: str | None = None,
        alpha: bool = False,
        overwrite: bool = False,
        copy_from: Path | None = None,
        threads: int | None = None,
    ) -> None:
        """Check everything that can be wrong, before anything is written.

        Args:
            path: of the file; its suffix chooses the container.
            like: size, time base, rate, colour and pixel shape to write.
            codec: "h264", "h265", "vp9", "av1", "prores", "ffv1", "mjpeg", "qtrle" or "png";
                None for the container's usual one.
            crf: quality, 0 is best; None for the codec's default.
            encoder_preset: speed of the encoder, by its own names; None for the default.
            alpha: frames are BGRA with straight alpha.
            overwrite: an existing file may be replaced.
            copy_from: file whose sound, subtitles, tags and chapters are carried over.
            threads: for the encoder; None leaves the number to it.

        Raises:
            SettingsError: a codec, setting, container or place that does not work.
            SourceError: `copy_from` cannot be opened.
        """
        self._path = Path(path)
        self._like = like
        self._overwrite = overwrite
        self._alpha = alpha
        self._copy_from = copy_from
        self._threads = threads
        self._encoder = choose_encoder(codec, self._path, alpha=alpha)
        self._settings = self._encoder.settings(crf, encoder_preset)
        check_target(self._path, overwrite=overwrite, sources=[copy_from, like.origin])
        self.partial_path = partial_path(self._path)
        self.frames = 0
        self._warnings: list[str] = []
        self._is_started = False
        self._is_closed = False
        self._has_failed = False
        self._durations: dict[int, int] = {}
        self._shift = Fraction(0)
        self._is_mp4 = self._path.suffix.lower() in _MP4_SUFFIXES
        self._reorder_limit = _REORDER_SECONDS / like.time_base
        self._first_pts: int | None = None
        self._last_pts: int | None = None
        self._first_dts: int | None = None
        self._end = Fraction(0)
        self._copies: CopiedStreams | None = None
        self._copied: tuple[str, ...] = ()
        self._pixels = self._pixel_format()
        self._color, self._planes_coding = self._coding()
        self._convert = FromBgr(self._pixels, self._planes_coding)
        self._open(copy_from)

    @property
    def takes_planes(self) -> bool:
        """Whether frames that hold planes of the source's coding are encoded as they are."""
        source = resolve(self._like.color, height=self._like.height, width=self._like.width)
        return self._pixels == PIXEL_FORMAT and self._planes_coding == source

    @property
    def copied(self) -> tuple[str, ...]:
        """Kinds of streams carried over: "audio", "subtitle"."""
        return tuple(sorted(self._copies.kinds)) if self._copies else self._copied

    @property
    def warnings(self) -> list[str]:
        """What the user should know, a sentence each."""
        return self._warnings + (self._copies.warnings if self._copies else [])

    def write(self, frame: Frame) -> None:
        """Take one frame of the size given at the start.

        Raises:
            SinkError: the disk is full, or FFmpeg refuses; what was written is kept and named.
        """
        if self._is_closed:
            raise SinkError("is closed already", subject=self._path)
        self._check_size(frame)
        try:
            if not self._is_started:
                self._start(frame)
            self._mux(self._stream.encode(self._coded(frame)))
            self.frames += 1
            if self._copies:
                self._copies.write_until(self._end - self._shift, shift=self._shift)
        except _FAILURES as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Finish the file and give it its name; without a frame nothing is left.

        Raises:
            SinkError: the rest cannot be written; what was written is kept and named.
        """
        if self._has_failed:
            self.abort()
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._is_started:
                self._finish(is_whole=self._is_whole())
        except _FAILURES as error:
            raise self._failed(error) from error
        finally:
            self._release()
        if self.frames:
            self._rename()
        else:
            self.partial_path.unlink(missing_ok=True)

    def abort(self) -> None:
        """Finish what there is under the partial name; without a frame nothing is left."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            # An error is under way already, and a full disk fails here a second time.
            with contextlib.suppress(*_FAILURES):
                if self._is_started:
                    self._finish(is_whole=False)
        finally:
            self._release()
            if not self.frames:
                self.partial_path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, PartialError):
            self.close()
        else:
            self.abort()

    def _pixel_format(self) -> str:
        if self._alpha:
            return cast("str", self._encoder.alpha_pixels)
        if self._like.width % 2 == 0 and self._like.height % 2 == 0:
            return self._encoder.pixels
        if self._encoder.odd_pixels == "yuv444p":
            self._warnings.append(
                f"{self._like.width}x{self._like.height} is an odd size, so colour is kept at full "
                "resolution (4:4:4), which some players cannot show"
            )
        return self._encoder.odd_pixels

    def _coding(self) -> tuple[ColorTags, Coding]:
        """Tags to write, and matrix and range to convert to: those of the source."""
        tags = self._like.color
        coding = resolve(tags, height=self._like.height, width=self._like.width)
        if self._encoder.is_full_range:
            coding = Coding(coding.matrix, "pc")
        if av.VideoFormat(self._pixels).is_rgb:
            return ColorTags("gbr", "pc", tags.primaries, tags.transfer), coding
        # A source without tags stays without, so players guess for both alike; RGB must choose.
        matrix = coding.matrix if tags.matrix == "gbr" else tags.matrix
        is_new_range = tags.matrix == "gbr" or self._encoder.is_full_range
        range_ = coding.range if is_new_range else tags.range
        return ColorTags(matrix, range_, tags.primaries, tags.transfer), coding

    def _open(self, copy_from: Path | None) -> None:
        """Make the container and its streams; nothing is written yet.

        Raises:
            SettingsError: the encoder refuses the size or a setting.
            SourceError: the file to copy from cannot be opened.
        """
        suffix = self._path.suffix.lower()
        self._container: OutputContainer = open_output(
            self.partial_path,
            # FFmpeg takes .m4v for a thing of its own that holds less than mp4.
            kind="mp4" if suffix == ".m4v" else None,
            options=_container_options(suffix, self._like.time_base),
        )
        try:
            self._stream = self._video_stream(self._container)
            try:
                self._stream.codec_context.open()
            except _FAILURES as error:
                raise SettingsError(
                    f"{self._encoder.codec} cannot write {self._like.width}x{self._like.height} "
                    f"with these settings: {getattr(error, 'strerror', None) or error}",
                    subject=self._path,
                    hint="try another codec or leave the settings out",
                ) from error
            if copy_from is not None:
                self._copies = CopiedStreams(copy_from, self._container, suffix)
        except BaseException:
            self._container.close()
            raise

    def _video_stream(self, container: OutputContainer) -> VideoStream:
        like = self._like
        stream = cast(
            "VideoStream",
            container.add_stream(self._encoder.library, rate=like.rate or _USUAL_RATE),
        )
        stream.options = dict(self._settings)
        stream.time_base = like.time_base
        context = stream.codec_context
        context.time_base = like.time_base
        context.width, context.height = like.width, like.height
        context.pix_fmt = self._pixels
        context.sample_aspect_ratio = like.pixel_aspect
        matrix, range_, primaries, transfer = tag_numbers(self._color)
        context.colorspace, context.color_range = matrix, range_
        context.color_primaries, context.color_trc = primaries, transfer
        if self._encoder.codec == "h265" and self._is_mp4:
            context.codec_tag = "hvc1"  # Apple's players know no other
        if self._encoder.codec == "av1":
            os.environ.setdefault("SVT_LOG", "1")  # errors only; it knows no other way
        context.thread_type = "AUTO"
        if self._threads is not None:
            context.thread_count = self._threads
        return stream

    def _start(self, first: Frame) -> None:
        # Containers start at zero; one that does not would hide frames before it.
        self._shift = max(Fraction(0), -first.time)
        try:
            self._container.start_encoding()
        except (av.error.ArgumentError, av.error.InvalidDataError, av.error.PatchWelcomeError):
            if self._copies is None:
                raise
            self._reopen_without_copies()
        self._is_started = True

    def _reopen_without_copies(self) -> None:
        """The container refuses a copied stream for a reason FFmpeg gives only now."""
        self._release()
        self._copies, self._copied = None, ()
        self._warnings.append("sound and subtitles of the source do not fit and are left out")
        self._open(None)
        self._container.start_encoding()

    def _check_size(self, frame: Frame) -> None:
        channels = 4 if self._alpha else 3
        if isinstance(frame, PlanarFrame) and not self._alpha:
            shape: tuple[int, ...] = (frame.height, frame.width, 3)
        else:
            shape = frame.pixels.shape
        if shape != (self._like.height, self._like.width, channels):
            raise SinkError(
                f"frame {frame.index} has the shape {shape}, the video wants "
                f"{(self._like.height, self._like.width, channels)}",
                subject=self._path,
            )

    def _coded(self, frame: Frame) -> av.VideoFrame:
        """The frame in the encoder's pixels, with its time in whole ticks that only rise."""
        base = self._like.time_base
        time = frame.time + self._shift
        pts = round(time / base)
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
        if self._first_pts is None:
            self._first_pts = pts
        self._last_pts = pts
        duration = frame.duration or 1 / (self._like.rate or _USUAL_RATE)
        self._durations[pts] = max(1, round(duration / base))
        self._end = time + duration
        coded = self._picture(frame)
        coded.pts, coded.time_base = pts, base
        matrix, range_, primaries, transfer = tag_numbers(self._color)
        coded.colorspace, coded.color_range = matrix, range_
        coded.color_primaries, coded.color_trc = primaries, transfer
        return coded

    def _picture(self, frame: Frame) -> av.VideoFrame:
        if isinstance(frame, PlanarFrame) and self.takes_planes:
            coded = frame.planes.video
            coded.pict_type = PictureType.NONE  # a decoder's frame asks for what it was before
            return coded
        return self._convert(frame.pixels)

    def _mux(self, packets: list[av.Packet[Any]], *, are_last: bool = False) -> None:
        for packet in packets:
            if packet.pts is not None:
                # Encoders drop it, and then the last frame would end the file too early.
                packet.duration = self._durations.pop(packet.pts, packet.duration)
                # x265 gives videos of one or two frames decoding times from unset memory.
                if packet.dts is None or not 0 <= packet.pts - packet.dts < self._reorder_limit:
                    packet.dts = packet.pts
            if self._first_dts is None:
                self._first_dts = packet.dts
            if are_last and packet is packets[-1] and self._is_mp4:
                packet.duration = self._closing_duration(packet)
            self._container.mux(packet)

    def _closing_duration(self, last: av.Packet[Any]) -> int:
        """Duration in ticks of the last packet that makes the whole mp4 as long as its frames.

        An mp4 adds up steps of decoding time, and the packet decoded last need not be shown last.
        """
        if last.dts is None or self._first_dts is None or self._first_pts is None:
            return last.duration or 0
        shown = round(self._end / self._like.time_base) - self._first_pts
        return max(1, shown - (last.dts - self._first_dts))

    def _is_whole(self) -> bool:
        """Whether the video runs about as long as its source says."""
        length = self._like.duration
        if length is None:
            return True
        return float(self._end) >= length - max(_WHOLE_SECONDS, _WHOLE_SHARE * length)

    def _finish(self, *, is_whole: bool) -> None:
        """Flush the encoder, add the rest of the sound and end the container."""
        self._mux(self._stream.encode(None), are_last=True)
        if self._copies:
            until = None if is_whole else self._end - self._shift
            self._copies.write_until(until, shift=self._shift)
        self._container.close()

    def _release(self) -> None:
        """Give both files back; what has been copied stays known."""
        if self._copies:
            self._warnings += self._copies.warnings
            self._copied = self.copied
            self._copies.close()
            self._copies = None
        with contextlib.suppress(*_FAILURES):
            self._container.close()

    def _failed(self, error: BaseException) -> SinkError:
        self._has_failed = True
        kept = self.partial_path if self.frames else None
        return sink_error(error, self._path, frames=self.frames, kept=kept)

    def _rename(self) -> None:
        if not self._overwrite and self._path.exists():
            raise SinkError(
                "appeared while it was being written",
                subject=self._path,
                hint=f"the finished video is {self.partial_path}",
            )
        try:
            os.replace(self.partial_path, self._path)
        except OSError as error:
            raise self._failed(error) from error


def _container_options(suffix: str, time_base: Fraction) -> dict[str, str]:
    # What has been written can be read after a kill, at the price of a system call a packet.
    options = {"flush_packets": "1"}
    if suffix in _MP4_SUFFIXES:
        # The start of a stream is stored in these units, by default thousandths of a second.
        ticks = time_base.denominator
        options["movie_timescale"] = str(ticks * -(-1000 // ticks))
        if av.library_versions["libavformat"][:2] >= _HYBRID_SINCE:
            options |= _MP4_OPTIONS
    else:
        options["cluster_time_limit"] = "1000"  # milliseconds that Matroska may hold back
    return options
