"""Frames that stay YCbCr 4:2:0: the same pictures as by way of BGR."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from humanseg.backgrounds import Blur, Color, open_background
from humanseg.blending import BlendOptions
from humanseg.composite import Compositor
from humanseg.frames import Frame
from humanseg.media.color import Coding, bgr_matrix, yuv_matrix
from humanseg.media.planar import PlanarFrame, Planes, glance, halvings_until, planes_of
from humanseg.refine import Refiner
from humanseg.sources.video_file import VideoFileSource

CODINGS = [Coding("bt709", "tv"), Coding("smpte170m", "pc"), Coding("bt2020nc", "tv")]
OPTIONS = [
    BlendOptions(),
    BlendOptions(linear_light=True),
    BlendOptions(linear_light=True, clean_edges=True),
    BlendOptions(linear_light=True, clean_edges=True, light_wrap=0.6),
]


def smooth_picture(height=180, width=322, seed=0):
    random = np.random.default_rng(seed)
    small = random.integers(20, 235, (6, 9, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def person(height=180, width=322):
    rows, columns = np.mgrid[0:height, 0:width]
    far = np.hypot((rows - height * 0.6) / height, (columns - width / 2) / width)
    return np.clip((0.35 - far) * 12 + 0.5, 0, 1).astype(np.float32)


def planar(pixels, coding=CODINGS[0]):
    return PlanarFrame(planes_of(pixels, coding), 7, Fraction(7, 25), Fraction(1, 25))


@pytest.mark.parametrize("coding", CODINGS)
def test_matrices_agree_with_swscale_and_undo_each_other(coding):
    pixels = smooth_picture()
    planes = planes_of(pixels, coding)
    np.testing.assert_allclose(planes.bgr().astype(int), pixels, atol=6)
    halved = cv2.resize(pixels, (161, 90), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(planes.small_bgr(1) - halved).mean() < 1
    both = yuv_matrix(coding)[:, :3] @ bgr_matrix(coding)[:, :3]
    np.testing.assert_allclose(both, np.eye(3), atol=1e-5)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("background", ["blur", "#20c040"])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_composite_is_the_same_by_planes_as_by_bgr(coding, background, options):
    frame, alpha = planar(smooth_picture(), coding), person()
    plain = Frame(frame.pixels, 7, Fraction(7, 25), Fraction(1, 25))
    with open_background(background) as behind:
        found = Compositor(behind, options=options).compose(frame, alpha)
        other = Compositor(behind, options=options).compose(plain, alpha)
    assert isinstance(found, PlanarFrame)
    assert (found.index, found.time, found.duration) == (7, Fraction(7, 25), Fraction(1, 25))
    apart = np.abs(found.pixels.astype(int) - other.pixels)
    assert apart.mean() < 1.5
    # Chroma of an edge is stored at half size.
    assert np.percentile(apart.max(axis=2), 99) < 40


def test_sure_planes_are_copied_and_the_frame_is_left_alone():
    frame = planar(smooth_picture())
    frame.freeze()
    before = [np.array(p) for p in (frame.planes.y, frame.planes.u, frame.planes.v)]
    everyone, nobody = np.ones((90, 161), np.float32), np.zeros((90, 161), np.float32)
    whole = Compositor(Blur(), options=OPTIONS[2]).compose(frame, everyone)
    empty = Compositor(Color((10, 200, 30)), options=OPTIONS[2]).compose(frame, nobody)
    for plane, old in zip((whole.planes.y, whole.planes.u, whole.planes.v), before, strict=True):
        np.testing.assert_array_equal(plane, old)
    assert np.ptp(empty.planes.y) == np.ptp(empty.planes.u) == 0
    for plane, old in zip((frame.planes.y, frame.planes.u, frame.planes.v), before, strict=True):
        np.testing.assert_array_equal(plane, old)


def test_people_who_are_sure_but_for_rounding_have_no_holes():
    frame = planar(np.zeros((180, 322, 3), np.uint8))
    alpha = np.where(np.random.default_rng(1).random((180, 322)) < 0.1, 253.6 / 255, 1)
    found = Compositor(Color((255, 255, 255))).compose(frame, alpha.astype(np.float32))
    assert found.pixels.max() < 8


@pytest.mark.parametrize("coding", CODINGS[:2])
def test_the_mask_of_planes_is_the_alpha_in_grey(coding):
    alpha = np.tile(np.linspace(0, 1, 322, dtype=np.float32), (180, 1))
    found = Compositor(Blur(), "mask").compose(planar(smooth_picture(), coding), alpha)
    np.testing.assert_allclose(found.pixels[90, :, 1] / 255, alpha[90], atol=0.01)
    assert np.ptp(found.pixels.astype(int), axis=2).max() <= 1


@pytest.mark.parametrize("output", ["alpha", "foreground"])
def test_other_outputs_of_a_planar_frame_are_made_by_way_of_bgr(output):
    frame, alpha = planar(smooth_picture()), person()
    plain = Frame(frame.pixels, 7, Fraction(7, 25))
    found = Compositor(Blur(), output).compose(frame, alpha)
    np.testing.assert_array_equal(
        found.pixels, Compositor(Blur(), output).compose(plain, alpha).pixels
    )


def test_an_alpha_of_planes_is_the_alpha_of_pixels():
    pixels = smooth_picture(360, 640)
    mask = cv2.resize(person(), (160, 90), interpolation=cv2.INTER_AREA)
    frame = planar(pixels, CODINGS[1])
    found = Refiner().refine_frame(frame, mask)
    other = Refiner().refine(frame.pixels, mask)
    assert np.abs(found - other).mean() < 0.01
    assert ((found > 0.5) == (other > 0.5)).mean() > 0.99
    plain = Frame(pixels, 0, Fraction(0))
    np.testing.assert_array_equal(
        Refiner().refine_frame(plain, mask), Refiner().refine(pixels, mask)
    )


def test_a_glance_is_the_smallest_level_that_suffices():
    frame = planar(smooth_picture(720, 1280))
    assert glance(frame, 126, 224).pixels.shape == (180, 320, 3)
    assert glance(frame, 400, 700) is frame
    plain = Frame(smooth_picture(), 0, Fraction(0))
    assert glance(plain, 10, 10) is plain
    assert halvings_until(720, 1280, 640 * 400) == 1
    assert halvings_until(100, 100, 10_000) == 0


def test_only_8_bit_420_of_even_sides_has_planes():
    for frame in (av.VideoFrame(63, 48, "yuv420p"), av.VideoFrame(64, 48, "yuv444p")):
        with pytest.raises(ValueError, match="no such planes"):
            Planes(frame, CODINGS[0])


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv420p10le"])
@pytest.mark.parametrize("degrees", [0, 90, 180])
def test_a_source_gives_the_same_pictures_as_planes(make_video, turn_video, pixel_format, degrees):
    path = make_video(frames=3, pixel_format=pixel_format)
    turn_video(path, degrees)
    with VideoFileSource(path, planar=True) as one, VideoFileSource(path) as other:
        frames = list(zip(one, other, strict=True))
        assert one.is_planar
    for frame, plain in frames:
        assert isinstance(frame, PlanarFrame)
        assert (frame.height, frame.width) == plain.pixels.shape[:2]
        assert (frame.time, frame.duration) == (plain.time, plain.duration)
        assert np.abs(frame.pixels.astype(int) - plain.pixels).mean() < 2


def test_odd_sizes_have_no_planes(make_video):
    path = make_video("in.mkv", frames=2, size=(47, 63), codec="ffv1", pixel_format="yuv420p")
    with VideoFileSource(path, planar=True) as source:
        assert not source.is_planar
        assert not any(isinstance(frame, PlanarFrame) for frame in source)
