"""Busy time of the stages of a job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the time of blocks by stage; each stage belongs to one thread.

    Attributes:
        seconds: busy time by stage, in the order the stages were named.
    """

    def __init__(self, *stages: str) -> None:
        self.seconds = dict.fromkeys(stages, 0.0)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage, also when it raises."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - begin
