"""HRNet: parallel resolutions that exchange what they see."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from humanseg.models.blocks import ConvNormRelu, Normalize, ResidualBlock

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
    return nn.functional.interpolate(
        features, size=like.shape[-2:], mode="bilinear", align_corners=False
    )


class Exchange(nn.Module):
    """Every branch receives the sum of all branches, brought to its size and channels."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.ModuleList(
                self._path(channels[source], channels[target], target - source)
                for source in range(len(channels))
            )
            for target in range(len(channels))
        )

    @staticmethod
    def _path(in_channels: int, out_channels: int, halvings: int) -> nn.Module:
        if halvings == 0:
            return nn.Identity()
        if halvings < 0:
            return _project(in_channels, out_channels)
        return _shrink(in_channels, out_channels, halvings)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        fused: list[Tensor] = []
        for target, paths in enumerate(self.paths):
            total = branches[target]
            for source, path in enumerate(paths):  # type: ignore[arg-type]
                if source > target:
                    total = total + _enlarge(path(branches[source]), branches[target])
                elif source < target:
                    total = total + path(branches[source])
            fused.append(torch.relu(total))
        return fused


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
            ConvNormRelu(before, after, stride=2)
            for before, after in zip(channels, channels[1:], strict=False)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(*(ResidualBlock(count, count) for _ in range(BLOCKS)))
                for count in channels[: stage + 2]
            )
            for stage in range(BRANCHES - 1)
        )
        self.exchanges = nn.ModuleList(
            Exchange(channels[: stage + 2]) for stage in range(BRANCHES - 1)
        )
        self.gather = nn.ModuleList(_project(count, width) for count in channels)
        self.mix = ConvNormRelu(width, width // 2, 1)
        self.head = nn.Sequential(ConvNormRelu(width, width // 2), nn.Conv2d(width // 2, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        fine = self.stem(self.normalize(image))
        branches = [self.entry(fine)]
        for widen, stage, exchange in zip(self.widen, self.stages, self.exchanges, strict=True):
            branches.append(widen(branches[-1]))
            branches = [
                block(branch)
                for block, branch in zip(stage, branches, strict=True)  # type: ignore[arg-type]
            ]
            branches = exchange(branches)
        gathered = self.gather[0](branches[0])
        for project, branch in zip(self.gather[1:], branches[1:], strict=True):
            gathered = gathered + _enlarge(project(branch), branches[0])
        coarse = _enlarge(self.mix(torch.relu(gathered)), fine)
        logits: Tensor = self.head(torch.cat([fine, coarse], dim=1))
        return logits
