"""SDUNet: a U-Net whose blocks stack dilated convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from humanseg.models.blocks import ConvNormRelu
from humanseg.models.unet import UNetBody

DILATIONS = (1, 3, 6, 9, 12)
SHARES = (2, 4, 8, 16, 16)
"""Each convolution of the stack gives one part in so many of the block's channels."""


class StackedDilation(nn.Module):
    """One convolution and four dilated ones in a row; the outputs of all five are concatenated."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        if out_channels % SHARES[-1]:
            raise ValueError(
                f"a block of {out_channels} channels cannot be shared out in sixteenths: "
                "give SDUNet a width that is a multiple of 16"
            )
        parts = [out_channels // share for share in SHARES]
        self.stack = nn.ModuleList(
            ConvNormRelu(before, after, dilation=dilation)
            for before, after, dilation in zip(
                [in_channels, *parts], parts, DILATIONS, strict=False
            )
        )

    def forward(self, features: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for convolution in self.stack:
            features = convolution(features)
            outputs.append(features)
        return torch.cat(outputs, dim=1)


class SDUNet(UNetBody):
    """U-Net with stacked dilated convolutions: a wide view for few parameters.

    `width` is the number of channels of the first level; it must be a multiple of 16.

    Source: Wang et al., "SDU-Net: U-Net with Stacked Dilated Convolutions", arXiv:2004.03466.
    """

    def make_block(self, in_channels: int, out_channels: int) -> nn.Module:
        return StackedDilation(in_channels, out_channels)
