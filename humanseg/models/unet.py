"""VanillaUNet: the contracting and expanding path of Ronneberger et al."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from humanseg.models.blocks import ConvNormRelu, Normalize

LEVELS = 4


def double_convolution(in_channels: int, out_channels: int) -> nn.Module:
    """Two 3x3 convolutions with batch norm and ReLU: one level of the plain U-Net."""
    return nn.Sequential(
        ConvNormRelu(in_channels, out_channels), ConvNormRelu(out_channels, out_channels)
    )


class UNetBody(nn.Module):
    """The U shape itself; `make_block(in_channels, out_channels)` gives the block of a level.

    (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits; h and w multiples of 16.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(LEVELS + 1)]
        self.normalize = Normalize()
        self.down = nn.ModuleList(
            self.make_block(before, after)
            for before, after in zip([3, *channels], channels, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, here, 2, stride=2)
            for below, here in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.merge = nn.ModuleList(self.make_block(2 * here, here) for here in channels[-2::-1])
        self.head = nn.Conv2d(width, 1, 1)

    def make_block(self, in_channels: int, out_channels: int) -> nn.Module:
        return double_convolution(in_channels, out_channels)

    def forward(self, image: Tensor) -> Tensor:
        features = self.normalize(image)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            if level > 0:
                features = nn.functional.max_pool2d(features, 2)
            features = block(features)
            skips.append(features)
        skips.pop()
        for enlarge, block in zip(self.up, self.merge, strict=True):
            features = block(torch.cat([skips.pop(), enlarge(features)], dim=1))
        logits: Tensor = self.head(features)
        return logits


class VanillaUNet(UNetBody):
    """U-Net with two 3x3 convolutions a level and four levels below the first.

    `width` is the number of channels of the first level (64 in the paper).

    Source: Ronneberger, Fischer, Brox, "U-Net", arXiv:1505.04597, with padded convolutions and
    batch norm.
    """
