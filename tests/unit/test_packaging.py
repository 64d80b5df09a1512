"""What lies in packaging/: not older than what it is made from, and true about the commands."""

import configparser
import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer

from humanseg_cli.app import app
from humanseg_cli.compare import DIFFERENT_EXIT_CODE

ROOT = Path(__file__).parent.parent.parent
PACKAGING = ROOT / "packaging"


def script(name):
    spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unit_file(name):
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(PACKAGING / name, encoding="utf-8")
    return parser


def check_command(words):
    """A `humanseg` command line: the command is there and has these options."""
    assert Path(words[0]).name == "humanseg"
    command = typer.main.get_command(app).commands[words[1]]
    known = {name for param in command.params for name in param.opts}
    assert {word for word in words[2:] if word.startswith("--")} <= known, words


def test_the_man_page_is_of_these_help_texts():
    made = script("make_man_page").man_page()
    stored = (PACKAGING / "humanseg.1").read_text(encoding="utf-8")
    assert stored == made, "run python packaging/make_man_page.py"
    assert ".SS humanseg video" in made
    assert '.BI "\\-\\-preset" " fast|balanced|best"' in made
    assert f".B {DIFFERENT_EXIT_CODE}\n" in made


def test_man_reads_the_page_without_a_warning():
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    command = ["groff", "-man", "-Tutf8", "-ww", "-z", str(PACKAGING / "humanseg.1")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_both_icons_are_the_one_that_is_drawn():
    drawn = script("make_icon")
    assert (PACKAGING / "humanseg.svg").read_text(encoding="utf-8") == drawn.svg()
    stored = cv2.imread(str(PACKAGING / "humanseg.png"), cv2.IMREAD_UNCHANGED)
    # Another OpenCV may round another way at a slanted edge.
    assert np.abs(stored.astype(int) - drawn.png()).mean() < 0.1
    assert stored[0, 0, 3] == 0
    assert stored[128, 128, 3] == 255


def test_the_desktop_entry_starts_a_command_that_exists():
    entry = unit_file("humanseg.desktop")["Desktop Entry"]
    words = shlex.split(entry["Exec"])
    check_command(words)
    assert (PACKAGING / f"{entry['Icon']}.svg").exists()
    assert entry["Categories"].endswith(";")


def test_the_unit_starts_a_command_that_exists_and_reloads_it():
    service = unit_file("humanseg.service")["Service"]
    check_command(shlex.split(service["ExecStart"]))
    assert "-HUP" in service["ExecReload"]
    assert service["RestartPreventExitStatus"] == "2"


def test_the_image_copies_what_is_there_and_runs_without_rights():
    lines = (PACKAGING / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    last_stage = max(n for n, (word, _) in enumerate(steps) if word == "FROM")
    copied = [
        name for word, rest in steps[:last_stage] if word == "COPY" for name in rest.split()[:-1]
    ]
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    ignored = (PACKAGING / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert {f"!{name}" for name in copied} <= set(ignored)
    final = dict(steps[last_stage:])
    assert int(final["USER"]) > 0
    [check] = [rest for word, rest in steps if word == "HEALTHCHECK"]
    check_command(re.findall(r'"([^"]+)"', check.split("CMD", 1)[1]))
    assert final["ENTRYPOINT"] == '["humanseg"]'


def test_commands_of_the_notes_exist():
    text = (PACKAGING / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    runs = re.findall(r"^docker run .*? humanseg +(\w.*)$", text, re.MULTILINE)
    assert len(runs) >= 3
    for run in runs:
        check_command(["humanseg", *shlex.split(run)])
    for name in re.findall(r"packaging/([\w.-]+)", text):
        assert (PACKAGING / name).exists(), name
