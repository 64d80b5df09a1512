"""A camera that goes away comes back by itself, with growing pauses, and rests when asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice, pairwise

import numpy as np
import pytest

from humanseg.closing import Closing
from humanseg.errors import PartialError, SettingsError, SourceError, SourceLost
from humanseg.frames import Frame, StreamInfo
from humanseg.sources.reopened import Reopened, SourceState

OPENING, LIVE, LOST = SourceState.OPENING, SourceState.LIVE, SourceState.LOST
IDLE, ENDED = SourceState.IDLE, SourceState.ENDED


class Clock:
    """Time that goes on only by waiting; remembers the pauses."""

    def __init__(self) -> None:
        self.now = 50.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, condition: threading.Condition, seconds: float | None = None) -> None:
        assert seconds is not None
        self.pauses.append(seconds)
        self.now += seconds


class Camera(Closing):
    """Gives so many frames of one size at 10 a second, and then raises, or ends."""

    def __init__(
        self,
        frames: int = 3,
        error: Exception | None = None,
        *,
        clock: Clock | None = None,
        size: tuple[int, int] = (6, 8),
    ) -> None:
        self.frames, self.error, self.clock, self.size = frames, error, clock, size
        self.is_closed = False

    @property
    def info(self) -> StreamInfo:
        height, width = self.size
        return StreamInfo(width, height, Fraction(10), None, Fraction(1, 10), None, "camera")

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.frames):
            if self.is_closed:
                return
            if self.clock is not None:
                self.clock.now += 0.1
            yield Frame(np.zeros((*self.size, 3), np.uint8), index, Fraction(index, 10))
        if self.error is not None and not self.is_closed:
            raise self.error

    def close(self) -> None:
        self.is_closed = True


class Opener:
    """Opens what stands next in a list: a camera, or an error that is raised."""

    def __init__(self, *next_ones: Camera | Exception) -> None:
        self.next_ones = list(next_ones)
        self.opened: list[Camera] = []

    def __call__(self) -> Camera:
        first = self.next_ones.pop(0)
        if isinstance(first, Exception):
            raise first
        self.opened.append(first)
        return first


def missing() -> SourceError:
    return SourceError("there is no such camera", subject="camera")


def lost() -> SourceLost:
    return SourceLost("was unplugged", subject="camera")


def test_the_first_opening_fails_at_once() -> None:
    with pytest.raises(SourceError, match="no such camera"):
        Reopened(Opener(missing()))


def test_a_lost_camera_comes_back_and_its_frames_go_on() -> None:
    clock = Clock()
    states: list[SourceState] = []
    opener = Opener(Camera(3, lost(), clock=clock), Camera(3, clock=clock, size=(4, 4)))
    source = Reopened(opener, clock=clock, on_state=states.append)
    assert source.info.width == 8
    frames = list(islice(source, 6))
    assert [frame.index for frame in frames] == list(range(6))
    assert [(frame.height, frame.width) for frame in frames] == [(6, 8)] * 3 + [(4, 4)] * 3
    assert source.info.width == 4
    steps = [later.time - earlier.time for earlier, later in pairwise(frames)]
    tenth = Fraction(1, 10)
    assert steps == [tenth, tenth, 1 + tenth, tenth, tenth]  # the pause is in the times
    assert clock.pauses == [1]
    assert opener.opened[0].is_closed
    assert str(source.error) == "camera: was unplugged"
    assert source.losses == 1
    source.close()
    assert states == [LIVE, LOST, OPENING, LIVE, ENDED]


def test_pauses_grow_to_fifteen_seconds() -> None:
    clock = Clock()
    opener = Opener(Camera(1, lost()), *[missing() for _ in range(6)], Camera(1))
    source = Reopened(opener, clock=clock)
    assert len(list(islice(source, 2))) == 2
    assert clock.pauses == [1, 2, 4, 8, 15, 15, 15]
    assert source.losses == 7


def test_pauses_start_again_once_the_camera_was_steady() -> None:
    clock = Clock()
    opener = Opener(
        Camera(1, lost()),
        missing(),
        Camera(10, lost(), clock=clock),  # a second: it flickers
        Camera(60, lost(), clock=clock),  # six seconds: it is back
        Camera(1),
    )
    list(islice(Reopened(opener, clock=clock), 1 + 10 + 60 + 1))
    assert clock.pauses == [1, 2, 4, 1]


@pytest.mark.parametrize("error", [None, PartialError("broke off"), missing()])
def test_every_end_is_a_loss(error: Exception | None) -> None:
    clock = Clock()
    source = Reopened(Opener(Camera(2, error), Camera(2)), clock=clock)
    assert len(list(islice(source, 4))) == 4
    assert clock.pauses == [1]
    assert source.error is not None


@pytest.mark.parametrize("error", [ZeroDivisionError("a mistake"), SettingsError("no such format")])
def test_a_mistake_is_no_loss(error: Exception) -> None:
    camera = Camera(1, error)
    with pytest.raises(type(error)):
        list(Reopened(Opener(camera), clock=Clock()))
    assert camera.is_closed


def test_a_source_that_is_expected_is_waited_for() -> None:
    clock = Clock()
    expected = StreamInfo(64, 48, Fraction(30), None, Fraction(1, 30), None, "a camera to come")
    source = Reopened(Opener(missing(), missing(), Camera(2)), clock=clock, expected=expected)
    assert source.info == expected
    assert source.state is SourceState.LOST
    assert "no such camera" in str(source.error)
    assert len(list(islice(source, 2))) == 2
    assert clock.pauses == [1]
    assert source.info.width == 8
    assert source.describe() == "camera 8x6 10 fps"


def test_leaving_the_frames_closes_the_camera() -> None:
    camera = Camera(5)
    frames = iter(Reopened(Opener(camera)))
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert camera.is_closed


class Reader:
    """Reads a source on a thread, as a live session does."""

    def __init__(self, source: Reopened) -> None:
        self.frames: list[Frame] = []
        self.came = threading.Condition()
        self.thread = threading.Thread(target=self._read, args=(source,))
        self.thread.start()

    def _read(self, source: Reopened) -> None:
        for frame in source:
            with self.came:
                self.frames.append(frame)
                self.came.notify_all()

    def wait_for(self, number: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.frames) >= number, 10)

    def join(self) -> None:
        self.thread.join(10)
        assert not self.thread.is_alive()


class States:
    """Remembers states, and waits for them."""

    def __init__(self) -> None:
        self.seen: list[SourceState] = []
        self.changed = threading.Condition()

    def __call__(self, state: SourceState) -> None:
        with self.changed:
            self.seen.append(state)
            self.changed.notify_all()

    def wait_for(self, state: SourceState) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.seen and self.seen[-1] is state, 10)


class Waiting(Camera):
    """Gives one frame and then hangs in a read until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        yield from islice(super().__iter__(), 1)
        assert self.closed.wait(10)

    def close(self) -> None:
        super().close()
        self.closed.set()


