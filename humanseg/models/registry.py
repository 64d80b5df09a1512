"""Networks by name, and the trained weights that ship with the package."""

from __future__ import annotations

import hashlib
import importlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from humanseg.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from humanseg.models.ensemble import Ensemble
    from humanseg.models.quantized import Ranges

NETWORKS: Mapping[str, str] = {
    "unet": "humanseg.models.unet:VanillaUNet",
    "sdunet": "humanseg.models.sdunet:SDUNet",
    "linknet": "humanseg.models.linknet:LinkNet",
    "hrnet": "humanseg.models.hrnet:HRNet",
    "efficient-unet": "humanseg.models.efficient_decoders:EfficientUNet",
    "efficient-sdunet": "humanseg.models.efficient_decoders:EfficientSDUNet",
    "efficient-linknet": "humanseg.models.efficient_decoders:EfficientLinkNet",
    "efficient-linknet-large": "humanseg.models.efficient_decoders:EfficientLinkNetLarge",
    "efficient-hrnet": "humanseg.models.efficient_decoders:EfficientHRNet",
}
"""Architecture name -> "module:class"; imported only when a network is built."""

WEIGHTS_FOLDER = Path(__file__).parent.parent / "weights"
STATISTICS = ("running_mean", "running_var")
"""Ends of the names of what batch norms gather."""

