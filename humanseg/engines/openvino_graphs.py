"""Graphs of networks for OpenVINO: converted once, compiled once a size, kept for later starts.

`python -m humanseg.engines.openvino_graphs JOB` converts in a process of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from humanseg.models import registry

CACHE_SECONDS = 30 * 24 * 3600

GRAPH_REVISION = 3
"""Counts changes of the networks and of what serves them; older cached graphs are unused."""

DIGEST_BYTES = 32
"""Of the SHA-256 that a compiled graph's file begins with."""


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which networks a graph is wanted.

    Attributes:
        models: names of weights.
        weights: folder they lie in.
        quantized: round to 8 bits.
    """

    models: tuple[str, ...]
    weights: Path = registry.WEIGHTS_FOLDER
    quantized: bool = False


class Graphs:
    """The graph of an ensemble's networks, and what is compiled of it.

    Both are kept in a folder. What is compiled is read back without the graph it came from, which
    halves the time of a start; the machine, the library and the size are in its name, and it
    begins with its own checksum.
    """

    def __init__(self, wanted: Wanted, folder: Path) -> None:
        """See to it that there is a graph.

        Args:
            wanted: networks.
            folder: where graphs are kept; where nothing can be written, they are not.

        Raises:
            WeightsError: weights are missing or damaged, or nobody measured how to round them.
        """
        self._core = import_openvino().Core()
        self._wanted, self._folder = wanted, folder
        self._key = _key(wanted)
        self._path = folder / f"{self._key}.xml"
        self._model: Any | None = None
        if not _touched(self._path, self._path.with_suffix(".bin")):
            self._make()

    @property
    def abilities(self) -> Sequence[str]:
        """What OpenVINO computes quickly on this processor: "FP32", "BF16", "INT8" and more."""
        return list(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))

    def compiled(
        self, shape: Sequence[int], groups: Sequence[Sequence[int]], properties: Mapping[str, Any]
    ) -> list[Any]:
        """The networks in groups, each ready to run.

        Args:
            shape: (n, h, w, 3) of the pictures.
            groups: numbers of the networks.
            properties: of OpenVINO.
        """
        paths = [
            self._folder / f"{self._key}-{self._variant(shape, group, properties)}.blob"
            for group in groups
        ]
        with ThreadPoolExecutor(len(groups)) as pool:
            found = list(pool.map(lambda path: self._imported(path, properties), paths))
        if all(found):
            return found
        model = self._model or self._read()
        model.reshape(list(shape))
        return [
            graph or self._compile(_part(model, group), properties, path)
            for graph, group, path in zip(found, groups, paths, strict=True)
        ]

    def _imported(self, path: Path, properties: Mapping[str, Any]) -> Any | None:
        """What an earlier start compiled, if it is there and OpenVINO takes it."""
        if (known := _read_compiled(path)) is not None:
            with contextlib.suppress(RuntimeError):
                return self._core.import_model(known, "CPU", dict(properties))
        return None

    def _compile(self, part: Any, properties: Mapping[str, Any], path: Path) -> Any:
        compiled = self._core.compile_model(part, "CPU", dict(properties))
        if self._model is None:
            _write_compiled(path, compiled)
        return compiled

    def _variant(
        self, shape: Sequence[int], group: Sequence[int], properties: Mapping[str, Any]
    ) -> str:
        """Changes with whatever a compiled graph is made for."""
        machine = [self._core.get_property("CPU", "FULL_DEVICE_NAME"), *sorted(self.abilities)]
        facts = [machine, list(shape), list(group), dict(properties)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def _read(self) -> Any:
        try:
            return self._core.read_model(self._path)
        except RuntimeError:
            # A cached graph that cannot be read is only a cache miss.
            with contextlib.suppress(OSError):
                self._path.unlink()
        self._make()
        return self._model or self._core.read_model(self._path)

    def _make(self) -> None:
        """Convert the networks; the graph is held where it cannot be kept."""
        _convert_elsewhere(self._wanted, self._path)
        if not self._path.is_file():
            self._model = convert(self._wanted)


def _part(model: Any, numbers: Sequence[int]) -> Any:
    """The graph of some of the networks."""
    part = model.clone()
    for number, result in enumerate(list(part.get_results())):
        if number not in numbers:
            part.remove_result(result)
    return part


def _touched(*paths: Path) -> bool:
    """Whether files are there; what is used is not removed as old."""
    if not all(path.is_file() for path in paths):
        return False
    for path in paths:
        with contextlib.suppress(OSError):
            os.utime(path)
    return True


def _read_compiled(path: Path) -> bytes | None:
    """What was compiled, if it is there and whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    compiled = content[DIGEST_BYTES:]
    if hashlib.sha256(compiled).digest() != content[:DIGEST_BYTES]:
        return None
    _touched(path)
    return compiled


def _write_compiled(path: Path, compiled: Any) -> None:
    content = compiled.export_model().getvalue()
    partial = path.with_name(f"{os.getpid()}-{path.name}")
    with contextlib.suppress(OSError):
        partial.write_bytes(hashlib.sha256(content).digest() + content)
        os.replace(partial, path)


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
        serving: a module, ready for inference; its parameters are constants from now on.
        example: tensors that another module takes; one picture when None.

    By the front end, since `openvino.convert_model` reports each conversion to Google Analytics
    where a program has imported OpenVINO before us.
    """
    import torch

    import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    serving.requires_grad_(False)
    inputs = example or (torch.zeros(1, 32, 32, 3, dtype=torch.uint8),)
    with torch.inference_mode(), warnings.catch_warnings():
        # OpenVINO traces the graph, which torch calls deprecated; exporting it fixes its sizes.
        warnings.simplefilter("ignore")
        # Of a function, since a trace of the modules visits thousands of them, for seconds.
        trace: Any = torch.jit.trace
        traced = trace(lambda *tensors: serving(*tensors), inputs, check_trace=False)
        # The graph keeps weights of its own: torch's may end before it does.
        decoder = TorchScriptPythonDecoder(traced, shared_memory=False)
        front_end = FrontEndManager().load_by_framework("pytorch")
        return front_end.convert(front_end.load(decoder))


def keep(wanted: Wanted, folder: Path | None = None) -> None:
    """Convert in this process what is not yet kept: for one that ends soon, or has torch anyway.

    Raises:
        WeightsError: weights are missing or damaged, or nobody measured how to round them.
        OSError: the folder cannot be made or written.
    """
    path = (folder or usual_folder()) / f"{_key(wanted)}.xml"
    if not path.is_file():
        store(convert(wanted), path)


def usual_folder() -> Path:
    """Where graphs are kept unless another folder is named."""
    return platformdirs.user_cache_path("humanseg") / "openvino"


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
