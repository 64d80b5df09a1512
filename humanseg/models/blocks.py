"""Building blocks that more than one network uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and spread of RGB 0..1 over ImageNet, the field's usual normalisation."""


class Normalize(nn.Module):
    """Shift and scale RGB 0..1 to zero mean; inside the network so that no engine can disagree."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


def enlarge_bilinear(features: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, c, h, w) -> (N, c, *size), pixel centres kept in place."""
    return nn.functional.interpolate(features, size=size, mode="bilinear", align_corners=False)


class Enlarge(nn.Module):
    """Bilinear enlargement to the size of another tensor."""

    enlarge: Callable[[Tensor, tuple[int, int]], Tensor] = staticmethod(enlarge_bilinear)
    """Training puts one with a quicker gradient here."""

    def forward(self, features: Tensor, like: Tensor) -> Tensor:
        return self.enlarge(features, (like.shape[-2], like.shape[-1]))


class ConvNormRelu(nn.Sequential):
    """Convolution, batch norm, ReLU; keeps the size at stride 1."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.Conv2d(
                in_channels, out_channels, kernel, stride, padding, dilation=dilation, bias=False
            ),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class Pointwise(nn.Conv2d):
    """1x1 convolution of every `step`-th pixel; the same as one with that stride.

    oneDNN's gradient of a stride of 2 writes beyond its memory where channels come last, there are
    fewer than 16, and the processor has AVX-512 (torch 2.13).
    """

    def __init__(self, in_channels: int, out_channels: int, step: int) -> None:
        super().__init__(in_channels, out_channels, 1, bias=False)
        self.step = step

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input[..., :: self.step, :: self.step])


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Source: He et al., "Deep Residual Learning", arXiv:1512.03385, the basic block.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNormRelu(in_channels, out_channels, stride=stride),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                Pointwise(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels)
            )

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.body(features) + self.shortcut(features))
