"""`humanseg ctl`: what it says to a running session, and what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from humanseg.control.commands import COMMANDS
from humanseg.control.controls import Controls
from humanseg.control.server import ControlServer
from humanseg.live.status import LiveStatus
from humanseg.look.looks import Look
from humanseg_cli.app import app
from humanseg_cli.ctl import options_first

STATUS: dict[str, object] = {
    "camera": "walk.mp4, 1280x720",
    "camera_state": "lost",
    "camera_problem": "the camera is gone",
    "virtual_camera": "/dev/video10, 1280x720",
    "virtual_camera_state": "ok",
    "rate_in": 29.97,
    "rate_out": 30.0,
    "delay_p50": 0.0214,
    "delay_p95": 0.0381,
    "dropped": {"busy": 3, "replaced": 0},
    "cores": 0.52,
    "memory_bytes": 412_000_000,
    "engine": "torch on cpu",
    "effort": "fast, every frame",
    "warnings": ["there is no preview"],
}


def test_the_figures_are_those_that_a_session_tells():
    assert set(STATUS) <= {field.name for field in fields(LiveStatus)}


@pytest.fixture(autouse=True)
def own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("humanseg.control.endpoint.default_path", lambda: tmp_path / "control")


@pytest.fixture
def controls() -> Iterator[Controls]:
    controls = Controls(
        Look(backgrounds=("blur", "green")),
        on_status=lambda: STATUS,
        on_profiles=lambda: {"profile": "call", "profiles": ["call", "film"]},
    )
    with ControlServer(controls):
        yield controls


def ctl(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, ["ctl", *words])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("blur", "off"), "blur is off"),
        (("blur", "strength", "0.6"), "blur is on, strength 0.6"),
        (("background", "#00ff00"), "the background is #00ff00"),
        (("background next",), "the background is green"),
        (("grow", "-1"), "grow is -1 pixels"),
        (("grow", "-1.5", "--debug"), "grow is -1.5 pixels"),
        (("--", "grow", "-1"), "grow is -1 pixels"),
    ],
)
def test_a_command_is_carried_out_and_its_answer_printed(controls, words, told):
    result = ctl(*words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(told)


def test_a_path_is_that_of_the_callers_folder(controls, tmp_path, monkeypatch):
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "my beach.jpg").write_bytes(b"")
    monkeypatch.chdir(folder)
    assert ctl("background", "my beach.jpg").stdout == "the background is my beach.jpg\n"
    assert controls.look.background == str(folder / "my beach.jpg")
    assert ctl("background", "my", "beach.jpg").exit_code == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("blurr", "on"), "did you mean 'blur'?"),
        (("keep", "bigest"), "did you mean 'largest'?"),
        (("background", "nowhere.jpg"), "there is no such file"),
        (("status", "--jsn"), "'status' takes no further words"),
        (("reload",), "this cannot be changed while it runs"),
        (("mirror", "on\nquit"), "one line of plain letters"),
    ],
)
def test_a_wrong_command_is_answered_with_an_exit_code(controls, words, expected):
    before = controls.look
    result = ctl(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in " ".join(result.stderr.split())
    assert controls.look == before
    told = json.loads(ctl(*words[:1], "--json", *words[1:]).stdout)
    assert expected in told["error"]["what"]


def test_the_status_for_people(controls):
    lines = [line.strip() for line in ctl("status").stdout.splitlines() if line.strip()]
    assert lines[0] == "humanseg live is running; blur is on, strength 0.5"
    told = {" ".join(line.split()) for line in lines}
    assert told >= {
        "camera walk.mp4, 1280x720, lost",
        "the camera is gone",
        "virtual camera /dev/video10, 1280x720, ok",
        "frames a second 30.0 in, 30.0 out",
        "delay 21 ms, 95 % within 38 ms",
        "dropped 3 busy",
        "processor 52% of a core, 412 MB",
        "networks fast, every frame, torch on cpu",
        "profile call, of call, film",
        "warning there is no preview",
    }


def test_the_status_for_programs(controls):
    told = json.loads(ctl("status", "--json").stdout)
    assert told["ok"] is True
    assert told["data"]["rate_in"] == 29.97
    assert told["data"]["look"]["background"] == "blur"
    assert told["data"]["profiles"] == ["call", "film"]


def test_the_status_of_a_session_that_has_not_much_to_tell(controls):
    controls.on_status = None
    assert ctl("status").exit_code == 0
    bare = STATUS | {
        "virtual_camera": None,
        "delay_p50": None,
        "memory_bytes": None,
        "camera_problem": None,
    }
    controls.on_status = lambda: bare
    controls.on_profiles = None
    told = ctl("status").stdout
    assert "virtual camera" not in told
    assert "delay" not in told
    assert "processor 52% of a core" in {" ".join(line.split()) for line in told.splitlines()}


@pytest.mark.parametrize("words", [("blur", "off"), ("status",), ("quit",)])
def test_without_a_session_there_is_one_line_and_an_exit_code(words):
    result = ctl(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "Error: humanseg live is not running",
        "Next step: start it with 'humanseg live'",
    ]
    told = json.loads(ctl(*words, "--json").stdout)
    assert told["error"]["what"] == "humanseg live is not running"


def test_without_words_it_lists_all_commands():
    told = ctl().stdout
    assert all(f" {name} " in told for name in COMMANDS)
    listed = json.loads(ctl("--json").stdout)
    assert [each["command"].split()[0] for each in listed] == list(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["--"]),
        (["status", "--json"], ["--json", "--", "status"]),
        (["grow", "-1"], ["--", "grow", "-1"]),
        (["background", "--", "--json"], ["--", "background", "--json"]),
        (["--help"], ["--help", "--"]),
    ],
)
def test_options_are_told_from_words(arguments, expected):
    assert options_first(arguments) == expected


def test_it_is_light():
    code = (
        "import sys\n"
        "from humanseg_cli.app import app\n"
        "try:\n"
        "    app(['ctl', 'status'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'torch', 'cv2', 'av', 'numpy'} & set(sys.modules)\n"
        "raise SystemExit(f'heavy: {sorted(heavy)}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "not running" in done.stderr
    assert "heavy: []" in done.stderr
