"""Whether a picture is still enough that the mask of the one before serves it, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from humanseg.media.planar import glance
from humanseg.motion import coarse_grey
from humanseg.pixels import box_mean
from humanseg.sizes import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Frame, Mask


@dataclass(frozen=True, slots=True)
class GateOptions:
    """When the networks may be left out.

    Attributes:
        most: frames in a row that may be left out, whatever they show; 0 never leaves any out.
        change: largest change of luma anywhere (0..1, mean over a few pixels) of a still picture.
        exposure: largest change of brightness, as a share, that is none of the scene.
    """

    most: int = 4
    change: float = 0.03
    exposure: float = 0.08


NO_GATE = GateOptions(most=0)
"""Every frame is shown to the networks."""


class MotionGate:
    """Tells still pictures from others, compared with the last one that the networks saw.

    As long as nothing moves, a small change cannot add up unseen: what is compared is never the
    picture just before, but the one the mask was made for.

    Attributes:
        frames: pictures judged so far.
        skipped: those of them that were still.
    """

    def __init__(self, options: GateOptions | None = None) -> None:
        self._options = options or GateOptions()
        self.frames = self.skipped = 0
        self.reset()

    def reset(self) -> None:
        """Forget the last picture; the next one is not still."""
        self._shape: tuple[int, int] | None = None
        self._seen: NDArray[np.float32] | None = None
        self._mask: Mask | None = None
        self._in_a_row = 0

    def is_still(self, frame: Frame) -> bool:
        """Whether the last mask serves this frame; if not, the networks have to see it."""
        self.frames += 1
        if self._options.most == 0:
            return False
        shape, now = (frame.height, frame.width), _small(frame)
        if shape == self._shape and self._in_a_row < self._options.most and self._is_like(now):
            self._in_a_row += 1
            self.skipped += 1
            return True
        self._shape, self._seen, self._in_a_row = shape, now, 0
        return False

    def masks(
        self, frames: Sequence[Frame], infer: Callable[[Sequence[Frame]], list[Mask]]
    ) -> list[Mask]:
        """The masks of the next frames, made only where something moved.

        Args:
            frames: in their order.
            infer: makes masks, one a frame.

        Returns:
            One mask a frame; still frames share one array with the frame before.
        """
        return self.shared([(frame, self.is_still(frame)) for frame in frames], infer)

    def shared(
        self,
        judged: Sequence[tuple[Frame, bool]],
        infer: Callable[[Sequence[Frame]], list[Mask]],
    ) -> list[Mask]:
        """The same for frames that are judged already, each with what `is_still` said."""
        moving = [frame for frame, is_still in judged if not is_still]
        made = iter(infer(moving) if moving else [])
        masks: list[Mask] = []
        for _, is_still in judged:
            if not is_still:
                self._mask = next(made)
            assert self._mask is not None
            masks.append(self._mask)
        return masks

    def _is_like(self, now: NDArray[np.float32]) -> bool:
        assert self._seen is not None
        limit = self._options.exposure
        gain = (float(self._seen.sum()) + 1) / (float(now.sum()) + 1)
        change = np.abs(now * np.float32(np.clip(gain, 1 - limit, 1 + limit)) - self._seen)
        return float(box_mean(change, 1).max()) < 255 * self._options.change


def _small(frame: Frame) -> NDArray[np.float32]:
    """The frame as motion is measured in it: (h, w) float32, levels 0..255."""
    place = fit(frame.height, frame.width)
    pixels = glance(frame, place.height, place.width).pixels
    return coarse_grey(pixels, place.height, place.width).astype(np.float32)
