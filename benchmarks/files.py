"""Speed on files beside plain decoding and encoding and the usual script, in one run.

`python benchmarks/files.py CLIP [--rival PYTHON] [--rounds N]`, where PYTHON is that of an
environment with av and mediapipe 0.10.21. All take turns; each runs in a process of its own with
the same encoder and its settings; what is printed are medians, and of the ratios to its neighbours
in time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
KINDS = ("codec", "fast", "balanced", "usual")


def run(kind, clip, target, rival):
    if kind == "usual":
        command = [rival, str(HERE / "file_usual_way.py"), clip, target]
    else:
        job = {"kind": kind, "source": clip, "target": target}
        job |= {"device": "auto", "engine": "auto", "threads": None}
        command = [sys.executable, "-m", "humanseg_cli.bench_child", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"] / found["frames"] * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip")
    parser.add_argument("--rival")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    kinds = [kind for kind in KINDS if kind != "usual" or chosen.rival]
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.rounds):
            targets = {kind: str(Path(folder) / f"{kind}-{number}.mp4") for kind in kinds}
            rounds.append({k: run(k, chosen.clip, targets[k], chosen.rival) for k in kinds})
            print(f"round {number + 1} of {chosen.rounds}", rounds[-1], file=sys.stderr, flush=True)
    print(f"{'':10} {'ms a frame':>10} {'x codec':>8}" + f" {'usual x':>8}" * bool(chosen.rival))
    for kind in kinds:
        line = f"{kind:10} {statistics.median(one[kind] for one in rounds):10.1f}"
        line += f" {statistics.median(one[kind] / one['codec'] for one in rounds):8.2f}"
        if chosen.rival:
            line += f" {statistics.median(one['usual'] / one[kind] for one in rounds):8.2f}"
        print(line)


if __name__ == "__main__":
    main()
