"""Doubles of Linux's drivers, written in C, for programs that talk to the kernel by themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def play_with_driver(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., dict[str, Any]]:
    """`play(name, script, **variables)`: what a script in a child process prints as JSON.

    A library built from <name>.c stands between that process and the kernel, by LD_PRELOAD, so that
    nothing of it stays in this one. Skips where it cannot be built.
    """
    built: dict[str, Path] = {}

    def build(name: str) -> Path:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if sys.platform != "linux" or compiler is None:
            pytest.skip("the double of a driver takes Linux and a C compiler")
        library = tmp_path_factory.mktemp("drivers") / f"{name}.so"
        source = Path(__file__).with_name(f"{name}.c")
        command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"the double of a driver cannot be built: {done.stderr.strip()}")
        return library

    def play(name: str, script: str, **variables: str) -> dict[str, Any]:
        if name not in built:
            built[name] = build(name)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            env={**os.environ, "LD_PRELOAD": str(built[name]), **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return dict(json.loads(done.stdout))

    return play
