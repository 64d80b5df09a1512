"""How steady masks are, and how good, on clips whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from humanseg.frames import Frame
from humanseg.gate import GateOptions, MotionGate
from humanseg.metrics import boundary_f, dice, temporal_error
from humanseg.pixels import resize, within
from humanseg.refine import Refiner
from humanseg.settings import find_preset
from humanseg.sources.video_file import VideoFileSource
from humanseg.temporal import SmoothingOptions, TemporalSmoother
from humanseg_training.clips import KINDS, RATE, Shot, Still, make_clip
from humanseg_training.config import DataSet
from humanseg_training.data import list_pairs, read_pair

if TYPE_CHECKING:
    from pathlib import Path

    from humanseg.frames import Alpha, Image, Mask
    from humanseg.segmenter import Segmenter

LONGER_SIDE = 640
"""Of the clips, in pixels."""

SCORED_SIDE = 320
"""Longer side at which contours are compared, with the tolerance of `metrics.boundary_f`."""

SAMPLE = "sample"
"""Kind of the clip that is filmed, not made from a still."""

FRAMES = 40
"""In a clip."""

BATCH = 4

SAMPLE_BEGIN = 66
"""First frame of the stretch of the sample that is scored: leaning back, then out of the frame."""

STILLS = DataSet(images="mil/valid", masks="mil/valid_mask")


@dataclass(frozen=True, slots=True)
class Figures:
    """Scores of one treatment of the masks on one clip, or means over several.

    Attributes:
        dice: mean over the frames, at threshold 0.5.
        boundary_f: mean over the frames, see `metrics.boundary_f`.
        temporal_error: dt of the clip, see `metrics.temporal_error`.
        fast_boundary_f: boundary F in the part where something moves fast; None without one.
        inferred: share of the frames whose masks the networks made, 0..1.
    """

    dice: float
    boundary_f: float
    temporal_error: float
    fast_boundary_f: float | None = None
    inferred: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Frames with their truth, and the kind of motion in them."""

    name: str
    kind: str
    shots: Sequence[Shot]


def all_clips(root: Path | None, count: int, samples: Path | None) -> Iterator[Clip]:
    """The sample's clip, if there is one, then those made from stills, one at a time.

    Args:
        root: folder of all training data; None makes no clips.
        count: of clips to make.
        samples: folder of `sample_clip`, or None.

    Raises:
        TrainingDataError: the pictures are missing or unreadable.
        SourceError: the sample is.
    """
    if samples is not None:
        yield sample_clip(samples)
    if root is not None:
        for number in range(count):
            yield made_clip(root, number)


def made_clip(root: Path, number: int, *, frames: int = FRAMES) -> Clip:
    """The clip of a number: kinds of motion take turns, and every clip has a still of its own.

    Args:
        root: folder of all training data.
        number: 0, 1, 2 ...
        frames: length of the clip.

    Raises:
        TrainingDataError: the pictures are missing or unreadable.
    """
    pairs = list_pairs(root, STILLS)
    # A step that shares no divisor with their number visits all of them before it repeats one.
    pair = pairs[(number * _coprime(len(pairs))) % len(pairs)]
    image, mask = read_pair(pair)
    scale = LONGER_SIDE / max(mask.shape)
    size = (round(mask.shape[0] * scale), round(mask.shape[1] * scale))
    alpha = resize(mask.astype(np.float32), *size) / np.float32(255)
    pixels = np.ascontiguousarray(resize(image, *size)[..., ::-1])
    kind = list(KINDS)[number % len(KINDS)]
    still = Still(pair.image.stem, pixels, alpha)
    return Clip(pair.image.stem, kind, list(make_clip(still, kind, frames=frames, seed=number)))


def _coprime(count: int) -> int:
    step = max(1, round(0.382 * count))
    while np.gcd(step, count) != 1:
        step += 1
    return step


def sample_clip(folder: Path, *, frames: int = FRAMES) -> Clip:
    """A stretch of the project's own sample with its exact alpha.

    Args:
        folder: with walk.mp4 and alpha/walk.mkv.
        frames: length of the clip.

    Raises:
        SourceError: one of them is missing or unreadable.
    """
    wanted = range(SAMPLE_BEGIN, SAMPLE_BEGIN + frames)
    truths: dict[int, Alpha] = {}
    with VideoFileSource(folder / "alpha" / "walk.mkv") as source:
        for frame in source:
            if frame.index in wanted:
                truth = _shrunk(frame.pixels[..., 0])
                truths[frame.index] = truth.astype(np.float32) / np.float32(255)
    with VideoFileSource(folder / "walk.mp4") as source:
        shots = [
            Shot(_shrunk(frame.pixels), truths[frame.index])
            for frame in source
            if frame.index in wanted
        ]
    return Clip("walk", SAMPLE, shots)


def _shrunk(array: Image) -> Image:
    height, width = array.shape[:2]
    return resize(array, *within(height, width, (LONGER_SIDE, LONGER_SIDE)))


