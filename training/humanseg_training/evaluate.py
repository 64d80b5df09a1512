"""Scores of a network on a folder of pictures and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.metrics import boundary_f, dice, iou
from humanseg_training.config import DataSet
from humanseg_training.data import list_pairs, read_pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

Predict = Callable[[Sequence["NDArray[np.uint8]"]], Sequence["NDArray[np.float32]"]]
"""Pictures (H, W, 3) RGB of one size -> alphas (H, W) 0..1 of that size."""

CHUNK = 16
THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class PictureScore:
    """Scores of one picture, at the truth's size and threshold 0.5."""

    name: str
    dice: float
    iou: float
    boundary_f: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the pictures of a set, and Dice over all its pixels together."""

    pictures: tuple[PictureScore, ...]
    pooled_dice: float

    @property
    def dice(self) -> float:
        """Mean of the pictures' Dice."""
        return float(np.mean([picture.dice for picture in self.pictures]))

    @property
    def iou(self) -> float:
        """Mean of the pictures' IoU."""
        return float(np.mean([picture.iou for picture in self.pictures]))

    @property
    def boundary_f(self) -> float:
        """Mean of the pictures' boundary F."""
        return float(np.mean([picture.boundary_f for picture in self.pictures]))


def evaluate(root: Path, data: DataSet, predict: Predict) -> Scores:
    """Score a predictor on all pictures of a set.

    Raises:
        TrainingDataError: the set is missing or damaged.
    """
    names, images, truths = [], [], []
    for pair in list_pairs(root, data):
        image, mask = read_pair(pair)
        names.append(pair.image.name)
        images.append(image)
        truths.append(mask > 127)
    predictions = [alpha > THRESHOLD for alpha in _predict_by_size(images, predict)]
    overlap = sum(int((p & t).sum()) for p, t in zip(predictions, truths, strict=True))
    total = sum(int(p.sum()) + int(t.sum()) for p, t in zip(predictions, truths, strict=True))
    pictures = tuple(
        PictureScore(name, dice(p, t), iou(p, t), boundary_f(p, t))
        for name, p, t in zip(names, predictions, truths, strict=True)
    )
    return Scores(pictures, 2 * overlap / total if total else 1.0)


def _predict_by_size(
    images: list[NDArray[np.uint8]], predict: Predict
) -> list[NDArray[np.float32]]:
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        by_size.setdefault(image.shape, []).append(index)
    alphas: dict[int, NDArray[np.float32]] = {}
    for indices in by_size.values():
        for begin in range(0, len(indices), CHUNK):
            chunk = indices[begin : begin + CHUNK]
            results = predict([images[index] for index in chunk])
            alphas.update(zip(chunk, results, strict=True))
    return [alphas[index] for index in range(len(images))]


def enlarge(masks: NDArray[np.float32], height: int, width: int) -> list[NDArray[np.float32]]:
    """Bilinear enlargement of (N, h, w) masks to the pictures' size."""
    return [
        np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        for mask in masks
    ]


def preset_predictor(preset: str, *, engine: str = "auto", threads: int | None = None) -> Predict:
    """Predict as a user's picture is predicted: networks, refinement and all.

    Raises:
        SettingsError: no such preset or engine.
        WeightsError: weights are missing or damaged.
    """
    from humanseg.segmenter import Segmenter

    segmenter = Segmenter(preset, device="cpu", engine=engine, threads=threads)

    def predict(images: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.float32]]:
        return segmenter.predict([np.ascontiguousarray(image[..., ::-1]) for image in images])

    return predict
