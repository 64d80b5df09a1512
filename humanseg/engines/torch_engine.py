"""Networks run by torch: on the processor, on CUDA, or on Apple's MPS."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from humanseg.closing import Closing
from humanseg.models import registry

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Recorded = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

WARM_UPS = 3
"""Runs before a graph is recorded, in which libraries choose their ways and take their memory."""

RUNS_BEFORE_FREEZING = 8
"""Batches of one shape after which it is worth a second to have all the others of it go quicker."""


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively, about twice as fast as float32."""
    import torch

    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, test, lambda: False)() for test in tests)


class TorchEngine(Closing):
    """Batch norms folded, channels_last, and half-size numbers where the device is built for them.

    On a processor, networks that see one shape of batch again and again are frozen into a graph.

    The CUDA and MPS paths follow torch's documentation; they were never run by the authors.
    """

    def __init__(
        self,
        models: Sequence[str],
        *,
        device: str,
        threads: int,
        precision: str = "auto",
        weights: Path = registry.WEIGHTS_FOLDER,
    ) -> None:
        """Load the models onto a device.

        Args:
            models: names of weights.
            device: "cpu", "cuda" or "mps".
            threads: of the processor.
            precision: "f32", "bf16" (processor), "f16" (CUDA), or "auto" for the device's best.
            weights: folder they lie in.

        Raises:
            WeightsError: weights are missing or damaged.
        """
        import torch

        from humanseg.models.ensemble import Serving, fuse_batch_norm

        if precision == "auto":
            precision = _best_precision(device)
        types = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
        torch.set_num_threads(threads)
        fused = fuse_batch_norm(registry.load_ensemble(models, weights))
        serving = Serving(fused, types[precision]).eval()
        self._serving = serving.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = torch.device(device)
        self._recorded: dict[tuple[int, ...], Recorded] = {}
        self._record: Callable[[Any, tuple[int, ...]], Recorded] = RecordedRun
        self._frozen: dict[tuple[int, ...], Any] = {}
        self._runs: Counter[tuple[int, ...]] = Counter()
        self._name = f"torch {device} {precision}"

    @property
    def name(self) -> str:
        """What runs where."""
        return self._name

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (N, h, w) float32 of a batch (N, h, w, 3) uint8 BGR."""
        import torch

        with torch.inference_mode():
            if self._device.type == "cuda":
                return self._replay(batch)
            # torch wants arrays it could write to, though it never does.
            images = torch.from_numpy(np.require(batch, requirements="W")).to(self._device)
            probability = self._network_for(images)(images)
            result: NDArray[np.float32] = probability.cpu().numpy()
        return result

    def _network_for(self, images: Tensor) -> Any:
        """The networks as they are, or frozen for this shape of batch."""
        shape = tuple(images.shape)
        if self._device.type != "cpu" or shape in self._frozen:
            return self._frozen.get(shape, self._serving)
        self._runs[shape] += 1
        if self._runs[shape] <= RUNS_BEFORE_FREEZING:
            return self._serving
        self._frozen[shape] = _freeze(self._serving, images)
        return self._frozen[shape]

    def _replay(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run a recorded graph; batches are padded to few sizes, each of which is recorded once."""
        shape = (padded(len(batch)), *batch.shape[1:])
        if shape not in self._recorded:
            self._recorded[shape] = self._record(self._serving, shape)
        return self._recorded[shape](batch)

    def close(self) -> None:
        """Give back the networks' memory."""
        self._recorded.clear()
        self._frozen.clear()
        self._serving = None


def _freeze(serving: Any, images: Tensor) -> Any:
    """The same networks as a graph without attributes, for images of one shape.

    Source: torch.jit.freeze in torch's documentation. torch calls it deprecated; its successors
    compile for minutes, or call a C++ compiler that users do not have.
    """
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = torch.jit.trace(serving, images.clone(), check_trace=False)  # type: ignore[no-untyped-call]
        return torch.jit.freeze(graph)


class RecordedRun:
    """One shape of batch on CUDA: pinned memory there and back, and a graph between.

    Without the graph every layer is started by the processor, which takes longer than the layer
    itself at this size. Only masks at the networks' size come back.

    Source: torch.cuda.CUDAGraph in torch's documentation. Never run by the authors.
    """

    def __init__(self, serving: Any, shape: tuple[int, ...]) -> None:
        """Record the networks for batches (N, h, w, 3)."""
        import torch

        self._host = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        self._batch = torch.empty(shape, dtype=torch.uint8, device="cuda")
        self._batch.zero_()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                serving(self._batch)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._found = serving(self._batch)
        self._masks = torch.empty(shape[:3], dtype=torch.float32, pin_memory=True)

    def __call__(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities of a batch that may be smaller than the one recorded."""
        import torch

        count = len(batch)
        self._host.numpy()[:count] = batch
        self._batch.copy_(self._host, non_blocking=True)
        self._graph.replay()
        self._masks.copy_(self._found, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        found: NDArray[np.float32] = self._masks.numpy()[:count].copy()
        return found


def padded(count: int) -> int:
    """The size of batch that is recorded for so many pictures: the next power of two.

    >>> [padded(count) for count in (1, 2, 3, 5)]
    [1, 2, 4, 8]
    """
    return 1 << (count - 1).bit_length()


def _best_precision(device: str) -> str:
    if device == "cuda":
        return "f16"
    return "bf16" if device == "cpu" and has_bfloat16() else "f32"
