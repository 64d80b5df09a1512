"""Fixtures that more than one folder of tests uses: tiny videos made on the spot."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

MakeVideo = Callable[..., Path]

RATE = Fraction(25)
HEIGHT, WIDTH = 48, 64
SOUND_RATE = 48_000


def picture(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3) BGR: smooth colours, with a grey left half that tells the frame's index."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0] = 60 + 120 * rows // height
    pixels[..., 1] = 60 + 120 * columns // width
    pixels[..., 2] = 180 - 100 * rows // height
    pixels[:, : width // 2] = 40 + 3 * (index % 60)
    return pixels


def read_index(pixels: np.ndarray) -> int:
    """The index that `picture` was given, from pixels of an encoded copy."""
    grey = pixels[4:-4, 4 : pixels.shape[1] // 2 - 4].mean()
    return round((float(grey) - 40) / 3)


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """`make_video(name, frames=24, ...) -> Path`; see `write_video` for the rest."""

    def make(name: str = "in.mp4", **options: Any) -> Path:
        path = tmp_path / name
        write_video(path, **options)
        return path

    return make


@pytest.fixture
def turn_video() -> Callable[[Path, int], None]:
    """Ask in an mp4's header for a clockwise turn by 0, 90, 180 or 270 degrees."""
    return write_turn


@pytest.fixture
def read_video() -> Callable[[Path], Content]:
    """What a file holds, read by another way than the code under test."""
    return read_content


@pytest.fixture
def draw() -> Callable[..., np.ndarray]:
    """The picture of (index, height, width) that `make_video` writes."""
    return picture


@pytest.fixture
def index_of() -> Callable[[np.ndarray], int]:
    """The index of the frame from the pixels of `draw`, coded or not."""
    return read_index


