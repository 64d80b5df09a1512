"""Videos that are missing, empty, of another kind, cut short or damaged."""

from __future__ import annotations

import os
import struct
import threading
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.error
import numpy as np
import pytest

from humanseg.errors import PartialError, SinkError, SourceError
from humanseg.frames import Frame, StreamInfo
from humanseg.media.av_gate import fraction, sink_error, source_error
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sources.video_file import VideoFileSource


def read_all(path: Path) -> tuple[list, list[str]]:
    with VideoFileSource(path) as video:
        return list(video), video.warnings


def read_to_the_break(path: Path) -> tuple[list, PartialError]:
    frames: list = []
    with VideoFileSource(path) as video, pytest.raises(PartialError) as caught:
        frames.extend(video)
    return frames, caught.value


def cut(path: Path, share: float) -> Path:
    """The same file, broken off."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def noise(index: int, height: int, width: int) -> np.ndarray:
    """Costs about the same in every frame, so that bytes are spread evenly."""
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)


class TestNoVideo:
    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("missing.mp4", None, "there is no such file"),
            ("empty.mp4", b"", "is empty"),
            ("text.mp4", b"Dear diary, today I filmed nothing.\n" * 40, "is no video"),
            ("text.txt", b"Dear diary, today I filmed nothing.\n" * 40, "is"),
            ("zeros.mkv", bytes(5000), "is no video"),
        ],
    )
    def test_one_line_with_path_and_next_step(self, name, content, words, tmp_path):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SourceError) as caught:
            VideoFileSource(path)
        error = caught.value
        assert words in error.what
        assert error.subject == str(path)
        assert error.hint
        assert "\n" not in str(error)
        assert error.exit_code == 2

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
    def test_a_pipe_is_refused_and_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.mp4")
        opener = threading.Timer(3, (tmp_path / "pipe.mp4").write_bytes, [b""])
        opener.start()
        with pytest.raises(SourceError, match="is no ordinary file"):
            VideoFileSource(tmp_path / "pipe.mp4")
        opener.cancel()

    def test_a_folder(self, tmp_path):
        with pytest.raises(SourceError, match="is a folder"):
            VideoFileSource(tmp_path)

    def test_a_file_taken_for_a_folder(self, make_video):
        with pytest.raises(SourceError, match="no such file"):
            VideoFileSource(make_video(frames=1) / "more.mp4")

    def test_sound_only(self, tmp_path):
        path = tmp_path / "sound.m4a"
        with av.open(str(path), "w", format="mp4") as container:
            stream = container.add_stream("aac", rate=48_000)
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
            )
            frame.sample_rate = 48_000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with pytest.raises(SourceError, match="holds sound only"):
            VideoFileSource(path)

    def test_a_picture(self, make_video, tmp_path):
        path = tmp_path / "still.png"
        with av.open(str(make_video(frames=1))) as container:
            next(container.decode(video=0)).save(str(path))
        with pytest.raises(SourceError, match="is a picture"):
            VideoFileSource(path)

    def test_no_index(self, make_video):
        with pytest.raises(SourceError, match="is no video that can be read"):
            VideoFileSource(cut(make_video(), 0.5))

    @pytest.mark.parametrize("name", ["none.mp4", "none.mkv"])
    def test_no_frames(self, make_video, name):
        with pytest.raises(SourceError) as caught:
            VideoFileSource(make_video(name, frames=0))
        assert caught.value.hint

    def test_no_permission(self, make_video):
        path = make_video()
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        with pytest.raises(SourceError, match="may not be read"):
            VideoFileSource(path)

    def test_no_permission_said_by_ffmpeg(self, make_video, monkeypatch):
        path = make_video()

        def refuse(*_, **__):
            raise av.error.PermissionError(13, "Permission denied", "in.mp4")

        monkeypatch.setattr(av, "open", refuse)
        with pytest.raises(SourceError, match="may not be read"):
            VideoFileSource(path)


class TestCutShort:
    @pytest.mark.parametrize("name", ["in.mkv", "in.mp4", "in.mov", "in.avi", "in.flv"])
    @pytest.mark.parametrize("sound", [(), [("aac", "eng")]])
    @pytest.mark.parametrize("share", [0.4, 0.8])
    def test_all_that_can_be_decoded_comes_then_the_error(self, make_video, name, sound, share):
        # The index in front, or nothing of an mp4 could be read.
        front = {"movflags": "faststart"} if name[-3:] in ("mp4", "mov") else {}
        options = {"x264-params": "keyint=10:bframes=0:scenecut=0"}
        path = make_video(
            name, frames=60, draw=noise, options=options, container_options=front, sound=sound
        )
        frames, error = read_to_the_break(cut(path, share))
        assert abs(len(frames) - 60 * share) < 6
        assert error.exit_code == 3
        assert error.subject == str(path)
        assert error.what.startswith(f"{len(frames)} of ")
        # AVI and FLV also count the sound, which ends a little later.
        promised = int(error.what.split(" frames")[0].split()[-1])
        assert promised == 60 or (promised == 61 and sound and name in ("in.avi", "in.flv"))
        assert [frame.time for frame in frames] == sorted(frame.time for frame in frames)

    def test_fragments_left_by_a_kill(self, make_video):
        fragments = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        options = {"x264-params": "keyint=5:bframes=0:scenecut=0"}
        path = make_video(frames=60, draw=noise, options=options, container_options=fragments)
        with VideoFileSource(path) as video:
            assert len(list(video)) == 60
        frames, error = read_to_the_break(cut(path, 0.52))
        assert 25 <= len(frames) <= 32
        assert str(len(frames)) in error.what

    def test_one_frame_less_is_no_break(self, make_video):
        """A container's length is rounded; that is no damage."""
        path = make_video("in.mkv", times=range(0, 2000, 33), time_base=Fraction(1, 1000))
        assert read_all(path)[1] == []

    def test_a_last_frame_that_stands_long_is_no_break(self, make_video):
        times = [0, 40, 80, 1500, 1540, 1580]
        for name in ("in.mkv", "in.mp4"):
            path = make_video(name, times=times, time_base=Fraction(1, 1000), last_duration=1200)
            assert len(read_all(path)[0]) == 6

    def test_a_long_stand_seen_before_may_come_at_the_end(self, make_video):
        times = [*range(0, 2000, 40), *range(3000, 5000, 40)]
        for name in ("in.flv", "in.mkv", "in.mp4"):
            path = make_video(name, times=times, time_base=Fraction(1, 1000), last_duration=1000)
            assert len(read_all(path)[0]) == 100

    def test_a_long_stand_after_reordered_frames_is_no_break(self, tmp_path):
        """The time then belongs to a frame that is decoded last, but not shown last."""
        base = Fraction(1, 90_000)
        times = [0, 3003, 4000, 9009, 9010, 12012, 30000, 30001, 33000, 36363, 40000, 45045]
        like = StreamInfo(64, 48, Fraction(25), None, base, None, "test")
        target = tmp_path / "out.mp4"
        with VideoFileSink(target, like, encoder_preset="medium") as sink:
            for index, time in enumerate(times):
                shown = 450_000 if time == times[-1] else times[index + 1] - time
                pixels = np.full((48, 64, 3), 40 + index, np.uint8)
                sink.write(Frame(pixels, index, time * base, shown * base))
        assert len(read_all(target)[0]) == len(times)

    def test_sound_that_runs_on_is_no_break(self, make_video):
        for name in ("in.mkv", "in.mp4", "in.webm", "in.flv"):
            codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
            sound = "libopus" if name.endswith("webm") else "aac"
            path = make_video(name, sound=[(sound, "eng")], sound_seconds=4.0, codec=codec)
            frames, warnings = read_all(path)
            assert (len(frames), warnings) == (24, [])

    def test_frames_hidden_by_an_edit_list_are_no_break(self, make_video):
        path = make_video(frames=50, options={"bf": "0"}, container_options={"use_editlist": "1"})
        data = bytearray(path.read_bytes())
        place = data.index(b"elst") + 4 + 8
        length, start = struct.unpack_from(">Ii", data, place)
        struct.pack_into(">Ii", data, place, length * 3 // 5, start)
        path.write_bytes(bytes(data))
        frames, _ = read_all(path)
        assert 28 <= len(frames) <= 32

    def test_the_message_of_the_issue(self, make_video):
        options = {"x264-params": "keyint=10:bframes=0:scenecut=0"}
        path = make_video("in.mkv", frames=150, draw=noise, options=options)
        frames, error = read_to_the_break(cut(path, 0.5))
        assert error.what == f"{len(frames)} of about 150 frames could be read"


class TestDamaged:
    def test_damaged_packets_are_skipped_and_counted(self, make_video, index_of):
        path = make_video("in.mov", frames=40, codec="png", pixel_format="rgb24")
        spoil(path, b"IDAT", 5)
        frames: list = []
        with VideoFileSource(path, threads=1) as video, pytest.raises(PartialError):
            frames.extend(video)
        assert 30 <= len(frames) < 40
        assert any("damaged" in warning for warning in video.warnings)

    def test_after_a_hundred_in_a_row_the_rest_is_given_up(self, make_video):
        path = make_video("in.mov", frames=130, size=(16, 16), codec="png", pixel_format="rgb24")
        spoil(path, b"IHDR", 125, skip=5)
        frames, error = read_to_the_break(path)
        assert len(frames) == 5
        assert "5 of 130" in error.what

    @pytest.mark.parametrize("name", ["in.mkv", "in.mp4", "in.ts"])
    def test_noise_in_the_middle_never_crashes(self, make_video, name):
        path = make_video(name, frames=40, draw=noise)
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 400] = np.random.default_rng(5).bytes(400)
        path.write_bytes(bytes(data))
        with VideoFileSource(path) as video:
            frames: list = []
            with suppress(PartialError):
                frames.extend(video)
        assert len(frames) >= 15

    def test_a_picture_that_changes_size_is_scaled(self, make_video, tmp_path):
        small = make_video("a.ts", frames=10, options={"bf": "0"})
        large = make_video("b.ts", frames=10, size=(96, 128), options={"bf": "0"})
        both = tmp_path / "both.ts"
        both.write_bytes(small.read_bytes() + large.read_bytes())
        frames, warnings = read_all(both)
        assert len(frames) == 20
        assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
        assert "the picture changes from 64x48 to 128x96 at frame 10" in warnings[0]
        times = [frame.time for frame in frames]
        assert all(time < later for time, later in pairwise(times))
        assert any("no usable time" in warning for warning in warnings)


