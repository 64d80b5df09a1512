"""Frames of a stream from the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import av
import av.error
from av.codec.context import Flags

from humanseg.closing import Closing
from humanseg.errors import SourceError, SourceLost
from humanseg.frames import Frame, StreamInfo
from humanseg.lease import GivenBack, Lease
from humanseg.media.av_gate import fraction, open_stream, without_password
from humanseg.media.color import Coding, ToBgr, resolve, tags_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Packets in a row that may fail before the stream is given up; a camera sends a whole picture
# every few seconds only, and until then nothing can be decoded.
_DAMAGED_IN_A_ROW = 500
# A clock that jumps further has started anew.
_LONGEST_STEP = Fraction(10)
_SHORTEST_STEP = Fraction(1, 1_000_000)
_IN_PIECES = {"hls", "dash"}
# Of a live stream two seconds tell enough. FFmpeg's "nobuffer" would throw them away, and with them
# the whole picture that every other one until the next depends on; a reader that never waits
# catches up by itself.
_NOW = {"analyzeduration": "2000000"}
_OPTIONS: dict[str, dict[str, str]] = {
    # Over UDP, the usual way, every lost packet smears the picture.
    "rtsp": {"rtsp_transport": "tcp", **_NOW},
    "rtsps": {"rtsp_transport": "tcp", **_NOW},
    "udp": {"overrun_nonfatal": "1", "fifo_size": "50000", **_NOW},
    "rtp": _NOW,
    "rtmp": _NOW,
    "tcp": _NOW,
}


class StreamSource(Closing):
    """Frames of a stream from the network: RTSP, RTMP, HTTP (also HLS and MJPEG), UDP, TCP.

    What comes is decoded at once, without a queue. One thread reads; any thread may close.

    Attributes:
        warnings: what the user should know, a sentence each.
        needs_pace: the stream is a file, or comes in pieces of seconds, so that its frames must be
            shown at their own times (`Paced`); others are shown as they come.
    """

    def __init__(
        self,
        url: str,
        *,
        open_seconds: float = 10.0,
        read_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the stream and decode its first frame.

        Args:
            url: with its scheme, and with name and password where it needs them.
            open_seconds: to wait for an answer and for the first packets.
            read_seconds: to wait for each frame after that.
            clock: gives seconds, by `time.monotonic` but in tests.

        Raises:
            SourceError: it cannot be reached, gives no video in time, or is no video.
        """
        self._address = without_password(url)
        self._read_seconds = read_seconds
        self._clock = clock
        self.warnings: tuple[str, ...] = ()
        container = open_stream(
            url,
            options=_OPTIONS.get(urlsplit(url).scheme.lower(), {}),
            open_seconds=open_seconds,
            read_seconds=read_seconds,
        )
        self._lease = Lease(container, lambda held: held.close())
        try:
            stream = self._video(container)
            self.needs_pace = bool(container.duration) or container.format.name in _IN_PIECES
            stream.thread_type = "AUTO" if self.needs_pace else "SLICE"
            if not self.needs_pace:
                stream.codec_context.flags |= Flags.low_delay
            self._frames = self._decode(container, stream)
            self._first = self._next(open_seconds)
            self._info = self._describe(container, stream)
        except SourceLost as error:
            self._lease.close()
            raise SourceError(error.what, subject=error.subject, hint=error.hint) from error
        except BaseException:
            self._lease.close()
            raise

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream; the origin is its address, without the password."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they come, until the sender ends the stream.

        Raises:
            SourceLost: it broke off, or gave no frame in time.
        """
        convert, timeline = ToBgr(), _Timeline()
        decoded, self._first = self._first, None
        index = 0
        while not self._lease.is_closed:
            decoded = decoded or self._next(self._read_seconds)
            if decoded is None:
                return
            now = self._clock()
            pixels = convert(decoded, self._coding(decoded))
            yield Frame(pixels, index, timeline.time(decoded, now), captured_at=now)
            index, decoded = index + 1, None

    def close(self) -> None:
        """Close the connection; now, or when the read under way returns or times out."""
        self._lease.close()

    def _next(self, seconds: float) -> av.VideoFrame | None:
        """The next frame; None at the end.

        Raises:
            SourceLost: it broke off, or none came in time.
        """
        self._due = self._clock() + seconds
        try:
            with self._lease.use():
                return next(self._frames, None)
        except GivenBack:
            return None
        except (av.error.FFmpegError, OSError) as error:
            if self._lease.is_closed or isinstance(error, av.error.EOFError):
                return None
            is_silent = isinstance(error, (av.error.ExitError, TimeoutError))
            raise SourceLost(
                "stopped sending" if is_silent else "broke off",
                subject=self._address,
                hint="check the sender and the network",
            ) from error

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        """Frames past whatever cannot be decoded."""
        damaged = 0
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                frames, damaged = [], damaged + 1
            if frames:
                damaged = 0
            elif damaged >= _DAMAGED_IN_A_ROW or self._clock() > self._due:
                raise SourceLost(
                    "sends packets, but no picture that can be decoded",
                    subject=self._address,
                    hint="check what it sends",
                )
            yield from frames

    def _video(self, container: InputContainer) -> VideoStream:
        """The first video stream.

        Raises:
            SourceError: there is none.
        """
        if not container.streams.video:
            raise SourceError(
                "has no video stream", subject=self._address, hint="choose another address"
            )
        return container.streams.video[0]

    def _describe(self, container: InputContainer, stream: VideoStream) -> StreamInfo:
        first = self._first
        if first is None:
            raise SourceError(
                "ends before its first picture",
                subject=self._address,
                hint="is it switched on and sending?",
            )
        duration = float(Fraction(container.duration, av.time_base)) if container.duration else None
        return StreamInfo(
            width=first.width,
            height=first.height,
            rate=fraction(stream.average_rate) or fraction(stream.guessed_rate),
            frame_count=None,
            time_base=fraction(stream.time_base) or _SHORTEST_STEP,
            duration=duration,
            origin=self._address,
            color=tags_of(first),
            pixel_aspect=fraction(stream.codec_context.sample_aspect_ratio) or Fraction(1),
        )

    @staticmethod
    def _coding(frame: av.VideoFrame) -> Coding:
        return resolve(tags_of(frame), height=frame.height, width=frame.width)


class _Timeline:
    """Times from the sender's clock; from ours where the sender's stops, jumps or goes back."""

    def __init__(self) -> None:
        self._time = Fraction(0)
        self._sent: Fraction | None = None
        self._came: float | None = None

    def time(self, frame: av.VideoFrame, now: float) -> Fraction:
        """Seconds since the first frame, greater than the time before."""
        base = fraction(frame.time_base)
        sent = None if frame.pts is None or base is None else frame.pts * base
        if self._came is not None:
            step = None if sent is None or self._sent is None else sent - self._sent
            if step is None or not 0 < step <= _LONGEST_STEP:
                step = max(_SHORTEST_STEP, Fraction(round((now - self._came) * 1e6), 1_000_000))
            self._time += step
        self._sent, self._came = sent, now
        return self._time
