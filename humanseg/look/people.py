"""Which people are shown, and how their edges are shaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.look.looks import DEFAULT_THRESHOLD
from humanseg.pixels import gaussian_mean, resize
from humanseg.pixels import grow as grow_square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Alpha, Mask
    from humanseg.look.looks import Keep

SURE = 0.5
"""Probability above which a pixel is part of somebody."""

LARGEST_SIGMA = 4.0
"""Spread above which a Gaussian is made at half the size, which cannot be told apart."""

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
SQUARE = np.ones((3, 3), np.uint8)
SQUARE_SHARE = 0.4142
"""Share of squares among the crosses and squares that make a regular octagon."""


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The separate parts of a mask.

    Attributes:
        nearest: (h, w) number of the nearest part for each pixel, from 1; inside a part its own.
        inside: (h, w) float32, the mask inside the parts and 0 outside.
        mass: (parts + 1,) sum of the mask in each part; 0 for number 0, which no pixel has.
        across: (parts + 1,) centre of each part over the width, 0..1.
    """

    nearest: NDArray[np.int32]
    inside: Mask
    mass: NDArray[np.float64]
    across: NDArray[np.float64]


class PeopleKeeper:
    """Keeps one person of several, and does not hop between them.

    The one who was kept stays until another is clearly larger (or nearer the centre) for a while,
    or until they are gone. People who touch in the picture are one part, and are kept together;
    when they part again, the one who was kept before stays.
    """

    RIVALRY = 1.3
    """How many times larger, or nearer the centre, another must be."""
    PATIENCE = 10
    """Frames for which another must be so; a third of a second of most cameras."""
    ABSENCE = 5
    """Frames for which nobody is shown while the one who was kept cannot be found."""
    PIECE = 0.1
    """Share of the kept person's mass below which a part near them is theirs, as a hand is."""
    REACH = 4
    """Pixels of the mask that count as near."""
    LARGE = 0.15
    """Share of the largest person's mass that somebody in the centre must have."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget who was kept."""
        self._which: Keep = "all"
        self._memory: Mask | None = None
        self._challenged = 0
        self._absent = 0

    def keep(self, mask: Mask, which: Keep) -> Mask:
        """Take everybody else out of the mask of the next frame.

        Args:
            mask: (h, w) float32, 0..1, at the network's size.
            which: "all"; "largest"; or "centre" for the one nearest the middle of the width.

        Returns:
            (h, w) float32, 0..1, nowhere above the mask: soft edges stay soft. The mask itself when
            there is nobody to take out.
        """
        if which != self._which or (self._memory is not None and self._memory.shape != mask.shape):
            self.reset()
            self._which = which
        if which == "all":
            return mask
        parts = _find_parts(mask)
        kept = None if parts is None else self._choose(parts)
        if parts is None or kept is None:
            self._absent += 1
            if self._absent > self.ABSENCE:
                self._memory = None
            return mask if parts is None else np.zeros_like(mask)
        self._absent = 0
        self._remember(parts, kept)
        return self._only(mask, parts, kept)

    def _choose(self, parts: _Parts) -> int | None:
        """The number of the part to keep; None while the one who was kept is missing."""
        scores = self._scores(parts)
        best = int(scores.argmax())
        kept = self._find_again(parts)
        if kept is None:
            self._challenged = 0
            return best if self._memory is None else None
        rivalled = best != kept and scores[best] > self.RIVALRY * scores[kept]
        self._challenged = self._challenged + 1 if rivalled else 0
        if self._challenged < self.PATIENCE:
            return kept
        self._challenged, self._memory = 0, None
        return best

    def _scores(self, parts: _Parts) -> NDArray[np.float64]:
        if self._which == "largest":
            return parts.mass
        nearness = 1 / (0.1 + np.abs(parts.across - 0.5))
        return np.where(parts.mass >= self.LARGE * parts.mass.max(), nearness, 0.0)

    def _find_again(self, parts: _Parts) -> int | None:
        """The part that lies most where the one who was kept has been."""
        if self._memory is None:
            return None
        inside = self._memory * (parts.inside > 0)
        shared = np.bincount(parts.nearest.ravel(), inside.ravel(), len(parts.mass))
        found = int(shared.argmax())
        return found if shared[found] > 0.1 * self._memory.sum() else None

    def _remember(self, parts: _Parts, kept: int) -> None:
        person = parts.inside * (parts.nearest == kept)
        if self._memory is None:
            self._memory = person
            return
        # A sudden growth is another person who touches this one, and is learnt slowly.
        has_merged = person.sum() > 1.4 * self._memory.sum()
        rate = np.float32(0.02 if has_merged else 0.2)
        self._memory = self._memory + rate * (person - self._memory)

    def _only(self, mask: Mask, parts: _Parts, kept: int) -> Mask:
        if len(parts.mass) == 2:  # number 0, which is nobody, and one person
            return mask
        is_inside = parts.inside > 0
        person = (is_inside & (parts.nearest == kept)).astype(np.uint8)
        reached = is_inside & (grow_square(person, self.REACH) > 0)
        theirs = np.zeros(len(parts.mass), bool)
        theirs[np.unique(parts.nearest[reached])] = True
        theirs &= parts.mass < self.PIECE * parts.mass[kept]
        theirs[kept] = True
        if theirs[1:].all():
            return mask
        return np.where(theirs[parts.nearest], mask, np.float32(0))


