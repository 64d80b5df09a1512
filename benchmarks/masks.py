"""How good the presets' masks are, beside MediaPipe Selfie's on the same pictures.

`python benchmarks/masks.py PICTURES MASKS [--rival PYTHON] [--presets A,B]`, where PYTHON is that
of an environment with mediapipe 0.10.21. Dice and boundary F are means over the pictures, at
threshold 0.5 and in the pictures' own size.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from humanseg_training.config import DataSet
from humanseg_training.data import read_mask
from humanseg_training.evaluate import Tally, read_truths, score
from humanseg_training.predict import preset_predictor

HERE = Path(__file__).parent
RIVALS = {"MediaPipe Selfie, general": 0, "MediaPipe Selfie, landscape": 1}


def rival_scores(python, pictures, truths, model):
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(HERE / "masks_usual_way.py"), str(pictures), folder, str(model)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        tally = Tally()
        for name, truth in zip(truths.names, truths.masks, strict=True):
            tally.add(
                name, read_mask(Path(folder) / f"{Path(name).stem}.png") / np.float32(255), truth
            )
    return tally.scores()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--rival", metavar="PYTHON")
    parser.add_argument("--presets", default="fast,balanced,best")
    chosen = parser.parse_args()
    truths = read_truths(Path(), DataSet(str(chosen.pictures), str(chosen.masks)))
    rows = {name: score(truths, preset_predictor(name)) for name in chosen.presets.split(",")}
    if chosen.rival:
        for name, model in RIVALS.items():
            rows[name] = rival_scores(chosen.rival, chosen.pictures, truths, model)
    title = f"{len(truths.names)} pictures"
    print(f"{title:32} {'mean Dice':>10} {'pooled Dice':>12} {'boundary F':>11}")
    for name, found in rows.items():
        print(f"{name:32} {found.dice:10.4f} {found.pooled_dice:12.4f} {found.boundary_f:11.4f}")


if __name__ == "__main__":
    main()