def spoil(path: Path, mark: bytes, count: int, *, skip: int = 3) -> None:
    """Overwrite the places after a mark, which breaks as many packets."""
    data = bytearray(path.read_bytes())
    place = 0
    for number in range(skip + count):
        place = data.index(mark, place) + len(mark)
        if number >= skip:
            data[place : place + 12] = b"\xff" * 12
    path.write_bytes(bytes(data))


class TestBrokenSound:
    def test_sound_whose_clock_starts_again_is_still_written(
        self, make_video, read_video, tmp_path
    ):
        source = make_video("in.ts", frames=20, options={"bf": "0"}, sound=[("aac", "eng")])
        source.write_bytes(source.read_bytes() * 2)
        target = tmp_path / "out.mp4"
        with VideoFileSource(source) as video:
            with VideoFileSink(target, video.info, copy_from=source) as sink:
                for frame in video:
                    sink.write(frame)
            assert (sink.frames, sink.copied) == (40, ("audio",))
        content = read_video(target)
        gaps = {later - time for time, later in pairwise(content.times)}
        assert gaps == {Fraction(1, 25)}
        assert abs(content.ends[1] - content.times[-1]) < Fraction(1, 5)

    def test_a_video_with_damaged_sound_is_still_written(self, make_video, tmp_path):
        source = make_video("in.mkv", frames=40, sound=[("flac", "eng")])
        data = bytearray(source.read_bytes())
        for start in range(len(data) // 2, len(data) - 200, 997):
            data[start : start + 16] = b"\x00" * 16
        source.write_bytes(bytes(data))
        target = tmp_path / "out.mp4"
        with (
            suppress(PartialError),
            VideoFileSource(source) as video,
            VideoFileSink(target, video.info, copy_from=source) as sink,
        ):
            for frame in video:
                sink.write(frame)
        assert sink.frames >= 20
        assert len(read_all(target)[0]) == sink.frames


class TestGate:
    def test_every_ffmpeg_error_has_words_of_ours(self):
        kinds = [
            kind
            for kind in vars(av.error).values()
            if isinstance(kind, type) and issubclass(kind, av.error.FFmpegError)
        ]
        assert len(kinds) > 40
        for kind in kinds:
            raised = kind(5, "some words", "in.mp4")
            read = source_error(raised, Path("in.mp4"))
            written = sink_error(raised, Path("out.mp4"), frames=3, kept=Path("part.mp4"))
            assert isinstance(read, SourceError)
            assert isinstance(written, SinkError)
            for error in (read, written):
                assert error.what
                assert error.hint
                assert "\n" not in str(error)
            assert "after 3 frames" in written.what
            assert "part.mp4" in str(written.hint)

    def test_unknown_rationals_are_none(self):
        class Pair:
            def __init__(self, numerator: int, denominator: int) -> None:
                self.numerator, self.denominator = numerator, denominator

        assert fraction(None) is None
        assert fraction(Pair(0, 1)) is None
        assert fraction(Pair(1, 0)) is None
        assert fraction(Pair(0, 0)) is None
        assert fraction(Pair(30_000, 1001)) == Fraction(30_000, 1001)
