"""Masks that follow the picture's motion, for frames the networks do not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.pixels import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Frame, Image, Mask

SMALLEST_SIDE = 32
"""Pixels of a mask below which its motion is not worth measuring."""


class MaskFollower:
    """Moves the last mask along with the picture.

    Remembers one mask and its picture at the mask's size.

    Source: dense inverse search, Kroeger et al., ECCV 2016, in its quickest form.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.reset()

    def reset(self) -> None:
        """Forget the mask."""
        self._last: tuple[NDArray[np.uint8], Mask, tuple[int, ...]] | None = None

    def remember(self, frame: Frame, mask: Mask) -> None:
        """Keep a mask that the networks made.

        Args:
            frame: the picture the mask belongs to.
            mask: (h, w) float32, 0..1.
        """
        self._last = (_grey(frame.pixels, *mask.shape), mask, frame.pixels.shape)

    def follow(self, frame: Frame) -> Mask | None:
        """The mask of the frame that comes after the last one.

        Returns:
            (h, w) float32, 0..1, a new array; None when there is no mask to move.
        """
        if self._last is None or self._last[2] != frame.pixels.shape:
            return None
        before, mask, shape = self._last
        now = _grey(frame.pixels, *mask.shape)
        moved = mask.copy()
        if min(mask.shape) >= SMALLEST_SIDE:
            still = np.zeros((*mask.shape, 2), np.float32)
            moved = _moved(mask, np.asarray(self._flow.calc(now, before, still), np.float32))
        self._last = (now, moved, shape)
        return moved


def _grey(pixels: Image, height: int, width: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(resize(pixels, height, width), cv2.COLOR_BGR2GRAY), np.uint8)


def _moved(mask: Mask, flow: NDArray[np.float32]) -> Mask:
    """A mask taken from where each pixel was: flow (h, w, 2) is x, y from now to before."""
    height, width = mask.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.asarray(
        cv2.remap(
            mask,
            columns + flow[..., 0],
            rows + flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )
