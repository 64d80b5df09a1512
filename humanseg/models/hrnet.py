"""HRNet: parallel resolutions that exchange what they see."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from humanseg.models.blocks import ConvNormRelu, Normalize, ResidualBlock, enlarge_bilinear

BRANCHES = 4
BLOCKS = 2
"""Residual blocks of each branch between two exchanges (four in the paper)."""


def _project(in_channels: int, out_channels: int) -> nn.Sequential:
    """1x1 convolution with batch norm, for features that are enlarged afterwards."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
    )


def _shrink(in_channels: int, out_channels: int, times: int) -> nn.Sequential:
    """`times` halvings by strided 3x3 convolutions; no ReLU after the last."""
    layers: list[nn.Module] = [
        ConvNormRelu(in_channels, in_channels, stride=2) for _ in range(times - 1)
    ]
    layers.append(nn.Conv2d(in_channels, out_channels, 3, 2, 1, bias=False))
    layers.append(nn.BatchNorm2d(out_channels))
    return nn.Sequential(*layers)


def _enlarge(features: Tensor, like: Tensor) -> Tensor:
    return enlarge_bilinear(features, (like.shape[-2], like.shape[-1]))


class Arrival(nn.Module):
    """What one branch receives: the sum of all branches, brought to its size and channels."""

    def __init__(self, channels: list[int], target: int) -> None:
        super().__init__()
        self.target = target
        self.paths = nn.ModuleList(
            _path(count, channels[target], target - source) for source, count in enumerate(channels)
        )

    def forward(self, branches: list[Tensor]) -> Tensor:
        own = branches[self.target]
        total = own
        for source, (path, branch) in enumerate(zip(self.paths, branches, strict=True)):
            if source > self.target:
                total = total + _enlarge(path(branch), own)
            elif source < self.target:
                total = total + path(branch)
        return torch.relu(total)


def _path(in_channels: int, out_channels: int, halvings: int) -> nn.Module:
    if halvings == 0:
        return nn.Identity()
    if halvings < 0:
        return _project(in_channels, out_channels)
    return _shrink(in_channels, out_channels, halvings)


class Stage(nn.Module):
    """Residual blocks in every branch, then an exchange between all of them."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(count, count) for _ in range(BLOCKS)))
            for count in channels
        )
        self.exchange = nn.ModuleList(Arrival(channels, target) for target in range(len(channels)))

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        branches = [block(branch) for block, branch in zip(self.blocks, branches, strict=True)]
        return [arrive(branches) for arrive in self.exchange]


class HRNet(nn.Module):
    """High-resolution network for small inputs: branches at 1/2, 1/4, 1/8 and 1/16.

    (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits; h and w multiples of 16. `width` is the number
    of channels of the finest branch. The head joins all branches with the full-resolution stem
    and ends in a plain convolution, so that logits may be of either sign.

    Source: Wang et al., "Deep High-Resolution Representation Learning", arXiv:1908.07919, V2 head;
    the paper's finest branch is at 1/4, too coarse for an input of 192x144.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width * 2**branch for branch in range(BRANCHES)]
        self.normalize = Normalize()
        self.stem = ConvNormRelu(3, width // 2)
        self.entry = nn.Sequential(
            ConvNormRelu(width // 2, width, stride=2), ResidualBlock(width, width)
        )
        self.widen = nn.ModuleList(
            ConvNormRelu(before, after, stride=2) for before, after in pairwise(channels)
        )
        self.stages = nn.ModuleList(
            Stage(channels[:branches]) for branches in range(2, BRANCHES + 1)
        )
        self.gather = nn.ModuleList(_project(count, width) for count in channels)
        self.mix = ConvNormRelu(width, width // 2, 1)
        self.head = nn.Sequential(ConvNormRelu(width, width // 2), nn.Conv2d(width // 2, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        fine = self.stem(self.normalize(image))
        branches = [self.entry(fine)]
        for widen, stage in zip(self.widen, self.stages, strict=True):
            branches.append(widen(branches[-1]))
            branches = stage(branches)
        gathered = self.gather[0](branches[0])
        for project, branch in zip(self.gather[1:], branches[1:], strict=True):
            gathered = gathered + _enlarge(project(branch), branches[0])
        coarse = _enlarge(self.mix(torch.relu(gathered)), fine)
        logits: Tensor = self.head(torch.cat([fine, coarse], dim=1))
        return logits
