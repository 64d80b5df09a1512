"""The fast guided filter: masks whose edges follow those of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.pixels import box_mean, grow, resize, resize_roughly, sampled, scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Alpha, Mask


def guided_upsample(
    mask: Mask, guide: NDArray[np.float32], *, radius: int, epsilon: float
) -> Alpha:
    """Enlarge a mask so that its edges follow the edges of a picture.

    Args:
        mask: (h, w) float32, 0..1.
        guide: (H, W) float32, luma 0..1; any size of at least (h, w).
        radius: of the window, in pixels of the mask; 1 to 8 is usual.
        epsilon: contrast below which the guide is ignored, in squared luma; 1e-4 keeps hair,
            1e-2 smooths.

    Returns:
        (H, W) float32, 0..1, a new array.

    Raises:
        ValueError: the guide is smaller than the mask.

    Source: He and Sun, "Fast Guided Filter", arXiv:1505.00996; the coefficients are enlarged
    bilinearly to the guide's own size, so that odd sizes work.

    >>> still = np.full((9, 12), 0.5, np.float32)
    >>> guided_upsample(still, np.zeros((27, 37), np.float32), radius=2, epsilon=1e-3).shape
    (27, 37)
    """
    height, width = guide.shape
    if height < mask.shape[0] or width < mask.shape[1]:
        raise ValueError(f"a guide of {guide.shape} is smaller than the mask of {mask.shape}")
    slope, offset = guided_coefficients(
        mask, resize(guide, *mask.shape), radius=radius, epsilon=epsilon
    )
    alpha = np.multiply(resize(slope, height, width), guide)
    alpha += resize(offset, height, width)
    return np.clip(alpha, 0, 1, out=alpha)


def guided_coefficients(
    mask: Mask, guide: NDArray[np.float32], *, radius: int, epsilon: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope and offset of the local linear model mask = slope * guide + offset.

    Args:
        mask: (h, w) float32, 0..1.
        guide: (h, w) float32, luma 0..1.
        radius: of the window, in pixels.
        epsilon: in squared luma.

    Returns:
        Two (h, w) float32 arrays, averaged over the windows that hold each pixel.
    """
    mean_guide = box_mean(guide, radius)
    mean_mask = box_mean(mask, radius)
    covariance = box_mean(guide * mask, radius) - mean_guide * mean_mask
    variance = box_mean(guide * guide, radius) - mean_guide * mean_guide
    slope = np.asarray(covariance / (np.maximum(variance, 0) + epsilon), np.float32)
    offset = mean_mask - slope * mean_guide
    return box_mean(slope, radius), box_mean(offset, radius)


SURE = 0.02
"""Probability from which on, and share below 1 up to which, the filter works."""


def guided_upsample_colour(
    mask: Mask, guide: Sequence[NDArray[np.uint8]], *, radius: int, epsilon: float
) -> Alpha:
    """Enlarge a mask so that its edges follow those between colours, also of equal luma.

    Only the unsure band and its surroundings are worked on; the rest is enlarged as it is.

    Args:
        mask: (h, w) float32, 0..1.
        guide: three (H, W) uint8, in any linear mixture of colours, such as Y, Cb, Cr.
        radius: of the window, in pixels of the mask.
        epsilon: contrast below which the guide is ignored, in squared colour of 0..1.

    Returns:
        (H, W) float32, 0..1, a new array.

    Raises:
        ValueError: the guide is smaller than the mask.

    Source: He, Sun and Tang, "Guided Image Filtering", TPAMI 2013, section 3.4; fast as above.
    """
    height, width = guide[0].shape
    if height < mask.shape[0] or width < mask.shape[1]:
        raise ValueError(f"a guide of {guide[0].shape} is smaller than the mask of {mask.shape}")
    unsure = ((mask > SURE) & (mask < 1 - SURE)).view(np.uint8)
    band = grow(unsure, 1)
    alpha: Alpha = np.array(resize(mask, height, width))
    found = cv2.findNonZero(_nearest(band, height, width))
    if found is None:
        return alpha
    columns, rows = found.reshape(-1, 2).T.astype(np.float32)
    scale = np.float32(1 / 255)
    # Coefficients of a pixel depend on windows of windows around it.
    part = _bounds(band, 2 * radius)
    small = [resize_roughly(plane, *mask.shape)[part] * scale for plane in guide]
    coefficients = _colour_coefficients(mask[part], small, radius, epsilon)
    down = scaled(rows, mask.shape[0] / height, part[0].start)
    across = scaled(columns, mask.shape[1] / width, part[1].start)
    layers = np.ascontiguousarray(sampled(cv2.merge(coefficients), down, across).T)
    places = rows.astype(np.intp) * width + columns.astype(np.intp)
    filtered = layers[3]
    for slope, plane in zip(layers[:3], guide, strict=True):
        slope *= np.ascontiguousarray(plane).reshape(-1).take(places)
        slope *= scale
        filtered += slope
    alpha.reshape(-1)[places] = np.clip(filtered, 0, 1, out=filtered)
    return alpha


def _nearest(band: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    large = cv2.resize(band, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, np.uint8)


def _bounds(band: NDArray[np.uint8], margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold everything but zeros, and a margin."""
    left, top, width, height = cv2.boundingRect(band)
    return (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )


def _colour_coefficients(
    mask: Mask, guide: Sequence[NDArray[np.float32]], radius: int, epsilon: float
) -> list[NDArray[np.float32]]:
    """Three slopes and the offset of the local linear model, averaged over the windows."""
    means = [box_mean(plane, radius) for plane in guide]
    mean_mask = box_mean(mask, radius)
    across = [
        box_mean(plane * mask, radius) - mean * mean_mask
        for plane, mean in zip(guide, means, strict=True)
    ]
    aa, ab, ac, bb, bc, cc = (
        box_mean(guide[i] * guide[j], radius)
        - means[i] * means[j]
        + np.float32(epsilon if i == j else 0)
        for i in range(3)
        for j in range(i, 3)
    )
    # The inverse of a symmetric 3 x 3 matrix, by its cofactors.
    cofactors = (
        (bb * cc - bc * bc, ac * bc - ab * cc, ab * bc - ac * bb),
        (ac * bc - ab * cc, aa * cc - ac * ac, ab * ac - aa * bc),
        (ab * bc - ac * bb, ab * ac - aa * bc, aa * bb - ab * ab),
    )
    determinant = aa * cofactors[0][0] + ab * cofactors[0][1] + ac * cofactors[0][2]
    slopes = [
        sum(factor * part for factor, part in zip(row, across, strict=True)) / determinant
        for row in cofactors
    ]
    offset = mean_mask - sum(slope * mean for slope, mean in zip(slopes, means, strict=True))
    return [box_mean(np.asarray(layer, np.float32), radius) for layer in (*slopes, offset)]
