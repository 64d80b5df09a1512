"""Masks that hold still: each is averaged with those before it along the picture's motion."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.motion import Motion, MotionFinder, TrustOptions, coarse_grey
from humanseg.parts import PartOptions, SteadyParts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Frame, Mask

REFERENCE_RATE = 30.0
"""Frames a second at which all weights of SmoothingOptions are meant."""

LONGEST_GAP = 0.5
"""Seconds between two frames above which the older mask says nothing about the newer."""

REST = 1 / 512
"""Distance to the new mask at which a smoothed one comes to rest on it; below what 8 bits show."""

THICK = np.ones((5, 5), np.uint8)
"""What fits into a part of a person that must not be lost, and not into a moving edge."""


@dataclass(frozen=True, slots=True)
class SmoothingOptions:
    """How masks are smoothed over time.

    Attributes:
        sure_weight: share of the new mask where it is sure (0 or 1) and follows the motion; 0..1.
        unsure_weight: the same where it cannot decide (0.5).
        speed_weight: how much a change that has begun before adds to that share, as in the one-euro
            filter.
        speed_rate: share of the newest change in the speed of change, 0..1.
        lost: probability down to which a part of a person that suddenly fades is kept for a while.
        cut: share of the picture (0..1) whose motion is unknown in a scene cut.
        look_ahead: frames that `push` waits for, 0, 1 or 2; `update` never waits.
        ahead_weight: weight of each of them beside the frame's own mask.
        trust: when motion is believed.
        parts: specks and holes over time; None leaves them.

    Weights are those at 30 frames a second. Source of the adaptation: Casiez et al., "1 euro
    filter", CHI 2012.
    """

    sure_weight: float = 0.25
    unsure_weight: float = 0.1
    speed_weight: float = 2.5
    speed_rate: float = 0.5
    lost: float = 0.46
    cut: float = 0.6
    look_ahead: int = 0
    ahead_weight: float = 1.0
    trust: TrustOptions = field(default_factory=TrustOptions)
    parts: PartOptions | None = field(default_factory=PartOptions)


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """What is remembered of a frame.

    Attributes:
        frame: the frame itself.
        mask: as the networks gave it.
        smoothed: averaged with the ones before.
        weight: share of the mask in `smoothed`.
        speed: of the mask's change, a frame.
        grey: the picture in which motion is measured.
        back: where each pixel was in the frame before; None after a new beginning.
        ahead: where each pixel of the frame before is in this one; None as above.
    """

    frame: Frame
    mask: Mask
    smoothed: Mask
    weight: NDArray[np.float32]
    speed: NDArray[np.float32]
    grey: NDArray[np.uint8]
    back: Motion | None = None
    ahead: Motion | None = None


class TemporalSmoother:
    """Averages masks along the motion of the picture, less where they change and where they move.

    A scene cut, another size, or a gap in time makes it start anew. Either `update` or `push` and
    `flush` are to be used for one stream.
    """

    def __init__(self, options: SmoothingOptions | None = None) -> None:
        self._options = options or SmoothingOptions()
        self._finder = MotionFinder(self._options.trust)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as before the first frame."""
        self._last: _Moment | None = None
        self._waiting: deque[_Moment] = deque()
        self._parts = SteadyParts(self._options.parts) if self._options.parts else None

    def update(self, frame: Frame, mask: Mask) -> Mask:
        """Smooth the mask of the next frame at once.

        Args:
            frame: the picture the mask belongs to.
            mask: (h, w) float32, 0..1.

        Returns:
            (h, w) float32, 0..1, a new array.
        """
        return self._cleaned(self._follow(frame, mask), [])

    def push(
        self, frame: Frame, mask: Mask, *, seen: Frame | None = None
    ) -> list[tuple[Frame, Mask]]:
        """Take the mask of the next frame; give what is ready, `look_ahead` frames later.

        Args:
            frame: the picture the mask belongs to.
            mask: (h, w) float32, 0..1.
            seen: a smaller copy of the frame to measure motion in, which saves time.

        Returns:
            Frames in their order with masks (h, w) float32, 0..1, new arrays.
        """
        moment = self._follow(frame, mask, seen)
        # What comes after a cut says nothing about what waits.
        ready = self.flush() if moment.back is None else []
        self._waiting.append(moment)
        while len(self._waiting) > self._options.look_ahead:
            ready.append(self._released())
        return ready

    def flush(self) -> list[tuple[Frame, Mask]]:
        """Give the frames that still wait, at the end of a stream."""
        return [self._released() for _ in range(len(self._waiting))]

    def _follow(self, frame: Frame, mask: Mask, seen: Frame | None = None) -> _Moment:
        """Smooth with what has been seen so far, and remember."""
        grey = coarse_grey((seen or frame).pixels, *mask.shape)
        moment = self._continued(frame, mask, grey)
        if moment is None:
            moment = _Moment(frame, mask, mask, np.ones_like(mask), np.zeros_like(mask), grey)
        self._last = moment
        return moment

    def _continued(self, frame: Frame, mask: Mask, grey: NDArray[np.uint8]) -> _Moment | None:
        """The next moment of a scene that goes on; None when this is a new one."""
        last, options = self._last, self._options
        if last is None or last.mask.shape != mask.shape:
            return None
        elapsed = float(frame.time - last.frame.time)
        if not 0 <= elapsed <= LONGEST_GAP:
            return None
        back, ahead = self._finder.between(
            last.grey, grey, (mask.shape[0], mask.shape[1]), ahead=options.look_ahead > 0
        )
        if back.known < 1 - options.cut:
            return None
        before = back.carry(last.smoothed)
        smoothed, weight, speed = self._blend(mask, before, back, elapsed * REFERENCE_RATE)
        return _Moment(frame, mask, smoothed, weight, speed, grey, back, ahead)

    def _blend(
        self, mask: Mask, before: Mask, back: Motion, steps: float
    ) -> tuple[Mask, NDArray[np.float32], NDArray[np.float32]]:
        """Average a mask with what is known of it; its share in it; the speed of its change."""
        assert self._last is not None
        options = self._options
        change = mask - before
        speed = back.carry(self._last.speed)
        # What changes for the first time may be a flash.
        lasting = np.abs(speed)
        speed += np.float32(_after(options.speed_rate, steps)) * (change - speed)
        unsure = _after(options.unsure_weight, steps)
        span = _after(options.sure_weight, steps) - unsure
        weight = np.abs(mask - np.float32(0.5)) * np.float32(2 * span) + np.float32(unsure)
        weight += np.float32(options.speed_weight) * lasting
        np.minimum(weight, 1, out=weight)
        weight += (1 - back.trust) * (1 - weight)
        fading = _fading(mask, before, options.lost)
        if fading is not None:
            weight[fading] = unsure
        smoothed = before + weight * change
        return np.where(np.abs(mask - smoothed) < REST, mask, smoothed), weight, speed

    def _released(self) -> tuple[Frame, Mask]:
        moment = self._waiting.popleft()
        return moment.frame, self._cleaned(moment, list(self._waiting))

    def _cleaned(self, moment: _Moment, later: Sequence[_Moment]) -> Mask:
        """The mask to show for a moment, given the moments after it."""
        mask = self._with_later(moment, later)
        if self._parts is not None:
            mask = self._parts.update(mask, moment.back)
        return mask.copy()

    def _with_later(self, now: _Moment, later: Sequence[_Moment]) -> Mask:
        """Average with the masks of later frames, brought back along the motion."""
        smoothed = now.smoothed
        if not later:
            return smoothed
        mean: Mask | None = None
        count = np.ones_like(smoothed)
        for moment in reversed(later):
            assert moment.ahead is not None
            if mean is None:
                mean = moment.mask
            else:
                mean = np.asarray((moment.mask + count * mean) / (1 + count), np.float32)
                count = 1 + count
            mean, count = moment.ahead.carry(mean), moment.ahead.carry(count) * moment.ahead.trust
        assert mean is not None
        weight = np.float32(self._options.ahead_weight) * now.weight * count
        return np.asarray((smoothed + weight * mean) / (1 + weight), np.float32)


def _fading(mask: Mask, before: Mask, lost: float) -> NDArray[np.bool_] | None:
    """Thick parts of a person, as a hand, that became unsure in one frame; None without any."""
    sinking = (before > 0.5) & (mask < 0.5) & (mask > lost)
    if not sinking.any():
        return None
    thick = cv2.morphologyEx(sinking.astype(np.uint8), cv2.MORPH_OPEN, THICK)
    return thick > 0 if thick.any() else None


def _after(weight: float, steps: float) -> float:
    """The weight that acts as often as `steps` frames at the reference rate do."""
    return float(1 - (1 - weight) ** steps)
