"""The quick gradient of an enlargement is the usual one."""

import pytest
import torch

from humanseg.models.blocks import enlarge_bilinear
from humanseg.models.registry import build
from humanseg_training.enlarging import enlarge, speed_up_enlarging


def gradient(function, features, size):
    features = features.clone().requires_grad_()
    result = function(features, size)
    (result * torch.linspace(-1, 1, result.numel()).view_as(result)).sum().backward()
    return result.detach(), features.grad


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (6, 7)])
@pytest.mark.parametrize("factors", [(2, 2), (1.8, 2), (3, 3)])
def test_result_and_gradient_are_the_usual_ones(size, factors):
    torch.manual_seed(0)
    features = torch.randn(2, 3, *size)
    larger = tuple(round(side * factor) for side, factor in zip(size, factors, strict=True))
    usual = gradient(enlarge_bilinear, features, larger)
    quick = gradient(enlarge, features, larger)
    for expected, got in zip(usual, quick, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["efficient-unet", "efficient-hrnet"])
def test_a_network_that_was_sped_up_takes_it_at_every_doubling(name, monkeypatch):
    asked = []

    def noted(features, size):
        asked.append(size)
        return enlarge_bilinear(features, size)

    monkeypatch.setattr("humanseg_training.enlarging.enlarge", noted)
    network = build(name, 16)
    network(torch.rand(1, 3, 48, 64))
    assert asked == []
    speed_up_enlarging(network)
    network(torch.rand(1, 3, 48, 64))
    assert asked[-1] == (48, 64)
    assert len(asked) >= 4
