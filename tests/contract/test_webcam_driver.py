"""OpenCV's own reading of webcams on Linux, with a file for a device and a double of its driver.

Everything is real but the kernel's answers to `ioctl`: OpenCV agrees on a format with the driver,
maps its buffers, waits for pictures and decodes them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

AGE = 0.012
"""Of each picture when the double hands it over, in seconds."""

BEGINNING = """
import json, os, threading, time
import cv2
import numpy as np
from pathlib import Path
from humanseg.errors import SourceError, SourceLost
from humanseg.sources.camera import CameraSource
from humanseg.sources.newest import NewestFrame
from humanseg.sources.reopened import Reopened

PATH = os.environ["FAKE_WEBCAM"]
with open(PATH, "wb") as device:
    device.truncate(32 << 20)
for height, width in ((480, 640), (720, 1280)):
    green = np.full((height, width, 3), (10, 200, 30), np.uint8)
    cv2.imwrite(f"{PATH}.{width}x{height}.jpg", green)

def say(word, really=True):
    Path(f"{PATH}.{word}").touch() if really else Path(f"{PATH}.{word}").unlink()

def held():
    return threading.active_count(), len(os.listdir("/proc/self/fd"))

def tell(**facts):
    print(json.dumps(facts))
"""

Play = Callable[..., dict[str, Any]]


@pytest.fixture
def play(play_with_driver: Play, tmp_path: Path) -> Play:
    """What a script tells of a device at tmp_path/video0."""

    def play(script: str) -> dict[str, Any]:
        path = str(tmp_path / "video0")
        return play_with_driver(
            "webcam_driver", BEGINNING + textwrap.dedent(script), FAKE_WEBCAM=path
        )

    return play


ASKED = [
    # What is asked for, what the camera gives then, and what the user is told.
    ({}, "640x480 30 fps YUYV", []),
    ({"size": (720, 1280), "rate": 30}, "1280x720 30 fps MJPG", []),
    ({"size": (480, 640), "rate": 30}, "640x480 30 fps YUYV", []),
    ({"size": (480, 640), "rate": 30, "pixel_format": "mjpg"}, "640x480 30 fps MJPG", []),
    (
        {"size": (720, 1280), "rate": 30, "pixel_format": "yuyv"},
        "1280x720 10 fps YUYV",
        ["asked for 30 frames a second, the camera gives 10"],
    ),
    (
        {"size": (1080, 1920)},
        "640x480 30 fps MJPG",
        ["asked for 1920x1080, the camera gives 640x480"],
    ),
]


def test_what_the_camera_is_brought_to_give(play: Play, tmp_path: Path) -> None:
    told = play(f"""
        given = []
        for options in {[options for options, _, _ in ASKED]!r}:
            with CameraSource(PATH, **options) as camera:
                frame = next(iter(camera))
                given.append(
                    (camera.describe(), f"{{frame.width}}x{{frame.height}}", camera.warnings)
                )
        tell(given=given)
    """)
    for (name, size, warnings), (_, given, expected) in zip(told["given"], ASKED, strict=True):
        assert name == f"{tmp_path / 'video0'} {given}"
        assert size == given.split()[0]
        assert [line.split(";")[0] for line in warnings] == expected


def test_a_slow_taker_is_given_the_newest_picture_with_the_time_it_was_taken(play: Play) -> None:
    """The double brightens each picture by one, and stamps it 12 ms before it hands it over."""
    told = play("""
        taken = []
        with NewestFrame(CameraSource(PATH)) as newest:
            newest.take(30)
            for _ in range(5):
                time.sleep(0.3)
                frame = newest.take(30)
                taken.append((frame.index, time.monotonic() - frame.captured_at, frame.captured_at))
            tell(
                steps=[after[0] - before[0] for before, after in zip(taken, taken[1:])],
                ages=[age for _, age, _ in taken],
                rate=(taken[-1][0] - taken[0][0]) / (taken[-1][2] - taken[0][2]),
                dropped=newest.dropped, received=newest.received,
            )
    """)
    # One picture every 33 ms: nine come in a pause, and eight of them are left out.
    assert min(told["steps"]) >= 4
    assert told["rate"] == pytest.approx(30, rel=0.15)
    assert told["received"] - told["dropped"] in (6, 7)
    assert min(told["ages"]) >= AGE
    assert sorted(told["ages"])[2] < 0.2


@pytest.mark.parametrize(
    ("act", "what"),
    [("say('gone')", "gives no more pictures"), ("Path(PATH).unlink()", "was unplugged")],
)
def test_a_camera_that_is_unplugged_is_told(
    play: Play, tmp_path: Path, act: str, what: str
) -> None:
    told = play(f"""
        with CameraSource(PATH) as camera:
            frames = iter(camera)
            for _ in range(3):
                next(frames)
            say('gone')
            {act}
            try:
                next(frames), next(frames), next(frames)
            except SourceLost as error:
                tell(what=error.what, subject=error.subject, line=str(error))
    """)
    assert told["what"] == what
    assert told["subject"] == str(tmp_path / "video0")
    assert "\n" not in told["line"]


def test_a_camera_that_stalls_is_told_and_waited_for_in_small_portions(play: Play) -> None:
    told = play("""
        with CameraSource(PATH, stall_seconds=0.5) as camera:
            frames = iter(camera)
            next(frames)
            say("stalled")
            try:
                next(frames), next(frames), next(frames)
            except SourceLost as error:
                tell(what=error.what, waits=int(Path(f"{PATH}.waited").read_text()))
    """)
    assert told["what"] == "gives no more pictures"
    assert told["waits"] == 5  # seconds; OpenCV would wait for 10


def test_a_camera_that_is_plugged_in_again_comes_back(play: Play) -> None:
    told = play("""
        states = []
        source = Reopened(
            lambda: CameraSource(PATH, size=(720, 1280)), pauses=(0.05,),
            on_state=lambda state: states.append(state.value), patience=10,
        )
        with NewestFrame(source) as newest:
            for _ in range(3):
                assert newest.take(30)
                say("gone")
                while source.state.value != "lost":
                    newest.take(0.01)
                say("gone", False)
                while source.state.value != "live":
                    newest.take(0.01)
            frame = newest.take(30)
        tell(states=states[:4], losses=source.losses, size=[frame.width, frame.height])
    """)
    assert told["states"][:3] == ["live", "lost", "opening"]
    assert told["losses"] >= 3
    assert told["size"] == [1280, 720]


@pytest.mark.parametrize(
    ("act", "line"),
    [
        ("say('busy')", "is in use by another program"),
        ("say('gone')", "does not answer"),
        ("Path(PATH).unlink()", "there is no such camera"),
    ],
)
def test_a_camera_that_cannot_be_opened_is_told_in_a_line(
    play: Play, tmp_path: Path, act: str, line: str
) -> None:
    told = play(f"""
        {act}
        try:
            CameraSource(PATH)
        except SourceError as error:
            tell(line=str(error))
    """)
    assert told["line"].startswith(f"{tmp_path / 'video0'}: {line}")
    assert "\n" not in told["line"]


def test_many_openings_leave_nothing_behind(play: Play) -> None:
    told = play("""
        def once():
            source = Reopened(lambda: CameraSource(PATH), patience=10)
            with NewestFrame(source) as newest:
                assert newest.take(30)

        once()
        before = held()
        for _ in range(15):
            once()
        tell(before=before, after=held())
    """)
    assert told["after"] == told["before"]
