"""The masks of a live session: the networks of a preset, changed while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from humanseg.blending import BlendOptions
from humanseg.closing import Closing
from humanseg.errors import HumansegError
from humanseg.gate import MotionGate
from humanseg.motion import MaskFollower
from humanseg.refine import Refiner
from humanseg.segmenter import Segmenter
from humanseg.settings import find_preset
from humanseg.stopwatch import Stopwatch
from humanseg.temporal import LONGEST_GAP, TemporalSmoother

if TYPE_CHECKING:
    from humanseg.frames import Frame, Mask

LONGEST_FOLLOWED = 0.2
"""Seconds between two frames above which people may be elsewhere, and no mask is followed."""

CLOSE_PATIENCE = 2.0
"""Seconds to wait at the end for networks that are still being loaded."""


@dataclass(frozen=True, slots=True, eq=False)
class MadeMask:
    """A mask, and what its preset does with it later; presets may change before then.

    Attributes:
        mask: (h, w) float32, 0..1, smoothed over time.
        refiner: turns it into an alpha.
        blend: how people are laid over what is behind them.
    """

    mask: Mask
    refiner: Refiner
    blend: BlendOptions


class Networks(Closing):
    """The networks of one preset, with the options that go with them."""

    def __init__(self, preset: str, segmenter: Segmenter) -> None:
        """Take over a segmenter; it is closed with this.

        Raises:
            SettingsError: there is no such preset.
        """
        options = find_preset(preset)
        self.preset = preset
        self.segmenter = segmenter
        self.smoother = TemporalSmoother(options.smoothing)
        self.gate = MotionGate(options.gate)
        self.refiner = Refiner(options.refine)
        self.blend = options.blend

    def warm(self, height: int, width: int) -> None:
        """Run once on an empty picture: the first run compiles, and takes hundreds of frames' time.

        Args:
            height: of the frames to come.
            width: of the frames to come.
        """
        self.segmenter.masks([np.zeros((height, width, 3), np.uint8)])

    def close(self) -> None:
        """Close the segmenter."""
        self.segmenter.close()


class MaskMaker(Closing):
    """Makes the mask of each frame; belongs to one thread, but for `change`.

    Attributes:
        every: 1 runs the networks on every frame, 2 on every second one; in between the last mask
            follows the picture's motion; changed by `change` only.
        warning: why the networks asked for are not there; None when they are.
    """

    def __init__(
        self,
        open_segmenter: Callable[[str], Segmenter],
        preset: str,
        *,
        size: tuple[int, int] | None = None,
        gate: bool = True,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """Open the networks of the first preset.

        Args:
            open_segmenter: makes the segmenter of a preset; is called on other threads, too.
            preset: to begin with.
            size: (height, width) of the frames to come: the networks are run once before the first
                of them; None leaves what the first run takes to the first frame.
            gate: leave the networks out while nothing moves, where the preset does.
            stopwatch: with the stages "infer" and "smooth".

        Raises:
            HumansegError: of `open_segmenter`.
        """
        self._open_segmenter = open_segmenter
        self._timed = stopwatch or Stopwatch("infer", "smooth")
        self._size = size
        self._gated = gate
        self._networks = self._open(preset)
        self._next: Networks | None = None
        self._wanted = preset
        self._wanted_every = 1
        self._lock = threading.Lock()
        self._loading: threading.Thread | None = None
        self._is_closed = False
        self._follower = MaskFollower()
        self._last: Frame | None = None
        self._unseen = 0
        self.every = 1
        self.warning: str | None = None

    @property
    def preset(self) -> str:
        """The networks that run now."""
        return self._networks.preset

    @property
    def engine_name(self) -> str:
        """What runs the networks, and where."""
        return self._networks.segmenter.engine_name

    @property
    def is_loading(self) -> bool:
        """Whether other networks were asked for and do not run yet."""
        with self._lock:
            return self._loading is not None or self._next is not None

    def make(self, frame: Frame) -> MadeMask:
        """The smoothed mask of the next frame, and what goes with these networks."""
        self._take_over()
        networks = self._networks
        if self._last is not None and _is_cut(self._last, frame):
            networks.smoother.reset()
            networks.gate.reset()
            self._follower.reset()
        elif self._last is not None and frame.time - self._last.time > LONGEST_FOLLOWED:
            self._follower.reset()
        self._last, self._size = frame, frame.pixels.shape[:2]
        with self._timed("infer"):
            mask = self._follow(frame)
            if mask is None:
                infer = networks.segmenter.masks
                [mask] = networks.gate.masks([frame], infer) if self._gated else infer([frame])
                self._unseen = 0
        with self._timed("smooth"):
            smoothed = networks.smoother.update(frame, mask)
            if self.every > 1 and self._unseen == 0:
                self._follower.remember(frame, smoothed)
        return MadeMask(smoothed, networks.refiner, networks.blend)

    def change(self, preset: str, every: int = 1) -> None:
        """Load the networks of another preset and use them when they are there.

        Args:
            preset: may be the one that runs.
            every: how often they run then, see the attribute.

        Raises:
            SettingsError: there is no such preset.
        """
        find_preset(preset)
        with self._lock:
            self._wanted, self._wanted_every = preset, every
            if self._loading is None and not self._is_closed:
                self._loading = threading.Thread(
                    target=self._load, name="humanseg-load", daemon=True
                )
                self._loading.start()

    def close(self) -> None:
        """Close the networks; those that are still being loaded close themselves."""
        with self._lock:
            self._is_closed = True
            loading = self._loading
        if loading is not None:
            loading.join(CLOSE_PATIENCE)
        self._take_over()
        self._networks.close()

    def _follow(self, frame: Frame) -> Mask | None:
        if self.every == 1 or self._unseen + 1 >= self.every:
            return None
        self._unseen += 1
        return self._follower.follow(frame)

    def _take_over(self) -> None:
        with self._lock:
            ready, self._next = self._next, None
            if ready is not None:
                unused, self._networks = self._networks, ready
            if self._networks.preset == self._wanted:
                self.every = self._wanted_every
        if ready is not None:
            unused.close()
            self._follower.reset()

    def _open(self, preset: str) -> Networks:
        networks = Networks(preset, self._open_segmenter(preset))
        if self._size is not None:
            try:
                networks.warm(*self._size)
            except BaseException:
                networks.close()
                raise
        return networks

    def _load(self) -> None:
        """Open what is wanted, until that is what there is."""
        while True:
            with self._lock:
                there = self._next or self._networks
                wanted = self._wanted
                if there.preset == wanted or self._is_closed:
                    self._loading = None
                    return
            try:
                ready = self._open(wanted)
            except HumansegError as error:
                self._give_up(wanted, there.preset, str(error))
            except Exception as error:
                self._give_up(wanted, there.preset, f"{type(error).__name__}: {error}")
            else:
                self.warning = None
                self._offer(ready)

    def _give_up(self, wanted: str, there: str, why: str) -> None:
        self.warning = f"preset {wanted} cannot be loaded: {why}"
        with self._lock:
            if self._wanted == wanted:
                self._wanted = there

    def _offer(self, ready: Networks) -> None:
        with self._lock:
            unused, self._next = self._next, None if self._is_closed else ready
            unused = ready if self._is_closed else unused
        if unused is not None:
            unused.close()


def _is_cut(before: Frame, now: Frame) -> bool:
    """Whether what was seen before says nothing about this frame."""
    if before.pixels.shape != now.pixels.shape:
        return True
    return not 0 <= now.time - before.time <= LONGEST_GAP
