"""How the status of a live session is shown: panel, lines of news, JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from humanseg.live.status import LiveStatus
from humanseg_cli import live_panel
from humanseg_cli.live_panel import Display, panel

USUAL: dict[str, Any] = {
    "seconds": 12.0,
    "frames": 350,
    "camera": "/dev/video0 1280x720 30 fps MJPG",
    "camera_state": "live",
    "camera_problem": None,
    "virtual_camera": "/dev/video10 1280x720 30 fps i420 (v4l2loopback)",
    "virtual_camera_state": "ok",
    "width": 1280,
    "height": 720,
    "rate_in": 29.97,
    "rate_out": 30.0,
    "delay_p50": 0.0259,
    "delay_p95": 0.0291,
    "dropped": {"busy": 1204, "replaced": 0},
    "repeated": 3,
    "stage_ms": {"infer": 12.6, "dress": 5.3},
    "cores": 1.16,
    "memory_bytes": 412_000_000,
    "preset": "balanced",
    "engine": "openvino cpu bf16",
    "effort": "preset balanced on every frame",
}


def status(**figures: Any) -> LiveStatus:
    return LiveStatus(**{**USUAL, **figures})


def drawn(of: LiveStatus, message: str = "") -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(panel(of, message))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class Time:
    """Stands in for the module time."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(live_panel, "time", clock)
    return clock


@pytest.mark.parametrize(
    "text",
    [
        "/dev/video0 1280x720 30 fps MJPG",
        "/dev/video10 1280x720 30 fps i420 (v4l2loopback)",
        "30.0 in, 30.0 out",
        "26 ms, 95 % within 29 ms",
        "1,204 networks busy",
        "infer 12.6  dress 5.3",
        "116% of a core, 412 MB",
        "preset balanced on every frame, openvino cpu bf16",
    ],
)
def test_the_panel_has_all_figures(text: str) -> None:
    assert text in drawn(status())


def test_the_panel_tells_what_is_wrong_and_what_the_last_key_did() -> None:
    lost = status(
        camera_state="lost", camera_problem="/dev/video0: does not answer", warnings=("be careful",)
    )
    shown = drawn(lost, "mirror is on")
    assert all(text in shown for text in ("does not answer", "be careful", "mirror is on"))


def test_a_problem_that_is_over_is_not_shown() -> None:
    assert "does not answer" not in drawn(status(camera_problem="/dev/video0: does not answer"))


def test_json_is_one_line_a_second_whatever_keys_do(
    clock: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display(as_json=True) as display:
        for _ in range(96):
            if display.is_due():
                display.show(status())
            display.tell("mirror is on")
            clock.now += 0.0333
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert len(lines) == 4  # at 0, 1, 2 and 3 seconds
    assert lines[0]["rate_out"] == 30.0
    assert told.err == ""


def test_elsewhere_only_news_are_told(clock: Time, capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.show(status())
        display.show(status(warnings=("the disk is full",)))
        display.show(status(warnings=("the disk is full",)))
        display.show(status(camera_state="lost", camera_problem="/dev/video0: does not answer"))
        display.show(status(camera_state="opening", camera_problem="/dev/video0: does not answer"))
        display.show(status(camera_state="lost", camera_problem="/dev/video0: does not answer"))
        display.show(status())
        display.tell("mirror is on")
    assert capsys.readouterr().err.splitlines() == [
        "Warning: the disk is full",
        "Camera lost: /dev/video0: does not answer",
        "The camera is back: /dev/video0 1280x720 30 fps MJPG",
        "mirror is on",
    ]


def test_the_first_opening_of_a_camera_is_no_news(
    clock: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display() as display:
        display.show(status(camera_state="opening"))
        display.show(status(camera_state="idle"))
        display.show(status())
    assert capsys.readouterr().err == ""


def test_a_lost_camera_that_nobody_wants_is_not_back(
    clock: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display() as display:
        display.show(status(camera_state="lost", camera_problem="gone"))
        display.show(status(camera_state="idle"))
    assert capsys.readouterr().err == "Camera lost: gone\n"


def test_quiet_says_nothing(clock: Time, capsys: pytest.CaptureFixture[str]) -> None:
    with Display(quiet=True) as display:
        display.show(status(warnings=("the disk is full",)))
        display.tell("mirror is on")
    assert capsys.readouterr() == ("", "")
