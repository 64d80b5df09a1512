"""The crop that follows people, as a calm hand at the camera would."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from humanseg.frames import Mask

Array = TypeVar("Array", bound="NDArray[Any]")

SURE = 0.5
"""Probability above which a pixel is part of somebody."""

MASK_ROWS = 96
"""Rows of a mask that are enough to see where people are."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of the picture, of the picture's own shape.

    Attributes:
        x: its centre over the width, 0..1.
        y: its centre over the height, 0..1.
        size: its width over the picture's, which is its height over the picture's, too.
    """

    x: float
    y: float
    size: float

    def inside(self) -> Crop:
        """The nearest crop of this size that does not leave the picture."""
        size = min(1.0, max(AutoFramer.SMALLEST, self.size))
        low, high = size / 2, 1 - size / 2
        return Crop(min(high, max(low, self.x)), min(high, max(low, self.y)), size)


FULL = Crop(0.5, 0.5, 1.0)


class AutoFramer:
    """Follows people smoothly: it rests while they stay put, and eases when they do not.

    Deterministic: the same masks at the same times give the same crops, at any frame rate.
    """

    SMALLEST = 0.5
    """Size of the smallest crop: a zoom of two."""
    WIDTH_SHARE = 0.7
    """Share of the crop's width that people may fill."""
    HEADROOM = 0.12
    """Share of the crop's height above the highest head."""
    SMALLEST_PERSON = 0.005
    """Share of the picture below which nothing is a person."""
    DEAD_ZONE = 0.07
    """Share of the crop by which people may move before it follows."""
    HOLD = 0.3
    """Seconds for which they must have done so: a wave of the hand moves nothing."""
    NOBODY = 1.0
    """Seconds without anybody before the crop goes back to the full picture."""
    STIFFNESS = 3.0
    """Of the springs, a second: nine tenths of the way take 1.3 seconds."""
    LONGEST_STEP = 0.25
    """Seconds that a gap between frames counts at most, so that nothing jumps after it."""

    def __init__(self) -> None:
        self._springs = (_Spring(FULL.x), _Spring(FULL.y), _Spring(FULL.size))
        self._goal = FULL
        self._moves = False
        self._away_since: float | None = None
        self._seen_at: float | None = None
        self._last: float | None = None

    def follow(self, mask: Mask, seconds: float) -> Crop:
        """The crop for the next frame.

        Args:
            mask: (h, w) float32, 0..1: a mask or an alpha of any size.
            seconds: the frame's time; a time that goes back moves nothing.
        """
        wanted = frame_people(mask)
        if wanted is not None:
            self._seen_at = seconds
            self._aim(wanted, seconds)
        elif self._seen_at is None or not 0 <= seconds - self._seen_at < self.NOBODY:
            self._goal, self._moves = FULL, True
        return self._step(seconds)

    def release(self, seconds: float) -> Crop:
        """The crop for the next frame on the way back to the full picture."""
        self._seen_at, self._goal, self._moves = None, FULL, True
        return self._step(seconds)

    def _aim(self, wanted: Crop, seconds: float) -> None:
        """Follow while moving; at rest, begin to move once people are away for long enough."""
        if self._moves:
            self._goal = wanted
            return
        if not self._is_away(wanted):
            self._away_since = None
            return
        if self._away_since is None or seconds < self._away_since:
            self._away_since = seconds
        if seconds - self._away_since >= self.HOLD:
            self._goal, self._moves, self._away_since = wanted, True, None

    def _is_away(self, wanted: Crop) -> bool:
        zone = self.DEAD_ZONE * self._goal.size
        return (
            abs(wanted.x - self._goal.x) > zone
            or abs(wanted.y - self._goal.y) > zone
            or abs(wanted.size - self._goal.size) > zone
        )

    def _step(self, seconds: float) -> Crop:
        elapsed = 0.0 if self._last is None else seconds - self._last
        elapsed = min(self.LONGEST_STEP, max(0.0, elapsed))
        self._last = seconds
        goal = (self._goal.x, self._goal.y, self._goal.size)
        arrived = [
            spring.move(to, elapsed, self.STIFFNESS)
            for spring, to in zip(self._springs, goal, strict=True)
        ]
        if all(arrived):
            # What little is left of the way cannot be seen; now the crop rests.
            self._moves = False
            return self._goal
        return Crop(*(spring.place for spring in self._springs)).inside()


