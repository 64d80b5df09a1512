"""MediaPipe Selfie on a folder of pictures: a grey PNG of the probability for each.

`python benchmarks/masks_usual_way.py PICTURES TARGET MODEL`, in an environment with mediapipe
0.10.21; MODEL is 0 (general, 256x256) or 1 (landscape, 256x144).
"""

import sys
from pathlib import Path

import cv2
import mediapipe as mp
import numpy as np


def main():
    pictures, target, model = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    for path in sorted(pictures.iterdir()):
        image = cv2.imread(str(path))
        # Made anew for each picture: the tool carries its mask over from one frame to the next.
        with mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=model) as selfie:
            mask = selfie.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).segmentation_mask
        grey = np.round(np.clip(mask, 0, 1) * 255).astype(np.uint8)
        cv2.imwrite(str(target / f"{path.stem}.png"), grey)


if __name__ == "__main__":
    main()
