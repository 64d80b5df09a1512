"""The quick gradient of depthwise convolutions is the usual one."""

import pytest
import torch
import torch.nn.functional as functional

from humanseg.models.registry import build
from humanseg_training.depthwise import convolve, speed_up_depthwise


def gradients(function, features, weight, stride, padding):
    features, weight = features.clone().requires_grad_(), weight.clone().requires_grad_()
    result = function(features, weight, None, stride, padding, 1, weight.shape[0])
    (result * torch.linspace(-1, 1, result.numel()).view_as(result)).sum().backward()
    return result.detach(), features.grad, weight.grad


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("stride", "padded"), [(1, True), (2, False)])
@pytest.mark.parametrize("size", [(9, 12), (14, 11)])
def test_result_and_gradients_are_the_usual_ones(kernel, stride, padded, size):
    torch.manual_seed(0)
    features, weight = torch.randn(3, 8, *size), torch.randn(8, 1, kernel, kernel)
    padding = kernel // 2 if padded else 0
    usual = gradients(functional.conv2d, features, weight, stride, padding)
    quick = gradients(convolve, features, weight, stride, padding)
    for expected, got in zip(usual, quick, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-4)


def test_a_network_that_was_sped_up_learns_the_same():
    torch.manual_seed(0)
    plain, quick = build("efficient-linknet", 8), build("efficient-linknet", 8)
    quick.load_state_dict(plain.state_dict())
    speed_up_depthwise(quick)
    image = torch.rand(4, 3, 48, 64)
    for network in (plain, quick):
        network.train()(image).square().mean().backward()
    for (name, one), other in zip(plain.named_parameters(), quick.parameters(), strict=True):
        scale = float(one.grad.abs().max()) + 1e-6
        assert float((one.grad - other.grad).abs().max()) < 1e-2 * scale, name


def test_anything_but_a_plain_depthwise_convolution_is_refused():
    with pytest.raises(ValueError, match="depthwise"):
        convolve(torch.rand(1, 4, 8, 8), torch.rand(8, 2, 3, 3), None, 1, 1, 1, 2)
