"""Fixtures that several files of unit tests use: a drawn data set that a tiny network can learn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Bright blobs before dark walls, the blob being the person: 24 to train on and 4 to score."""
    random = np.random.default_rng(0)
    for folder, count in (("train", 24), ("valid", 4)):
        (tmp_path / folder / "images").mkdir(parents=True)
        (tmp_path / folder / "masks").mkdir()
        for index in range(count):
            image = random.integers(0, 70, (80, 60, 3), np.uint8)
            mask = np.zeros((80, 60), np.uint8)
            centre = (int(random.integers(20, 40)), int(random.integers(40, 60)))
            cv2.ellipse(mask, centre, (14, 26), 0, 0, 360, 255, -1)
            image[mask > 0] = random.integers(180, 255, (int((mask > 0).sum()), 3), np.uint8)
            cv2.imwrite(str(tmp_path / folder / "images" / f"{index}.png"), image)
            cv2.imwrite(str(tmp_path / folder / "masks" / f"{index}.png"), mask)
    (tmp_path / "walls").mkdir()
    for index in range(3):
        wall = random.integers(0, 70, (80, 60, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "walls" / f"{index}.png"), wall)
    return tmp_path


@pytest.fixture
def small_config() -> Callable[..., Any]:
    """`small_config(**changes) -> Config`: four epochs of a tiny network on the blobs."""

    def make(**changes: Any) -> Any:
        from humanseg_training.config import Augmentation, Config, DataSet, Stage

        config = Config(
            name="tiny",
            network="linknet",
            width=8,
            data=(DataSet("train/images", "train/masks"),),
            validation=DataSet("valid/images", "valid/masks"),
            backgrounds="walls",
            stages=(Stage(pixels=32 * 32, epochs=4, learning_rate=1e-2),),
            augmentation=Augmentation(colour=0.5),
            holdout=6,
            batch=4,
        )
        return dataclasses.replace(config, **changes)

    return make
