"""Golden frames of the sample clip: written by running this file, compared by test_golden.py.

Every golden picture is what the reference engine (torch, float32) makes of the sample today. Run it
when weights or methods change on purpose; it prints what moved, and the pictures are committed.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np

from humanseg.backgrounds import Blur, Color
from humanseg.composite import Compositor, grey
from humanseg.engines.torch_engine import TorchEngine
from humanseg.media.color import Coding
from humanseg.media.planar import PlanarFrame, planes_of
from humanseg.metrics import iou
from humanseg.models import registry
from humanseg.refine import Refiner
from humanseg.segmenter import Segmenter
from humanseg.settings import PRESETS
from humanseg.sinks.images import write_image
from humanseg.sources.images import read_image
from humanseg.sources.video_file import VideoFileSource
from humanseg.temporal import TemporalSmoother

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
SAMPLE = HERE.parent.parent / "samples" / "walk.mp4"
ALPHA = HERE.parent.parent / "samples" / "alpha" / "walk.mkv"

FRAMES = (0, 52, 85, 106)
"""Still, leaning in, moving with blur, half out of the picture."""

SMOOTHED = range(96, 107)
"""Frames of the stretch that shows smoothing; its last mask is golden."""

SIZE = (360, 640)
"""Goldens are kept at half size, (height, width): enough to see any change in."""


def sample_frames(path=SAMPLE):
    """The frames that goldens are made of, by index."""
    wanted = {*FRAMES, *SMOOTHED}
    with VideoFileSource(path) as source:
        return {frame.index: frame for frame in source if frame.index in wanted}


def reference_engine(preset):
    return TorchEngine(PRESETS[preset].models, device="cpu", threads=2, precision="f32")


def golden_pictures(preset, engine, frames):
    """Name -> picture (h, w) or (h, w, 3) at SIZE, as this engine makes it."""
    settings = PRESETS[preset]
    segmenter = Segmenter.from_engine(engine, areas=settings.areas)
    refiner = Refiner(settings.refine)
    pictures = {}
    masks = dict(zip(FRAMES, segmenter.masks([frames[i] for i in FRAMES]), strict=True))
    for index in FRAMES:
        alpha = refiner.refine(frames[index].pixels, masks[index])
        pictures[f"alpha-{index:03d}"] = small(grey(alpha))
    smoother = TemporalSmoother(settings.smoothing)
    for frame, mask in zip(
        [frames[i] for i in SMOOTHED],
        segmenter.masks([frames[i] for i in SMOOTHED]),
        strict=True,
    ):
        smoothed = smoother.update(frame, mask)
    pictures["smoothed"] = small(grey(refiner.refine(frame.pixels, smoothed)))
    if preset == "balanced":
        pictures |= composites(frames[FRAMES[1]], refiner.refine(frames[52].pixels, masks[52]))
    return pictures


def composites(frame, alpha):
    """One picture of each output and of each way to blend, of one frame, in BGR and in planes."""
    careful = PRESETS["balanced"].blend
    wrapped = dataclasses.replace(careful, light_wrap=0.6)
    green = Color((64, 177, 0))
    ways = {
        "composite-green": Compositor(green),
        "composite-green-careful": Compositor(green, options=careful),
        "composite-green-wrapped": Compositor(green, options=wrapped),
        "composite-blur": Compositor(Blur(), options=careful),
        "composite-blur-plain": Compositor(Blur()),
        "mask": Compositor(Blur(), "mask"),
        "alpha": Compositor(Blur(), "alpha", careful),
        "alpha-premultiplied": Compositor(Blur(), "alpha", careful, premultiplied=True),
        "foreground": Compositor(Blur(), "foreground", careful),
    }
    planes = planes_of(frame.pixels, Coding("bt709", "tv"))
    planar = PlanarFrame(planes, frame.index, frame.time)
    found = {name: small(way.compose(frame, alpha).pixels) for name, way in ways.items()}
    for name, way in ways.items():
        if name.startswith(("composite", "mask")):  # the others leave the planes
            found[f"planar-{name}"] = small(way.compose(planar, alpha).pixels)
    return found


def small(pixels):
    return cv2.resize(pixels, SIZE[::-1], interpolation=cv2.INTER_AREA)


def read_golden(path):
    """A golden picture as it was written: grey, BGR or BGRA."""
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def differences(golden, found):
    """IoU at half and mean absolute difference (0..1) of two pictures."""
    apart = float(np.abs(golden.astype(int) - found).mean() / 255)
    return iou(golden > 127, found > 127), apart


def facts():
    """What the goldens were made with."""
    return {
        "sample": hashlib.sha256(SAMPLE.read_bytes()).hexdigest(),
        "weights": {card.name: card.sha256 for card in registry.available()},
        "shares": registry.read_shares(),
    }


def main():
    frames = sample_frames()
    print(f"{'golden':32} {'IoU with the old':>18} {'mean difference':>16}")
    for preset in PRESETS:
        (GOLDEN / preset).mkdir(parents=True, exist_ok=True)
        with reference_engine(preset) as engine:
            pictures = golden_pictures(preset, engine, frames)
        for name, picture in pictures.items():
            path = GOLDEN / preset / f"{name}.png"
            told = "new"
            if path.exists():
                overlap, apart = differences(read_golden(path), picture)
                told = f"{overlap:18.4f} {apart:16.4f}"
            print(f"{preset + '/' + name:32} {told:>18}")
            write_image(path, picture, overwrite=True)
    (GOLDEN / "golden.json").write_text(json.dumps(facts(), indent=2) + "\n")
    assert read_image(GOLDEN / "balanced" / "alpha-000.png").shape[:2] == SIZE


if __name__ == "__main__":
    main()
