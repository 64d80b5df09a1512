"""What a live session takes: delay, drops and processor, beside the usual loop with MediaPipe.

`python benchmarks/live.py` prints a table. Every run is a process of its own; they take turns, and
the table holds their medians. The camera is a clip of 1280x720 that gives 30 frames a second and
waits for nobody; the virtual camera is a back-end of pyvirtualcam that keeps the last frames.

For the comparison it needs an environment with mediapipe 0.10.21, the last release on PyPI whose
package has the selfie model and `mp.solutions`:

    python -m venv /tmp/usual && /tmp/usual/bin/pip install mediapipe==0.10.21
    python benchmarks/live.py --usual /tmp/usual/bin/python

On a machine that is busy with other work, `sudo chrt -r 5 python benchmarks/live.py` gives the runs
the processor before all others; else they measure those others.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import cv2
from paced_capture import PacedCapture

from humanseg.closing import Closing
from humanseg.frames import Frame, StreamInfo

HERE = Path(__file__).parent
CLIP = HERE.parent / "samples" / "walk.mp4"
HEIGHT, WIDTH, RATE = 720, 1280, 30
WARM_UP = 1.0
"""Seconds before anything is counted."""

KEPT = 30
USUAL = "usual loop"
COLUMNS = (
    ("frames in/s", "rate_in", "{:.1f}"),
    ("frames out/s", "rate_out", "{:.1f}"),
    ("dropped", "dropped", "{:.0f}"),
    ("delay p50", "delay_p50", "{:.1f} ms"),
    ("delay p95", "delay_p95", "{:.1f} ms"),
    ("cores busy", "cores", "{:.2f}"),
    ("CPU a frame", "cpu_ms", "{:.1f} ms"),
)


class BenchCamera(Closing):
    """The double of a webcam as a source; a frame is captured when it is due, before decoding."""

    def __init__(self, path, *, in_memory):
        self._capture = PacedCapture(path, RATE, in_memory=in_memory)
        self._is_closed = False

    @property
    def info(self):
        unit = Fraction(1, RATE)
        return StreamInfo(WIDTH, HEIGHT, Fraction(RATE), None, unit, None, "benchmark")

    def __iter__(self):
        index = 0
        while not self._is_closed:
            _, pixels = self._capture.read()
            yield Frame(pixels, index, Fraction(index, RATE), captured_at=self._capture.due)
            index += 1

    def close(self):
        self._is_closed = True


def measure(preset, path, seconds, *, in_memory, max_cpu=None):
    """Run a session and give its figures after the warm-up."""
    from humanseg.control.controls import Controls
    from humanseg.live.effort import Effort
    from humanseg.live.masks import MaskMaker
    from humanseg.live.outputs import Outputs
    from humanseg.live.session import STAGES, LiveSession
    from humanseg.live.setup import open_live_segmenter
    from humanseg.live.status import percentile
    from humanseg.look.dressing import Dresser
    from humanseg.sinks.virtual_camera import VirtualCameraSink
    from humanseg.sources.reopened import Reopened
    from humanseg.stopwatch import Stopwatch
    from humanseg.testing import RecordingCamera
    from humanseg.threads import share

    cv2.setNumThreads(share().picture)
    stopwatch, controls = Stopwatch(*STAGES), Controls()
    marks = []
    with (
        RecordingCamera(keep=KEPT) as recording,
        Reopened(lambda: BenchCamera(path, in_memory=in_memory)) as source,
        VirtualCameraSink(size=(HEIGHT, WIDTH), rate=RATE, backend=recording.name) as camera,
        MaskMaker(open_live_segmenter, preset, size=(HEIGHT, WIDTH), stopwatch=stopwatch) as masks,
        Dresser(controls) as dresser,
    ):
        session = LiveSession(
            source,
            masks,
            dresser,
            Outputs(camera=camera),
            controls=controls,
            effort=Effort(preset, max_cpu),
            stopwatch=stopwatch,
        )
        began = time.monotonic()

        def mark():
            if not marks and time.monotonic() - began >= WARM_UP:
                marks.append(moment())

        def moment():
            status = session.status()
            return {
                "at": time.monotonic(),
                "used": time.process_time(),
                "new": camera.sent - camera.repeated,
                "delays": len(camera.delays),
                "dropped": sum(status.dropped.values()),
                "stages": dict(stopwatch.seconds),
            }

        session.run(mark, seconds=WARM_UP + seconds)
        first, last = marks[0], moment()
        delays = camera.delays[first["delays"] :]
        status = session.status()
    elapsed, frames = last["at"] - first["at"], last["new"] - first["new"]
    used = last["used"] - first["used"]
    stages = {
        name: 1000 * (total - first["stages"][name]) / max(1, frames)
        for name, total in last["stages"].items()
    }
    return {
        "rate_in": (frames + last["dropped"] - first["dropped"]) / elapsed,
        "rate_out": frames / elapsed,
        "dropped": last["dropped"] - first["dropped"],
        "delay_p50": percentile(delays, 0.5),
        "delay_p95": percentile(delays, 0.95),
        "cores": used / elapsed,
        "cpu_ms": 1000 * used / max(1, frames),
        "effort": status.effort,
        "stages": stages,
        "engine": status.engine,
    }


def make_clip(path):
    """Write the sample as a webcam would send it: 1280x720, JPEG for each frame."""
    reader = cv2.VideoCapture(str(CLIP))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    while True:
        is_read, pixels = reader.read()
        if not is_read:
            break
        writer.write(cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
    writer.release()


def run(command):
    """Run a measurement in a process of its own; its last line holds the figures."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def median(runs):
    numbers = {}
    for _, key, _ in COLUMNS:
        numbers[key] = statistics.median(run[key] for run in runs)
    return numbers


