"""Colour of video: YCbCr <-> BGR with the right matrix and range, and the names of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from humanseg.frames import ColorTags

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Image

# Numbers of ITU-T H.273 with FFmpeg's names.
MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020nc",
    10: "bt2020c",
}
RANGES = {1: "tv", 2: "pc"}
PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
HDR_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}

_UNSPECIFIED = 2

_SWSCALE_MATRIX = {
    "bt709": Colorspace.ITU709,
    "fcc": Colorspace.FCC,
    "bt470bg": Colorspace.ITU601,
    "smpte170m": Colorspace.ITU601,
    "smpte240m": Colorspace.SMPTE240M,
    "bt2020nc": Colorspace.BT2020,
    "bt2020c": Colorspace.BT2020,
}
_SWSCALE_RANGE = {"tv": ColorRange.MPEG, "pc": ColorRange.JPEG}

# swscale's own defaults are fast but darken luma by 1.6 steps a trip; these two flags make luma
# exact, for about 3 ms a 1280x720 frame there and back.
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# Chroma: bilinear up is half the price of bicubic; bicubic down undoes it best (0.25 steps).
_UP = Interpolation.BILINEAR | _EXACT
_DOWN = Interpolation.BICUBIC | _EXACT

# Weights of red and blue in luma, by matrix.
_LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
    "bt2020c": (0.2627, 0.0593),
}

# Rows from which an untagged video is taken for HD.
_HD_ROWS = 720
_HD_COLUMNS = 1280


@dataclass(frozen=True, slots=True)
class Coding:
    """How pixels are coded, with nothing left open.

    Attributes:
        matrix: one of `MATRICES`' names but "gbr".
        range: "tv" or "pc".
    """

    matrix: str
    range: str


def resolve(tags: ColorTags, *, height: int, width: int) -> Coding:
    """Fill what a stream does not say by the usual rule: BT.601 for SD, BT.709 for HD, limited.

    Args:
        tags: what the stream says.
        height: of the coded picture.
        width: of the coded picture.
    """
    is_hd = max(height, width) >= _HD_COLUMNS or min(height, width) >= _HD_ROWS
    matrix = tags.matrix
    if matrix not in _SWSCALE_MATRIX:
        matrix = "bt709" if is_hd else "smpte170m"
    is_rgb = tags.matrix == "gbr"  # "full" then, which few players expect of YCbCr
    return Coding(matrix, "tv" if is_rgb else tags.range or "tv")


def luma_span(coding: Coding) -> tuple[int, int]:
    """Y of black and of white, 0..255."""
    return (16, 235) if coding.range == "tv" else (0, 255)


@lru_cache(maxsize=8)
def bgr_matrix(coding: Coding) -> NDArray[np.float32]:
    """(3, 4) that makes B, G, R of Y, Cb, Cr and 1, all 0..255; for `cv2.transform`."""
    red, blue = _LUMA_WEIGHTS[coding.matrix]
    green = 1 - red - blue
    black, white = luma_span(coding)
    scale = 255 / (white - black)
    chroma = 255 / 224 if coding.range == "tv" else 1.0
    from_cb, from_cr = 2 * (1 - blue) * chroma, 2 * (1 - red) * chroma
    rows = [
        (scale, from_cb, 0.0),
        (scale, -from_cb * blue / green, -from_cr * red / green),
        (scale, 0.0, from_cr),
    ]
    offsets = [-scale * black - 128 * (cb + cr) for _, cb, cr in rows]
    return np.array([(*row, offset) for row, offset in zip(rows, offsets, strict=True)], np.float32)


@lru_cache(maxsize=8)
def yuv_matrix(coding: Coding) -> NDArray[np.float32]:
    """(3, 4) that makes Y, Cb, Cr of B, G, R and 1, all 0..255; for `cv2.transform`."""
    forward = bgr_matrix(coding).astype(np.float64)
    backward = np.linalg.inv(forward[:, :3])
    return np.hstack([backward, -backward @ forward[:, 3:]]).astype(np.float32)


def reformat_options(frame: av.VideoFrame, coding: Coding) -> dict[str, Any]:
    """What swscale must be told to keep the colours of a decoded frame in YCbCr of a coding."""
    options: dict[str, Any] = {
        "dst_colorspace": _SWSCALE_MATRIX[coding.matrix],
        "dst_color_range": _SWSCALE_RANGE[coding.range],
        "interpolation": _DOWN,
        "threads": 1,
    }
    if not frame.format.is_rgb:
        options["src_colorspace"] = _SWSCALE_MATRIX[coding.matrix]
        options["src_color_range"] = _SWSCALE_RANGE[coding.range]
    return options


def tags_of(frame: av.VideoFrame) -> ColorTags:
    """What a decoded frame says about its colour."""
    range_ = RANGES.get(int(frame.color_range))
    if range_ is None and frame.format.name.startswith("yuvj"):
        range_ = "pc"  # the old names of full-range formats carry the range themselves
    return ColorTags(
        matrix=MATRICES.get(int(frame.colorspace)),
        range=range_,
        primaries=PRIMARIES.get(int(frame.color_primaries)),
        transfer=TRANSFERS.get(int(frame.color_trc)),
    )


def tag_numbers(tags: ColorTags) -> tuple[int, int, int, int]:
    """Matrix, range, primaries and transfer as FFmpeg's numbers; 2, 0, 2, 2 where not said."""
    return (
        _number(MATRICES, tags.matrix, _UNSPECIFIED),
        _number(RANGES, tags.range, 0),
        _number(PRIMARIES, tags.primaries, _UNSPECIFIED),
        _number(TRANSFERS, tags.transfer, _UNSPECIFIED),
    )


