import numpy as np
import pytest

from humanseg.metrics import boundary_f, contour, dice, iou, temporal_error


def square(begin, end, size=40):
    mask = np.zeros((size, size), bool)
    mask[begin:end, begin:end] = True
    return mask


EMPTY, FULL = np.zeros((8, 8), bool), np.ones((8, 8), bool)


@pytest.mark.parametrize("score", [dice, iou, boundary_f])
def test_equal_masks_score_one(score):
    assert score(square(5, 20), square(5, 20)) == 1.0
    assert score(EMPTY, EMPTY) == 1.0
    assert score(FULL, FULL) == 1.0


@pytest.mark.parametrize("score", [dice, iou])
def test_people_seen_where_there_are_none_score_zero(score):
    assert score(FULL, EMPTY) == 0.0
    assert score(EMPTY, FULL) == 0.0


def test_known_overlap():
    left, right = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    left[:, :2] = True
    right[:, 1:3] = True
    assert dice(left, right) == pytest.approx(0.5)
    assert iou(left, right) == pytest.approx(4 / 12)


def test_boundary_within_the_tolerance_counts():
    assert boundary_f(square(8, 30), square(10, 28), tolerance=3) == 1.0
    assert boundary_f(square(4, 34), square(10, 28), tolerance=3) < 0.2
    assert boundary_f(EMPTY, square(2, 5, 8)) == 0.0


def test_the_frames_edge_is_no_contour():
    assert not contour(FULL).any()
    half = np.zeros((6, 6), bool)
    half[:, :3] = True
    assert contour(half).sum() == 6


@pytest.mark.parametrize("score", [dice, iou, boundary_f])
def test_shapes_must_agree(score):
    with pytest.raises(ValueError, match="cannot be compared"):
        score(EMPTY, square(1, 2))


def test_an_error_that_stands_still_is_no_temporal_error():
    truth = square(5, 20).astype(np.float32)
    moved = square(6, 21).astype(np.float32)
    wrong = np.clip(truth + 0.3, 0, 1)
    assert temporal_error(wrong, wrong, truth, truth) == 0.0
    assert temporal_error(truth, moved, truth, moved) == 0.0


def test_temporal_error_of_a_known_flicker():
    still = np.zeros((10, 10), np.float32)
    flicker = still.copy()
    flicker[0, 0] = 1
    assert temporal_error(still, flicker, still, still) == pytest.approx(10)
    assert temporal_error(still, still, still, flicker) == pytest.approx(10)
    assert temporal_error(still, np.ones_like(still), np.ones_like(still), still) == 200


def test_temporal_error_wants_one_shape():
    small, large = np.zeros((4, 4), np.float32), np.zeros((4, 5), np.float32)
    with pytest.raises(ValueError, match="cannot be compared"):
        temporal_error(small, small, small, large)
