"""Reading and writing video files: times, sound, subtitles, colour, size and names are kept."""

from __future__ import annotations

import threading
from contextlib import suppress
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from humanseg.errors import PartialError, SettingsError, SinkError
from humanseg.frames import ColorTags, Frame, StreamInfo
from humanseg.sinks.encoders import ENCODERS
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sources.video_file import VideoFileSource

HEIGHT, WIDTH = 48, 64
STEADY = [Fraction(index, 25) for index in range(24)]
UNEVEN = [0, 3003, 4000, 9009, 9010, 12012, 30000, 30001, 33000, 36363, 40000, 45045]
SOUND = [("aac", "eng"), ("aac", "deu")]


def copy(source: Path, target: Path, *, limit: int | None = None, **options) -> VideoFileSink:
    """Through our source and sink, frame by frame."""
    with VideoFileSource(source) as video:
        options.setdefault("copy_from", source)
        with VideoFileSink(target, video.info, **options) as sink:
            for frame in video:
                if frame.index == limit:
                    break
                sink.write(frame)
    return sink


def write_then_fail(frames, sink: VideoFileSink, count: int, error: BaseException) -> None:
    for frame in islice(frames, count):
        sink.write(frame)
    raise error


def frames_of(path: Path) -> list[Frame]:
    with VideoFileSource(path) as video:
        return list(video)


def like(height: int = HEIGHT, width: int = WIDTH, **changes) -> StreamInfo:
    facts = {
        "rate": Fraction(25),
        "frame_count": None,
        "time_base": Fraction(1, 25),
        "duration": None,
        "origin": "test",
    }
    return StreamInfo(width, height, **{**facts, **changes})


def still(index: int = 0, height: int = HEIGHT, width: int = WIDTH, channels: int = 3) -> Frame:
    pixels = np.full((height, width, channels), 40 + 3 * index, np.uint8)
    return Frame(pixels, index, Fraction(index, 25), Fraction(1, 25))


