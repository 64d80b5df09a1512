import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humanseg.refine import RefineOptions, Refiner, remove_specks, shape_alpha, soft_erode

RANDOM = np.random.default_rng(1)


def body(height=60, width=80):
    mask = np.zeros((height, width), np.float32)
    mask[20:, 25:55] = 1
    return mask


def test_specks_go_and_the_body_stays():
    mask = body()
    mask[4:6, 4:6] = 0.9
    cleaned = remove_specks(mask, 0.03)
    assert cleaned[4:6, 4:6].max() == 0
    np.testing.assert_array_equal(cleaned[20:, 25:55], 1)


def test_haze_on_its_own_goes_and_haze_on_the_body_stays():
    mask = body()
    mask[10:18, 5:12] = 0.4
    mask[16:20, 25:55] = 0.3
    cleaned = remove_specks(mask, 0.03)
    assert cleaned[10:18, 5:12].max() == 0
    np.testing.assert_array_equal(cleaned[16:20, 25:55], np.float32(0.3))


def test_a_part_too_small_for_a_person_is_nobody():
    mask = np.zeros((60, 80), np.float32)
    mask[30:32, 40:42] = 1
    assert remove_specks(mask, 0.03, 0.001).max() == 0
    np.testing.assert_array_equal(remove_specks(mask, 0.03, 0.0005), mask)


def test_haze_alone_is_nobody():
    assert remove_specks(np.full((60, 80), 0.45, np.float32), 0.03).max() == 0


def test_small_holes_are_filled_and_large_ones_are_not():
    mask = body()
    mask[40:42, 40:42] = 0.3
    mask[50:52, 40:42] = 0.02
    mask[30:45, 28:36] = 0.1
    cleaned = remove_specks(mask, 0.03)
    assert cleaned[40:42, 40:42].min() == 1
    assert cleaned[50:52, 40:42].max() < 0.1
    assert cleaned[32:40, 30:34].max() < 0.2


def test_a_second_person_is_no_speck():
    mask = body()
    mask[30:50, 2:12] = 1
    np.testing.assert_array_equal(remove_specks(mask, 0.03), mask)


def test_a_part_that_is_nowhere_sure_goes_and_the_largest_stays_whatever_it_is():
    mask = 0.7 * body()
    mask[30:50, 2:12] = 0.75
    mask[25:35, 62:75] = 0.6
    mask[30, 65] = 0.85
    cleaned = remove_specks(mask, 0.03, doubt=0.8)
    assert cleaned[:, :14].max() == 0
    np.testing.assert_array_equal(cleaned[:, 14:], mask[:, 14:])
    np.testing.assert_array_equal(remove_specks(mask, 0.03), mask)


def test_an_empty_mask_stays_empty():
    empty = np.zeros((30, 40), np.float32)
    pixels = RANDOM.integers(0, 255, (90, 120, 3), np.uint8)
    assert Refiner().refine(pixels, empty).max() == 0


def test_soft_erosion_draws_the_edge_in_by_one_pixel():
    mask = body()
    assert soft_erode(mask, 0) is mask
    assert soft_erode(mask, 1).sum() < soft_erode(mask, 0.5).sum() < mask.sum()
    np.testing.assert_array_equal(soft_erode(mask, 1)[21:59, 26:54], 1)


@given(st.floats(0, 0.45), st.floats(0.55, 1))
@settings(max_examples=30)
def test_shaping_is_monotonic_and_reaches_both_ends(low, high):
    ramp = np.linspace(0, 1, 101, dtype=np.float32)[None]
    shaped = shape_alpha(ramp, low, high)[0]
    assert shaped[0] == 0
    assert shaped[-1] == 1
    assert (np.diff(shaped) >= -1e-6).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (271, 483), (720, 1280), (1443, 2561)])
def test_alpha_has_the_frames_size_and_range(size):
    pixels = RANDOM.integers(0, 255, (*size, 3), np.uint8)
    alpha = Refiner(RefineOptions(erosion=0.5)).refine(pixels, RANDOM.random((36, 64), np.float32))
    assert alpha.shape == size
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1


def test_sure_inside_and_outside_are_exact():
    pixels = RANDOM.integers(0, 255, (480, 640, 3), np.uint8)
    alpha = Refiner().refine(pixels, body())
    assert (alpha[240:, 260:380] == 1).all()
    assert (alpha[:100] == 0).all()
