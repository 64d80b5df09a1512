"""Whoever is slow gets the newest frame; a source that hangs is noticed and does not hold us up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from humanseg.errors import SourceLost
from humanseg.frames import Frame
from humanseg.sources.newest import READER_PATIENCE, NewestFrame
from humanseg.testing import ListSource


class Stepped(ListSource):
    """Gives a frame each time it is told to; `close` ends it."""

    def __init__(self, number: int = 100, error: Exception | None = None) -> None:
        pictures = [np.full((4, 4, 3), index, np.uint8) for index in range(number)]
        super().__init__(pictures, error=error)
        self.steps = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self.asked.release()
            self.steps.acquire()
            if self.is_closed:
                return
            yield frame
        self.asked.release()

    def step(self, number: int = 1) -> None:
        """Give so many frames, and wait until they were taken over."""
        for _ in range(number):
            self.asked.acquire()
            self.steps.release()
        self.asked.acquire()
        self.asked.release()

    def close(self) -> None:
        super().close()
        self.steps.release()


def read_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "humanseg-read"]


def test_the_newest_frame_wins_and_the_others_are_counted() -> None:
    source = Stepped()
    with NewestFrame(source) as newest:
        source.step(5)
        frame = newest.take(10)
        assert frame is not None
        assert frame.index == 4
        assert (newest.received, newest.dropped) == (5, 4)
        source.step()
        frame = newest.take(10)
        assert frame is not None
        assert frame.index == 5
        assert newest.dropped == 4
    assert read_threads() == []
    assert source.is_closed


def test_no_frame_is_given_twice() -> None:
    source = Stepped()
    with NewestFrame(source) as newest:
        source.step()
        assert newest.take(10) is not None
        assert newest.take(0) is None
        assert not newest.ended


def test_frames_are_read_only() -> None:
    source = Stepped(1)
    with NewestFrame(source) as newest:
        source.step()
        frame = newest.take(10)
        assert frame is not None
        assert not frame.pixels.flags.writeable


def test_the_end_comes_after_the_last_frame() -> None:
    with NewestFrame(ListSource([np.zeros((4, 4, 3), np.uint8)])) as newest:
        newest._thread.join(10)
        assert not newest.ended
        assert newest.take(10) is not None
        assert newest.ended
        assert newest.take(10) is None


def test_an_error_comes_after_the_last_frame() -> None:
    error = SourceLost("was unplugged")
    with NewestFrame(ListSource([np.zeros((4, 4, 3), np.uint8)], error=error)) as newest:
        newest._thread.join(10)
        assert newest.take(10) is not None
        assert not newest.ended
        with pytest.raises(SourceLost) as caught:
            newest.take(10)
        assert caught.value is error
        assert newest.ended


def test_take_waits_for_a_frame_and_close_wakes_it() -> None:
    source = Stepped()
    newest = NewestFrame(source)
    taken: list[Frame | None] = []
    taker = threading.Thread(target=lambda: taken.append(newest.take()))
    taker.start()
    newest.close()
    taker.join(10)
    assert taken == [None]
    assert newest.ended


def test_the_age_grows_while_a_source_hangs() -> None:
    now = [10.0]
    source = Stepped()
    with NewestFrame(source, clock=lambda: now[0]) as newest:
        now[0] = 12.5
        assert newest.age() == 2.5
        source.step()
        assert newest.age() == 0
        now[0] = 20.0
        assert newest.age() == 7.5


def test_a_source_that_hangs_in_a_driver_is_left_after_two_seconds() -> None:
    go_on = threading.Event()

    class Hanging(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            go_on.wait(60)

        def close(self) -> None:
            self.is_closed = True

    newest = NewestFrame(Hanging([np.zeros((4, 4, 3), np.uint8)]))
    assert newest.take(10) is not None
    began = time.monotonic()
    newest.close()
    # No more than a slow machine adds to the two seconds; the read itself would hang for a minute.
    assert time.monotonic() - began < READER_PATIENCE + 20
    assert newest.ended
    [thread] = read_threads()
    assert thread.daemon
    go_on.set()
    thread.join(10)
    assert read_threads() == []


def test_close_may_be_called_twice_and_forgets_what_was_not_taken() -> None:
    newest = NewestFrame(ListSource([np.zeros((4, 4, 3), np.uint8)], error=SourceLost("gone")))
    newest._thread.join(10)
    newest.close()
    newest.close()
    assert newest.take(0) is None
    assert newest.ended
