"""`humanseg video` and `humanseg image`, with the library's jobs replaced."""

from __future__ import annotations

import json
import os
import signal
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from humanseg.errors import (
    Interrupted,
    OutputError,
    PartialError,
    SettingsError,
    SinkError,
    SourceError,
    WeightsError,
)
from humanseg.pipeline import Summary
from humanseg_cli.app import app

SUMMARY = Summary(
    target=Path("out.mp4"),
    frames=1500,
    promised=1500,
    seconds=30.0,
    stage_seconds={"decode": 3.0, "infer": 21.0},
    width=1280,
    height=720,
    preset="balanced",
    engine="openvino cpu bf16",
    copied=("audio",),
    warnings=(),
)

Job = Callable[..., Summary]


class Recorder:
    """A job that remembers what it was called with, and then does as it is told."""

    def __init__(self, outcome: Summary | BaseException = SUMMARY) -> None:
        self.outcome = outcome
        self.paths: tuple[Path, ...] = ()
        self.options: dict[str, Any] = {}

    def __call__(self, *paths: Path, **options: Any) -> Summary:
        self.paths, self.options = paths, options
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    _replace_jobs(monkeypatch, recorder)
    return recorder


def _replace_jobs(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    jobs = types.ModuleType("humanseg.jobs")
    vars(jobs).update(process_video=job, process_images=job)
    monkeypatch.setitem(sys.modules, "humanseg.jobs", jobs)


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_defaults(job: Recorder) -> None:
    result = _run("video", "in.mp4", "out.mp4")
    assert result.exit_code == 0
    assert job.paths == (Path("in.mp4"), Path("out.mp4"))
    assert job.options == {
        "background": "blur",
        "output": "composite",
        "light_wrap": 0.0,
        "premultiplied": False,
        "preset": "balanced",
        "device": "auto",
        "engine": "auto",
        "threads": None,
        "codec": None,
        "crf": None,
        "encoder_preset": None,
        "gate": True,
        "overwrite": False,
        "on_progress": None,
    }


def test_every_option_of_video_reaches_the_job(job: Recorder) -> None:
    options = "--output alpha --preset best --device cpu --engine torch --threads 3 --codec vp9"
    more = "--crf 31 --encoder-preset slow --overwrite --background green --no-gate --quiet"
    edges = "--light-wrap 0.4 --premultiplied"
    result = _run("video", "in.mp4", "out.webm", *f"{options} {more} {edges}".split())
    assert result.exit_code == 0, result.output
    assert job.options == {
        "background": "green",
        "output": "alpha",
        "light_wrap": 0.4,
        "premultiplied": True,
        "preset": "best",
        "device": "cpu",
        "engine": "torch",
        "threads": 3,
        "codec": "vp9",
        "crf": 31,
        "encoder_preset": "slow",
        "gate": False,
        "overwrite": True,
        "on_progress": None,
    }


def test_every_option_of_image_reaches_the_job(job: Recorder) -> None:
    options = "--output mask --preset fast --device cpu --engine openvino --threads 1 --overwrite"
    result = _run("image", "photos", "masks", *options.split(), "--blur-background", "0.2")
    assert result.exit_code == 0, result.output
    assert job.paths == (Path("photos"), Path("masks"))
    assert job.options == {
        "background": "blur:0.2",
        "output": "mask",
        "light_wrap": 0.0,
        "premultiplied": False,
        "preset": "fast",
        "device": "cpu",
        "engine": "openvino",
        "threads": 1,
        "overwrite": True,
        "on_progress": None,
    }
    assert "1,500 pictures" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "background"),
    [
        ("in.mp4 out.mp4 --blur-background", "blur"),
        ("in.mp4 out.mp4 --blur-background 0.8", "blur:0.8"),
        ("in.mp4 out.mp4 --blur-background=0.8", "blur:0.8"),
        ("--blur-background in.mp4 out.mp4", "blur"),
        ("in.mp4 --blur-background out.mp4", "blur"),
        ("--blur-background 1 in.mp4 out.mp4", "blur:1"),
        ("in.mp4 out.mp4 --background 0,255,0", "0,255,0"),
    ],
)
def test_background_options(job: Recorder, arguments: str, background: str) -> None:
    assert _run("video", *arguments.split()).exit_code == 0
    assert job.paths == (Path("in.mp4"), Path("out.mp4"))
    assert job.options["background"] == background


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("in.mp4", "OUT"),
        ("in.mp4 out.mp4 third.mp4", "third.mp4"),
        ("in.mp4 out.mp4 --preset fastest", "fastest"),
        ("in.mp4 out.mp4 --threads 0", "--threads"),
        ("in.mp4 out.mp4 --blur-background=out.mp4", "--blur-background"),
        ("in.mp4 out.mp4 --blur-backgroun", "--blur-background"),
        ("in.mp4 out.mp4 --background green --blur-background", "exclude each other"),
        ("in.mp4 out.mp4 --blur-background 80", "from 0 to 1"),
    ],
)
def test_wrong_command_lines_end_with_2(job: Recorder, arguments: str, words: str) -> None:
    result = _run("video", *arguments.split())
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""
    assert job.paths == ()


