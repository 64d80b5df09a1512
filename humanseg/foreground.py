"""The people's own colour at their edges, free of the old background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from humanseg.pixels import box_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Alpha, Image

SMALLEST_WEIGHT = 1e-3


def estimate_foreground(image: Image, alpha: Alpha, *, radii: tuple[int, int] = (90, 6)) -> Image:
    """Estimate the colour of the foreground in every pixel, for compositing on another background.

    Args:
        image: (H, W, 3) uint8 BGR.
        alpha: (H, W) float32, 0..1.
        radii: of the two windows in pixels, the large one first.

    Returns:
        (H, W, 3) uint8 BGR; the image itself where alpha is 1.

    Source: Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021 (blur-fusion).
    """
    observed = image.astype(np.float32)
    share = alpha[..., None]
    foreground, background = observed, observed
    for radius in radii:
        foreground, background = _fuse(observed, foreground, background, share, radius)
    return np.asarray(np.round(np.clip(foreground, 0, 255)), np.uint8)


def _fuse(
    observed: NDArray[np.float32],
    foreground: NDArray[np.float32],
    background: NDArray[np.float32],
    share: NDArray[np.float32],
    radius: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One pass: local means of both layers, then the foreground that explains what is observed."""
    near_foreground = _weighted_mean(foreground, share, radius)
    near_background = _weighted_mean(background, 1 - share, radius)
    unexplained = observed - share * near_foreground - (1 - share) * near_background
    return near_foreground + share * unexplained, near_background


def _weighted_mean(
    colour: NDArray[np.float32], weight: NDArray[np.float32], radius: int
) -> NDArray[np.float32]:
    total = box_mean(weight[..., 0], radius)[..., None]
    mean = box_mean(colour * weight, radius) / np.maximum(total, SMALLEST_WEIGHT)
    return np.where(total > SMALLEST_WEIGHT, mean, colour).astype(np.float32)
