"""Networks run by OpenVINO on the processor."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from humanseg.models import registry

if TYPE_CHECKING:
    from numpy.typing import NDArray


class OpenVinoEngine:
    """One graph for the whole ensemble, compiled once for every shape of batch it meets.

    Fixed shapes are measurably faster than dynamic ones, and a video has only one.
    """

    def __init__(self, models: Sequence[str], *, threads: int, precision: str = "auto") -> None:
        """Convert the models.

        Args:
            models: names of weights.
            threads: of the processor.
            precision: "f32", "bf16", or "auto" for what OpenVINO holds best on this processor.

        Raises:
            WeightsError: weights are missing or damaged.
        """
        import openvino
        import torch

        from humanseg.models.ensemble import Serving

        serving = Serving(registry.load_ensemble(models)).eval()
        example = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
        with torch.inference_mode():
            self._model = openvino.convert_model(serving, example_input=example)
        self._core = openvino.Core()
        self._properties: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if precision != "auto":
            self._properties["INFERENCE_PRECISION_HINT"] = precision
        chosen = precision if precision != "auto" else self._default_precision()
        self._name = f"openvino cpu {chosen}"
        self._compiled: dict[tuple[int, ...], Any] = {}

    @property
    def name(self) -> str:
        """What runs where."""
        return self._name

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (N, h, w) float32 of a batch (N, h, w, 3) uint8 BGR."""
        if batch.shape not in self._compiled:
            self._model.reshape(list(batch.shape))
            self._compiled[batch.shape] = self._core.compile_model(
                self._model, "CPU", self._properties
            ).create_infer_request()
        request = self._compiled[batch.shape]
        request.infer({0: batch}, share_inputs=True)
        return np.array(request.get_output_tensor(0).data)

    def close(self) -> None:
        """Give back the compiled graphs."""
        self._compiled.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _default_precision(self) -> str:
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if "BF16" in capabilities else "f32"
