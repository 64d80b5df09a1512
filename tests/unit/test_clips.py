"""Clips with known truth, and the scores of masks on them."""

import cv2
import numpy as np
import pytest

from humanseg.gate import GateOptions
from humanseg.segmenter import Segmenter
from humanseg.temporal import SmoothingOptions
from humanseg.testing import BrightnessEngine
from humanseg_training import stability
from humanseg_training.clips import KINDS, Degradation, Shot, Still, make_clip
from humanseg_training.cutouts import background_behind, cut_out

CLEAN = Degradation(exposure=0, noise=0, quality=100)


def still(height=160, width=120):
    """A bright person before a dark wall with stripes."""
    pixels = np.full((height, width, 3), (40, 50, 60), np.uint8)
    pixels[:, ::8] = (60, 70, 80)
    alpha = np.zeros((height, width), np.uint8)
    cv2.ellipse(alpha, ((60, 60), (44, 56), 0), 255, -1)
    cv2.rectangle(alpha, (20, 90), (100, 160), 255, -1)
    pixels[alpha > 0] = (235, 240, 245)
    return Still("person", pixels, cv2.GaussianBlur(alpha, (3, 3), 0).astype(np.float32) / 255)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_and_truth_move_together(kind):
    shots = list(make_clip(still(), kind, frames=12, degradation=CLEAN))
    for shot in shots:
        assert (shot.pixels.shape, shot.truth.shape) == ((160, 120, 3), (160, 120))
        assert (shot.pixels.dtype, shot.truth.dtype) == (np.uint8, np.float32)
        bright, person = shot.pixels.min(axis=2) > 110, shot.truth > 0.5
        assert (bright != person).mean() < 0.03
    moved = max(np.abs(shot.truth - shots[0].truth).max() for shot in shots)
    assert moved == 0 if kind == "still" else moved > 0.9


def test_a_clip_is_the_same_every_time_and_its_seed_changes_it():
    first, again, other = (
        [shot.pixels for shot in make_clip(still(), "pan", frames=3, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_degradation_changes_the_picture_and_not_the_truth():
    [clean] = make_clip(still(), "still", frames=1, degradation=CLEAN)
    rough = list(make_clip(still(), "still", frames=8))
    assert all(np.array_equal(shot.truth, clean.truth) for shot in rough)
    difference = np.abs(rough[0].pixels.astype(int) - clean.pixels).mean()
    assert 2 < difference < 15
    levels = [float(np.median(shot.pixels)) for shot in rough]
    assert max(levels) > min(levels)


def test_only_a_waving_hand_has_a_fast_part_and_the_hand_is_in_it():
    shots = list(make_clip(still(), "hand wave", frames=16))
    rows, columns = shots[0].fast
    change = np.ptp([shot.truth for shot in shots], axis=0)
    assert change[rows, columns].mean() > 3 * change.mean()
    assert next(make_clip(still(), "zoom", frames=1)).fast is None


def test_the_wall_is_filled_in_behind_the_person():
    person = still()
    filled = background_behind(person.pixels, person.alpha)
    assert filled.max() < 130
    away = person.alpha == 0
    away[:, 15:105] = False
    assert np.array_equal(filled[away], person.pixels[away].astype(np.float32))
    layer = cut_out(person.pixels, person.alpha)
    again = layer.over(filled)
    assert np.abs(again - person.pixels)[person.alpha > 0.99].max() <= 1


def tally(alphas, truths):
    scored = stability.Tally()
    for alpha, truth in zip(alphas, truths, strict=True):
        scored.add(alpha, Shot(np.zeros((*truth.shape, 3), np.uint8), truth))
    return scored.figures()


def test_perfect_masks_have_perfect_scores():
    truths = [shot.truth for shot in make_clip(still(), "rotation", frames=5)]
    figures = tally(truths, truths)
    assert (figures.dice, figures.boundary_f, figures.temporal_error) == (1, 1, 0)
    assert figures.fast_boundary_f is None


def test_flicker_costs_steadiness_and_a_standing_error_does_not():
    truths = [shot.truth for shot in make_clip(still(), "still", frames=6)]
    standing = [np.maximum(truth, 0.3) for truth in truths]
    flickering = [np.maximum(truth, 0.3 * (i % 2)) for i, truth in enumerate(truths)]
    assert tally(standing, truths).temporal_error == pytest.approx(0)
    assert tally(flickering, truths).temporal_error > 15


@pytest.fixture
def data(tmp_path):
    """A folder of data with three stills."""
    for name, folder in (("pixels", "mil/valid"), ("alpha", "mil/valid_mask")):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(3):
            picture = still().pixels if name == "pixels" else (still().alpha * 255).round()
            suffix = "jpg" if name == "pixels" else "png"
            assert cv2.imwrite(str(tmp_path / folder / f"{number}.{suffix}"), picture)
    return tmp_path


def test_clips_take_turns_in_stills_and_kinds(data):
    clips = [stability.made_clip(data, number, frames=1) for number in range(3)]
    assert sorted(clip.name for clip in clips) == ["0", "1", "2"]
    assert [clip.kind for clip in clips] == list(KINDS)[:3]
    assert clips[0].shots[0].pixels.shape == (640, 480, 3)


def test_smoothing_and_gate_are_scored_beside_single_masks(data):
    clip = stability.made_clip(data, 0, frames=8)
    treatments = {
        "single": stability.single,
        "smoothed": stability.smoothed(SmoothingOptions(look_ahead=2)),
        "gated": stability.gated(GateOptions(most=3), stability.single),
    }
    with Segmenter.from_engine(BrightnessEngine()) as segmenter:
        scores = list(stability.score(clip, "fast", segmenter, treatments))
    assert [score.treatment for score in scores] == list(treatments)
    single, smoothed, gated = (score.figures for score in scores)
    assert smoothed.temporal_error < single.temporal_error
    assert (single.inferred, smoothed.inferred, gated.inferred) == (1, 1, 0.25)
    mean = stability.mean_figures([single, gated])
    assert mean.inferred == 0.625
    assert mean.dice == pytest.approx((single.dice + gated.dice) / 2)


def test_the_sample_has_exact_truth():
    clip = stability.sample_clip(stability_samples(), frames=2)
    assert [shot.truth.shape for shot in clip.shots] == [(360, 640)] * 2
    assert clip.kind == stability.SAMPLE
    assert 0.05 < clip.shots[0].truth.mean() < 0.8


def stability_samples():
    from humanseg_cli.bench_stability import SAMPLES

    if not (SAMPLES / "alpha").is_dir():
        pytest.skip("the sample is not installed with the package")
    return SAMPLES
