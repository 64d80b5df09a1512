"""Soft masks by networks, as labels for other networks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from humanseg.errors import SettingsError, SinkError
from humanseg_training.data import list_images, read_image
from humanseg_training.predict import Predict


def relabel(images: Path, out: Path, predict: Predict) -> int:
    """Write a grey PNG of probabilities (255 = surely a person) for every picture of a folder.

    Returns:
        Their number.

    Raises:
        TrainingDataError: there are no pictures, or one is unreadable.
        SettingsError: `out` is the folder of the pictures, or holds masks already.
        SinkError: a mask cannot be written.
    """
    paths = list_images(images)
    if out.exists() and any(out.iterdir()):
        # Also when `out` is `images`: a mask must never replace a picture or a hand-made mask.
        raise SettingsError("is not empty", subject=out, hint="give a new folder for the masks")
    for path in paths:
        [alpha] = predict([read_image(path)])
        grey = np.round(np.asarray(alpha) * 255).astype(np.uint8)
        target = out / f"{path.stem}.png"
        try:
            out.mkdir(parents=True, exist_ok=True)
            target.write_bytes(bytes(cv2.imencode(".png", grey)[1].data))
        except OSError as error:
            raise SinkError(f"cannot be written: {error.strerror}", subject=target) from error
    return len(paths)
