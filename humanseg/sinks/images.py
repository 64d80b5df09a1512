"""Pictures written beside their final name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.errors import SettingsError
from humanseg.media.av_gate import sink_error
from humanseg.sinks.target import check_target, partial_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Above it, artefacts are invisible and files only grow.
_QUALITY = 95
# OpenCV's sign for lossless WebP.
_LOSSLESS = 101

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def write_image(path: Path, pixels: NDArray[np.uint8], *, overwrite: bool = False) -> None:
    """Write a picture, whole or not at all.

    Args:
        path: its suffix chooses PNG, JPEG or WebP; grey WebP is lossless, as masks must be exact.
        pixels: (H, W) grey, (H, W, 3) BGR, or (H, W, 4) BGRA with straight alpha; uint8.
        overwrite: an existing file may be replaced.

    Raises:
        SettingsError: the suffix is unknown or cannot hold the pixels, or the place cannot be
            written.
        SinkError: the disk is full or refuses.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SettingsError(
            f"{suffix!r} is no kind of picture this can write" if suffix else "has no suffix",
            subject=path,
            hint=f"use one of {', '.join(SUFFIXES)}",
        )
    if suffix in (".jpg", ".jpeg") and pixels.ndim == 3 and pixels.shape[2] == 4:
        raise SettingsError(
            "a JPEG cannot hold transparency", subject=path, hint="use .png or .webp"
        )
    check_target(path, overwrite=overwrite)
    data = _encode(path, suffix, pixels)
    partial = partial_path(path)
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise sink_error(error, path, frames=0, kept=None) from error


def _encode(path: Path, suffix: str, pixels: NDArray[np.uint8]) -> bytes:
    parameters: list[int] = []
    if suffix == ".webp":
        parameters = [cv2.IMWRITE_WEBP_QUALITY, _LOSSLESS if pixels.ndim == 2 else _QUALITY]
    elif suffix != ".png":
        parameters = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    try:
        is_encoded, data = cv2.imencode(suffix, pixels, parameters)
    except cv2.error as error:
        raise _refused(path, pixels) from error
    if not is_encoded:
        raise _refused(path, pixels)
    return data.tobytes()


def _refused(path: Path, pixels: NDArray[np.uint8]) -> SettingsError:
    return SettingsError(
        f"cannot hold a picture of {pixels.shape[1]}x{pixels.shape[0]}",
        subject=path,
        hint="use .png, which has no limit on size",
    )
