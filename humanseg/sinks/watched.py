"""A sink for viewers who come and go; without one it costs nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from humanseg.closing import Closing

if TYPE_CHECKING:
    from humanseg.frames import Frame


class WatchedSink(Closing):
    """Keeps the newest frame for whoever watches, in any thread; never waits, never copies.

    Attributes:
        kept: frames kept so far; those that came while nobody watched are not among them.
    """

    def __init__(self) -> None:
        self.kept = 0
        self._viewers = 0
        self._newest: Frame | None = None
        self._lock = threading.Lock()

    @property
    def is_watched(self) -> bool:
        """Whether there is a viewer."""
        return self._viewers > 0

    def write(self, frame: Frame) -> None:
        """Put a frame in the place of the last one, if there is a viewer."""
        if self._viewers:
            self._newest = frame
            self.kept += 1

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count a viewer while the context lasts."""
        with self._lock:
            self._viewers += 1
        try:
            yield
        finally:
            with self._lock:
                self._viewers -= 1
                if not self._viewers:
                    self._newest = None  # no picture of the room stays behind

    def take(self) -> Frame | None:
        """The newest frame that was not taken yet; None when there is none."""
        frame, self._newest = self._newest, None
        return frame
