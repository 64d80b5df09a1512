"""Stages of an encoder that stay as they are."""

import copy

import pytest
import torch

from humanseg.errors import SettingsError
from humanseg.models.registry import build
from humanseg_training.freezing import Frozen


def learn(network, frozen):
    """One step on noise; the state before and after."""
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.train()
    frozen.keep()
    torch.manual_seed(0)
    network(torch.rand(4, 3, 48, 64)).square().mean().backward()
    optimizer.step()
    return before, network.state_dict()


def moved(before, after):
    return {name for name, value in after.items() if not torch.equal(value, before[name])}


def test_frozen_stages_and_all_statistics_of_the_encoder_stay():
    network = build("efficient-linknet", 8)
    changed = moved(*learn(network, Frozen(network, 2)))
    still = ("encoder.stem", "encoder.stages.0", "encoder.stages.1")
    assert not [name for name in changed if name.startswith(still)]
    assert not [name for name in changed if name.startswith("encoder") and "running" in name]
    assert [name for name in changed if name.startswith("encoder.stages.2")]
    assert [name for name in changed if name.startswith("smooth") and "running" in name]


def test_nothing_frozen_lets_all_of_it_learn():
    network = build("efficient-linknet", 8)
    changed = moved(*learn(network, Frozen(network, 0)))
    assert [name for name in changed if name.startswith("encoder.stem")]
    assert [name for name in changed if name.startswith("encoder") and "running" in name]


@pytest.mark.parametrize(
    ("name", "stages", "told"), [("unet", 1, "no encoder"), ("efficient-linknet", 7, "6 stages")]
)
def test_what_cannot_be_frozen_is_refused(name, stages, told):
    with pytest.raises(SettingsError, match=told):
        Frozen(build(name, 8), stages)
