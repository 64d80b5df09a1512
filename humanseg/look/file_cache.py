"""Files that are shown while somebody may change them on disk, without ever waiting for a disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from humanseg.closing import Closing
from humanseg.errors import HumansegError

T = TypeVar("T", bound=Closing)

CLOSE_SECONDS = 2.0
"""Longest wait at the end for a disk that does not answer."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What tells one version of a file from another."""

    changed: int
    size: int
    number: int


@dataclass(frozen=True, slots=True)
class _Opened(Generic[T]):
    value: T
    stamp: _Stamp | None


class FileCache(Closing, Generic[T]):
    """Keeps a few files open, and opens the one in use again when it has changed.

    `get` and `close` belong to one thread, which never touches a disk; `prepare` may be called
    from any thread. A thread of its own, humanseg-files, looks at the file in use.
    """

    def __init__(
        self, open_file: Callable[[str], T], *, size: int = 3, interval: float = 1.0
    ) -> None:
        """Begin empty.

        Args:
            open_file: opens a path; raises HumansegError when that fails.
            size: how many files are kept open.
            interval: seconds between two looks at the file in use.
        """
        self._open_file = open_file
        self._size = size
        self._interval = interval
        self._kept: dict[str, _Opened[T]] = {}
        self._ready: dict[str, _Opened[T]] = {}
        self._current: str | None = None
        self._given: str | None = None
        self._seen: _Stamp | None = None
        self._failed: _Stamp | None = None
        self._warning: str | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_closed = False
        self._watcher: threading.Thread | None = None

    @property
    def warning(self) -> str | None:
        """What is wrong with the file in use now; the last good version is shown."""
        return self._warning

    def prepare(self, path: str) -> None:
        """Open a file now, on this thread, unless it is open.

        Raises:
            HumansegError: it cannot be opened.
        """
        with self._lock:
            if path in self._kept or path in self._ready:
                return
        self._lay_ready(path, self._open(path))

    def get(self, path: str) -> T | None:
        """The newest good version of a file; None while it is being opened."""
        with self._lock:
            replaced = self._take_over(path)
            opened = self._kept.get(path)
            if path != self._current:
                self._current, self._seen, self._failed, self._warning = path, None, None, None
            if self._watcher is None and not self._is_closed:
                self._watcher = threading.Thread(
                    target=self._watch, name="humanseg-files", daemon=True
                )
                self._watcher.start()
        if opened is None:
            self._wake.set()
        for old in replaced:
            old.value.close()
        return None if opened is None else opened.value

    def _take_over(self, path: str) -> list[_Opened[T]]:
        """Keep what was made ready; give what it replaces, and what is one too many.

        The file asked for and the one given last stay, whatever else was made ready.
        """
        replaced: list[_Opened[T]] = []
        for name in list(self._ready):
            if name in self._kept:
                replaced.append(self._kept.pop(name))
            self._kept[name] = self._ready.pop(name)
        before = self._given
        if path in self._kept:  # to the end: the one used last goes last
            self._kept[path] = self._kept.pop(path)
            self._given = path
        idle = [name for name in self._kept if name not in (path, before)]
        for name in idle[: max(0, len(self._kept) - self._size)]:
            replaced.append(self._kept.pop(name))
        return replaced

    def _watch(self) -> None:
        while True:
            self._wake.wait(self._interval)
            self._wake.clear()
            with self._lock:
                path = self._current
                opened = None if path is None else self._ready.get(path) or self._kept.get(path)
            if self._is_closed:
                return
            if path is not None:
                self._look_at(path, opened)

    def _look_at(self, path: str, opened: _Opened[T] | None) -> None:
        stamp = _stamp(path)
        if opened is not None and stamp == opened.stamp:
            self._warn(path, None)
            return
        if stamp is None and opened is not None:
            self._warn(path, f"{path}: there is no such file any more")
            return
        # Twice the same: nobody is still writing it.
        is_settled, self._seen = opened is None or stamp == self._seen, stamp
        if not is_settled or (stamp is not None and stamp == self._failed):
            return
        try:
            fresh = self._open(path)
        except HumansegError as error:
            self._failed = stamp
            self._warn(path, str(error))
            return
        self._lay_ready(path, fresh)
        self._warn(path, None)

    def _warn(self, path: str, warning: str | None) -> None:
        with self._lock:
            if path == self._current:
                self._warning = warning

    def _open(self, path: str) -> _Opened[T]:
        # Before the file is read: a change while it is read is seen as one.
        stamp = _stamp(path)
        return _Opened(self._open_file(path), stamp)

    def _lay_ready(self, path: str, opened: _Opened[T]) -> None:
        with self._lock:
            surplus = opened if self._is_closed else self._ready.get(path)
            if not self._is_closed:
                self._ready[path] = opened
        if surplus is not None:
            surplus.value.close()

    def close(self) -> None:
        """End the thread and close all files."""
        with self._lock:
            self._is_closed = True
            left = [*self._kept.values(), *self._ready.values()]
            self._kept, self._ready = {}, {}
        self._wake.set()
        if self._watcher is not None:
            self._watcher.join(CLOSE_SECONDS)
        for opened in left:
            opened.value.close()


def _stamp(path: str) -> _Stamp | None:
    """What tells this version of a file; None when there is none."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino)
