"""Pictures and folders of pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from humanseg.errors import SourceError
from humanseg.media.av_gate import reading
from humanseg.media.opencv_log import quiet_opencv

if TYPE_CHECKING:
    from humanseg.frames import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

# One at a time, or the descriptors of two would be put back crosswise.
_SILENCE = Lock()


def list_images(path: Path) -> list[Path]:
    """The picture itself, or all pictures of a folder, "2.png" before "10.png".

    Args:
        path: a file of any suffix, or a folder; folders inside it are not entered.

    Raises:
        SourceError: there is no such path, or no picture in the folder.
    """
    with reading(path):
        path.stat()
        if not path.is_dir():
            return [path]
        found = [
            entry
            for entry in path.iterdir()
            if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")
        ]
        images = [entry for entry in found if entry.is_file()]
    if not images:
        raise SourceError(
            "holds no pictures", subject=path, hint=f"looked for {', '.join(SUFFIXES)}"
        )
    return sorted(images, key=_natural)


def read_image(path: Path) -> Image:
    """The pixels of a picture, turned as its EXIF orientation says.

    Args:
        path: in any script of the world; OpenCV's own reading fails on some systems there.

    Returns:
        (H, W, 3) uint8 BGR; more bits are reduced, grey is spread, alpha is dropped.

    Raises:
        SourceError: missing, not readable, or no picture.
    """
    return _read(path, cv2.IMREAD_COLOR)


def read_transparent_image(path: Path) -> Image:
    """The pixels of a picture with its transparency.

    Args:
        path: in any script of the world.

    Returns:
        (H, W, 4) uint8 BGRA, straight alpha; more bits are reduced.

    Raises:
        SourceError: missing, not readable, no picture, or one without transparency.
    """
    pixels = _read(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise SourceError(
            "has no transparency, and would hide everything",
            subject=path,
            hint="save it as a PNG with an alpha channel",
        )
    if pixels.dtype == np.uint16:
        return np.asarray(pixels >> 8, np.uint8)
    return np.asarray(pixels, np.uint8)


def _read(path: Path, flags: int) -> Image:
    with reading(path):
        if path.is_dir():
            raise IsADirectoryError
        data = np.fromfile(path, np.uint8)
    if not data.size:
        raise SourceError("is empty", subject=path, hint="copy or save the picture again")
    pixels = _decode(data, flags)
    if pixels is None:
        raise SourceError(
            "is no picture that can be read",
            subject=path,
            hint="the file is damaged or of another kind; PNG, JPEG, WebP, BMP and TIFF are known",
        )
    return pixels


def _decode(data: np.ndarray[tuple[int], np.dtype[np.uint8]], flags: int) -> Image | None:
    with _silent_libraries():
        try:
            return cast("Image | None", cv2.imdecode(data, flags))
        except cv2.error:  # larger than OpenCV's limit, for one
            return None


@contextmanager
def _silent_libraries() -> Iterator[None]:
    """Keep the terminal free of what OpenCV, libpng and libjpeg print about a broken file.

    The latter two write to file descriptor 2 from C, past every setting of Python and OpenCV.
    """
    with _SILENCE, ExitStack() as undo:
        undo.enter_context(quiet_opencv())
        with suppress(OSError):  # a program without a terminal may have no descriptor 2
            terminal = os.dup(2)
            undo.callback(os.close, terminal)
            undo.callback(os.dup2, terminal, 2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
        yield


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sorts numbers by value and letters without regard to case."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
