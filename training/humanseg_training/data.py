"""Pictures and masks on disk: found, read, and everything wrong with them named at once."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.errors import SourceError, TrainingDataError
from humanseg.sources import images
from humanseg_training.config import DataSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
MANIFEST_COLUMNS = ("image", "mask", "weight")
MOST_NAMED = 50
"""Faults that are named one by one; of the rest only the number is told."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Paths of a picture and its mask, and the weight of its pixels in the loss."""

    image: Path
    mask: Path
    weight: float = 1.0


class TrainingDataFaults(TrainingDataError):
    """Several pictures or masks are missing or wrong.

    Attributes:
        faults: one error each.
    """

    def __init__(self, faults: Sequence[TrainingDataError]) -> None:
        self.faults = tuple(faults)
        lines = [str(fault) for fault in faults[:MOST_NAMED]]
        if len(faults) > MOST_NAMED:
            lines.append(f"and {len(faults) - MOST_NAMED:,} more")
        super().__init__("\n  ".join([f"{len(faults):,} files cannot be used:", *lines]))


class Faults:
    """Collects what is wrong, so that a user repairs a folder once and not file by file."""

    def __init__(self) -> None:
        self._found: list[TrainingDataError] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the training data errors of a block instead of letting them out."""
        try:
            yield
        except TrainingDataFaults as several:
            self._found.extend(several.faults)
        except TrainingDataError as one:
            self._found.append(one)

    def raise_any(self) -> None:
        """Raise what was collected, if anything was.

        Raises:
            TrainingDataError: the one fault, or all of them as TrainingDataFaults.
        """
        if len(self._found) > 1:
            raise TrainingDataFaults(self._found)
        for fault in self._found:
            raise fault


def list_images(folder: Path) -> list[Path]:
    """Pictures in a folder, by name.

    Raises:
        TrainingDataError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise TrainingDataError("is no folder", subject=folder, hint="see the root given by --data")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)
    if not found:
        raise TrainingDataError("holds no pictures", subject=folder)
    return found


def list_pairs(root: Path, data: DataSet) -> list[Pair]:
    """All pictures of a set with their masks.

    Raises:
        TrainingDataError: a folder is missing or empty, a picture has no mask, or the manifest is
            wrong; every such picture is named.
    """
    if data.manifest:
        return read_manifest(root / data.manifest)
    masks = {path.stem: path for path in list_images(root / data.masks)}
    faults, pairs = Faults(), list[Pair]()
    for image in list_images(root / data.images):
        with faults.collected():
            if image.stem not in masks:
                hint = f"expected {root / data.masks / image.stem}.png"
                raise TrainingDataError("has no mask", subject=image, hint=hint)
            pairs.append(Pair(image, masks[image.stem]))
    faults.raise_any()
    return pairs


def read_manifest(path: Path) -> list[Pair]:
    """Read a CSV of pictures and masks: image, mask and, if wanted, weight; paths beside it.

    Raises:
        TrainingDataError: the file or a line of it is wrong; every wrong line is named.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, rows = set(reader.fieldnames or ()), list(reader)
    except OSError as error:
        raise TrainingDataError(f"cannot be read: {error.strerror}", subject=path) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise TrainingDataError(f"is no CSV file: {error}", subject=path) from error
    if not rows or not {"image", "mask"} <= columns:
        hint = f"its first line must be {','.join(MANIFEST_COLUMNS)}, the last of them if wanted"
        raise TrainingDataError("is no manifest, or an empty one", subject=path, hint=hint)
    faults, pairs = Faults(), list[Pair]()
    for number, row in enumerate(rows, start=2):
        with faults.collected():
            pairs.append(_manifest_pair(row, path.parent, f"{path}, line {number}"))
    faults.raise_any()
    return pairs


def _manifest_pair(row: dict[str, str | None], folder: Path, place: str) -> Pair:
    image, mask = row["image"], row["mask"]
    if not image or not mask:
        raise TrainingDataError("has no picture or no mask", subject=place)
    try:
        weight = float(row.get("weight") or 1)
    except ValueError:
        weight = -1.0
    if not 0 < weight <= 1:
        what = f"has the weight '{row['weight']}'"
        raise TrainingDataError(what, subject=place, hint="above 0, at most 1")
    for name in (image, mask):
        if not (folder / name).is_file():
            raise TrainingDataError(f"there is no file {folder / name}", subject=place)
    return Pair(folder / image, folder / mask, weight)


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB 0..255.

    Raises:
        TrainingDataError: it is not a readable picture.
    """
    try:
        bgr = images.read_image(path)
    except SourceError as error:
        raise TrainingDataError(error.what, subject=path) from error
    return np.ascontiguousarray(bgr[..., ::-1])


def read_mask(path: Path) -> NDArray[np.uint8]:
    """(H, W) 0..255, 255 = person.

    Raises:
        TrainingDataError: it is not a readable picture, or counts people as 1.
    """
    mask = np.asarray(cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY), np.uint8)
    if mask.max() == 1:
        raise TrainingDataError("marks people by 1", subject=path, hint="255 is a person")
    return mask


def read_pair(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Picture (H, W, 3) RGB and mask (H, W), both 0..255.

    Raises:
        TrainingDataError: one is unreadable, or their sizes differ.
    """
    image, mask = read_image(pair.image), read_mask(pair.mask)
    if image.shape[:2] != mask.shape:
        raise TrainingDataError(
            f"is {mask.shape[1]}x{mask.shape[0]}, its picture {image.shape[1]}x{image.shape[0]}",
            subject=pair.mask,
        )
    return image, mask


def read_pairs(pairs: Iterable[Pair]) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Read many pairs as `read_pair` does.

    Raises:
        TrainingDataError: something is wrong with a pair; all such pairs are named.
    """
    faults, read = Faults(), []
    for pair in pairs:
        with faults.collected():
            read.append(read_pair(pair))
    faults.raise_any()
    return read


def is_held_out(path: Path, every: int) -> bool:
    """Whether a picture is kept out of training; depends on nothing but its name."""
    return every > 0 and zlib.crc32(path.stem.encode()) % every == 0
