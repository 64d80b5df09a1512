"""What each post-processing module brings, measured on pictures with masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from humanseg.models import registry
from humanseg.models.ensemble import Ensemble
from humanseg_training.evaluate import Scores, Truths, score
from humanseg_training.mask_tuner import load_tuner
from humanseg_training.postprocess import MirrorAverage, SizeAverage, SoftErosion
from humanseg_training.predict import predictor

BEHIND: tuple[tuple[str, Callable[[nn.Module], nn.Module]], ...] = (
    ("mirror image averaged", MirrorAverage),
    ("three sizes averaged", SizeAverage),
    ("mirror image and three sizes averaged", lambda network: SizeAverage(MirrorAverage(network))),
    ("soft erosion", SoftErosion),
)
"""What is put behind the ensemble, one at a time."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Scores of a way to predict, beside those of the way it is compared with.

    Attributes:
        name: of the way.
        scores: of it.
        before: of the other; None for what all others are compared with.
    """

    name: str
    scores: Scores
    before: Scores | None = None

    def of(self, score: str) -> str:
        """By how much a score ("dice", ...) rose, with its sign; empty for the first."""
        if self.before is None:
            return ""
        return f"{getattr(self.scores, score) - getattr(self.before, score):+.4f}"


def measure_gains(
    names: Sequence[str], truths: Truths, *, folder: Path, tuner: Path | None = None
) -> list[Gain]:
    """Score networks alone, together, and with each post-processing module behind them.

    Args:
        names: of the weights.
        truths: pictures with masks.
        folder: of the weights.
        tuner: file of a mask tuner that was trained behind these weights.

    Returns:
        First the plain mean of the networks (or the one there is), with which all are compared.

    Raises:
        WeightsError: weights, shares or tuner are missing or damaged.
    """
    networks = [registry.load(name, folder) for name in names]

    def scores(network: nn.Module) -> Scores:
        return score(truths, predictor(network))

    whole: nn.Module = networks[0] if len(names) == 1 else Ensemble(networks)
    first = scores(whole)
    gains = [Gain(names[0] if len(names) == 1 else "plain mean of the networks", first)]
    if len(names) > 1:
        for name, network in zip(names, networks, strict=True):
            gains.append(Gain(f"{name} alone", scores(network), first))
        if set(registry.read_shares(folder)) == set(names):
            whole = registry.load_ensemble(names, folder)
            gains.append(Gain("fitted linear combination", scores(whole), first))
    combined = " of that" if len(gains) > 1 else ""
    for name, behind in BEHIND:
        gains.append(Gain(name + combined, scores(behind(whole)), first))
    if tuner is not None:
        tuned = load_tuner(tuner, whole, names, folder)
        gains.append(Gain("mask tuner" + combined, scores(tuned), first))
    return gains
