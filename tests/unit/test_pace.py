"""When frames of a steady stream are due, driven through in exact time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from humanseg.sinks.pace import FASTER, Pace


def play(arrivals: Iterable[float], *, rate: float, until: float) -> list[tuple[float, bool]]:
    """(time, is new) of all that is sent when frames arrive at the given times."""
    pace, sent = Pace(rate, 0.0), []
    waiting, arrivals = None, list(arrivals)
    now = 0.0
    while True:
        if waiting is None and arrivals and arrivals[0] <= min(pace.repeat_at, until):
            waiting = arrivals.pop(0)
            now = max(now, waiting)
        due = pace.repeat_at if waiting is None else pace.new_at
        now = max(now, due)
        while waiting is not None and arrivals and arrivals[0] <= now:
            waiting = arrivals.pop(0)  # the newest wins
        if now > until:
            return sent
        sent.append((now, waiting is not None))
        if waiting is None:
            pace.repeated(now)
        else:
            pace.sent_new(now)
            waiting = None


@pytest.mark.parametrize("rate", [5, 24, 30, 60])
def test_repeats_stand_on_a_grid(rate: int) -> None:
    times = [at for at, _ in play([], rate=rate, until=10)]
    assert len(times) == pytest.approx(10 * rate, abs=1)
    assert np.diff(times) == pytest.approx(1 / rate)


@pytest.mark.parametrize("jitter", [0.0, 0.2, 0.4])
def test_new_frames_at_the_rate_pass_at_once_and_nothing_is_repeated(jitter: float) -> None:
    moves = np.random.default_rng(1).uniform(-jitter / 2, jitter / 2, 300)
    arrivals = [(index + 1 + move) / 30 for index, move in enumerate(moves)]
    sent = play(arrivals, rate=30, until=10)
    new = [at for at, is_new in sent if is_new]
    # One repeat may come before the first frame.
    late = np.asarray(new) - arrivals[: len(new)]
    assert len(new) == pytest.approx(300, abs=2)
    assert late[5:].max() < 0.001
    assert sum(not is_new for _, is_new in sent) <= 2


@pytest.mark.parametrize("source", [1, 5, 10, 15])
def test_a_slow_source_is_filled_up(source: int) -> None:
    arrivals = np.arange(1, 20 * source) / source
    sent = play(arrivals, rate=30, until=20)
    assert len(sent) == pytest.approx(600, rel=0.06)
    assert sum(is_new for _, is_new in sent) == pytest.approx(len(arrivals), abs=1)


@pytest.mark.parametrize("source", [20, 24, 25, 29, 31, 33])
def test_a_source_near_the_rate_waits_less_than_half_a_period(source: int) -> None:
    arrivals = list(np.arange(1, 20 * source) / source)
    sent = play(arrivals, rate=30, until=20)
    new = [at for at, is_new in sent if is_new]
    assert len(new) == pytest.approx(len(arrivals), abs=2)
    waits = np.asarray(new) - arrivals[: len(new)]
    assert waits.min() >= -1e-9
    assert waits.max() <= 0.5 / 30 + 1e-9
    assert np.diff([at for at, _ in sent]).min() >= (1 / FASTER - 0.5) / 30 - 1e-9
    assert np.diff([at for at, _ in sent]).max() <= 1.5 / 30 + 1e-9


@pytest.mark.parametrize("source", [60, 120, 1000])
def test_a_fast_source_is_held_to_little_more_than_the_rate(source: int) -> None:
    sent = play(np.arange(1, 10 * source) / source, rate=30, until=10)
    assert len(sent) <= 10 * 30 * FASTER + 2
    assert len(sent) >= 10 * 30


def test_deadlines_that_were_missed_are_left_out() -> None:
    pace = Pace(30, 0.0)
    pace.repeated(0.0)
    pace.repeated(2.0)
    assert 2.0 < pace.repeat_at <= 2.0 + 1.5 / 30


def test_resume_begins_at_once() -> None:
    pace = Pace(30, 0.0)
    pace.sent_new(0.0)
    pace.resume(100.0)
    assert pace.repeat_at == 100.0
