from fractions import Fraction

import cv2
import numpy as np
import pytest

from humanseg.frames import Frame
from humanseg.motion import MaskFollower


def frame(pixels, index=0):
    return Frame(np.ascontiguousarray(pixels), index, Fraction(index, 30))


@pytest.fixture
def scene():
    """(360, 800, 3) soft noise that the camera pans over, and where a person stands in it."""
    noise = np.random.default_rng(3).integers(0, 255, (360, 800, 3)).astype(np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 8)
    return cv2.normalize(soft, None, 0, 255, cv2.NORM_MINMAX)


def mask_at(left):
    mask = np.zeros((128, 224), np.float32)
    mask[30:100, left : left + 60] = 1
    return mask


def test_the_mask_moves_with_the_picture(scene):
    follower = MaskFollower()
    follower.remember(frame(scene[:, :640]), mask_at(100))
    for index in range(1, 5):
        moved = follower.follow(frame(scene[:, 8 * index : 640 + 8 * index], index))
    expected = mask_at(100 - round(4 * 8 * 224 / 640))
    overlap = np.minimum(moved, expected).sum() / np.maximum(moved, expected).sum()
    unmoved = np.minimum(mask_at(100), expected).sum() / np.maximum(mask_at(100), expected).sum()
    assert overlap > 0.95 > 0.75 > unmoved
    assert moved.dtype == np.float32
    assert moved.min() >= 0
    assert moved.max() <= 1


def test_a_still_picture_keeps_its_mask(scene):
    follower = MaskFollower()
    follower.remember(frame(scene[:, :640]), mask_at(50))
    assert np.allclose(follower.follow(frame(scene[:, :640], 1)), mask_at(50), atol=1e-3)


def test_without_a_mask_or_with_another_size_there_is_nothing_to_follow(scene):
    follower = MaskFollower()
    assert follower.follow(frame(scene)) is None
    follower.remember(frame(scene), mask_at(50))
    assert follower.follow(frame(scene[:180])) is None
    assert follower.follow(frame(scene)) is not None
    follower.reset()
    assert follower.follow(frame(scene)) is None


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16, 300), (33, 32), (271, 483)])
def test_masks_of_any_size_can_be_followed(size):
    follower = MaskFollower()
    picture = np.zeros((*size, 3), np.uint8)
    follower.remember(frame(picture), np.ones(size, np.float32))
    assert follower.follow(frame(picture, 1)).shape == size


def test_the_mask_that_was_remembered_is_not_changed(scene):
    follower, mask = MaskFollower(), mask_at(90)
    follower.remember(frame(scene[:, :640]), mask)
    follower.follow(frame(scene[:, 40:680], 1))
    assert np.array_equal(mask, mask_at(90))


def test_after_a_cut_there_is_nothing_to_follow(scene):
    follower = MaskFollower()
    follower.remember(frame(scene[:, :640]), mask_at(100))
    assert follower.follow(frame(255 - scene[::-1, :640], 1)) is None
    assert follower.follow(frame(scene[:, :640], 2)) is None
