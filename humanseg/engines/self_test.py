"""Which engine is quickest here: each is tried for a moment, once a machine, and remembered.

`python -m humanseg.engines.self_test JOB` tries engines in a process of its own, whose memory ends
with it. JOB is one JSON object; the last line of stdout is another, from names to milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

if TYPE_CHECKING:
    from humanseg.protocols import Engine, Goal

PATIENCE = 120.0
"""Seconds after which a self-test is given up: converting networks is part of it."""

SECONDS = 0.6
"""For which each engine is timed; the quickest pass counts, as others disturb the rest."""

BATCH, SIZE = 8, (128, 224)
"""What is timed: a batch of a 16:9 video."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that could run here.

    Attributes:
        library: "openvino" or "torch".
        device: "cpu", "cuda" or "mps".
        precision: "auto", "f32", "bf16", "f16", or of OpenVINO "int8".
    """

    library: str
    device: str
    precision: str = "auto"

    @property
    def name(self) -> str:
        """What would run where: "openvino cpu auto"."""
        return f"{self.library} {self.device} {self.precision}"

    @property
    def is_exact(self) -> bool:
        """Whether it leaves the networks' numbers floating."""
        return self.precision != "int8"

    def open(self, models: Sequence[str], *, threads: int, goal: Goal) -> Engine:
        """Open it.

        Raises:
            WeightsError: weights are missing or damaged.
        """
        # Asking which engines there are must not load what they run on.
        from humanseg.engines.openvino_engine import OpenVinoEngine
        from humanseg.engines.torch_engine import TorchEngine

        if self.library == "openvino":
            return OpenVinoEngine(models, threads=threads, goal=goal, precision=self.precision)
        return TorchEngine(models, device=self.device, threads=threads, precision=self.precision)


def quickest(
    candidates: Sequence[Candidate],
    models: Sequence[str],
    *,
    threads: int,
    goal: Goal,
    cache: Path | None = None,
) -> Candidate:
    """The quickest of several engines, by a test whose result is kept.

    Args:
        candidates: the likeliest first, which is taken where nothing can be measured or kept.
        models: names of weights.
        threads: of the processor.
        goal: one picture soon, or many in all.
        cache: folder; None takes the user's cache folder.
    """
    if len(candidates) == 1:
        return candidates[0]
    # One network tells as much as four, in a quarter of the time.
    models = models[:1]
    folder = cache or platformdirs.user_cache_path("humanseg")
    path = folder / "engines.json"
    key = _key(candidates, models, threads, goal)
    known = _read(path)
    times = known.get(key)
    if not isinstance(times, dict):
        if not _is_writable(folder):
            return candidates[0]
        times = measure(candidates, models, threads=threads, goal=goal)
        # An empty result is kept, too: what fails once would fail at every start.
        _write(path, {**_read(path), key: times})
    return min(candidates, key=lambda candidate: times.get(candidate.name, float("inf")))


def measure(
    candidates: Sequence[Candidate], models: Sequence[str], *, threads: int, goal: Goal
) -> dict[str, float]:
    """Milliseconds a picture of each engine that runs, by its name; empty where the test fails."""
    job = {
        "candidates": [asdict(candidate) for candidate in candidates],
        "models": list(models),
        "threads": threads,
        "goal": goal,
    }
    # -P: the folder the user stands in must not lend its modules to the child.
    command = [sys.executable, "-P", "-m", __name__, json.dumps(job)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, IndexError, ValueError):
        return {}
    return found


def time_engine(engine: Engine, seconds: float = SECONDS) -> float:
    """Milliseconds a picture, of the quickest of some passes after a first one."""
    import numpy as np

    batch = np.random.default_rng(0).integers(0, 255, (BATCH, *SIZE, 3), np.uint8)
    engine.infer(batch)
    best, ends = float("inf"), time.perf_counter() + seconds
    while True:
        began = time.perf_counter()
        engine.infer(batch)
        now = time.perf_counter()
        best = min(best, now - began)
        if now >= ends:
            return best / BATCH * 1000


def _key(candidates: Sequence[Candidate], models: Sequence[str], threads: int, goal: str) -> str:
    """Changes with the machine, the libraries and the networks."""
    from humanseg.models import registry

    facts: dict[str, Any] = {
        "processor": [platform.machine(), _processor(), os.cpu_count()],
        "versions": [_version("torch"), _version("openvino")],
        "weights": [registry.read_card(name).sha256 for name in models],
        "candidates": [candidate.name for candidate in candidates],
        "threads": threads,
        "goal": goal,
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_writable(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder.is_dir() and os.access(folder, os.W_OK)


def _write(path: Path, known: dict[str, Any]) -> None:
    partial = path.with_name(f"{os.getpid()}-{path.name}")
    with contextlib.suppress(OSError):
        partial.write_text(json.dumps(known))
        os.replace(partial, path)


def main() -> None:
    """Time the engines of the job on the command line and print what they take."""
    from humanseg.engines.openvino_graphs import Wanted, keep

    job = json.loads(sys.argv[1])
    times: dict[str, float] = {}
    for fields in job["candidates"]:
        candidate = Candidate(**fields)
        # One that cannot run here is no candidate; why does not matter to the others.
        with contextlib.suppress(Exception):
            if candidate.library == "openvino":
                # Not in a process for each: torch is to be loaded here in any case.
                keep(Wanted(tuple(job["models"]), quantized=not candidate.is_exact))
            with candidate.open(job["models"], threads=job["threads"], goal=job["goal"]) as engine:
                times[candidate.name] = time_engine(engine)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
