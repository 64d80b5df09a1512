"""Two snapshots against each other: how far apart are their masks, and what made the difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from humanseg.errors import SettingsError, SourceError
from humanseg.metrics import iou
from humanseg.snapshots import FrameFiles, Snapshot, read_snapshot
from humanseg.sources.images import read_image

if TYPE_CHECKING:
    from humanseg.frames import Image

HALF = 127
"""A mask's pixel above this is a person for the overlap."""


@dataclass(frozen=True, slots=True)
class FrameDifference:
    """How far apart one frame of two snapshots is.

    Attributes:
        index: number of the frame.
        name: of the picture, or its time.
        iou: overlap of the masks at half; 1 when both are empty.
        mask_difference: mean absolute difference of the masks, 0..1.
        composite_difference: mean absolute difference of the composites, 0..1.
        files: of the frame in both snapshots.
    """

    index: int
    name: str
    iou: float
    mask_difference: float
    composite_difference: float
    files: tuple[FrameFiles, FrameFiles]


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that differs between two snapshots, as text; None where one lacks it."""

    fact: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two snapshots against each other.

    Attributes:
        before: folder of the first.
        after: folder of the second.
        frames: differences by number of the frame.
        changes: what is not the same in versions, weights and settings.
    """

    before: Path
    after: Path
    frames: tuple[FrameDifference, ...]
    changes: tuple[Change, ...]

    @property
    def min_iou(self) -> float:
        """Overlap of the worst frame."""
        return min(frame.iou for frame in self.frames)

    @property
    def mean_iou(self) -> float:
        """Mean overlap of all frames."""
        return float(np.mean([frame.iou for frame in self.frames]))

    @property
    def mean_difference(self) -> float:
        """Mean absolute difference of all masks, 0..1."""
        return float(np.mean([frame.mask_difference for frame in self.frames]))

    @property
    def max_difference(self) -> float:
        """Mean absolute difference of the mask that is farthest off, 0..1."""
        return max(frame.mask_difference for frame in self.frames)

    def worst(self, count: int | None = None) -> list[FrameDifference]:
        """Frames from the smallest overlap upwards, those of equal overlap by their difference."""
        ordered = sorted(self.frames, key=lambda frame: (frame.iou, -frame.mask_difference))
        return ordered[:count]


def compare_snapshots(before: str | Path, after: str | Path) -> Comparison:
    """Compare the masks and composites of two snapshots, frame by frame.

    Raises:
        SourceError: one of them is no snapshot, or lacks a file.
        SettingsError: they hold other frames, or frames of other sizes.
    """
    one, other = read_snapshot(before), read_snapshot(after)
    _check_same_frames(one, other)
    frames = tuple(
        _difference(a, b, other.folder) for a, b in zip(one.frames, other.frames, strict=True)
    )
    return Comparison(one.folder, other.folder, frames, tuple(_changes(one.facts, other.facts)))


def read_pair(pair: tuple[Path, Path]) -> tuple[Image, Image]:
    """The pixels of a file of both snapshots, (H, W, 3) BGR.

    Raises:
        SourceError: one cannot be read.
    """
    return read_image(pair[0]), read_image(pair[1])


def _check_same_frames(one: Snapshot, other: Snapshot) -> None:
    numbers = [[frame.index for frame in snapshot.frames] for snapshot in (one, other)]
    if numbers[0] != numbers[1]:
        listed = [",".join(map(str, indices)) or "none" for indices in numbers]
        raise SettingsError(
            f"has the frames {listed[1]}, not {listed[0]} as {one.folder}",
            subject=other.folder,
            hint=f"take it again with --frames {listed[0]}",
        )
    if not numbers[0]:
        raise SourceError("holds no frames", subject=one.folder, hint="take the snapshot again")


def _difference(before: FrameFiles, after: FrameFiles, folder: Path) -> FrameDifference:
    masks = read_pair((before.mask, after.mask))
    composites = read_pair((before.composite, after.composite))
    for one, other in (masks, composites):
        if one.shape != other.shape:
            raise SettingsError(
                f"frame {after.index} is {_size(other)}, not {_size(one)} as before",
                subject=folder,
                hint="take both snapshots of the same video",
            )
    return FrameDifference(
        index=after.index,
        name=after.name,
        iou=iou(masks[0][..., 0] > HALF, masks[1][..., 0] > HALF),
        mask_difference=_mean_difference(*masks),
        composite_difference=_mean_difference(*composites),
        files=(before, after),
    )


def _mean_difference(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean() / 255)


def _size(pixels: Image) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    one, other = dict(_flat(before)), dict(_flat(after))
    for fact in [*one, *(fact for fact in other if fact not in one)]:
        if one.get(fact) != other.get(fact):
            yield Change(fact, one.get(fact), other.get(fact))


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Facts inside each other as "versions.torch" and text."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif isinstance(value, list):
            yield f"{above}{name}", ", ".join(map(str, value))
        else:
            yield f"{above}{name}", "none" if value is None else str(value)
