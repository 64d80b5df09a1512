"""What `humanseg --help` shows, what it imports, and how long it takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from importlib import metadata

import pytest
from typer.testing import CliRunner

import humanseg
from humanseg.engines import choose
from humanseg_cli.app import COMMANDS, app

NAMES = [
    function.__name__.replace("_", "-") for functions in COMMANDS.values() for function in functions
]
SCREEN_LINES = 40
HEAVY = (
    "albumentations",
    "av",
    "cv2",
    "humanseg_training.loop",
    "numpy",
    "openvino",
    "pyvirtualcam",
    "torch",
)
LONGEST_SECONDS = 0.3
USUAL_BARE_SECONDS = 0.009
"""What Python takes to start and end on the machine of that limit."""

TRIES = 7


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_a_screen_and_begins_with_an_example(name: str) -> None:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, [name, "--help"])
    assert result.exit_code == 0
    lines = result.stdout.strip().splitlines()
    assert len(lines) <= SCREEN_LINES
    assert all(len(line) <= 80 for line in lines)
    [example] = [line for line in lines[:6] if line.strip().startswith(f"humanseg {name}")]
    assert "…" not in result.stdout
    assert example


def test_main_help_names_every_command() -> None:
    stdout = CliRunner().invoke(app, ["--help"]).stdout
    assert all(f" {name} " in stdout for name in NAMES)
    files, live, machine = (
        ["video", "image"],
        ["live", "ctl", "config", "ui", "devices"],
        ["models", "doctor", "bench"],
    )
    checking = ["snapshot", "compare"]
    training = ["train", "fit-ensemble", "calibrate", "evaluate", "report", "export", "relabel"]
    expected = [*files, *live, *checking, *machine, *training]
    assert expected == NAMES


def test_version_names_engine_and_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "may_have_gpu", lambda: False)
    monkeypatch.setattr(choose, "has_openvino", lambda: False)
    result = CliRunner().invoke(app, ["--version"])
    first, engine, python = result.stdout.splitlines()
    assert (result.exit_code, first) == (0, f"humanseg {humanseg.__version__}")
    assert engine == f"engine: torch {metadata.version('torch')} on cpu"
    assert python.startswith("Python 3.")
    monkeypatch.setattr(choose, "may_have_gpu", lambda: True)
    engine = CliRunner().invoke(app, ["--version"]).stdout.splitlines()[1]
    assert engine.endswith(
        f" on a GPU if it can use one, else {engine.split()[1]} {metadata.version('torch')} on cpu"
    )


def test_misspelt_command_is_corrected() -> None:
    result = CliRunner().invoke(app, ["vido"])
    assert result.exit_code == 2
    assert "video" in result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["video", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import atexit, sys\n"
        f"heavy = {HEAVY!r}\n"
        "atexit.register(lambda: print('HEAVY', [name for name in heavy if name in sys.modules]))\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "from humanseg_cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_help_is_quick() -> None:
    helping = [sys.executable, "-m", "humanseg_cli", "--help"]
    bare = [sys.executable, "-S", "-c", "pass"]
    seconds: dict[str, list[float]] = {"help": [], "bare": []}
    for _ in range(TRIES):
        for name, command in (("help", helping), ("bare", bare)):
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - began)
    # On a slow or busy machine bare Python takes longer, too.
    slowness = max(1.0, statistics.median(seconds["bare"]) / USUAL_BARE_SECONDS)
    assert statistics.median(seconds["help"]) < LONGEST_SECONDS * slowness
