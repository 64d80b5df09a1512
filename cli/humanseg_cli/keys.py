"""Keys of a running `humanseg live`: what they do, and how the terminal gives them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Any

KEYS: Mapping[str, str] = {
    "b": "effect toggle",
    "n": "background next",
    "m": "mirror toggle",
    "f": "freeze toggle",
    "v": "view toggle",
    "+": "strength up",
    "=": "strength up",
    "-": "strength down",
    "s": "statistics toggle",
    "q": "quit",
}
"""Command of each key; the same in the preview and in the terminal."""

SHOWN_KEYS = "b blur  n next  m mirror  f freeze  v mask  +/- strength  s statistics  q quit"

ESCAPE = "\x1b"
LETTERS = 128
READ_BYTES = 256


def commands(letters: str) -> list[str]:
    r"""The commands of some letters; arrows and other keys that send several letters do nothing.

    >>> commands("bQx"), commands("\x1b[A")
    (['effect toggle', 'quit'], [])
    """
    typed = letters.partition(ESCAPE)[0].lower()
    return [KEYS[letter] for letter in typed if letter in KEYS]


def of_preview(key: int) -> list[str]:
    """The commands of a key code that a window gave.

    >>> of_preview(ord("q")), of_preview(0x10FF51)
    (['quit'], [])
    """
    return commands(chr(key)) if 0 < key < LETTERS else []


class TerminalKeys:
    """Letters typed at the terminal, one by one and unseen, while a context lasts.

    The terminal is as it was before whenever this process is not in front: after the end, after
    an error or a signal, and while it is stopped by Ctrl-Z.

    Attributes:
        is_gone: the terminal was closed.
    """

    def __init__(self) -> None:
        self.is_gone = False
        self._descriptor: int | None = None
        self._before: list[Any] | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> TerminalKeys:
        if sys.platform == "win32":
            return self
        try:
            self._descriptor = sys.stdin.fileno() if sys.stdin.isatty() else None
        except (OSError, ValueError, AttributeError):  # stdin is closed, or no file
            self._descriptor = None
        if self._descriptor is not None and threading.current_thread() is threading.main_thread():
            for number, handler in ((signal.SIGTSTP, self._stop), (signal.SIGQUIT, self._leave)):
                self._handlers[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def read(self) -> str:
        """The letters typed since the last call; never waits."""
        if sys.platform == "win32":
            return _read_windows()
        if self._descriptor is None or self.is_gone or not self._is_in_front():
            return ""
        self._take()
        import select

        try:
            readable, _, _ = select.select([self._descriptor], [], [], 0)
            if not readable:
                return ""
            typed = os.read(self._descriptor, READ_BYTES)
        except OSError:
            typed = b""
        self.is_gone = not typed
        return typed.decode(errors="ignore")

    def _is_in_front(self) -> bool:
        """Whether the terminal listens to us; in the background, touching it would stop us."""
        assert self._descriptor is not None
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            self.is_gone = True
            return False

    def _take(self) -> None:
        """Have the terminal give each letter at once, and not show it."""
        import termios
        import tty

        if self._before is not None or self._descriptor is None:
            return
        try:
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor, termios.TCSANOW)
        except termios.error:
            self.is_gone = True

    def _restore(self) -> None:
        before, self._before = self._before, None
        if before is None or self._descriptor is None or not self._is_in_front():
            return
        import contextlib
        import termios

        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: give the terminal back, stop, and take it again when we are in front again."""
        self._restore()
        self._meet_as_usual(number)
        signal.signal(number, self._stop)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-backslash: give the terminal back and end as if nothing had been set."""
        self._restore()
        self._meet_as_usual(number)

    def _meet_as_usual(self, number: int) -> None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _read_windows() -> str:
    if sys.platform != "win32":
        return ""
    import msvcrt

    typed = ""
    while msvcrt.kbhit():
        letter = msvcrt.getwch()
        if letter in ("\x00", "\xe0"):  # an arrow or the like, in two parts
            msvcrt.getwch()
        else:
            typed += letter
    return typed
