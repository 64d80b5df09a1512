"""Scores of a network on a folder of pictures and masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from humanseg.metrics import boundary_f, dice, iou
from humanseg_training.config import DataSet
from humanseg_training.data import list_pairs, read_pairs
from humanseg_training.predict import Predict, predict_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

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

    def table(self) -> dict[str, float]:
        """Scores by name, rounded as cards and logs hold them."""
        return {
            "dice": round(self.dice, 4),
            "pooled_dice": round(self.pooled_dice, 4),
            "iou": round(self.iou, 4),
            "boundary_f": round(self.boundary_f, 4),
        }


@dataclass(frozen=True, slots=True)
class Truths:
    """A set of pictures to score on, held in memory.

    Attributes:
        names: file names of the pictures.
        images: (H, W, 3) uint8 RGB each; sizes may differ.
        masks: (H, W) bool each.
    """

    names: tuple[str, ...]
    images: tuple[NDArray[np.uint8], ...]
    masks: tuple[NDArray[np.bool_], ...]


def read_truths(root: Path, data: DataSet) -> Truths:
    """Read a set to score on.

    Raises:
        TrainingDataError: the set is missing or damaged; every fault is named.
    """
    pairs = list_pairs(root, data)
    read = read_pairs(pairs)
    return Truths(
        tuple(pair.image.name for pair in pairs),
        tuple(image for image, _ in read),
        tuple(mask > 127 for _, mask in read),
    )


def score_picture(
    name: str, prediction: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> PictureScore:
    """All scores of one picture; prediction and truth (H, W)."""
    return PictureScore(
        name, dice(prediction, truth), iou(prediction, truth), boundary_f(prediction, truth)
    )


class Tally:
    """Adds up the scores of one predictor, picture by picture."""

    def __init__(self) -> None:
        self._pictures: list[PictureScore] = []
        self._overlap = self._total = 0

    def add(self, name: str, alpha: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
        """Score one picture; alpha 0..1 and truth (H, W)."""
        found = alpha > THRESHOLD
        self._pictures.append(score_picture(name, found, truth))
        self._overlap += int((found & truth).sum())
        self._total += int(found.sum()) + int(truth.sum())

    def scores(self) -> Scores:
        """Scores of all pictures so far."""
        pooled = 2 * self._overlap / self._total if self._total else 1.0
        return Scores(tuple(self._pictures), pooled)


def score(truths: Truths, predict: Predict) -> Scores:
    """Score a predictor on pictures in memory."""
    tally = Tally()
    alphas = predict_all(list(truths.images), predict)
    for name, alpha, truth in zip(truths.names, alphas, truths.masks, strict=True):
        tally.add(name, alpha, truth)
    return tally.scores()


def evaluate(root: Path, data: DataSet, predict: Predict) -> Scores:
    """Score a predictor on all pictures of a set.

    Raises:
        TrainingDataError: the set is missing or damaged.
    """
    return score(read_truths(root, data), predict)
