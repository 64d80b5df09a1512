"""Augmentations: what happens to a picture also happens to its mask, and nothing else does."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("albumentations", reason="the extra 'training' is not installed")

from humanseg_training import damage
from humanseg_training.augment import Augmenter, Sample
from humanseg_training.batches import Batches
from humanseg_training.config import Augmentation, Stage
from humanseg_training.limbs import reach_in

QUIET = Augmentation(
    empty=0,
    replace_background=0,
    zoom_out=0,
    second_person=0,
    cut_by_edge=0,
    occlusion=0,
    colour=0,
    low_light=0,
    mixed_light=0,
    webcam=0,
    h264=0,
)
DAMAGES = (damage.low_light, damage.mixed_light, damage.webcam, damage.h264)


def blob():
    """A white person in the middle of black."""
    mask = np.zeros((96, 72), np.uint8)
    cv2.ellipse(mask, (36, 48), (16, 30), 0, 0, 360, 255, -1)
    image = np.repeat(mask[..., None], 3, axis=2)
    return Sample(image, mask, np.full_like(mask, 255), "blob.png")


def wall():
    return np.full((96, 72, 3), (90, 20, 160), np.uint8)


def augment(options, seed=0, backgrounds=None, size=(96, 64)):
    augmenter = Augmenter(options, [wall()] if backgrounds is None else backgrounds)
    return augmenter.augment(np.random.default_rng(seed), blob(), lambda random: blob(), *size)


def picture(height=96, width=64):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 2, columns * 3, 128 + 0 * rows], axis=2).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", DAMAGES, ids=lambda change: change.__name__)
def test_damage_changes_the_picture_the_same_way_each_time(change):
    before = picture()
    one, two, other = (change(np.random.default_rng(seed), before) for seed in (1, 1, 2))
    assert one.shape == before.shape
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    assert np.abs(one.astype(int) - before).mean() > 0.5
    np.testing.assert_array_equal(before, picture())


@pytest.mark.parametrize("change", DAMAGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (33, 47)])
def test_damage_takes_odd_sizes(change, size):
    assert change(np.random.default_rng(0), picture(*size)).shape == (*size, 3)


def test_low_light_is_dark_and_mixed_light_is_warm_on_one_side():
    grey = np.full((64, 64, 3), 160, np.uint8)
    for seed in range(5):
        assert damage.low_light(np.random.default_rng(seed), grey).mean() < 140
    lit = damage.mixed_light(np.random.default_rng(0), grey).astype(float)
    warmth = lit[..., 0] - lit[..., 2]
    assert warmth.min() < -10
    assert warmth.max() > 10


def test_h264_keeps_what_the_picture_shows():
    before = cv2.GaussianBlur(picture(), (0, 0), 3)
    after = damage.h264(np.random.default_rng(0), before)
    assert np.abs(after.astype(int) - before).mean() < 25


@pytest.mark.parametrize("number", ["none", "1", "2"])
def test_the_sets_of_the_study_keep_picture_and_mask_together(number):
    changed = 0
    for seed in range(12):
        found = augment(dataclasses.replace(QUIET, set=number), seed)
        assert found.image.shape == (96, 64, 3)
        assert found.mask.shape == found.weight.shape == (96, 64)
        # The blob is white before black, whatever happened to light and colour.
        bright = found.image.mean(axis=2)
        inside = found.mask > 250
        outside = found.mask < 5
        assert bright[inside].mean() > bright[outside].mean() + 40
        plain = cv2.resize(blob().mask, (64, 96), interpolation=cv2.INTER_AREA)
        changed += not np.array_equal(found.mask, plain)
    assert changed == 0 if number == "none" else changed >= 8


def test_set_2_is_stronger_than_set_1():
    def spread(number):
        options = dataclasses.replace(QUIET, set=number)
        plain = augment(dataclasses.replace(QUIET, set="none")).image.astype(int)
        return np.mean([np.abs(augment(options, s).image - plain).mean() for s in range(16)])

    assert spread("2") > spread("1") > 0


def test_nothing_happens_to_light_and_colour_unless_it_is_asked_for():
    found = augment(QUIET)
    np.testing.assert_array_equal(found.image[..., 0], found.mask)
    assert found.name == "blob.png"


def test_the_smallest_crop_says_how_near_people_come():
    near, far = (
        np.mean(
            [augment(dataclasses.replace(QUIET, crop=c), seed).mask.mean() for seed in range(20)]
        )
        for c in (0.3, 1)
    )
    assert near > 1.3 * far > 0


def test_people_are_cut_by_the_edge():
    touched = 0
    for seed in range(20):
        mask = augment(dataclasses.replace(QUIET, cut_by_edge=1), seed, size=(96, 72)).mask > 127
        assert mask.any()
        touched += mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
    assert touched >= 18


def test_what_covers_people_is_no_person():
    plain, covered = (
        [augment(dataclasses.replace(QUIET, occlusion=chance), seed) for seed in range(20)]
        for chance in (0, 1)
    )
    assert np.mean([s.mask.mean() for s in covered]) < np.mean([s.mask.mean() for s in plain])
    for sample in covered:
        cover = (sample.image == (90, 20, 160)).all(axis=2)
        assert cover.any()
        assert sample.mask[cover].max(initial=0) == 0


def test_an_arm_that_reaches_in_belongs_to_somebody():
    more = []
    for seed in range(20):
        plain = augment(QUIET, seed, backgrounds=[])
        armed = augment(dataclasses.replace(QUIET, arm=1), seed, backgrounds=[])
        again = augment(dataclasses.replace(QUIET, arm=1), seed, backgrounds=[])
        np.testing.assert_array_equal(armed.image, again.image)
        more.append(armed.mask.mean() - plain.mask.mean())
    assert np.mean(more) > 3


@given(seed=st.integers(0, 10_000), height=st.integers(24, 120), width=st.integers(24, 120))
def test_an_arm_changes_the_picture_where_it_is_and_nowhere_else(seed, height, width):
    image = np.full((height, width, 3), (0, 90, 0), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    seen, alpha = reach_in(np.random.default_rng(seed), image, mask)
    assert seen.shape == image.shape
    assert alpha.shape == mask.shape
    assert 0 <= alpha.min() <= alpha.max() <= 1
    np.testing.assert_array_equal(seen[alpha == 0], image[alpha == 0])
    # Half the arm is enough to change the green behind it.
    assert (seen[alpha > 0.5] != image[alpha > 0.5]).any(axis=-1).all()


def test_an_arm_has_the_persons_skin():
    skin = np.full((96, 72, 3), (200, 140, 110), np.uint8)
    mask = np.full((96, 72), 255, np.uint8)
    colours = []
    for seed in range(40):
        seen, alpha = reach_in(np.random.default_rng(seed), skin, mask)
        if (alpha > 0.99).sum() > 50:
            colours.append(np.median(seen[alpha > 0.99], axis=0))
    red, green, blue = np.median(colours, axis=0)
    assert 140 < red < 255
    assert red > green > blue


def test_without_backgrounds_people_stay_where_they_are(root, small_config):
    eager = dataclasses.replace(
        QUIET, empty=1, replace_background=1, zoom_out=1, cut_by_edge=1, occlusion=1
    )
    assert augment(eager).mask.max() == 0
    assert augment(eager, backgrounds=[]).mask.max() == 255
    batch = Batches(small_config(backgrounds="", augmentation=eager), root).batch(0, pixels=1024)
    assert batch.masks.max() == 1


def test_the_study_saw_portrait_format_only(root, small_config):
    config = small_config(backgrounds="", augmentation=Augmentation(set="1"))
    batches = Batches(config, root)
    shapes = {batches.batch(step, pixels=27648).images.shape[2:] for step in range(8)}
    assert shapes == {(192, 144)}


def test_a_stage_of_many_sizes_draws_an_area_for_each_step(root, small_config):
    batches = Batches(small_config(), root)
    plain, wide = Stage(1024, 1.0, 1e-3), Stage(1024, 1.0, 1e-3, pixels_up_to=4096)
    assert {batches.area(step, plain) for step in range(9)} == {1024}
    areas = [batches.area(step, wide) for step in range(200)]
    assert areas == [Batches(small_config(), root).area(step, wide) for step in range(200)]
    assert 1024 <= min(areas) < 1100
    assert 3800 < max(areas) <= 4096
    # Even in logarithm: as many above the geometric mean as below.
    assert 70 < sum(area > 2048 for area in areas) < 130
    assert "1024 to 4096 pixels" in str(wide)


def test_processes_make_the_parts_of_one_batch(root, small_config):
    config = small_config(consistency=1.0, augmentation=Augmentation(webcam=1.0))
    batches = Batches(config, root)
    whole = batches.batch(3, pixels=1024)
    parts = [batches.batch(3, pixels=1024, part=part, parts=2) for part in range(2)]
    for part, batch in enumerate(parts):
        np.testing.assert_array_equal(batch.images, whole.images[part::2])
        np.testing.assert_array_equal(batch.weights, whole.weights[part::2])
        np.testing.assert_array_equal(batch.views, whole.views[part::2])
        assert batch.names == whole.names[part::2]
    assert not np.array_equal(whole.views, whole.images)
    assert Batches(small_config(), root).batch(3, pixels=1024).views is None
