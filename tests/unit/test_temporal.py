from fractions import Fraction

import numpy as np

from humanseg.frames import Frame
from humanseg.temporal import SmoothingOptions, TemporalSmoother

RANDOM = np.random.default_rng(2)
ROWS, COLUMNS = np.mgrid[:90, :160]
SCENE = np.dstack([COLUMNS + 40, ROWS * 2, COLUMNS // 2 + ROWS]).astype(np.uint8)
OTHER = np.ascontiguousarray(255 - SCENE[::-1])
RAW = SmoothingOptions(parts=None)
"""Masks of noise are nothing but specks."""


def frame(pixels, index, rate=30):
    return Frame(pixels, index, Fraction(index, rate))


def noisy_mask():
    return np.clip(0.5 + RANDOM.normal(0, 0.2, (36, 64)), 0, 1).astype(np.float32)


def test_a_still_scene_comes_to_rest_on_its_mask():
    smoother = TemporalSmoother(RAW)
    target = noisy_mask()
    smoother.update(frame(SCENE, 0), noisy_mask())
    for index in range(1, 60):
        smoothed = smoother.update(frame(SCENE, index), target)
    np.testing.assert_allclose(smoothed, target, atol=1e-4)


def test_noise_in_the_masks_of_a_still_scene_is_reduced():
    smoother = TemporalSmoother(RAW)
    raw = [noisy_mask() for _ in range(40)]
    smoothed = [smoother.update(frame(SCENE, i), mask) for i, mask in enumerate(raw)]
    flicker = np.abs(np.diff(raw[10:], axis=0)).mean()
    assert np.abs(np.diff(smoothed[10:], axis=0)).mean() < 0.5 * flicker


def test_where_the_picture_moves_the_new_mask_counts():
    smoother = TemporalSmoother(RAW)
    before, after = np.zeros((36, 64), np.float32), np.ones((36, 64), np.float32)
    pixels = np.full((90, 160, 3), 60, np.uint8)
    moved = pixels.copy()
    moved[:, 110:] = 220
    smoother.update(frame(pixels, 0), before)
    smoothed = smoother.update(frame(moved, 1), after)
    assert smoothed[:, 50:].min() > 0.99
    assert smoothed[:, :30].max() < 0.5


def test_a_scene_cut_starts_anew():
    smoother = TemporalSmoother(RAW)
    smoother.update(frame(SCENE, 0), np.zeros((36, 64), np.float32))
    new = noisy_mask()
    np.testing.assert_array_equal(smoother.update(frame(OTHER, 1), new), new)


def test_a_fade_to_white_is_no_step_of_exposure():
    smoother = TemporalSmoother(RAW)
    smoother.update(frame(np.zeros_like(SCENE), 0), np.zeros((36, 64), np.float32))
    white = smoother.update(frame(np.full_like(SCENE, 255), 1), np.ones((36, 64), np.float32))
    assert white.min() == 1


def test_another_size_starts_anew():
    smoother = TemporalSmoother(RAW)
    smoother.update(frame(SCENE, 0), np.zeros((36, 64), np.float32))
    new = np.ones((64, 36), np.float32)
    turned = np.ascontiguousarray(SCENE.transpose(1, 0, 2))
    np.testing.assert_array_equal(smoother.update(frame(turned, 1), new), new)


def test_a_gap_in_time_starts_anew():
    smoother = TemporalSmoother(RAW)
    smoother.update(frame(SCENE, 0), np.zeros((36, 64), np.float32))
    new = noisy_mask()
    np.testing.assert_array_equal(smoother.update(frame(SCENE, 90), new), new)


def test_an_exposure_step_is_no_motion():
    smoother = TemporalSmoother(RAW)
    dark = (SCENE // 2).astype(np.uint8)
    smoother.update(frame(dark, 0), np.zeros((36, 64), np.float32))
    brighter = smoother.update(frame(dark + 12, 1), np.ones((36, 64), np.float32))
    assert brighter.mean() < 0.5


def test_fewer_frames_a_second_give_each_more_weight():
    results = []
    for rate in (60, 30, 15):
        smoother = TemporalSmoother(RAW)
        smoother.update(frame(SCENE, 0, rate), np.zeros((36, 64), np.float32))
        results.append(smoother.update(frame(SCENE, 1, rate), np.ones((36, 64), np.float32)).mean())
    assert results[0] < results[1] < results[2]


def test_weight_one_switches_smoothing_off():
    smoother = TemporalSmoother(SmoothingOptions(1.0, 1.0, parts=None))
    smoother.update(frame(SCENE, 0), noisy_mask())
    new = noisy_mask()
    np.testing.assert_allclose(smoother.update(frame(SCENE, 1), new), new, atol=1e-6)


def test_reset_forgets_and_results_are_the_callers_own():
    smoother = TemporalSmoother(RAW)
    first = smoother.update(frame(SCENE, 0), np.zeros((36, 64), np.float32))
    first += 1
    assert smoother.update(frame(SCENE, 1), np.zeros((36, 64), np.float32)).max() == 0
    smoother.reset()
    new = noisy_mask()
    np.testing.assert_array_equal(smoother.update(frame(SCENE, 2), new), new)
