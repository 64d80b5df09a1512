"""Signals of a running `humanseg live`."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Mapping
from types import FrameType
from typing import Any

COMMANDS: Mapping[str, str] = {
    "SIGINT": "quit",
    "SIGTERM": "quit",
    "SIGBREAK": "quit",
    "SIGHUP": "reload",
    "SIGUSR1": "effect toggle",
}
"""Command of each signal, where the system has it."""


class LiveSignals:
    """Turns signals into commands while a context lasts; a second Ctrl-C ends at once.

    Best entered before anything is opened: until `commands` is called for the first time, what
    asks to quit does so at once, as without this, and the other signals are kept for later
    instead of ending the process.
    """

    def __init__(self) -> None:
        self._came: deque[str] = deque()
        self._is_running = False
        self._is_asked_to_quit = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> LiveSignals:
        # Only the main thread may set handlers; in another one there is no signal to meet either.
        if threading.current_thread() is threading.main_thread():
            for name in COMMANDS:
                number = getattr(signal, name, None)
                if number is not None:
                    self._handlers[number] = signal.signal(number, self._meet)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def commands(self) -> list[str]:
        """The commands that came since the last call."""
        self._is_running = True
        return [self._came.popleft() for _ in range(len(self._came))]

    def _meet(self, number: int, frame: FrameType | None) -> None:
        # Only a note: this may run while the main thread holds a lock that the command needs.
        command = COMMANDS[signal.Signals(number).name]
        if command == "quit":
            if self._is_asked_to_quit or not self._is_running:
                self._end(number, frame)
            self._is_asked_to_quit = True
        self._came.append(command)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """End at once, by the handler that was there before if it does so."""
        before = self._handlers.get(number)
        if callable(before):
            before(number, frame)
        raise KeyboardInterrupt
