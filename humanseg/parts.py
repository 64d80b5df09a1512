"""Parts and holes of masks over time: small ones come and go with hysteresis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.pixels import grow, largest_in_each, outlines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Mask
    from humanseg.motion import Motion

HAZE = 0.1
"""Probability up to which the networks are sure of a gap, as between arm and body."""

AROUND = 3
"""Pixels of haze that go with a part."""


@dataclass(frozen=True, slots=True)
class PartOptions:
    """Which parts and holes are shown.

    Attributes:
        appear: a part is shown, or a hole opened, from this share of the largest part's area on ...
        vanish: ... and is gone below this one; 0..1.
        doubt: a part is gone where the probability nowhere reaches this; the largest always stays.
    """

    appear: float = 0.03
    vanish: float = 0.02
    doubt: float = 0.8


class SteadyParts:
    """Keeps small parts and holes from flickering; remembers those that were shown last."""

    def __init__(self, options: PartOptions | None = None) -> None:
        self._options = options or PartOptions()
        self._shown: NDArray[np.uint8] | None = None

    def update(self, mask: Mask, back: Motion | None) -> Mask:
        """Take away parts and fill holes that are too small or doubtful, given what was shown.

        Args:
            mask: (h, w) float32, 0..1.
            back: where each pixel was in the frame before; None begins anew.

        Returns:
            (h, w) float32, 0..1; the mask itself when nothing is to be done.
        """
        if back is None:
            self._shown = None
        inside = (mask > 0.5).astype(np.uint8)
        parts, has_holes = outlines(inside)
        largest = int(np.count_nonzero(inside))
        if len(parts) > 1:
            labels, figures = _connected(inside, 8)
            largest = int(figures[1:, cv2.CC_STAT_AREA].max())
            gone = self._too_small(figures, largest, self._share_shown(labels, back, shown=1))
            gone += self._doubtful(mask, labels, figures)
            mask = _without(mask, labels, gone)
        if has_holes:
            labels, figures = _connected((mask <= 0.5).astype(np.uint8), 4)
            small = self._too_small(figures, largest, self._share_shown(labels, back, shown=0))
            holes = [hole for hole in small if _is_unsure_hole(mask, labels == hole)]
            if holes:
                mask = np.where(_of(labels, holes), np.float32(1), mask)
        self._shown = (mask > 0.5).astype(np.uint8)
        return mask

    def _share_shown(
        self, labels: NDArray[np.int32], back: Motion | None, *, shown: int
    ) -> NDArray[np.float64] | None:
        """The share of each label that was there before; None at a beginning.

        Parts were there where 1 was shown, holes where 0 was.
        """
        if self._shown is None or back is None:
            return None
        was_there = back.carry(self._shown) == shown
        count = int(labels.max()) + 1
        areas = np.bincount(labels.ravel(), minlength=count)
        return np.bincount(labels[was_there], minlength=count) / np.maximum(areas, 1)

    def _too_small(
        self, figures: NDArray[np.int32], largest: int, was_there: NDArray[np.float64] | None
    ) -> list[int]:
        """Labels of what is smaller than its limit, which is lower for what was there before."""
        areas = figures[:, cv2.CC_STAT_AREA]
        limits = np.full(len(areas), self._options.vanish * largest)
        if was_there is not None:
            limits[was_there <= 0.5] = self._options.appear * largest
        return [int(label) for label in np.flatnonzero(areas < limits) if label > 0]

    def _doubtful(
        self, mask: Mask, labels: NDArray[np.int32], figures: NDArray[np.int32]
    ) -> list[int]:
        """Labels of parts, but the largest, that the networks are nowhere sure enough of."""
        surest = largest_in_each(labels, mask, len(figures))
        largest = 1 + int(np.argmax(figures[1:, cv2.CC_STAT_AREA]))
        wanting = np.flatnonzero(surest < self._options.doubt)
        return [int(label) for label in wanting if label not in (0, largest)]


def _connected(
    where: NDArray[np.uint8], connectivity: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Labels (h, w) of connected pixels, 0 for all others, and the figures of each label."""
    _, labels, figures, _ = cv2.connectedComponentsWithStats(where, connectivity=connectivity)
    return np.asarray(labels, np.int32), np.asarray(figures, np.int32)


def _without(mask: Mask, labels: NDArray[np.int32], parts: list[int]) -> Mask:
    """A mask without parts and the haze right around them."""
    if not parts:
        return mask
    gone = _of(labels, parts)
    around = grow(gone.view(np.uint8), AROUND)
    stays = ((labels > 0) & ~gone).view(np.uint8)
    return np.where(around > stays, np.float32(0), mask)


def _of(labels: NDArray[np.int32], chosen: list[int]) -> NDArray[np.bool_]:
    """(h, w): where the label is one of those chosen."""
    is_chosen = np.zeros(int(labels.max()) + 1, bool)
    is_chosen[chosen] = True
    return is_chosen[labels]


def _is_unsure_hole(mask: Mask, hole: NDArray[np.bool_]) -> bool:
    """Whether a hole touches no edge of the picture, and the networks are nowhere sure of it."""
    edges = (hole[0], hole[-1], hole[:, 0], hole[:, -1])
    return not any(edge.any() for edge in edges) and float(mask[hole].min()) > HAZE
