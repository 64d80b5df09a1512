"""Ways to enlarge a mask along a picture's edges, by boundary F and time of one thread.

`python benchmarks/upsampling.py [--preset NAME] [--step N]`: masks of the sample clip, enlarged to
half its size, against its exact alpha. The unsure band is all that differs: what is surely inside
or outside is the same for all.
"""

import argparse
import statistics
import time
from pathlib import Path

import cv2
import numpy as np

from humanseg.guided_filter import guided_upsample, guided_upsample_colour
from humanseg.metrics import boundary_f, dice
from humanseg.pixels import resize
from humanseg.refine import RefineOptions, remove_specks, shape_alpha
from humanseg.segmenter import Segmenter
from humanseg.sources.video_file import VideoFileSource

SAMPLES = Path(__file__).parent.parent / "samples"
SIZE = (360, 640)
OPTIONS = RefineOptions()
BAND = (0.02, 0.98)
GREY_EPSILON = 1e-3


def bilinear(mask, image):
    return resize(mask, *SIZE)


def guided_grey(mask, image):
    guide = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) * np.float32(1 / 255)
    return guided_upsample(mask, guide, radius=OPTIONS.radius, epsilon=GREY_EPSILON)


def guided_colour(mask, image):
    guide = cv2.split(image)
    return guided_upsample_colour(mask, guide, radius=OPTIONS.radius, epsilon=OPTIONS.epsilon)


def joint_bilateral(mask, image):
    """Means of the mask's pixels around, weighted by nearness and by likeness of luma; band only.

    Source: Kopf et al., "Joint Bilateral Upsampling", SIGGRAPH 2007.
    """
    large = resize(mask, *SIZE)
    rows, columns = np.nonzero((large > BAND[0]) & (large < BAND[1]))
    luma = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    small = resize(luma, *mask.shape)
    at_row = (rows + 0.5) * mask.shape[0] / SIZE[0] - 0.5
    at_column = (columns + 0.5) * mask.shape[1] / SIZE[1] - 0.5
    own, total, weights = luma[rows, columns], 0.0, 1e-9
    for down in (-2, -1, 0, 1, 2):
        for right in (-2, -1, 0, 1, 2):
            row = np.clip(np.round(at_row).astype(int) + down, 0, mask.shape[0] - 1)
            column = np.clip(np.round(at_column).astype(int) + right, 0, mask.shape[1] - 1)
            far = (row - at_row) ** 2 + (column - at_column) ** 2
            weight = np.exp(-far / 2 - (small[row, column] - own) ** 2 / (2 * 12**2))
            total, weights = total + weight * mask[row, column], weights + weight
    large = large.copy()
    large[rows, columns] = total / weights
    return large


WAYS = (bilinear, guided_grey, guided_colour, joint_bilateral)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--step", type=int, default=10)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    scores = {way: ([], [], []) for way in WAYS}
    with (
        VideoFileSource(SAMPLES / "walk.mp4") as clip,
        VideoFileSource(SAMPLES / "alpha" / "walk.mkv") as exact,
        Segmenter(chosen.preset) as segmenter,
    ):
        for frame, alpha in zip(clip, exact, strict=True):
            if frame.index % chosen.step:
                continue
            [mask] = segmenter.masks([frame])
            mask = remove_specks(mask, OPTIONS.smallest_part, OPTIONS.smallest_person)
            truth = resize(alpha.pixels[..., 0].copy(), *SIZE) > 127
            image = resize(frame.pixels, *SIZE)
            for way, (edges, overlaps, times) in scores.items():
                began = time.thread_time()
                large = way(mask, image)
                times.append((time.thread_time() - began) * 1000)
                found = shape_alpha(large, OPTIONS.low, OPTIONS.high) > 0.5
                edges.append(boundary_f(found, truth))
                overlaps.append(dice(found, truth))
    plain = statistics.mean(scores[bilinear][0])
    print(f"{'':16} {'boundary F':>10} {'Dice':>7} {'ms':>6} {'gained F per ms':>16}")
    for way, (edges, overlaps, times) in scores.items():
        edge, spent = statistics.mean(edges), statistics.median(times)
        gained = (edge - plain) / spent
        name = way.__name__.replace("_", " ")
        print(
            f"{name:16} {edge:10.4f} {statistics.mean(overlaps):7.4f} {spent:6.2f} {gained:16.4f}"
        )


if __name__ == "__main__":
    main()
