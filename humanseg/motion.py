"""How the picture moves at the masks' size, and masks that follow it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

import cv2
import numpy as np

from humanseg.pixels import box_mean, grow, halved_towards, resize

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from humanseg.frames import Frame, Image, Mask

    Grey = NDArray[np.uint8]
    Flow = NDArray[np.float32]

Array = TypeVar("Array", bound="NDArray[Any]")

SMALLEST_SIDE = 32
"""Pixels of a picture below which its motion is not worth measuring."""

COARSE = 2
"""Pixels of a mask, along each side, for which one motion is measured."""

STRIDE = 6
"""Pixels from patch to patch of the search; the usual 4 takes twice as long for little gain."""


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """When the motion found is believed.

    Attributes:
        still: motion in pixels of the mask below which there is none.
        quiet: change of luma (0..1) along the motion that still counts as noise.
        changed: change of luma from which on the motion is not believed.
        exposure: largest change of the whole picture's luma that counts as one of exposure.
        near: pixels of the mask that the way there and back may miss its beginning by ...
        far: ... and by how many at most, with less and less trust.
    """

    still: float = 0.25
    quiet: float = 0.02
    changed: float = 0.07
    exposure: float = 0.08
    near: float = 0.3
    far: float = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where each pixel of one picture was in another.

    Attributes:
        origins: (h, w, 2) float32, column and row in the other picture.
        trust: (h, w) float32, 0..1; 0 where the pixel cannot be seen in the other picture.
        known: share of the picture's pixels, 0..1, with any trust at all.
    """

    origins: NDArray[np.float32]
    trust: NDArray[np.float32]
    known: float

    def carry(self, array: Array) -> Array:
        """(h, w) values of the other picture, moved to where they are in this one."""
        return _taken(array, self.origins)


