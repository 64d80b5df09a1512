from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from humanseg.backgrounds import Blur, Clip, Color, Picture, cover, open_background, parse_color
from humanseg.composite import Compositor, blend
from humanseg.errors import SettingsError, SourceError
from humanseg.foreground import estimate_foreground
from humanseg.frames import Frame

RANDOM = np.random.default_rng(3)
images = arrays(np.uint8, (7, 9, 3))


def frame(pixels):
    return Frame(pixels, 0, Fraction(0))


@pytest.mark.parametrize("linear_light", [False, True])
@given(images, images)
@settings(max_examples=50)
def test_alpha_one_is_the_foreground_and_alpha_zero_the_background(
    linear_light, foreground, background
):
    ones, zeros = np.ones((7, 9), np.float32), np.zeros((7, 9), np.float32)
    inside = blend(foreground, background, ones, linear_light=linear_light)
    outside = blend(foreground, background, zeros, linear_light=linear_light)
    np.testing.assert_array_equal(inside, foreground)
    np.testing.assert_array_equal(outside, background)


@pytest.mark.parametrize("linear_light", [False, True])
@given(images, images, arrays(np.float32, (7, 9), elements=st.floats(0, 1, width=32)))
@settings(max_examples=50)
def test_a_blend_lies_between_its_layers(linear_light, foreground, background, alpha):
    mixed = blend(foreground, background, alpha, linear_light=linear_light).astype(int)
    low = np.minimum(foreground, background).astype(int)
    high = np.maximum(foreground, background).astype(int)
    assert (mixed >= low - 1).all()
    assert (mixed <= high + 1).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (270, 480), (271, 483)])
@pytest.mark.parametrize("output", ["composite", "mask", "alpha", "foreground"])
def test_every_output_has_the_frames_size(size, output):
    pixels = RANDOM.integers(0, 255, (*size, 3), np.uint8)
    alpha = RANDOM.random(size, np.float32)
    result = Compositor(Blur(), output).compose(frame(pixels), alpha)
    assert result.pixels.shape == (*size, 4 if output == "alpha" else 3)
    assert result.pixels.dtype == np.uint8


def test_the_frame_itself_is_left_alone():
    pixels = RANDOM.integers(0, 255, (40, 60, 3), np.uint8)
    before = pixels.copy()
    pixels.flags.writeable = False
    for output in ("composite", "mask", "alpha", "foreground"):
        Compositor(Blur(), output).compose(frame(pixels), np.full((40, 60), 0.5, np.float32))
    np.testing.assert_array_equal(pixels, before)


def test_mask_output_is_the_alpha_in_grey():
    alpha = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    result = Compositor(Blur(), "mask").compose(frame(np.zeros((16, 16, 3), np.uint8)), alpha)
    np.testing.assert_array_equal(result.pixels[..., 1], np.arange(256).reshape(16, 16))


def test_an_unknown_output_is_refused():
    with pytest.raises(SettingsError, match="composite, mask"):
        Compositor(Blur(), "hologram")


def person_on_background():
    """A red person (left half) before a blue wall."""
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[:, :80] = (0, 0, 255)
    pixels[:, 80:] = (255, 0, 0)
    alpha = np.zeros((120, 160), np.float32)
    alpha[:, :80] = 1
    return pixels, alpha


def test_blur_does_not_smear_the_person_into_the_background():
    pixels, alpha = person_on_background()
    blurred = Blur(0.8).for_frame(frame(pixels), alpha)
    assert blurred[:, 80:, 2].max() < 12
    assert blurred[:, 84:, 0].min() > 240


