"""Which people are kept, and how their edges are shaped."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from humanseg.look.people import PeopleKeeper, feather_edge, grow_edge, shape_mask, shift_threshold

HEIGHT, WIDTH = 72, 128
masks = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=24),
    elements=st.floats(0, 1, width=32),
)
numbers = st.floats(-30, 30)


def person(x: float, radius: float, *, y: float = 40) -> np.ndarray:
    """A round person with a soft edge, three pixels wide."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(columns - x, rows - y)
    return np.clip((radius - distance) / 3 + 0.5, 0, 1).astype(np.float32)


def together(*people: np.ndarray) -> np.ndarray:
    return np.maximum.reduce(people)


LEFT, RIGHT = person(30, 20), person(95, 18)


def kept(keeper: PeopleKeeper, *people: np.ndarray, which: str = "largest", frames: int = 1):
    for _ in range(frames):
        mask = keeper.keep(together(*people), which)
    return mask


def test_everybody_is_kept_at_no_cost():
    mask = together(LEFT, RIGHT)
    assert PeopleKeeper().keep(mask, "all") is mask


def test_one_person_alone_is_untouched():
    for which in ("largest", "centre"):
        assert PeopleKeeper().keep(LEFT, which) is LEFT


def test_nobody_is_untouched():
    haze = np.full((HEIGHT, WIDTH), 0.3, np.float32)
    assert PeopleKeeper().keep(haze, "largest") is haze


def test_the_larger_one_is_kept_with_a_soft_edge():
    np.testing.assert_array_equal(kept(PeopleKeeper(), LEFT, RIGHT), LEFT)


def test_the_one_nearest_the_centre_is_kept_though_smaller():
    middle = person(66, 9)
    mask = kept(PeopleKeeper(), person(22, 20), middle, which="centre")
    np.testing.assert_array_equal(mask, middle)


def test_a_speck_in_the_centre_is_nobody():
    mask = kept(PeopleKeeper(), LEFT, person(64, 3), which="centre")
    assert mask[40, 30] == 1


def test_a_hand_apart_from_its_person_is_theirs_and_one_far_away_is_not():
    hand, far = person(55, 3), person(100, 3)
    mask = kept(PeopleKeeper(), LEFT, hand, far)
    assert mask[40, 55] == 1
    assert mask[40, 100] == 0


@pytest.mark.parametrize("which", ["largest", "centre"])
def test_it_does_not_hop_between_people_of_similar_size(which):
    keeper = PeopleKeeper()
    first = kept(keeper, person(34, 20), person(93, 19), which=which)
    is_left = bool(first[40, 34] == 1)
    for frame in range(60):
        # Both breathe and sway in turns, so that now this one and now that one leads.
        sway = 3 * np.sin(frame / 3)
        mask = kept(
            keeper, person(34 + sway, 20 - sway / 3), person(93 + sway, 20 + sway / 3), which=which
        )
        assert bool(mask[40, 34] == 1) is is_left
        assert bool(mask[40, 93] == 1) is not is_left


def test_it_follows_its_person_across_the_picture():
    keeper = PeopleKeeper()
    still = person(100, 17)
    kept(keeper, person(20, 20), still)
    for x in range(20, 60, 2):
        mask = kept(keeper, person(x, 20 - x / 20), still)
        assert mask[40, x] == 1
        assert mask[40, 100] == 0


def test_it_switches_only_after_another_was_clearly_larger_for_a_while():
    keeper = PeopleKeeper()
    kept(keeper, LEFT, RIGHT)
    nearer = person(92, 27)
    for _ in range(PeopleKeeper.PATIENCE - 1):
        assert kept(keeper, LEFT, nearer)[40, 30] == 1
    np.testing.assert_array_equal(kept(keeper, LEFT, nearer), nearer)


def test_a_short_lead_is_forgotten():
    keeper = PeopleKeeper()
    kept(keeper, LEFT, RIGHT)
    for _ in range(4):
        assert kept(keeper, LEFT, person(92, 27), frames=PeopleKeeper.PATIENCE - 1)[40, 30] == 1
        assert kept(keeper, LEFT, RIGHT)[40, 30] == 1


def test_when_the_kept_one_is_gone_nobody_is_shown_for_a_moment_and_then_the_other():
    keeper = PeopleKeeper()
    kept(keeper, LEFT, RIGHT)
    for _ in range(PeopleKeeper.ABSENCE):
        assert kept(keeper, RIGHT).max() == 0
    kept(keeper, RIGHT)
    np.testing.assert_array_equal(kept(keeper, RIGHT), RIGHT)


def test_a_mask_that_fails_for_a_frame_changes_nothing():
    keeper = PeopleKeeper()
    kept(keeper, LEFT, RIGHT)
    kept(keeper, np.zeros_like(LEFT), frames=3)
    assert kept(keeper, person(30, 18), person(95, 19))[40, 30] == 1


