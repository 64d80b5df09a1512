"""Scaling: the same pixels, whether halves are kept or made anew."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from humanseg import pixels
from humanseg.pixels import resize

SIZES = [(360, 640), (180, 320), (126, 224), (361, 640), (720, 1280), (800, 1300)]


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (720, 1280, 3), np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_nobody_writes_to_is_scaled_as_any_other(size: tuple[int, int]) -> None:
    free, kept = picture(), picture()
    kept.flags.writeable = False
    expected = resize(free, *size)
    assert expected.shape[:2] == size
    for _ in range(2):
        assert np.array_equal(resize(kept, *size), expected)


def test_the_half_of_a_picture_that_stays_as_it_is_is_made_once() -> None:
    kept = picture()
    kept.flags.writeable = False
    half = resize(kept, 360, 640)
    assert resize(kept, 360, 640) is half
    assert not half.flags.writeable


def test_a_picture_that_may_change_is_scaled_anew() -> None:
    free = picture()
    before = resize(free, 360, 640)
    free[:] = 7
    assert (resize(free, 360, 640) == 7).all()
    assert before.flags.writeable
    assert not (before == 7).all()


def test_halves_go_with_their_pictures() -> None:
    gc.collect()
    count = len(pixels._halves)
    for seed in range(20):
        kept = picture(seed)
        kept.flags.writeable = False
        half = weakref.ref(resize(kept, 360, 640))
        resize(kept, 126, 224)
        assert len(pixels._halves) > count
    del kept
    gc.collect()
    assert len(pixels._halves) == count
    assert half() is None
