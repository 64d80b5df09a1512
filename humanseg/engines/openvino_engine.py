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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs

from humanseg.closing import Closing
from humanseg.models import registry
from humanseg.pixels import resize
from humanseg.protocols import Goal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Lane = list[Any]
    """Requests that answer for one picture together, each for a part of the networks."""

BUNDLES = (4, 2, 1)
"""Pictures that may go through a graph together, the largest number first."""

CACHE_SECONDS = 30 * 24 * 3600

GRAPH_REVISION = 3
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
    where two threads meet after each of them than two threads save. For throughput every thread
    takes several pictures at once where that many wait: all weights go through its cache for each
    bundle, not for each picture. Fixed shapes are measurably faster than dynamic ones, and a video
    has only one. The graph is kept in the user's cache folder: converting it anew takes seconds and
    all of torch.
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
            precision: "f32", "bf16", or "auto" for what OpenVINO holds best on this processor;
                "int8" rounds what convolutions multiply to 8 bits, and leaves the rest at "auto".
            weights: folder they lie in.
            cache: folder of converted graphs; None takes the user's cache folder.

        Raises:
            WeightsError: weights are missing or damaged, or nobody measured how to round them.
        """
        openvino = import_openvino()
        folder = cache or platformdirs.user_cache_path("humanseg") / "openvino"
        self._core = openvino.Core()
        self._wanted = Wanted(tuple(models), weights, quantized=precision == "int8")
        self._path = folder / f"{_key(self._wanted)}.xml"
        self._model: Any | None = _read_or_convert(self._core, self._wanted, self._path)
        self._lane_count = threads if goal == "throughput" else 1
        self._bundles = BUNDLES if goal == "throughput" else (1,)
        self._groups = dealt_out(_by_cost(models, weights), threads if goal == "latency" else 1)
        self._properties: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": max(self._lane_count, threads // len(self._groups)),
            "NUM_STREAMS": self._lane_count,
            "PERFORMANCE_HINT": goal.upper(),
            # Graphs that know nothing of each other would be bound to the same cores.
            "ENABLE_CPU_PINNING": goal == "throughput",
        }
        if precision not in ("auto", "int8"):
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
        begin = 0
        while begin < len(batch):
            rest = batch[begin:]
            size = self._bundle(rest.shape)
            if len(rest) < size * self._lane_count:
                found[begin:] = self._filled_up(rest, size)
                break
            end = begin + len(rest) // size * size
            self._run(batch[begin:end], found[begin:end], size)
            begin = end
        return found

    def _bundle(self, shape: tuple[int, ...]) -> int:
        """How many of (n, h, w, 3) pictures go through a lane together, so that no lane is idle.

        Where only a larger number is compiled, it is taken and filled up: another graph would take
        half a second and some 200 MB.
        """
        waiting, *picture = shape
        fits = (size for size in self._bundles if size * self._lane_count <= waiting)
        ideal = next(fits, 1)
        larger = [size for size in self._bundles if size > ideal and self._has(size, picture)]
        if not larger or self._has(ideal, picture):
            return ideal
        return larger[-1]

    def _has(self, size: int, picture: Sequence[int]) -> bool:
        return (size, *picture) in self._compiled

    def _filled_up(self, batch: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        """Results of pictures that make no whole bundles; the last one fills them up."""
        missing = -len(batch) % size
        filled = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
        found = np.empty(filled.shape[:3], np.float32)
        self._run(filled, found, size)
        return found[: len(batch)]

    def _run(self, batch: NDArray[np.uint8], found: NDArray[np.float32], size: int) -> None:
        """Fill `found`; the lanes take turns, each with `size` pictures."""
        lanes = self._lanes((size, *batch.shape[1:]))
        parts = range(0, len(batch), size)
        for turn in range(len(parts) + len(lanes)):
            lane = lanes[turn % len(lanes)]
            if turn >= len(lanes) and turn - len(lanes) < len(parts):
                begin = parts[turn - len(lanes)]
                found[begin : begin + size] = _probability(lane, *batch.shape[1:3])
            if turn < len(parts):
                part = batch[parts[turn] : parts[turn] + size]
                for request in lane:
                    request.start_async({0: part}, share_inputs=True)

    def _lanes(self, shape: tuple[int, ...]) -> list[Lane]:
        """What takes pictures (n, h, w, 3) at the same time."""
        if shape not in self._compiled:
            model = self._model or _read_or_convert(self._core, self._wanted, self._path)
            model.reshape(list(shape))
            parts = [
                self._core.compile_model(_part(model, group), "CPU", self._properties)
                for group in self._groups
            ]
            # Its weights take 60 MB that the compiled graph does not need; reading is quick.
            self._model = None if self._path.is_file() else model
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


def _probability(lane: Lane, height: int, width: int) -> NDArray[np.float32]:
    """What the requests of a lane found, when they have: (n, height, width), 0..1."""
    by_size: dict[tuple[int, ...], list[NDArray[np.float32]]] = {}
    for request in lane:
        request.wait()
        for tensor in request.output_tensors:
            by_size.setdefault(tuple(tensor.shape), []).append(tensor.data)
    sums = [np.asarray(np.sum(shares, axis=0), np.float32) for shares in by_size.values()]
    logits = np.asarray(sum(_enlarged(each, height, width) for each in sums), np.float32)
    # The logistic function, in a form that no number overflows.
    probability: NDArray[np.float32] = np.tanh(logits * np.float32(0.5))
    probability *= np.float32(0.5)
    probability += np.float32(0.5)
    return probability


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which networks a graph is wanted.

    Attributes:
        models: names of weights.
        weights: folder they lie in.
        quantized: round to 8 bits.
    """

    models: tuple[str, ...]
    weights: Path
    quantized: bool = False