def show(results):
    print("| | " + " | ".join(title for title, _, _ in COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name, runs in results.items():
        numbers = median(runs)
        for key in ("delay_p50", "delay_p95"):
            numbers[key] *= 1000
        cells = [form.format(numbers[key]) for _, key, form in COLUMNS]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()
    for name, runs in results.items():
        if name != USUAL:
            efforts = ", then ".join(dict.fromkeys(run["effort"] for run in runs))
            print(f"{name}: {efforts}, {runs[-1]['engine']}; busy milliseconds a frame:")
            stages = runs[0]["stages"]
            middle = {s: statistics.median(run["stages"][s] for run in runs) for s in stages}
            print("  " + ", ".join(f"{stage} {took:.1f}" for stage, took in middle.items()))
    if USUAL in results:
        usual = median(results[USUAL])
        for name, runs in results.items():
            if name != USUAL:
                ours = median(runs)
                ratios = [
                    f"{title} {usual[key] / ours[key]:.1f}x"
                    for title, key, _ in COLUMNS
                    if key in ("delay_p50", "delay_p95", "cpu_ms")
                ]
                print(f"usual loop over {name}: {', '.join(ratios)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--usual", help="Python with mediapipe 0.10.21")
    parser.add_argument("--presets", default="fast,balanced")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--max-cpu", type=float, help="cores")
    parser.add_argument(
        "--source",
        choices=("jpeg", "memory"),
        default="jpeg",
        help="jpeg decodes each frame as with a webcam; memory leaves decoding out",
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--clip", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        in_memory = asked.source == "memory"
        figures = measure(
            asked.child, asked.clip, asked.seconds, in_memory=in_memory, max_cpu=asked.max_cpu
        )
        print(json.dumps(figures))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = str(Path(folder) / "clip.avi")
        make_clip(clip)
        common = ["--clip", clip, "--seconds", str(asked.seconds), "--source", asked.source]
        if asked.max_cpu:
            common += ["--max-cpu", str(asked.max_cpu)]
        for _ in range(asked.runs):
            for preset in asked.presets.split(","):
                command = [sys.executable, __file__, "--child", preset, *common]
                results.setdefault(preset, []).append(run(command))
            if asked.usual:
                script = str(HERE / "live_usual_way.py")
                command = [asked.usual, script, clip, str(asked.seconds), asked.source]
                results.setdefault(USUAL, []).append(run(command))
    show(results)


if __name__ == "__main__":
    main()
