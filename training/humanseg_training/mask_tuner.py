"""The mask tuner of the study: small convolutions that repair what a frozen network says."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from humanseg.errors import SinkError, WeightsError
from humanseg.models import registry

TUNER_WIDTH = 16


class MaskTuner(nn.Module):
    """Three 3x3 convolutions see the picture and the frozen network's mask, and add to its logits.

    (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits. Untrained it changes nothing: its last layer
    begins at zero.
    """

    def __init__(self, network: nn.Module, width: int = TUNER_WIDTH) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()
        last = nn.Conv2d(width, 1, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(
            nn.Conv2d(4, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(),
            last,
        )

    def train(self, mode: bool = True) -> MaskTuner:
        """Only the tuner is ever trained; the batch norms of the network keep their statistics."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the network, repaired."""
        with torch.no_grad():
            logits: Tensor = self.network(image)
        seen = torch.cat([image - 0.5, torch.sigmoid(logits) - 0.5], dim=1)
        change: Tensor = self.layers(seen)
        return logits + change


def save_tuner(tuner: MaskTuner, behind: Sequence[str], folder: Path, path: Path) -> None:
    """Write a tuner's own layers, and what they were trained behind, in one safetensors file.

    Args:
        tuner: its network is not written.
        behind: names of the weights of its network.
        folder: where those lie.
        path: of the file.

    Raises:
        SinkError: it cannot be written.
    """
    import safetensors.torch

    facts = {"behind": json.dumps(list(behind)), "network": _fingerprint(behind, folder)}
    tensors = {key: value.contiguous() for key, value in tuner.layers.state_dict().items()}
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(safetensors.torch.save(tensors, metadata=facts))
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SinkError(f"cannot be written: {error.strerror}", subject=path) from error


def load_tuner(path: Path, network: nn.Module, behind: Sequence[str], folder: Path) -> MaskTuner:
    """Put a saved tuner behind the network it was trained behind.

    Raises:
        WeightsError: the file is missing or damaged, or it was trained behind other weights.
    """
    import safetensors

    try:
        with safetensors.safe_open(path, "pt") as file:
            facts: dict[str, Any] = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        width = tensors["0.weight"].shape[0]
    except FileNotFoundError:
        raise WeightsError("there is no such file of a mask tuner", subject=path) from None
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise WeightsError("is no readable mask tuner", subject=path) from error
    if facts.get("network") != _fingerprint(behind, folder):
        raise WeightsError(
            f"was trained behind other weights: {facts.get('behind', 'unknown ones')}",
            subject=path,
            hint=f"train it anew behind {', '.join(behind)}",
        )
    tuner = MaskTuner(network, width)
    tuner.layers.load_state_dict(tensors)
    return tuner.eval()


def _fingerprint(behind: Sequence[str], folder: Path) -> str:
    """Changes with any of the weights and with the shares they are combined by."""
    cards = {name: registry.read_card(name, folder).sha256 for name in behind}
    facts: dict[str, Any] = {"cards": cards, "shares": registry.read_shares(folder)}
    if halved := registry.read_halved(behind, folder):
        facts["halved"] = halved
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
