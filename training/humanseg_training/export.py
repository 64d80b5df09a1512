"""Networks as ONNX, TorchScript or OpenVINO files, each checked against torch."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from humanseg.engines.openvino_graphs import graph_of, import_openvino
from humanseg.errors import MissingExtraError, OutputError, SinkError
from humanseg.models import registry
from humanseg.models.ensemble import Serving

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Infer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

ENDINGS = {"onnx": ".onnx", "torchscript": ".pt", "openvino": ".xml"}

TOLERANCE = 1e-3
"""Largest difference of a probability (0..1) from torch's in float32; a grey level is 4e-3."""

CHECKED_SHAPES = ((1, 192, 144), (2, 128, 224), (1, 160, 160))
"""Batches (n, h, w) that the written file must agree on; none is the shape it was made with."""

EXAMPLE_SHAPE = (1, 96, 128, 3)
INPUT, OUTPUT = "picture", "probability"
OPSET = 17


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        path: of the file; OpenVINO's weights lie beside it, ending in .bin.
        difference: largest one from torch's probabilities.
        checked_with: what ran the file.
    """

    path: Path
    difference: float
    checked_with: str


def export(names: Sequence[str], folder: Path, form: str, path: Path) -> Exported:
    """Write one graph of a network or an ensemble, after checking that it gives torch's masks.

    The graph takes (n, h, w, 3) uint8 BGR, any n, h and w a multiple of 16, and gives (n, h, w)
    float32 0..1, the probability of a person.

    Args:
        names: of the weights; several are one ensemble.
        folder: of the weights.
        form: "onnx", "torchscript" or "openvino".
        path: of the file.

    Raises:
        MissingExtraError: a package that writing or checking takes is not installed.
        WeightsError: weights are missing or damaged.
        OutputError: the file differs from torch by more than TOLERANCE, or cannot be written.
    """
    serving = Serving(registry.load_ensemble(names, folder)).eval()
    write, open_file = _WAYS[form]
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / f"graph{ENDINGS[form]}"
        with torch.inference_mode(), warnings.catch_warnings():
            # torch calls tracing deprecated; what replaces it fixes the sizes of the picture.
            warnings.simplefilter("ignore")
            write(serving, made)
            infer, checked_with = open_file(made)
        difference = _difference(serving, infer)
        if not difference <= TOLERANCE:
            raise OutputError(
                f"gives masks that differ from torch's by {difference:.4f}",
                subject=path,
                hint=f"at most {TOLERANCE:g} is right; nothing was written",
            )
        _place(made, path)
    return Exported(path, difference, checked_with)


def _difference(serving: Serving, infer: Infer) -> float:
    """Largest one over pictures of noise and of soft shapes, in several sizes."""
    worst = 0.0
    random = np.random.default_rng(0)
    for n, height, width in CHECKED_SHAPES:
        coarse = random.integers(0, 256, (n, height // 16, width // 16, 3), np.uint8)
        soft = coarse.repeat(16, axis=1).repeat(16, axis=2)
        noise = random.integers(0, 256, soft.shape, np.uint8)
        for batch in (soft, noise):
            with torch.inference_mode():
                expected = serving(torch.from_numpy(batch)).numpy()
            worst = max(worst, float(np.abs(infer(batch) - expected).max()))
    return worst


def _place(made: Path, path: Path) -> None:
    """Move the finished files to their place; the graph last, so that it has its weights."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        weights = made.with_suffix(".bin")
        for source, target in ((weights, path.with_suffix(".bin")), (made, path)):
            if source.exists():
                partial = target.with_name(target.name + ".part")
                shutil.copyfile(source, partial)
                os.replace(partial, target)
    except OSError as error:
        raise SinkError(f"cannot be written: {error.strerror}", subject=path) from error


def _write_torchscript(serving: Serving, path: Path) -> None:
    torch.jit.trace(serving, _example(), check_trace=False).save(str(path))  # type: ignore[no-untyped-call]


def _open_torchscript(path: Path) -> tuple[Infer, str]:
    graph = torch.jit.load(str(path))  # type: ignore[no-untyped-call]

    def infer(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        # Optimising for a shape that is met once takes minutes.
        with torch.inference_mode(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            return np.asarray(graph(torch.from_numpy(batch)).numpy())

    return infer, f"TorchScript in torch {torch.__version__}"


def _write_openvino(serving: Serving, path: Path) -> None:
    openvino = _openvino()
    model = graph_of(serving)
    model.inputs[0].get_tensor().set_names({INPUT})
    model.outputs[0].get_tensor().set_names({OUTPUT})
    openvino.save_model(model, path, compress_to_fp16=False)


def _open_openvino(path: Path) -> tuple[Infer, str]:
    openvino = _openvino()
    core = openvino.Core()
    # The file is what is checked, not this processor's faster, coarser arithmetic.
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def infer(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array(compiled(batch)[0])

    return infer, f"OpenVINO {openvino.__version__.split('-')[0]}"


def _openvino() -> Any:
    try:
        openvino = import_openvino()
    except ImportError as error:
        raise MissingExtraError(
            "OpenVINO is not installed", subject="openvino", hint="pip install 'humanseg[openvino]'"
        ) from error
    return openvino


def _write_onnx(serving: Serving, path: Path) -> None:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError(
            "ONNX is not installed", subject="onnx", hint="pip install 'humanseg[export]'"
        ) from error
    axes = {0: "n", 1: "height", 2: "width"}
    torch.onnx.export(
        serving,
        (_example(),),
        str(path),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={INPUT: axes, OUTPUT: axes},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(str(path))


def _open_onnx(path: Path) -> tuple[Infer, str]:
    """Run the file by whatever is there: onnxruntime, OpenVINO, or ONNX's own slow reference."""
    try:
        import onnxruntime
    except ImportError:
        pass
    else:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        checked_with = f"onnxruntime {onnxruntime.__version__}"
        return (lambda batch: session.run(None, {INPUT: batch})[0]), checked_with
    try:
        return _open_openvino(path)
    except MissingExtraError:
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(str(path))

        def infer(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
            outputs: Any = evaluator.run(None, {INPUT: batch})
            return np.asarray(outputs[0])

        return infer, "ONNX's reference evaluator"


def _example() -> torch.Tensor:
    return torch.zeros(EXAMPLE_SHAPE, dtype=torch.uint8)


_WAYS: dict[str, tuple[Callable[[Serving, Path], None], Callable[[Path], tuple[Infer, str]]]] = {
    "onnx": (_write_onnx, _open_onnx),
    "torchscript": (_write_torchscript, _open_torchscript),
    "openvino": (_write_openvino, _open_openvino),
}