def test_people_who_touch_and_part_again_are_not_mixed_up():
    keeper = PeopleKeeper()
    kept(keeper, person(30, 20), person(95, 19), frames=20)
    for x in (80, 70, 65, 65, 65, 65, 70, 80):
        kept(keeper, person(30, 20), person(x, 20))
    mask = kept(keeper, person(30, 19), person(95, 20))
    assert mask[40, 30] == 1
    assert mask[40, 95] == 0


def test_another_choice_or_size_begins_anew():
    keeper = PeopleKeeper()
    kept(keeper, LEFT, RIGHT)
    assert kept(keeper, LEFT, person(72, 17), which="centre")[40, 72] == 1
    small = cv2.resize(together(LEFT, RIGHT), (64, 36), interpolation=cv2.INTER_AREA)
    assert keeper.keep(small, "centre").shape == (36, 64)


@given(st.lists(arrays(np.float32, (9, 14), elements=st.floats(0, 1, width=32)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_keeping_only_takes_away(frames):
    keeper = PeopleKeeper()
    for number, mask in enumerate(frames):
        before = mask.copy()
        shown = keeper.keep(mask, ("largest", "centre")[number // 6])
        np.testing.assert_array_equal(mask, before)
        assert shown.dtype == np.float32
        assert ((shown == mask) | (shown == 0)).all()


def test_defaults_cost_nothing():
    assert shape_mask(LEFT) is LEFT
    assert shape_mask(LEFT, threshold=0.5, feather=0.0, grow=0.0) is LEFT


@given(masks, st.floats(0.05, 0.95), st.floats(0, 30), numbers)
@settings(max_examples=100, deadline=None)
def test_every_shape_stays_in_range_and_leaves_its_input_alone(mask, threshold, feather, grow):
    before = mask.copy()
    shaped = shape_mask(mask, threshold=threshold, feather=feather, grow=grow)
    np.testing.assert_array_equal(mask, before)
    assert (shaped.shape, shaped.dtype) == (mask.shape, np.float32)
    assert shaped.min() >= 0
    assert shaped.max() <= 1


@given(masks, masks, st.floats(0.05, 0.95), st.floats(0, 30), numbers)
@settings(max_examples=100, deadline=None)
def test_more_people_never_become_fewer(mask, more, threshold, feather, grow):
    more = np.maximum(mask, cv2.resize(more, mask.shape[::-1]).reshape(mask.shape))
    shaped = shape_mask(mask, threshold=threshold, feather=feather, grow=grow)
    assert (
        shape_mask(more, threshold=threshold, feather=feather, grow=grow) >= shaped - 1e-5
    ).all()


@given(masks, numbers, numbers)
@settings(max_examples=100, deadline=None)
def test_a_larger_number_grows_more(mask, one, other):
    less, more = sorted((one, other))
    assert (grow_edge(mask, more) >= grow_edge(mask, less) - 1e-6).all()


@given(masks, st.floats(0.05, 0.95), st.floats(0.05, 0.95))
@settings(max_examples=100, deadline=None)
def test_a_lower_threshold_shows_more(mask, one, other):
    low, high = sorted((one, other))
    assert (shift_threshold(mask, low) >= shift_threshold(mask, high) - 1e-6).all()


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 0.9])
def test_the_threshold_becomes_one_half_and_sure_pixels_stay(threshold):
    mask = np.array([[0, threshold, 1]], np.float32)
    np.testing.assert_allclose(shift_threshold(mask, threshold), [[0, 0.5, 1]], atol=1e-6)


def width_of(alpha: np.ndarray) -> float:
    return float(alpha[40].sum())


@pytest.mark.parametrize("pixels", [-6, -2.5, -1, -0.25, 0.25, 0.5, 1, 1.75, 2, 7, 10.5])
def test_growing_moves_the_edge_by_that_many_pixels_and_keeps_it_soft(pixels):
    grown = grow_edge(LEFT, pixels)
    assert width_of(grown) - width_of(LEFT) == pytest.approx(2 * pixels, rel=0.05, abs=0.1)
    steps = [np.abs(np.diff(alpha[40])).max() for alpha in (LEFT, grown)]
    assert steps[1] == pytest.approx(steps[0], abs=0.02)


def test_growing_goes_the_same_way_in_all_directions():
    dot = np.zeros((61, 61), np.float32)
    dot[30, 30] = 1
    rows, columns = np.nonzero(grow_edge(dot, 20))
    reach = np.hypot(rows - 30, columns - 30)
    assert reach.max() < 23
    assert len(rows) == pytest.approx(np.pi * 20**2, rel=0.12)


@pytest.mark.parametrize("sigma", [0.5, 2, 4, 6, 12, 30])
def test_feather_softens_by_its_spread_and_keeps_the_middle(sigma):
    edge = np.zeros((64, 512), np.float32)
    edge[:, 256:] = 1
    soft = feather_edge(edge, sigma)[32]
    assert soft.sum() == pytest.approx(256, abs=1)
    # The slope of a softened step is the Gaussian itself.
    slope = np.diff(soft)
    places = np.arange(len(slope))
    centre = (slope * places).sum()
    spread = np.sqrt((slope * (places - centre) ** 2).sum())
    assert spread == pytest.approx(sigma, rel=0.1, abs=0.1)