def test_wrong_command_line_as_json(job: Recorder) -> None:
    result = _run("video", "in.mp4", "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert "OUT" in error["what"]
    assert "--help" in error["hint"]
    assert result.stderr == ""


def test_summary(job: Recorder) -> None:
    job.outcome = replace(SUMMARY, promised=1510, warnings=("the [rotation] was strange",))
    stdout = _run("video", "in.mp4", "out.mp4").stdout
    assert stdout.startswith("out.mp4\n")
    assert "1,500 of about 1,510 frames of 1280x720 in 30.0 s, 50.0 frames a second" in stdout
    assert "audio copied" in stdout
    assert "balanced on openvino cpu bf16" in stdout
    [infer] = [line for line in stdout.splitlines() if line.strip().startswith("infer")]
    assert infer.split() == ["infer", "21.0", "s", "14.0", "ms", "70", "%"]
    assert "Warning: the [rotation] was strange" in stdout


def test_quiet_says_nothing(job: Recorder) -> None:
    result = _run("video", "in.mp4", "out.mp4", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_json_is_the_only_thing_on_stdout(job: Recorder) -> None:
    result = _run("video", "in.mp4", "out.mp4", "--json")
    assert json.loads(result.stdout) == {
        "target": "out.mp4",
        "frames": 1500,
        "promised": 1500,
        "seconds": 30.0,
        "frames_per_second": 50.0,
        "stage_seconds": {"decode": 3.0, "infer": 21.0},
        "width": 1280,
        "height": 720,
        "preset": "balanced",
        "engine": "openvino cpu bf16",
        "copied": ["audio"],
        "warnings": [],
    }
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceError("has no video stream", subject="a[b].mp4", hint="give a video"), 2),
        (SettingsError("exists already", subject="out.mp4", hint="use --overwrite"), 2),
        (WeightsError("the checksum differs", subject="unet", hint="reinstall"), 2),
        (OutputError("the disk is full", subject="out.partial.mp4", hint="make room"), 1),
        (SinkError("cannot be written", subject="out.mp4", hint="look at it"), 1),
    ],
)
def test_errors_end_with_their_own_code(
    job: Recorder, error: SourceError | OutputError, code: int
) -> None:
    job.outcome = error
    result = _run("video", "in.mp4", "out.mp4")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"Error: {error.subject}: {error.what}",
        f"Next step: {error.hint}",
    ]
    assert "Traceback" not in result.output

    result = _run("video", "in.mp4", "out.mp4", "--json")
    assert result.exit_code == code
    assert json.loads(result.stdout) == {
        "error": {"what": error.what, "subject": error.subject, "hint": error.hint}
    }
    assert result.stderr == ""


def test_error_without_subject_and_hint(job: Recorder) -> None:
    job.outcome = OutputError("nothing works")
    assert _run("video", "in.mp4", "out.mp4").stderr == "Error: nothing works\n"


