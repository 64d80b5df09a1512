"""Masks that hold still: each is blended with the ones before it where nothing moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from humanseg.pixels import box_mean, grow, luma, resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Frame, Mask

REFERENCE_RATE = 30.0
"""Frames a second at which SmoothingOptions.still_weight is meant."""

LONGEST_GAP = 0.5
"""Seconds between two frames above which the older mask says nothing about the newer."""


@dataclass(frozen=True, slots=True)
class SmoothingOptions:
    """How masks are smoothed over time.

    Attributes:
        still_weight: share of the new mask where nothing moves, at 30 frames a second; 0..1,
            1 switches smoothing off.
        quiet: change of luma (0..1) that still counts as noise.
        moving: change of luma from which on only the new mask counts.
        exposure: largest change of the whole picture's luma that counts as one of exposure.
        cut: share of the picture (0..1) that must be moving for a scene cut.
    """

    still_weight: float = 0.3
    quiet: float = 0.015
    moving: float = 0.06
    exposure: float = 0.08
    cut: float = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """What is remembered of a frame: smoothed mask and luma at the mask's size, and its time."""

    mask: Mask
    luma: NDArray[np.float32]
    seconds: float


class TemporalSmoother:
    """Per-pixel moving average whose weight rises with motion.

    Remembers the last mask and the last picture at the mask's size; a scene cut, another size, or
    a gap in time makes it start anew.
    """

    def __init__(self, options: SmoothingOptions | None = None) -> None:
        self._options = options or SmoothingOptions()
        self.reset()

    def reset(self) -> None:
        """Forget everything, as before the first frame."""
        self._last: _Moment | None = None

    def update(self, frame: Frame, mask: Mask) -> Mask:
        """Smooth the mask of the next frame.

        Args:
            frame: the picture the mask belongs to.
            mask: (h, w) float32, 0..1.

        Returns:
            (h, w) float32, 0..1, a new array.
        """
        last, seconds = self._last, float(frame.time)
        small = luma(resize(frame.pixels, *mask.shape))
        smoothed = mask
        if last is not None and last.mask.shape == mask.shape:
            elapsed = seconds - last.seconds
            if 0 <= elapsed <= LONGEST_GAP:
                smoothed = self._blend(mask, last.mask, small - last.luma, elapsed)
        self._last = _Moment(smoothed, small, seconds)
        return smoothed.copy()

    def _blend(
        self, mask: Mask, last_mask: Mask, change: NDArray[np.float32], elapsed: float
    ) -> Mask:
        options = self._options
        # A step of exposure moves all pixels alike, by a little, and is no motion.
        step = np.clip(np.median(change[::4, ::4]), -options.exposure, options.exposure)
        change = np.abs(change - np.float32(step))
        if float((change > options.moving).mean()) > options.cut:
            return mask
        motion = box_mean(change, 2)
        span = options.moving - options.quiet
        speed = np.clip((motion - np.float32(options.quiet)) * np.float32(1 / span), 0, 1)
        still = np.float32(1 - (1 - options.still_weight) ** (elapsed * REFERENCE_RATE))
        weight = still + (1 - still) * grow(speed, 1)
        return np.asarray(last_mask + weight * (mask - last_mask), np.float32)