Treatment = Callable[[Sequence[Frame], Sequence["Mask"]], tuple[list["Mask"], float]]
"""Frames and the masks that the networks make of each -> masks to show, and the share of the
frames whose masks the networks had to make."""


def single(frames: Sequence[Frame], masks: Sequence[Mask]) -> tuple[list[Mask], float]:
    """Each mask for itself: what smoothing is compared with."""
    return list(masks), 1.0


def smoothed(options: SmoothingOptions) -> Treatment:
    """Masks smoothed over time, with the look-ahead of these options."""

    def treat(frames: Sequence[Frame], masks: Sequence[Mask]) -> tuple[list[Mask], float]:
        smoother = TemporalSmoother(options)
        ready = []
        for frame, mask in zip(frames, masks, strict=True):
            ready += smoother.push(frame, mask)
        ready += smoother.flush()
        return [mask for _, mask in ready], 1.0

    return treat


def gated(gate: GateOptions, then: Treatment) -> Treatment:
    """Masks that the networks make only where something moved, then treated further."""

    def treat(frames: Sequence[Frame], masks: Sequence[Mask]) -> tuple[list[Mask], float]:
        made = {frame.index: mask for frame, mask in zip(frames, masks, strict=True)}
        motion = MotionGate(gate)
        kept = motion.masks(frames, lambda moving: [made[frame.index] for frame in moving])
        shown, _ = then(frames, kept)
        return shown, 1 - motion.skipped / motion.frames

    return treat


def usual_treatments(preset: str) -> dict[str, Treatment]:
    """What the masks of a preset go through: nothing; live; in files; with the gate on top."""
    options = find_preset(preset)
    live = replace(options.smoothing, look_ahead=0)
    ahead = replace(options.smoothing, look_ahead=2)
    return {
        "single": single,
        "smoothed": smoothed(live),
        "look-ahead": smoothed(ahead),
        "gated": gated(GateOptions(), smoothed(live)),
    }


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of one treatment of a preset's masks on one clip."""

    preset: str
    treatment: str
    clip: str
    kind: str
    figures: Figures


def score(
    clip: Clip, preset: str, segmenter: Segmenter, treatments: Mapping[str, Treatment]
) -> Iterator[Score]:
    """Score treatments on one clip; the networks run once."""
    frames = [Frame(shot.pixels, i, Fraction(i, RATE)) for i, shot in enumerate(clip.shots)]
    masks: list[Mask] = []
    for begin in range(0, len(frames), BATCH):
        masks += segmenter.masks(frames[begin : begin + BATCH])
    refiner = Refiner(find_preset(preset).refine)
    for name, treat in treatments.items():
        shown, inferred = treat(frames, masks)
        tally = Tally()
        for frame, mask, shot in zip(frames, shown, clip.shots, strict=True):
            tally.add(refiner.refine(frame.pixels, mask), shot)
        yield Score(preset, name, clip.name, clip.kind, tally.figures(inferred))


def mean_figures(figures: Sequence[Figures]) -> Figures:
    """Means over clips; of the fast part over those that have one."""
    fast = [each.fast_boundary_f for each in figures if each.fast_boundary_f is not None]
    return Figures(
        float(np.mean([each.dice for each in figures])),
        float(np.mean([each.boundary_f for each in figures])),
        float(np.mean([each.temporal_error for each in figures])),
        float(np.mean(fast)) if fast else None,
        float(np.mean([each.inferred for each in figures])),
    )


class Tally:
    """Adds up the scores of one clip, frame by frame."""

    def __init__(self) -> None:
        self._dice: list[float] = []
        self._boundary: list[float] = []
        self._fast: list[float] = []
        self._steps: list[float] = []
        self._last: tuple[Alpha, Alpha] | None = None

    def add(self, alpha: Alpha, shot: Shot) -> None:
        """Score the alpha (H, W) of the next frame."""
        truth = shot.truth
        self._dice.append(dice(alpha > 0.5, truth > 0.5))
        scale = SCORED_SIDE / max(truth.shape)
        self._boundary.append(_contours_agree(alpha, truth, scale))
        if shot.fast is not None:
            self._fast.append(_contours_agree(alpha[shot.fast], truth[shot.fast], scale))
        if self._last is not None:
            self._steps.append(temporal_error(self._last[0], alpha, self._last[1], truth))
        self._last = (alpha, truth)

    def figures(self, inferred: float = 1.0) -> Figures:
        """The scores so far; at least two frames were added."""
        return Figures(
            float(np.mean(self._dice)),
            float(np.mean(self._boundary)),
            float(np.sqrt(np.mean(np.square(self._steps)))),
            float(np.mean(self._fast)) if self._fast else None,
            inferred,
        )


def _contours_agree(alpha: Alpha, truth: Alpha, scale: float) -> float:
    size = (round(alpha.shape[0] * scale), round(alpha.shape[1] * scale))
    return boundary_f(resize(alpha, *size) > 0.5, resize(truth, *size) > 0.5)
