"""Speed on files beside plain decoding and encoding, and beside rivals, in one run.

`python benchmarks/files.py CLIP [--rival PYTHON] [--recurrent] [--rounds N]`, where PYTHON is that
of an environment with av and mediapipe 0.10.21; `--recurrent` adds a network of the size of Robust
Video Matting's, run by OpenVINO. All take turns; each runs in a process of its own with the same
encoder and its settings; what is printed are medians, and of the ratios to its neighbours in time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
OURS = ("codec", "fast", "balanced")


def commands(clip, rival, recurrent):
    """What runs, by its name, without the file that it writes."""
    found = {}
    for kind in OURS:
        job = {"kind": kind, "source": clip, "device": "auto", "engine": "auto", "threads": None}
        found[kind] = [sys.executable, "-m", "humanseg_cli.bench_child", job]
    if rival:
        found["usual"] = [rival, str(HERE / "file_usual_way.py"), clip]
    if recurrent:
        found["recurrent"] = [sys.executable, str(HERE / "file_recurrent.py"), clip]
    return found


def run(command, target):
    *words, last = command
    if isinstance(last, dict):
        words.append(json.dumps({**last, "target": target}))
    else:
        words += [last, target]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if "error" in found:
        raise SystemExit(f"{words[-1]}: {found['error']['what']}")
    return {**found, "milliseconds": found["seconds"] / found["frames"] * 1000}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip")
    parser.add_argument("--rival", metavar="PYTHON")
    parser.add_argument("--recurrent", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    kinds = commands(chosen.clip, chosen.rival, chosen.recurrent)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.rounds):
            rounds.append({})
            for kind, command in kinds.items():
                found = run(command, str(Path(folder) / f"{kind}-{number}.mp4"))
                rounds[-1][kind] = found
                print(
                    f"round {number + 1} of {chosen.rounds}, {kind}: {found['milliseconds']:.1f}",
                    file=sys.stderr,
                    flush=True,
                )

    def median(kind, beside=None):
        return statistics.median(
            one[kind]["milliseconds"] / (one[beside]["milliseconds"] if beside else 1)
            for one in rounds
        )

    rivals = [kind for kind in kinds if kind not in OURS]
    titles = "".join(f" {name + ' takes':>16}" for name in rivals)
    print(f"{'medians':10} {'ms a frame':>10} {'x codec':>8}{titles}")
    for kind in kinds:
        beside = "".join(f" {median(rival, kind):14.2f} x" for rival in rivals)
        print(f"{kind:10} {median(kind):10.1f} {median(kind, 'codec'):8.2f}{beside}")
    if chosen.recurrent:
        found = [one["recurrent"] for one in rounds]
        inside = statistics.median(one["network_seconds"] / one["frames"] for one in found)
        print(
            f"recurrent: {found[0]['parameters'] / 1e6:.3f} M parameters, "
            f"{found[0]['multiplications'] / 1e9:.2f} G multiplications a frame, "
            f"{inside * 1000:.1f} ms of its time in the network"
        )


if __name__ == "__main__":
    main()
