"""Networks run by OpenVINO on the processor."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs

from humanseg.closing import Closing
from humanseg.models import registry
from humanseg.protocols import Goal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Lane = list[Any]
    """Requests that answer for one picture together, each for a part of the networks."""

CACHE_SECONDS = 30 * 24 * 3600

GRAPH_REVISION = 2
"""Counts changes of the networks and of what serves them; older cached graphs are unused."""


def import_openvino() -> Any:
    """OpenVINO, which everything of ours imports this way, so that it tells nobody.

    Its package sends word to Google Analytics whenever it is imported, unless the package that does
    so cannot be imported; for this process it cannot. Its own stand-in, which does nothing, then
    serves. A program that has imported OpenVINO before us has decided for itself.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


class OpenVinoEngine(Closing):
    """Graphs of an ensemble's networks, compiled once for every size of picture they meet.

    For latency the networks are dealt out to the threads: layers as small as these lose more time
    where two threads meet after each of them than two threads save. Pictures go through one by one,
    so that a batch of one costs no more than its share of four, and no batch is padded. Fixed
    shapes are measurably faster than dynamic ones, and a video has only one. The graph is kept in
    the user's cache folder: converting it anew takes seconds and all of torch.
    """

    def __init__(
        self,
        models: Sequence[str],
        *,
        threads: int,
        goal: Goal = "latency",
        precision: str = "auto",
        weights: Path = registry.WEIGHTS_FOLDER,
        cache: Path | None = None,
    ) -> None:
        """Read the models' graph from the cache, or convert them.

        Args:
            models: names of weights.
            threads: of the processor.
            goal: "latency" gives all threads to one picture, and each its share of the networks;
                "throughput" one to each of several pictures, which do not wait for each other.
            precision: "f32", "bf16", or "auto" for what OpenVINO holds best on this processor.
            weights: folder they lie in.
            cache: folder of converted graphs; None takes the user's cache folder.

        Raises:
            WeightsError: weights are missing or damaged.
        """
        openvino = import_openvino()
        folder = cache or platformdirs.user_cache_path("humanseg") / "openvino"
        self._core = openvino.Core()
        self._model = _read_or_convert(self._core, models, weights, folder)
        self._lane_count = threads if goal == "throughput" else 1
        self._groups = dealt_out(_by_cost(models, weights), threads if goal == "latency" else 1)
        self._properties: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": max(self._lane_count, threads // len(self._groups)),
            "NUM_STREAMS": self._lane_count,
            "PERFORMANCE_HINT": goal.upper(),
            # Graphs that know nothing of each other would be bound to the same cores.
            "ENABLE_CPU_PINNING": goal == "throughput",
        }
        if precision != "auto":
            self._properties["INFERENCE_PRECISION_HINT"] = precision
        if os.access(folder, os.W_OK):
            self._properties["CACHE_DIR"] = str(folder)
        chosen = precision if precision != "auto" else self._default_precision()
        self._name = f"openvino cpu {chosen}"
        self._compiled: dict[tuple[int, ...], list[Lane]] = {}

    @property
    def name(self) -> str:
        """What runs where."""
        return self._name

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (N, h, w) float32 of a batch (N, h, w, 3) uint8 BGR."""
        found = np.empty(batch.shape[:3], np.float32)
        lanes = self._lanes(batch.shape[1:])
        for index in range(len(batch) + len(lanes)):
            lane = lanes[index % len(lanes)]
            if index >= len(lanes):
                found[index - len(lanes)] = _probability(lane)
            if index < len(batch):
                for request in lane:
                    request.start_async({0: batch[index : index + 1]}, share_inputs=True)
        return found

    def _lanes(self, shape: tuple[int, ...]) -> list[Lane]:
        """What takes pictures (h, w, 3) at the same time, one a lane."""
        if shape not in self._compiled:
            self._model.reshape([1, *shape])
            parts = [
                self._core.compile_model(_part(self._model, group), "CPU", self._properties)
                for group in self._groups
            ]
            self._compiled[shape] = [
                [part.create_infer_request() for part in parts] for _ in range(self._lane_count)
            ]
        return self._compiled[shape]

    def close(self) -> None:
        """Give back the compiled graphs."""
        self._compiled.clear()

    def _default_precision(self) -> str:
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if "BF16" in capabilities else "f32"


def _by_cost(models: Sequence[str], weights: Path) -> list[int]:
    """Numbers of an ensemble's networks, those that see half the size last."""
    halved = registry.read_halved(models, weights)
    return sorted(range(len(models)), key=lambda number: models[number] in halved)


