"""How much work a live session does: less when the processor is too busy, more when it has room."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 2.0
"""Seconds over which the load is measured."""

ROOM = 0.7
"""Share of the limit below which more work is tried."""

PATIENCE = 5
"""Windows with room, one after the other, before more work is tried."""

LONGEST_PATIENCE = 60
"""Windows to wait after more work was too much again and again."""

LAG = 0.1
"""Share of the camera's frames without a mask in time, above which the work is too much."""

LAGGING_WINDOWS = 2
"""Windows with such a lag, one after the other, before less is done: a hiccup is no load."""

FAST = "fast"


@dataclass(frozen=True, slots=True)
class Step:
    """An amount of work.

    Attributes:
        preset: networks that run.
        mask_every: 1 runs them on every frame, 2 on every second one; in between the last mask
            follows the picture's motion.
    """

    preset: str
    mask_every: int = 1

    @property
    def about(self) -> str:
        """What is done, for people."""
        often = "every frame" if self.mask_every == 1 else "every second frame"
        return f"preset {self.preset} on {often}"


def steps(preset: str) -> tuple[Step, ...]:
    """The amounts of work for a preset, the most first.

    >>> [step.about for step in steps("fast")]
    ['preset fast on every frame', 'preset fast on every second frame']
    """
    full = (Step(preset), Step(preset, 2))
    return full if preset == FAST else (*full, Step(FAST), Step(FAST, 2))


class Effort:
    """Chooses the amount of work by what the last seconds took.

    One step less after a window over the limit, or two in which many frames found the networks
    busy; one step more after several windows with room. A step up that proves too much doubles the
    wait before the next.

    Attributes:
        warning: why less is done than was asked for; None when all is.
    """

    def __init__(self, preset: str, limit: float | None = None) -> None:
        """Begin with the full work.

        Args:
            preset: that was asked for.
            limit: cores that may be kept busy, 0.8 for 80 % of one; None sets no limit.
        """
        self._limit = limit
        self.warning: str | None = None
        self.restart(preset)

    def restart(self, preset: str) -> None:
        """Begin again with the full work of a preset."""
        self._steps = steps(preset)
        self._at = 0
        self._patience = PATIENCE
        self._calm = self._lagging = 0
        self._has_told_end = False
        self._since_rise: int | None = None
        self._begin: tuple[float, float, int, int] | None = None
        self.warning = None

    @property
    def step(self) -> Step:
        """The amount of work to do now."""
        return self._steps[self._at]

    def observe(self, now: float, processor_seconds: float, received: int, missed: int) -> bool:
        """Look at the load; cheap, called as often as wished.

        Args:
            now: `time.monotonic()`.
            processor_seconds: this process has used so far.
            received: frames the camera gave so far.
            missed: those of them that found the networks busy.

        Returns:
            Whether `step` has changed.
        """
        if self._begin is None:
            self._begin = (now, processor_seconds, received, missed)
            return False
        began, used, before, missed_before = self._begin
        if now - began < WINDOW:
            return False
        self._begin = (now, processor_seconds, received, missed)
        cores = (processor_seconds - used) / (now - began)
        lag = (missed - missed_before) / max(1, received - before)
        return self._judge(cores, lag)

    def settle(self) -> None:
        """Leave out what was measured since the last window, as while networks are loaded."""
        self._begin = None

    def _judge(self, cores: float, lag: float) -> bool:
        is_over = self._limit is not None and cores > self._limit
        self._lagging = self._lagging + 1 if lag > LAG else 0
        if is_over or self._lagging >= LAGGING_WINDOWS:
            return self._fall(self._reason(cores, is_over=is_over))
        has_room = self._limit is None or cores < ROOM * self._limit
        self._calm = self._calm + 1 if has_room else 0
        if self._since_rise is not None:
            self._since_rise += 1
        if self._at > 0 and self._calm >= self._patience:
            self._move(-1)
            self._since_rise = 0
            if self._at == 0:
                self.warning = None
            return True
        return False

    def _fall(self, reason: str) -> bool:
        if self._at == len(self._steps) - 1:
            self._calm = 0
            if self._has_told_end:
                return False
            self._has_told_end = True
            self.warning = f"{reason}, even with {self.step.about}"
            return False
        if self._since_rise is not None and self._since_rise <= PATIENCE:
            self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
        self._since_rise = None
        self._move(1)
        self.warning = f"{reason}: {self.step.about}"
        return True

    def _move(self, steps_down: int) -> None:
        self._at += steps_down
        self._calm = self._lagging = 0
        self._has_told_end = False
        self.settle()

    def _reason(self, cores: float, *, is_over: bool) -> str:
        if is_over and self._limit is not None:
            return f"{cores:.0%} of a core was busy, the limit is {self._limit:.0%}"
        return "the networks could not keep up with the camera"
