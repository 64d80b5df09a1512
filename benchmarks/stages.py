"""What each stage costs for a frame, beside what the machine's memory allows.

`python benchmarks/stages.py [--presets A,B] [--size WxH] [--frames N] [--runs N]`: the sample goes
through all stages one after the other, each with one thread; counted is the time of the processor,
means over the frames, medians over the runs. `humanseg bench` tells what comes of it when they
overlap.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from humanseg.backgrounds import Blur
from humanseg.composite import Compositor
from humanseg.gate import MotionGate
from humanseg.media.planar import glance
from humanseg.refine import Refiner
from humanseg.segmenter import Segmenter
from humanseg.settings import find_preset
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sizes import fit
from humanseg.sources.video_file import VideoFileSource
from humanseg.temporal import TemporalSmoother
from humanseg_cli import bench_child

SAMPLE = Path(__file__).parent.parent / "samples" / "walk.mp4"
STAGES = ("decode", "look", "gate", "network", "smooth", "refine", "composite", "encode")
CODEC = ("decode", "encode")
AT_LEAST = {"look": 1.5, "composite": 3.0}
"""Bytes a pixel that a stage cannot but read and write, of a 4:2:0 frame."""
COPIED = 256 * 2**20
COPIES = 5


class CpuTimes:
    """Adds up the processor's time by stage."""

    def __init__(self):
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def __call__(self, stage):
        began = time.process_time()
        yield
        self.seconds[stage] += time.process_time() - began


def make_clip(folder, size, frames):
    width, height = size
    path = Path(folder) / f"{width}x{height}-{frames}.mp4"
    job = {"source": str(SAMPLE), "target": str(path)}
    bench_child.make_clip({**job, "width": width, "height": height, "frames": frames})
    return path


def one_pass(clip, target, segmenter, preset):
    """Milliseconds a frame of each stage, by name."""
    settings, timed = find_preset(preset), CpuTimes()
    gate, smoother = MotionGate(settings.gate), TemporalSmoother(settings.smoothing)
    refiner, compositor = Refiner(settings.refine), Compositor(Blur(), options=settings.blend)
    count = 0
    with (
        VideoFileSource(clip, threads=1, planar=True) as source,
        VideoFileSink(
            target,
            source.info,
            codec=bench_child.CODEC,
            crf=bench_child.CRF,
            encoder_preset=bench_child.ENCODER_PRESET,
            threads=1,
            overwrite=True,
        ) as sink,
    ):
        frames = iter(source)
        while True:
            with timed("decode"):
                frame = next(frames, None)
            if frame is None:
                break
            frame.freeze()
            place = fit(frame.height, frame.width)
            with timed("look"):
                glance(frame, place.height, place.width)
            with timed("gate"):
                gate.is_still(frame)
            with timed("network"):
                [mask] = segmenter.masks([frame])
            with timed("smooth"):
                ready = smoother.push(frame, mask, seen=glance(frame, *mask.shape))
            for shown, smoothed in ready:
                with timed("refine"):
                    alpha = refiner.refine_frame(shown, smoothed)
                with timed("composite"):
                    made = compositor.compose(shown, alpha)
                with timed("encode"):
                    sink.write(made)
            count += 1
        with timed("encode"):
            sink.close()
    return {stage: seconds / count * 1000 for stage, seconds in timed.seconds.items()}


def measure(preset, size, frames, runs, engine="auto"):
    """Medians of some passes: milliseconds a frame of each stage, by name."""
    cv2.setNumThreads(1)
    with (
        tempfile.TemporaryDirectory() as folder,
        Segmenter(preset, device="cpu", engine=engine, threads=1) as segmenter,
    ):
        # Graphs are compiled, and memory is taken, at the first frames.
        one_pass(make_clip(folder, size, 2), Path(folder) / "out.mp4", segmenter, preset)
        clip = make_clip(folder, size, frames)
        passes = [one_pass(clip, Path(folder) / "out.mp4", segmenter, preset) for _ in range(runs)]
    return {stage: statistics.median(one[stage] for one in passes) for stage in STAGES}


def memory_bandwidth():
    """Gigabytes a second that one thread reads and writes when it copies."""
    source, target = np.ones(COPIED, np.uint8), np.ones(COPIED, np.uint8)
    times = []
    for _ in range(COPIES):
        began = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - began)
    return 2 * COPIED / min(times) / 1e9


def parse_size(text):
    width, _, height = text.partition("x")
    return int(width), int(height)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", default="fast,balanced")
    parser.add_argument("--size", type=parse_size, default=(1280, 720), metavar="WxH")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--engine", default="auto")
    chosen = parser.parse_args()
    megapixels = chosen.size[0] * chosen.size[1] / 1e6
    presets = chosen.presets.split(",")
    found = {
        preset: measure(preset, chosen.size, chosen.frames, chosen.runs, chosen.engine)
        for preset in presets
    }
    bandwidth = memory_bandwidth()
    titles = "".join(f" {preset:>10} {'a Mpixel':>9}" for preset in presets)
    print(f"{'ms':16}{titles} {'memory allows':>14}")
    for stage in STAGES:
        cells = "".join(
            f" {times[stage]:10.2f} {times[stage] / megapixels:9.2f}" for times in found.values()
        )
        least = AT_LEAST.get(stage)
        limit = f"{least / bandwidth:14.2f}" if least else f"{'-':>14}"
        print(f"{stage:16}{cells} {limit}")
    for name, stages in (("decode + encode", CODEC), ("all", STAGES)):
        cells = "".join(
            f" {total:10.2f} {total / megapixels:9.2f}"
            for total in (sum(times[stage] for stage in stages) for times in found.values())
        )
        print(f"{name:16}{cells}")
    print(f"memory: {bandwidth:.1f} GB/s read and written by one thread that copies")


if __name__ == "__main__":
    main()
