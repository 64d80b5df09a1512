"""Variations of a training sample: framing, other backgrounds, more people, colour and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg_training import damage
from humanseg_training.colour import colour_changes, study_set
from humanseg_training.config import Augmentation
from humanseg_training.limbs import reach_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

Random = np.random.Generator

LARGEST_CROP = 1.1
"""Sides of the largest crop, in those of the picture."""

SMALL = (1.2, 2.8)
"""The same for people who become small."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture with its mask.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) uint8, 255 = person.
        weight: (H, W) uint8, 255 = counts fully in the loss, 0 = not at all.
        name: of the picture, for messages.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    weight: NDArray[np.uint8]
    name: str = ""


class Augmenter:
    """Turns stored samples into training samples of a wanted size."""

    def __init__(self, options: Augmentation, backgrounds: Sequence[NDArray[np.uint8]]) -> None:
        """Prepare the set of augmentations; without backgrounds none are exchanged.

        Raises:
            MissingExtraError: albumentations is not installed.
        """
        self._options = options
        self._backgrounds = backgrounds
        self._colour = colour_changes(options.colour)
        self._study = None if options.set == "ours" else study_set(options.set)

    def augment(
        self,
        random: Random,
        sample: Sample,
        pick: Callable[[Random], Sample],
        height: int,
        width: int,
    ) -> Sample:
        """Make one training sample of (height, width); `pick` draws further people."""
        if self._study is not None:
            return self._as_the_study(random, sample, height, width)
        options, exchange = self._options, bool(self._backgrounds)
        if exchange and random.random() < options.empty:
            return self.recolour(random, self._empty(random, height, width))
        zoomed_out = exchange and random.random() < options.zoom_out
        cut = exchange and not zoomed_out and random.random() < options.cut_by_edge
        zoom = SMALL if zoomed_out else (options.crop, LARGEST_CROP)
        framed, inside = _reframe(random, sample, height, width, zoom=zoom, cut=cut)
        if zoomed_out or cut or (exchange and random.random() < options.replace_background):
            framed = _paste(framed, self._empty(random, height, width), inside)
        if random.random() < options.second_person:
            other, other_inside = _reframe(random, pick(random), height, width, zoom=SMALL)
            framed = _paste(other, framed, other_inside)
        if exchange and random.random() < options.occlusion:
            framed = _cover(random, framed, self._empty(random, height, width))
        if options.arm and random.random() < options.arm:
            framed = _with_arm(random, framed)
        return self.recolour(random, framed)

    def recolour(self, random: Random, sample: Sample) -> Sample:
        """Change light, colour and noise, but not the mask; the study's sets change nothing."""
        options = self._options
        if options.set != "ours":
            return sample
        self._colour.set_random_seed(int(random.integers(2**31)))
        image = self._colour(image=sample.image)["image"]
        for chance, change in (
            (options.mixed_light, damage.mixed_light),
            (options.low_light, damage.low_light),
            (options.webcam, damage.webcam),
            (options.h264, damage.h264),
        ):
            if random.random() < chance:
                image = change(random, image)
        return replace(sample, image=image)

    def _as_the_study(self, random: Random, sample: Sample, height: int, width: int) -> Sample:
        """The whole picture at the wanted size, then the changes of its set."""
        size = (width, height)
        image = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(sample.mask, size, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(sample.weight, size, interpolation=cv2.INTER_NEAREST)
        assert self._study is not None
        self._study.set_random_seed(int(random.integers(2**31)))
        # What an affine map brings in from outside is black, and no person: it counts.
        changed = self._study(image=image, masks=[mask, 255 - weight])
        mask, missing = changed["masks"]
        return Sample(changed["image"], mask, 255 - missing, sample.name)

    def _empty(self, random: Random, height: int, width: int) -> Sample:
        background = self._backgrounds[int(random.integers(len(self._backgrounds)))]
        matrix = _crop_matrix(random, background.shape[:2], height, width, zoom=(0.5, 1.0))
        image = _warp(background, matrix, height, width, cv2.INTER_AREA)
        return Sample(
            image,
            np.zeros((height, width), np.uint8),
            np.full((height, width), 255, np.uint8),
            "a background",
        )


def _reframe(
    random: Random,
    sample: Sample,
    height: int,
    width: int,
    *,
    zoom: tuple[float, float],
    cut: bool = False,
) -> tuple[Sample, NDArray[np.uint8]]:
    """Crop, turn and mirror at random; also says which pixels (255) lie inside the old picture."""
    matrix = _crop_matrix(random, sample.image.shape[:2], height, width, zoom=zoom)
    if cut:
        matrix = _push_out(random, matrix, sample.mask, height, width)
    inside = cv2.warpAffine(
        np.full(sample.mask.shape, 255, np.uint8), matrix, (width, height), flags=cv2.INTER_LINEAR
    )
    framed = Sample(
        _warp(sample.image, matrix, height, width, cv2.INTER_LINEAR),
        _warp(sample.mask, matrix, height, width, cv2.INTER_LINEAR),
        _warp(sample.weight, matrix, height, width, cv2.INTER_NEAREST),
        sample.name,
    )
    return framed, np.asarray(inside, np.uint8)


def _push_out(
    random: Random,
    matrix: NDArray[np.float64],
    mask: NDArray[np.uint8],
    height: int,
    width: int,
) -> NDArray[np.float64]:
    """Move a crop so that the frame's edge cuts off a quarter to three quarters of the people."""
    rows, columns = np.nonzero(mask > 127)
    if not len(rows):
        return matrix
    seen = matrix[:, :2] @ np.stack([columns, rows]).astype(np.float64) + matrix[:, 2:]
    share = random.uniform(0.25, 0.75)
    # Never the upper edge: most bodies end at the picture's lower one, which would then be seen.
    axis, at_end = ((0, False), (0, True), (1, True))[random.integers(3)]
    # So many of the people's pixels lie beyond the edge afterwards.
    position = float(np.quantile(seen[axis], 1 - share if at_end else share))
    edge = (width, height)[axis] if at_end else 0
    moved = matrix.copy()
    moved[axis, 2] += edge - position
    return moved


def _crop_matrix(
    random: Random,
    shape: tuple[int, int],
    height: int,
    width: int,
    *,
    zoom: tuple[float, float],
) -> NDArray[np.float64]:
    """Affine map from a picture to a random crop of it; zoom 1 shows its larger-fitting side whole.

    Crops below 1 cut the picture, above 1 show more than the picture holds.
    """
    old_height, old_width = shape
    cover = min(old_height / height, old_width / width)
    contain = max(old_height / height, old_width / width)
    whole = cover * (contain / cover) ** random.random()
    step = whole * float(np.exp(random.uniform(np.log(zoom[0]), np.log(zoom[1]))))
    angle = np.deg2rad(random.normal(0, 7))
    stretch = float(np.exp(random.normal(0, 0.06)))
    mirror = -1.0 if random.random() < 0.5 else 1.0
    slack = np.array([old_width - width * step, old_height - height * step])
    centre = np.array([old_width, old_height]) / 2 + slack * random.uniform(-0.5, 0.5, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.diag([mirror, 1.0]) @ turn @ np.diag([1 / (step * stretch), stretch / step])
    offset = np.array([width, height]) / 2 - linear @ centre
    return np.concatenate([linear, offset[:, None]], axis=1)


def _warp(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    height: int,
    width: int,
    interpolation: int,
) -> NDArray[np.uint8]:
    """Apply an affine map; large pictures are averaged down first so that nothing aliases."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.7 and interpolation != cv2.INTER_NEAREST:
        smaller = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        factors = np.array([smaller[0] / image.shape[1], smaller[1] / image.shape[0]])
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = np.concatenate([matrix[:, :2] / factors, matrix[:, 2:]], axis=1)
    if interpolation == cv2.INTER_AREA:
        interpolation = cv2.INTER_LINEAR
    warped = cv2.warpAffine(
        image, matrix, (width, height), flags=interpolation, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.uint8)


def _paste(front: Sample, behind: Sample, inside: NDArray[np.uint8]) -> Sample:
    """Lay the people of one sample over another picture, in front of its people."""
    alpha = (front.mask.astype(np.float32) / 255) * (inside.astype(np.float32) / 255)
    # A slightly drawn-in, softened edge hides the old background that hand-made masks include.
    alpha = np.clip(cv2.GaussianBlur(alpha, (3, 3), 0) * 1.25 - 0.2, 0, 1)
    share = alpha[..., None]
    image = share * front.image + (1 - share) * behind.image
    mask = 255 * alpha + (1 - alpha) * behind.mask
    unsure = (front.weight == 0) & (inside > 0)
    weight = np.where(alpha > 0.5, front.weight, behind.weight)
    weight[unsure] = 0
    return Sample(
        np.round(image).astype(np.uint8),
        np.round(mask).astype(np.uint8),
        weight.astype(np.uint8),
        f"{front.name} before {behind.name}",
    )


def _cover(random: Random, sample: Sample, stuff: Sample) -> Sample:
    """Hide a part of a picture behind something that is no person; the mask is empty there."""
    height, width = sample.mask.shape
    centre = random.uniform(0, 1, 2) * (width, height)
    angles = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(4, 9))))
    radius = random.uniform(0.08, 0.3) * min(height, width) * random.uniform(0.6, 1.4, len(angles))
    outline = centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    cover = np.zeros((height, width), np.uint8)
    cv2.fillPoly(cover, [np.round(outline).astype(np.int32)], 255)
    alpha = cv2.GaussianBlur(cover, (3, 3), 0).astype(np.float32) / 255
    share = alpha[..., None]
    return Sample(
        np.round(share * stuff.image + (1 - share) * sample.image).astype(np.uint8),
        np.round((1 - alpha) * sample.mask).astype(np.uint8),
        np.where(cover > 0, 255, sample.weight).astype(np.uint8),
        sample.name,
    )


def _with_arm(random: Random, sample: Sample) -> Sample:
    """Hold an arm before everything; it belongs to a person, seen or not."""
    image, alpha = reach_in(random, sample.image, sample.mask)
    mask = 255 * alpha + (1 - alpha) * sample.mask
    return Sample(
        image,
        np.round(mask).astype(np.uint8),
        np.where(alpha > 0.05, 255, sample.weight).astype(np.uint8),
        sample.name,
    )
