"""Variations of a training sample: framing, other backgrounds, more people, colour and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from humanseg.errors import MissingExtraError
from humanseg_training.config import Augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture with its mask.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) uint8, 255 = person.
        weight: (H, W) uint8, 255 = counts fully in the loss, 0 = not at all.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    weight: NDArray[np.uint8]


def colour_changes(strength: float) -> Any:
    """What cameras, light and compression do to a picture, as an albumentations pipeline.

    Raises:
        MissingExtraError: albumentations is not installed.
    """
    try:
        import albumentations as A
    except ImportError as error:
        raise MissingExtraError(
            "training needs albumentations",
            hint="pip install --no-deps albumentations==2.0.8 albucore==0.0.24",
        ) from error
    return A.Compose(
        [
            A.OneOf(
                [
                    A.RandomBrightnessContrast(brightness_limit=0.3, contrast_limit=0.3),
                    A.RandomGamma(gamma_limit=(60, 160)),
                    A.RandomToneCurve(scale=0.2),
                    A.RandomShadow(num_shadows_limit=(1, 2)),
                ],
                p=0.6 * strength,
            ),
            A.OneOf(
                [
                    A.HueSaturationValue(
                        hue_shift_limit=12, sat_shift_limit=40, val_shift_limit=20
                    ),
                    A.RGBShift(r_shift_limit=25, g_shift_limit=25, b_shift_limit=25),
                    A.PlanckianJitter(),
                    A.ToGray(),
                ],
                p=0.5 * strength,
            ),
            A.OneOf(
                [
                    A.GaussianBlur(blur_limit=(3, 5)),
                    A.MotionBlur(blur_limit=(3, 7)),
                    A.Downscale(scale_range=(0.5, 0.9)),
                ],
                p=0.2 * strength,
            ),
            A.OneOf(
                [A.GaussNoise(std_range=(0.01, 0.06)), A.ISONoise(), A.MultiplicativeNoise()],
                p=0.25 * strength,
            ),
            A.ImageCompression(quality_range=(30, 95), p=0.3 * strength),
        ]
    )


class Augmenter:
    """Turns stored samples into training samples of a wanted size."""

    def __init__(self, options: Augmentation, backgrounds: Sequence[NDArray[np.uint8]]) -> None:
        self._options = options
        self._backgrounds = backgrounds
        self._colour = colour_changes(options.colour)

    def augment(
        self,
        random: Random,
        sample: Sample,
        pick: Callable[[Random], Sample],
        height: int,
        width: int,
    ) -> Sample:
        """Make one training sample of (height, width); `pick` draws further people."""
        options = self._options
        if random.random() < options.empty:
            return self._recolour(random, self._empty(random, height, width))
        zoomed_out = random.random() < options.zoom_out
        framed, inside = _reframe(random, sample, height, width, zoomed_out=zoomed_out)
        if zoomed_out or random.random() < options.replace_background:
            framed = _paste(framed, self._empty(random, height, width), inside)
        if random.random() < options.second_person:
            other, other_inside = _reframe(random, pick(random), height, width, zoomed_out=True)
            framed = _paste(other, framed, other_inside)
        return self._recolour(random, framed)

    def _empty(self, random: Random, height: int, width: int) -> Sample:
        background = self._backgrounds[int(random.integers(len(self._backgrounds)))]
        matrix = _crop_matrix(random, background.shape[:2], height, width, zoom=(0.5, 1.0))
        image = _warp(background, matrix, height, width, cv2.INTER_AREA)
        return Sample(
            image, np.zeros((height, width), np.uint8), np.full((height, width), 255, np.uint8)
        )

    def _recolour(self, random: Random, sample: Sample) -> Sample:
        self._colour.set_random_seed(int(random.integers(2**31)))
        return Sample(self._colour(image=sample.image)["image"], sample.mask, sample.weight)


def _reframe(
    random: Random, sample: Sample, height: int, width: int, *, zoomed_out: bool
) -> tuple[Sample, NDArray[np.uint8]]:
    """Crop, turn and mirror at random; also says which pixels (255) lie inside the old picture."""
    zoom = (1.2, 2.8) if zoomed_out else (0.55, 1.1)
    matrix = _crop_matrix(random, sample.image.shape[:2], height, width, zoom=zoom)
    inside = cv2.warpAffine(
        np.full(sample.mask.shape, 255, np.uint8), matrix, (width, height), flags=cv2.INTER_LINEAR
    )
    framed = Sample(
        _warp(sample.image, matrix, height, width, cv2.INTER_LINEAR),
        _warp(sample.mask, matrix, height, width, cv2.INTER_LINEAR),
        _warp(sample.weight, matrix, height, width, cv2.INTER_NEAREST),
    )
    return framed, np.asarray(inside, np.uint8)


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
        np.round(image).astype(np.uint8), np.round(mask).astype(np.uint8), weight.astype(np.uint8)
    )