def _find_parts(mask: Mask) -> _Parts | None:
    """The parts of a mask; None when there is none."""
    sure = mask > SURE
    if not sure.any():
        return None
    # A pixel more, so that a thin thing before a person does not cut them in two.
    outside = (grow_square(sure.astype(np.uint8), 1) == 0).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_CCOMP
    )
    inside = np.where(sure, mask, np.float32(0))
    mass = np.bincount(nearest.ravel(), inside.ravel())
    columns = np.broadcast_to((np.arange(mask.shape[1]) + 0.5) / mask.shape[1], mask.shape)
    moment = np.bincount(nearest.ravel(), (inside * columns).ravel())
    across = np.asarray(moment / np.maximum(mass, 1e-9), np.float64)
    return _Parts(np.asarray(nearest, np.int32), inside, np.asarray(mass, np.float64), across)


def shape_mask(
    mask: Mask, *, threshold: float = DEFAULT_THRESHOLD, feather: float = 0.0, grow: float = 0.0
) -> Mask:
    """Shape the edges of people: the threshold, then the width, then the softness.

    Args:
        mask: (H, W) float32, 0..1: a mask or an alpha.
        threshold: see `shift_threshold`.
        feather: see `feather_edge`.
        grow: see `grow_edge`.

    Returns:
        (H, W) float32, 0..1; the mask itself with the defaults.
    """
    return feather_edge(grow_edge(shift_threshold(mask, threshold), grow), feather)


def shift_threshold(mask: Mask, threshold: float) -> Mask:
    """Move the middle of the soft edge from one half to another probability.

    Args:
        mask: (H, W) float32, 0..1.
        threshold: between 0 and 1; what becomes one half. Lower shows more.

    Returns:
        (H, W) float32, 0..1, 0 and 1 as they were; the mask itself at one half.

    All logits are moved by the same amount, as another share of people in the training pictures
    would move them (Saerens et al., Neural Computation 2002), so that soft edges stay soft.
    """
    if threshold == DEFAULT_THRESHOLD:
        return mask
    for_people = mask * np.float32(1 - threshold)
    against = (1 - mask) * np.float32(threshold)
    return np.asarray(for_people / (for_people + against), np.float32)


def feather_edge(alpha: Alpha, sigma: float) -> Alpha:
    """Soften the edge by a Gaussian.

    Args:
        alpha: (H, W) float32, 0..1.
        sigma: its spread in pixels; 0 does nothing.

    Returns:
        (H, W) float32, 0..1; the alpha itself at 0.
    """
    if sigma == 0:
        return alpha
    height, width = alpha.shape
    small, scale = alpha, 1
    while sigma / scale > LARGEST_SIGMA and min(small.shape) > 1:
        scale *= 2
        small = resize(alpha, max(1, height // scale), max(1, width // scale))
    softened = resize(gaussian_mean(small, sigma / scale), height, width)
    return np.clip(softened, 0, 1, out=softened)


def grow_edge(alpha: Alpha, pixels: float) -> Alpha:
    """Move the edge outwards, or inwards, and keep its softness.

    Args:
        alpha: (H, W) float32, 0..1.
        pixels: outwards; negative inwards; parts of a pixel count; 0 does nothing.

    Returns:
        (H, W) float32, 0..1; the alpha itself at 0.

    Source: grey dilation and erosion, Serra 1982, by an octagon; between whole radii linear.
    """
    if pixels == 0:
        return alpha
    morph = cv2.dilate if pixels > 0 else cv2.erode
    whole, part = divmod(abs(pixels), 1)
    # Crosses and squares add up to a regular octagon, whatever their order.
    squares = int(whole * SQUARE_SHARE)
    crosses = int(whole) - squares
    moved = alpha.copy()
    if squares:
        square = np.ones((2 * squares + 1, 2 * squares + 1), np.uint8)
        moved = np.asarray(morph(moved, square, dst=moved), np.float32)
    if crosses:
        moved = np.asarray(morph(moved, CROSS, dst=moved, iterations=crosses), np.float32)
    if part == 0:
        return moved
    is_square_next = int((whole + 1) * SQUARE_SHARE) > squares
    further = morph(moved, SQUARE if is_square_next else CROSS)
    return np.asarray(cv2.addWeighted(moved, 1 - part, further, part, 0, dst=moved), np.float32)
