"""Sources of sources: files at their own pace and for ever, and a watch over one that may hang."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from humanseg.clock import Clock, SystemClock
from humanseg.closing import Closing
from humanseg.errors import PartialError, SourceError, SourceLost
from humanseg.frames import Frame, StreamInfo
from humanseg.protocols import Source
from humanseg.sources.newest import NewestFrame

# A frame this late is not made up for by hurrying: the pace starts anew with it.
_LATE_SECONDS = 1.0
_USUAL_STEP = Fraction(1, 25)


def describe(source: Source) -> str:
    """A source in a few words: "/dev/video0 1280x720 30 fps MJPG", "clip.mp4 640x360 25 fps"."""
    own = getattr(source, "describe", None)
    if own is not None:
        return str(own())
    info = source.info
    rate = f" {round(float(info.rate), 2):g} fps" if info.rate else ""
    return f"{info.origin} {info.width}x{info.height}{rate}"


class Paced(Closing):
    """Gives frames at their own times, as a camera would; skips none.

    Each frame's time counts from the first one, so the pace does not drift; where frames come more
    than a second late (a slow disk, a sleeping laptop), it starts anew.
    """

    def __init__(self, source: Source, clock: Clock | None = None) -> None:
        """Pace a source, which is closed with this one.

        Args:
            source: of frames whose times matter.
            clock: a test's; None for the system's.
        """
        self._source = source
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._is_closed = False

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream."""
        return self._source.info

    def describe(self) -> str:
        """The source in a few words."""
        return describe(self._source)

    def __iter__(self) -> Iterator[Frame]:
        """Frames when they are due, stamped with that moment as `captured_at`.

        Raises:
            SourceError, PartialError: as the source does.
        """
        zero: float | None = None
        for frame in self._source:
            time_of_frame = float(frame.time)
            now = self._clock()
            if zero is None or now - (zero + time_of_frame) > _LATE_SECONDS:
                zero = now - time_of_frame
            if not self._wait_until(zero + time_of_frame):
                return
            yield replace(frame, captured_at=self._clock())

    def close(self) -> None:
        """Close the source; from any thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._source.close()

    def _wait_until(self, due: float) -> bool:
        """Whether to go on; False once it is closed."""
        with self._changed:
            while not self._is_closed and (seconds := due - self._clock()) > 0:
                self._clock.wait(self._changed, seconds)
            return not self._is_closed


class Looped(Closing):
    """Gives a source's frames again and again, with times that go on."""

    def __init__(self, open_source: Callable[[], Source]) -> None:
        """Open the source for the first time.

        Args:
            open_source: opens it at its beginning; called again for each round.

        Raises:
            SourceError: it cannot be opened.
        """
        self._open_source = open_source
        self._lock = threading.Lock()
        self._is_closed = False
        self._source = open_source()
        self._name = describe(self._source)
        self._info = replace(self._source.info, frame_count=None, duration=None)

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream, which has no end."""
        return self._info

    def describe(self) -> str:
        """The source in a few words."""
        return self._name

    def __iter__(self) -> Iterator[Frame]:
        """Frames without end; what a damaged file gives is repeated.

        Raises:
            SourceError: it cannot be opened again, or gives no frame.
        """
        index, end = 0, Fraction(0)
        while not self._is_closed:
            shift: Fraction | None = None
            try:
                for frame in self._source:
                    if shift is None:
                        shift = end - frame.time if index else Fraction(0)
                    moved = replace(frame, index=index, time=frame.time + shift)
                    yield moved
                    index, end = index + 1, moved.time + self._duration(frame)
            except PartialError:
                if shift is None:
                    raise
            if shift is None and not self._is_closed:
                raise SourceError(
                    "gives no frames", subject=self._info.origin, hint="choose another file"
                )
            self._open_again()

    def close(self) -> None:
        """Close the source; from any thread."""
        with self._lock:
            self._is_closed = True
            self._source.close()

    def _open_again(self) -> None:
        with self._lock:
            self._source.close()
            if not self._is_closed:
                self._source = self._open_source()

    def _duration(self, frame: Frame) -> Fraction:
        rate = self._info.rate
        return frame.duration or (1 / rate if rate else _USUAL_STEP)


class Watched(Closing):
    """Takes a source for lost that gives no frame for too long, even if it hangs in a read.

    The source is read on a thread of its own, which is left to itself when it hangs.
    """

    def __init__(self, source: Source, patience: float) -> None:
        """Watch a source, which is closed with this one.

        Args:
            source: of live frames; only the newest of them counts.
            patience: seconds without a frame after which the source is lost.
        """
        self._source = source
        self._patience = patience

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream."""
        return self._source.info

    def describe(self) -> str:
        """The source in a few words."""
        return describe(self._source)

    def __iter__(self) -> Iterator[Frame]:
        """The newest frames.

        Raises:
            SourceLost: none came for too long.
            SourceError, PartialError: as the source does.
        """
        with NewestFrame(self._source) as newest:
            while True:
                frame = newest.take(self._patience)
                if frame is not None:
                    yield frame
                elif newest.ended:
                    return
                else:
                    raise SourceLost(
                        f"has given no picture for {self._patience:g} s",
                        subject=self.info.origin,
                        hint="it hangs; unplug it and plug it in again",
                    )

    def close(self) -> None:
        """Close the source; from any thread."""
        self._source.close()
