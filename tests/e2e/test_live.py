"""The installed `humanseg live`, with a clip as camera: what it shows, obeys and refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from humanseg.testing import RecordingCamera
from humanseg_cli.app import app

SAMPLES = Path(__file__).parents[2] / "samples"
COMMAND = Path(sys.executable).parent / "humanseg"
PATIENT = 60.0
"""Seconds that only a machine which hangs needs."""

BLACK_STARTS, BLACK_SECONDS = 4, 15.0
"""How often, and how long each time, a window may stay black."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and tools of Unix")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the sample at 320x180, 15 frames a second: easy for any machine."""
    path = tmp_path_factory.mktemp("camera") / "clip.mp4"
    with av.open(str(SAMPLES / "walk.mp4")) as source, av.open(str(path), "w") as target:
        video: Any = target.add_stream("libx264", rate=15, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        for index, frame in enumerate(source.decode(video=0)):
            if index == 30:
                break
            if index % 2 == 0:
                small = frame.reformat(320, 180, "yuv420p")
                small.pts, small.time_base = index // 2, Fraction(1, 15)
                target.mux(video.encode(small))
        target.mux(video.encode(None))
    return path


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """An environment with a control socket and a config of this test alone, and no screen."""
    folders = {name: str(tmp_path) for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
    kept = {name: text for name, text in os.environ.items() if "DISPLAY" not in name}
    return {**kept, **folders}


def live(*words: object, alone: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "live", *map(str, words), "--preset", "fast"],
        capture_output=True,
        text=True,
        timeout=PATIENT,
        check=False,
        env=alone,
    )


class Running:
    """`humanseg live` in the background; its lines can be waited for."""

    def __init__(self, *words: object, alone: dict[str, str], folder: Path) -> None:
        self.folder = folder
        with self.path("stdout").open("wb") as stdout, self.path("stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [COMMAND, "live", *map(str, words), "--preset", "fast"],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=alone,
            )

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def stdout(self) -> str:
        return self.path("stdout").read_text()

    @property
    def stderr(self) -> str:
        return self.path("stderr").read_text()

    def statuses(self) -> list[dict[str, Any]]:
        whole = self.stdout.rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def until(self, is_so: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not is_so():
            assert time.monotonic() - began < PATIENT, self.stderr
            assert self.process.poll() is None, self.stderr
            time.sleep(0.02)

    def until_frames(self, count: int = 3) -> None:
        self.until(lambda: any(status["frames"] >= count for status in self.statuses()))

    def end(self, number: int) -> float:
        """Send a signal; gives the seconds until the process had ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENT)
        return time.monotonic() - began


@contextmanager
def running(*words: object, alone: dict[str, str], folder: Path) -> Iterator[Running]:
    started = Running(*words, alone=alone, folder=folder)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.wait(PATIENT)


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def test_a_clip_as_camera_is_recorded_with_a_line_of_json_a_second(
    clip: Path, tmp_path: Path, alone: dict[str, str]
) -> None:
    target = tmp_path / "out.mp4"
    done = live(
        *("--camera", clip, "--background", "#00ff00", "--no-virtual-camera"),
        *("--record", target, "--seconds", 3.5, "--json"),
        alone=alone,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) in (3, 4)
    gaps = np.diff([line["seconds"] for line in lines])
    assert abs(gaps - 1).max() < 0.3
    assert lines[-1]["camera_state"] == "live"
    assert lines[-1]["rate_out"] > 5
    assert lines[-1]["delay_p95"] < 1
    assert lines[-1]["memory_bytes"] > 50e6
    recorded = pictures(target)
    assert len(recorded) >= lines[-1]["frames"]
    blue, green, red = recorded[-1].reshape(-1, 3).astype(int).mean(axis=0)
    assert green > red + 40 > blue - 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_within_two_seconds_and_the_recording_plays(
    number: int, clip: Path, tmp_path: Path, alone: dict[str, str]
) -> None:
    target = tmp_path / "out.mp4"
    words = ("--camera", clip, "--no-virtual-camera", "--record", target, "--json")
    with running(*words, alone=alone, folder=tmp_path) as started:
        started.until_frames()
        assert started.end(number) < 2
        assert started.process.returncode == 0
        assert started.stderr == ""
    assert len(pictures(target)) >= 3


