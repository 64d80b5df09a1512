"""An hour of a live session, faster than real time: nothing grows.

The frames are small and the networks a double, so that what is left is what could leak: frames,
queues, counters, threads, descriptors, and all that is opened again after a fault.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from statistics import mean
from typing import cast

import numpy as np
import pytest

from humanseg.closing import Closing
from humanseg.control.controls import Controls
from humanseg.errors import SourceLost
from humanseg.frames import Frame, StreamInfo
from humanseg.live.masks import MaskMaker
from humanseg.live.outputs import Outputs
from humanseg.live.session import STAGES, LiveSession
from humanseg.look.dressing import Dresser
from humanseg.look.looks import Look
from humanseg.segmenter import Segmenter
from humanseg.sinks import virtual_camera
from humanseg.sinks.virtual_camera import VirtualCameraSink
from humanseg.sources.reopened import Reopened
from humanseg.stopwatch import Stopwatch
from humanseg.testing import RecordingCamera
from humanseg.usage import resident_bytes

RATE = int(os.environ.get("HUMANSEG_SOAK_RATE", "5"))
"""Frames a second of the camera; 30 makes the test six times as long."""

FRAMES = 3600 * RATE

SAMPLES = 20
LOSS_EVERY = 2_500
UNPLUG_EVERY = 3_000
PRESET_EVERY = 1_500
LOOK_EVERY = 100

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class TinyNetworks:
    """Stands in for a segmenter; gives a mask of a few pixels at once."""

    engine_name = "tiny"

    def masks(self, frames: list[Frame], *, batch: int | None = None) -> list[np.ndarray]:
        return [np.tile(np.float32([0, 1]), (9, 8)) for _ in frames]

    def close(self) -> None:
        pass


def open_tiny(preset: str) -> Segmenter:
    return cast("Segmenter", TinyNetworks())


class Hour:
    """Gives the next frame when the last one is finished, and is lost now and then."""

    def __init__(self) -> None:
        self.index = 0
        self.may_go_on = threading.Semaphore()
        rng = np.random.default_rng(0)
        self.pictures = [rng.integers(0, 255, (18, 32, 3), np.uint8) for _ in range(8)]

    def open(self) -> HourOpening:
        return HourOpening(self)


class HourOpening(Closing):
    def __init__(self, hour: Hour) -> None:
        self.hour = hour
        self.is_closed = False

    @property
    def info(self) -> StreamInfo:
        return StreamInfo(32, 18, Fraction(RATE), None, Fraction(1, RATE), None, "hour")

    def __iter__(self) -> Iterator[Frame]:
        hour = self.hour
        while not self.is_closed:
            if not hour.may_go_on.acquire(timeout=0.2):
                continue
            hour.index += 1
            yield Frame(
                hour.pictures[hour.index % 8].copy(),
                hour.index,
                Fraction(hour.index, RATE),
                captured_at=time.monotonic(),
            )
            if hour.index % LOSS_EVERY == 0:
                raise SourceLost("was unplugged", subject="hour")

    def close(self) -> None:
        self.is_closed = True


class Counter(Closing):
    """Takes the finished frames, and has the next one begin."""

    def __init__(self, hour: Hour) -> None:
        self.hour = hour
        self.count = 0

    def write(self, frame: Frame) -> None:
        self.count += 1
        self.hour.may_go_on.release()


class Events:
    """What happens during the hour, each every so many frames."""

    def __init__(self) -> None:
        self.due: list[tuple[int, int, Callable[[int], object]]] = []

    def every(self, frames: int, act: Callable[[int], object], first: int = 0) -> None:
        self.due.append((first or frames, frames, act))

    def look(self, count: int) -> None:
        for place, (due, every, act) in enumerate(self.due):
            if count >= due:
                self.due[place] = (due + every, every, act)
                act(due // every)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_an_hour_of_frames_leaves_memory_threads_and_descriptors_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The hour passes in seconds, and so must the pauses before the camera is opened again.
    monkeypatch.setattr(virtual_camera, "PAUSES", (0.01,))
    hour, events = Hour(), Events()
    counter = Counter(hour)
    seen: list[tuple[int, int, int]] = []
    before = threading.active_count(), descriptors()
    with ExitStack() as stack:
        recording = stack.enter_context(RecordingCamera(keep=10))
        source = stack.enter_context(Reopened(hour.open, pauses=(0.01,)))
        virtual = stack.enter_context(
            VirtualCameraSink(size=(18, 32), rate=1000, backend=recording.name)
        )
        stopwatch = Stopwatch(*STAGES)
        masks = stack.enter_context(MaskMaker(open_tiny, "fast", stopwatch=stopwatch))
        controls = Controls(Look(background="blur"))
        session = LiveSession(
            source,
            masks,
            stack.enter_context(Dresser(controls)),
            Outputs(camera=virtual, recorder=counter),
            controls=controls,
            stopwatch=stopwatch,
        )

        def command(*lines: str) -> Callable[[int], None]:
            def act(turn: int) -> None:
                assert controls.apply(lines[turn % len(lines)]).ok

            return act

        def sample(turn: int) -> None:
            seen.append((resident_bytes() or 0, threading.active_count(), descriptors()))

        events.every(
            LOOK_EVERY, command("mirror toggle", "background green", "blur on", "keep toggle")
        )
        events.every(PRESET_EVERY, command("preset balanced", "preset fast"))
        events.every(UNPLUG_EVERY, lambda turn: recording.unplug())
        events.every(UNPLUG_EVERY, lambda turn: recording.plug_in(), first=UNPLUG_EVERY * 3 // 2)
        events.every(FRAMES // SAMPLES, sample)
        final = session.run(lambda: events.look(counter.count), frames=FRAMES)
    assert final.frames == counter.count == FRAMES
    assert source.losses >= FRAMES // LOSS_EVERY - 1
    assert recording.openings > 1
    # The first tenth warms up: caches of OpenCV, of NumPy, of the interpreter.
    settled = seen[len(seen) // 10 :]
    third = len(settled) // 3
    first, last = settled[:third], settled[-third:]
    assert mean(each[0] for each in last) < 1.05 * mean(each[0] for each in first)
    # The smallest ones: networks that are being loaded have a thread for a moment.
    assert min(each[1] for each in last) <= min(each[1] for each in first)
    assert min(each[2] for each in last) <= min(each[2] for each in first)
    assert (threading.active_count(), descriptors()) == before
