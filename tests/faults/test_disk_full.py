"""A disk that fills up or refuses, and a process that is killed while it writes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av.error
import numpy as np
import pytest

from humanseg import jobs
from humanseg.errors import Interrupted, SettingsError, SinkError
from humanseg.frames import Frame, StreamInfo
from humanseg.segmenter import Segmenter
from humanseg.sinks.images import write_image
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sources.video_file import VideoFileSource
from humanseg.testing import BrightnessEngine

LIKE = StreamInfo(160, 120, Fraction(25), None, Fraction(1, 25), None, "test")


def noise(index: int) -> Frame:
    pixels = np.random.default_rng(index).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    return Frame(pixels, index, Fraction(index, 25), Fraction(1, 25))


def flat(index: int) -> Frame:
    """Costs hardly a byte, so nothing is written by buffers that overflow."""
    pixels = np.full((120, 160, 3), index, np.uint8)
    return Frame(pixels, index, Fraction(index, 25), Fraction(1, 25))


def write_many(sink: VideoFileSink, count: int) -> None:
    for index in range(count):
        sink.write(noise(index))


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 400 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"no small file system without more rights: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_full_disk_leaves_a_named_playable_file(small_disk, suffix):
    sink = VideoFileSink(small_disk / f"out{suffix}", LIKE, crf=10, encoder_preset="ultrafast")
    with pytest.raises(SinkError) as caught, sink:
        write_many(sink, 1000)
    error = caught.value
    assert error.what == f"disk full after {sink.frames} frames"
    assert str(sink.partial_path) in error.hint
    assert error.exit_code == 1
    assert [path.name for path in small_disk.iterdir()] == [sink.partial_path.name]
    with VideoFileSource(sink.partial_path) as video:
        frames = sum(1 for _ in quietly(video))
    assert 0 < frames <= sink.frames


def quietly(video):
    """Frames without the error at their end."""
    try:
        yield from video
    except Exception as error:
        assert type(error).__name__ == "PartialError"  # noqa: PT017


def test_a_picture_that_does_not_fit_leaves_nothing(small_disk):
    pixels = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    with pytest.raises(SinkError, match="disk full"):
        write_image(small_disk / "out.png", pixels)
    assert list(small_disk.iterdir()) == []


class FullDisk:
    """Stands before a container and refuses everything after some packets."""

    def __init__(self, container, packets: int) -> None:
        self._container = container
        self._left = packets

    def mux(self, packet):
        self._left -= 1
        if self._left < 0:
            raise av.error.OSError(errno.ENOSPC, "No space left on device", "out")
        self._container.mux(packet)

    def close(self):
        self._container.close()
        if self._left < 0:
            raise av.error.OSError(errno.ENOSPC, "No space left on device", "out")

    def __getattr__(self, name):
        return getattr(self._container, name)


def filling(path: Path, packets: int) -> VideoFileSink:
    # A codec without delay: one packet a frame.
    sink = VideoFileSink(path, LIKE, codec="mjpeg")
    sink._container = FullDisk(sink._container, packets)
    return sink


def test_a_refused_packet_is_told_once_and_the_rest_kept(tmp_path):
    sink = filling(tmp_path / "out.mkv", 7)
    with pytest.raises(SinkError, match="disk full after 7 frames"), sink:
        write_many(sink, 20)
    assert not (tmp_path / "out.mkv").exists()
    with VideoFileSource(sink.partial_path) as video:
        assert len(list(video)) == 7


def test_closing_by_hand_after_a_refusal_does_not_name_the_file_finished(tmp_path):
    sink = filling(tmp_path / "out.mkv", 3)
    with pytest.raises(SinkError):
        write_many(sink, 5)
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.partial.mkv"]


def test_a_refusal_at_the_very_end(tmp_path):
    sink = filling(tmp_path / "out.mkv", 5)
    write_many(sink, 5)
    sink._container._left = -1
    with pytest.raises(SinkError, match="disk full after 5 frames"):
        sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.partial.mkv"]


def test_a_refusal_of_the_first_frame_leaves_nothing(tmp_path):
    sink = filling(tmp_path / "out.mkv", 0)
    with pytest.raises(SinkError, match=r"^\S+: disk full \(free"), sink:
        write_many(sink, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder(tmp_path, monkeypatch):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # root may write everywhere
        monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(SettingsError, match="its folder is read-only"):
        VideoFileSink(folder / "out.mp4", LIKE)
    folder.chmod(0o755)


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from test_disk_full import LIKE, Path, VideoFileSink, flat
sink = VideoFileSink(Path({target!r}), LIKE, encoder_preset="ultrafast")
for index in range(90):
    sink.write(flat(index))
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_killed_process_leaves_a_playable_file(tmp_path, suffix):
    code = KILLED.format(folder=str(Path(__file__).parent), target=str(tmp_path / f"out{suffix}"))
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == -9
    with VideoFileSource(tmp_path / f"out.partial{suffix}") as video:
        frames = list(quietly(video))
    assert 90 - len(frames) <= 50  # a fragment of a second, and what the encoder held
    assert [frame.time for frame in frames] == [Fraction(i, 25) for i in range(len(frames))]


def test_ctrl_c_while_the_file_is_finished_names_what_is_kept(make_video, tmp_path, monkeypatch):
    finish = VideoFileSink._finish

    def finish_and_press_ctrl_c(sink, *, is_whole):
        finish(sink, is_whole=is_whole)
        raise KeyboardInterrupt

    monkeypatch.setattr(VideoFileSink, "_finish", finish_and_press_ctrl_c)
    monkeypatch.setattr(
        jobs, "Segmenter", lambda *_, **__: Segmenter.from_engine(BrightnessEngine())
    )
    with pytest.raises(Interrupted) as caught:
        jobs.process_video(make_video(frames=12), tmp_path / "out.mp4")
    assert caught.value.kept == tmp_path / "out.partial.mp4"
    assert caught.value.frames == 12
    with VideoFileSource(caught.value.kept) as kept:
        assert len(list(kept)) == 12
    assert not (tmp_path / "out.mp4").exists()
