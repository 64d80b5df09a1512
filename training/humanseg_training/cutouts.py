"""People cut out of stills and moved as layers before their filled background."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.foreground import estimate_foreground
from humanseg.pixels import gaussian_mean, grow, resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Alpha, Image

    Floats = NDArray[np.float32]

SKIN = (130, 160, 205)
"""BGR of a hand where the picture shows no skin to take the colour from."""

SKIN_RANGE = ((0, 138, 85), (255, 172, 125))
"""Lowest and highest YCrCb that counts as skin, of every tone."""

SMALLEST_SHARE = 1e-3


def background_behind(pixels: Image, alpha: Alpha) -> Floats:
    """Fill the place of the people with the colours around it.

    Args:
        pixels: (H, W, 3) uint8 BGR.
        alpha: (H, W) float32, 0..1.

    Returns:
        (H, W, 3) float32 0..255; the picture itself a little away from the people.

    Source: normalised convolution, Knutsson and Westin, CVPR 1993, from fine to coarse.
    """
    filled = pixels.astype(np.float32)
    known = 1 - grow(np.asarray(alpha > 0.02, np.float32), 3)
    open_share = 1 - known
    small = (max(1, alpha.shape[0] // 4), max(1, alpha.shape[1] // 4))
    near_colour, near_known = resize(filled * known[..., None], *small), resize(known, *small)
    for sigma in (small[0] / 3, small[0] / 12, small[0] / 48):
        total = gaussian_mean(near_known, sigma)[..., None]
        mean = gaussian_mean(near_colour, sigma) / np.maximum(total, SMALLEST_SHARE)
        believed = resize(
            np.minimum(total[..., 0] * 4, 1) * (total[..., 0] > SMALLEST_SHARE), *alpha.shape
        )
        share = (open_share * believed)[..., None]
        filled += share * (resize(mean, *alpha.shape) - filled)
    return filled


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Something cut out.

    Attributes:
        colour: (H, W, 3) float32 BGR 0..255, defined wherever alpha is above 0.
        alpha: (H, W) float32, 0..1.
    """

    colour: Floats
    alpha: Alpha

    def over(self, behind: Floats) -> Floats:
        """(H, W, 3) float32: this layer before a background."""
        return behind + self.alpha[..., None] * (self.colour - behind)

    def premultiplied(self) -> Floats:
        """(H, W, 4) float32: colour times alpha, and alpha in 0..255."""
        return np.dstack([self.colour * self.alpha[..., None], self.alpha * np.float32(255)])


def cut_out(pixels: Image, alpha: Alpha) -> Layer:
    """The people of a picture with their own colour at the edge; (H, W, 3) uint8 and (H, W)."""
    return Layer(estimate_foreground(pixels, alpha).astype(np.float32), alpha)


def layer_of(premultiplied: Floats) -> Layer:
    """The layer of (H, W, 4) premultiplied values."""
    alpha = np.clip(premultiplied[..., 3] / 255, 0, 1).astype(np.float32)
    colour = premultiplied[..., :3] / np.maximum(alpha, np.float32(SMALLEST_SHARE))[..., None]
    return Layer(np.asarray(colour, np.float32), alpha)