def test_a_stronger_blur_is_smoother():
    pixels = RANDOM.integers(0, 255, (120, 160, 3), np.uint8)
    nobody = np.zeros((120, 160), np.float32)
    spread = [Blur(s).for_frame(frame(pixels), nobody).std() for s in (0.0, 0.2, 0.9)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize("value", [0, 5, 100, 255])
def test_a_blur_of_one_colour_is_that_colour(value):
    pixels = np.full((120, 160, 3), value, np.uint8)
    _, alpha = person_on_background()
    assert (Blur().for_frame(frame(pixels), alpha) == value).all()


def test_blur_keeps_brightness():
    pixels = RANDOM.integers(0, 255, (120, 160, 3), np.uint8)
    blurred = Blur().for_frame(frame(pixels), np.zeros((120, 160), np.float32))
    assert abs(blurred.mean() - pixels.mean()) < 2


def test_foreground_colour_is_free_of_the_old_background():
    alpha = np.tile(np.clip((np.arange(160) - 70) / 6, 0, 1).astype(np.float32)[::-1], (120, 1))
    true = np.full((120, 160, 3), (20, 40, 200), np.uint8)
    wall = np.full((120, 160, 3), (230, 200, 10), np.uint8)
    seen = blend(true, wall, alpha)
    estimated = estimate_foreground(seen, alpha)
    edge = (alpha > 0.2) & (alpha < 0.9)
    naive_error = np.abs(seen[edge].astype(int) - true[edge]).mean()
    error = np.abs(estimated[edge].astype(int) - true[edge]).mean()
    assert error < 0.25 * naive_error
    np.testing.assert_array_equal(estimated[alpha == 1], seen[alpha == 1])


@pytest.mark.parametrize("size", [(30, 40), (90, 50), (64, 64), (1, 1)])
def test_cover_fills_the_frame_without_stretching(size):
    circle = np.zeros((100, 100, 3), np.uint8)
    rows, columns = np.mgrid[:100, :100]
    circle[np.hypot(rows - 49.5, columns - 49.5) < 30] = 255
    covered = cover(circle, *size)
    assert covered.shape == (*size, 3)
    if min(size) > 20:
        inside = covered[..., 0] > 127
        assert abs(int(inside.any(0).sum()) - min(int(inside.any(1).sum()), size[1])) <= 2


def test_picture_and_colour_backgrounds():
    pixels, alpha = person_on_background()
    green = Color((0, 255, 0)).for_frame(frame(pixels), alpha)
    assert (green == (0, 255, 0)).all()
    picture = Picture(np.full((10, 30, 3), 77, np.uint8)).for_frame(frame(pixels), alpha)
    assert picture.shape == pixels.shape
    assert (picture == 77).all()


def test_a_clip_runs_at_its_own_pace_and_starts_again(make_video, index_of):
    path = make_video(frames=24)  # 25 a second
    alpha = np.zeros((48, 64), np.float32)
    with Clip(path) as clip:
        shown = [
            index_of(clip.for_frame(Frame(np.zeros((48, 64, 3), np.uint8), n, time), alpha))
            for n, time in enumerate(Fraction(step, 50) for step in range(60))
        ]
    assert shown == [step // 2 % 24 for step in range(60)]


@pytest.mark.parametrize(
    ("text", "bgr"),
    [("#ff8000", (0, 128, 255)), ("255,128,0", (0, 128, 255)), ("White", (255, 255, 255))],
)
def test_colours_are_understood(text, bgr):
    assert parse_color(text) == bgr


@pytest.mark.parametrize("text", ["#ff80", "256,0,0", "1,2", "beach.jpg", ""])
def test_what_is_no_colour(text):
    assert parse_color(text) is None


@pytest.mark.parametrize("text", ["blur:1.5", "blur:-1", "blur:much"])
def test_impossible_blurs_are_refused(text):
    with pytest.raises(SettingsError, match="0 to 1"):
        open_background(text)


def test_a_missing_background_names_the_file_and_the_choices(tmp_path):
    with pytest.raises(SourceError, match="colour") as caught:
        open_background(tmp_path / "beach.jpg")
    assert "beach.jpg" in str(caught.value)


def test_a_background_that_is_no_picture_is_refused(tmp_path):
    for name in ("notes.txt", "beach.jpg"):
        path = tmp_path / name
        path.write_text("no picture at all")
        with pytest.raises(SourceError, match="colour"):
            open_background(path)
