"""What each post-processing module brings, measured on pictures with masks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from humanseg.models import registry
from humanseg.models.ensemble import Ensemble, fuse_batch_norm
from humanseg_training.evaluate import Scores, Tally, Truths
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
    halved = registry.read_halved(names, folder)
    networks = [_Remembering(net) for net in registry.load_members(names, halved, folder)]
    single = len(names) == 1
    whole: nn.Module = networks[0] if single else Ensemble(networks)
    ways: dict[str, nn.Module] = {names[0] if single else "plain mean of the networks": whole}
    if not single:
        ways |= {f"{name} alone": net for name, net in zip(names, networks, strict=True)}
        shares = registry.read_shares(folder)
        if set(shares) == set(names):
            whole = Ensemble(networks, [shares[name] for name in names])
            ways["fitted linear combination"] = whole
    combined = "" if single else " of that"
    ways |= {name + combined: behind(whole) for name, behind in BEHIND}
    if tuner is not None:
        ways["mask tuner" + combined] = load_tuner(tuner, whole, names, folder)
    first, *others = _score_all(ways, networks, truths).items()
    return [Gain(*first), *(Gain(name, scores, first[1]) for name, scores in others)]


def _score_all(
    ways: Mapping[str, nn.Module], networks: Sequence[_Remembering], truths: Truths
) -> dict[str, Scores]:
    """Score all ways picture by picture, so that no network sees the same picture twice."""
    predictors = {name: predictor(way) for name, way in ways.items()}
    tallies = {name: Tally() for name in ways}
    for name, image, mask in zip(truths.names, truths.images, truths.masks, strict=True):
        for network in networks:
            network.forget()
        for way, predict in predictors.items():
            tallies[way].add(name, predict([image])[0], mask)
    return {way: tally.scores() for way, tally in tallies.items()}


class _Remembering(nn.Module):
    """A network that answers at once when it is shown the same input again."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        fused = fuse_batch_norm(network)
        self.network: nn.Module = fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._answers: dict[tuple[torch.Size, int], Tensor] = {}

    def forward(self, image: Tensor) -> Tensor:
        key = (image.shape, zlib.crc32(image.contiguous().numpy().tobytes()))
        if key not in self._answers:
            self._answers[key] = self.network(image.contiguous(memory_format=torch.channels_last))
        return self._answers[key]

    def forget(self) -> None:
        self._answers.clear()
