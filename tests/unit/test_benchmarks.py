"""The stand-in for a rival is of the size it is said to be."""

import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
PUBLISHED = 3.749e6
"""Parameters of Robust Video Matting's smaller variant."""


@pytest.fixture
def recurrent_network(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "recurrent_network", raising=False)
    import recurrent_network

    return recurrent_network


def test_the_stand_in_has_as_many_parameters_as_the_network_it_stands_for(recurrent_network):
    network = recurrent_network.RecurrentNetwork(96, 128, 0.5)
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(
        PUBLISHED, rel=1e-3
    )


@pytest.mark.parametrize("size", [(96, 128), (90, 150)])
def test_the_stand_in_remembers_the_frame_before(recurrent_network, size):
    torch.manual_seed(1)
    network = recurrent_network.RecurrentNetwork(*size, 0.5).eval()
    picture = torch.randint(0, 255, (1, *size, 3), dtype=torch.uint8)
    with torch.inference_mode():
        first, alpha, *states = network(picture, *network.first_states())
        again, _, *_ = network(picture, *states)
    assert first.shape == (1, 3, *size)
    assert alpha.shape == (1, 1, *size)
    assert [state.shape for state in states] == [each.shape for each in network.first_states()]
    assert not torch.equal(first, again)
