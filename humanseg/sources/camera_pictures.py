"""What reads of a camera give: is it new, and when was it taken?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from humanseg.frames import Image

MICROSECOND = 1_000_000
"""Times of live frames are whole microseconds."""

# Pixels are compared on a grid this wide, in both directions.
_SAMPLE_STEP = 16
# A driver's time older than this is of another clock.
_LONGEST_DELAY = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What one read gave.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, a new array.
        read_at: when the read returned, in seconds of our clock.
        driver_time: when the driver took it, in seconds of the driver's clock; 0 if unknown.
    """

    pixels: Image
    read_at: float
    driver_time: float


class Freshness:
    """Tells new pictures from one that the driver gives again after a time-out.

    A sensor's noise never repeats, so pixels that do are suspicious; a driver time that goes on
    clears them, for a lens may be covered and a virtual camera may show a still.
    """

    def __init__(self) -> None:
        self._sample: Image | None = None
        self._driver_time = 0.0

    def is_new(self, picture: Picture) -> bool:
        """Whether the picture is another than the one before."""
        sample = picture.pixels[::_SAMPLE_STEP, ::_SAMPLE_STEP].copy()
        is_same = self._sample is not None and np.array_equal(sample, self._sample)
        goes_on = picture.driver_time > self._driver_time
        self._sample, self._driver_time = sample, picture.driver_time
        return goes_on or not is_same


class Stamps:
    """When pictures were taken.

    Attributes:
        time: seconds from the first picture to the last one, exact.
    """

    def __init__(self) -> None:
        self.time = Fraction(0)
        self._first: float | None = None
        self._last = 0.0

    def captured_at(self, picture: Picture) -> float:
        """`time.monotonic()` when the picture was taken; later than the one before.

        V4L2 stamps by the same clock, before the picture is sent over USB and decoded.
        """
        taken = picture.driver_time
        is_our_clock = sys.platform == "linux" and 0 <= picture.read_at - taken <= _LONGEST_DELAY
        stamp = taken if is_our_clock else picture.read_at
        if self._first is None:
            self._first = stamp
        elif stamp <= self._last:
            stamp = max(picture.read_at, self._last + 1 / MICROSECOND)
        self._last = stamp
        self.time = Fraction(round((stamp - self._first) * MICROSECOND), MICROSECOND)
        return stamp
