"""The crop that follows people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from humanseg.look.framing import FULL, AutoFramer, Crop, crop_to, frame_people

RATE = 30
NOBODY = np.zeros((72, 128), np.float32)


def seated(x: float, *, top: float = 0.45, width: float = 0.2) -> np.ndarray:
    """A mask of somebody from a head at `top` down to the lower edge."""
    mask = np.zeros((72, 128), np.float32)
    left, right = round((x - width / 2) * 128), round((x + width / 2) * 128)
    mask[round(top * 72) :, max(0, left) : right] = 1
    return mask


def run(framer: AutoFramer, mask: np.ndarray, seconds: float, *, begin: float = 0.0) -> list[Crop]:
    return [framer.follow(mask, begin + n / RATE) for n in range(round(seconds * RATE))]


def is_inside(crop: Crop) -> bool:
    half = crop.size / 2 - 1e-9
    return 0.5 <= crop.size <= 1 and half <= crop.x <= 1 - half and half <= crop.y <= 1 - half


def test_it_ends_where_the_person_is_framed_well():
    crop = run(AutoFramer(), seated(0.65), 6)[-1]
    assert is_inside(crop)
    assert crop.x == pytest.approx(0.65, abs=0.02)
    assert crop.size == pytest.approx(0.55 / 0.88, abs=0.03)
    room_above_the_head = 0.45 - (crop.y - crop.size / 2)
    assert room_above_the_head == pytest.approx(0.12 * crop.size, abs=0.02)


def test_the_zoom_is_two_at_most():
    far = np.zeros((72, 128), np.float32)
    far[30:40, 60:66] = 1
    assert run(AutoFramer(), far, 6)[-1].size == 0.5


def test_everybody_is_in_the_picture():
    two = np.maximum(seated(0.25), seated(0.75))
    crop = frame_people(two)
    assert crop is not None
    assert crop.size > 0.8


def test_motion_is_smooth_and_does_not_overshoot():
    framer = AutoFramer()
    crops = run(framer, seated(0.75), 5)
    across = np.array([crop.x for crop in crops])
    steps = np.diff(across)
    assert steps.min() >= -1e-9
    assert across.max() <= across[-1] + 1e-9
    # No jump, not even of the speed: the change of speed in a frame is small.
    assert np.abs(np.diff(steps, prepend=0)).max() < 0.003


def test_small_movements_and_short_ones_move_nothing():
    framer = AutoFramer()
    rest = run(framer, seated(0.5), 6)[-1]
    for n in range(90):
        mask = seated(0.5 + 0.02 * np.sin(n / 5))
        assert framer.follow(mask, 6 + n / RATE) == rest
    run(framer, seated(0.7), 0.25, begin=9)
    assert run(framer, seated(0.5), 1, begin=9.25)[-1] == rest


def test_it_follows_somebody_who_walks():
    framer = AutoFramer()
    run(framer, seated(0.3), 6)
    for n in range(150):
        x = 0.3 + 0.4 * n / 150
        crop = framer.follow(seated(x), 6 + n / RATE)
        assert is_inside(crop)
        assert crop.x - crop.size / 2 < x < crop.x + crop.size / 2


def test_it_goes_back_when_nobody_is_there_and_not_at_once():
    framer = AutoFramer()
    rest = run(framer, seated(0.65), 6)[-1]
    assert run(framer, NOBODY, 0.8, begin=6)[-1] == rest
    back = run(framer, NOBODY, 6, begin=6.8)
    assert back[-1] == FULL
    sizes = np.diff([crop.size for crop in back])
    assert (sizes >= 0).all()
    assert sizes.max() < 0.02


def test_released_it_goes_back_at_once_and_rests_at_the_full_picture():
    framer = AutoFramer()
    run(framer, seated(0.65), 6)
    back = [framer.release(6 + n / RATE) for n in range(1, 200)]
    assert back[3].size > back[0].size
    assert back[-1] is FULL


def test_the_frame_rate_does_not_matter():
    ends = []
    for rate in (10, 30, 60):
        framer = AutoFramer()
        for n in range(round(1.3 * rate) + 1):
            crop = framer.follow(seated(0.7), n / rate)
        ends.append(crop)
    for crop in ends[1:]:
        assert crop.x == pytest.approx(ends[0].x, abs=0.03)
        assert crop.size == pytest.approx(ends[0].size, abs=0.03)


def test_after_a_gap_nothing_jumps():
    framer = AutoFramer()
    run(framer, seated(0.3), 1)
    before = framer.follow(seated(0.3), 1.0)
    after = framer.follow(seated(0.7), 100.0)
    assert abs(after.x - before.x) < 0.2


masks = arrays(np.float32, (9, 16), elements=st.floats(0, 1, width=32))


@given(st.lists(st.tuples(masks, st.floats(-2, 5)), max_size=30))
@settings(max_examples=60, deadline=None)
def test_it_never_leaves_the_picture_and_is_the_same_each_time(steps):
    framers = AutoFramer(), AutoFramer()
    seconds = 0.0
    for mask, elapsed in steps:
        seconds += elapsed
        one, other = (framer.follow(mask, seconds) for framer in framers)
        assert one == other
        assert is_inside(one)


def test_the_full_picture_costs_nothing():
    pixels = np.zeros((6, 8, 3), np.uint8)
    assert crop_to(pixels, FULL) is pixels


@pytest.mark.parametrize("crop", [Crop(0.5, 0.5, 0.5), Crop(0.3, 0.6, 0.55), Crop(0.65, 0.35, 0.7)])
def test_a_crop_shows_what_it_says(crop):
    rows, columns = np.mgrid[:180, :320]
    ramp = np.dstack([columns / 320, rows / 180, 0 * rows]).astype(np.float32)
    across = crop_to(np.ascontiguousarray(ramp[..., 0]), crop)
    down = crop_to(np.ascontiguousarray(ramp[..., 1]), crop)
    for shown, place, axis in ((across, crop.x, 1), (down, crop.y, 0)):
        assert shown.shape == (180, 320)
        # Centre and slope of the ramp tell place and zoom, to a tenth of a pixel.
        assert shown.mean() == pytest.approx(place - 0.5 / ramp.shape[axis], abs=0.0005)
        assert np.diff(shown, axis=axis).mean() == pytest.approx(
            crop.size / ramp.shape[axis], rel=0.01
        )


def test_a_crop_keeps_the_colours():
    picture = np.random.default_rng(4).integers(0, 256, (45, 80, 3), np.uint8)
    shown = crop_to(picture, Crop(0.4, 0.5, 0.6))
    assert (shown.shape, shown.dtype) == (picture.shape, np.uint8)
    np.testing.assert_array_equal(
        shown[..., 2], crop_to(np.ascontiguousarray(picture[..., 2]), Crop(0.4, 0.5, 0.6))
    )
