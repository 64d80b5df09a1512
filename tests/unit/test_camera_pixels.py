"""Pictures in the sizes and pixel formats of virtual cameras, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from humanseg.sinks.camera_pixels import PIXEL_FORMATS, encode, even, fit

# BT.601 in limited range, by its formula: Y = 16 + 219 (0.299 R + 0.587 G + 0.114 B), and so on.
RED, BLUE = (0, 0, 255), (255, 0, 0)
RED_YUV, BLUE_YUV = (81, 90, 240), (41, 240, 110)
HEIGHT, WIDTH = 4, 8


def red_beside_blue() -> np.ndarray:
    pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, : WIDTH // 2], pixels[:, WIDTH // 2 :] = RED, BLUE
    return pixels


def beside(red: int, blue: int, height: int, width: int) -> np.ndarray:
    plane = np.empty((height, width), np.uint8)
    plane[:, : width // 2], plane[:, width // 2 :] = red, blue
    return plane


def interleaved(*planes: np.ndarray) -> np.ndarray:
    return np.stack(planes, axis=-1).reshape(-1)


def expected(pixel_format: str) -> np.ndarray:
    luma = beside(RED_YUV[0], BLUE_YUV[0], HEIGHT, WIDTH)
    u, v = (
        beside(RED_YUV[part], BLUE_YUV[part], HEIGHT // 2, WIDTH // 2).reshape(-1)
        for part in (1, 2)
    )
    if pixel_format == "i420":
        return np.concatenate([luma.reshape(-1), u, v])
    if pixel_format == "nv12":
        return np.concatenate([luma.reshape(-1), interleaved(u, v)])
    even, odd = luma[:, ::2], luma[:, 1::2]
    u, v = (beside(RED_YUV[part], BLUE_YUV[part], HEIGHT, WIDTH // 2) for part in (1, 2))
    return interleaved(even, u, odd, v) if pixel_format == "yuyv" else interleaved(u, even, v, odd)


@pytest.mark.parametrize("pixel_format", ["i420", "nv12", "yuyv", "uyvy"])
def test_formats_of_luma_and_colour(pixel_format: str) -> None:
    encoded = encode(red_beside_blue(), pixel_format)
    assert encoded.shape == expected(pixel_format).shape
    assert encoded.flags.c_contiguous
    assert np.abs(encoded.astype(int) - expected(pixel_format)).max() <= 1


@pytest.mark.parametrize(
    ("pixel_format", "red", "blue"),
    [
        ("bgr", (0, 0, 255), (255, 0, 0)),
        ("rgb", (255, 0, 0), (0, 0, 255)),
        ("rgba", (255, 0, 0, 255), (0, 0, 255, 255)),
    ],
)
def test_formats_of_whole_pixels(pixel_format: str, red: tuple, blue: tuple) -> None:
    encoded = encode(red_beside_blue(), pixel_format)
    assert encoded.shape == (HEIGHT, WIDTH, len(red))
    assert tuple(encoded[0, 0]) == red
    assert tuple(encoded[-1, -1]) == blue


def test_gray() -> None:
    encoded = encode(red_beside_blue(), "gray")
    assert encoded.shape == (HEIGHT, WIDTH)
    assert (encoded[0, 0], encoded[0, -1]) == (76, 29)


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_what_is_sent_is_never_a_view_with_gaps(pixel_format: str) -> None:
    wide = np.random.default_rng(1).integers(0, 255, (50, 70, 3), np.uint8)
    encoded = encode(fit(wide, 50, 69)[:, :68], pixel_format)
    assert encoded.flags.c_contiguous


@pytest.mark.parametrize(
    ("size", "made"), [((480, 640), (480, 640)), ((481, 641), (480, 640)), ((1, 3), (2, 2))]
)
def test_even(size: tuple[int, int], made: tuple[int, int]) -> None:
    assert even(*size) == made


def test_a_picture_that_fits_is_not_touched() -> None:
    pixels = red_beside_blue()
    assert np.shares_memory(fit(pixels, HEIGHT, WIDTH), pixels)


def test_a_picture_of_another_shape_is_whole_between_bars() -> None:
    shown = fit(np.full((40, 20, 3), 90, np.uint8), 20, 40)
    assert shown.shape == (20, 40, 3)
    assert (shown[:, 15:25] == 90).all()
    assert (shown[:, :15] == 0).all()
    assert (shown[:, 25:] == 0).all()


def test_alpha_is_left_out() -> None:
    pixels = np.full((HEIGHT, WIDTH, 4), 90, np.uint8)
    assert (fit(pixels, HEIGHT, WIDTH) == 90).all()
    assert fit(pixels, HEIGHT, WIDTH).shape == (HEIGHT, WIDTH, 3)
