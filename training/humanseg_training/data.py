"""Pictures and masks on disk -> training batches, a pure function of seed and step."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.errors import SourceError, TrainingDataError
from humanseg.sizes import input_size
from humanseg.sources import images
from humanseg_training.augment import Augmenter, Sample
from humanseg_training.config import Config, DataSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})

FRAME_SHAPES = (((4, 3), 0.4), ((3, 4), 0.2), ((9, 16), 0.25), ((1, 1), 0.15))
"""Shapes of frames (height, width) that networks meet in use, and how often training shows each."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Paths of a picture and its mask."""

    image: Path
    mask: Path


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
        TrainingDataError: a folder is missing or empty, or a picture has no mask.
    """
    masks = {path.stem: path for path in list_images(root / data.masks)}
    pairs: list[Pair] = []
    for image in list_images(root / data.images):
        if image.stem not in masks:
            raise TrainingDataError(
                "has no mask", subject=image, hint=f"expected {root / data.masks / image.stem}.png"
            )
        pairs.append(Pair(image, masks[image.stem]))
    return pairs


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
        TrainingDataError: it is not a readable picture.
    """
    return np.asarray(cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY), np.uint8)


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


def is_held_out(path: Path, every: int) -> bool:
    """Whether a picture is kept out of training; depends on nothing but its name."""
    return every > 0 and zlib.crc32(path.stem.encode()) % every == 0


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's samples.

    Attributes:
        images: (N, 3, h, w) float32, RGB 0..1.
        masks: (N, 1, h, w) float32, 0..1.
        weights: (N, 1, h, w) float32, of each pixel in the loss.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.float32]
    weights: NDArray[np.float32]


class Batches:
    """All training pictures in memory; `batch(step, ...)` depends only on the seed and the step.

    A run that is resumed therefore sees the very batches it would have seen.
    """

    def __init__(self, config: Config, root: Path) -> None:
        self._config = config
        self._sets: list[list[Sample]] = [
            [
                _sample(pair, data)
                for pair in list_pairs(root, data)
                if not is_held_out(pair.image, config.holdout)
            ]
            for data in config.data
        ]
        shares = np.array([data.share for data in config.data])
        self._shares = shares / shares.sum()
        backgrounds = [read_image(path) for path in list_images(root / config.backgrounds)]
        self._augmenter = Augmenter(config.augmentation, backgrounds)

    @property
    def picture_count(self) -> int:
        """Pictures that may be trained on: the length of an epoch in samples."""
        return sum(len(samples) for samples in self._sets)

    def batch(self, step: int, *, pixels: int) -> Batch:
        """Make the batch of one step; all its samples have one shape of the size rule."""
        random = np.random.default_rng([self._config.seed, step])
        shapes = [shape for shape, _ in FRAME_SHAPES]
        chosen = random.choice(len(shapes), p=[chance for _, chance in FRAME_SHAPES])
        height, width = input_size(*shapes[chosen], pixels=pixels)
        samples = [self._draw(random, height, width) for _ in range(self._config.batch)]
        images = np.stack([sample.image for sample in samples]).transpose(0, 3, 1, 2)
        return Batch(
            _unit(images),
            _unit(np.stack([sample.mask for sample in samples])[:, None]),
            _unit(np.stack([sample.weight for sample in samples])[:, None]),
        )

    def _draw(self, random: np.random.Generator, height: int, width: int) -> Sample:
        return self._augmenter.augment(random, self._pick(random), self._pick, height, width)

    def _pick(self, random: np.random.Generator) -> Sample:
        samples = self._sets[random.choice(len(self._sets), p=self._shares)]
        return samples[random.integers(len(samples))]


def _unit(numbers: NDArray[np.uint8]) -> NDArray[np.float32]:
    """0..255 -> 0..1."""
    return np.ascontiguousarray(numbers) * np.float32(1 / 255)


def _sample(pair: Pair, data: DataSet) -> Sample:
    image, mask = read_pair(pair)
    unsure = (mask > data.ignore_low * 255) & (mask < data.ignore_high * 255)
    weight = np.full(mask.shape, round(255 * data.weight), np.uint8)
    weight[unsure] = 0
    return Sample(image, mask, weight)