def write_video(
    path: Path,
    *,
    frames: int = 24,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    time_base: Fraction = 1 / RATE,
    times: Sequence[int] | None = None,
    last_duration: int | None = None,
    draw: Callable[[int, int, int], np.ndarray] = picture,
    color: tuple[int, int, int, int] = (2, 0, 2, 2),
    aspect: Fraction = Fraction(1),
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    sound: Sequence[tuple[str, str]] = (),
    sound_seconds: float | None = None,
    sound_start: int = 0,
    subtitles: Sequence[tuple[str, str]] = (),
    tags: dict[str, str] | None = None,
    chapters: Sequence[tuple[float, float, str]] = (),
) -> None:
    """Write a small video.

    Args:
        path: its suffix chooses the container.
        frames: number of them.
        size: (height, width).
        codec: FFmpeg's name of the encoder.
        pixel_format: FFmpeg's name.
        time_base: of the times.
        times: of each frame in ticks; None for 25 frames a second.
        last_duration: of the last frame in ticks; None for what the container makes of it.
        draw: gives the picture of (index, height, width).
        color: numbers of matrix, range, primaries and transfer.
        aspect: width of a pixel over its height.
        options: for the encoder.
        container_options: for the container.
        sound: (encoder, language) of tracks with a sine each.
        sound_seconds: None for the length of the video.
        sound_start: time of the first sample, in samples.
        subtitles: (codec, language) of tracks with a line for each half second.
        tags: of the container.
        chapters: (start, end, title) in seconds.
    """
    tick = round(1 / (RATE * time_base))
    ticks = list(times) if times is not None else [tick * index for index in range(frames)]
    exact = {"movie_timescale": "90000"} if path.suffix in (".mp4", ".mov") else {}
    container = av.open(str(path), "w", container_options=exact | (container_options or {}))
    container.metadata.update(tags or {})
    if chapters:
        container.set_chapters(
            [
                {
                    "id": number,
                    "start": round(start * 1000),
                    "end": round(end * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for number, (start, end, title) in enumerate(chapters, start=1)
            ]
        )
    stream: Any = container.add_stream(codec, rate=RATE)
    stream.height, stream.width = size
    stream.pix_fmt = pixel_format
    stream.time_base = stream.codec_context.time_base = time_base
    stream.codec_context.sample_aspect_ratio = aspect
    context = stream.codec_context
    context.colorspace, context.color_range, context.color_primaries, context.color_trc = color
    preset = {"preset": "ultrafast"} if codec.startswith("libx26") else {}
    stream.options = {**preset, **(options or {})}
    tracks = [add_sound(container, *track) for track in sound]
    texts = [add_subtitles(container, *track) for track in subtitles]
    container.start_encoding()
    seconds = float((ticks[-1] - ticks[0] + tick) * time_base) if ticks else 1.0
    for number, output in enumerate(tracks, start=1):
        write_sine(container, output, sound_seconds or seconds, 220 * number, sound_start)
    for output in texts:
        write_texts(container, output, seconds)
    lengths: dict[int, int] = {}
    for position, (index, time) in enumerate(zip(range(len(ticks)), ticks, strict=True)):
        later = ticks[position + 1] if position + 1 < len(ticks) else None
        lengths[time] = later - time if later is not None else last_duration or tick
        frame = to_video_frame(draw(index, *size), pixel_format, color)
        frame.pts, frame.time_base = time, time_base
        mux_timed(container, stream.encode(frame), lengths)
    if ticks:
        mux_timed(container, stream.encode(None), lengths)
    container.close()


def mux_timed(container: Any, packets: list[Any], lengths: dict[int, int]) -> None:
    for packet in packets:
        packet.duration = lengths.get(packet.pts, packet.duration)
        container.mux(packet)


def to_video_frame(
    bgr: np.ndarray, pixel_format: str, color: tuple[int, int, int, int]
) -> av.VideoFrame:
    """Convert with swscale at its most exact; test_color has an oracle without swscale."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgr), format="bgr24")
    matrix, range_, _, _ = color
    sws_matrix = {1: 1, 5: 5, 6: 5, 9: 9}.get(matrix, 5)
    exact = av.video.reformatter.Interpolation
    made = frame.reformat(
        format=pixel_format,
        src_colorspace=sws_matrix,
        dst_colorspace=sws_matrix,
        src_color_range=2,
        dst_color_range=range_ or 1,
        interpolation=exact.BICUBIC | exact.ACCURATE_RND | exact.FULL_CHR_H_INT,
    )
    made.colorspace, made.color_range, made.color_primaries, made.color_trc = color
    return made


def add_sound(container: Any, codec: str, language: str) -> Any:
    output = container.add_stream(codec, rate=SOUND_RATE)
    output.metadata["language"] = language
    return output


def write_sine(container: Any, output: Any, seconds: float, hertz: float, first: int) -> None:
    size = output.codec_context.frame_size or 1024
    for start in range(0, round(seconds * SOUND_RATE), size):
        wave = np.sin(2 * np.pi * hertz * (np.arange(start, start + size) / SOUND_RATE)) * 0.3
        both = np.stack([wave, wave]).astype(np.float32)
        frame: Any = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = (
            SOUND_RATE,
            first + start,
            Fraction(1, SOUND_RATE),
        )
        container.mux(output.encode(frame))
    container.mux(output.encode(None))


def add_subtitles(container: Any, codec: str, language: str) -> Any:
    output = container.add_mux_stream(codec)
    output.metadata["language"] = language
    output.time_base = Fraction(1, 1000)
    return output


def write_texts(container: Any, output: Any, seconds: float) -> None:
    for number in range(int(seconds * 2)):
        words = f"line {number}".encode()
        is_mp4 = "mp4" in container.format.name or "mov" in container.format.name
        packet: Any = av.Packet(struct.pack(">H", len(words)) + words if is_mp4 else words)
        packet.stream = output
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = number * 500
        packet.duration = 400
        container.mux(packet)


def write_turn(path: Path, degrees: int) -> None:
    """Patch the display matrix of an mp4's video track: clockwise turn of what is shown."""
    one = 65536
    a, b, c, d = {
        0: (one, 0, 0, one),
        90: (0, one, -one, 0),
        180: (-one, 0, 0, -one),
        270: (0, -one, one, 0),
    }[degrees]
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + (52 if data[data.index(b"tkhd") + 4] else 40)
    data[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


@dataclass
class Content:
    """What a file holds, read by PyAV alone."""

    times: list[Fraction]
    indices: list[int]
    kinds: list[str]
    codecs: dict[str, list[str]]
    languages: list[str | None]
    packets: dict[int, list[bytes]]
    ends: dict[int, Fraction]


def read_content(path: Path) -> Content:
    """Times, indices and packets of a file, by another way than the code under test."""
    with av.open(str(path)) as container:
        streams = list(container.streams)
        video = container.streams.video[0]
        content = Content([], [], [stream.type for stream in streams], {}, [], {}, {})
        for stream in streams:
            name = stream.codec_context.codec.canonical_name if stream.codec_context else "none"
            content.codecs.setdefault(stream.type, []).append(name)
            if stream.type != "video":
                content.languages.append(stream.language)
        for packet in container.demux(streams):
            if not packet.size and packet.stream.type != "video":
                continue
            content.packets.setdefault(packet.stream.index, []).append(bytes(packet))
            if packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * as_fraction(packet.time_base)
                before = content.ends.get(packet.stream.index, end)
                content.ends[packet.stream.index] = max(end, before)
            if packet.stream is video:
                for frame in packet.decode():
                    content.times.append(frame.pts * as_fraction(frame.time_base))
                    content.indices.append(read_index(frame.to_ndarray(format="bgr24")))
    return content


def as_fraction(value: Any) -> Fraction:
    return Fraction(value.numerator, value.denominator)
