"""Measure which numbers a network's convolutions are shown, so that engines can round them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from humanseg.errors import TrainingDataError
from humanseg.models import registry
from humanseg.models.ensemble import fuse_batch_norm
from humanseg.models.quantized import Ranges, dense_convolutions
from humanseg_training.config import DataSet
from humanseg_training.data import list_pairs
from humanseg_training.ensemble_fit import held_out_pictures

PICTURES = 10
"""Of each set; more of them widen the ranges, and so coarsen the rounding, for a few odd pixels."""


def calibrate(
    name: str,
    root: Path,
    data: Sequence[DataSet],
    *,
    holdout: int,
    folder: Path = registry.WEIGHTS_FOLDER,
) -> Ranges:
    """Measure the ranges of a network on the first held-out pictures of its training sets.

    Args:
        name: of the weights.
        root: folder of all data.
        data: sets the network was trained on.
        holdout: the network's own `holdout`: every so many-th picture was kept out.
        folder: of the weights.

    Raises:
        TrainingDataError: a set is missing, or nothing is held out.
        WeightsError: weights are missing or damaged.
    """
    network = fuse_batch_norm(registry.load(name, folder)).eval()
    seen = {key: _Ends(module) for key, module in dense_convolutions(network).items()}
    pictures = 0
    with torch.no_grad():
        for item in data:
            held_out = held_out_pictures(list_pairs(root, item), holdout)
            for batch, _ in islice(held_out, PICTURES):
                network(batch)
                pictures += 1
    if not pictures:
        raise TrainingDataError("holds no pictures that were kept out of training", subject=root)
    return {key: (round(ends.low, 4), round(ends.high, 4)) for key, ends in seen.items()}


class _Ends:
    """Remembers the smallest and the largest number that a convolution was shown."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        self.low, self.high = float("inf"), float("-inf")
        convolution.register_forward_pre_hook(self._look)

    def _look(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        low, high = torch.aminmax(inputs[0])
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
