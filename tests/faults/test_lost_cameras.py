"""A camera that is unplugged, stalls, hangs or changes its size, through all of the capture."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from humanseg.errors import SourceLost
from humanseg.frames import Frame
from humanseg.sources.camera import CameraSource
from humanseg.sources.live import open_live
from humanseg.sources.newest import NewestFrame
from humanseg.sources.reopened import Reopened, SourceState

PATIENT = 60.0
"""Seconds that only a machine which hangs needs."""


def noise(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 255, (height, width, 3), np.uint8)


class Device:
    """A camera that opens again and again; each opening gives the next list of reads.

    A read is a picture, None for a failure, or an event to hang on.
    """

    def __init__(self, *openings: Iterator[Any]) -> None:
        self.openings = list(openings)
        self.opened = self.held = self.most_held = 0

    def __call__(self, *arguments: Any) -> Opening:
        self.opened += 1
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        return Opening(self, self.openings.pop(0))


class Opening:
    """What stands in for one cv2.VideoCapture."""

    def __init__(self, device: Device, reads: Iterator[Any]) -> None:
        self.device, self.reads = device, reads
        self.is_reading = self.is_released = False

    def isOpened(self) -> bool:
        return True

    def set(self, what: int, value: float) -> bool:
        return True

    def get(self, what: int) -> float:
        return 30.0 if what == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, Any]:
        assert not self.is_released
        self.is_reading = True
        time.sleep(0.001)
        read = next(self.reads)
        if isinstance(read, threading.Event):
            assert read.wait(PATIENT)
            read = None
        self.is_reading = False
        return read is not None, read

    def release(self) -> None:
        assert not self.is_reading
        self.is_released = True
        self.device.held -= 1


def reopened(device: Device, **options: Any) -> Reopened:
    def open_source() -> CameraSource:
        return CameraSource(0, open_capture=device, stall_seconds=0.2)

    return Reopened(open_source, pauses=(0.01,), **options)


def take_until(newest: NewestFrame, is_it: Callable[[Frame], bool]) -> Frame:
    began = time.monotonic()
    while time.monotonic() - began < PATIENT:
        frame = newest.take(0.1)
        if frame is not None and is_it(frame):
            return frame
    raise AssertionError("the frame never came")


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "humanseg-read"]


def wait_for_readers() -> None:
    """Wait for readers that were left behind in a read that now returns."""
    for thread in readers():
        thread.join(PATIENT)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "fault",
    [repeat(None), (noise(7) for _ in count())],
    ids=["reads fail", "reads give the last picture again"],
)
def test_the_picture_comes_back_with_another_size(fault: Iterator[Any]) -> None:
    device = Device(
        chain([noise(index) for index in range(8)], fault),
        (noise(index, 72, 128) for index in count()),
    )
    states: list[SourceState] = []
    source = reopened(device, on_state=states.append)
    with NewestFrame(source) as newest:
        frame = take_until(newest, lambda frame: frame.height == 72)
    assert frame.index >= 8
    assert isinstance(source.error, SourceLost)
    assert states[:4] == [
        SourceState.LIVE,
        SourceState.LOST,
        SourceState.OPENING,
        SourceState.LIVE,
    ]
    assert device.most_held == 1
    assert device.held == 0
    assert readers() == []


def test_a_read_that_hangs_is_noticed_and_does_not_keep_anyone() -> None:
    hang = threading.Event()
    device = Device(chain([noise(0), noise(1), hang], (noise(index) for index in count(2))))
    newest = NewestFrame(reopened(device))
    take_until(newest, lambda frame: frame.index == 1)
    ages = [newest.age()]
    assert newest.take(0.1) is None
    ages.append(newest.age())
    assert ages[1] >= ages[0] + 0.1
    began = time.monotonic()
    newest.close()
    assert time.monotonic() - began < 20  # two seconds, and what a busy machine adds; not a minute
    assert device.held == 1  # never released inside the read
    hang.set()
    wait_for_readers()
    assert device.held == 0


def test_a_read_that_hangs_for_ever_is_left_behind_and_the_camera_opened_anew() -> None:
    hang = threading.Event()
    device = Device(
        iter([noise(0), noise(1), hang]),
        (noise(index, 72, 128) for index in count()),
    )
    source = reopened(device, patience=0.3)
    with NewestFrame(source) as newest:
        take_until(newest, lambda frame: frame.height == 72)
        assert "given no picture" in str(source.error)
        assert device.held == 2
    hang.set()
    wait_for_readers()
    assert device.held == 0


def test_many_openings_leave_nothing_behind(make_video: Callable[..., Path]) -> None:
    path = make_video(frames=3)
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("this system does not list open files")

    def round_trip() -> None:
        with NewestFrame(Reopened(lambda: open_live(str(path)))) as newest:
            assert newest.take(PATIENT) is not None

    round_trip()
    gc.collect()  # what tests before have left behind
    before = len(list(descriptors.iterdir())), threading.active_count()
    for _ in range(10):
        round_trip()
    assert (len(list(descriptors.iterdir())), threading.active_count()) == before


def test_idle_and_awake_again_many_times_holds_one_camera_at_most() -> None:
    device = Device(*[(noise(index) for index in count()) for _ in range(20)])
    source = reopened(device)
    with NewestFrame(source) as newest:
        for opened in range(1, 10):
            take_until(newest, lambda frame, opened=opened: device.opened == opened)
            source.pause()
            source.resume()
    assert source.losses == 0
    assert device.most_held == 1
    assert device.held == 0
    assert readers() == []
