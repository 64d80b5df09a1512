"""Bounded hand-over of items from one thread to the next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = 0.2
"""Seconds for which items wait for others to go with: a source may hang at any time."""


class Ended(Exception):
    """The channel takes or gives nothing more; the thread that meets this should leave."""


class Channel(Generic[T]):
    """A queue between two threads that can be finished (drained) or aborted (dropped).

    `queue.Queue` cannot be closed before Python 3.13: a thread waiting on it would wait for ever
    when its neighbour dies.
    """

    def __init__(self, capacity: int) -> None:
        """Hold at most so many items; a full channel makes `put` wait."""
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._aborted = False

    def put(self, item: T) -> None:
        """Hand over one item; wait while the channel is full.

        Raises:
            Ended: the channel was finished or aborted.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._finished or len(self._items) < self._capacity)
            if self._finished:
                raise Ended
            self._items.append(item)
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Wait until the channel is empty: whatever is made from now on is taken up at once.

        Raises:
            Ended: the channel was finished or aborted.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._finished or not self._items)
            if self._finished:
                raise Ended

    def take(self, limit: int = 1, *, at_least: int = 1) -> list[T]:
        """Wait for items, then take what is there, up to `limit`; none at the end.

        Args:
            limit: of the items taken.
            at_least: so many are waited for, but for PATIENCE only once there is one; no more than
                fit into the channel.

        Raises:
            Ended: the channel was aborted.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._finished or bool(self._items))
            self._changed.wait_for(
                lambda: self._finished or len(self._items) >= at_least, timeout=PATIENCE
            )
            if self._aborted:
                raise Ended
            taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
            self._changed.notify_all()
            return taken

    def batches(self, size: int) -> Iterator[list[T]]:
        """Take so many at a time until the channel is finished and empty; fewer when none follow.

        Raises:
            Ended: the channel was aborted.
        """
        while batch := self.take(size, at_least=size):
            yield batch

    def __iter__(self) -> Iterator[T]:
        """Items one by one until the channel is finished and empty."""
        for batch in self.batches(1):
            yield from batch

    def finish(self) -> None:
        """No more puts; what is inside is still given out."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def abort(self) -> None:
        """No more puts and no more takes; everyone waiting wakes."""
        with self._changed:
            self._finished = self._aborted = True
            self._items.clear()
            self._changed.notify_all()
