"""Masks of every second frame: when the networks run, and when the last mask is moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest

from humanseg.frames import Frame
from humanseg.live.masks import MaskMaker
from humanseg.segmenter import Segmenter
from humanseg.testing import BrightnessEngine

HEIGHT, WIDTH = 180, 320
NOISE = np.random.default_rng(3).integers(0, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8)
ROOM = cv2.GaussianBlur(NOISE, (0, 0), 4)


def person_at(left: int, index: int, time: float) -> Frame:
    """A bright square that stands in a dark room."""
    pixels = ROOM.copy()
    pixels[60:, left : left + 80] = 230
    return Frame(pixels, index, Fraction(time))


@pytest.fixture
def engine() -> BrightnessEngine:
    return BrightnessEngine()


@pytest.fixture
def masks(engine: BrightnessEngine) -> Iterator[MaskMaker]:
    """Masks of every second frame, after the first frame."""
    with MaskMaker(lambda preset: Segmenter.from_engine(engine), "fast") as masks:
        masks.make(person_at(100, 0, 0))
        masks.change("fast", 2)
        masks.make(person_at(103, 1, 1 / 30))
        yield masks


def runs(engine: BrightnessEngine, masks: MaskMaker, frames: Iterable[Frame]) -> list[bool]:
    """Whether the networks ran, for each frame."""
    ran = []
    for frame in frames:
        before = len(engine.batches)
        masks.make(frame)
        ran.append(len(engine.batches) > before)
    return ran


def test_the_networks_see_every_second_frame(engine: BrightnessEngine, masks: MaskMaker) -> None:
    walk = (person_at(103 + 3 * step, 1 + step, (1 + step) / 30) for step in range(1, 21))
    ran = runs(engine, masks, walk)
    assert ran == [False, True] * 10 or ran == [True, False] * 10


def test_after_a_gap_the_networks_look_where_people_are_now(
    engine: BrightnessEngine, masks: MaskMaker
) -> None:
    late = (person_at(103 + 3 * step, 1 + step, (1 + 10 * step) / 30) for step in range(1, 7))
    assert all(runs(engine, masks, late))


def test_a_person_who_is_suddenly_elsewhere_is_seen_in_that_frame(
    engine: BrightnessEngine, masks: MaskMaker
) -> None:
    masks.make(person_at(106, 2, 2 / 30))
    jumps = (person_at((20, 220)[step % 2], 2 + step, (2 + step) / 30) for step in range(1, 7))
    assert all(runs(engine, masks, jumps))
