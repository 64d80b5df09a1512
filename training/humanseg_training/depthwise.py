"""Depthwise convolution whose gradient is quick on a processor.

torch 2.13 takes most of a training step for the bfloat16 gradients of depthwise convolutions: some
40 times their forward pass. The same gradients are a forward convolution of the flipped filter
(for the input) and a float32 convolution (for the filter).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from humanseg.models.efficientnet_lite import PaddedConv


def speed_up_depthwise(network: nn.Module) -> None:
    """Let every depthwise PaddedConv of a network take this gradient; its results stay the same."""
    for module in network.modules():
        if isinstance(module, PaddedConv) and module.groups > 1:
            module.convolve = convolve


def convolve(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    padding: int,
    dilation: int,
    groups: int,
) -> Tensor:
    """As `torch.nn.functional.conv2d`, for one filter a channel, without bias and dilation."""
    if bias is not None or dilation != 1 or groups != features.shape[1]:
        raise ValueError("only plain depthwise convolutions without bias")
    result: Tensor = _Depthwise.apply(features, weight, stride, padding)  # type: ignore[no-untyped-call]
    return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, features: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(features, weight, None, stride, padding, 1, features.shape[1])

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        features, weight = ctx.saved_tensors
        return (
            _input_gradient(gradient, features, weight, ctx.stride, ctx.padding),
            _weight_gradient(gradient, features, weight, ctx.stride, ctx.padding),
            None,
            None,
        )


def _input_gradient(
    gradient: Tensor, features: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    """Convolve the gradient, spread out to the stride, with the flipped filter."""
    count, channels, height, width = features.shape
    kernel = weight.shape[-1]
    spread = gradient.new_empty(
        (count, channels, height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1)
    ).contiguous(memory_format=torch.channels_last)
    if stride == 1:
        spread = gradient
    else:
        spread.zero_()
        spread[..., ::stride, ::stride] = gradient
    flipped = weight.flip((2, 3))
    return functional.conv2d(spread, flipped, None, 1, kernel - 1 - padding, 1, channels)


def _weight_gradient(
    gradient: Tensor, features: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    _, found, _ = torch.ops.aten.convolution_backward(
        gradient.float(),
        features.float(),
        weight.float(),
        None,
        [stride, stride],
        [padding, padding],
        [1, 1],
        False,
        [0, 0],
        weight.shape[0],
        [False, True, False],
    )
    return torch.as_tensor(found).to(weight.dtype)
