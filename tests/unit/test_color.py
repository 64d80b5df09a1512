"""Colour conversion against the formulas of BT.601 and BT.709 in floating point."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from humanseg.frames import ColorTags
from humanseg.media.color import Coding, FromBgr, ToBgr, resolve, tag_numbers, tags_of

WEIGHTS = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt470bg": (0.299, 0.114)}
CODINGS = [(matrix, range_) for matrix in WEIGHTS for range_ in ("tv", "pc")]


def ycbcr(bgr: np.ndarray, matrix: str, range_: str, bits: int = 8) -> np.ndarray:
    """(H, W, 3) Y, Cb, Cr as the recommendations define them, in float."""
    red_weight, blue_weight = WEIGHTS[matrix]
    blue, green, red = (bgr[..., channel] / 255.0 for channel in range(3))
    luma = red_weight * red + blue_weight * blue + (1 - red_weight - blue_weight) * green
    cb = (blue - luma) / (2 * (1 - blue_weight))
    cr = (red - luma) / (2 * (1 - red_weight))
    unit = 2 ** (bits - 8)
    if range_ == "tv":
        coded = [16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr]
    else:
        coded = [255 * luma, 128 + 255 * cb, 128 + 255 * cr]
    return np.stack(coded, axis=-1) * unit


def patches(height: int = 16, width: int = 32) -> np.ndarray:
    """(H, W, 3) BGR in flat patches of 4x4, so that chroma at half size is exact."""
    random = np.random.default_rng(3)
    small = random.integers(30, 220, (height // 4, width // 4, 3), dtype=np.uint8)
    return np.kron(small, np.ones((4, 4, 1), np.uint8))


def planes(frame: av.VideoFrame, dtype: type = np.uint8) -> list[np.ndarray]:
    size = np.dtype(dtype).itemsize
    return [
        np.frombuffer(plane, dtype)
        .reshape(plane.height, plane.line_size // size)[:, : plane.width]
        .astype(float)
        for plane in frame.planes
    ]


@pytest.mark.parametrize(("matrix", "range_"), CODINGS)
def test_from_bgr_follows_the_formulas(matrix, range_):
    bgr = patches()
    expected = ycbcr(bgr, matrix, range_)
    luma, cb, cr = planes(FromBgr("yuv444p", Coding(matrix, range_))(bgr))
    assert np.abs(luma - expected[..., 0]).max() <= 1
    assert np.abs(cb - expected[..., 1]).max() <= 1.5
    assert np.abs(cr - expected[..., 2]).max() <= 1.5


@pytest.mark.parametrize(("matrix", "range_"), CODINGS)
def test_to_bgr_follows_the_formulas(matrix, range_):
    bgr = patches()
    coded = np.clip(np.round(ycbcr(bgr, matrix, range_)), 0, 255).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(coded.transpose(2, 0, 1)), "yuv444p")
    made = ToBgr()(frame, Coding(matrix, range_))
    assert np.abs(made.astype(int) - bgr).max() <= 3
    assert np.abs(made.astype(int) - bgr).mean() <= 0.8


@pytest.mark.parametrize("range_", ["tv", "pc"])
def test_ten_bits(range_):
    bgr = patches()
    coded = np.clip(np.round(ycbcr(bgr, "bt709", range_, bits=10)), 0, 1023).astype(np.uint16)
    frame = av.VideoFrame(bgr.shape[1], bgr.shape[0], "yuv444p10le")
    for plane, values in zip(frame.planes, coded.transpose(2, 0, 1), strict=True):
        padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        padded[:, : plane.width] = values
        plane.update(padded.tobytes())
    made = ToBgr()(frame, Coding("bt709", range_))
    # Full range of 10 bits is not four times that of 8: a step of grey.
    assert np.abs(made.astype(int) - bgr).mean() <= 1


@pytest.mark.parametrize(("matrix", "range_"), CODINGS)
def test_there_and_back_is_exact_in_luma(matrix, range_):
    random = np.random.default_rng(1)
    coding = Coding(matrix, range_)
    small = random.integers(60, 190, (9, 16, 3), dtype=np.uint8)
    smooth = cv2.resize(small, (256, 144), interpolation=cv2.INTER_CUBIC)
    first = FromBgr("yuv420p", coding)(smooth)
    again = FromBgr("yuv420p", coding)(ToBgr()(first, coding))
    luma, cb, cr = (one - other for one, other in zip(planes(first), planes(again), strict=True))
    assert np.abs(luma).mean() < 0.05
    # swscale rounds full-range chroma half a step down.
    assert np.abs(cb).mean() < 0.8
    assert np.abs(cr).mean() < 0.8


@pytest.mark.parametrize("grey", [0, 16, 77, 128, 235, 255])
@pytest.mark.parametrize(("matrix", "range_"), CODINGS)
def test_grey_stays_grey_and_exact(grey, matrix, range_):
    coding = Coding(matrix, range_)
    pixels = np.full((6, 8, 3), grey, np.uint8)
    made = ToBgr()(FromBgr("yuv420p", coding)(pixels), coding)
    assert np.abs(made.astype(int) - grey).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (27, 48), (27, 49)])
def test_odd_sizes(height, width):
    pixels = np.full((height, width, 3), 90, np.uint8)
    for name in ("yuv444p", "yuv420p", "bgr0"):
        frame = FromBgr(name, Coding("bt709", "tv"))(pixels)
        made = ToBgr()(frame, Coding("bt709", "tv"))
        assert made.shape == pixels.shape
        assert made.flags.c_contiguous
        assert np.abs(made.astype(int) - 90).max() <= 1


def test_alpha_is_carried_straight():
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 2], pixels[:, :4, 3], pixels[:, 4:, 3] = 200, 255, 60
    alpha = planes(FromBgr("yuva420p", Coding("bt709", "tv"))(pixels))[3]
    assert np.abs(alpha - pixels[..., 3]).max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "matrix"),
    [
        (480, 640, "smpte170m"),
        (576, 720, "smpte170m"),
        (720, 576, "smpte170m"),
        (720, 1280, "bt709"),
        (1280, 720, "bt709"),
        (720, 960, "bt709"),
        (2160, 3840, "bt709"),
    ],
)
def test_untagged_video_follows_the_usual_rule(height, width, matrix):
    assert resolve(ColorTags(), height=height, width=width) == Coding(matrix, "tv")


def test_tags_go_before_the_rule():
    tags = ColorTags(matrix="bt709", range="pc")
    assert resolve(tags, height=48, width=64) == Coding("bt709", "pc")
    rgb = ColorTags(matrix="gbr", range="pc")
    assert resolve(rgb, height=48, width=64) == Coding("smpte170m", "tv")


def test_tags_by_name_and_number():
    frame = av.VideoFrame(8, 8, "yuv420p")
    assert tags_of(frame) == ColorTags()
    frame.colorspace, frame.color_range = 9, 1
    frame.color_primaries, frame.color_trc = 9, 16
    assert tags_of(frame) == ColorTags("bt2020nc", "tv", "bt2020", "smpte2084")
    assert tag_numbers(tags_of(frame)) == (9, 1, 9, 16)
    assert tag_numbers(ColorTags()) == (2, 0, 2, 2)


def test_old_full_range_formats_say_so_themselves():
    assert tags_of(av.VideoFrame(8, 8, "yuvj420p")).range == "pc"
