"""The doubles of time and of a virtual camera, which tests of this package and others stand on."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from humanseg.testing import FakeClock, RecordingCamera


class Ticker:
    """A thread that notes the time once a period, and whenever it is nudged."""

    def __init__(self, clock: FakeClock, period: float | None) -> None:
        self.times: list[float] = []
        self.is_over = False
        self._clock, self._period = clock, period
        self._changed = threading.Condition()
        self._nudges = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def nudge(self) -> None:
        with self._changed:
            self._nudges += 1
            self._changed.notify()

    def close(self) -> None:
        self.is_over = True
        self.nudge()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        due = None if self._period is None else self._clock() + self._period
        while not self.is_over:
            with self._changed:
                now = self._clock()
                if self._nudges == 0 and (due is None or now < due):
                    self._clock.wait(self._changed, None if due is None else due - now)
                    continue
                self._nudges = 0
            self.times.append(now)
            due = None if self._period is None else now + self._period


def test_time_stands_still_until_it_is_told_to_pass() -> None:
    clock = FakeClock(5)
    ticker = Ticker(clock, 1.0)
    clock.settle()
    assert (clock(), ticker.times) == (5, [])
    clock.advance(3600)
    assert clock() == 3605
    assert ticker.times == [5 + second for second in range(1, 3601)]
    ticker.close()


def test_a_part_of_a_period_wakes_nobody() -> None:
    clock = FakeClock(0)
    ticker = Ticker(clock, 1.0)
    for _ in range(7):
        clock.advance(0.3)
    assert ticker.times == [1, 2]
    ticker.close()


def test_notifying_wakes_at_once_and_costs_no_time() -> None:
    clock = FakeClock(0)
    ticker = Ticker(clock, None)
    clock.advance(100)
    ticker.nudge()
    clock.settle()
    assert ticker.times == [100]
    ticker.close()


def test_skipping_is_seen_with_the_next_waking() -> None:
    clock = FakeClock(0)
    ticker = Ticker(clock, 1.0)
    clock.settle()
    clock.skip(10)
    assert clock() == 10
    clock.settle()
    assert ticker.times == [10]
    ticker.close()


def test_several_threads() -> None:
    clock = FakeClock(0, waiters=2)
    tickers = [Ticker(clock, 1.0), Ticker(clock, 2.5)]
    for _ in range(100):
        clock.advance(0.1)
    assert len(tickers[0].times) in (9, 10)
    assert len(tickers[1].times) in (3, 4)
    for ticker in tickers:
        ticker.close()


def test_a_thread_that_never_waits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeClock, "PATIENCE", 0.05)
    with pytest.raises(TimeoutError, match="does not come back"):
        FakeClock().advance(1)


def test_a_recording_camera_is_gone_from_pyvirtualcam_once_closed() -> None:
    pyvirtualcam = pytest.importorskip("pyvirtualcam")
    with RecordingCamera("one of ours", keep=2) as recording:
        with pyvirtualcam.Camera(4, 2, 30, backend="one of ours") as camera:
            assert camera.device == "memory"
            for value in range(5):
                camera.send(np.full((2, 4, 3), value, np.uint8))
        assert not recording.is_open
    assert recording.count == 5
    assert [int(kept[0, 0, 0]) for kept in recording.frames] == [3, 4]
    assert list(recording.times) == []
    assert "one of ours" not in pyvirtualcam.camera.BACKENDS


@pytest.mark.parametrize(
    ("wanted", "words"), [("another", "another does not exist"), ("memory", "memory is already")]
)
def test_a_recording_camera_refuses_as_real_ones_do(wanted: str, words: str) -> None:
    pyvirtualcam = pytest.importorskip("pyvirtualcam")
    with (
        RecordingCamera(),
        pyvirtualcam.Camera(4, 2, 30, backend="recording"),
        pytest.raises(RuntimeError, match=words),
    ):
        pyvirtualcam.Camera(4, 2, 30, backend="recording", device=wanted)
