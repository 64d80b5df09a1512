"""Networks run by torch: on the processor, on CUDA, or on Apple's MPS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from humanseg.closing import Closing
from humanseg.models import registry

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively, about twice as fast as float32."""
    import torch

    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, test, lambda: False)() for test in tests)


class TorchEngine(Closing):
    """Batch norms folded, channels_last, and half-size numbers where the device is built for them.

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
        self._name = f"torch {device} {precision}"

    @property
    def name(self) -> str:
        """What runs where."""
        return self._name

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (N, h, w) float32 of a batch (N, h, w, 3) uint8 BGR."""
        import torch

        with torch.inference_mode():
            # torch wants arrays it could write to, though it never does.
            writable = np.require(batch, requirements="W")
            probability = self._serving(self._upload(torch.from_numpy(writable)))
            result: NDArray[np.float32] = probability.cpu().numpy()
        return result

    def _upload(self, batch: torch.Tensor) -> torch.Tensor:
        if self._device.type == "cuda":
            return batch.pin_memory().to(self._device, non_blocking=True)
        return batch.to(self._device)

    def close(self) -> None:
        """Give back the networks' memory."""
        self._serving = None


def _best_precision(device: str) -> str:
    if device == "cuda":
        return "f16"
    return "bf16" if device == "cpu" and has_bfloat16() else "f32"
