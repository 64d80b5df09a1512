"""Frames -> masks at network size: resize, batch, infer, average over sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from humanseg.closing import Closing
from humanseg.engines.choose import open_engine
from humanseg.frames import Frame
from humanseg.media.planar import glance
from humanseg.pixels import resize
from humanseg.protocols import Engine, Goal
from humanseg.refine import Refiner
from humanseg.settings import find_preset
from humanseg.sizes import NETWORK_PIXELS, Fit, fit
from humanseg.threads import share

if TYPE_CHECKING:
    from humanseg.frames import Alpha, Image, Mask


class Segmenter(Closing):
    """Finds people in pictures.

    >>> with Segmenter("fast", device="cpu") as segmenter:
    ...     [alpha] = segmenter.predict([np.zeros((90, 160, 3), np.uint8)])
    >>> alpha.shape
    (90, 160)
    """

    def __init__(
        self,
        preset: str = "balanced",
        *,
        device: str = "auto",
        engine: str = "auto",
        threads: int | None = None,
        goal: Goal = "latency",
        exact: bool = False,
    ) -> None:
        """Load the networks of a preset.

        Args:
            preset: "fast", "balanced" or "best".
            device: "auto", "cpu", "cuda" or "mps".
            engine: "auto", "torch", "openvino" or "int8".
            threads: of the processor; None takes all cores.
            goal: "latency" for one picture at a time, "throughput" for several.
            exact: "auto" takes no engine that rounds to 8 bits, whatever the preset allows.

        Raises:
            SettingsError: an unknown name, or a device this machine does not have.
            MissingExtraError: OpenVINO is asked for and not installed.
            WeightsError: weights are missing or damaged.
        """
        chosen = find_preset(preset)
        self._areas = chosen.areas
        self._engine = open_engine(
            chosen.models,
            engine=engine,
            device=device,
            threads=share(threads).infer,
            goal=goal,
            exact=exact or chosen.exact,
        )
        self._refiner = Refiner(chosen.refine)

    @classmethod
    def from_engine(cls, engine: Engine, *, areas: Sequence[int] = (NETWORK_PIXELS,)) -> Self:
        """Make a segmenter of an engine that is open already; it is closed with the segmenter."""
        segmenter = cls.__new__(cls)
        segmenter._areas = tuple(areas)
        segmenter._engine, segmenter._refiner = engine, Refiner()
        return segmenter

    @property
    def engine_name(self) -> str:
        """What runs the networks, and where."""
        return self._engine.name

    def predict(self, frames: Sequence[Frame | Image]) -> list[Alpha]:
        """Alphas of pictures, each for itself, along the pictures' own edges.

        Args:
            frames: frames, or (H, W, 3) uint8 BGR arrays; sizes may differ.

        Returns:
            One (H, W) float32 array 0..1 a picture.
        """
        masks = self.masks(frames)
        return [
            self._refiner.refine(_pixels(frame), mask)
            for frame, mask in zip(frames, masks, strict=True)
        ]

    def masks(self, frames: Sequence[Frame | Image]) -> list[Mask]:
        """Masks at network size, (h, w) float32 0..1, in the shape of each picture.

        Where the networks see several sizes, it is the largest of them.

        Args:
            frames: frames, or (H, W, 3) uint8 BGR arrays; sizes may differ.
        """
        groups: dict[tuple[int, int], list[int]] = {}
        for index, frame in enumerate(frames):
            height, width = _size(frame)
            groups.setdefault((height, width), []).append(index)
        masks: dict[int, Mask] = {}
        for (height, width), indices in groups.items():
            places = [fit(height, width, pixels=area) for area in self._areas]
            alike = [frames[index] for index in indices]
            found = (self._masks_at(alike, place) for place in places)
            masks.update(zip(indices, map(_mean, zip(*found, strict=True)), strict=True))
        return [masks[index] for index in range(len(frames))]

    def _masks_at(self, frames: Sequence[Frame | Image], place: Fit) -> list[Mask]:
        """Masks of frames of one size, as the networks see them at one place."""
        inputs = np.stack([_shrink(_glance(frame, place), place) for frame in frames])
        return [_crop(mask, place) for mask in self._engine.infer(inputs)]

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def _pixels(frame: Frame | Image) -> Image:
    return frame.pixels if isinstance(frame, Frame) else frame


def _size(frame: Frame | Image) -> tuple[int, int]:
    if isinstance(frame, Frame):
        return frame.height, frame.width
    return int(frame.shape[0]), int(frame.shape[1])


def _glance(frame: Frame | Image, place: Fit) -> Image:
    """BGR pixels of at least the size the networks see."""
    if isinstance(frame, Frame):
        return glance(frame, place.height, place.width).pixels
    return frame


def _shrink(pixels: Image, place: Fit) -> Image:
    small = resize(pixels, place.height, place.width)
    below = place.input_height - place.height - place.top
    right = place.input_width - place.width - place.left
    if place.top or place.left or below or right:
        padding = ((place.top, below), (place.left, right), (0, 0))
        small = np.pad(small, padding, mode="edge")
    return small


def _crop(mask: Mask, place: Fit) -> Mask:
    inner = mask[place.top : place.top + place.height, place.left : place.left + place.width]
    return np.ascontiguousarray(inner)


def _mean(masks: Sequence[Mask]) -> Mask:
    """The mean of masks of one frame, at the size of the largest."""
    if len(masks) == 1:
        return masks[0]
    height, width = max(mask.shape for mask in masks)
    total = sum(resize(mask, height, width) for mask in masks)
    return np.asarray(total * np.float32(1 / len(masks)), np.float32)
