from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from humanseg_cli import bench, bench_child
from humanseg_cli.app import app

Job = dict[str, Any]


def _run(seconds: float, **more: float | None) -> Job:
    return {
        "frames": 300,
        "seconds": seconds,
        "start_seconds": 2.0,
        "peak_megabytes": 400.0,
        "first_third_megabytes": 380.0,
        "last_third_megabytes": 381.0,
        **more,
    }


def test_medians_and_ratio_to_the_neighbour_in_time() -> None:
    plain = [_run(2.0), _run(4.0), _run(2.0)]
    preset = [_run(6.0), _run(12.0), _run(10.0, peak_megabytes=500.0)]
    row = bench.summarise(preset, {"plain": plain})
    assert row["seconds"] == 10.0
    assert row["frames_per_second"] == 30.0
    assert row["times_plain"] == 3.0  # of 3, 3 and 5; not 10 / 2
    assert row["peak_megabytes"] == 400.0
    assert row["last_third_megabytes"] == 381.0


def test_memory_over_time_may_be_unknown() -> None:
    row = bench.summarise([_run(2.0, first_third_megabytes=None)], {})
    assert row["first_third_megabytes"] is None


class Children:
    """Stands in for the child processes, and remembers their jobs."""

    def __init__(self) -> None:
        self.jobs: list[Mapping[str, Any]] = []

    def __call__(self, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        job = json.loads(command[-1])
        self.jobs.append(job)
        Path(job["target"]).touch()
        seconds = {"codec": 1.0, "plain": 2.0}.get(job["kind"], 8.0)
        return subprocess.CompletedProcess(command, 0, json.dumps(_run(seconds)), "")


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Children:
    children = Children()
    monkeypatch.setattr(subprocess, "run", children)
    return children


def test_kinds_are_measured_in_alternation(children: Children) -> None:
    options = "--size 640x360 --frames 50 --runs 2 --presets fast,best --engine torch --threads 2"
    options += " --encoder-preset superfast"
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["bench", "in.mp4", *options.split()])
    assert result.exit_code == 0, result.output
    clip, *runs = children.jobs
    assert (clip["kind"], clip["source"]) == ("clip", "in.mp4")
    assert (clip["width"], clip["height"], clip["frames"]) == (640, 360, 50)
    assert [job["kind"] for job in runs] == ["codec", "plain", "fast", "best"] * 2
    assert {(job["engine"], job["threads"], job["device"]) for job in runs} == {
        ("torch", 2, "auto")
    }
    assert {job["encoder_preset"] for job in runs} == {"superfast"}
    assert not Path(clip["target"]).exists()
    [row] = [line for line in result.stdout.splitlines() if line.strip().startswith("best")]
    assert "8.00" in row.split()
    assert "4.00" in row.split()
    assert "37.5" in row.split()


def test_json(children: Children) -> None:
    result = CliRunner().invoke(app, ["bench", "--runs", "1", "--presets", "fast", "--json"])
    table = json.loads(result.stdout)
    assert list(table["medians"]) == ["codec", "plain", "fast"]
    assert table["medians"]["fast"]["times_plain"] == 4.0
    assert len(table["runs"]["fast"]) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "big"], "1280x720"),
        (["--size", "0x720"], "1280x720"),
        (["--size", "1280x"], "1280x720"),
        (["--presets", "fast,bset"], "best"),
    ],
)
def test_wrong_options(children: Children, options: list[str], words: str) -> None:
    result = CliRunner().invoke(app, ["bench", *options])
    assert result.exit_code == 2
    assert words in result.stderr
    assert children.jobs == []


def test_error_of_a_child_is_shown_as_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "missing.mp4"
    result = CliRunner().invoke(app, ["bench", str(missing), "--frames", "1"])
    assert result.exit_code == 2
    assert str(missing) in result.stderr
    assert "Traceback" not in result.output


def test_failed_run_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"what": "the disk is full", "subject": "clip.mp4", "hint": None}

    def fail(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(
            command, 0, json.dumps({"error": error, "exit_code": 1}), ""
        )

    monkeypatch.setattr(subprocess, "run", fail)
    result = CliRunner().invoke(app, ["bench"])
    assert result.exit_code == 1
    assert result.stderr == "Error: clip.mp4: the disk is full\n"


def test_child_that_dies_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def die(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, -9, "", "Killed")

    monkeypatch.setattr(subprocess, "run", die)
    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: tmp_path)
    result = CliRunner().invoke(app, ["bench"])
    assert result.exit_code == 1
    assert "ended with -9" in result.stderr


@pytest.mark.parametrize(
    ("shape", "wanted", "cut"),
    [
        ((720, 1280), (360, 640), (720, 1280)),
        ((720, 1280), (100, 100), (720, 720)),
        ((1280, 720), (100, 200), (360, 720)),
        ((5, 5), (1, 1), (5, 5)),
    ],
)
def test_clip_is_cut_never_stretched(
    shape: tuple[int, int], wanted: tuple[int, int], cut: tuple[int, int]
) -> None:
    pixels = np.zeros((*shape, 3), np.uint8)
    assert bench_child._cut(pixels, *wanted).shape == (*cut, 3)


def test_synthetic_pictures_move_and_repeat() -> None:
    pictures = bench_child._synthetic(8, 12)
    first = next(pictures)
    second = next(pictures)
    assert (first.shape, first.dtype) == ((8, 12, 3), np.uint8)
    assert not np.array_equal(first, second)
    rest = [next(pictures) for _ in range(bench_child.SYNTHETIC_FRAMES - 1)]
    assert np.array_equal(rest[-1], first)


