"""When a camera may be switched off because nobody looks."""

from __future__ import annotations

from humanseg.live.demand import Demand

IDLE_SECONDS = 5.0
"""How long nobody must look before the camera is released; programs open and close it to probe."""


class Rest:
    """Whether the camera may be released because nobody looks.

    Attributes:
        demand: tells whether a program reads the virtual camera; may be changed.
        is_resting: nobody has looked for long enough.
    """

    def __init__(self, demand: Demand, seconds: float = IDLE_SECONDS) -> None:
        """Rest after so many seconds without demand; end at once when it is back."""
        self.demand = demand
        self.is_resting = False
        self._seconds = seconds
        self._wanted_at: float | None = None

    def changes(self, now: float, *, is_watched: bool) -> bool:
        """Look at the demand.

        Args:
            now: `time.monotonic()`.
            is_watched: somebody looks at another output.

        Returns:
            Whether `is_resting` has changed.
        """
        if is_watched or self._wanted_at is None or self.demand.wanted():
            self._wanted_at = now
        is_resting = now - self._wanted_at >= self._seconds
        has_changed = is_resting != self.is_resting
        self.is_resting = is_resting
        return has_changed
