"""How the processor's cores are shared out; nobody else sets thread counts."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThreadShares:
    """Threads of each kind of work; the stages overlap, so the shares may add up to more.

    Attributes:
        decode: of the video decoder.
        infer: of the networks.
        picture: of OpenCV's own parallel loops.
        encode: of the video encoder.
    """

    decode: int
    infer: int
    picture: int
    encode: int


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share(total: int | None = None) -> ThreadShares:
    """Share out a number of threads; None takes all cores.

    Raises:
        ValueError: fewer than one thread.
    """
    total = available_cores() if total is None else total
    if total < 1:
        raise ValueError(f"{total} threads cannot do any work; give at least 1")
    return ThreadShares(
        decode=max(1, total // 2),
        infer=total,
        picture=max(1, total // 2),
        encode=total,
    )
