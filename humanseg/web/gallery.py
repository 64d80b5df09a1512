"""The user's own backgrounds: pictures taken in from the page, kept in the user's data folder.

A picture is measured by its header, decoded, scaled down and written anew; what came in is thrown
away, and with it everything in it that is no picture.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.backgrounds import cover
from humanseg.errors import HumansegError, SettingsError, SourceError
from humanseg.media.av_gate import reading, sink_error
from humanseg.pixels import resize, within
from humanseg.sinks.images import write_image
from humanseg.sources.images import SUFFIXES, read_image
from humanseg.sources.video_file import VideoFileSource
from humanseg.web.file_kinds import picture_header
from humanseg.web.names import clean_stem

if TYPE_CHECKING:
    from humanseg.frames import Image

MOST_BYTES = 20_000_000
"""Of a picture that is taken in; a camera's largest JPEGs have less."""

MOST_PIXELS = 50_000_000
"""Decoded, this takes 150 MB for a moment."""

MOST_PICTURES = 100

LARGEST = (1440, 2560)
"""(height, width) that pictures are scaled down to; a call shows half of that."""

THUMBNAIL = (135, 240)
"""(height, width), twice the size of a tile, for fine screens."""

_KINDS_HINT = "choose a PNG, JPEG or WebP picture"


class Gallery:
    """A folder of pictures; may be used by several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use a folder, made when the first picture comes.

        Args:
            folder: None for the user's own.
        """
        self._folder = folder
        self._lock = Lock()
        self._thumbnails: dict[Path, tuple[float, bytes]] = {}

    @property
    def folder(self) -> Path:
        """Where the pictures are."""
        if self._folder is None:
            from platformdirs import user_data_path

            self._folder = user_data_path("humanseg", appauthor=False) / "backgrounds"
        return self._folder

    def pictures(self) -> list[Path]:
        """All pictures, the newest last."""
        try:
            found = [path for path in self.folder.iterdir() if path.suffix.lower() in SUFFIXES]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SettingsError(
                f"the folder of backgrounds cannot be read: {error.strerror}", subject=self.folder
            ) from error
        dated = [(path.stat().st_mtime, path.name, path) for path in found if path.is_file()]
        return [path for _, _, path in sorted(dated)]

    def add(self, name: str, data: bytes) -> Path:
        """Take in a picture.

        Args:
            name: of the file it comes from, without a folder.
            data: its bytes.

        Raises:
            SettingsError: it is too large, of another kind, or its name holds a path.
            SourceError: it is damaged.
            SinkError: the folder cannot be written.
        """
        stem = clean_stem(name)
        _check(name, data)
        with self._lock:  # one is decoded at a time: it may take much memory
            if len(self.pictures()) >= MOST_PICTURES:
                raise SettingsError(
                    f"there are {MOST_PICTURES} pictures already", hint="remove some first"
                )
            pixels = _decode(name, data)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise sink_error(error, self.folder, frames=0, kept=None) from error
            path = self._free_path(stem)
            write_image(path, pixels)
            return path

    def remove(self, path: Path) -> None:
        """Delete one of the pictures.

        Raises:
            SettingsError: it is none of them, or cannot be deleted.
        """
        with self._lock:
            if path not in self.pictures():
                raise SettingsError("is none of the added pictures", subject=path.name)
            try:
                path.unlink()
            except OSError as error:
                raise SettingsError(f"cannot be deleted: {error.strerror}", subject=path) from error
            self._thumbnails.pop(path, None)

    def thumbnail(self, path: Path) -> bytes:
        """A small JPEG of a picture or of a video's first frame.

        Args:
            path: of any file; made once as long as the file stays as it is.

        Raises:
            SourceError: it is neither.
        """
        with reading(path):
            changed = path.stat().st_mtime
        known = self._thumbnails.get(path)
        if known is None or known[0] != changed:
            known = (changed, _encode(cover(_first_picture(path), *THUMBNAIL)))
            self._thumbnails[path] = known
        return known[1]

    def _free_path(self, stem: str) -> Path:
        """A name that no picture has yet, on systems that take "A" for "a", too."""
        taken = {path.stem.casefold() for path in self.pictures()}
        number, chosen = 1, stem
        while chosen.casefold() in taken:
            number += 1
            chosen = f"{stem} {number}"
        return self.folder / f"{chosen}.jpg"


def _check(name: str, data: bytes) -> None:
    if len(data) > MOST_BYTES:
        raise SettingsError(too_large_text(len(data)), subject=name, hint="choose a smaller one")
    header = picture_header(data)
    if header is None:
        raise SettingsError("is no picture that can be used", subject=name, hint=_KINDS_HINT)
    if header.height * header.width > MOST_PIXELS:
        raise SettingsError(
            f"has {header.width}x{header.height} pixels, which is too many",
            subject=name,
            hint=f"choose one of at most {MOST_PIXELS // 1_000_000} megapixels",
        )


def too_large_text(size: int) -> str:
    """That a picture has too many bytes."""
    return f"has {size / 1e6:.0f} MB, more than the {MOST_BYTES // 1_000_000} MB of a background"


def _decode(name: str, data: bytes) -> Image:
    with tempfile.TemporaryDirectory(prefix="humanseg-") as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        try:
            pixels = read_image(path)
        except SourceError as error:
            raise SourceError(error.what, subject=name, hint=_KINDS_HINT) from error
    height, width = pixels.shape[:2]
    tall, wide = within(height, width, LARGEST)
    return resize(pixels, tall, wide) if tall < height else pixels


def _first_picture(path: Path) -> Image:
    try:
        return read_image(path)
    except HumansegError:
        if path.suffix.lower() in SUFFIXES:
            raise
    with VideoFileSource(path) as video:
        frame = next(iter(video), None)
        if frame is None:
            raise SourceError("has no frames to show", subject=path)
        return frame.pixels


def _encode(pixels: Image) -> bytes:
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return np.asarray(data).tobytes()
