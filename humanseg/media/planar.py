"""Pictures that stay YCbCr 4:2:0 from the decoder to the encoder, so that nothing is converted."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from humanseg.frames import Frame
from humanseg.media.color import Coding, FromBgr, ToBgr, bgr_matrix, reformat_options
from humanseg.pixels import interleave

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Image

    Plane = NDArray[np.uint8]
    """(h, w) uint8: Y, Cb or Cr; rows may lie apart in memory."""

PIXEL_FORMAT = "yuv420p"
_SAME_LAYOUT = ("yuv420p", "yuvj420p")


class Planes:
    """An 8-bit YCbCr 4:2:0 picture of even sides, in the memory of one of FFmpeg's frames.

    Not thread safe while it is written; one thread after the other may read.

    Attributes:
        video: FFmpeg's frame, which the planes are views of.
        coding: matrix and range.
        y: (H, W) uint8.
        u: (H / 2, W / 2) uint8, Cb.
        v: (H / 2, W / 2) uint8, Cr.
    """

    def __init__(self, video: av.VideoFrame, coding: Coding) -> None:
        """See a frame's memory as planes; nothing is copied.

        Raises:
            ValueError: the frame is not 8-bit 4:2:0, or has an odd side.
        """
        if video.format.name not in _SAME_LAYOUT or video.width % 2 or video.height % 2:
            raise ValueError(f"{video.format.name} {video.width}x{video.height} has no such planes")
        self.video, self.coding = video, coding
        self.y, self.u, self.v = (_view(video, number) for number in range(3))
        self._levels: dict[int, tuple[Plane, Plane, Plane]] = {}

    @classmethod
    def empty(cls, height: int, width: int, coding: Coding) -> Planes:
        """New planes of any content, to be written."""
        return cls(av.VideoFrame(width, height, PIXEL_FORMAT), coding)

    @property
    def height(self) -> int:
        """Rows of the picture."""
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        """Columns of the picture."""
        return int(self.y.shape[1])

    def freeze(self) -> None:
        """Make the planes read-only; a decoder may still predict from them."""
        for plane in (self.y, self.u, self.v):
            plane.flags.writeable = False

    def level(self, halvings: int) -> tuple[Plane, Plane, Plane]:
        """Y, Cb and Cr of one size: the picture's, halved so many times; made once.

        Args:
            halvings: at least 1, where Cb and Cr are as they are stored.

        Returns:
            Three (h, w) uint8; sides are rounded up.
        """
        found = self._levels.get(halvings)
        if found is None:
            if halvings == 1:
                found = (_halve(self.y), self.u, self.v)
            else:
                y, u, v = self.level(halvings - 1)
                found = (_halve(y), _halve(u), _halve(v))
            self._levels[halvings] = found
        return found

    def small_bgr(self, halvings: int) -> Image:
        """(h, w, 3) BGR of a level."""
        return to_bgr(interleave(self.level(halvings)), self.coding)

    def bgr(self) -> Image:
        """(H, W, 3) BGR by swscale's exact way."""
        return ToBgr()(self.video, self.coding)


def _view(video: av.VideoFrame, number: int) -> Plane:
    plane = video.planes[number]
    rows = np.frombuffer(cast("memoryview", plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _halve(plane: Plane) -> Plane:
    size = ((plane.shape[1] + 1) // 2, (plane.shape[0] + 1) // 2)
    return cast("Plane", cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


def halvings_until(height: int, width: int, most_pixels: int) -> int:
    """How often a picture must be halved to have at most so many pixels.

    >>> halvings_until(720, 1280, 640 * 360)
    1
    """
    count = 0
    while height * width > most_pixels:
        height, width, count = (height + 1) // 2, (width + 1) // 2, count + 1
    return count


def to_bgr(yuv: Plane, coding: Coding) -> Image:
    """(..., 3) BGR of (h, w, 3) Y, Cb, Cr, all uint8."""
    return cast("Image", cv2.transform(yuv, bgr_matrix(coding)))


class PlanarFrame(Frame):
    """A frame that holds planes, and makes BGR pixels only for those who ask.

    Attributes:
        planes: the picture.
    """

    __slots__ = ("_bgr", "planes")

    planes: Planes
    _bgr: Image | None

    def __init__(
        self, planes: Planes, index: int, time: Fraction, duration: Fraction | None = None
    ) -> None:
        for name, value in (
            ("planes", planes),
            ("_bgr", None),
            ("index", index),
            ("time", time),
            ("duration", duration),
            ("captured_at", None),
        ):
            object.__setattr__(self, name, value)

    @property
    def pixels(self) -> Image:
        """(H, W, 3) BGR, made at the first call; read-only."""
        made = self._bgr
        if made is None:
            made = self.planes.bgr()
            made.flags.writeable = False
            object.__setattr__(self, "_bgr", made)
        return made

    @property
    def height(self) -> int:
        """Rows of the picture."""
        return self.planes.height

    @property
    def width(self) -> int:
        """Columns of the picture."""
        return self.planes.width

    def freeze(self) -> None:
        """Make the planes read-only."""
        self.planes.freeze()

    def with_duration(self, duration: Fraction | None) -> PlanarFrame:
        """The same frame, shown so many seconds."""
        return PlanarFrame(self.planes, self.index, self.time, duration)

    def with_planes(self, planes: Planes) -> PlanarFrame:
        """Another picture at the same place in the stream."""
        return PlanarFrame(planes, self.index, self.time, self.duration)


def glance(frame: Frame, height: int, width: int) -> Frame:
    """A frame that is cheap to look at: for planar frames the smallest level of at least this size.

    Args:
        frame: any.
        height: that is enough.
        width: that is enough.

    Returns:
        A frame of BGR pixels; the frame itself where it holds such or is small.
    """
    if not isinstance(frame, PlanarFrame):
        return frame
    halvings, tall, wide = 0, frame.height, frame.width
    while (tall + 1) // 2 >= height and (wide + 1) // 2 >= width:
        halvings, tall, wide = halvings + 1, (tall + 1) // 2, (wide + 1) // 2
    if halvings == 0:
        return frame
    small = frame.planes.small_bgr(halvings)
    return Frame(small, frame.index, frame.time, frame.duration)


class ToPlanes:
    """Decoded frames of any pixel format and size -> planes. Not thread safe; one a stream."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, coding: Coding, *, size: tuple[int, int]) -> Planes:
        """Convert one frame; the planes are the frame's own where they can be.

        Args:
            frame: as the decoder gave it.
            coding: matrix and range of the frame, and of the result.
            size: (height, width) of the result, even.
        """
        height, width = size
        if frame.format.name in _SAME_LAYOUT and (frame.height, frame.width) == size:
            return Planes(frame, coding)
        made = self._reformatter.reformat(
            frame, width, height, PIXEL_FORMAT, **reformat_options(frame, coding)
        )
        return Planes(made, coding)


def planes_of(pixels: Image, coding: Coding) -> Planes:
    """Planes of a picture (H, W, 3) BGR of even sides."""
    return Planes(FromBgr(PIXEL_FORMAT, coding)(pixels), coding)
