"""Makes the pictures of the documents from the sample clip: `python docs/make_pictures.py`."""

from pathlib import Path

import cv2
import numpy as np

import humanseg
from humanseg.backgrounds import open_background
from humanseg.composite import Compositor
from humanseg.sinks.images import write_image

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"
FRAME = 30
HEIGHT, WIDTH = 360, 640
GAP = 8


def smoothed_matte() -> humanseg.Matte:
    """The matte of one frame, after those before it, as a video has it."""
    for matte in humanseg.matte(SAMPLES / "walk.mp4"):
        if matte.frame.index == FRAME:
            return matte
    raise SystemExit(f"the sample has no frame {FRAME}")


def main() -> None:
    matte = smoothed_matte()
    pictures = [matte.frame.pixels]
    for background in ("blur:0.7", str(SAMPLES / "beach.jpg")):
        with open_background(background) as behind:
            pictures.append(Compositor(behind).compose(matte.frame, matte.alpha).pixels)
    # The middle half of each, side by side, with the person in it.
    parts = [
        cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[:, 50:450]
        for picture in pictures
    ]
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    row = np.hstack([parts[0], gap, parts[1], gap, parts[2]])
    write_image(HERE / "images" / "before-after.jpg", row, overwrite=True)


if __name__ == "__main__":
    main()
