"""A moving average of the weights, which scores better than the last step's."""

from __future__ import annotations

import copy

import torch
from torch import nn


class MovingAverage:
    """Exponential moving average of a network's parameters and batch-norm statistics.

    Source: Polyak and Juditsky 1992; the shorter memory at the start follows Tarvainen and
    Valpola, "Mean teachers", arXiv:1703.01780.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Blend in the network's weights after the step with this number, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        current = network.state_dict()
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name], 1 - decay)
            else:
                value.copy_(current[name])
