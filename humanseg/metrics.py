"""Scores of a mask against the truth: Dice, IoU, boundary F, temporal error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Alpha

    BoolMask = NDArray[np.bool_]

BOUNDARY_TOLERANCE = 3
"""Pixels a contour may be off, on a picture whose longer side is 320 pixels."""


def _same_shape(prediction: NDArray[Any], truth: NDArray[Any]) -> None:
    if prediction.shape != truth.shape:
        raise ValueError(f"a mask of {prediction.shape} cannot be compared with {truth.shape}")


def dice(prediction: BoolMask, truth: BoolMask) -> float:
    """Dice of one picture, 2|A&B| / (|A| + |B|); 1 when both are empty.

    Args:
        prediction: (H, W), bool.
        truth: (H, W), bool.

    Raises:
        ValueError: the shapes differ.
    """
    _same_shape(prediction, truth)
    total = int(prediction.sum()) + int(truth.sum())
    return 2.0 * int((prediction & truth).sum()) / total if total else 1.0


def iou(prediction: BoolMask, truth: BoolMask) -> float:
    """Intersection over union of one picture; 1 when both are empty.

    Args:
        prediction: (H, W), bool.
        truth: (H, W), bool.

    Raises:
        ValueError: the shapes differ.
    """
    _same_shape(prediction, truth)
    union = int((prediction | truth).sum())
    return int((prediction & truth).sum()) / union if union else 1.0


def contour(mask: BoolMask) -> BoolMask:
    """Pixels of a mask that touch the outside of it (4-neighbours); (H, W), bool.

    The frame's edge is no contour: a person who leaves the picture has no outline there.
    """
    inside = mask.astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    eroded = cv2.erode(inside, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(inside != eroded)


def boundary_f(
    prediction: BoolMask, truth: BoolMask, *, tolerance: int = BOUNDARY_TOLERANCE
) -> float:
    """F-measure of the contours, each pixel counted right within `tolerance` pixels of the other.

    Args:
        prediction: (H, W), bool.
        truth: (H, W), bool.
        tolerance: pixels at the size given.

    Raises:
        ValueError: the shapes differ.

    Source: Perazzi et al., "A Benchmark Dataset for Video Object Segmentation", CVPR 2016.
    """
    _same_shape(prediction, truth)
    predicted, true = contour(prediction), contour(truth)
    if not predicted.any() or not true.any():
        return float(predicted.any() == true.any())
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance + 1, 2 * tolerance + 1))
    near_true = cv2.dilate(true.astype(np.uint8), disk) > 0
    near_predicted = cv2.dilate(predicted.astype(np.uint8), disk) > 0
    precision = float((predicted & near_true).sum()) / float(predicted.sum())
    recall = float((true & near_predicted).sum()) / float(true.sum())
    total = precision + recall
    return 2.0 * precision * recall / total if total else 0.0


def temporal_error(last_alpha: Alpha, alpha: Alpha, last_truth: Alpha, truth: Alpha) -> float:
    """How much an alpha changes otherwise than the truth does, from one frame to the next: dt.

    Args:
        last_alpha: (H, W) float32, 0..1, of the frame before.
        alpha: (H, W) float32, 0..1.
        last_truth: (H, W) float32, 0..1, of the frame before.
        truth: (H, W) float32, 0..1.

    Returns:
        100 times the root mean square over the pixels, 0..200; a clip's is the root mean square of
        its steps. An error that stands still costs nothing, one that moves or flickers does.

    Raises:
        ValueError: the shapes differ.

    Source: dtSSD of Erofeev et al., "Perceptually Motivated Benchmark for Video Matting", BMVC
    2015, as a root mean square.
    """
    for other in (alpha, last_truth, truth):
        _same_shape(last_alpha, other)
    wrong = (alpha - last_alpha) - (truth - last_truth)
    return 100.0 * float(np.sqrt(np.mean(np.square(wrong))))
