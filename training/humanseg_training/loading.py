"""Batches made ahead in another process, while the network learns from earlier ones."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from humanseg_training.batches import Batch, Batches
from humanseg_training.schedule import Schedule

LOADING_PROCESSES = 1
BATCHES_AHEAD = 6
PARENT_CHECK_SECONDS = 1.0


class _Steps(Dataset[tuple[int, Batch]]):
    """One process's parts of the batches, by step."""

    def __init__(self, batches: Batches, schedule: Schedule, part: int, parts: int) -> None:
        self._batches, self._schedule = batches, schedule
        self._part, self._parts = part, parts

    def __len__(self) -> int:
        return self._schedule.steps

    def __getitem__(self, step: int) -> tuple[int, Batch]:
        stage = self._schedule.at(step).stage
        pixels = self._batches.area(step, stage)
        return step, self._batches.batch(step, pixels=pixels, part=self._part, parts=self._parts)


def load(
    batches: Batches, schedule: Schedule, begin: int, *, part: int, parts: int
) -> Iterator[tuple[int, Batch]]:
    """Parts of the batches from the step `begin` on; the pictures are shared by fork."""
    loader = DataLoader(
        _Steps(batches, schedule, part, parts),
        batch_size=None,
        sampler=range(begin, schedule.steps),
        num_workers=LOADING_PROCESSES,
        prefetch_factor=BATCHES_AHEAD,
        # Where it works, forking shares the pictures instead of copying them.
        multiprocessing_context="fork" if sys.platform == "linux" else "spawn",
        worker_init_fn=_begin,
        collate_fn=_as_is,
        # Its own: a loader that is made anew must not move the run's random numbers on.
        generator=torch.Generator(),
    )
    yield from loader


def _as_is(item: Any) -> Any:
    return item


def _begin(_: int) -> None:
    """Prepare the loading process."""
    cv2.setNumThreads(0)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    # Both reach the whole group of processes; the training process alone decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _end_with(parent: int) -> None:
    """End this process when the training process was killed; torch's own check waits for ever."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
