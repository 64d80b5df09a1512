"""A picture with transparency on top of everything: a frame, a logo, a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.closing import Closing
from humanseg.pixels import resize
from humanseg.sources.images import read_transparent_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Image


class Overlay(Closing):
    """Scaled so that all of it is seen, centred, and drawn only where it is not transparent."""

    def __init__(self, pixels: Image) -> None:
        """Take the picture, (H, W, 4) BGRA with straight alpha."""
        alpha = pixels[..., 3:].astype(np.float32) / 255
        colours = np.asarray(pixels[..., :3] * alpha + np.float32(0.5), np.uint8)
        # Scaled with the alpha in the colours, so that transparent pixels' colours do not show.
        self._premultiplied = np.dstack([colours, pixels[..., 3]])
        self._size = (0, 0)
        self._fit(1, 1)

    def draw(self, pixels: Image) -> None:
        """Lay the overlay on (H, W, 3) uint8 BGR pixels, which are changed."""
        if pixels.shape[:2] != self._size:
            self._fit(*pixels.shape[:2])
        part = pixels[self._rows, self._columns]
        if part.size:
            dimmed = cv2.multiply(part, self._through, scale=1 / 255)
            part[:] = cv2.add(dimmed, self._colours)

    def _fit(self, height: int, width: int) -> None:
        """Prepare for pictures of (height, width)."""
        tall, wide = self._premultiplied.shape[:2]
        scale = min(height / tall, width / wide)
        tall, wide = max(1, round(tall * scale)), max(1, round(wide * scale))
        scaled = resize(self._premultiplied, tall, wide)
        top, left = (height - tall) // 2, (width - wide) // 2
        seen = scaled[..., 3] > 0
        rows, columns = _span(np.any(seen, axis=1)), _span(np.any(seen, axis=0))
        part = scaled[rows, columns]
        self._size = (height, width)
        self._rows = slice(rows.start + top, rows.stop + top)
        self._columns = slice(columns.start + left, columns.stop + left)
        self._colours = np.ascontiguousarray(part[..., :3])
        self._through = np.repeat(255 - part[..., 3:], 3, axis=2)


def _span(seen: NDArray[np.bool_]) -> slice:
    """From the first to the last true place."""
    places = np.flatnonzero(seen)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def open_overlay(path: str) -> Overlay:
    """Open the picture of an overlay.

    Raises:
        SourceError: it is no picture, or one without transparency.
    """
    return Overlay(read_transparent_image(Path(path)))
