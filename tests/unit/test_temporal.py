from fractions import Fraction

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from humanseg.frames import Frame
from humanseg.metrics import temporal_error
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


def test_a_flash_is_damped_and_what_lasts_is_followed():
    smoother = TemporalSmoother(RAW)
    nothing, all_there = np.zeros((36, 64), np.float32), np.ones((36, 64), np.float32)
    masks = [nothing, nothing, all_there, all_there, all_there]
    shown = [smoother.update(frame(SCENE, i), mask).mean() for i, mask in enumerate(masks)]
    assert shown[2] < 0.3
    assert shown[3] > 0.9
    assert shown[4] > 0.99


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


def scenery(width=900):
    """(360, width, 3) soft noise for a camera to pan over."""
    noise = np.random.default_rng(3).integers(0, 255, (360, width, 3)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 8), None, 0, 255, cv2.NORM_MINMAX)


def person_at(left):
    mask = np.zeros((144, 192), np.float32)
    mask[40:120, left : left + 60] = 1
    return cv2.GaussianBlur(mask, (0, 0), 1.5)


def test_flicker_is_averaged_along_the_motion():
    wide, smoother = scenery(), TemporalSmoother()
    random = np.random.default_rng(5)
    truths, raw, smoothed = [], [], []
    for index in range(14):
        truths.append(person_at(110 - 4 * index))
        noise = cv2.GaussianBlur(random.normal(0, 0.6, (144, 192)).astype(np.float32), (0, 0), 2)
        raw.append(np.clip(truths[-1] + noise, 0, 1))
        left = 10 * index
        seen = frame(np.ascontiguousarray(wide[:, left : left + 480]), index)
        smoothed.append(smoother.update(seen, raw[-1]))
    assert np.mean(errors(smoothed, truths)[4:]) < 0.5 * np.mean(errors(raw, truths)[4:])


def errors(masks, truths):
    steps = zip(masks, masks[1:], truths, truths[1:], strict=False)
    return [temporal_error(*step) for step in steps]


def test_a_hand_that_moved_away_leaves_no_trail():
    still = scenery(480)
    smoother = TemporalSmoother(RAW)
    for index in range(8):
        pixels, mask = still.copy(), np.zeros((144, 192), np.float32)
        left = 40 + 45 * index
        pixels[100:220, left : left + 60] = 250
        mask[40:88, int(left * 0.4) : int((left + 60) * 0.4)] = 1
        smoothed = smoother.update(frame(pixels, index), mask)
    assert smoothed[mask == 0].max() < 0.5
    assert smoothed[50:80, int(left * 0.4) + 3 : int((left + 60) * 0.4) - 3].min() > 0.5


def test_a_still_scene_rests_exactly():
    smoother, target = TemporalSmoother(), person_at(60)
    still = scenery(480)
    smoother.update(frame(still, 0), person_at(63))
    smoothed = [smoother.update(frame(still, index), target) for index in range(1, 90)]
    np.testing.assert_array_equal(smoothed[-1], target)
    np.testing.assert_array_equal(smoothed[-1], smoothed[-2])


def test_a_hand_that_turns_unsure_for_a_moment_stays():
    smoother, still = TemporalSmoother(), scenery(480)
    for index in range(5):
        smoother.update(frame(still, index), person_at(60))
    unsure = smoother.update(frame(still, 5), person_at(60) * np.float32(0.45))
    assert unsure[50:110, 65:115].min() > 0.5


def test_look_ahead_sees_through_one_bad_mask():
    still, wrong = scenery(480), {}
    for look_ahead in (0, 2):
        smoother = TemporalSmoother(SmoothingOptions(look_ahead=look_ahead))
        pairs = []
        for index in range(9):
            mask = np.zeros((144, 192), np.float32) if index == 4 else person_at(60)
            pairs += smoother.push(frame(still, index), mask)
        pairs += smoother.flush()
        assert [seen.index for seen, _ in pairs] == list(range(9))
        wrong[look_ahead] = np.abs(pairs[4][1] - person_at(60)).mean()
    assert wrong[2] < wrong[0]


def test_nothing_is_averaged_over_a_cut():
    scenes = [scenery(480), 255 - scenery(480)[::-1]]
    smoother = TemporalSmoother(SmoothingOptions(look_ahead=2))
    masks = [person_at(20), person_at(110)]
    pairs = []
    for index in range(8):
        pairs += smoother.push(frame(scenes[index // 4], index), masks[index // 4])
    pairs += smoother.flush()
    for index, (_, smoothed) in enumerate(pairs):
        np.testing.assert_allclose(smoothed, masks[index // 4], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    look_ahead=st.integers(0, 2),
    steps=st.lists(
        st.tuples(
            st.sampled_from([(36, 64), (64, 36), (128, 96), (1, 1)]),
            st.sampled_from([Fraction(1, 30), Fraction(1, 5), Fraction(2), Fraction(0)]),
            st.integers(0, 255),
        ),
        max_size=12,
    ),
)
def test_every_frame_comes_back_once_in_order_with_a_mask_of_its_own(look_ahead, steps):
    """Whatever changes: the size, the scene, the pace."""
    smoother = TemporalSmoother(SmoothingOptions(look_ahead=look_ahead))
    frames, pairs, now = [], [], Fraction(0)
    for index, (size, pause, level) in enumerate(steps):
        now += pause
        random = np.random.default_rng(level)
        pixels = random.integers(0, 256, (2 * size[0], 2 * size[1], 3), dtype=np.uint8)
        frames.append(Frame(pixels, index, now))
        ready = smoother.push(frames[-1], random.random(size, np.float32))
        assert len(ready) + len(pairs) >= index + 1 - look_ahead
        pairs += ready
    pairs += smoother.flush()
    assert [seen for seen, _ in pairs] == frames
    for (_, mask), (size, _, _) in zip(pairs, steps, strict=True):
        assert mask.shape == size
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert mask.max() <= 1
    assert len({id(mask) for _, mask in pairs}) == len(pairs)


@settings(max_examples=20, deadline=None)
@given(
    look_ahead=st.integers(0, 2),
    seed=st.integers(0, 2**31),
    rates=st.lists(st.sampled_from([5, 30, 120]), min_size=4, max_size=8),
)
def test_masks_never_leave_0_to_1(look_ahead, seed, rates):
    random = np.random.default_rng(seed)
    smoother = TemporalSmoother(SmoothingOptions(look_ahead=look_ahead))
    time, shown = Fraction(0), []
    for index, rate in enumerate(rates):
        pixels = np.roll(SCENE, int(random.integers(-9, 10)), axis=1)
        mask = random.choice([0, 0.1, 0.5, 0.9, 1], (36, 64)).astype(np.float32)
        shown += smoother.push(Frame(pixels, index, time), cv2.GaussianBlur(mask, (0, 0), 2))
        time += Fraction(1, rate)
    shown += smoother.flush()
    assert len(shown) == len(rates)
    for _, mask in shown:
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert mask.max() <= 1
