"""Networks whose convolutions multiply 8-bit numbers, for engines that do so quickest."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from humanseg.models.ensemble import fuse_batch_norm

Ranges = Mapping[str, tuple[float, float]]
"""Name of a convolution -> the smallest and the largest number that it is shown."""

LEVELS = 255
"""Steps from the smallest to the largest number of a layer's input."""

WEIGHT_LEVELS = 63
"""Steps from zero to the largest weight of each output channel. One bit less than there is room
for: processors without VNNI add two products in 16 bits, which must not overflow."""

ROOM = 127
"""Steps that there is room for: by them an engine knows numbers of 8 bits."""


def dense_convolutions(network: nn.Module) -> dict[str, nn.Conv2d]:
    """The convolutions that are worth rounding, by name.

    Depthwise ones are not among them: their few products gain nothing, and some are edge filters,
    whose weights no longer add up to zero when each is rounded.
    """
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups == 1
    }


def quantize(network: nn.Module, ranges: Ranges) -> nn.Module:
    """Round what the named convolutions see to 8 bits, and their weights to 7; in place.

    Batch norms are folded first, so the network serves inference only. It still computes in
    floating point: an engine recognises the rounding and multiplies whole numbers instead.

    Args:
        network: in evaluation mode.
        ranges: of its `dense_convolutions`, or of some of them.

    Raises:
        ValueError: a range belongs to no convolution of this network.

    Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", arXiv:1712.05877; weights with a scale for each channel.
    """
    fuse_batch_norm(network)
    known = dense_convolutions(network)
    if unknown := sorted(set(ranges) - set(known)):
        raise ValueError(f"the network has no convolution '{unknown[0]}'")
    for name, (low, high) in ranges.items():
        holder, _, last = name.rpartition(".")
        setattr(network.get_submodule(holder), last, QuantizedConv(known[name], low, high))
    return network


class QuantizedConv(nn.Module):
    """A convolution of rounded numbers with rounded weights.

    (N, in, h, w) -> (N, out, h', w') as the convolution itself.
    """

    def __init__(self, convolution: nn.Conv2d, low: float, high: float) -> None:
        """Take over a convolution; `low` and `high` are the ends of what it is shown."""
        super().__init__()
        # Zero must be a level of its own: borders are padded with it.
        low, high = min(low, 0.0), max(high, 0.0)
        self._scale = max((high - low) / LEVELS, torch.finfo(torch.float32).eps)
        self._zero = round(-low / self._scale)
        nn.utils.parametrize.register_parametrization(convolution, "weight", _Rounded(convolution))
        self.convolution = convolution

    def forward(self, features: Tensor) -> Tensor:
        rounded = torch.fake_quantize_per_tensor_affine(
            features, self._scale, self._zero, 0, LEVELS
        )
        result: Tensor = self.convolution(rounded)
        return result


class _Rounded(nn.Module):
    """Weights (out, in, h, w) rounded to multiples of a scale for each output channel."""

    scale: Tensor
    zero: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        largest = convolution.weight.detach().abs().amax(dim=(1, 2, 3))
        scale = (largest / WEIGHT_LEVELS).clamp(min=torch.finfo(torch.float32).eps)
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros(len(scale), dtype=torch.int32))

    def forward(self, weight: Tensor) -> Tensor:
        return torch.fake_quantize_per_channel_affine(weight, self.scale, self.zero, 0, -ROOM, ROOM)
