"""Which engine runs the networks on this machine."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from humanseg.engines.self_test import Candidate, quickest
from humanseg.errors import MissingExtraError, SettingsError
from humanseg.models import registry
from humanseg.protocols import Engine, Goal

ENGINES = ("auto", "torch", "openvino", "int8")
DEVICES = ("auto", "cpu", "cuda", "mps")


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def open_engine(
    models: Sequence[str],
    *,
    engine: str = "auto",
    device: str = "auto",
    threads: int = 2,
    goal: Goal = "latency",
    exact: bool = False,
) -> Engine:
    """Open the engine asked for; "auto" takes a GPU if there is one, else the quickest.

    Args:
        models: names of weights.
        engine: one of ENGINES.
        device: one of DEVICES.
        threads: of the processor.
        goal: one picture soon, or many in all.
        exact: "auto" takes none that rounds to 8 bits.

    Raises:
        SettingsError: unknown names, or a device this machine does not have.
        MissingExtraError: OpenVINO is asked for and not installed.
        WeightsError: weights are missing or damaged.
    """
    if engine not in ENGINES:
        raise SettingsError(f"there is no engine '{engine}'", hint=f"one of {', '.join(ENGINES)}")
    if engine in ("openvino", "int8"):
        if not has_openvino():
            raise MissingExtraError(
                "OpenVINO is not installed", hint="pip install 'humanseg[openvino]'"
            )
        if device not in ("auto", "cpu"):
            choose_device(device)
            raise SettingsError(
                f"OpenVINO runs on the processor only, not on '{device}'",
                hint="leave out --engine, or use --device cpu",
            )
        precision = "int8" if engine == "int8" else "auto"
        return Candidate("openvino", "cpu", precision).open(models, threads=threads, goal=goal)
    chosen = choose_device(device)
    if engine == "torch":
        return Candidate("torch", chosen).open(models, threads=threads, goal=goal)
    able = candidates(chosen, models, exact=exact)
    return quickest(able, models, threads=threads, goal=goal).open(
        models, threads=threads, goal=goal
    )


def candidates(device: str, models: Sequence[str], *, exact: bool = False) -> list[Candidate]:
    """Engines that "auto" chooses from, the likeliest first.

    Args:
        device: "cpu", "cuda" or "mps"; a GPU is tried against nothing, since it also leaves the
            processor to decoding and encoding.
        models: names of weights.
        exact: leave out what rounds to 8 bits.
    """
    if device != "cpu":
        return [Candidate("torch", device)]
    if not has_openvino():
        return [Candidate("torch", "cpu")]
    usual = [Candidate("openvino", "cpu"), Candidate("torch", "cpu")]
    if exact or any(registry.read_ranges(name) is None for name in models):
        return usual
    return [Candidate("openvino", "cpu", "int8"), *usual]


def may_have_gpu() -> bool:
    """Whether it is worth a second to ask torch for a GPU; Linux shows one as a device file."""
    if sys.platform != "linux":
        return True
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def choose_device(device: str) -> str:
    """The device to use; "auto" takes CUDA, then MPS, then the processor.

    Raises:
        SettingsError: an unknown name, or a device this machine does not have.
    """
    if device not in DEVICES:
        raise SettingsError(f"there is no device '{device}'", hint=f"one of {', '.join(DEVICES)}")
    if device == "cpu":
        return device
    if device == "auto" and not may_have_gpu():
        return "cpu"
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next((name for name, there in present.items() if there), "cpu")
    if not present[device]:
        raise SettingsError(
            f"this machine has no '{device}' device that torch can use", hint="use --device cpu"
        )
    return device
