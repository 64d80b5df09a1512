"""Nothing leaves the machine: jobs run where the kernel kills whoever asks for the network."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent.parent.parent / "samples"
LAUNCHER = Path(__file__).parent / "without_network.py"
COMMAND = (sys.executable, "-m", "humanseg_cli")
KILLED = -signal.SIGSYS if hasattr(signal, "SIGSYS") else None

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="the filter is of Linux on x86_64 and aarch64",
)


def run(tmp_path, *command):
    """Run a command without network, and with an empty cache, so that networks are converted."""
    return subprocess.run(
        [sys.executable, str(LAUNCHER), *map(str, command)],
        cwd=tmp_path,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", autouse=True)
def _filter_works():
    done = subprocess.run(
        [sys.executable, str(LAUNCHER), sys.executable, "-c", "pass"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"the kernel takes no filter here: {done.stderr.splitlines()[-1]}")


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_the_kernel_kills_who_asks_for_the_network(tmp_path, family):
    ask = f"import socket; socket.socket(socket.{family}, socket.SOCK_DGRAM)"
    assert run(tmp_path, sys.executable, "-c", ask).returncode == KILLED
    child = f"import subprocess, sys; sys.exit(-subprocess.call([sys.executable, '-c', {ask!r}]))"
    assert run(tmp_path, sys.executable, "-c", child).returncode == -KILLED
    local = "import socket; socket.socket(socket.AF_UNIX)"
    assert run(tmp_path, sys.executable, "-c", local).returncode == 0


def test_a_video_is_done_without_network(tmp_path):
    sample, beach = SAMPLES / "walk.mp4", SAMPLES / "beach.jpg"
    options = ["--background", beach, "--preset", "fast"]
    done = run(tmp_path, *COMMAND, "video", sample, "out.mp4", *options)
    assert done.returncode == 0, done.stderr
    assert "150 frames" in done.stdout
    assert (tmp_path / "out.mp4").stat().st_size > 100_000


def test_networks_run_by_torch_need_none_either(tmp_path):
    options = ["--engine", "torch", "--preset", "fast"]
    done = run(tmp_path, *COMMAND, "image", SAMPLES / "portrait.png", "out.png", *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.png").exists()


def test_a_live_session_needs_none(tmp_path):
    options = ["--no-virtual-camera", "--record", "out.mp4", "--preset", "fast", "--seconds", "3"]
    done = run(tmp_path, *COMMAND, "live", "--camera", SAMPLES / "walk.mp4", *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mp4").stat().st_size > 10_000


def test_the_check_of_an_installation_needs_none(tmp_path):
    done = run(tmp_path, *COMMAND, "doctor")
    assert done.returncode in (0, 1), done.stderr
    assert "Weights" in done.stdout
