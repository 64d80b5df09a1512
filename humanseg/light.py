"""The sRGB curve: stored values to light and back, by tables."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

STEPS = 4096
"""Length of the table back; a step is at most 0.8 of a stored value, in the deepest shadow."""


@lru_cache(maxsize=1)
def _decoding() -> NDArray[np.float32]:
    stored = np.arange(256) / 255
    light = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@lru_cache(maxsize=1)
def _encoding() -> NDArray[np.uint8]:
    light = np.arange(STEPS) / (STEPS - 1)
    stored = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(stored * 255), np.uint8)


def to_light(stored: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear light 0..1 of sRGB-encoded values 0..255, of any shape.

    Source: IEC 61966-2-1.

    >>> to_light(np.array([0, 188, 255], np.uint8)).round(2).tolist()
    [0.0, 0.5, 1.0]
    """
    flat = np.ascontiguousarray(stored).reshape(1, -1)
    return cast("NDArray[np.float32]", cv2.LUT(flat, _decoding()).reshape(stored.shape))


def from_light(light: NDArray[Any]) -> NDArray[np.uint8]:
    """sRGB-encoded values 0..255 of linear light; what lies outside 0..1 is cut off."""
    scaled = np.clip(light, 0, 1)
    scaled *= np.float32(STEPS - 1)
    scaled += np.float32(0.5)
    return np.asarray(_encoding().take(scaled.astype(np.int32)), np.uint8)
