"""How a run ends before its end: Ctrl-C, SIGTERM, or a loss that is no number."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from humanseg.errors import HumansegError


class TrainingStopped(HumansegError):
    """The loss of a run was no number; the checkpoint from before is kept."""


class TrainingInterrupted(TrainingStopped):
    """Ctrl-C or SIGTERM ended the run; a checkpoint of its last step is kept."""

    exit_code = 130


class StopRequest:
    """Remembers Ctrl-C and SIGTERM, so that the step in progress can end first."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        # Only the main thread may set handlers; in another one there is no signal to meet either.
        if threading.current_thread() is threading.main_thread():
            for name in (signal.SIGINT, signal.SIGTERM):
                self._before[name] = signal.signal(name, self._remember)
        return self

    def __exit__(self, *exception: object) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
