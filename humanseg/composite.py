"""Frame and alpha -> the frame people see."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.errors import SettingsError
from humanseg.foreground import estimate_foreground
from humanseg.frames import Frame
from humanseg.protocols import Background

if TYPE_CHECKING:
    from humanseg.frames import Alpha, Image

OUTPUTS = ("composite", "mask", "alpha", "foreground")


class Compositor:
    """Makes the output frames of one kind.

    "composite": people before the background. "mask": the alpha in grey. "alpha": people with a
    transparent background, straight alpha, BGRA. "foreground": people before black (premultiplied).
    """

    def __init__(self, background: Background, output: str = "composite") -> None:
        """Choose background and output.

        Args:
            background: is used by "composite" only, and not closed.
            output: one of OUTPUTS.

        Raises:
            SettingsError: no such output.
        """
        if output not in OUTPUTS:
            raise SettingsError(
                f"there is no output '{output}'", hint=f"one of {', '.join(OUTPUTS)}"
            )
        self._background = background
        self._output = output

    def compose(self, frame: Frame, alpha: Alpha) -> Frame:
        """Make the output frame.

        Args:
            frame: (H, W, 3) BGR; left unchanged.
            alpha: (H, W) float32, 0..1.

        Returns:
            A new frame of the same time and size: BGR, or BGRA for "alpha".
        """
        return dataclasses.replace(frame, pixels=self._compose(frame, alpha))

    def _compose(self, frame: Frame, alpha: Alpha) -> Image:
        if self._output == "mask":
            return np.asarray(cv2.cvtColor(grey(alpha), cv2.COLOR_GRAY2BGR), np.uint8)
        if self._output == "alpha":
            people = estimate_foreground(frame.pixels, alpha)
            return np.dstack([people, grey(alpha)])
        if self._output == "foreground":
            people = estimate_foreground(frame.pixels, alpha)
            return blend(people, np.zeros_like(people), alpha)
        return blend(frame.pixels, self._background.for_frame(frame, alpha), alpha)


def grey(alpha: Alpha) -> Image:
    """(H, W) uint8, 0..255, of an alpha (H, W) 0..1."""
    return np.asarray(cv2.convertScaleAbs(alpha, alpha=255.0), np.uint8)


def blend(foreground: Image, background: Image, alpha: Alpha) -> Image:
    """Lay the foreground over the background.

    Args:
        foreground: (H, W, 3) uint8 BGR.
        background: (H, W, 3) uint8 BGR.
        alpha: (H, W) float32, 0..1.

    Returns:
        (H, W, 3) uint8 BGR, a new array: exactly the foreground where alpha is 1, exactly the
        background where it is 0.
    """
    # Sure pixels are only copied; arithmetic is for the edge, some twentieth of a picture.
    share = grey(alpha)
    mixed = background.copy()
    cv2.copyTo(foreground, (share == 255).view(np.uint8), mixed)
    edge = np.flatnonzero((share > 0) & (share < 255))
    front = np.take(foreground.reshape(-1, 3), edge, axis=0).astype(np.float32)
    behind = np.take(background.reshape(-1, 3), edge, axis=0).astype(np.float32)
    weight = np.take(alpha.reshape(-1), edge)[:, None]
    mixed.reshape(-1, 3)[edge] = behind + weight * (front - behind) + np.float32(0.5)
    return mixed