class TestReading:
    def test_closing_under_a_hanging_read_neither_fails_nor_waits(self, make_video, monkeypatch):
        video = VideoFileSource(make_video(frames=24))
        hangs, release = threading.Event(), threading.Event()

        def hang(packet):
            hangs.set()
            release.wait(20)

        # All packets are taken for another stream's, and the first of them hangs.
        monkeypatch.setattr(video._decoder, "_stream", None)
        monkeypatch.setattr(video._decoder, "_note_end", hang)

        def read():
            with suppress(PartialError):
                list(video)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert hangs.wait(10)
        video.close()
        release.set()
        reader.join(10)
        assert not reader.is_alive()

    def test_facts_and_frames(self, make_video, index_of):
        path = make_video(frames=24)
        with VideoFileSource(path, threads=2) as video:
            info = video.info
            frames = list(video)
        assert (info.height, info.width) == (HEIGHT, WIDTH)
        assert (info.rate, info.frame_count, info.duration) == (Fraction(25), 24, 0.96)
        assert info.origin == path
        assert [frame.index for frame in frames] == list(range(24))
        assert [frame.time for frame in frames] == STEADY
        assert {frame.duration for frame in frames} == {Fraction(1, 25)}
        assert [index_of(frame.pixels) for frame in frames] == list(range(24))
        assert video.warnings == []

    def test_every_frame_has_pixels_of_its_own(self, make_video):
        frames = frames_of(make_video(frames=6))
        for one, other in pairwise(frames):
            assert not np.shares_memory(one.pixels, other.pixels)
        assert all(frame.pixels.flags.c_contiguous for frame in frames)
        assert all(frame.pixels.dtype == np.uint8 for frame in frames)

    def test_uneven_times_are_exact(self, make_video):
        base = Fraction(1, 90_000)
        frames = frames_of(make_video(times=UNEVEN, time_base=base, last_duration=2000))
        assert [frame.time for frame in frames] == [time * base for time in UNEVEN]
        gaps = [later - time for time, later in pairwise(UNEVEN)]
        assert [frame.duration for frame in frames] == [gap * base for gap in [*gaps, 2000]]

    def test_a_second_round_starts_again(self, make_video):
        with VideoFileSource(make_video(frames=5)) as video:
            assert len(list(video)) == 5
            assert len(list(video)) == 5

    def test_tags_in_an_old_encoding(self, make_video, tmp_path):
        path = make_video("in.avi", frames=3, tags={"title": "Strasse"})
        path.write_bytes(path.read_bytes().replace(b"Strasse", "Straße!".encode("latin-1")))
        copy(path, tmp_path / "out.mkv")
        assert "Straße!".encode("latin-1") in (tmp_path / "out.mkv").read_bytes()

    def test_closing_twice_is_fine(self, make_video):
        video = VideoFileSource(make_video(frames=3))
        next(iter(video))
        video.close()
        video.close()

    @pytest.mark.parametrize("degrees", [0, 90, 180, 270])
    def test_rotation_is_applied_to_the_pixels(self, make_video, turn_video, draw, degrees):
        path = make_video(frames=3, options={"crf": "1"}, aspect=Fraction(4, 3))
        turn_video(path, degrees)
        with VideoFileSource(path) as video:
            info, frames = video.info, list(video)
        expected = np.rot90(draw(0, HEIGHT, WIDTH), -degrees // 90)
        assert (info.height, info.width) == expected.shape[:2]
        assert info.pixel_aspect == (Fraction(3, 4) if degrees % 180 else Fraction(4, 3))
        assert frames[0].pixels.shape == expected.shape
        error = np.abs(frames[0].pixels.astype(int) - expected)
        assert np.median(error) <= 2

    def test_times_are_made_where_the_file_has_none(self, make_video):
        frames = frames_of(make_video("raw.h264", frames=8, options={"bf": "0"}))
        assert len(frames) == 8
        assert [frame.time for frame in frames] == STEADY[:8]

    def test_broadcast_clock_starts_at_zero(self, make_video):
        clock = {"output_ts_offset": "40000"}
        path = make_video("in.ts", frames=8, options={"bf": "0"}, container_options=clock)
        with av.open(str(path)) as container:
            assert container.start_time >= 40_000_000_000
        assert [frame.time for frame in frames_of(path)] == STEADY[:8]

    @pytest.mark.parametrize(
        ("codec", "pixels"),
        [("libx264", "yuv420p10le"), ("ffv1", "yuv422p10le"), ("ffv1", "gray"), ("ffv1", "bgra")],
    )
    def test_other_pixels_become_8_bit_bgr(self, make_video, index_of, codec, pixels):
        frames = frames_of(make_video("in.mkv", frames=5, codec=codec, pixel_format=pixels))
        assert [index_of(frame.pixels) for frame in frames] == list(range(5))
        assert frames[0].pixels.shape == (HEIGHT, WIDTH, 3)

    @pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
    def test_hdr_is_told(self, make_video, transfer, name):
        path = make_video("hdr.mkv", pixel_format="yuv420p10le", color=(9, 1, 9, transfer))
        with VideoFileSource(path) as video:
            assert len(video.warnings) == 1
            assert f"HDR ({name})" in video.warnings[0]

    def test_a_cover_picture_is_no_video(self, make_video, tmp_path):
        path = make_video(frames=4, sound=SOUND[:1])
        with_cover = tmp_path / "cover.m4a"
        add_cover(path, with_cover, keep_video=True)
        assert len(frames_of(with_cover)) == 4


def add_cover(path: Path, target: Path, *, keep_video: bool) -> None:
    """Remux with an attached picture as first stream."""
    with av.open(str(path)) as source, av.open(str(target), "w", format="mp4") as output:
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.codec_context.color_range = 2
        cover.disposition = 1 << 10
        kept = [stream for stream in source.streams if stream.type != "video" or keep_video]
        outputs = {
            stream.index: output.add_stream_from_template(stream, opaque=True) for stream in kept
        }
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="bgr24")
        frame = frame.reformat(format="yuvj420p")
        frame.pts = 0
        for packet in [*cover.encode(frame), *cover.encode(None)]:
            output.mux(packet)
        for packet in source.demux(kept):
            if packet.size:
                packet.stream = outputs[packet.stream.index]
                output.mux(packet)


