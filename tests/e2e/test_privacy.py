"""Nothing leaves the machine: jobs run where nobody gets the network, and who asks is told on."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from humanseg.engines.choose import has_openvino

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "samples"
LAUNCHER = Path(__file__).parent / "without_network.py"
COMMAND = (sys.executable, "-m", "humanseg_cli")
GATE = ROOT / "humanseg" / "engines" / "openvino_graphs.py"

CI_SIGNS = ("CI", "TF_BUILD", "JENKINS_URL")
"""Where one is set, OpenVINO's package tells nobody; users have none."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a command without network; gives how it ended, and who asked for the network."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("the filter is of Linux on x86_64 and aarch64")
    folder = tmp_path_factory.mktemp("privacy")
    report = folder / "report"
    # An own cache, so that networks are converted; an own home, so that no consent is in it; an
    # own place for sockets, beside a live session that may be running.
    own = {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
    }
    usual = {name: value for name, value in os.environ.items() if name not in CI_SIGNS}

    def run_without_network(*command):
        report.write_text("")
        done = subprocess.run(
            [sys.executable, str(LAUNCHER), str(report), *map(str, command)],
            cwd=folder,
            env=usual | own,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, report.read_text().splitlines()

    done, _ = run_without_network(sys.executable, "-c", "pass")
    if done.returncode != 0:
        pytest.skip(f"the kernel takes no filter here: {done.stderr.splitlines()[-1]}")
    run_without_network.folder = folder
    return run_without_network


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_who_asks_for_the_network_is_refused_and_found(run, family):
    ask = f"import socket; socket.socket(socket.{family}, socket.SOCK_DGRAM)"
    done, asked = run(sys.executable, "-c", ask)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert asked == [f"{family} by {sys.executable} -c {ask}"]
    child = f"import subprocess, sys; subprocess.call([sys.executable, '-c', {ask!r}])"
    assert len(run(sys.executable, "-c", child)[1]) == 1
    done, asked = run(sys.executable, "-c", "import socket; socket.socket(socket.AF_UNIX)")
    assert (done.returncode, asked) == (0, [])


def test_a_video_is_done_without_network(run):
    options = ["--background", SAMPLES / "beach.jpg", "--preset", "fast"]
    done, asked = run(*COMMAND, "video", SAMPLES / "walk.mp4", "out.mp4", *options)
    assert done.returncode == 0, done.stderr
    assert asked == []
    assert "150 frames" in done.stdout
    if has_openvino():
        assert list(run.folder.glob("cache/humanseg/openvino/*.xml"))


def test_networks_run_by_torch_need_none_either(run):
    options = ["--engine", "torch", "--preset", "fast"]
    done, asked = run(*COMMAND, "image", SAMPLES / "portrait.png", "out.png", *options)
    assert done.returncode == 0, done.stderr
    assert asked == []


def test_a_live_session_needs_none(run):
    options = ["--virtual-camera", "none", "--record", "live.mp4", "--preset", "fast"]
    camera = ["--camera", SAMPLES / "walk.mp4", "--seconds", "3"]
    done, asked = run(*COMMAND, "live", *camera, *options)
    assert done.returncode == 0, done.stderr
    assert asked == []
    assert (run.folder / "live.mp4").stat().st_size > 10_000


def test_the_check_of_an_installation_needs_none(run):
    done, asked = run(*COMMAND, "doctor")
    assert asked == []
    assert "Weights" in done.stdout


def test_no_job_leaves_an_identity_behind(run):
    """OpenVINO's package would make one in the user's home for those it reports to."""
    assert not (run.folder / "intel").exists()


def test_openvino_is_imported_at_its_gate_alone():
    pattern = re.compile(r"^\s*(import openvino|from openvino)|\.convert_model\(", re.MULTILINE)
    packages = [ROOT / "humanseg", ROOT / "cli", ROOT / "training", ROOT / "benchmarks"]
    found = [
        path
        for package in packages
        for path in package.rglob("*.py")
        if path != GATE and pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
