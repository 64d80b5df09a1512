"""`humanseg ui` and `humanseg live --ui` as commands: the address, the browser, the end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the extra 'ui' is not installed")

PATIENCE = 60.0
SAMPLES = Path(__file__).parent.parent.parent / "samples"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def start(tmp_path: Path, log: Path) -> Iterator[Start]:
    """`start("ui", ..., NAME=value)`: a run with folders of its own; ended after the test."""
    started = []
    for name in ("run", "config", "data", "tmp"):
        (tmp_path / name).mkdir(mode=0o700)
    own = {
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "TMPDIR": str(tmp_path / "tmp"),
    }

    def run(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "humanseg_cli", *arguments]
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, env={**os.environ, **own, **environment}, stdout=file, stderr=file
            )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def wait_for(truth: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not truth():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.mark.skipif(os.name != "posix", reason="the browser here is a shell script")
def test_the_browser_is_opened_with_an_address_for_one_use(
    start: Start, log: Path, tmp_path: Path
) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}"\n')
    browser.chmod(0o755)
    start("ui", BROWSER=str(browser), DISPLAY=":99")
    wait_for(lambda: "#once=" in text(opened))
    wait_for(lambda: "#token=" in text(log))
    [token] = re.findall(r"#token=(\S+)", text(log))
    assert token not in text(opened)


@pytest.mark.skipif(os.name != "posix", reason="the browser here is a shell script")
@pytest.mark.parametrize("how", ["asked not to", "no screen"])
def test_the_browser_stays_closed(start: Start, log: Path, tmp_path: Path, how: str) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}"\n')
    browser.chmod(0o755)
    asked = ("--no-open",) if how == "asked not to" else ()
    screen = ":99" if asked else ""
    start("ui", *asked, BROWSER=str(browser), DISPLAY=screen, WAYLAND_DISPLAY="")
    wait_for(lambda: "#token=" in text(log))
    time.sleep(0.5)
    assert not opened.exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_trace(
    start: Start, log: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = start("ui", "--no-open")
    wait_for(lambda: "#token=" in text(log))
    assert len(list((tmp_path / "tmp").glob("humanseg-*"))) == 1
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    assert list((tmp_path / "tmp").glob("humanseg-*")) == []
    assert "Traceback" not in text(log)


def test_a_taken_port_is_one_clear_line(start: Start, log: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert start("ui", "--no-open", "--port", str(port)).wait(PATIENCE) == 2
    assert f"port {port}: is taken by another program" in " ".join(text(log).split())
    assert "Traceback" not in text(log)


def test_the_port_can_be_chosen(start: Start, log: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    clip = str(SAMPLES / "walk.mp4")
    live = ("live", "--ui", "--no-virtual-camera", "--preset", "fast", "--camera", clip)
    process = start(*live, "--no-open", "--port", str(port), "--frames", "5")
    wait_for(lambda: process.poll() is not None)
    assert process.returncode == 0, text(log)
    assert f"The page is at http://127.0.0.1:{port}/#token=" in text(log)


def test_missing_packages_are_told_with_the_way_to_get_them(tmp_path: Path) -> None:
    code = (
        "import importlib.util as util, sys\n"
        "usual = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'uvicorn' else usual(name, *rest)\n"
        "sys.argv = ['humanseg', 'ui', '--no-open']\n"
        "from humanseg_cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the page needs uvicorn" in done.stderr
    assert "pip install 'humanseg[ui]'" in done.stderr
