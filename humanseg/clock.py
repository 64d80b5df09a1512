"""Time as the parts with a clock of their own see it; a test may put another in its place."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def __call__(self) -> float:
        """Seconds that only ever grow, from any zero."""

    def wait(self, condition: threading.Condition, seconds: float | None = None) -> None:
        """Wait on a condition that is held: until it is notified or the seconds are over."""


class SystemClock:
    """`time.monotonic`, and real waits."""

    def __call__(self) -> float:
        """`time.monotonic()`."""
        return time.monotonic()

    def wait(self, condition: threading.Condition, seconds: float | None = None) -> None:
        """Wait on a condition that is held: until it is notified or the seconds are over."""
        condition.wait(seconds)