class _Spring:
    """A number that goes to its goal without overshooting: a critically damped spring.

    Solved exactly for each step, so that the way does not depend on how often it is asked.
    """

    NEAR = 0.0005
    """Distance, and distance a second, at which it has arrived: half a pixel of a thousand."""

    def __init__(self, place: float) -> None:
        self.place = place
        self._speed = 0.0

    def move(self, goal: float, elapsed: float, stiffness: float) -> bool:
        """Go on for so many seconds; True when it has arrived."""
        away = self.place - goal
        push = self._speed + stiffness * away
        left = math.exp(-stiffness * elapsed)
        self.place = goal + (away + push * elapsed) * left
        self._speed = (self._speed - stiffness * push * elapsed) * left
        if abs(self.place - goal) < self.NEAR and abs(self._speed) < self.NEAR:
            self.place, self._speed = goal, 0.0
            return True
        return False


def frame_people(mask: Mask) -> Crop | None:
    """The crop that shows people well: all their width, and a little room above the head.

    Args:
        mask: (h, w) float32, 0..1.

    Returns:
        A crop inside the picture, or None where nobody is.
    """
    stride = max(1, mask.shape[0] // MASK_ROWS)
    people = mask[stride // 2 :: stride, stride // 2 :: stride] > SURE
    if people.sum() < max(1.0, AutoFramer.SMALLEST_PERSON * people.size):
        return None
    # Shares of the people's area instead of their outermost pixels: an arm weighs little.
    left, right = _spread(people.sum(axis=0), 0.03, 0.97)
    top, bottom = _spread(people.sum(axis=1), 0.005, 0.995)
    size = max((right - left) / AutoFramer.WIDTH_SHARE, (bottom - top) / (1 - AutoFramer.HEADROOM))
    size = min(1.0, max(AutoFramer.SMALLEST, size))
    y = top - AutoFramer.HEADROOM * size + size / 2
    return Crop((left + right) / 2, y, size).inside()


def _spread(counts: NDArray[np.signedinteger[Any]], low: float, high: float) -> tuple[float, float]:
    """Where two shares of the counts lie along their axis, 0..1."""
    up_to = np.concatenate([[0], np.cumsum(counts)])
    places = np.linspace(0, 1, len(up_to))
    first, last = np.interp([low * up_to[-1], high * up_to[-1]], up_to, places)
    return float(first), float(last)


def crop_to(pixels: Array, crop: Crop) -> Array:
    """Enlarge a crop to the picture's own size, exactly to parts of a pixel.

    Args:
        pixels: (H, W) or (H, W, 3), uint8 or float32.
        crop: inside the picture.

    Returns:
        The same shape and dtype; the array itself for the full picture.
    """
    if crop == FULL:
        return pixels
    height, width = pixels.shape[:2]
    # Pixel centres: place p of the result shows place (p + 0.5) size + start - 0.5.
    rest = (crop.size - 1) / 2
    across = (crop.x - crop.size / 2) * width + rest
    down = (crop.y - crop.size / 2) * height + rest
    matrix = np.array([[crop.size, 0, across], [0, crop.size, down]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # OpenCV takes four channels at more than twice the speed of three.
    is_color = pixels.ndim == 3
    source = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA) if is_color else pixels
    moved = cv2.warpAffine(
        source, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return cast("Array", cv2.cvtColor(moved, cv2.COLOR_BGRA2BGR) if is_color else moved)