def test_resident_and_peak_memory_grow_with_what_is_held() -> None:
    before = bench_child.resident_bytes()
    if before is None:
        pytest.skip("this system does not tell how much memory a process holds")
    held = np.ones(100_000_000, np.uint8)
    after = bench_child.resident_bytes()
    assert after is not None
    assert 0.9 < (after - before) / held.nbytes < 1.1
    assert bench_child.peak_bytes() >= 0.99 * after


def test_memory_watch_compares_the_ends_of_the_run() -> None:
    with bench_child.MemoryWatch() as watch:
        time.sleep(3 / bench_child.SAMPLES_A_SECOND)
    assert watch._samples
    watch._finished_at = 109.0
    watch._samples = [(99.0, 1.0), (101.0, 10.0), (102.0, 20.0), (104.0, 99.0), (108.0, 17.0)]
    assert watch.thirds(9.0) == (15.0, 17.0)


def test_memory_watch_without_enough_samples() -> None:
    with bench_child.MemoryWatch() as watch:
        pass
    assert watch.thirds(1e-6) == (None, None)


@pytest.fixture
def two_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two short clips of a bright disc, and networks that take what is bright for people."""
    from humanseg.segmenter import Segmenter
    from humanseg.testing import BrightnessEngine
    from humanseg_training import stability
    from humanseg_training.clips import Still, make_clip

    rows, columns = np.mgrid[:96, :128]
    disc = (rows - 50) ** 2 + (columns - 64) ** 2 < 900
    pixels = np.where(disc[..., None], 230, 40).astype(np.uint8).repeat(3, axis=2)
    still = Still("disc", pixels, disc.astype(np.float32))

    def clips(data: Path | None, count: int, samples: Path | None) -> Any:
        for kind in ("pan", "hand wave")[:count]:
            yield stability.Clip("disc", kind, list(make_clip(still, kind, frames=4)))

    def open_segmenter(preset: str, **_: object) -> Segmenter:
        return Segmenter.from_engine(BrightnessEngine())

    monkeypatch.setattr(stability, "all_clips", clips)
    monkeypatch.setattr("humanseg.segmenter.Segmenter", open_segmenter)


def test_stability_is_a_table_of_treatments(two_clips: None, tmp_path: Path) -> None:
    options = ["--stability", "--data", str(tmp_path), "--clips", "2", "--presets", "fast"]
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["bench", *options])
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines() if line.strip().startswith("fast")]
    assert [row[1] for row in rows[:4]] == ["single", "smoothed", "look-ahead", "gated"]
    assert float(rows[0][2]) > 0.9
    assert float(rows[0][5]) > 0
    assert rows[0][6] == "100%"
    assert result.stderr.splitlines() == ["pan, disc", "hand wave, disc"]


def test_stability_as_json(two_clips: None, tmp_path: Path) -> None:
    options = ["--stability", "--data", str(tmp_path), "--presets", "fast", "--json"]
    result = CliRunner().invoke(app, ["bench", *options])
    scores = json.loads(result.stdout)
    assert len(scores) == 8
    assert {score["kind"] for score in scores} == {"pan", "hand wave"}
    assert scores[-1]["figures"]["fast_boundary_f"] is not None


def test_stability_needs_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("humanseg_cli.bench_stability.SAMPLES", tmp_path)
    result = CliRunner().invoke(app, ["bench", "--stability"])
    assert result.exit_code == 2
    assert "--data" in result.stderr


@pytest.fixture
def measured_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor on which torch, which auto does not take, is a little quicker for balanced."""
    from humanseg.engines import choose, self_test

    openvino, torch = self_test.Candidate("openvino", "cpu"), self_test.Candidate("torch", "cpu")

    def measure(able: Any, models: tuple[str, ...], **_: object) -> dict[str, float]:
        if len(models) == 1:
            return {"openvino cpu auto": 2.0, "torch cpu auto": 5.0}
        return {"openvino cpu auto": 11.0, "torch cpu auto": 10.0, "torch cpu f32": 40.0}

    monkeypatch.setattr(choose, "candidates", lambda *_, **__: [openvino, torch])
    monkeypatch.setattr(choose, "choose_device", lambda _: "cpu")
    monkeypatch.setattr(self_test, "measure", measure)
    monkeypatch.setattr(self_test, "quickest", lambda *_, **__: openvino)


def test_engines_are_compared_with_the_quickest(measured_engines: None) -> None:
    options = ["bench", "--engine", "all", "--presets", "fast,balanced"]
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, options)
    assert result.exit_code == 0, result.output
    rows = {" ".join(line.split()[:3]): line.split()[3:] for line in result.stdout.splitlines()}
    assert rows["torch cpu auto"] == ["5.0", "2.50", "10.0", "1.00"]
    assert rows["torch cpu f32"] == ["-", "-", "40.0", "4.00"]
    *_, fast, balanced = result.stdout.splitlines()
    assert fast == "--engine auto takes openvino cpu auto for fast: 1.00 times the quickest"
    assert balanced == "--engine auto takes openvino cpu auto for balanced: 1.10 times the quickest"


def test_engines_as_json_tell_the_ratio_of_the_default(measured_engines: None) -> None:
    options = ["bench", "--engine", "all", "--presets", "balanced", "--json"]
    found = json.loads(CliRunner().invoke(app, options).stdout)["balanced"]
    assert found["default"] == "openvino cpu auto"
    assert found["default_times_best"] == pytest.approx(1.1)
    assert found["milliseconds"]["torch cpu f32"] == 40.0
    assert found["times_best"]["torch cpu f32"] == 4.0


def test_engines_that_cannot_be_measured_are_told() -> None:
    assert bench.engines_of({}, "torch cpu auto")["default_times_best"] is None