def _number(names: dict[int, str], name: str | None, default: int) -> int:
    return next((number for number, known in names.items() if known == name), default)


class ToBgr:
    """Decoded frames of any pixel format and size -> (H, W, 3) BGR.

    Not thread safe; one a stream.
    """

    def __init__(self, *, threads: int = 1) -> None:
        """Keep swscale's tables between frames.

        Args:
            threads: for swscale.
        """
        self._threads = threads
        self._reformatter = VideoReformatter()

    def __call__(
        self, frame: av.VideoFrame, coding: Coding, *, size: tuple[int, int] | None = None
    ) -> Image:
        """Convert one frame.

        Args:
            frame: as the decoder gave it; 8 bits or more; an alpha channel is dropped.
            coding: matrix and range of the frame; ignored for RGB formats.
            size: (height, width) to scale to; None for the frame's own.

        Returns:
            (H, W, 3) uint8 BGR, a new array.
        """
        height, width = size or (frame.height, frame.width)
        if frame.format.is_rgb:
            bgr = self._reformatter.reformat(
                frame, width, height, "bgr24", interpolation=_UP, threads=self._threads
            )
        else:
            bgr = self._reformatter.reformat(
                frame,
                width,
                height,
                "bgr24",
                src_colorspace=_SWSCALE_MATRIX[coding.matrix],
                dst_colorspace=_SWSCALE_MATRIX[coding.matrix],
                src_color_range=_SWSCALE_RANGE[coding.range],
                dst_color_range=ColorRange.JPEG,
                interpolation=_UP,
                threads=self._threads,
            )
        return cast("Image", np.ascontiguousarray(bgr.to_ndarray()))


class FromBgr:
    """(H, W, 3) BGR or (H, W, 4) BGRA with straight alpha -> frames for an encoder.

    Not thread safe; one a stream.
    """

    def __init__(self, pixel_format: str, coding: Coding, *, threads: int = 1) -> None:
        """Keep swscale's tables between frames.

        Args:
            pixel_format: FFmpeg's name, "yuv420p" or "bgr0" and the like.
            coding: matrix and range to convert to; ignored for RGB formats.
            threads: for swscale.
        """
        self._pixel_format = pixel_format
        self._is_rgb = av.VideoFormat(pixel_format).is_rgb
        self._coding = coding
        self._threads = threads
        self._reformatter = VideoReformatter()

    def __call__(self, pixels: Image) -> av.VideoFrame:
        """Convert one picture; it is copied."""
        name = "bgra" if pixels.shape[2] == 4 else "bgr24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=name)
        if self._is_rgb:
            return self._reformatter.reformat(
                frame, format=self._pixel_format, interpolation=_DOWN, threads=self._threads
            )
        return self._reformatter.reformat(
            frame,
            format=self._pixel_format,
            src_colorspace=_SWSCALE_MATRIX[self._coding.matrix],
            dst_colorspace=_SWSCALE_MATRIX[self._coding.matrix],
            src_color_range=ColorRange.JPEG,
            dst_color_range=_SWSCALE_RANGE[self._coding.range],
            interpolation=_DOWN,
            threads=self._threads,
        )
