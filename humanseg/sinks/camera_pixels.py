"""BGR pictures in the sizes and pixel formats that virtual cameras take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.pixels import letterbox

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Image


def even(height: int, width: int) -> tuple[int, int]:
    """The largest (height, width) of even numbers that is not larger, and at least 2.

    Colour is stored for two by two pixels together, so that odd sizes cannot be sent.

    >>> even(481, 641)
    (480, 640)
    """
    return max(2, height - height % 2), max(2, width - width % 2)


def fit(pixels: Image, height: int, width: int) -> Image:
    """A picture at a camera's size: whole, in its own shape, with black bars where needed.

    Args:
        pixels: (H, W, 3) uint8 BGR, or (H, W, 4) BGRA whose alpha is left out.
        height: rows to give.
        width: columns to give.

    Returns:
        (height, width, 3) uint8 BGR; the picture itself when it has that size already. A picture
        that is only one row or column too large loses it, since scaling would soften all of it.
    """
    if pixels.shape[2] == 4:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), np.uint8)
    rows, columns = pixels.shape[:2]
    if 0 <= rows - height <= 1 and 0 <= columns - width <= 1:
        return pixels[:height, :width]
    return letterbox(pixels, height, width)


def encode(pixels: Image, pixel_format: str) -> NDArray[np.uint8]:
    """A picture in the bytes of a pixel format.

    YCbCr is BT.601 in limited range, which is what programs take an untagged camera for.

    Args:
        pixels: (H, W, 3) uint8 BGR; H and W even.
        pixel_format: one of PIXEL_FORMATS.

    Returns:
        A contiguous array in the shape pyvirtualcam expects: (H, W, 3) for bgr and rgb,
        (H, W, 4) for rgba, (H, W) for gray, flat for the others.
    """
    return np.ascontiguousarray(_ENCODERS[pixel_format](pixels))


def _with(code: int) -> Callable[[Image], NDArray[np.uint8]]:
    return lambda pixels: np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _flat(code: int) -> Callable[[Image], NDArray[np.uint8]]:
    convert = _with(code)
    return lambda pixels: convert(pixels).reshape(-1)


_i420 = _flat(cv2.COLOR_BGR2YUV_I420)


def _nv12(pixels: Image) -> NDArray[np.uint8]:
    """I420 whose two colour planes are one, their values taking turns."""
    planes = _i420(pixels)
    luma = pixels.shape[0] * pixels.shape[1]
    planes[luma:] = planes[luma:].reshape(2, -1).T.reshape(-1)
    return planes


_ENCODERS: dict[str, Callable[[Image], NDArray[np.uint8]]] = {
    "bgr": lambda pixels: pixels,
    "rgb": _with(cv2.COLOR_BGR2RGB),
    "rgba": _with(cv2.COLOR_BGR2RGBA),
    "gray": _with(cv2.COLOR_BGR2GRAY),
    "i420": _i420,
    "nv12": _nv12,
    "yuyv": _flat(cv2.COLOR_BGR2YUV_YUY2),
    "uyvy": _flat(cv2.COLOR_BGR2YUV_UYVY),
}

PIXEL_FORMATS = tuple(_ENCODERS)
"""By pyvirtualcam's names, in small letters."""
