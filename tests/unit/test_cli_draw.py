from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest

from humanseg.pipeline import Progress, Summary
from humanseg_cli import draw


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    # Not a fixture: pytest puts its own stderr in place between setup and call.
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return terminal


def _draw(*steps: Progress) -> None:
    with draw.progress("in[1].mp4", "frames", shown=True) as on_progress:
        assert on_progress is not None
        for step in steps:
            on_progress(step)
            time.sleep(1.2 / draw.REFRESHES_A_SECOND)


def test_progress_counts_frames_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    _draw(Progress(300, 3000, 10.0), Progress(1500, 3000, 50.0))
    seen = terminal.getvalue()
    assert "in[1].mp4" in seen
    assert "1,500 of 3,000 frames" in seen
    assert "30.0 frames/s" in seen
    assert "00:0" in seen
    assert "left" in seen


def test_progress_without_a_known_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    _draw(Progress(0, None, 0.0), Progress(1500, None, 50.0))
    seen = terminal.getvalue()
    assert "1,500 frames" in seen
    assert " of " not in seen


def test_progress_survives_more_frames_than_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    _draw(Progress(12, 10, 1.0))
    assert "12 of 10 frames" in terminal.getvalue()


@pytest.mark.parametrize("shown", [True, False])
def test_no_progress_without_a_terminal_or_when_not_wanted(
    monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    stderr = io.StringIO() if shown else Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    with draw.progress("in.mp4", "frames", shown=shown) as on_progress:
        assert on_progress is None
    assert stderr.getvalue() == ""


def test_error_panel_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    draw.error("has no [video] stream", "a[b].mp4", "give a video")
    seen = terminal.getvalue()
    assert "a[b].mp4: has no [video] stream" in seen
    assert "Next step: give a video" in seen
    assert "╭" in seen


def test_long_paths_are_not_broken_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    path = "folder/" * 40 + "in.mp4"
    draw.error("is missing", path, None)
    assert stderr.getvalue() == f"Error: {path}: is missing\n"


def test_table_shows_markup_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    draw.show(draw.table(("name", "size"), [("[bold]x[/bold]", "1")]))
    assert "[bold]x[/bold]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("frames", "told"), [(1, "1 picture of 64x48"), (2, "2 pictures of 64x48")]
)
def test_the_summary_counts_one_and_many(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, frames: int, told: str
) -> None:
    done = Summary(
        target=tmp_path / "out",
        frames=frames,
        promised=frames,
        width=64,
        height=48,
        seconds=1.0,
        preset="fast",
        engine="a double",
        stage_seconds={},
        copied=(),
        warnings=(),
    )
    draw.summary(done, unit="pictures")
    assert told in capsys.readouterr().out
