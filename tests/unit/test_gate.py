from fractions import Fraction

import numpy as np
import pytest

from humanseg.frames import Frame
from humanseg.gate import NO_GATE, GateOptions, MotionGate

RANDOM = np.random.default_rng(7)
SCENE = np.repeat(np.repeat(RANDOM.integers(30, 220, (12, 16, 3)), 40, 0), 40, 1)


def frame(pixels, index=0):
    return Frame(np.clip(pixels, 0, 255).astype(np.uint8), index, Fraction(index, 30))


def noisy(gain=1.0):
    return frame(SCENE * gain + RANDOM.normal(0, 5, SCENE.shape))


def test_noise_and_exposure_are_no_motion():
    gate = MotionGate()
    stills = [gate.is_still(noisy(RANDOM.uniform(0.96, 1.04))) for _ in range(10)]
    assert stills == [False, True, True, True, True] * 2
    assert (gate.frames, gate.skipped) == (10, 8)


def test_a_small_thing_that_moves_opens_the_gate():
    gate = MotionGate()
    gate.is_still(frame(SCENE))
    moved = SCENE.copy()
    moved[100:130, 100:130] = 255 - moved[100:130, 100:130]
    assert not gate.is_still(frame(moved))


def test_slow_motion_does_not_creep_through():
    gate = MotionGate(GateOptions(most=1000))
    wide = np.repeat(SCENE, 2, axis=1)
    stills = [gate.is_still(frame(wide[:, shift : shift + 640])) for shift in range(0, 40, 1)]
    in_a_row = "".join("s" if still else "m" for still in stills).split("m")
    assert max(len(run) for run in in_a_row) <= 4


@pytest.mark.parametrize("most", [0, 1, 3])
def test_only_so_many_frames_are_left_out_in_a_row(most):
    gate = MotionGate(GateOptions(most=most))
    stills = [gate.is_still(frame(SCENE, index)) for index in range(12)]
    assert stills == [index % (most + 1) != 0 for index in range(12)]


def test_another_size_or_a_reset_opens_the_gate():
    gate = MotionGate()
    gate.is_still(frame(SCENE))
    assert not gate.is_still(frame(SCENE[:240]))
    assert gate.is_still(frame(SCENE[:240]))
    gate.reset()
    assert not gate.is_still(frame(SCENE[:240]))


def test_black_pictures_are_still():
    gate = MotionGate()
    black = frame(np.zeros_like(SCENE))
    assert [gate.is_still(black) for _ in range(2)] == [False, True]


class Networks:
    """Gives each frame a mask that bears its number."""

    def __init__(self):
        self.seen = []

    def masks(self, frames):
        self.seen += [each.index for each in frames]
        return [np.full((2, 2), each.index, np.float32) for each in frames]


def test_moving_frames_get_their_own_masks_and_still_ones_the_last():
    gate, networks = MotionGate(), Networks()
    other = 255 - SCENE
    scenes = [SCENE, SCENE, other, other, other, SCENE, SCENE, other]
    frames = [frame(pixels, index) for index, pixels in enumerate(scenes)]
    masks = []
    for begin in (0, 3, 6):
        masks += gate.masks(frames[begin : begin + 3], networks.masks)
    assert [int(mask[0, 0]) for mask in masks] == [0, 0, 2, 2, 2, 5, 5, 7]
    assert networks.seen == [0, 2, 5, 7]


def test_a_gate_that_is_off_shows_all_frames_to_the_networks():
    gate, networks = MotionGate(NO_GATE), Networks()
    frames = [frame(SCENE, index) for index in range(5)]
    masks = gate.masks(frames, networks.masks)
    assert [int(mask[0, 0]) for mask in masks] == networks.seen == [0, 1, 2, 3, 4]
    assert gate.skipped == 0
