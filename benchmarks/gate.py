"""What it saves, and what it harms, to leave the networks out while nothing moves.

`python benchmarks/gate.py [STILLS] [--truths FOLDER] [--clips N] [--preset NAME] [--frames N]`:
clips of somebody still, somebody talking (a small sway and a mouth that opens), somebody turning
the head, and somebody waving, made from the sample's first frame, or from each picture in the
folder STILLS with the mask of the same stem in FOLDER; noise, exposure and compression are a
webcam's. Walking is the sample itself, at 30 frames a second. Each clip goes through gate,
networks, smoothing and edges once with the gate and once without.
"""

import argparse
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from humanseg.frames import Frame
from humanseg.gate import NO_GATE, GateOptions, MotionGate
from humanseg.metrics import boundary_f, dice, temporal_error
from humanseg.pixels import resize
from humanseg.refine import Refiner
from humanseg.segmenter import Segmenter
from humanseg.settings import find_preset
from humanseg.sources.images import read_image
from humanseg.sources.video_file import VideoFileSource
from humanseg.temporal import TemporalSmoother
from humanseg_training.clips import KINDS, RATE, Degradation, Shot, Still, make_clip

SAMPLES = Path(__file__).parent.parent / "samples"
LONGER_SIDE = 640
MADE = ("still", "talking", "head turn", "hand wave")
QUIET = Degradation(exposure=0.01, noise=2.0, quality=85)
"""A camera in good light; `--noisy` takes the one that steadiness is measured with."""
MOUTH = (0.30, 0.06, 0.03)
"""Of a talking person: where the mouth is from the top of the alpha, and its half axes, as shares
of the alpha's height."""


@dataclass(frozen=True)
class Clip:
    name: str
    kind: str
    frames: list
    truths: list


@dataclass
class Run:
    alphas: list
    seconds: float
    left_out: int


def talking(still, frames, degradation, seed):
    """The still clip, with a dark mouth that opens three times a second."""
    rows, columns = np.nonzero(still.alpha > 0.5)
    tall = int(np.ptp(rows)) + 1
    upper = columns[rows < rows.min() + MOUTH[0] * tall]
    place = (int(np.median(upper)), int(rows.min() + MOUTH[0] * tall))
    for index in range(frames):
        open_by = abs(np.sin(np.pi * 3 * index / RATE))
        axes = (max(1, round(MOUTH[1] * tall)), round(MOUTH[2] * tall * open_by))
        pixels = still.pixels.copy()
        cv2.ellipse(pixels, place, axes, 0, 0, 360, (40, 30, 70), cv2.FILLED, cv2.LINE_AA)
        [shot] = make_clip(
            replace(still, pixels=pixels),
            "still",
            frames=1,
            seed=seed + index,
            degradation=degradation,
        )
        yield Shot(shot.pixels, shot.truth)


def made_clips(still, frames, degradation, seed):
    for kind in MADE:
        if kind == "talking":
            shots = list(talking(still, frames, degradation, 1000 * (seed + 1)))
        else:
            assert kind in KINDS
            shots = list(make_clip(still, kind, frames=frames, seed=seed, degradation=degradation))
        numbered = [Frame(shot.pixels, i, Fraction(i, RATE)) for i, shot in enumerate(shots)]
        yield Clip(still.name, kind, numbered, [shot.truth for shot in shots])


def sized(pixels, alpha, name):
    scale = LONGER_SIDE / max(alpha.shape)
    size = (round(alpha.shape[0] * scale), round(alpha.shape[1] * scale))
    truth = resize(alpha.astype(np.float32), *size) / np.float32(255)
    return Still(name, np.ascontiguousarray(resize(pixels[..., :3], *size)), truth)


def sample(frames):
    """The sample and its exact alpha, half size."""
    with (
        VideoFileSource(SAMPLES / "walk.mp4") as clip,
        VideoFileSource(SAMPLES / "alpha" / "walk.mkv") as exact,
    ):
        pairs = [
            (frame, alpha.pixels[..., 0].copy())
            for frame, alpha, _ in zip(clip, exact, range(frames or 10**9), strict=False)
        ]
    stills = [sized(frame.pixels, alpha, "sample") for frame, alpha in pairs]
    numbered = [Frame(still.pixels, i, Fraction(i, RATE)) for i, still in enumerate(stills)]
    return Clip("sample", "walking", numbered, [still.alpha for still in stills])


