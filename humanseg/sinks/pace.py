"""When the next frame of a steady stream is due."""

from __future__ import annotations

import math

EARLY = 0.5
"""Share of a period by which a new frame may come before its time; cameras are not that even."""

FASTER = 1.1
"""How much faster than the rate new frames may come for good without having to wait."""


class Pace:
    """Lets new frames pass at once and repeats the last one when none comes; keeps no time itself.

    A new frame never waits for a tick, so that it is not older than it must be; it waits only
    where it would come closer than half a period behind the one before, or much faster than the
    rate. Repeats stand on a grid of deadlines, so they neither drift nor, after a stall, come in
    a burst: deadlines that were missed are left out.

    Source: the generic cell rate algorithm (virtual scheduling), ITU-T I.371.
    """

    def __init__(self, rate: float, now: float) -> None:
        """Begin.

        Args:
            rate: frames a second.
            now: seconds; the first frame is due at once.
        """
        self._period = 1 / rate
        self._slot = now
        self._repeat_at = now

    @property
    def new_at(self) -> float:
        """When a new frame may be sent, in seconds."""
        return self._slot - EARLY * self._period

    @property
    def repeat_at(self) -> float:
        """When the last frame is sent again if none has come, in seconds."""
        return self._repeat_at

    def sent_new(self, now: float) -> None:
        """A new frame was sent; half a period of grace for the next one begins."""
        self._take_slot(now)
        self._repeat_at = now + (1 + EARLY) * self._period

    def repeated(self, now: float) -> None:
        """The last frame was sent again, perhaps late."""
        self._take_slot(now)
        late = (now - self._repeat_at) / self._period
        self._repeat_at += (1 + max(0, math.floor(late + EARLY))) * self._period

    def resume(self, now: float) -> None:
        """Begin anew after an interruption: the last frame is due at once."""
        self._repeat_at = now

    def _take_slot(self, now: float) -> None:
        self._slot = max(self._slot, now) + self._period / FASTER
