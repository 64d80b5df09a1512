"""One thread uses a thing, any thread may close it, and never while it is in use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class GivenBack(Exception):
    """The thing was closed before it was used."""


class Lease(Generic[T]):
    """Holds what is given back once: at once when it is idle, else by the thread that uses it.

    Cameras and streams crash when they are closed inside a read, and a read may hang in a driver
    for ever, so that closing must not wait for it either.
    """

    def __init__(self, thing: T, give_back: Callable[[T], None]) -> None:
        """Hold a thing until it is closed."""
        self._thing = thing
        self._give_back = give_back
        self._in_use = threading.Lock()
        self._is_given_back = False
        self.is_closed = False

    @contextmanager
    def use(self) -> Iterator[T]:
        """Use the thing; it may have been closed in the meantime, see `is_closed`.

        Raises:
            GivenBack: it is gone already.
        """
        try:
            with self._in_use:
                if self._is_given_back:
                    raise GivenBack
                yield self._thing
        finally:
            if self.is_closed:
                self.close()

    def close(self) -> None:
        """Give the thing back now, or as soon as its user has finished; never waits."""
        self.is_closed = True
        if not self._in_use.acquire(blocking=False):
            return
        try:
            if not self._is_given_back:
                self._is_given_back = True
                self._give_back(self._thing)
        finally:
            self._in_use.release()
