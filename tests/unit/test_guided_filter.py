import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humanseg.guided_filter import guided_upsample, guided_upsample_colour
from humanseg.pixels import resize

RANDOM = np.random.default_rng(0)


@given(st.floats(0, 1, width=32), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_a_constant_stays_that_constant(value, radius):
    mask = np.full((9, 12), value, np.float32)
    guide = RANDOM.random((27, 36), np.float32)
    result = guided_upsample(mask, guide, radius=radius, epsilon=1e-3)
    np.testing.assert_allclose(result, value, atol=1e-4)


def test_the_edge_of_the_mask_moves_to_the_edge_of_the_picture():
    guide = np.zeros((64, 64), np.float32)
    guide[:, 30:] = 1
    rough = np.zeros((16, 16), np.float32)
    rough[:, 8:] = 1
    refined = guided_upsample(rough, guide, radius=2, epsilon=1e-4)
    assert np.abs(refined[:, 30:] - 1).mean() < 0.1
    bilinear_step = np.abs(np.diff(refined[32])).argmax()
    assert bilinear_step == 29


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (270, 480), (271, 483)])
def test_any_size_works_and_stays_in_range(size):
    mask = RANDOM.random((1, 1) if size == (1, 1) else (3, 4), np.float32)
    result = guided_upsample(mask, RANDOM.random(size, np.float32), radius=2, epsilon=1e-3)
    assert result.shape == size
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1


def test_a_smaller_guide_is_refused():
    with pytest.raises(ValueError, match="smaller"):
        guided_upsample(
            np.zeros((9, 9), np.float32), np.zeros((8, 20), np.float32), radius=1, epsilon=1
        )


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_constant_stays_whatever_the_colours(value):
    guide = [RANDOM.integers(0, 255, (61, 83), np.uint8) for _ in range(3)]
    found = guided_upsample_colour(
        np.full((20, 28), value, np.float32), guide, radius=2, epsilon=1e-3
    )
    np.testing.assert_allclose(found, value, atol=1e-4)


def test_edges_between_colours_of_equal_luma_are_followed():
    red = np.zeros((96, 128), np.uint8)
    red[:, 70:] = 128
    green, blue = 128 - red, np.zeros_like(red)
    mask = resize((np.arange(128) >= 66).astype(np.float32)[None].repeat(96, axis=0), 24, 32)
    found = guided_upsample_colour(mask, [blue, green, red], radius=2, epsilon=3e-4)
    plain = guided_upsample(mask, (red + green) / np.float32(255), radius=2, epsilon=3e-4)
    true = np.arange(128) >= 70
    assert np.abs(found[48] - true).mean() < 0.7 * np.abs(plain[48] - true).mean()


def test_a_coloured_guide_smaller_than_the_mask_is_refused():
    with pytest.raises(ValueError, match="smaller than the mask"):
        guided_upsample_colour(
            np.zeros((9, 9), np.float32), 3 * [np.zeros((9, 8), np.uint8)], radius=1, epsilon=1e-3
        )


def test_what_is_sure_is_not_worked_on():
    mask = np.zeros((24, 32), np.float32)
    mask[:, 16:] = 1
    mask[:, 15] = 0.5
    guide = [RANDOM.integers(0, 255, (96, 128), np.uint8) for _ in range(3)]
    found = guided_upsample_colour(mask, guide, radius=2, epsilon=1e-3)
    plain = resize(mask, 96, 128)
    np.testing.assert_array_equal(found[:, :50], plain[:, :50])
    np.testing.assert_array_equal(found[:, 74:], plain[:, 74:])
    assert np.abs(found[:, 56:68] - plain[:, 56:68]).max() > 0.1


def test_a_part_of_the_picture_is_filtered_as_the_whole_is():
    mask = np.zeros((40, 60), np.float32)
    mask[15:22, 20:31] = RANDOM.random((7, 11), np.float32)
    guide = [RANDOM.integers(0, 255, (120, 180), np.uint8) for _ in range(3)]
    part = guided_upsample_colour(mask, guide, radius=2, epsilon=1e-3)
    # A little doubt far away makes the filter look at everything.
    mask[0, 0] = mask[-1, -1] = 0.03
    whole = guided_upsample_colour(mask, guide, radius=2, epsilon=1e-3)
    np.testing.assert_allclose(part[30:80, 40:110], whole[30:80, 40:110], atol=1e-4)
