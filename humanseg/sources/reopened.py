"""A camera or a stream that comes back by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from fractions import Fraction

from humanseg.clock import Clock, SystemClock
from humanseg.closing import Closing
from humanseg.errors import HumansegError, PartialError, SourceError, SourceLost
from humanseg.frames import Frame, StreamInfo
from humanseg.protocols import Source
from humanseg.sources.camera_pictures import MICROSECOND
from humanseg.sources.playback import Watched, describe

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before a lost source is tried again; the last one repeats."""

STEADY_SECONDS = 5.0
"""A source that was live for so long is reopened after the shortest pause again."""


class SourceState(Enum):
    """What a source that is reopened does."""

    OPENING = "opening"
    LIVE = "live"
    LOST = "lost"
    IDLE = "idle"
    ENDED = "ended"


class Reopened(Closing):
    """Frames of a source that is opened again, with growing pauses, whenever it is lost.

    One thread reads; `pause`, `resume` and `close` may be called from any thread. Index and time
    of the frames go on over losses; their size may change with each opening.

    Attributes:
        error: why the source was lost the last time; None while nothing has happened.
        losses: how often it was lost, or could not be opened.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        *,
        pauses: Sequence[float] = PAUSES,
        on_state: Callable[[SourceState], None] | None = None,
        expected: StreamInfo | None = None,
        patience: float | None = None,
        steady_seconds: float = STEADY_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        """Open the source for the first time.

        Args:
            open_source: opens it; what it gives must be closable from any thread.
            pauses: seconds before the first, second ... attempt after a loss; the last repeats.
            on_state: called with each new state, by the thread that reads (ENDED: that closes).
            expected: wait for a source that cannot be opened at first, and give this for its facts
                until it can; None raises instead.
            patience: seconds without a frame after which the source is lost even if it hangs
                inside a read; that takes a thread more. None leaves it to the source.
            steady_seconds: pauses start at the shortest again once it was live for so long.
            clock: a test's; None for the system's.

        Raises:
            SourceError: it cannot be opened, and nothing is `expected`.
        """
        self.error: HumansegError | None = None
        self.losses = 0
        self._open_source = open_source
        self._pauses = tuple(pauses)
        self._on_state = on_state
        self._patience = patience
        self._steady_seconds = steady_seconds
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._state = SourceState.OPENING
        self._is_closed = self._is_paused = self._is_hurried = False
        self._was_released = False
        self._attempts = 0
        self._joint = _Joint()
        self._source: Source | None = None
        self._info: StreamInfo
        self._name = "camera"
        try:
            self._hold(open_source())
        except SourceError as error:
            if expected is None:
                raise
            self._info = expected
            self._lose(error)

    @property
    def state(self) -> SourceState:
        """What it does now."""
        return self._state

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream, as it was opened the last time, or as was expected."""
        return self._info

    def describe(self) -> str:
        """The source in a few words, as it was opened the last time."""
        return self._name

    def __iter__(self) -> Iterator[Frame]:
        """Frames until `close`; while the source is lost or paused, the reader waits.

        Raises:
            Exception: anything but the loss of the source, for that is a mistake of ours.
        """
        while self._wait_while_paused():
            source = self._opened()
            if source is not None:
                yield from self._frames(source)
            if self._state is SourceState.LOST:
                self._rest()

    def pause(self) -> None:
        """Give the device back until `resume`; now, or when the read under way returns."""
        with self._changed:
            self._is_paused = self._was_released = True
            source = self._source
            self._changed.notify_all()
        if source is not None:
            source.close()

    def resume(self) -> None:
        """Open the device again, at once; also ends the pause after a loss."""
        with self._changed:
            self._is_paused = False
            self._is_hurried = self._state is SourceState.LOST
            self._attempts = 0
            self._changed.notify_all()

    def close(self) -> None:
        """End the frames and give the device back, from any thread; never waits."""
        with self._changed:
            self._is_closed = self._was_released = True
            source = self._source
            self._changed.notify_all()
        if source is not None:
            source.close()
        self._enter(SourceState.ENDED)

    def _wait_while_paused(self) -> bool:
        """Whether to go on."""
        if self._is_paused and not self._is_closed:
            self._enter(SourceState.IDLE)
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or not self._is_paused)
        return not self._is_closed

    def _opened(self) -> Source | None:
        """The source, open; None when it cannot be opened."""
        if self._source is not None and not self._was_released:
            return self._source
        self._enter(SourceState.OPENING)
        with self._changed:
            self._was_released = self._is_paused or self._is_closed
            self._is_hurried = False
        try:
            source = self._open_source()
        except SourceError as error:
            self._lose(error)
            return None
        return source if self._hold(source) else None

    def _hold(self, source: Source) -> bool:
        """Keep an open source; False when it is not wanted any more, and closed again."""
        with self._changed:
            self._info, self._name = source.info, describe(source)
            self._source = source
            is_wanted = not self._was_released
        if not is_wanted:
            source.close()
        return is_wanted

    def _frames(self, source: Source) -> Iterator[Frame]:
        """Frames until the source is lost, paused or closed."""
        watched = source if self._patience is None else Watched(source, self._patience)
        live_at: float | None = None
        problem: HumansegError
        try:
            for frame in watched:
                if self._was_released:
                    return
                if live_at is None:
                    live_at = self._clock()
                    self._joint.open(frame, live_at)
                    self._enter(SourceState.LIVE)
                yield self._joint.moved(frame, self._clock())
            problem = SourceLost("has ended", subject=self.info.origin, hint="it is opened again")
        except (SourceError, PartialError) as error:
            problem = error
        finally:
            self._source = None
            source.close()
        if live_at is not None and self._clock() - live_at >= self._steady_seconds:
            self._attempts = 0
        if not self._was_released:
            self._lose(problem)

    def _lose(self, problem: HumansegError) -> None:
        self.error = problem
        self.losses += 1
        self._enter(SourceState.LOST)

    def _rest(self) -> None:
        """Wait before the next attempt, or until `resume`, `pause` or `close`."""
        seconds = self._pauses[min(self._attempts, len(self._pauses) - 1)]
        self._attempts += 1
        due = self._clock() + seconds
        with self._changed:
            while not (self._is_closed or self._is_paused or self._is_hurried):
                if (left := due - self._clock()) <= 0:
                    break
                self._clock.wait(self._changed, left)
            self._is_hurried = False

    def _enter(self, state: SourceState) -> None:
        """Take a state and tell it; nothing comes after ENDED."""
        with self._changed:
            if self._state in (state, SourceState.ENDED):
                return
            self._state = state
        if self._on_state is not None:
            self._on_state(state)


class _Joint:
    """Index and time that go on from one opening of a source to the next."""

    def __init__(self) -> None:
        self._index = 0
        self._shift = Fraction(0)
        self._last: tuple[Fraction, float] | None = None

    def open(self, first: Frame, now: float) -> None:
        """Fit a new opening in, as late as it really comes."""
        if self._last is None:
            return
        time_before, given_at = self._last
        gap = Fraction(max(1, round((now - given_at) * MICROSECOND)), MICROSECOND)
        self._shift = time_before + gap - first.time

    def moved(self, frame: Frame, now: float) -> Frame:
        """The frame with its place in the whole."""
        moved = replace(frame, index=self._index, time=frame.time + self._shift)
        self._index += 1
        self._last = (moved.time, now)
        return moved
