"""How steady masks are, and how good, on clips whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from humanseg.metrics import boundary_f, dice, temporal_error
from humanseg.pixels import resize
from humanseg_training.clips import Shot

if TYPE_CHECKING:
    from humanseg.frames import Alpha

LONGER_SIDE = 640
"""Of the clips made from stills, in pixels."""

SCORED_SIDE = 320
"""Longer side at which contours are compared, with the tolerance of `metrics.boundary_f`."""

BATCH = 4

SAMPLE_KIND = "sample"

TREATMENTS = ("single", "smoothed", "look-ahead", "gated")
"""Each mask for itself; as in a live picture; as in a file; and with the motion gate, too."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Scores of one treatment on one clip, or means over several.

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


@dataclass(frozen=True, slots=True)
class ClipScore:
    """Figures of one clip, by treatment."""

    name: str
    kind: str
    figures: Mapping[str, Figures]


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
        self._boundary.append(_contours_agree(alpha, truth, SCORED_SIDE / max(truth.shape)))
        if shot.fast is not None:
            scale = SCORED_SIDE / max(truth.shape)
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