class TestTimes:
    @pytest.mark.parametrize("suffix", [".mp4", ".mov"])
    @pytest.mark.parametrize("start", [0, 1, 123_456])
    def test_uneven_times_survive_with_b_frames(
        self, make_video, read_video, suffix, start, tmp_path
    ):
        base = Fraction(1, 90_000)
        times = [start + time for time in UNEVEN]
        source = make_video(times=times, time_base=base, last_duration=5000)
        target = tmp_path / f"out{suffix}"
        copy(source, target, encoder_preset="medium")
        content = read_video(target)
        assert content.times == [time * base for time in times]
        assert content.indices == list(range(len(times)))
        assert frames_of(target)[-1].duration == 5000 * base

    def test_ntsc_rate_is_exact(self, read_video, tmp_path):
        base = Fraction(1001, 30_000)
        info = like(time_base=base, rate=1 / base)
        with VideoFileSink(tmp_path / "out.mp4", info) as sink:
            for index in range(10):
                sink.write(Frame(still(index).pixels, index, index * base, base))
        content = read_video(tmp_path / "out.mp4")
        assert content.times == [index * base for index in range(10)]
        with VideoFileSource(tmp_path / "out.mp4") as video:
            assert video.info.rate == 1 / base

    def test_matroska_rounds_to_its_milliseconds(self, make_video, read_video, tmp_path):
        base = Fraction(1, 90_000)
        source = make_video(times=UNEVEN[:4] + UNEVEN[5:7], time_base=base, sound=SOUND[:1])
        copy(source, tmp_path / "out.mkv")
        times = read_video(tmp_path / "out.mkv").times
        expected = [frame.time for frame in frames_of(source)]
        errors = [abs(made - time) for made, time in zip(times, expected, strict=True)]
        assert max(errors) <= Fraction(1, 2000)

    def test_times_that_fall_together_are_kept_apart(self, read_video, tmp_path):
        with VideoFileSink(tmp_path / "out.mp4", like()) as sink:
            for index in range(6):
                sink.write(Frame(still(index).pixels, index, Fraction(index, 50), None))
        times = read_video(tmp_path / "out.mp4").times
        assert len(times) == 6
        assert all(time < later for time, later in pairwise(times))

    def test_negative_times_move_the_start_to_zero(self, read_video, tmp_path):
        with VideoFileSink(tmp_path / "out.mp4", like()) as sink:
            for index in range(6):
                sink.write(Frame(still(index).pixels, index, Fraction(index - 2, 25)))
        assert read_video(tmp_path / "out.mp4").times == STEADY[:6]