class Head:
    """The upper end of a person, which can be turned on its neck."""

    SWAY = 0.22
    TURN = 0.10
    TILT = 7.0

    def __init__(self, layer: Layer) -> None:
        """Find the neck of the person of a layer."""
        self._premultiplied = layer.premultiplied()
        rows, columns = np.nonzero(layer.alpha > 0.5)
        height, width = layer.alpha.shape
        top, bottom = (int(rows.min()), int(rows.max())) if rows.size else (0, height - 1)
        wide = int(columns.max() - columns.min()) if rows.size else width
        self._length = max(8.0, min(0.45 * (bottom - top), 1.1 * wide))
        self._neck = top + self._length
        of_head = rows < top + 0.7 * self._length
        self._centre = float(columns[of_head].mean()) if of_head.any() else width / 2
        self._y, self._x = np.mgrid[:height, :width].astype(np.float32)
        share = np.clip((self._neck - self._y) / (0.6 * self._length), 0, 1)
        self._share = share * share * (3 - 2 * share)

    def turned(self, phase: float) -> Layer:
        """The person with the head at a phase (radians) of its swing."""
        swing, turn = math.sin(phase), math.sin(phase + 0.8)
        angle = math.radians(self.TILT * swing) * self._share
        x, y = self._x - self._centre, self._y - self._neck
        # Where each pixel comes from: back by the tilt, the sway, and the face's own turn.
        across = x * np.cos(angle) + y * np.sin(angle)
        down = -x * np.sin(angle) + y * np.cos(angle)
        near = np.exp(-((across / (0.45 * self._length)) ** 2))
        shift = self._length * (self.SWAY * 0.5 * swing + self.TURN * turn * near) * self._share
        moved = cv2.remap(
            self._premultiplied,
            (across - shift + self._centre).astype(np.float32),
            (down + self._neck).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return layer_of(np.asarray(moved, np.float32))


class Hand:
    """A forearm with an open hand that waves about its elbow at the picture's lower edge."""

    SWING = 16.0
    """Degrees to either side."""

    def __init__(self, pixels: Image, alpha: Alpha) -> None:
        """Take the skin from a person, and the side with more room; (H, W, 3) uint8, (H, W)."""
        height, width = alpha.shape
        upper = alpha[height // 4 : 3 * height // 4]
        left, right = upper[:, : width // 3].mean(), upper[:, -(width // 3) :].mean()
        self._side = -1.0 if left <= right else 1.0
        self._elbow = (width * (0.5 + 0.37 * self._side), height * 1.04)
        self._premultiplied = _draw_arm(height, width, self._elbow, skin_of(pixels, alpha))

    def waved(self, phase: float) -> Layer:
        """The arm at a phase (radians) of its wave."""
        lean = 3.0 * -self._side
        matrix = cv2.getRotationMatrix2D(self._elbow, lean + self.SWING * math.sin(phase), 1.0)
        size = (self._premultiplied.shape[1], self._premultiplied.shape[0])
        moved = cv2.warpAffine(self._premultiplied, matrix, size, flags=cv2.INTER_LINEAR)
        return layer_of(np.asarray(moved, np.float32))

    def reach(self) -> tuple[slice, slice]:
        """Rows and columns that the hand passes through, with a margin."""
        alphas = [self.waved(phase).alpha for phase in np.linspace(-math.pi / 2, math.pi / 2, 9)]
        rows, columns = np.nonzero(np.max(alphas, axis=0) > 0.5)
        height, width = alphas[0].shape
        margin = height // 16
        top, left = max(0, int(rows.min()) - margin), max(0, int(columns.min()) - margin)
        bottom = min(height, int(rows.max()) + margin)
        return slice(top, bottom), slice(left, min(width, int(columns.max()) + margin))


def skin_of(pixels: Image, alpha: Alpha) -> Floats:
    """(3,) float32 BGR: a lit place of a person's skin; (H, W, 3) uint8, (H, W) 0..1."""
    tones = cv2.inRange(cv2.cvtColor(pixels, cv2.COLOR_BGR2YCrCb), *SKIN_RANGE) > 0
    found = pixels[tones & (alpha > 0.9)]
    if len(found) < 0.01 * alpha.size:
        return np.array(SKIN, np.float32)
    lit = found[np.argsort(found.sum(axis=1), kind="stable")]
    return np.asarray(lit[len(lit) // 2 : 9 * len(lit) // 10].mean(axis=0), np.float32)


def _draw_arm(height: int, width: int, elbow: tuple[float, float], skin: Floats) -> Floats:
    """(H, W, 4) premultiplied: upright, drawn at twice the size and averaged down."""
    scale = 2 * height
    canvas = np.zeros((2 * height, 2 * width), np.uint8)
    x, y = 2 * elbow[0], 2 * elbow[1]
    wrist = (x, y - 0.38 * scale)
    outline = [
        (x - 0.066 * scale, y),
        (wrist[0] - 0.036 * scale, wrist[1]),
        (wrist[0] + 0.036 * scale, wrist[1]),
        (x + 0.066 * scale, y),
    ]
    cv2.fillPoly(canvas, [np.rint(outline).astype(np.int32)], 255)
    palm = (wrist[0], wrist[1] - 0.045 * scale)
    cv2.ellipse(canvas, (palm, (0.1 * scale, 0.125 * scale), 0.0), 255, -1)
    for degrees, length in ((-55, 0.10), (-20, 0.145), (-5, 0.165), (10, 0.155), (25, 0.13)):
        turn = math.radians(degrees)
        tip = (palm[0] + scale * length * math.sin(turn), palm[1] - scale * length * math.cos(turn))
        ends = np.rint([palm, tip]).astype(int)
        cv2.line(canvas, tuple(ends[0]), tuple(ends[1]), 255, max(1, round(0.027 * scale)))
    alpha = resize(canvas, height, width).astype(np.float32) / np.float32(255)
    inner = np.asarray(cv2.distanceTransform(canvas, cv2.DIST_L2, 5), np.float32)
    light = 0.80 + 0.32 * np.minimum(resize(inner, height, width) / (0.022 * scale), 1)
    rising = np.linspace(1.06, 0.92, width, dtype=np.float32)
    colour = np.clip(skin * (light * rising)[..., None], 0, 255)
    return Layer(np.asarray(colour, np.float32), alpha).premultiplied()
