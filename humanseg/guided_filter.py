"""The fast guided filter: masks whose edges follow those of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from humanseg.pixels import box_mean, resize

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