class TestSoundAndSubtitles:
    def test_two_sound_tracks_are_copied_untouched(self, make_video, read_video, tmp_path):
        source = make_video(sound=SOUND, subtitles=[("mov_text", "fra")])
        sink = copy(source, tmp_path / "out.mp4")
        assert sink.copied == ("audio", "subtitle")
        assert sink.warnings == []
        before, after = read_video(source), read_video(tmp_path / "out.mp4")
        assert after.kinds == ["video", "audio", "audio", "subtitle"]
        assert after.languages == ["eng", "deu", "fra"]
        assert after.packets[1] == before.packets[1]
        assert after.packets[2] == before.packets[2]
        assert after.packets[1] != after.packets[2]
        assert [text for text in after.packets[3] if len(text) > 2] == [
            text for text in before.packets[3] if len(text) > 2
        ]
        assert after.ends[1] == before.ends[1]

    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
    def test_sound_stays_in_step(self, make_video, suffix, tmp_path):
        times = range(10_000, 100_000, 3_750)
        source = make_video(times=times, time_base=Fraction(1, 90_000), sound=SOUND[:1])
        copy(source, tmp_path / f"out{suffix}")
        before, after = (sound_starts(path) for path in (source, tmp_path / f"out{suffix}"))
        pairs = zip([time for time in before if time >= 0], after[-len(before) :], strict=False)
        assert max(abs(one - other) for one, other in pairs) < Fraction(1, 40)

    def test_sound_from_broadcast_keeps_step_with_the_shifted_clock(self, make_video, tmp_path):
        clock = {"output_ts_offset": "40000"}
        source = make_video("in.ts", sound=SOUND[:1], container_options=clock)
        copy(source, tmp_path / "out.mp4")
        shift = sound_starts(source)[5] - sound_starts(tmp_path / "out.mp4")[5]
        with av.open(str(source)) as container:
            assert abs(shift - Fraction(container.start_time, 1_000_000)) < Fraction(1, 1000)
        assert shift > 39_000

    @pytest.mark.parametrize(("sound", "start"), [("aac", -500), ("libopus", 0)])
    def test_sound_before_zero_does_not_move_the_pictures(
        self, make_video, read_video, sound, start, tmp_path
    ):
        source = make_video(sound=[(sound, "eng")], sound_start=start)
        starts = sound_starts(source)
        assert any(time < 0 < later for time, later in pairwise(starts))
        copy(source, tmp_path / "out.mkv")
        assert read_video(tmp_path / "out.mkv").times == STEADY

    def test_no_sound_is_no_fault(self, make_video, tmp_path):
        sink = copy(make_video(), tmp_path / "out.mp4")
        assert sink.copied == ()
        assert sink.warnings == []

    def test_sound_that_runs_on_is_kept(self, make_video, read_video, tmp_path):
        source = make_video(sound=SOUND[:1], sound_seconds=3.0)
        copy(source, tmp_path / "out.mp4")
        assert read_video(tmp_path / "out.mp4").ends[1] > 2.9

    def test_sound_ends_with_a_video_that_ends_early(self, make_video, read_video, tmp_path):
        source = make_video(frames=75, sound=SOUND[:1])
        copy(source, tmp_path / "out.mp4", limit=25)
        assert 0.9 < read_video(tmp_path / "out.mp4").ends[1] < 1.1

    def test_sound_that_does_not_fit_is_converted(self, make_video, read_video, tmp_path):
        source = make_video("in.mkv", sound=[("flac", "eng"), ("libopus", "eng")])
        sink = copy(source, tmp_path / "out.webm", codec="vp9")
        assert read_video(tmp_path / "out.webm").codecs["audio"] == ["opus", "opus"]
        assert sink.copied == ("audio",)
        assert len(sink.warnings) == 1
        assert "flac" in sink.warnings[0]
        end = read_video(tmp_path / "out.webm").ends[1]
        assert abs(end - read_video(source).ends[1]) < Fraction(1, 20)

    def test_pcm_becomes_aac_in_mp4(self, make_video, read_video, tmp_path):
        source = make_video("in.mkv", sound=[("pcm_s16le", "eng")])
        sink = copy(source, tmp_path / "out.mp4")
        assert read_video(tmp_path / "out.mp4").codecs["audio"] == ["aac"]
        assert sink.warnings == ["a .mp4 file cannot hold pcm_s16le sound; it was converted to aac"]

    @pytest.mark.parametrize(
        ("start", "codec", "end", "made"),
        [("in.mp4", "mov_text", "out.mkv", "subrip"), ("in.mkv", "subrip", "out.webm", "webvtt")],
    )
    def test_plain_subtitles_are_rewritten(
        self, make_video, read_video, start, codec, end, made, tmp_path
    ):
        source = make_video(start, frames=60, subtitles=[(codec, "fra")])
        options = {"codec": "vp9"} if end.endswith("webm") else {}
        sink = copy(source, tmp_path / end, **options)
        content = read_video(tmp_path / end)
        assert sink.copied == ("subtitle",)
        assert content.codecs["subtitle"] == [made]
        assert content.packets[1] == [f"line {number}".encode() for number in range(4)]

    def test_subtitles_that_do_not_fit_are_named(self, make_video, read_video, tmp_path):
        source = make_video("in.mkv", subtitles=[("subrip", "fra")])
        sink = copy(source, tmp_path / "out.mp4")
        assert sink.copied == ()
        assert sink.warnings == ["a .mp4 file cannot hold subrip subtitles; they are left out"]
        assert read_video(tmp_path / "out.mp4").kinds == ["video"]

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_tags_and_chapters(self, make_video, suffix, tmp_path):
        tags = {"title": "A walk", "creation_time": "2024-05-06T07:08:09.000000Z"}
        chapters = [(0, 0.5, "One"), (0.5, 0.96, "Two")]
        source = make_video(f"in{suffix}", tags=tags, chapters=chapters)
        copy(source, tmp_path / f"out{suffix}")
        with av.open(str(tmp_path / f"out{suffix}")) as container:
            assert {key: container.metadata[key] for key in tags} == tags
            made = container.chapters()
        assert [chapter["metadata"]["title"] for chapter in made] == ["One", "Two"]


