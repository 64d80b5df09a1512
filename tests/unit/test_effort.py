import itertools

import pytest

from humanseg.live.effort import LONGEST_PATIENCE, PATIENCE, WINDOW, Effort, Step


class Load:
    """A machine on which each step keeps so many cores busy and misses so many frames."""

    def __init__(self, effort, cores=(), lags=()):
        self.effort, self.cores, self.lags = effort, dict(cores), dict(lags)
        self.now = self.used = 0.0
        self.received = self.missed = 0
        effort.observe(0, 0, 0, 0)

    def window(self):
        """Let the seconds of a window pass in tenths, as the session does."""
        changed = False
        for _ in range(round(10 * WINDOW) + 1):
            self.now += 0.1
            self.used += 0.1 * self.cores.get(self.effort.step, 0.1)
            self.received += 30
            self.missed += round(30 * self.lags.get(self.effort.step, 0))
            changed |= self.effort.observe(self.now, self.used, self.received, self.missed)
        return changed

    def windows(self, count):
        return [self.effort.step for _ in range(count) if self.window() or True]


FULL, HALF = Step("balanced"), Step("balanced", 2)
FAST, FAST_HALF = Step("fast"), Step("fast", 2)


def test_without_a_limit_a_busy_processor_changes_nothing():
    load = Load(Effort("balanced"), cores={FULL: 1.9})
    assert set(load.windows(20)) == {FULL}
    assert load.effort.warning is None


def test_over_the_limit_it_steps_down_until_it_fits_and_says_so():
    cores = {FULL: 1.6, HALF: 1.0, FAST: 0.45}
    load = Load(Effort("balanced", 0.5), cores=cores)
    steps = load.windows(6)
    assert steps[-1] == FAST
    assert [step for step in (HALF, FAST, FAST_HALF) if step in steps] == [HALF, FAST]
    assert "the limit is 50%" in load.effort.warning
    assert FAST.about in load.effort.warning


def test_with_less_than_nothing_to_take_away_it_says_that_the_limit_cannot_be_kept():
    load = Load(Effort("fast", 0.1), cores={FAST: 0.5, FAST_HALF: 0.4})
    assert load.windows(6)[-1] == FAST_HALF
    assert "even with" in load.effort.warning
    told = load.effort.warning
    load.cores[FAST_HALF] = 0.41
    load.windows(3)
    assert load.effort.warning == told


def test_it_steps_up_again_only_after_a_while_with_room():
    cores = {FULL: 1.0, HALF: 0.5}
    load = Load(Effort("balanced", 0.9), cores=cores)
    assert load.windows(2)[-1] == HALF
    load.cores[FULL] = 0.6
    steps = load.windows(PATIENCE + 3)
    assert steps[: PATIENCE - 2] == [HALF] * (PATIENCE - 2)
    assert steps[-1] == FULL
    assert load.effort.warning is None


def test_between_room_and_limit_it_stays_where_it_is():
    load = Load(Effort("balanced", 1.0), cores={FULL: 1.2, HALF: 0.8})
    assert set(load.windows(4 * PATIENCE)[1:]) == {HALF}


def test_a_step_up_that_proves_too_much_is_tried_less_and_less_often():
    load = Load(Effort("balanced", 1.0), cores={FULL: 1.5, HALF: 0.2})
    steps = load.windows(30 * LONGEST_PATIENCE)
    rises = [at for at in range(1, len(steps)) if steps[at - 1] == HALF and steps[at] == FULL]
    waits = [later - earlier for earlier, later in itertools.pairwise(rises)]
    assert waits[:3] == sorted(waits[:3])
    assert waits[0] < 4 * PATIENCE
    assert waits[-1] >= LONGEST_PATIENCE


def test_networks_that_cannot_keep_up_get_less_to_do_without_any_limit():
    load = Load(Effort("balanced"), lags={FULL: 0.4})
    assert load.windows(3)[-1] == HALF
    assert "could not keep up" in load.effort.warning


def test_one_hiccup_is_no_reason_to_do_less():
    load = Load(Effort("balanced"), lags={FULL: 0.5})
    load.window()
    load.lags[FULL] = 0.0
    assert set(load.windows(5)) == {FULL}


def test_a_few_missed_frames_are_nothing():
    load = Load(Effort("balanced"), lags={FULL: 0.05})
    assert set(load.windows(10)) == {FULL}


def test_a_camera_that_gives_nothing_is_not_a_lag():
    effort = Effort("balanced")
    assert not any(effort.observe(second, 0.0, 30, 10) for second in range(20))


def test_another_preset_begins_anew():
    load = Load(Effort("balanced", 0.5), cores={FULL: 1.6, HALF: 1.0})
    load.windows(1)
    load.effort.restart("fast")
    assert load.effort.step == FAST
    assert load.effort.warning is None


@pytest.mark.parametrize("preset", ["balanced", "best"])
def test_the_last_resort_is_the_fast_preset(preset):
    load = Load(Effort(preset, 0.01), cores={})
    assert load.windows(9)[-1] == FAST_HALF
