"""Everything a stopped run needs to go on, in one file that is never half written."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from humanseg.errors import SettingsError, SinkError, WeightsError
from humanseg_training.config import Config
from humanseg_training.config_file import make_config

SAME_ON_RESUME = (
    "network",
    "width",
    "tuner_behind",
    "data",
    "backgrounds",
    "holdout",
    "batch",
    "seed",
)
"""What a resumed run may not change; further stages, say, may be added to its end."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a run between two steps.

    Attributes:
        step: number of steps that are done.
        network: its state.
        average: state of the moving average of the weights.
        optimizer: its state.
        config: the run's config as plain tables.
        scaler: of the loss, in f16; empty otherwise.
        random: torch's generators; batches need none, they are a function of seed and step.
        progress: what early stopping counts.
    """

    step: int
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    config: dict[str, Any]
    scaler: dict[str, Any] = field(default_factory=dict)
    random: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; the old one stays whole until the new one is.

    Raises:
        SinkError: it cannot be written; the old one is untouched.
    """
    write_whole(asdict_shallow(checkpoint), path)


def asdict_shallow(checkpoint: Checkpoint) -> dict[str, Any]:
    """The fields by name, without copies of their tensors."""
    return {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}


def write_whole(content: Mapping[str, Any], path: Path) -> None:
    """Write tensors beside, then rename.

    Raises:
        SinkError: they cannot be written; what was there is untouched.
    """
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(dict(content), partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise SinkError(
            f"the checkpoint cannot be written: {error}",
            subject=path,
            hint="the previous one is untouched; free some space and use --resume",
        ) from error


def load_checkpoint(path: Path, config: Config) -> Checkpoint:
    """Read a checkpoint of the same network; also one that an older version wrote.

    Raises:
        WeightsError: it is missing, corrupt, or of another architecture or width.
    """
    try:
        checkpoint = Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
        stored = make_config(checkpoint.config, path)
    except FileNotFoundError:
        raise WeightsError(
            "there is no checkpoint to resume", subject=path, hint="start without --resume"
        ) from None
    except (
        OSError,
        RuntimeError,
        TypeError,
        EOFError,
        pickle.UnpicklingError,
        SettingsError,
    ) as error:
        raise WeightsError(
            "is no readable checkpoint", subject=path, hint="start without --resume"
        ) from error
    for key in SAME_ON_RESUME:
        before, asked = getattr(stored, key), getattr(config, key)
        if before != asked:
            raise WeightsError(
                f"is of {key} {before}, the config asks for {asked}",
                subject=path,
                hint="give another --out folder, or start without --resume",
            )
    return checkpoint


def config_table(config: Config) -> dict[str, Any]:
    """The config as plain values, as stored in a checkpoint."""
    return asdict(config)


def random_state() -> dict[str, Any]:
    """State of torch's generators of random numbers."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Take up torch's generators where `random_state` left them; older checkpoints hold none."""
    if "torch" in state:
        torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
