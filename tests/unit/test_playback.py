"""Files play like cameras: at their own pace, for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise

import numpy as np
import pytest

from humanseg.closing import Closing
from humanseg.errors import PartialError, SourceError
from humanseg.frames import Frame, StreamInfo
from humanseg.sources.playback import Looped, Paced, describe
from humanseg.testing import ListSource


def pictures(number: int) -> list[np.ndarray]:
    return [np.full((6, 8, 3), index, np.uint8) for index in range(number)]


class Clock:
    """Time that goes on only by waiting, as long as that really takes."""

    def __init__(self, *, late: float = 0.0) -> None:
        self.now = 1000.0
        self.late = late

    def __call__(self) -> float:
        return self.now

    def wait(self, condition: threading.Condition, seconds: float | None = None) -> None:
        assert seconds is not None
        assert seconds > 0
        self.now += seconds + self.late


class Slow(ListSource):
    """Takes so many seconds of a clock for each frame."""

    def __init__(self, clock: Clock, seconds: dict[int, float], number: int) -> None:
        super().__init__(pictures(number), rate=10)
        self.clock, self.seconds = clock, seconds

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self.clock.now += self.seconds.get(frame.index, 0.0)
            yield frame


def test_frames_come_at_their_own_times() -> None:
    clock = Clock()
    paced = Paced(ListSource(pictures(4), rate=10), clock=clock)
    at = [(frame.captured_at, clock.now - 1000, frame.time) for frame in paced]
    assert [now for _, now, _ in at] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert [captured for captured, _, _ in at] == pytest.approx([1000, 1000.1, 1000.2, 1000.3])
    assert [time for _, _, time in at] == [Fraction(index, 10) for index in range(4)]


def test_the_pace_does_not_drift_though_every_sleep_is_late() -> None:
    clock = Clock(late=0.03)
    paced = Paced(ListSource(pictures(200), rate=10), clock=clock)
    for _ in paced:
        pass
    assert clock.now - 1000 == pytest.approx(19.9 + 0.03)


def test_a_short_hold_up_is_made_good() -> None:
    clock = Clock()
    paced = Paced(Slow(clock, {2: 0.45}, 8), clock=clock)
    at = [round(clock.now - 1000, 3) for _ in paced]
    assert at == [0, 0.1, 0.55, 0.55, 0.55, 0.55, 0.6, 0.7]


def test_after_a_long_hold_up_the_pace_starts_anew() -> None:
    clock = Clock()
    paced = Paced(Slow(clock, {2: 3600}, 5), clock=clock)
    at = [round(clock.now - 1000, 3) for _ in paced]
    assert at == pytest.approx([0, 0.1, 3600.1, 3600.2, 3600.3])


def test_a_file_that_starts_late_is_shown_at_once() -> None:
    clock = Clock()

    class Late(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            return (replace(frame, time=frame.time + 500) for frame in super().__iter__())

    list(islice(Paced(Late(pictures(3), rate=10), clock=clock), 3))
    assert clock.now - 1000 == pytest.approx(0.2)


def test_close_wakes_a_long_wait() -> None:
    class OnceAnHour(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            return (replace(frame, time=frame.time * 36000) for frame in super().__iter__())

    source = OnceAnHour(pictures(2), rate=10)
    paced = Paced(source)
    given: list[int] = []
    has_first = threading.Event()

    def read() -> None:
        for frame in paced:
            given.append(frame.index)
            has_first.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert has_first.wait(10)
    paced.close()
    reader.join(10)
    assert not reader.is_alive()
    assert given == [0]
    assert source.is_closed


def test_paced_tells_what_it_paces() -> None:
    paced = Paced(ListSource(pictures(2), rate=10))
    assert paced.info.rate == 10
    assert paced.describe() == describe(paced) == "memory 8x6 10 fps"


def test_loops_go_on_in_time_and_index() -> None:
    opened: list[ListSource] = []

    def open_source() -> ListSource:
        opened.append(ListSource(pictures(3), rate=10))
        return opened[-1]

    with Looped(open_source) as looped:
        frames = list(islice(looped, 8))
    assert [frame.index for frame in frames] == list(range(8))
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert {later.time - earlier.time for earlier, later in pairwise(frames)} == {Fraction(1, 10)}
    assert len(opened) == 3
    assert all(source.is_closed for source in opened)


def test_a_loop_has_no_end() -> None:
    looped = Looped(lambda: ListSource(pictures(3), rate=10))
    assert (looped.info.frame_count, looped.info.duration) == (None, None)
    assert looped.describe() == "memory 8x6 10 fps"


def test_what_a_damaged_file_gives_is_repeated() -> None:
    looped = Looped(lambda: ListSource(pictures(2), error=PartialError("broke off")))
    assert [int(frame.pixels[0, 0, 0]) for frame in islice(looped, 5)] == [0, 1, 0, 1, 0]


def test_a_file_without_frames_is_not_tried_for_ever() -> None:
    class Empty(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            return iter(())

    with pytest.raises(SourceError, match="gives no frames"):
        list(Looped(lambda: Empty(pictures(1))))


def test_a_file_that_is_gone_in_the_second_round() -> None:
    sources = [ListSource(pictures(2))]

    def open_source() -> ListSource:
        if not sources:
            raise SourceError("there is no such file", subject="clip.mp4")
        return sources.pop()

    given = []
    with pytest.raises(SourceError, match="no such file"):
        given.extend(frame.index for frame in Looped(open_source))
    assert given == [0, 1]


def test_a_loop_ends_when_it_is_closed() -> None:
    looped = Looped(lambda: ListSource(pictures(3)))
    given = []
    for frame in looped:
        given.append(frame.index)
        if frame.index == 4:
            looped.close()
            break
    assert list(looped) == []


def test_describe_without_a_rate() -> None:
    class Camera(Closing):
        info = StreamInfo(64, 48, None, None, Fraction(1, 1000), None, "somewhere")

        def __iter__(self) -> Iterator[Frame]:
            return iter(())

    assert describe(Camera()) == "somewhere 64x48"
