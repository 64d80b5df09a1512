"""Masks at network size -> alphas at frame size: clean, enlarge along edges, shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.guided_filter import guided_upsample_colour
from humanseg.media.planar import PlanarFrame, Planes, halvings_until
from humanseg.pixels import largest_in_each, outlines, resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Alpha, Frame, Image, Mask

    Guide = Sequence[NDArray[np.uint8]]
    """Three (H, W) uint8 planes of colour, which edges follow."""

HAZE = 0.1
"""Probability above which neighbouring pixels count as connected."""

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """How a mask becomes an alpha.

    Attributes:
        erosion: 0..1, how much of the edge's outermost mask pixel is drawn in.
        smallest_part: share of the largest part (0..1) below which a separate part is a speck
            and removed, and below which a hole is filled; 0 keeps all.
        smallest_person: share of the picture (0..1) below which nothing is a person.
        doubt: a separate part goes where the probability nowhere reaches this; the largest stays.
        guide_pixels: the filter runs at the largest half, quarter ... of the frame that has at most
            this many pixels; the rest of the way is bilinear.
        radius: of the guided filter, in pixels of the mask.
        epsilon: of the guided filter, in squared colour.
        low: probability that becomes alpha 0.
        high: probability that becomes alpha 1.
    """

    erosion: float = 0.0
    smallest_part: float = 0.03
    smallest_person: float = 0.001
    doubt: float = 0.8
    guide_pixels: int = 640 * 400
    radius: int = 2
    epsilon: float = 3e-4
    low: float = 0.12
    high: float = 0.88


class Refiner:
    """Turns masks into alphas; keeps no state between frames."""

    def __init__(self, options: RefineOptions | None = None) -> None:
        self._options = options or RefineOptions()

    def refine(self, pixels: Image, mask: Mask) -> Alpha:
        """Make the alpha of one picture.

        Args:
            pixels: (H, W, 3) uint8 BGR.
            mask: (h, w) float32, 0..1, of that picture.

        Returns:
            (H, W) float32, 0..1, a new array.
        """
        guide = _guide(pixels, self._options.guide_pixels)
        return resize(self._follow(mask, guide), *pixels.shape[:2])

    def refine_frame(self, frame: Frame, mask: Mask) -> Alpha:
        """Make the alpha of one frame, as large as is cheap.

        Args:
            frame: any; a planar one is not converted.
            mask: (h, w) float32, 0..1, of that frame.

        Returns:
            float32, 0..1, a new array: of the size of a planar frame or a half, quarter ... of it
            (the compositor enlarges it in bytes), of any other frame's own size.
        """
        if not isinstance(frame, PlanarFrame):
            return self.refine(frame.pixels, mask)
        guide = _planar_guide(frame.planes, self._options.guide_pixels)
        return resize(self._follow(mask, guide), *guide[0].shape)

    def _follow(self, mask: Mask, guide: Guide) -> Alpha:
        """The alpha at the guide's size; at the mask's where the guide is smaller."""
        options = self._options
        mask = remove_specks(
            mask, options.smallest_part, options.smallest_person, doubt=options.doubt
        )
        mask = soft_erode(mask, options.erosion)
        height, width = guide[0].shape
        if height >= mask.shape[0] and width >= mask.shape[1]:
            mask = guided_upsample_colour(
                mask, guide, radius=options.radius, epsilon=options.epsilon
            )
        return shape_alpha(mask, options.low, options.high)


def _guide(pixels: Image, most_pixels: int) -> Guide:
    """Blue, green and red of a picture, halved until it has at most so many pixels."""
    height, width = pixels.shape[:2]
    for _ in range(halvings_until(height, width, most_pixels)):
        height, width = (height + 1) // 2, (width + 1) // 2
    return [np.asarray(plane, np.uint8) for plane in cv2.split(resize(pixels, height, width))]


def _planar_guide(planes: Planes, most_pixels: int) -> Guide:
    """Y, Cb and Cr of a picture, halved until it has at most so many pixels."""
    halvings = halvings_until(planes.height, planes.width, most_pixels)
    if halvings:
        return planes.level(halvings)
    size = (planes.height, planes.width)
    return [planes.y, resize(planes.u, *size), resize(planes.v, *size)]


def soft_erode(mask: Mask, amount: float) -> Mask:
    """Draw the edge in by up to one pixel.

    Args:
        mask: (h, w) float32, 0..1.
        amount: 0..1; 0 leaves the mask as it is, 1 takes the smallest of each pixel's neighbours.

    Returns:
        (h, w) float32, 0..1; never above the mask.
    """
    if amount == 0:
        return mask
    smallest = np.asarray(cv2.erode(mask, CROSS), np.float32)
    return mask + np.float32(amount) * (smallest - mask)


def remove_specks(
    mask: Mask, smallest_part: float, smallest_person: float = 0.0, *, doubt: float = 0.0
) -> Mask:
    """Take away small or doubtful separate parts with the haze around them, and fill small holes.

    A part is where the mask is above one half, connected. What is less sure stays where it is
    connected to a part that stays, as hair is; haze on its own goes.

    Args:
        mask: (h, w) float32, 0..1.
        smallest_part: share of the largest part's area, 0..1; smaller parts go, and holes smaller
            than this share of the largest part are filled; 0 keeps all.
        smallest_person: share of the picture below which nothing is a person.
        doubt: a part goes where the mask nowhere reaches this, but for the largest part.

    Holes are filled only where the probability stays above HAZE.

    Returns:
        (h, w) float32, 0..1; never above the mask but in filled holes.
    """
    if smallest_part <= 0:
        return mask
    inside = (mask > 0.5).astype(np.uint8)
    parts, has_holes = outlines(inside)
    if not parts:
        return np.zeros_like(mask)
    if len(parts) == 1:
        area = int(np.count_nonzero(inside))
        smallest = max(area * smallest_part, smallest_person * mask.size)
        if area < smallest:
            return np.zeros_like(mask)
        return _alone(mask, parts[0], smallest, has_holes=has_holes)
    _, labels, figures, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    areas = figures[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # label 0 is the outside
    smallest = max(areas.max() * smallest_part, smallest_person * mask.size)
    stays = areas >= max(1.0, smallest)
    if doubt > 0 and stays.sum() > 1:
        surest = largest_in_each(np.asarray(labels, np.int32), mask, len(areas))
        surest[areas.argmax()] = 1
        stays &= surest >= doubt
    if not stays.any():
        return np.zeros_like(mask)
    haze = _haze(mask)
    is_staying = stays[labels]
    joined = np.zeros(int(haze.max()) + 1, bool)
    joined[haze[is_staying]] = True
    # A part that goes may hang on to one that stays by haze alone.
    kept = np.where(joined[haze] & (is_staying | (inside == 0)), mask, np.float32(0))
    return _fill_holes(kept, smallest) if has_holes else kept


def _alone(mask: Mask, outline: NDArray[np.int32], smallest: float, *, has_holes: bool) -> Mask:
    """A mask of one part, as most are, without haze apart from it and holes below `smallest`."""
    haze = _haze(mask)
    column, row = outline[0, 0]
    kept = np.where(haze == haze[row, column], mask, np.float32(0))
    return _fill_holes(kept, smallest) if has_holes else kept


def _haze(mask: Mask) -> NDArray[np.int32]:
    """Labels of what is connected by more than haze; 0 for the rest."""
    _, labels = cv2.connectedComponents((mask > HAZE).astype(np.uint8), connectivity=8)
    return np.asarray(labels, np.int32)


def _fill_holes(mask: Mask, smallest: float) -> Mask:
    outside = (mask <= 0.5).astype(np.uint8)
    count, labels, figures, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    height, width = mask.shape
    holes = [
        label
        for label in range(1, count)
        if figures[label, cv2.CC_STAT_AREA] < smallest
        and figures[label, cv2.CC_STAT_LEFT] > 0
        and figures[label, cv2.CC_STAT_TOP] > 0
        and figures[label, cv2.CC_STAT_LEFT] + figures[label, cv2.CC_STAT_WIDTH] < width
        and figures[label, cv2.CC_STAT_TOP] + figures[label, cv2.CC_STAT_HEIGHT] < height
        # A gap that the networks are sure of, as between arm and body, is no hole.
        and float(mask[labels == label].min()) > HAZE
    ]
    if not holes:
        return mask
    filled: Mask = np.where(np.isin(labels, holes), np.float32(1), mask)
    return filled


def shape_alpha(mask: Mask, low: float, high: float) -> Alpha:
    """Stretch the unsure band between two probabilities over 0..1.

    Args:
        mask: (H, W) float32, 0..1.
        low: becomes 0.
        high: becomes 1.

    Returns:
        (H, W) float32, 0..1, a new array.
    """
    # A curve that is steeper in the middle would show every tremble of the edge larger.
    begin = np.float32(low)
    alpha = np.subtract(mask, begin)
    alpha /= np.float32(high) - begin
    return np.clip(alpha, 0, 1, out=alpha)
