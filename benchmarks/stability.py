"""How steady masks are, beside the plain average of before.

    python benchmarks/stability.py DATA --clips 18 --presets balanced

DATA is the folder of all training data. `humanseg bench --stability` prints the same without the
plain average, which is kept here only: per pixel, heavy where the picture does not change.
"""

import argparse
from pathlib import Path

import numpy as np

from humanseg.pixels import box_mean, grow, luma, resize
from humanseg_cli.bench_stability import bench_stability
from humanseg_training.stability import usual_treatments

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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=18)
    parser.add_argument("--presets", default="fast,balanced,best")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--json", action="store_true")
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


if __name__ == "__main__":
    main()