def sound_starts(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        base = container.streams.audio[0].time_base
        base = Fraction(base.numerator, base.denominator)
        return [packet.pts * base for packet in container.demux(audio=0) if packet.size]


class TestPicture:
    @pytest.mark.parametrize("codec", sorted(ENCODERS))
    def test_every_codec_writes_what_it_says(self, codec, make_video, read_video, tmp_path):
        encoder = ENCODERS[codec]
        source = make_video(frames=8, size=(64, 96))
        for suffix in encoder.containers:
            target = tmp_path / f"out{suffix}"
            copy(source, target, codec=codec)
            content = read_video(target)
            # Containers in milliseconds and formats without a clock of their own round.
            assert [round(time * 25) for time in content.times] == list(range(8))
            assert content.indices == list(range(8))
            name = {"h265": "hevc"}.get(codec, codec)
            assert content.codecs["video"] == [name]

    def test_the_shortest_hevc_videos(self, read_video, tmp_path):
        """x265 leaves their decoding times unset, most often with two frames."""
        for count in (1, 2, 2, 2, 2):
            sink = VideoFileSink(tmp_path / "out.mp4", like(), codec="h265", overwrite=True)
            with sink:
                for index in range(count):
                    sink.write(still(index))
            assert read_video(tmp_path / "out.mp4").times == STEADY[:count]

    @pytest.mark.parametrize("codec", sorted(ENCODERS))
    def test_encoders_print_nothing(self, codec, tmp_path, capfd):
        target = tmp_path / f"out{ENCODERS[codec].containers[0]}"
        with VideoFileSink(target, like(64, 64), codec=codec) as sink:
            sink.write(still(0, 64, 64))
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(("height", "width"), [(49, 65), (48, 65), (49, 64)])
    @pytest.mark.parametrize("codec", sorted(ENCODERS))
    def test_odd_sizes_stay(self, codec, height, width, tmp_path):
        if codec == "av1":
            height, width = height + 16, width + 32  # SVT-AV1 wants 64 rows
        encoder = ENCODERS[codec]
        target = tmp_path / f"out{encoder.containers[0]}"
        with VideoFileSink(target, like(height, width), codec=codec) as sink:
            for index in range(4):
                sink.write(still(index, height, width))
        with VideoFileSource(target) as video:
            assert (video.info.height, video.info.width) == (height, width)
            assert len(list(video)) == 4
        is_told = any("odd size" in warning for warning in sink.warnings)
        assert is_told == (codec in ("h264", "h265"))

    @pytest.mark.parametrize(
        ("suffix", "codec", "decoder"),
        [
            (".mov", None, "prores"),
            (".mov", "qtrle", "qtrle"),
            (".mov", "png", "png"),
            (".webm", None, "libvpx-vp9"),
            (".mkv", None, "ffv1"),
        ],
    )
    def test_transparency_is_kept(self, suffix, codec, decoder, tmp_path):
        pixels = np.empty((HEIGHT, WIDTH, 4), np.uint8)
        pixels[...] = (200, 120, 60, 255)
        pixels[:, : WIDTH // 2, 3] = 0
        pixels[: HEIGHT // 2, : WIDTH // 2, 3] = 128
        target = tmp_path / f"out{suffix}"
        with VideoFileSink(target, like(), codec=codec, alpha=True) as sink:
            for index in range(3):
                sink.write(Frame(pixels, index, Fraction(index, 25)))
        made = decode_with_alpha(target, decoder)
        assert len(made) == 3
        assert np.abs(made[0][..., 3].astype(int) - pixels[..., 3]).mean() < 3
        error = np.abs(made[0][..., :3].astype(int) - pixels[..., :3])[:, WIDTH // 2 :]
        assert error.mean() < 3

    def test_pixel_aspect_is_kept(self, make_video, tmp_path):
        copy(make_video(aspect=Fraction(16, 11)), tmp_path / "out.mp4")
        with VideoFileSource(tmp_path / "out.mp4") as video:
            assert video.info.pixel_aspect == Fraction(16, 11)

    def test_a_turned_video_is_written_upright(self, make_video, turn_video, tmp_path):
        source = make_video()
        turn_video(source, 90)
        copy(source, tmp_path / "out.mp4")
        with VideoFileSource(tmp_path / "out.mp4") as video:
            assert (video.info.height, video.info.width) == (WIDTH, HEIGHT)
            with av.open(str(tmp_path / "out.mp4")) as container:
                assert next(container.decode(video=0)).rotation == 0

    @pytest.mark.parametrize("matrix", [(1, "bt709"), (5, "bt470bg"), (6, "smpte170m")])
    @pytest.mark.parametrize("range_", [(1, "tv"), (2, "pc")])
    def test_colours_and_their_tags_survive(self, make_video, draw, matrix, range_, tmp_path):
        color = (matrix[0], range_[0], 1, 13)
        source = make_video(color=color, options={"crf": "1"})
        copy(source, tmp_path / "out.mp4", crf=1)
        with VideoFileSource(tmp_path / "out.mp4") as video:
            assert video.info.color == ColorTags(matrix[1], range_[1], "bt709", "iec61966-2-1")
        before, after = raw_planes(source), raw_planes(tmp_path / "out.mp4")
        # Full-range chroma loses half a step to swscale's rounding.
        for one, other in zip(before, after, strict=True):
            assert abs(one - other).mean() < 0.8
            assert abs((one - other).mean()) < 0.6
        shown = frames_of(tmp_path / "out.mp4")[0].pixels.astype(int)
        assert np.abs(shown - draw(0)).mean() < 2

    def test_untagged_stays_untagged(self, make_video, tmp_path):
        copy(make_video(), tmp_path / "out.mp4")
        with VideoFileSource(tmp_path / "out.mp4") as video:
            assert video.info.color.matrix is None

    def test_rgb_video_is_tagged_with_what_it_becomes(self, make_video, draw, tmp_path):
        source = make_video("in.mkv", codec="ffv1", pixel_format="bgr0", color=(0, 2, 2, 2))
        copy(source, tmp_path / "out.mp4", crf=1)
        with VideoFileSource(tmp_path / "out.mp4") as video:
            assert (video.info.color.matrix, video.info.color.range) == ("smpte170m", "tv")
            assert np.abs(next(iter(video)).pixels.astype(int) - draw(0)).mean() < 2

    def test_lossless_codec_keeps_every_bit(self, draw, tmp_path):
        with VideoFileSink(tmp_path / "out.mkv", like(), codec="ffv1") as sink:
            sink.write(Frame(draw(7), 0, Fraction(0)))
        np.testing.assert_array_equal(frames_of(tmp_path / "out.mkv")[0].pixels, draw(7))


def raw_planes(path: Path) -> list[np.ndarray]:
    """Planes of the first frame as coded, in (H, W) int."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return [
            np.frombuffer(plane, np.uint8)
            .reshape(plane.height, plane.line_size)[:, : plane.width]
            .astype(int)
            for plane in frame.planes
        ]


def decode_with_alpha(path: Path, decoder: str) -> list[np.ndarray]:
    """(H, W, 4) BGRA frames; FFmpeg's own VP9 decoder drops alpha, so the decoder is chosen."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = av.CodecContext.create(decoder, "r")
        if stream.codec_context.extradata:
            context.extradata = stream.codec_context.extradata
        context.width, context.height = stream.width, stream.height
        context.pix_fmt = stream.codec_context.pix_fmt
        context.codec_tag = stream.codec_context.codec_tag
        if decoder == "qtrle":
            context.bits_per_coded_sample = 32
        made = [frame for packet in container.demux(stream) for frame in context.decode(packet)]
    return [frame.to_ndarray(format="bgra") for frame in made]


class TestPlaceAndSettings:
    @pytest.mark.parametrize(
        ("name", "options", "words"),
        [
            ("out.mp4", {"codec": "h263"}, "there is no codec 'h263'"),
            ("out.mp4", {"codec": "hevcc"}, "did you mean hevc"),
            ("out.mp4", {"codec": "prores"}, "cannot hold prores"),
            ("out.webm", {"codec": "h264"}, "cannot hold h264"),
            ("out.avi", {}, "no kind of video file"),
            ("out", {}, "has no suffix"),
            ("out.mp4", {"crf": 52}, "0 (best) to 51"),
            ("out.mov", {"codec": "prores", "crf": 20}, "does not apply"),
            ("out.mp4", {"encoder_preset": "veryfst"}, "did you mean veryfast"),
            ("out.mov", {"codec": "prores", "encoder_preset": "fast"}, "does not apply"),
            ("out.mp4", {"alpha": True}, "cannot hold transparency"),
            ("out.mov", {"alpha": True, "codec": "h265"}, "cannot hold transparency"),
            ("none/out.mp4", {}, "its folder does not exist"),
        ],
    )
    def test_what_cannot_work_is_refused_before_anything_is_written(
        self, name, options, words, tmp_path
    ):
        with pytest.raises(SettingsError) as caught:
            VideoFileSink(tmp_path / name, like(), **options)
        assert words in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["hevc", "H264", "libx264", "X265", "av1"])
    def test_friendly_names(self, name, tmp_path):
        with VideoFileSink(tmp_path / "out.mp4", like(64, 64), codec=name) as sink:
            sink.write(still(height=64, width=64))
        assert (tmp_path / "out.mp4").exists()

    def test_an_existing_file_is_kept_without_overwrite(self, tmp_path):
        target = tmp_path / "out.mp4"
        target.write_bytes(b"precious")
        with pytest.raises(SettingsError, match="exists already"):
            VideoFileSink(target, like())
        assert target.read_bytes() == b"precious"

    def test_an_existing_file_is_replaced_only_at_the_end(self, tmp_path):
        target = tmp_path / "out.mp4"
        target.write_bytes(b"precious")
        with VideoFileSink(target, like(), overwrite=True) as sink:
            sink.write(still())
            assert target.read_bytes() == b"precious"
            assert sink.partial_path.exists()
        assert len(frames_of(target)) == 1
        assert not sink.partial_path.exists()

    @pytest.mark.parametrize("way", ["same", "symlink", "hardlink"])
    def test_the_input_is_never_overwritten(self, make_video, way, tmp_path):
        source = make_video(frames=2)
        target = source if way == "same" else tmp_path / "link.mp4"
        if way == "symlink":
            target.symlink_to(source)
        elif way == "hardlink":
            target.hardlink_to(source)
        before = source.read_bytes()
        with pytest.raises(SettingsError, match="is the input as well"):
            copy(source, target, overwrite=True)
        assert source.read_bytes() == before

    def test_an_older_partial_file_is_kept(self, tmp_path):
        (tmp_path / "out.partial.mp4").write_bytes(b"precious")
        with VideoFileSink(tmp_path / "out.mp4", like()) as sink:
            sink.write(still())
        assert (tmp_path / "out.partial.mp4").read_bytes() == b"precious"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.partial.mp4"]

    def test_a_frame_of_another_size_is_refused(self, tmp_path):
        sink = VideoFileSink(tmp_path / "out.mp4", like())
        sink.write(still(0))
        with pytest.raises(SinkError, match="frame 1 has the shape"):
            sink.write(still(1, HEIGHT + 2))
        sink.abort()
        assert len(frames_of(sink.partial_path)) == 1

    def test_names_that_look_like_protocols_or_patterns(self, make_video, tmp_path):
        for name in ("a:b %03d.mp4", "größe 映像.mp4"):
            copy(make_video(name, frames=2), tmp_path / f"out {name}")
            assert len(frames_of(tmp_path / f"out {name}")) == 2


class TestEnding:
    def test_nothing_is_left_without_a_frame(self, tmp_path):
        with VideoFileSink(tmp_path / "out.mp4", like()):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_nothing_is_left_when_the_first_frame_fails(self, tmp_path):
        with pytest.raises(ValueError, match="boom"), VideoFileSink(tmp_path / "out.mp4", like()):
            raise ValueError("boom")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
    def test_an_error_leaves_a_playable_partial_file(
        self, make_video, read_video, suffix, error, tmp_path
    ):
        source = make_video(frames=50, sound=SOUND[:1])
        with VideoFileSource(source) as video:
            sink = VideoFileSink(tmp_path / f"out{suffix}", video.info, copy_from=source)
            with pytest.raises(error), sink:
                write_then_fail(video, sink, 25, error())
        assert sink.partial_path == tmp_path / f"out.partial{suffix}"
        assert not (tmp_path / f"out{suffix}").exists()
        content = read_video(sink.partial_path)
        assert content.indices == list(range(25))
        assert 0.9 < content.ends[1] < 1.1

    def test_an_early_end_of_the_source_still_finishes_the_file(self, tmp_path):
        error = PartialError("1 of about 2 frames could be read")
        with pytest.raises(PartialError), VideoFileSink(tmp_path / "out.mp4", like()) as sink:
            write_then_fail([still()], sink, 1, error)
        assert len(frames_of(tmp_path / "out.mp4")) == 1

    def test_closing_twice_and_aborting_after(self, tmp_path):
        sink = VideoFileSink(tmp_path / "out.mp4", like())
        sink.write(still())
        sink.close()
        sink.close()
        sink.abort()
        assert len(frames_of(tmp_path / "out.mp4")) == 1
        with pytest.raises(SinkError, match="closed"):
            sink.write(still(1))

    def test_a_file_that_appears_meanwhile_is_kept(self, tmp_path):
        sink = VideoFileSink(tmp_path / "out.mp4", like())
        sink.write(still())
        (tmp_path / "out.mp4").write_bytes(b"precious")
        with pytest.raises(SinkError, match="appeared"):
            sink.close()
        assert (tmp_path / "out.mp4").read_bytes() == b"precious"
        assert len(frames_of(sink.partial_path)) == 1
