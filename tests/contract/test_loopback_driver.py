"""pyvirtualcam's own back-end of Linux, with a pipe for a device and a driver that is a double.

Everything is real but the kernel's answers to `ioctl`: pyvirtualcam's compiled code opens the
device, and what we write arrives at the other end of the pipe.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyvirtualcam")

BEGINNING = """
import json, os
from fractions import Fraction
import numpy as np
from humanseg.errors import SinkError
from humanseg.frames import Frame
from humanseg.sinks.virtual_camera import VirtualCameraSink
from humanseg.testing import FakeClock

PATH = os.environ["FAKE_LOOPBACK"]

def plug_in():
    os.mkfifo(PATH)
    return os.open(PATH, os.O_RDONLY | os.O_NONBLOCK)

def read():
    try:
        return os.read(reader, 1 << 20)
    except BlockingIOError:
        return b""

def open_sink(**options):
    return VirtualCameraSink(
        size=(48, 64), rate=30, device=PATH, clock=clock, card=np.full((48, 64, 3), 255, np.uint8),
        **options,
    )

def frame(value):
    return Frame(np.full((48, 64, 3), value, np.uint8), 0, Fraction(0))

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def tell(**facts):
    print(json.dumps(facts))

reader, clock = plug_in(), FakeClock()
"""


Play = Callable[..., dict[str, Any]]


@pytest.fixture
def play(play_with_driver: Play, tmp_path: Path) -> Play:
    """What a script tells of a device at tmp_path/video10."""

    def play(script: str, **variables: str) -> dict[str, Any]:
        path = str(tmp_path / "video10")
        whole = BEGINNING + textwrap.dedent(script)
        return play_with_driver("loopback_driver", whole, FAKE_LOOPBACK=path, **variables)

    return play


def test_frames_arrive_at_the_other_end(play: Play, tmp_path: Path) -> None:
    told = play(
        """
        with open_sink() as sink:
            clock.advance(0.5 / 30)
            first = read()
            sink.write(frame(0))
            clock.settle()
            second = read()
            tell(
                name=sink.describe(), sizes=[len(first), len(second)],
                brightness=[first[0], second[0]], state=sink.state.name,
            )
        """,
    )
    assert told == {
        "name": f"{tmp_path / 'video10'} 64x48 30 fps i420 (v4l2loopback)",
        "sizes": [48 * 64 * 3 // 2] * 2,
        "brightness": [235, 16],
        "state": "OK",
    }


def test_a_device_removed_while_running_is_noticed_and_comes_back(
    play: Play, tmp_path: Path
) -> None:
    told = play(
        """
        before = descriptors()
        with open_sink() as sink:
            states, errors = [], []
            for _ in range(5):
                clock.advance(0.1)
                os.unlink(PATH)
                os.close(reader)
                clock.advance(0.1)
                states.append(sink.state.name)
                errors.append(sink.error.what)
                clock.advance(16)
                errors.append(sink.error.what)
                reader = plug_in()
                sink.write(frame(0))
                for _ in range(160):  # the pipe holds half a second
                    clock.advance(0.1)
                    last = read()
                states.append(sink.state.name)
        tell(
            states=sorted(set(states)), errors=sorted(set(errors)), last=last[0],
            left=descriptors() - before,
        )
        """,
    )
    assert told == {
        "states": ["LOST", "OK"],
        "errors": ["takes no frames any more: Broken pipe", "there is no such virtual camera"],
        "last": 235,
        "left": 0,
    }


REFUSED = """
before = descriptors()
for _ in range(10):
    try:
        open_sink()
    except SinkError as error:
        pass
    else:
        raise AssertionError("it was opened")
    try:
        open_sink()
    except SinkError as error:
        told = str(error)
tell(told=told, left=descriptors() - before)
"""


def test_a_device_that_is_fed_is_refused(play: Play, tmp_path: Path) -> None:
    told = play(REFUSED, FAKE_FED="1")
    assert told["told"].startswith(f"{tmp_path / 'video10'}: is fed by another program already")
    assert told["left"] == 0


def test_a_device_that_agrees_and_keeps_its_format_is_refused(play: Play, tmp_path: Path) -> None:
    told = play(REFUSED, FAKE_KEPT="320x240")
    assert "still gives 320x240 YU12 to a program and cannot change" in told["told"]
    assert "--size 320x240" in told["told"]
    assert told["left"] == 0


def test_two_programs_of_ours_on_one_device(play: Play, tmp_path: Path) -> None:
    told = play(
        """
        import subprocess, sys
        other = (
            "from humanseg.sinks.virtual_camera import VirtualCameraSink\\n"
            "from humanseg.errors import SinkError\\n"
            "try:\\n"
            f"    VirtualCameraSink(size=(48, 64), rate=30, device={PATH!r})\\n"
            "except SinkError as error:\\n"
            "    print(error)\\n"
        )
        with open_sink():
            clock.advance(0.1)
            done = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
        tell(said=done.stdout, errors=done.stderr)
        """,
    )
    assert told["said"].startswith(f"{tmp_path / 'video10'}: is fed by another program already")
    assert "close python" in told["said"]
    assert told["errors"] == ""