def test_pause_gives_the_camera_back_and_resume_opens_it_at_once() -> None:
    states = States()
    opener = Opener(Waiting(), Waiting())
    source = Reopened(opener, on_state=states)
    reader = Reader(source)
    reader.wait_for(1)
    source.pause()
    states.wait_for(IDLE)
    assert opener.opened[0].is_closed
    assert len(opener.opened) == 1
    source.resume()
    reader.wait_for(2)
    source.close()
    reader.join()
    assert opener.opened[1].is_closed
    assert states.seen == [LIVE, IDLE, OPENING, LIVE, ENDED]
    assert source.losses == 0


def test_pause_and_resume_in_one_breath_is_no_loss() -> None:
    source = Reopened(Opener(Waiting(), Waiting()))
    reader = Reader(source)
    reader.wait_for(1)
    source.pause()
    source.resume()
    reader.wait_for(2)
    source.close()
    reader.join()
    assert source.losses == 0


def test_a_source_may_be_paused_before_it_is_read() -> None:
    states = States()
    opener = Opener(Waiting(), Waiting())
    source = Reopened(opener, on_state=states)
    source.pause()
    assert opener.opened[0].is_closed
    reader = Reader(source)
    states.wait_for(IDLE)
    source.resume()
    reader.wait_for(1)
    source.close()
    reader.join()


def test_resume_ends_the_pause_after_a_loss() -> None:
    states = States()
    source = Reopened(Opener(Camera(1, lost()), Waiting()), on_state=states, pauses=(3600,))
    reader = Reader(source)
    states.wait_for(LOST)
    source.resume()
    reader.wait_for(2)
    source.close()
    reader.join()


@pytest.mark.parametrize("act", [Reopened.close, Reopened.pause])
def test_close_and_pause_wake_the_pause_after_a_loss(act: Callable[[Reopened], None]) -> None:
    states = States()
    source = Reopened(Opener(Camera(1, lost())), on_state=states, pauses=(3600,))
    reader = Reader(source)
    states.wait_for(LOST)
    act(source)
    states.wait_for(ENDED if act is Reopened.close else IDLE)
    source.close()
    reader.join()


def test_a_source_closed_while_it_opens_is_closed_again() -> None:
    opening, go_on = threading.Event(), threading.Event()
    cameras = [Camera(1, lost()), Camera(5)]

    def open_source() -> Camera:
        if len(cameras) == 1:
            opening.set()
            assert go_on.wait(10)
        return cameras.pop(0)

    last = cameras[-1]
    source = Reopened(open_source, pauses=(0,))
    reader = Reader(source)
    assert opening.wait(10)
    source.close()
    go_on.set()
    reader.join()
    assert last.is_closed
    assert len(reader.frames) == 1
    assert source.state is ENDED


def test_a_camera_that_hangs_for_ever_is_left_and_opened_anew() -> None:
    never = threading.Event()

    class Hanging(Camera):
        def __iter__(self) -> Iterator[Frame]:
            yield from islice(super().__iter__(), 1)
            never.wait(60)

        def close(self) -> None:
            self.is_closed = True
            # The driver returns at last, so that the test leaves no thread behind.
            threading.Timer(0.05, never.set).start()

    source = Reopened(Opener(Hanging(), Waiting()), patience=0.2, pauses=(0,))
    reader = Reader(source)
    reader.wait_for(2)
    assert "given no picture for 0.2 s" in str(source.error)
    source.close()
    reader.join()