def stills(folder, truths, count):
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    for path in paths[:: max(1, len(paths) // count)][:count]:
        [truth] = truths.glob(f"{path.stem}.*")
        mask = cv2.imread(str(truth), cv2.IMREAD_GRAYSCALE)
        yield sized(read_image(path), mask, path.stem)


def run(clip, segmenter, preset, gate_options):
    """All frames, one by one as live; the processor's time is that of gate and networks."""
    settings = find_preset(preset)
    gate = MotionGate(gate_options)
    smoother = TemporalSmoother(replace(settings.smoothing, look_ahead=0))
    refiner = Refiner(settings.refine)
    alphas, seconds = [], 0.0
    for frame in clip.frames:
        began = time.process_time()
        [mask] = gate.masks([frame], segmenter.masks)
        seconds += time.process_time() - began
        alphas.append(refiner.refine(frame.pixels, smoother.update(frame, mask)))
    return Run(alphas, seconds, gate.skipped)


def temporal(alphas, truths):
    steps = [
        temporal_error(alphas[i - 1], alphas[i], truths[i - 1], truths[i])
        for i in range(1, len(alphas))
    ]
    return float(np.sqrt(np.mean(np.square(steps))))


def figures(clip, gated, ungated):
    """The row of one clip."""
    count = len(clip.frames)
    pairs = list(zip(gated.alphas, ungated.alphas, clip.truths, strict=True))
    alike = [dice(one > 0.5, other > 0.5) for one, other, _ in pairs]
    with_gate = [dice(one > 0.5, truth > 0.5) for one, _, truth in pairs]
    without = [dice(other > 0.5, truth > 0.5) for _, other, truth in pairs]
    edges = [
        boundary_f(one > 0.5, truth > 0.5) - boundary_f(other > 0.5, truth > 0.5)
        for one, other, truth in pairs
    ]
    return (
        gated.left_out / count,
        (ungated.seconds - gated.seconds) / count * 1000,
        (ungated.seconds - gated.seconds) / ungated.seconds,
        np.mean(alike),
        np.min(alike),
        np.mean(without),
        np.mean(with_gate) - np.mean(without),
        np.mean(edges),
        temporal(gated.alphas, clip.truths) - temporal(ungated.alphas, clip.truths),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stills", type=Path, nargs="?")
    parser.add_argument("--truths", type=Path)
    parser.add_argument("--clips", type=int, default=4, help="stills taken from the folder")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--noisy", action="store_true", help="the camera of bench --stability")
    chosen = parser.parse_args()
    if (chosen.stills is None) != (chosen.truths is None):
        parser.error("a folder of stills needs --truths, and the other way round")
    walking = sample(frames=None)
    # The sample's first frame, unless others are given.
    taken = [Still("sample", walking.frames[0].pixels, walking.truths[0])]
    if chosen.stills:
        taken = list(stills(chosen.stills, chosen.truths, chosen.clips))
    degradation = Degradation() if chosen.noisy else QUIET
    rows = {}
    with Segmenter(chosen.preset, device="cpu", engine=chosen.engine, threads=1) as segmenter:

        def judge(clip):
            # Graphs are compiled at the first picture of a size.
            segmenter.masks(clip.frames[:1])
            gated = run(clip, segmenter, chosen.preset, GateOptions())
            ungated = run(clip, segmenter, chosen.preset, NO_GATE)
            rows.setdefault(clip.kind, []).append(figures(clip, gated, ungated))

        for number, still in enumerate(taken):
            for clip in made_clips(still, chosen.frames, degradation, number):
                judge(clip)
        judge(walking)
    titles = ("left out", "ms saved", "saved", "as ungated", "least", "Dice", "change")
    titles += ("F change", "dt change")
    print(f"{'means':10}" + "".join(f"{title:>12}" for title in titles))
    for kind, found in rows.items():
        left, spared, share, alike, least, score, change, edges, steps = np.mean(found, axis=0)
        print(
            f"{kind:10}{left:12.0%}{spared:12.2f}{share:12.0%}{alike:12.4f}{least:12.4f}"
            f"{score:12.4f}{change:+12.4f}{edges:+12.4f}{steps:+12.2f}"
        )
    print(
        "left out: share of frames that the networks did not see; ms saved: time of the processor\n"
        "in gate and networks, a frame; as ungated: Dice of the masks with the gate against those\n"
        "without, mean and least; Dice: without the gate, against the truth; changes: by the gate."
    )


if __name__ == "__main__":
    main()