def test_debug_shows_the_traceback(job: Recorder) -> None:
    job.outcome = SourceError("has no video stream", subject="in.mp4")
    result = _run("video", "in.mp4", "out.mp4", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


@pytest.fixture
def partial() -> PartialError:
    error = PartialError("74 of about 150 frames could be read", subject="in.mp4", hint="look")
    error.summary = replace(SUMMARY, frames=74, promised=150)
    return error


def test_partial_job_has_its_summary_and_its_error(job: Recorder, partial: PartialError) -> None:
    job.outcome = partial
    result = _run("video", "in.mp4", "out.mp4")
    assert result.exit_code == 3
    assert "74 of about 150 frames" in result.stdout
    assert "in.mp4: 74 of about 150 frames could be read" in result.stderr

    quiet = _run("video", "in.mp4", "out.mp4", "--quiet")
    assert (quiet.exit_code, quiet.stdout) == (3, "")
    assert "74 of about 150 frames" in quiet.stderr


def test_partial_job_as_json(job: Recorder, partial: PartialError) -> None:
    job.outcome = partial
    result = _run("video", "in.mp4", "out.mp4", "--json")
    table = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (table["frames"], table["promised"]) == (74, 150)
    assert table["error"]["what"].startswith("74 of about 150")


def test_partial_error_without_summary(job: Recorder) -> None:
    job.outcome = PartialError("ended early", subject="in.mp4")
    assert _run("video", "in.mp4", "out.mp4").exit_code == 3
    assert list(json.loads(_run("video", "in.mp4", "out.mp4", "--json").stdout)) == ["error"]


def test_stopped_job_names_what_is_kept(job: Recorder) -> None:
    job.outcome = Interrupted(kept=Path("out.partial.mp4"), frames=1234)
    result = _run("video", "in.mp4", "out.mp4")
    assert result.exit_code == 130
    assert "Stopped: out.partial.mp4: stopped by the user" in result.stderr
    assert "1,234 frames" in result.stderr

    table = json.loads(_run("video", "in.mp4", "out.mp4", "--json").stdout)
    assert table["frames"] == 1234
    assert table["error"]["subject"] == "out.partial.mp4"


def test_stopped_folder_job_speaks_of_pictures(job: Recorder, tmp_path: Path) -> None:
    job.outcome = Interrupted(kept=tmp_path, frames=12)
    result = _run("image", "photos", str(tmp_path))
    assert result.exit_code == 130
    assert "12 pictures" in result.stderr
    assert "played" not in result.stderr


@pytest.mark.parametrize(("stop", "claims"), [(Interrupted(), True), (KeyboardInterrupt(), False)])
def test_stopped_job_claims_only_what_is_known(
    job: Recorder, stop: KeyboardInterrupt, claims: bool
) -> None:
    job.outcome = stop
    result = _run("video", "in.mp4", "out.mp4")
    assert result.exit_code == 130
    assert ("nothing was written" in result.stderr) is claims


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_sigterm_stops_like_ctrl_c_and_ends_with_143(monkeypatch: pytest.MonkeyPatch) -> None:
    def job(*paths: Path, **options: Any) -> Summary:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        except KeyboardInterrupt as stop:
            raise Interrupted(kept=Path("out.partial.mp4"), frames=7) from stop
        raise AssertionError("the signal did not come")

    before = signal.getsignal(signal.SIGTERM)
    _replace_jobs(monkeypatch, job)
    result = _run("video", "in.mp4", "out.mp4")
    assert result.exit_code == 143
    assert "out.partial.mp4" in result.stderr
    assert signal.getsignal(signal.SIGTERM) is before


def test_fault_goes_to_a_log_that_one_line_names(
    job: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: tmp_path / "log")
    job.outcome = ZeroDivisionError("division by [zero]")
    result = _run("video", "in.mp4", "out.mp4")
    [log] = (tmp_path / "log").iterdir()
    assert result.exit_code == 1
    assert "ZeroDivisionError: division by [zero]" in result.stderr
    assert str(log) in result.stderr
    assert "Traceback" not in result.output
    text = log.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "humanseg 0" in text

    debug = _run("video", "in.mp4", "out.mp4", "--debug")
    assert "Traceback" in debug.stderr

    as_json = _run("video", "in.mp4", "out.mp4", "--json")
    assert as_json.exit_code == 1
    assert str(tmp_path) in json.loads(as_json.stdout)["error"]["hint"]


def test_fault_is_shown_even_where_no_log_can_be_written(
    job: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: tmp_path / "file" / "log")
    job.outcome = ZeroDivisionError("division by zero")
    result = _run("video", "in.mp4", "out.mp4")
    assert result.exit_code == 1
    assert "--debug" in result.stderr