class MotionFinder:
    """Measures motion between two small grey pictures, with a check there and back.

    Source: dense inverse search, Kroeger et al., ECCV 2016, in its quickest form.
    """

    def __init__(self, options: TrustOptions | None = None) -> None:
        self._options = options or TrustOptions()
        self._fine, self._rough = _search_at(0), _search_at(1)

    def between(
        self, before: Grey, now: Grey, size: tuple[int, int], *, ahead: bool = False
    ) -> tuple[Motion, Motion | None]:
        """Motion between two pictures (h / COARSE, w / COARSE) uint8 of one size.

        Args:
            before: the earlier one.
            now: the later one.
            size: (h, w) of the masks that are to be carried.
            ahead: measure the second result, too.

        Returns:
            Where each pixel of `now` was in `before`; where each pixel of `before` will be in
            `now`, or None.
        """
        back = self._search(now, before, self._fine)
        forth = self._search(before, now, self._fine if ahead else self._rough)
        earlier = self._judge(before, now, back, forth, size)
        return earlier, self._judge(now, before, forth, back, size) if ahead else None

    def _search(self, here: Grey, there: Grey, search: cv2.DISOpticalFlow) -> Flow:
        nothing = np.zeros((*here.shape, 2), np.float32)
        if min(here.shape) < SMALLEST_SIDE:
            return nothing
        return np.asarray(search.calc(here, there, nothing), np.float32)

    def _judge(
        self, there: Grey, here: Grey, flow: Flow, opposite: Flow, size: tuple[int, int]
    ) -> Motion:
        """What is to be believed of the flow from `here` to `there`."""
        options = self._options
        origins = _grid(*here.shape) + flow
        change, change_moved = self._change(there, here), self._change(_taken(there, origins), here)
        # Beside people who move, the flow takes some background along: what did not change there
        # did not move.
        moves = (change > change_moved) & (_length(flow) >= options.still / COARSE)
        miss = _length(flow + _taken(opposite, origins))
        lost = _ramp(miss, options.near / COARSE, options.far / COARSE)
        lost *= moves
        residual = np.minimum(change, change_moved)
        np.maximum(lost, _ramp(residual, 255 * options.quiet, 255 * options.changed), out=lost)
        flow *= moves[..., None]
        scale = np.array([size[1] / here.shape[1], size[0] / here.shape[0]], np.float32)
        return Motion(
            _grid(*size) + resize(flow, *size) * scale,
            1 - resize(grow(lost, 1), *size),
            float(np.count_nonzero(lost < 1) / lost.size),
        )

    def _change(self, there: Grey, here: Grey) -> NDArray[np.float32]:
        """(h, w) mean change of the levels around each pixel, without a step of exposure."""
        change = np.asarray(cv2.subtract(here, there, dtype=cv2.CV_32F), np.float32)
        limit = 255 * self._options.exposure
        some = change[::3, ::3].ravel()
        step = min(limit, max(-limit, float(np.partition(some, some.size // 2)[some.size // 2])))
        return box_mean(np.abs(change - np.float32(step)), 1)


CHANGE_RADIUS = 3
"""Pixels of a mask around each one, over which the picture's change is averaged."""

CHANGED = 20
"""Levels (0..255) of change from which on a place is another than the one it should be."""

LARGEST_UNKNOWN = 0.1
"""Share of such places above which a mask cannot be followed."""


class MaskFollower:
    """Moves the last mask along with the picture.

    Remembers one mask and its picture at the mask's size.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.reset()

    def reset(self) -> None:
        """Forget the mask."""
        self._last: tuple[Grey, Mask, tuple[int, ...]] | None = None

    def remember(self, frame: Frame, mask: Mask) -> None:
        """Keep a mask that the networks made.

        Args:
            frame: the picture the mask belongs to.
            mask: (h, w) float32, 0..1.
        """
        self._last = (small_grey(frame.pixels, *mask.shape), mask, frame.pixels.shape)

    def follow(self, frame: Frame) -> Mask | None:
        """The mask of the frame that comes after the last one.

        Returns:
            (h, w) float32, 0..1, a new array; None when there is no mask to move, or when motion
            does not explain the picture, as after a cut.
        """
        if self._last is None or self._last[2] != frame.pixels.shape:
            return None
        before, mask, shape = self._last
        now = small_grey(frame.pixels, *mask.shape)
        moved = mask.copy()
        if min(mask.shape) >= SMALLEST_SIDE:
            still = np.zeros((*mask.shape, 2), np.float32)
            flow = np.asarray(self._flow.calc(now, before, still), np.float32)
            origins = _grid(*mask.shape) + flow
            change = box_mean(cv2.absdiff(_taken(before, origins), now), CHANGE_RADIUS)
            if np.count_nonzero(change > CHANGED) > LARGEST_UNKNOWN * change.size:
                self.reset()
                return None
            moved = _taken(mask, origins)
        self._last = (now, moved, shape)
        return moved


def small_grey(pixels: Image, height: int, width: int) -> Grey:
    """(height, width) uint8: the grey values of a BGR picture at a mask's size."""
    # One channel takes a third of the time of three.
    grey = cv2.cvtColor(halved_towards(pixels, height, width), cv2.COLOR_BGR2GRAY)
    return resize(np.asarray(grey, np.uint8), height, width)


def coarse_grey(pixels: Image, height: int, width: int) -> Grey:
    """The grey picture in which the motion of a mask (height, width) is measured."""
    return small_grey(pixels, max(1, height // COARSE), max(1, width // COARSE))


def _search_at(finest_scale: int) -> cv2.DISOpticalFlow:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(finest_scale)
    search.setPatchStride(STRIDE)
    return search


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> NDArray[np.float32]:
    """(height, width, 2): column and row of each pixel; shared, so it is never written to."""
    grid = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
    grid.flags.writeable = False
    return grid


def _taken(array: Array, origins: NDArray[np.float32]) -> Array:
    """An array taken from where each of its pixels comes from: column and row (h, w, 2)."""
    # Without a second map the first one holds both coordinates.
    both: Any = None
    return cast(
        "Array",
        cv2.remap(array, origins, both, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
    )


def _length(flow: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(cv2.transform(flow * flow, np.ones((1, 2), np.float32)), np.float32) ** 0.5


def _ramp(value: NDArray[Any], begin: float, end: float) -> NDArray[np.float32]:
    """0 up to `begin`, 1 from `end` on, straight between."""
    ramp = (value - np.float32(begin)) * np.float32(1 / (end - begin))
    return np.asarray(np.clip(ramp, 0, 1, out=ramp), np.float32)
