"""How steady masks are, beside the plain average of before and beside MediaPipe Selfie.

    python benchmarks/stability.py DATA --clips 18 --presets balanced [--rival PYTHON]

DATA is the folder of all training data, PYTHON that of an environment with mediapipe 0.10.21, which
sees the same clips and smooths as it does for video. `humanseg bench --stability` prints the same
without rivals and the plain average, kept here only: per pixel, heavy where nothing changes.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from masks import RIVALS

from humanseg.pixels import box_mean, grow, luma, resize
from humanseg_cli.bench_stability import SAMPLES, bench_stability
from humanseg_training.data import read_mask
from humanseg_training.stability import Tally, all_clips, mean_figures, usual_treatments

HERE = Path(__file__).parent

STILL_WEIGHT = 0.3
QUIET, MOVING, EXPOSURE, CUT = 0.015, 0.06, 0.08, 0.6


def averaged(frames, masks):
    """The smoothing of version 0.1: a moving average whose weight rises with change of luma."""
    shown = [masks[0]]
    lumas = [luma(resize(frame.pixels, *masks[0].shape)) for frame in frames]
    for before, now, mask in zip(lumas, lumas[1:], masks[1:], strict=False):
        change = now - before
        change = np.abs(change - np.clip(np.median(change[::4, ::4]), -EXPOSURE, EXPOSURE))
        if (change > MOVING).mean() > CUT:
            shown.append(mask)
            continue
        speed = np.clip((box_mean(change, 2) - QUIET) / (MOVING - QUIET), 0, 1)
        weight = STILL_WEIGHT + (1 - STILL_WEIGHT) * grow(speed, 1)
        shown.append((shown[-1] + weight * (mask - shown[-1])).astype(np.float32))
    return shown, 1.0


def treatments(preset):
    first, *others = usual_treatments(preset).items()
    return dict([first, ("average", averaged), *others])


def print_rivals(python, data, count):
    found = {name: [] for name in RIVALS}
    for clip in all_clips(data, count, SAMPLES):
        with tempfile.TemporaryDirectory() as folder:
            frames = Path(folder, "frames")
            frames.mkdir()
            for index, shot in enumerate(clip.shots):
                cv2.imwrite(str(frames / f"{index:04}.png"), shot.pixels)
            for name, model in RIVALS.items():
                found[name].append(rival_figures(python, frames, clip.shots, model))
    print(f"{'':28} {'Dice':>7} {'boundary F':>11} {'fast F':>7} {'dt':>6}")
    for name, figures in found.items():
        mean = mean_figures(figures)
        print(
            f"{name:28} {mean.dice:7.4f} {mean.boundary_f:11.3f} {mean.fast_boundary_f:7.3f}"
            f" {mean.temporal_error:6.2f}"
        )


def rival_figures(python, frames, shots, model):
    with tempfile.TemporaryDirectory() as target:
        script = str(HERE / "masks_usual_way.py")
        command = [python, script, str(frames), target, str(model), "--video"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        tally = Tally()
        for index, shot in enumerate(shots):
            tally.add(read_mask(Path(target, f"{index:04}.png")) / np.float32(255), shot)
        return tally.figures()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=18)
    parser.add_argument("--presets", default="fast,balanced,best")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rival", metavar="PYTHON")
    given = parser.parse_args()
    bench_stability(
        given.data,
        given.clips,
        given.presets.split(","),
        device="cpu",
        engine=given.engine,
        threads=None,
        as_json=given.json,
        treatments=treatments,
    )
    if given.rival:
        print_rivals(given.rival, given.data, given.clips)


if __name__ == "__main__":
    main()