def test_signals_toggle_the_effect_and_reload_the_config_file(
    clip: Path, tmp_path: Path, alone: dict[str, str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("mirror = false\n")
    words = ("--camera", clip, "--no-virtual-camera", "--record", tmp_path / "out.mp4")
    with running(*words, "--config", config, alone=alone, folder=tmp_path) as started:
        started.until(lambda: (tmp_path / "humanseg" / "control").exists())
        time.sleep(0.5)
        started.process.send_signal(signal.SIGUSR1)
        started.until(lambda: "the effect is off" in started.stderr)
        started.process.send_signal(signal.SIGUSR1)
        started.until(lambda: "blur is on" in started.stderr)
        config.write_text("mirror = tru\n")
        started.process.send_signal(signal.SIGHUP)
        started.until(lambda: "config.toml" in started.stderr)
        assert "config.toml:1" in started.stderr
        config.write_text("mirror = true\n")
        started.process.send_signal(signal.SIGHUP)
        started.until(lambda: "the config file was read again" in started.stderr)
        assert started.end(signal.SIGINT) < 2


def test_over_the_limit_of_the_processor_it_does_less_and_says_so(
    clip: Path, tmp_path: Path, alone: dict[str, str]
) -> None:
    words = ("--camera", clip, "--no-virtual-camera", "--record", tmp_path / "out.mp4")
    with running(*words, "--max-cpu", 1, "--json", alone=alone, folder=tmp_path) as started:
        started.until(lambda: "second frame" in started.stdout)
        started.until_frames(10)
        status = next(each for each in started.statuses() if "second frame" in str(each))
        assert "the limit is 1%" in status["warnings"][0]


def test_a_second_instance_says_that_there_is_one(
    clip: Path, tmp_path: Path, alone: dict[str, str]
) -> None:
    words = ("--camera", clip, "--no-virtual-camera", "--record", tmp_path / "out.mp4")
    with running(*words, "--json", alone=alone, folder=tmp_path) as started:
        started.until_frames()
        second = live(*words[:-1], tmp_path / "second.mp4", "--seconds", 1, alone=alone)
        assert second.returncode == 2
        assert "Traceback" not in second.stderr
        assert "running" in second.stderr
        assert started.process.poll() is None


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--camera", "/dev/none"), 2, "/dev/none"),
        (("--camera", "none.mp4"), 2, "none.mp4"),
        (("--camera", "http://127.0.0.1:1/none"), 2, "127.0.0.1"),
        (("--size", "big"), 2, "1280x720"),
        (("--virtual-camera", "none"), 2, "nobody would see"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_told_in_a_line(
    words: tuple[str, ...], code: int, told: str, clip: Path, alone: dict[str, str]
) -> None:
    camera = () if "--camera" in words else ("--camera", clip)
    done = live(*camera, *words, alone=alone)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_preview_without_a_screen_is_refused_with_the_next_step(
    clip: Path, alone: dict[str, str]
) -> None:
    done = live("--camera", clip, "--no-virtual-camera", "--preview", alone=alone)
    assert done.returncode == 1
    assert "preview" in done.stderr
    assert "Traceback" not in done.stderr


def test_whoever_reads_the_json_may_leave(
    clip: Path, tmp_path: Path, alone: dict[str, str]
) -> None:
    line = f"'{COMMAND}' live --camera '{clip}' --no-virtual-camera --record '{tmp_path}/out.mp4'"
    done = subprocess.run(
        ["sh", "-c", f"{line} --preset fast --json | head -n 2"],
        capture_output=True,
        text=True,
        timeout=PATIENT,
        check=False,
        env=alone,
    )
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr


def test_the_virtual_camera_gets_people_before_the_background(
    clip: Path, monkeypatch: pytest.MonkeyPatch, alone: dict[str, str]
) -> None:
    from pyvirtualcam.camera import BACKENDS

    for name in list(BACKENDS):
        monkeypatch.delitem(BACKENDS, name)
    with RecordingCamera(keep=5) as recording:
        words = ["--camera", str(clip), "--background", "#00ff00", "--preset", "fast"]
        result = CliRunner(env=alone).invoke(
            app, ["live", *words, "--always-on", "--seconds", "2", "--json"]
        )
        assert result.exit_code == 0, result.output
        status = json.loads(result.stdout.splitlines()[-1])
        assert status["virtual_camera_state"] == "ok"
        assert recording.count > 10
        assert not recording.is_open


@pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("import") and shutil.which("xdotool")),
    reason="needs Xvfb, ImageMagick and xdotool",
)
def test_the_preview_shows_people_and_takes_keys(
    clip: Path, tmp_path: Path, alone: dict[str, str]
) -> None:
    alone["DISPLAY"] = display = f":{90 + os.getpid() % 900}"
    with subprocess.Popen(
        ["Xvfb", display, "-screen", "0", "400x300x24"], stderr=subprocess.DEVNULL
    ) as screen:
        try:
            words = ("--camera", clip, "--no-virtual-camera", "--preview", "--background")
            # OpenCV's window stays black in many starts where no window manager runs.
            for _ in range(BLACK_STARTS):
                with running(*words, "#00ff00", alone=alone, folder=tmp_path) as started:
                    if not shows_green(tmp_path, alone):
                        continue
                    press("v", alone)
                    started.until(lambda: green_share(shot(tmp_path, alone)) == 0)
                    assert "the mask is shown" in started.stderr
                    press("q", alone)
                    assert started.process.wait(PATIENT) == 0
                    return
            pytest.skip("OpenCV's window stayed black on a screen without a window manager")
        finally:
            screen.terminate()


def shot(folder: Path, environment: dict[str, str]) -> np.ndarray:
    """The screen; empty while there is none."""
    path = folder / "screen.png"
    done = subprocess.run(
        ["import", "-window", "root", str(path)], capture_output=True, check=False, env=environment
    )
    if done.returncode:
        return np.zeros((1, 1, 3), np.uint8)
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="bgr24")


def shows_green(folder: Path, environment: dict[str, str]) -> bool:
    """Whether the screen comes to show the background, before patience with a black one ends."""
    until = time.monotonic() + BLACK_SECONDS
    while green_share(shot(folder, environment)) <= 0.05:
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def green_share(picture: np.ndarray) -> float:
    return float((picture == (0, 255, 0)).all(axis=2).mean())


def press(key: str, environment: dict[str, str]) -> None:
    find = ["xdotool", "search", "--name", "humanseg live"]
    windows = subprocess.run(find, capture_output=True, text=True, check=True, env=environment)
    window = windows.stdout.split()[-1]
    for command in (["windowfocus", window], ["key", "--window", window, key]):
        subprocess.run(["xdotool", *command], capture_output=True, check=True, env=environment)
