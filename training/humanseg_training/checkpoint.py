"""Everything a stopped run needs to go on, in one file that is never half written."""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from humanseg.errors import SinkError, WeightsError
from humanseg_training.config import Config

SAME_ON_RESUME = ("network", "width", "data", "backgrounds", "holdout", "batch", "seed")
"""What a resumed run may not change; further stages, say, may be added to its end."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a run between two steps.

    Batches are a function of seed and step, so the step stands for all random states.
    """

    step: int
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    config: dict[str, Any]


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write beside, then rename: the old checkpoint stays whole until the new one is.

    Raises:
        SinkError: it cannot be written; the old one is untouched.
    """
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fields = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
        torch.save(fields, partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise SinkError(
            f"the checkpoint cannot be written: {error}",
            subject=path,
            hint="the previous one is untouched; free some space and use --resume",
        ) from error


def load_checkpoint(path: Path, config: Config) -> Checkpoint:
    """Read a checkpoint of the same network.

    Raises:
        WeightsError: it is missing, corrupt, or of another architecture or width.
    """
    try:
        checkpoint = Checkpoint(**torch.load(path, weights_only=True))
    except FileNotFoundError:
        raise WeightsError(
            "there is no checkpoint to resume", subject=path, hint="start without --resume"
        ) from None
    except (OSError, RuntimeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError("is no readable checkpoint", subject=path) from error
    asked = config_table(config)
    for key in SAME_ON_RESUME:
        if checkpoint.config[key] != asked[key]:
            raise WeightsError(
                f"is of {key} {checkpoint.config[key]}, the config asks for {asked[key]}",
                subject=path,
                hint="give another --out folder, or start without --resume",
            )
    return checkpoint


def config_table(config: Config) -> dict[str, Any]:
    """The config as plain values, as stored in a checkpoint."""
    return asdict(config)
