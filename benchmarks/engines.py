"""How long each engine takes for a frame: `python benchmarks/engines.py`."""

import statistics
import time

import numpy as np

from humanseg.engines.choose import has_openvino
from humanseg.engines.openvino_engine import OpenVinoEngine
from humanseg.engines.torch_engine import TorchEngine
from humanseg.settings import ENSEMBLE

BATCH = 4
SIZE = (128, 224)
WARM_UP = 3
ROUNDS = 15
THREADS = 2


def engines():
    for precision in ("bf16", "f32"):
        if has_openvino():
            yield OpenVinoEngine(ENSEMBLE, threads=THREADS, precision=precision)
        yield TorchEngine(ENSEMBLE, device="cpu", threads=THREADS, precision=precision)


def milliseconds(engine, batch):
    for _ in range(WARM_UP):
        engine.infer(batch)
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        engine.infer(batch)
        times.append((time.perf_counter() - begin) / BATCH * 1000)
    return statistics.median(times)


def main():
    batch = np.random.default_rng(0).integers(0, 255, (BATCH, *SIZE, 3), np.uint8)
    for engine in engines():
        with engine:
            print(f"{engine.name:20} {milliseconds(engine, batch):6.1f} ms a frame")


if __name__ == "__main__":
    main()
