"""Where a file may be written, and the name under which it grows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from humanseg.errors import SettingsError


def check_target(path: Path, *, overwrite: bool, sources: Sequence[Path | str | None] = ()) -> None:
    """Refuse a place that cannot or must not be written.

    Args:
        path: of the file to write.
        overwrite: an existing file may be replaced.
        sources: files being read, which must not be the same file by any name.

    Raises:
        SettingsError: the place is one of the sources, exists, or is in no usable folder.
    """
    if path.is_dir():
        raise SettingsError("is a folder", subject=path, hint="name the file to write")
    for source in sources:
        if isinstance(source, Path) and _is_same_file(path, source):
            raise SettingsError(
                "is the input as well", subject=path, hint="choose another name for the output"
            )
    if path.exists() and not overwrite:
        raise SettingsError(
            "exists already", subject=path, hint="choose another name, or use --overwrite"
        )
    folder = path.parent
    if not folder.is_dir():
        raise SettingsError(
            "cannot be written: its folder does not exist", subject=path, hint=f"make {folder}"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(
            "cannot be written: its folder is read-only",
            subject=path,
            hint="choose a folder you may write to",
        )


def _is_same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def partial_path(path: Path) -> Path:
    """A free name beside the target; an older partial file is someone's only copy."""
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    number = 2
    while partial.exists():
        partial = path.with_name(f"{path.stem}.partial-{number}{path.suffix}")
        number += 1
    return partial
