"""What a frame costs by its size: the networks the same, all else by its pixels; and memory.

`python benchmarks/sizes.py [--preset NAME] [--sizes WxH,...] [--frames N] [--runs N]`. "network"
and "the rest" are the processor's time of each stage alone (see stages.py), without decoding and
encoding; "run" is a whole file in a process of its own, in turns with plain decoding and encoding.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from stages import CODEC, STAGES, make_clip, measure, parse_size

SIZES = "640x360,1280x720,1920x1080,2560x1440,3840x2160"


def run(kind, clip, target, engine):
    job = {"kind": kind, "source": str(clip), "target": str(target)}
    job |= {"device": "cpu", "engine": engine, "threads": None}
    command = [sys.executable, "-m", "humanseg_cli.bench_child", json.dumps(job)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if "error" in found:
        raise SystemExit(f"{kind}: {found['error']['what']}")
    return found


def whole_runs(preset, size, frames, runs, engine):
    """Milliseconds a frame, times the codec's, and the peak in MB; medians."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(folder, size, frames)
        for number in range(runs):
            codec, ours = (
                run(kind, clip, Path(folder) / f"{kind}-{number}.mp4", engine)
                for kind in ("codec", preset)
            )
            spent = ours["seconds"] / ours["frames"] * 1000
            found.append((spent, ours["seconds"] / codec["seconds"], ours["peak_megabytes"]))
    return [statistics.median(column) for column in zip(*found, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--engine", default="auto")
    chosen = parser.parse_args()
    sizes = [parse_size(text) for text in chosen.sizes.split(",")]
    pixels, networks, rests = [], [], []
    titles = ("network", "the rest", "a Mpixel", "codec alone", "run", "x codec", "peak MB")
    print(f"{chosen.preset:12}" + "".join(f"{title:>12}" for title in titles))
    for size in sizes:
        stages = measure(chosen.preset, size, chosen.frames, chosen.runs, chosen.engine)
        spent, ratio, peak = whole_runs(
            chosen.preset, size, chosen.frames, chosen.runs, chosen.engine
        )
        pixels.append(size[0] * size[1] / 1e6)
        networks.append(stages["network"])
        rests.append(sum(stages[name] for name in STAGES if name not in (*CODEC, "network")))
        codec = sum(stages[name] for name in CODEC)
        each = (networks[-1], rests[-1], rests[-1] / pixels[-1], codec, spent, ratio)
        cells = "".join(f"{value:12.2f}" for value in each)
        print(f"{size[0]}x{size[1]:<7}{cells}{peak:12.0f}", flush=True)
    print(f"the network, dearest over cheapest size: {max(networks) / min(networks):.2f}")
    if len(sizes) > 1:
        slope, start = np.polyfit(pixels, rests, 1)
        apart = np.corrcoef(pixels, rests)[0, 1] ** 2
        print(f"the rest: {start:.1f} ms + {slope:.2f} ms a megapixel, R2 {apart:.3f}")


if __name__ == "__main__":
    main()
