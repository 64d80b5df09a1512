import numpy as np

from humanseg.motion import Motion
from humanseg.parts import PartOptions, SteadyParts

STILL = Motion(
    np.dstack(np.meshgrid(np.arange(100), np.arange(80))).astype(np.float32),
    np.ones((80, 100), np.float32),
    1.0,
)
OPTIONS = PartOptions(appear=0.05, vanish=0.03)


def person(area_beside=0, hole=0, sure=0.3):
    """A mask with a body of 2,000 pixels, a part beside it, and a hole in it."""
    mask = np.zeros((80, 100), np.float32)
    mask[20:70, 20:60] = 1
    if area_beside:
        mask[10:20, 70 : 70 + area_beside // 10] = 1
    if hole:
        mask[30:40, 30 : 30 + hole // 10] = sure
    return mask


def shown(parts, masks):
    """Areas beside the body that are shown, for masks one after the other."""
    back, areas = None, []
    for mask in masks:
        areas.append(int((parts.update(mask, back)[:, 62:] > 0.5).sum()))
        back = STILL
    return areas


def test_a_part_between_the_limits_stays_only_if_it_was_there():
    between = person(80)
    assert shown(SteadyParts(OPTIONS), [person(), between, between]) == [0, 0, 0]
    assert shown(SteadyParts(OPTIONS), [person(120), between, between]) == [120, 80, 80]
    assert shown(SteadyParts(OPTIONS), [person(120), person(40), between]) == [120, 0, 0]


def test_at_the_beginning_the_lower_limit_holds():
    assert shown(SteadyParts(OPTIONS), [person(80)]) == [80]
    assert shown(SteadyParts(OPTIONS), [person(40)]) == [0]


def doubtful(probability):
    """A part beside the body, large enough, that the networks are so sure of."""
    mask = person(300)
    mask[:, 62:] *= probability
    return mask


def test_a_part_is_shown_while_the_networks_are_sure_of_it_somewhere():
    seen = [doubtful(0.85), doubtful(0.7), doubtful(0.85)]
    assert shown(SteadyParts(OPTIONS), [person(), *seen]) == [0, 300, 0, 300]


def test_the_only_part_stays_however_unsure_it_is():
    mask = 0.6 * person()
    np.testing.assert_array_equal(SteadyParts(OPTIONS).update(mask, None), mask)


def test_a_part_goes_with_the_haze_around_it():
    mask = person(40)
    mask[9, 70:75] = 0.3
    assert SteadyParts(OPTIONS).update(mask, None)[:, 62:].max() == 0


def test_holes_are_filled_with_the_same_hysteresis():
    parts = SteadyParts(OPTIONS)
    assert parts.update(person(hole=120), None)[35, 32] < 0.5
    assert parts.update(person(hole=80), STILL)[35, 32] < 0.5
    assert parts.update(person(hole=40), STILL)[35, 32] == 1
    assert parts.update(person(hole=80), STILL)[35, 32] == 1
    assert parts.update(person(hole=120), STILL)[35, 32] < 0.5


def test_gaps_that_are_sure_stay_open():
    assert SteadyParts(OPTIONS).update(person(hole=40, sure=0.0), None)[35, 32] == 0


def test_nothing_to_do_changes_nothing():
    for mask in (person(), person(500), np.zeros((80, 100), np.float32)):
        np.testing.assert_array_equal(SteadyParts(OPTIONS).update(mask, None), mask)


def test_a_hand_that_hangs_on_by_one_pixel_stays():
    mask = person(40)
    mask[21, 60:72] = mask[20, 71] = 1
    assert shown(SteadyParts(OPTIONS), [person(), mask]) == [0, 40 + 11]