def _enlarged(planes: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """(n, h, w) -> (n, height, width)."""
    if planes.shape[1:] == (height, width):
        return planes
    return np.stack([resize(plane, height, width) for plane in planes])


def _read_or_convert(core: Any, wanted: Wanted, path: Path) -> Any:
    """The graph kept at a path, or made anew and, where that can be written, kept there."""
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
    _convert_elsewhere(wanted, path)
    return core.read_model(path) if path.is_file() else convert(wanted)


def _convert_elsewhere(wanted: Wanted, path: Path) -> None:
    """Convert in a process of its own: torch and the conversion take 400 MB, which end with it."""
    job = {**asdict(wanted), "weights": str(wanted.weights), "path": str(path)}
    # -P: the folder the user stands in must not lend its modules to the child.
    command = [sys.executable, "-P", "-m", __name__, json.dumps(job)]
    with contextlib.suppress(OSError):
        subprocess.run(command, capture_output=True, check=False)


def _key(wanted: Wanted) -> str:
    """Changes with the weights, their shares, and what turns them into a graph."""
    openvino = import_openvino()
    models, weights = wanted.models, wanted.weights
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
    if wanted.quantized:
        facts["ranges"] = [registry.read_ranges(name, weights) for name in models]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _prune(cache: Path) -> None:
    """Remove what no start has used for long: graphs of older weights and their compiled forms."""
    oldest = time.time() - CACHE_SECONDS
    for path in cache.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def convert(wanted: Wanted) -> Any:
    """Make OpenVINO's graph of an ensemble, with an output for each network; imports torch.

    Raises:
        WeightsError: weights are missing or damaged, or nobody measured how to round them.
    """
    from humanseg.models.ensemble import ServingApart

    ensemble = registry.load_ensemble(wanted.models, wanted.weights, quantized=wanted.quantized)
    model = graph_of(ServingApart(ensemble).eval())
    if wanted.quantized:
        from openvino.passes import ConstantFolding, Manager

        # Only where the ends of a rounding are constants does the compiler see whole numbers in it.
        manager = Manager()
        manager.register_pass(ConstantFolding())
        manager.run_passes(model)
    return model


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


def main() -> None:
    """Convert and store what the JSON object on the command line asks for."""
    job = json.loads(sys.argv[1])
    wanted = Wanted(tuple(job["models"]), Path(job["weights"]), job["quantized"])
    store(convert(wanted), Path(job["path"]))


if __name__ == "__main__":
    main()
