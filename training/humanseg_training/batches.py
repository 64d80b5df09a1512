"""Training batches in memory: a pure function of seed and step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from humanseg.errors import TrainingDataError
from humanseg.sizes import input_size
from humanseg_training.augment import Augmenter, Sample
from humanseg_training.config import Config, DataSet, Stage
from humanseg_training.data import (
    Faults,
    Pair,
    is_held_out,
    list_images,
    list_pairs,
    read_image,
    read_pair,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_SHAPES = (((4, 3), 0.4), ((3, 4), 0.2), ((9, 16), 0.25), ((1, 1), 0.15))
"""Shapes of frames (height, width) that networks meet in use, and how often training shows each."""

STUDY_SHAPES = (((4, 3), 1.0),)
"""The study's networks saw portrait format only."""

AREA_STREAM = 2**31
"""Sets the random numbers of a step's area apart from those of its samples."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's samples.

    Attributes:
        images: (N, 3, h, w) float32, RGB 0..1.
        masks: (N, 1, h, w) float32, 0..1.
        weights: (N, 1, h, w) float32, of each pixel in the loss.
        names: of the picture that each sample was made from.
        views: (N, 3, h, w) float32, RGB 0..1: second views of the images; None without consistency.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.float32]
    weights: NDArray[np.float32]
    names: tuple[str, ...]
    views: NDArray[np.float32] | None = None


class Batches:
    """All training pictures in memory; `batch(step, ...)` depends only on the seed and the step.

    A run that is resumed therefore sees the very batches it would have seen, and each of several
    processes makes its own part of them.
    """

    def __init__(self, config: Config, root: Path) -> None:
        """Read all sets and backgrounds.

        Raises:
            TrainingDataError: something is missing or wrong; all of it is named.
        """
        self._config = config
        faults = Faults()
        self._sets = [_read_set(root, data, config.holdout, faults) for data in config.data]
        backgrounds: list[NDArray[np.uint8]] = []
        if config.backgrounds:
            with faults.collected():
                for path in list_images(root / config.backgrounds):
                    with faults.collected():
                        backgrounds.append(read_image(path))
        faults.raise_any()
        for data, samples in zip(config.data, self._sets, strict=True):
            if not samples:
                hint = f"its pictures are all kept out by holdout = {config.holdout}"
                raise TrainingDataError("has nothing to train on", subject=data.name, hint=hint)
        shares = np.array([data.share for data in config.data])
        self._shares = shares / shares.sum()
        self._augmenter = Augmenter(config.augmentation, backgrounds)
        ours = config.augmentation.set == "ours"
        self._shapes = FRAME_SHAPES if ours else STUDY_SHAPES

    @property
    def picture_count(self) -> int:
        """Pictures that may be trained on: the length of an epoch in samples."""
        return sum(len(samples) for samples in self._sets)

    def area(self, step: int, stage: Stage) -> int:
        """Pixels of a step's samples: the stage's, or drawn between its two (even in logarithm)."""
        if stage.pixels_up_to <= stage.pixels:
            return stage.pixels
        random = np.random.default_rng([self._config.seed, step, AREA_STREAM])
        share = float(random.random())
        smallest, largest = math.log(stage.pixels), math.log(stage.pixels_up_to)
        return round(math.exp(smallest + share * (largest - smallest)))

    def batch(self, step: int, *, pixels: int, part: int = 0, parts: int = 1) -> Batch:
        """Make the batch of one step; all its samples have one shape of the size rule.

        Args:
            step: counted from 0.
            pixels: area of the samples.
            part: which of the `parts` of the batch to make; the same samples in all.
            parts: number of processes that share the batch.
        """
        random = np.random.default_rng([self._config.seed, step])
        shapes = [shape for shape, _ in self._shapes]
        chosen = random.choice(len(shapes), p=[chance for _, chance in self._shapes])
        size = input_size(*shapes[chosen], pixels=pixels)
        own = range(self._config.batch)[part::parts]
        samples = [self._draw(step, index, size) for index in own]
        views = None
        if self._config.consistency:
            randoms = (np.random.default_rng([self._config.seed, step, i, 1]) for i in own)
            pairs = zip(randoms, samples, strict=True)
            views = _planes([self._augmenter.recolour(random, s).image for random, s in pairs])
        return Batch(
            _planes([sample.image for sample in samples]),
            _unit(np.stack([sample.mask for sample in samples])[:, None]),
            _unit(np.stack([sample.weight for sample in samples])[:, None]),
            tuple(sample.name for sample in samples),
            views,
        )

    def _draw(self, step: int, index: int, size: tuple[int, int]) -> Sample:
        # A sample's own random numbers: it is the same in whichever process it is made.
        random = np.random.default_rng([self._config.seed, step, index])
        return self._augmenter.augment(random, self._pick(random), self._pick, *size)

    def _pick(self, random: np.random.Generator) -> Sample:
        samples = self._sets[random.choice(len(self._sets), p=self._shares)]
        return samples[random.integers(len(samples))]


def _planes(images: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    return _unit(np.stack(images).transpose(0, 3, 1, 2))


def _unit(numbers: NDArray[np.uint8]) -> NDArray[np.float32]:
    """0..255 -> 0..1."""
    return np.ascontiguousarray(numbers) * np.float32(1 / 255)


def _read_set(root: Path, data: DataSet, holdout: int, faults: Faults) -> list[Sample]:
    samples: list[Sample] = []
    with faults.collected():
        for pair in list_pairs(root, data):
            if not is_held_out(pair.image, holdout):
                with faults.collected():
                    samples.append(_sample(pair, data))
    return samples


def _sample(pair: Pair, data: DataSet) -> Sample:
    image, mask = read_pair(pair)
    unsure = (mask > data.ignore_low * 255) & (mask < data.ignore_high * 255)
    weight = np.full(mask.shape, round(255 * min(1.0, data.weight * pair.weight)), np.uint8)
    weight[unsure] = 0
    return Sample(image, mask, weight, str(pair.image))
