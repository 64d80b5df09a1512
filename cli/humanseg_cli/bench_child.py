"""One run of `humanseg bench` in a process of its own: `python -m humanseg_cli.bench_child JOB`.

JOB is one JSON object; the last line of stdout is another, the figures or the error.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from humanseg.errors import HumansegError
from humanseg.usage import peak_bytes, resident_bytes

if TYPE_CHECKING:
    from humanseg.frames import Image

CODEC, CRF, ENCODER_PRESET = "h264", 20, "veryfast"
CLIP_RATE = 30
SYNTHETIC_FRAMES = 60
SAMPLES_A_SECOND = 20
MEGABYTE = 1e6


def main() -> None:
    """Do the job on the command line and print its figures."""
    job = json.loads(sys.argv[1])
    try:
        figures = make_clip(job) if job["kind"] == "clip" else measure(job)
    except HumansegError as error:
        shown = {"what": error.what, "subject": error.subject, "hint": error.hint}
        figures = {"error": shown, "exit_code": error.exit_code}
    print(json.dumps(figures))


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Time one pass over a clip, and watch the memory of this process meanwhile."""
    passes = {"plain": run_plain, "codec": run_codec}
    with MemoryWatch() as watch:
        frames, seconds = passes.get(job["kind"], run_preset)(job)
    first, last = watch.thirds(seconds)
    return {
        "frames": frames,
        "seconds": seconds,
        "peak_megabytes": peak_bytes() / MEGABYTE,
        "first_third_megabytes": first,
        "last_third_megabytes": last,
    }


def run_preset(job: Mapping[str, Any]) -> tuple[int, float]:
    """The whole of humanseg, with blur."""
    from humanseg.jobs import process_video

    done = process_video(
        job["source"],
        job["target"],
        preset=job["kind"],
        device=job["device"],
        engine=job["engine"],
        threads=job["threads"],
        codec=CODEC,
        crf=CRF,
        encoder_preset=_encoder_preset(job),
    )
    return done.frames, done.seconds


def run_plain(job: Mapping[str, Any]) -> tuple[int, float]:
    """Source to sink, through BGR, with nothing between them."""
    from humanseg.sinks.video_file import VideoFileSink
    from humanseg.sources.video_file import VideoFileSource
    from humanseg.threads import share

    shares = share(job["threads"])
    began, count = time.perf_counter(), 0
    with (
        VideoFileSource(job["source"], threads=shares.decode) as source,
        VideoFileSink(
            Path(job["target"]),
            source.info,
            codec=CODEC,
            crf=CRF,
            encoder_preset=_encoder_preset(job),
            copy_from=Path(job["source"]),
            threads=shares.encode,
        ) as sink,
    ):
        for frame in source:
            sink.write(frame)
            count += 1
    return count, time.perf_counter() - began


def run_codec(job: Mapping[str, Any]) -> tuple[int, float]:
    """Decode and encode by PyAV alone: frames stay as the decoder gives them."""
    import av

    began, count = time.perf_counter(), 0
    with av.open(job["source"]) as source, av.open(job["target"], "w") as target:
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        encoder = target.add_stream(
            "libx264",
            rate=stream.average_rate,
            options={"crf": str(CRF), "preset": _encoder_preset(job)},
        )
        encoder.width, encoder.height = stream.width, stream.height
        encoder.pix_fmt = "yuv420p"
        encoder.thread_type = "AUTO"
        for frame in source.decode(stream):
            target.mux(encoder.encode(frame))
            count += 1
        target.mux(encoder.encode(None))
    return count, time.perf_counter() - began


def _encoder_preset(job: Mapping[str, Any]) -> str:
    return str(job.get("encoder_preset", ENCODER_PRESET))


def make_clip(job: Mapping[str, Any]) -> dict[str, Any]:
    """Write an H.264 clip of the size asked for, from a video or from nothing.

    A video that is too short is played over and over; one of another shape is cut to this one.
    """
    import cv2

    from humanseg.frames import Frame, StreamInfo
    from humanseg.sinks.video_file import VideoFileSink

    height, width, frames = job["height"], job["width"], job["frames"]
    unit = Fraction(1, CLIP_RATE)
    info = StreamInfo(width, height, Fraction(CLIP_RATE), frames, unit, frames / CLIP_RATE, "bench")
    pictures = _synthetic(height, width) if job["source"] is None else _looped(job["source"])
    with VideoFileSink(
        Path(job["target"]), info, codec=CODEC, crf=CRF, encoder_preset=ENCODER_PRESET
    ) as sink:
        for index, pixels in zip(range(frames), pictures, strict=False):
            cut = _cut(pixels, height, width)
            sized = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
            sink.write(Frame(sized.astype("uint8"), index, index * unit, unit))
    return {"frames": frames}


def _looped(source: str) -> Iterator[Image]:
    from humanseg.sources.video_file import VideoFileSource

    while True:
        with VideoFileSource(source) as video:
            for frame in video:
                yield frame.pixels


def _synthetic(height: int, width: int) -> Iterator[Image]:
    """A moving gradient with noise, which costs an encoder about what a hand-held camera does."""
    import numpy as np

    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    pictures = []
    for index in range(SYNTHETIC_FRAMES):
        shift = 2 * np.pi * index / SYNTHETIC_FRAMES
        channels = [
            128 + 80 * np.sin(columns / (90 + 40 * channel) + rows / 120 + shift)
            for channel in range(3)
        ]
        noisy = np.stack(channels, axis=-1) + random.normal(0, 3, (height, width, 1))
        pictures.append(noisy.clip(0, 255).astype(np.uint8))
    while True:
        yield from pictures


def _cut(pixels: Image, height: int, width: int) -> Image:
    """The largest middle part of a picture that has the shape asked for."""
    rows, columns = pixels.shape[:2]
    wide, high = min(columns, rows * width // height), min(rows, columns * height // width)
    top, left = (rows - high) // 2, (columns - wide) // 2
    return pixels[top : top + high, left : left + wide]


class MemoryWatch:
    """Notes the resident memory of this process while a context lasts."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="humanseg-memory", daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._finished_at = time.perf_counter()
        self._ended.set()
        self._thread.join()

    def thirds(self, seconds: float) -> tuple[float | None, float | None]:
        """Mean megabytes in the first and the last third of the last so many seconds."""
        begin = self._finished_at - seconds
        first = [held for at, held in self._samples if begin <= at < begin + seconds / 3]
        last = [held for at, held in self._samples if at >= begin + 2 * seconds / 3]
        if not first or not last:
            return None, None
        return statistics.mean(first), statistics.mean(last)

    def _watch(self) -> None:
        while not self._ended.wait(1 / SAMPLES_A_SECOND):
            held = resident_bytes()
            if held is None:
                return
            self._samples.append((time.perf_counter(), held / MEGABYTE))


if __name__ == "__main__":
    main()
