"""The unsure part of a planar picture: small blocks, taken out, mixed and put back."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING, NamedTuple, Self, cast

import cv2
import numpy as np

from humanseg.media.color import bgr_matrix, yuv_matrix
from humanseg.pixels import resize, sampled, scaled, where_at_least

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from humanseg.media.color import Coding
    from humanseg.media.planar import Plane, Planes


AT_ONCE = 16_384
"""Blocks that are mixed at once."""


class Triple(NamedTuple):
    """Colours of blocks, as they are stored.

    Attributes:
        y: (n, count) uint8 or float32, 0..255; n is 4 for the pixels of a block, 1 for one colour.
        cb: (1, count).
        cr: (1, count).
    """

    y: NDArray[Any]
    cb: NDArray[Any]
    cr: NDArray[Any]

    def taken(self, some: slice) -> Triple:
        """Some of the blocks."""
        return Triple(*(values[:, some] for values in self))

    def bgr(self, coding: Coding) -> NDArray[np.uint8]:
        """(3, n, count) uint8 B, G, R."""
        matrix = bgr_matrix(coding)
        made = np.empty((3, *self.y.shape), np.float32)
        for channel, (luma, from_cb, from_cr, offset) in zip(made, matrix, strict=True):
            np.multiply(self.y, luma, out=channel)
            channel += self.cb * from_cb + self.cr * from_cr + (offset + np.float32(0.5))
        np.clip(made, 0, 255, out=made)
        return made.astype(np.uint8)


def triple_of(bgr: NDArray[np.uint8], coding: Coding) -> Triple:
    """Y of every pixel (n, count), Cb and Cr (1, count) of the mean of each block; float32."""
    matrix = yuv_matrix(coding)
    y = np.full(bgr.shape[1:], matrix[0, 3], np.float32)
    for channel, weight in zip(bgr, matrix[0], strict=False):
        y += channel * weight
    mean = bgr.sum(axis=1, keepdims=True, dtype=np.float32)
    mean *= np.float32(1 / bgr.shape[1])
    cb, cr = (
        sum(channel * weight for channel, weight in zip(mean, row, strict=False)) + row[3]
        for row in matrix[1:]
    )
    return Triple(y, cb, cr)


class Edge:
    """The 2 x 2 blocks of a picture where people are neither sure nor absent.

    Attributes:
        count: number of blocks.
        inside: (H / 2, W / 2) uint8, 255 where a block is all people.
    """

    def __init__(self, cover: Plane, like: Planes) -> None:
        """Find them.

        Args:
            cover: (H, W) uint8, share of the people 0..255.
            like: planes of that size.
        """
        self._half = (int(like.u.shape[0]), int(like.u.shape[1]))
        blocks = resize(cover, *self._half)
        self.inside = where_at_least(blocks, 255)
        found = cv2.findNonZero(cv2.inRange(blocks, np.array(1.0), np.array(254.0)))
        points = np.zeros((0, 2), np.int32) if found is None else found.reshape(-1, 2)
        self._columns = points[:, 0].astype(np.intp)
        self._rows = points[:, 1].astype(np.intp)
        self.count = len(points)

    def parts(self) -> Iterator[tuple[Self, slice]]:
        """Some blocks at a time, and which of all they are: a huge edge needs no more memory."""
        for begin in range(0, self.count, AT_ONCE):
            taken = slice(begin, begin + AT_ONCE)
            part = copy(self)
            part._rows, part._columns = self._rows[taken], self._columns[taken]
            part.count = len(part._rows)
            yield part, taken

    def luma(self, plane: Plane) -> Plane:
        """(4, count) of a plane of full size."""
        flat, stride = _flat(plane)
        return np.asarray(flat.take(self._four(stride)))

    def gather(self, planes: Planes) -> Triple:
        """The blocks' colours, uint8."""
        return Triple(self.luma(planes.y), self._chroma(planes.u), self._chroma(planes.v))

    def near(self, small: NDArray[np.uint8]) -> Triple:
        """One colour a block, of a small picture (h, w, 3) of Y, Cb and Cr."""
        height, width = self._half
        down = scaled(self._rows.astype(np.float32), small.shape[0] / height)
        across = scaled(self._columns.astype(np.float32), small.shape[1] / width)
        found = sampled(small, down, across)
        return Triple(found[None, :, 0], found[None, :, 1], found[None, :, 2])

    def scatter(self, mixed: Triple, planes: Planes) -> None:
        """Write blocks into planes; values are float32, 0..255 within rounding."""
        for plane, values in zip((planes.u, planes.v), (mixed.cb, mixed.cr), strict=True):
            flat, stride = _flat(plane)
            flat[self._rows * stride + self._columns] = _as_bytes(values[0])
        flat, stride = _flat(planes.y)
        flat[self._four(stride)] = _as_bytes(mixed.y)

    def _chroma(self, plane: Plane) -> Plane:
        flat, stride = _flat(plane)
        return np.asarray(flat.take(self._rows * stride + self._columns))[None]

    def _four(self, stride: int) -> NDArray[np.intp]:
        """(4, count) places of the luma of each block."""
        first = 2 * (self._rows * stride + self._columns)
        places = first + np.array([[0], [1], [stride], [stride + 1]])
        return cast("NDArray[np.intp]", places)


def _as_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(values + np.float32(0.5), 0, 255), np.uint8)


def _flat(plane: Plane) -> tuple[Plane, int]:
    """A plane's memory in one row, a view, and the bytes from one of its rows to the next."""
    stride = plane.strides[0]
    size = stride * (plane.shape[0] - 1) + plane.shape[1]
    flat = np.lib.stride_tricks.as_strided(plane, (size,), (1,), writeable=plane.flags.writeable)
    return flat, stride
