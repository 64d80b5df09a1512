"""Completion in the shell: what is offered, and that it is quick enough to press Tab for."""

import os
import shutil
import subprocess
import sys

import pytest


def complete(shell, line):
    """What the command offers for a line whose last word is unfinished."""
    fields = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(fields) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "humanseg_cli"],
        env=os.environ | asked | {"_HUMANSEG_COMPLETE": f"complete_{shell}"},
        capture_output=True,
        text=True,
        check=False,
    )
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    return done.stdout, imported


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_options_and_values_are_offered(shell):
    commands, imported = complete(shell, "humanseg vi")
    assert "video" in commands
    assert "doctor" not in commands
    assert not {"torch", "cv2", "av", "numpy"} & imported
    assert "typer" in imported
    options, _ = complete(shell, "humanseg video --blur")
    assert "--blur-background" in options
    values, _ = complete(shell, "humanseg video --preset ")
    assert all(preset in values for preset in ("fast", "balanced", "best"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_one_the_shell_can_read(shell, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "humanseg_cli"],
        env=os.environ | {"_HUMANSEG_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_HUMANSEG_COMPLETE=complete_" + shell in done.stdout
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "completion"
    path.write_text(done.stdout)
    subprocess.run([shell, "-n", str(path)], check=True)
