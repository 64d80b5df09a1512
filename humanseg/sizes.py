"""The size rule: how large the networks see a frame of any shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

NETWORK_PIXELS = 192 * 144
"""Pixels the networks see, whatever the frame: the portrait size of the study."""

NETWORK_STRIDE = 16
"""Four halvings inside every network: both sides must be multiples of this."""


def input_size(
    height: int, width: int, *, pixels: int = NETWORK_PIXELS, stride: int = NETWORK_STRIDE
) -> tuple[int, int]:
    """Choose the network's input size for a frame: near `pixels`, near the frame's own shape.

    Args:
        height: of the frame, in pixels.
        width: of the frame, in pixels.
        pixels: wanted area of the input.
        stride: both sides of the result are multiples of it.

    Returns:
        (height, width); never below one stride a side.

    Raises:
        ValueError: a side is not positive.

    >>> input_size(320, 240), input_size(720, 1280), input_size(500, 500)
    ((192, 144), (128, 224), (160, 160))
    """
    if height < 1 or width < 1:
        raise ValueError(f"a frame of {height}x{width} has no pixels")
    ideal_height = math.sqrt(pixels * height / width)
    ideal_width = math.sqrt(pixels * width / height)
    return _nearest_multiple(ideal_height, stride), _nearest_multiple(ideal_width, stride)


def _nearest_multiple(length: float, stride: int) -> int:
    return max(stride, int(length / stride + 0.5) * stride)


@dataclass(frozen=True, slots=True)
class Fit:
    """How a frame lies inside the network's input: scaled in its own shape, padded to the stride.

    All figures are pixels of the network's input; `top` and `left` are the padding before the
    picture, the rest of the padding comes after it.
    """

    input_height: int
    input_width: int
    height: int
    width: int
    top: int
    left: int


def fit(height: int, width: int, *, pixels: int = NETWORK_PIXELS) -> Fit:
    """Place a frame in the network's input without stretching it (to within one pixel).

    Args:
        height: of the frame, in pixels.
        width: of the frame, in pixels.
        pixels: wanted area of the input.

    Raises:
        ValueError: a side is not positive.

    >>> fit(720, 1280)
    Fit(input_height=128, input_width=224, height=126, width=224, top=1, left=0)
    """
    input_height, input_width = input_size(height, width, pixels=pixels)
    scale = min(input_height / height, input_width / width)
    inner_height = min(input_height, max(1, round(height * scale)))
    inner_width = min(input_width, max(1, round(width * scale)))
    return Fit(
        input_height,
        input_width,
        inner_height,
        inner_width,
        (input_height - inner_height) // 2,
        (input_width - inner_width) // 2,
    )
