"""MediaPipe Selfie on a folder of pictures: a grey PNG of the probability for each.

`python benchmarks/masks_usual_way.py PICTURES TARGET MODEL [--video]`, in an environment with
mediapipe 0.10.21; MODEL is 0 (general, 256x256) or 1 (landscape, 256x144). The tool carries its
mask over from one picture to the next: it is made anew for each unless they are a video's frames.
"""

import sys
from pathlib import Path

import cv2
import mediapipe as mp
import numpy as np


def open_model(model):
    return mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=model)


def main():
    pictures, target, model = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    video = sys.argv[4:] == ["--video"]
    selfie = open_model(model)
    for path in sorted(pictures.iterdir()):
        image = cv2.imread(str(path))
        mask = selfie.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).segmentation_mask
        grey = np.round(np.clip(mask, 0, 1) * 255).astype(np.uint8)
        cv2.imwrite(str(target / f"{path.stem}.png"), grey)
        if not video:
            selfie.close()
            selfie = open_model(model)
    selfie.close()


if __name__ == "__main__":
    main()
