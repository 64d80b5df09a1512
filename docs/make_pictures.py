"""Makes the pictures of the documents from the samples: `python docs/make_pictures.py`.

Run it again when weights or effects change; the pictures are committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

import humanseg
from humanseg.backgrounds import open_background
from humanseg.composite import Compositor, grey
from humanseg.sinks.images import write_image
from humanseg.sources.images import read_image

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"
IMAGES = HERE / "images"
FRAME = 30
HEIGHT, WIDTH = 360, 640
SMALL = (225, 400)
"""Of a picture in a table, (height, width)."""
PORTRAIT_SIDE = 320
GAP = 8
CHEQUERS = 12
"""Side of a square that stands for transparency, in pixels of a small picture."""

EFFECTS: Mapping[str, str] = {
    "blur-weak": "blur:0.2",
    "blur": "blur",
    "blur-strong": "blur:0.9",
    "picture": str(SAMPLES / "beach.jpg"),
    "green": "green",
    "grey": "#909090",
}
"""Name of the picture to the background that makes it."""


def smoothed_matte() -> humanseg.Matte:
    """The matte of one frame, after those before it, as a video has it."""
    for matte in humanseg.matte(SAMPLES / "walk.mp4"):
        if matte.frame.index == FRAME:
            return matte
    raise SystemExit(f"the sample has no frame {FRAME}")


def composed(matte: humanseg.Matte, background: str, output: str = "composite") -> np.ndarray:
    """What a video job makes of the frame, (H, W, 3), or (H, W, 4) with "alpha"."""
    with open_background(background) as behind:
        return Compositor(behind, output).compose(matte.frame, matte.alpha).pixels


def shrink(pixels: np.ndarray, size: tuple[int, int] = SMALL) -> np.ndarray:
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)


def before_chequers(pixels: np.ndarray) -> np.ndarray:
    """A transparent picture as programs show it: (H, W, 4) to (H, W, 3)."""
    rows, columns = np.indices(pixels.shape[:2]) // CHEQUERS
    ground = np.where((rows + columns) % 2, 255, 200)[..., None]
    alpha = pixels[..., 3:] / 255
    return np.asarray(pixels[..., :3] * alpha + ground * (1 - alpha) + 0.5, np.uint8)


def title_row(matte: humanseg.Matte) -> np.ndarray:
    """The frame, blurred, and before a beach: the middle of each, side by side."""
    pictures = [
        matte.frame.pixels,
        composed(matte, "blur:0.7"),
        composed(matte, str(SAMPLES / "beach.jpg")),
    ]
    parts = [shrink(picture, (HEIGHT, WIDTH))[:, 50:450] for picture in pictures]
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    return np.hstack([parts[0], gap, parts[1], gap, parts[2]])


def portrait_pair() -> tuple[np.ndarray, np.ndarray]:
    """A still picture of its own, and its people cut out: what `humanseg image` makes."""
    pixels = read_image(SAMPLES / "beach.jpg")
    person = cv2.imread(str(SAMPLES / "portrait.png"), cv2.IMREAD_UNCHANGED)
    height, width = person.shape[:2]
    alpha = person[..., 3:] / 255
    side = min(pixels.shape[:2])
    place = shrink(pixels[:side, :side], (height, width))
    whole = np.asarray(person[..., :3] * alpha + place * (1 - alpha) + 0.5, np.uint8)
    with humanseg.Segmenter("best") as segmenter:
        [found] = segmenter.predict([whole])
    matte = humanseg.Matte(humanseg.Frame(whole, 0, Fraction(0)), found)
    size = (PORTRAIT_SIDE, PORTRAIT_SIDE)
    return shrink(whole, size), before_chequers(shrink(composed(matte, "blur", "alpha"), size))


def main() -> None:
    matte = smoothed_matte()
    pictures = {
        "before-after": title_row(matte),
        "effect-before": shrink(matte.frame.pixels),
        "effect-mask": shrink(cv2.cvtColor(grey(matte.alpha), cv2.COLOR_GRAY2BGR)),
        "effect-alpha": before_chequers(shrink(composed(matte, "blur", "alpha"))),
        "effect-foreground": shrink(composed(matte, "blur", "foreground")),
    }
    for name, background in EFFECTS.items():
        pictures[f"effect-{name}"] = shrink(composed(matte, background))
    pictures["image-before"], pictures["image-after"] = portrait_pair()
    for name, pixels in pictures.items():
        write_image(IMAGES / f"{name}.jpg", pixels, overwrite=True)
        print(f"docs/images/{name}.jpg")


if __name__ == "__main__":
    main()