SHARES_FILE = "ensemble.shares"
RANGES_ENDING = ".ranges"
REINSTALL_HINT = "reinstall humanseg: pip install --force-reinstall humanseg"


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about a file of weights, read from the TOML beside it.

    Attributes:
        name: of the weights; the file is `<name>.safetensors`.
        network: key of NETWORKS.
        width: channels of the network's first level.
        parameters: trained numbers in the network.
        bytes: size of the file.
        sha256: of the file, in hex.
        training: data, epochs, steps, seed, date, as far as they were recorded.
        scores: measured scores and the command that prints them.
    """

    name: str
    network: str
    width: int
    parameters: int
    bytes: int
    sha256: str
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)


def build(network: str, width: int) -> nn.Module:
    """Make an untrained network.

    Args:
        network: key of NETWORKS.
        width: channels of the first level.

    Raises:
        WeightsError: no such network.
    """
    if network not in NETWORKS:
        raise WeightsError(
            f"there is no network '{network}'", hint=f"the networks are {', '.join(NETWORKS)}"
        )
    module_name, class_name = NETWORKS[network].split(":")
    module: nn.Module = getattr(importlib.import_module(module_name), class_name)(width)
    return module


def available(folder: Path = WEIGHTS_FOLDER) -> list[Card]:
    """Cards of all weights in a folder, by name."""
    return [read_card(path.stem, folder) for path in sorted(folder.glob("*.toml"))]


def read_card(name: str, folder: Path = WEIGHTS_FOLDER) -> Card:
    """Read the card of one file of weights.

    Raises:
        WeightsError: there is no such card, or it cannot be read.
    """
    path = folder / f"{name}.toml"
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return Card(
            name=name,
            network=fields["network"]["name"],
            width=fields["network"]["width"],
            parameters=fields["network"]["parameters"],
            bytes=fields["file"]["bytes"],
            sha256=fields["file"]["sha256"],
            training=fields.get("training", {}),
            scores=fields.get("scores", {}),
        )
    except FileNotFoundError:
        known = ", ".join(sorted(found.stem for found in folder.glob("*.toml"))) or "none"
        raise WeightsError(
            f"there are no weights '{name}'", subject=folder, hint=f"there are: {known}"
        ) from None
    except (OSError, KeyError, TypeError, ValueError) as error:  # also bytes that are no text
        raise WeightsError(
            f"is no card of weights: {error}", subject=path, hint=REINSTALL_HINT
        ) from error


def verified(card: Card, folder: Path = WEIGHTS_FOLDER) -> bytes:
    """Content of a card's file of weights.

    Raises:
        WeightsError: the file is missing, or its checksum differs from the card.
    """
    path = folder / f"{card.name}.safetensors"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"cannot be read: {error.strerror}", subject=path, hint=REINSTALL_HINT
        ) from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise WeightsError(
            "the checksum differs from the one in its card: the file is damaged or was replaced",
            subject=path,
            hint=REINSTALL_HINT,
        )
    return content


def load(name: str, folder: Path = WEIGHTS_FOLDER) -> nn.Module:
    """Build the network of a card and fill it with its weights, in evaluation mode, float32.

    Raises:
        WeightsError: a file is missing, its checksum differs from the card, or it belongs to
            another network.
    """
    import safetensors
    import safetensors.torch

    card = read_card(name, folder)
    path = folder / f"{name}.safetensors"
    content = verified(card, folder)
    network = build(card.network, card.width)
    try:
        tensors = safetensors.torch.load(content)
        network.load_state_dict({key: value.float() for key, value in tensors.items()})
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise WeightsError(
            f"does not fit a {card.network} of width {card.width}",
            subject=path,
            hint=REINSTALL_HINT,
        ) from error
    return network.eval()


def save(
    network: nn.Module,
    folder: Path,
    name: str,
    *,
    architecture: str,
    width: int,
    training: Mapping[str, Any],
    scores: Mapping[str, Any],
) -> Card:
    """Write weights as fp16 safetensors with their card beside them.

    Statistics of batch norms, and whatever else leaves fp16's range, stay float32.

    Args:
        network: whose state is written.
        folder: is made when missing.
        name: of both files, without ending.
        architecture: key of NETWORKS.
        width: channels of the first level.
        training: flat table of the card: text, numbers, lists of text.
        scores: the same.
    """
    import safetensors.torch
    import torch

    tensors = {
        key: _stored(key, value).contiguous()
        for key, value in network.state_dict().items()
        if value.dtype != torch.int64  # batch norm's step counters serve only training
    }
    content = safetensors.torch.save(tensors)
    card = Card(
        name,
        architecture,
        width,
        sum(parameter.numel() for parameter in network.parameters()),
        len(content),
        hashlib.sha256(content).hexdigest(),
        training,
        scores,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.safetensors").write_bytes(content)
    # Ranges of other weights would round these wrongly.
    (folder / f"{name}{RANGES_ENDING}").unlink(missing_ok=True)
    (folder / f"{name}.toml").write_text(_card_text(card), encoding="utf-8")
    return card


def _stored(name: str, value: Tensor) -> Tensor:
    # A variance of 70,000 is infinite in fp16, and its channel would be lost without a word.
    if not value.is_floating_point() or name.endswith(STATISTICS):
        return value
    half = value.half()
    return half if bool(half.isfinite().all()) else value


def _card_text(card: Card) -> str:
    sections: dict[str, Mapping[str, Any]] = {
        "network": {"name": card.network, "width": card.width, "parameters": card.parameters},
        "file": {"bytes": card.bytes, "sha256": card.sha256},
        "training": card.training,
        "scores": card.scores,
    }
    return _sections_text(sections)


def _sections_text(sections: Mapping[str, Mapping[str, Any]]) -> str:
    blocks = (
        f"[{title}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())
        for title, values in sections.items()
    )
    return "\n".join(blocks)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value)


def load_quantized(name: str, folder: Path = WEIGHTS_FOLDER) -> nn.Module:
    """Load a network that rounds to 8 bits, within the ranges that were measured for its weights.

    Raises:
        WeightsError: as of `load`; or ranges were never measured, or for other weights.
    """
    from humanseg.models.quantized import quantize

    ranges = read_ranges(name, folder)
    if ranges is None:
        raise WeightsError(
            f"nobody has measured which numbers '{name}' works with, so they cannot be rounded",
            subject=folder,
            hint=f"humanseg calibrate {name} --config FILE --data FOLDER",
        )
    try:
        return quantize(load(name, folder), ranges)
    except ValueError as error:
        raise WeightsError(
            f"belongs to another network: {error}",
            subject=folder / f"{name}{RANGES_ENDING}",
            hint=REINSTALL_HINT,
        ) from error


def load_ensemble(
    names: Sequence[str], folder: Path = WEIGHTS_FOLDER, *, quantized: bool = False
) -> Ensemble:
    """Load several networks as one, with the fitted shares if there are any for these names.

    Args:
        names: of weights.
        folder: they lie in.
        quantized: round to 8 bits, see `load_quantized`.

    Raises:
        WeightsError: weights are missing or damaged, or the file of shares is.
    """
    from humanseg.models.ensemble import Ensemble

    shares = read_shares(folder)
    fitted = set(names) == set(shares)
    members = load_members(names, read_halved(names, folder), folder, quantized=quantized)
    return Ensemble(members, [shares[name] for name in names] if fitted else None).eval()


def load_members(
    names: Sequence[str],
    halved: Sequence[str],
    folder: Path = WEIGHTS_FOLDER,
    *,
    quantized: bool = False,
) -> list[nn.Module]:
    """Load networks as an ensemble shows them its pictures: those of `halved` at half the size.

    Raises:
        WeightsError: weights are missing or damaged, or of a network that half a size does not fit.
    """
    from humanseg.models.ensemble import HalfSize

    load_one = load_quantized if quantized else load
    networks = {name: load_one(name, folder) for name in names}
    for name in halved:
        if not hasattr(networks[name], "encoder"):
            raise WeightsError(
                f"'{name}' cannot see half the size: its sides must be multiples of 16",
                subject=folder,
                hint="halve networks on an ImageNet encoder only",
            )
    return [HalfSize(net) if name in halved else net for name, net in networks.items()]


def read_shares(folder: Path = WEIGHTS_FOLDER) -> dict[str, float]:
    """Fitted shares of the ensemble's members by name; empty when none were fitted.

    Raises:
        WeightsError: the file cannot be read.
    """
    return _read_shares_file(folder)[0]


def read_halved(names: Sequence[str], folder: Path = WEIGHTS_FOLDER) -> tuple[str, ...]:
    """Which of some networks see the picture at half the size; none unless they were fitted so.

    Raises:
        WeightsError: the file of shares cannot be read.
    """
    shares, halved = _read_shares_file(folder)
    return halved if set(names) == set(shares) else ()


def _read_shares_file(folder: Path) -> tuple[dict[str, float], tuple[str, ...]]:
    path = folder / SHARES_FILE
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        shares = {str(name): float(share) for name, share in fields["shares"].items()}
        if not all(share > 0 for share in shares.values()):
            raise ValueError("every share must be above 0")
        halved = tuple(str(name) for name in fields.get("size", {}).get("halved", ()))
        if not set(halved) <= set(shares):
            raise ValueError("what is halved must have a share")
        return shares, halved
    except FileNotFoundError:
        return {}, ()
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"is no file of shares: {error}", subject=path, hint=REINSTALL_HINT
        ) from error


def read_ranges(name: str, folder: Path = WEIGHTS_FOLDER) -> Ranges | None:
    """What each convolution of a network is shown; None where nobody measured it.

    Ranges that were measured for other weights of that name count as none.

    Raises:
        WeightsError: the file cannot be read, or there are no such weights.
    """
    path = folder / f"{name}{RANGES_ENDING}"
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        if fields["weights"]["sha256"] != read_card(name, folder).sha256:
            return None
        return {
            str(key): (float(low), float(high)) for key, (low, high) in fields["ranges"].items()
        }
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"is no file of ranges: {error}", subject=path, hint=REINSTALL_HINT
        ) from error


def save_ranges(name: str, ranges: Ranges, fit: Mapping[str, Any], folder: Path) -> Path:
    """Write what each convolution of a network is shown, and how that was measured."""
    path = folder / f"{name}{RANGES_ENDING}"
    # Names of convolutions hold dots, which TOML takes for tables unless they are quoted.
    quoted = {f'"{key}"': list(ends) for key, ends in ranges.items()}
    weights = {"sha256": read_card(name, folder).sha256}
    text = _sections_text({"weights": weights, "ranges": quoted, "fit": fit})
    path.write_text(text, encoding="utf-8")
    return path


def save_shares(
    shares: Mapping[str, float],
    fit: Mapping[str, Any],
    folder: Path,
    *,
    halved: Sequence[str] = (),
) -> Path:
    """Write the fitted shares of an ensemble, which members see half the size, and the fit."""
    path = folder / SHARES_FILE
    size = {"size": {"halved": list(halved)}} if halved else {}
    path.write_text(_sections_text({"shares": shares, **size, "fit": fit}), encoding="utf-8")
    return path