def dealt_out(numbers: Sequence[int], threads: int) -> list[list[int]]:
    """Numbers of networks, dearest first, in a group for each thread; dealt to and fro.

    >>> dealt_out([0, 1, 2, 3], 2), dealt_out([0], 2), dealt_out([0, 1, 2, 3], 1)
    ([[0, 3], [1, 2]], [[0]], [[0, 1, 2, 3]])
    """
    groups: list[list[int]] = [[] for _ in range(min(len(numbers), threads))]
    for index, number in enumerate(numbers):
        turn, place = divmod(index, len(groups))
        groups[place if turn % 2 == 0 else -1 - place].append(number)
    return groups


def _part(model: Any, numbers: Sequence[int]) -> Any:
    """The graph of some of the networks."""
    part = model.clone()
    for number, result in enumerate(list(part.get_results())):
        if number not in numbers:
            part.remove_result(result)
    return part


def _probability(lane: Lane) -> NDArray[np.float32]:
    """What the requests of a lane found, when they have: (h, w), 0..1."""
    shares = []
    for request in lane:
        request.wait()
        shares += [tensor.data[0] for tensor in request.output_tensors]
    logits = np.asarray(np.sum(shares, axis=0), np.float32)
    # The logistic function, in a form that no number overflows.
    probability: NDArray[np.float32] = np.tanh(logits * np.float32(0.5))
    probability *= np.float32(0.5)
    probability += np.float32(0.5)
    return probability


def _read_or_convert(core: Any, models: Sequence[str], weights: Path, cache: Path) -> Any:
    path = cache / f"{_key(models, weights)}.xml"
    if path.is_file():
        try:
            model = core.read_model(path)
            for used in (path, path.with_suffix(".bin")):
                with contextlib.suppress(OSError):
                    os.utime(used)
            return model
        except RuntimeError:
            # A cached graph that cannot be read is only a cache miss.
            with contextlib.suppress(OSError):
                path.unlink()
    _convert_elsewhere(models, weights, path)
    return core.read_model(path) if path.is_file() else convert(models, weights)


def _convert_elsewhere(models: Sequence[str], weights: Path, path: Path) -> None:
    """Convert in a process of its own: torch and the conversion take 400 MB, which end with it."""
    # -P: the folder the user stands in must not lend its modules to the child.
    command = [sys.executable, "-P", "-m", __name__, str(path), str(weights), *models]
    with contextlib.suppress(OSError):
        subprocess.run(command, capture_output=True, check=False)


def _key(models: Sequence[str], weights: Path) -> str:
    """Changes with the weights, their shares, and what turns them into a graph."""
    openvino = import_openvino()
    cards = [registry.read_card(name, weights) for name in models]
    for card in cards:
        registry.verified(card, weights)
    facts = {
        "weights": [card.sha256 for card in cards],
        "shares": registry.read_shares(weights),
        "halved": registry.read_halved(models, weights),
        "openvino": openvino.__version__,
        "revision": GRAPH_REVISION,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _prune(cache: Path) -> None:
    """Remove what no start has used for long: graphs of older weights and their compiled forms."""
    oldest = time.time() - CACHE_SECONDS
    for path in cache.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def convert(models: Sequence[str], weights: Path) -> Any:
    """Make OpenVINO's graph of an ensemble, with an output for each network; imports torch.

    Raises:
        WeightsError: weights are missing or damaged.
    """
    from humanseg.models.ensemble import ServingApart

    return graph_of(ServingApart(registry.load_ensemble(models, weights)).eval())


def graph_of(serving: Any, example: tuple[Any, ...] | None = None) -> Any:
    """OpenVINO's graph of a `Serving`, for frames of any size, or of another module.

    Args:
        serving: a module, ready for inference.
        example: tensors that another module takes; one picture when None.

    By the front end, since `openvino.convert_model` reports each conversion to Google Analytics
    where a program has imported OpenVINO before us.
    """
    import torch

    import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    inputs = example or (torch.zeros(1, 32, 32, 3, dtype=torch.uint8),)
    with torch.inference_mode(), warnings.catch_warnings():
        # OpenVINO traces the graph, which torch calls deprecated; exporting it fixes its sizes.
        warnings.simplefilter("ignore")
        # The graph keeps weights of its own: torch's may end before it does.
        decoder = TorchScriptPythonDecoder(serving, example_input=inputs, shared_memory=False)
        front_end = FrontEndManager().load_by_framework("pytorch")
        return front_end.convert(front_end.load(decoder))


def store(model: Any, path: Path) -> None:
    """Keep a graph for the next start.

    Raises:
        OSError: the folder cannot be made or written.
        RuntimeError: OpenVINO cannot write.
    """
    openvino = import_openvino()
    partial = path.with_name(f"{os.getpid()}-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _prune(path.parent)
    openvino.save_model(model, partial, compress_to_fp16=False)
    # The weights first: a graph without them could be read by another process.
    os.replace(partial.with_suffix(".bin"), path.with_suffix(".bin"))
    os.replace(partial, path)


if __name__ == "__main__":
    store(convert(sys.argv[3:], Path(sys.argv[2])), Path(sys.argv[1]))
