"""Ways to enlarge a mask along a picture's edges, by boundary F and time of one thread.

`python benchmarks/upsampling.py [--preset NAME] [--step N]`: masks of the sample clip, enlarged to
half its size, against its exact alpha. The unsure band is all that differs: what is surely inside
or outside is the same for all. `--train DATA` trains a small refiner on DATA/mil first and compares
it, too, also on the validation pictures there.
"""

import argparse
import functools
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
    return resize(mask, *image.shape[:2])


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
    size = image.shape[:2]
    large = resize(mask, *size)
    rows, columns = np.nonzero((large > BAND[0]) & (large < BAND[1]))
    luma = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    small = resize(luma, *mask.shape)
    at_row = (rows + 0.5) * mask.shape[0] / size[0] - 0.5
    at_column = (columns + 0.5) * mask.shape[1] / size[1] - 0.5
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


WAYS = {
    "bilinear": bilinear,
    "guided filter, luma": guided_grey,
    "guided filter, colour": guided_colour,
    "joint bilateral, luma": joint_bilateral,
}


def trained_ways(data, preset, pictures, steps):
    """The learned refiner, and validation pictures (BGR, truth, mask) to compare on."""
    import learned_refiner  # torch is not wanted without it

    samples = learned_refiner.read_samples(data, "mil/train", "mil/train_mask", preset, pictures)
    network = learned_refiner.train(samples, steps)
    numbers = sum(value.numel() for value in network.parameters())
    stills = learned_refiner.read_samples(data, "mil/valid", "mil/valid_mask", preset)
    ways = {f"learned, {numbers} numbers": functools.partial(learned_refiner.refine, network)}
    return ways, [(np.ascontiguousarray(rgb[..., ::-1]), t, mask) for rgb, t, mask in stills]


def frames_of_the_sample(preset, step):
    """Pictures (BGR), truths and masks of the sample clip at half its size."""
    with (
        VideoFileSource(SAMPLES / "walk.mp4") as clip,
        VideoFileSource(SAMPLES / "alpha" / "walk.mkv") as exact,
        Segmenter(preset) as segmenter,
    ):
        for frame, alpha in zip(clip, exact, strict=True):
            if frame.index % step == 0:
                [mask] = segmenter.masks([frame])
                truth = resize(alpha.pixels[..., 0].copy(), *SIZE)
                yield resize(frame.pixels, *SIZE), truth, mask


def compare(title, ways, pictures):
    """Print a table: mean boundary F and Dice, median time."""
    scores = {name: ([], [], []) for name in ways}
    for image, truth, mask in pictures:
        cleaned = remove_specks(mask, OPTIONS.smallest_part, OPTIONS.smallest_person)
        for name, (edges, overlaps, times) in scores.items():
            began = time.thread_time()
            large = ways[name](cleaned, image)
            times.append((time.thread_time() - began) * 1000)
            found = shape_alpha(large, OPTIONS.low, OPTIONS.high) > 0.5
            edges.append(boundary_f(found, truth > 127))
            overlaps.append(dice(found, truth > 127))
    plain = statistics.mean(scores["bilinear"][0])
    print(f"{title:22} {'boundary F':>10} {'Dice':>7} {'ms':>6} {'gained F per ms':>16}")
    for name, (edges, overlaps, times) in scores.items():
        edge, spent = statistics.mean(edges), statistics.median(times)
        gained = (edge - plain) / spent
        print(
            f"{name:22} {edge:10.4f} {statistics.mean(overlaps):7.4f} {spent:6.2f} {gained:16.4f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--step", type=int, default=10)
    parser.add_argument("--train", type=Path, metavar="DATA")
    parser.add_argument("--pictures", type=int, default=400, help="to train on")
    parser.add_argument("--steps", type=int, default=500, help="of training")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    ways, stills = dict(WAYS), []
    if chosen.train:
        learned, stills = trained_ways(chosen.train, chosen.preset, chosen.pictures, chosen.steps)
        ways |= learned
    compare("sample clip", ways, frames_of_the_sample(chosen.preset, chosen.step))
    if stills:
        compare("stills", ways, stills)


if __name__ == "__main__":
    main()
