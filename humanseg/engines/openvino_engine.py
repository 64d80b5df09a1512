"""Networks run by OpenVINO on the processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from humanseg.closing import Closing
from humanseg.engines.openvino_graphs import Graphs, Wanted, usual_folder
from humanseg.models import registry
from humanseg.pixels import resize
from humanseg.protocols import Goal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Lane = list[Any]
    """Requests that answer for one picture together, each for a part of the networks."""

BUNDLES = (4, 2, 1)
"""Pictures that may go through a graph together, the largest number first."""


class OpenVinoEngine(Closing):
    """Graphs of an ensemble's networks, compiled once for every size of picture they meet.

    The networks are dealt out to the threads: layers as small as these lose more time where two
    threads meet after each of them than two threads save. For latency each thread has its share of
    them. For throughput two have, and pairs of threads take several pictures at once where that
    many wait: all weights go through a cache for each bundle, not for each picture, and are there
    once a pair. Fixed shapes are measurably faster than dynamic ones, and a video has only one. The
    graph is kept in the user's cache folder: converting it anew takes seconds and all of torch.
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
        wanted = Wanted(tuple(models), weights, quantized=precision == "int8")
        self._graphs = Graphs(wanted, cache or usual_folder())
        together = threads if goal == "latency" else 2 - threads % 2
        self._groups = dealt_out(_by_cost(models, weights), together)
        of_each = threads // len(self._groups)
        self._streams = of_each if goal == "throughput" else 1
        self._bundles = BUNDLES if goal == "throughput" else (1,)
        self._properties: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": of_each,
            "NUM_STREAMS": self._streams,
            "PERFORMANCE_HINT": goal.upper(),
            # Graphs that know nothing of each other would be bound to the same cores.
            "ENABLE_CPU_PINNING": goal == "throughput" and len(self._groups) == 1,
        }
        if precision not in ("auto", "int8"):
            self._properties["INFERENCE_PRECISION_HINT"] = precision
        chosen = precision
        if precision == "auto":
            chosen = "bf16" if "BF16" in self._graphs.abilities else "f32"
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
            if len(rest) < size * self._streams:
                found[begin:] = self._filled_up(rest, size)
                break
            end = begin + len(rest) // size * size
            self._run(batch[begin:end], found[begin:end], size)
            begin = end
        return found

    def _bundle(self, shape: tuple[int, ...]) -> int:
        """How many of (n, h, w, 3) pictures go through a lane together, so that no stream is idle.

        Where only a larger number is compiled, it is taken and filled up: another graph would take
        a third of a second, and memory.
        """
        waiting, *picture = shape
        fits = (size for size in self._bundles if size * self._streams <= waiting)
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
            parts = self._graphs.compiled(shape, self._groups, self._properties)
            # Where groups run side by side, one more lane spares the quicker one the wait.
            count = self._streams + (len(parts) > 1 and self._bundles != (1,))
            self._compiled[shape] = [
                [part.create_infer_request() for part in parts] for _ in range(count)
            ]
        return self._compiled[shape]

    def close(self) -> None:
        """Give back the compiled graphs."""
        self._compiled.clear()


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


def _enlarged(planes: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """(n, h, w) -> (n, height, width)."""
    if planes.shape[1:] == (height, width):
        return planes
    return np.stack([resize(plane, height, width) for plane in planes])
