"""Changes of colour, noise and blur by albumentations, and the augmentation sets of the study."""

from __future__ import annotations

from typing import Any

from humanseg.errors import MissingExtraError


def _albumentations() -> Any:
    try:
        import albumentations
    except ImportError as error:
        raise MissingExtraError(
            "training needs albumentations",
            hint="pip install --no-deps albumentations==2.0.8 albucore==0.0.24",
        ) from error
    return albumentations


def colour_changes(strength: float) -> Any:
    """What cameras, light and compression do to a picture, as an albumentations pipeline.

    Args:
        strength: 0..1; how often.

    Raises:
        MissingExtraError: albumentations is not installed.
    """
    A = _albumentations()
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


def study_set(number: str) -> Any:
    """One of the study's augmentations, for `image` and the two planes of `masks` together.

    Args:
        number: "none", "1" (flips, affine, colour) or "2" (stronger: also blur, noise, compression,
            low light and occlusion).

    Raises:
        MissingExtraError: albumentations is not installed.
    """
    A = _albumentations()
    if number == "none":
        return A.Compose([])
    strong = number == "2"
    changes = [
        A.HorizontalFlip(p=0.5),
        A.Affine(
            scale=(0.8, 1.25) if strong else (0.9, 1.1),
            translate_percent=(-0.1, 0.1) if strong else (-0.06, 0.06),
            rotate=(-25, 25) if strong else (-12, 12),
            p=0.7,
        ),
        A.RandomBrightnessContrast(p=0.5),
        A.HueSaturationValue(hue_shift_limit=10, sat_shift_limit=30, val_shift_limit=20, p=0.4),
    ]
    if strong:
        changes += [
            A.OneOf([A.GaussianBlur(blur_limit=(3, 7)), A.MotionBlur(blur_limit=(3, 9))], p=0.3),
            A.OneOf([A.GaussNoise(std_range=(0.02, 0.1)), A.ISONoise()], p=0.3),
            A.ImageCompression(quality_range=(15, 80), p=0.3),
            A.RandomGamma(gamma_limit=(120, 250), p=0.25),
            # What covers a person is no person: the planes of the mask are filled, too.
            A.CoarseDropout(
                num_holes_range=(1, 3),
                hole_height_range=(0.08, 0.25),
                hole_width_range=(0.08, 0.25),
                fill=0,
                fill_mask=0,
                p=0.25,
            ),
        ]
    return A.Compose(changes)
