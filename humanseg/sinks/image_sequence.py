"""The frames of a video as numbered pictures: out-%05d.png."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from humanseg.closing import Closing
from humanseg.errors import SettingsError
from humanseg.sinks.images import SUFFIXES, write_image

if TYPE_CHECKING:
    from humanseg.frames import Frame

_NUMBER = re.compile(r"%0?\d*d")


def is_sequence(path: Path) -> bool:
    """Whether a name stands for numbered pictures.

    >>> is_sequence(Path("out-%05d.png")), is_sequence(Path("out.png"))
    (True, False)
    """
    return bool(_NUMBER.search(path.name))


class ImageSequenceSink(Closing):
    """Writes each frame as a picture of its own, numbered from 1, whole or not at all.

    Not thread safe: one thread writes.

    Attributes:
        partial_path: the folder, where the pictures written so far stay after an error.
        frames: written so far.
        copied: kinds of streams carried over; pictures hold none.
        warnings: what the user should know, a sentence each.
        takes_planes: pictures are made of BGR pixels.
    """

    takes_planes = False
    copied: tuple[str, ...] = ()

    def __init__(
        self, pattern: Path, *, alpha: bool = False, grey: bool = False, overwrite: bool = False
    ) -> None:
        """Check the name; nothing is written before the first frame.

        Args:
            pattern: its name holds one %d, %05d or the like; .png, .jpg, .jpeg or .webp.
            alpha: frames are BGRA.
            grey: frames are grey, and become pictures of one channel.
            overwrite: existing pictures may be replaced.

        Raises:
            SettingsError: another name, a kind of picture that cannot hold the frames, or there is
                such a sequence already.
        """
        if len(_NUMBER.findall(pattern.name)) != 1 or pattern.name.count("%") != 1:
            raise SettingsError(
                "must hold one number", subject=pattern, hint="name it like frame-%05d.png"
            )
        suffix = pattern.suffix.lower()
        if suffix not in SUFFIXES or (alpha and suffix in (".jpg", ".jpeg")):
            fitting = (".png", ".webp") if alpha else SUFFIXES
            raise SettingsError(
                "is no kind of picture that holds these frames",
                subject=pattern,
                hint=f"use {' or '.join(fitting)}",
            )
        if not pattern.parent.is_dir():
            raise SettingsError(
                "cannot be written: its folder does not exist",
                subject=pattern,
                hint=f"make {pattern.parent}",
            )
        self._pattern, self._grey, self._overwrite = pattern, grey, overwrite
        if self._path(1).exists() and not overwrite:
            raise SettingsError(
                "exists already",
                subject=self._path(1),
                hint="choose another name, or use --overwrite",
            )
        self.partial_path = pattern.parent
        self.frames = 0
        self.warnings: list[str] = []

    def write(self, frame: Frame) -> None:
        """Write one frame.

        Raises:
            SettingsError: the picture exists, or cannot be of this size.
            SinkError: the disk is full or refuses.
        """
        pixels = frame.pixels[..., 0] if self._grey else frame.pixels
        write_image(self._path(self.frames + 1), pixels, overwrite=self._overwrite)
        self.frames += 1

    def close(self) -> None:
        """Nothing is left to do: every picture is whole."""

    def abort(self) -> None:
        """Nothing is left to do: every picture is whole."""

    def _path(self, number: int) -> Path:
        return self._pattern.with_name(self._pattern.name % number)
