"""Arms that reach into the picture: hands before a camera are rare in portraits and lost first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Random = np.random.Generator

SKIN_RANGE = ((0, 136, 80), (255, 173, 127))
"""Lowest and highest YCrCb that counts as skin; not that of `cutouts`, whose clips must stay."""

SKIN_TONES = ((245, 210, 185), (225, 175, 145), (190, 135, 105), (140, 95, 70), (85, 55, 42))
"""RGB of a hand where the picture shows no skin to take the colour from."""

LEAST_SKIN = 40
"""Pixels of skin from which its colour is believed."""

FINENESS = 4
"""Enlargement at which an arm is drawn, so that its edge comes out smooth."""

EXPOSURES = 6
"""Moments within one open shutter that are averaged into the blur of an arm that moves."""

PALMS = (0.05, 0.18)
"""Half the width of a palm, in shorter sides of the picture, from far to near."""

TRIES = 4
"""Arms drawn in search of one whose hand is not before a person, where it changes no mask."""

FINGERS = ((-0.62, 0.78), (-0.22, 1.0), (0.16, 1.05), (0.5, 0.92))
"""Of each finger, where it sits across the palm and how long it is, both in palms."""


@dataclass(frozen=True, slots=True)
class _Arm:
    """Where an arm lies, in pixels of the picture.

    Attributes:
        elbow: beyond the edge it comes in by; (x, y).
        angle: from the elbow to the hand, in radians.
        length: from the elbow to the wrist.
        palm: half its width.
        fingers: how far each is stretched, 0..1; a fist has 0.
        spread: of the fingers, radians between neighbours.
        thumb: on which side, -1 or 1.
    """

    elbow: tuple[float, float]
    angle: float
    length: float
    palm: float
    fingers: tuple[float, ...]
    spread: float
    thumb: float

    @property
    def hand(self) -> tuple[float, float]:
        """Where the middle of the palm is; (x, y)."""
        reach = self.length + 0.95 * self.palm
        x, y = self.elbow
        return x + reach * float(np.cos(self.angle)), y + reach * float(np.sin(self.angle))


def reach_in(
    random: Random,
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Hold an arm before everything in a picture.

    Args:
        random: draws its place, hand, sleeve, light and motion.
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) uint8, 255 = person, whose skin and clothes the arm gets.

    Returns:
        the picture with the arm, and the arm's alpha, (H, W) float32 in 0..1.
    """
    height, width = mask.shape
    arm = _draw_place(random, mask)
    skin, sleeve = _outlines(random, arm, height, width)
    alpha = np.maximum(skin, sleeve)
    colour = _shaded(random, alpha, _skin(random, image, mask))
    cloth = _shaded(random, alpha, _cloth(random, image, mask))
    # The sleeve lies over the arm.
    colour += sleeve[..., None] * (cloth - colour)
    layer = _moved(random, np.dstack([colour * alpha[..., None], alpha]), arm)
    alpha = np.clip(layer[..., 3], 0, 1)
    seen = layer[..., :3] + (1 - alpha[..., None]) * image
    return np.clip(np.round(seen), 0, 255).astype(np.uint8), alpha


def _draw_place(random: Random, mask: NDArray[np.uint8]) -> _Arm:
    """Draw an arm, rather one whose hand is beside the people than before them."""
    height, width = mask.shape
    arm = _draw_arm(random, height, width)
    for _ in range(TRIES - 1):
        x, y = (round(at) for at in arm.hand)
        if 0 <= x < width and 0 <= y < height and mask[y, x] < 128:
            break
        arm = _draw_arm(random, height, width)
    return arm


def _draw_arm(random: Random, height: int, width: int) -> _Arm:
    short = min(height, width)
    palm = short * float(np.exp(random.uniform(*np.log(PALMS))))
    side = int(random.integers(3))
    along = float(random.uniform(0.1, 0.9))
    start = (
        (-palm, height * (0.3 + 0.7 * along)),
        (width + palm, height * (0.3 + 0.7 * along)),
        (width * along, height + palm),
    )[side]
    inward = (0.0, np.pi, -np.pi / 2)[side]
    fist = random.random() < 0.25
    stretched = tuple(0.0 if fist else float(random.uniform(0.5, 1)) for _ in range(5))
    return _Arm(
        elbow=(float(start[0]), float(start[1])),
        angle=float(inward + random.normal(0, 0.5)),
        length=float(random.uniform(0.5, 6) * palm),
        palm=palm,
        fingers=stretched,
        spread=float(random.uniform(-0.02, 0.22)),
        thumb=1.0 if random.random() < 0.5 else -1.0,
    )


def _outlines(random: Random, arm: _Arm, height: int, width: int) -> tuple[Floats, Floats]:
    """Alpha of the bare arm, and of its sleeve; (H, W) float32 each."""
    skin = np.zeros((height * FINENESS, width * FINENESS), np.uint8)
    sleeve = np.zeros_like(skin)
    ahead = _towards(arm.angle)
    elbow = np.array(arm.elbow) - 2 * arm.palm * ahead
    wrist = np.array(arm.elbow) + arm.length * ahead
    thick = float(random.uniform(1.0, 1.5)) * arm.palm
    _taper(skin, elbow, wrist, thick, 0.62 * arm.palm)
    _draw_hand(skin, arm, wrist)
    if random.random() < 0.5:
        cuff = elbow + (wrist - elbow) * float(random.uniform(0.3, 0.95))
        _taper(sleeve, elbow, cuff, 1.25 * thick, float(random.uniform(0.85, 1.3)) * arm.palm)
    size = (width, height)
    return _shrunk(skin, size), _shrunk(sleeve, size)


def _draw_hand(drawn: NDArray[np.uint8], arm: _Arm, wrist: NDArray[np.float64]) -> None:
    """Palm, fingers and thumb."""
    ahead, palm = _towards(arm.angle), arm.palm
    across = np.array([-ahead[1], ahead[0]])
    centre = wrist + 0.95 * palm * ahead
    _taper(drawn, wrist + 0.3 * palm * ahead, centre, 0.72 * palm, palm)
    for index, (place, length) in enumerate(FINGERS):
        root = centre + palm * (0.55 * ahead + 1.1 * place * across)
        reach = palm * (0.35 + 1.25 * length * arm.fingers[index])
        tip = root + reach * _towards(arm.angle + (index - 1.5) * arm.spread)
        _taper(drawn, root, tip, 0.27 * palm, 0.2 * palm)
    root = centre + palm * (-0.35 * ahead + 0.75 * arm.thumb * across)
    turned = arm.angle + arm.thumb * (0.35 + 0.6 * arm.fingers[4])
    _taper(drawn, root, root + 1.25 * palm * _towards(turned), 0.34 * palm, 0.24 * palm)


def _towards(angle: float) -> NDArray[np.float64]:
    """The step of one pixel in a direction, (x, y)."""
    return np.array([np.cos(angle), np.sin(angle)])


def _shrunk(drawn: NDArray[np.uint8], size: tuple[int, int]) -> Floats:
    small = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def _taper(
    drawn: NDArray[np.uint8],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    wide: float,
    narrow: float,
) -> None:
    """Draw what narrows from one end to the other, both round; radii in the picture's pixels."""
    ahead = (end - start) / max(1e-6, float(np.hypot(*(end - start))))
    across = np.array([-ahead[1], ahead[0]])
    corners = [
        start + wide * across,
        end + narrow * across,
        end - narrow * across,
        start - wide * across,
    ]
    points = np.round(np.array(corners) * FINENESS).astype(np.int32)
    cv2.fillConvexPoly(drawn, points, 255)
    for centre, radius in ((start, wide), (end, narrow)):
        x, y = np.round(centre * FINENESS).astype(int)
        cv2.circle(drawn, (int(x), int(y)), max(1, round(radius * FINENESS)), 255, -1)


def _skin(random: Random, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Floats:
    """RGB of the person's skin in this light, or of anybody's."""
    split = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    low, high = np.array(SKIN_RANGE[0], np.uint8), np.array(SKIN_RANGE[1], np.uint8)
    bare = image[(cv2.inRange(split, low, high) > 0) & (mask > 200)]
    if len(bare) < LEAST_SKIN:
        tone = np.array(SKIN_TONES[int(random.integers(len(SKIN_TONES)))], np.float32)
        return tone * np.float32(random.uniform(0.7, 1.05))
    # A hand may be in more or less light than the face.
    tone = np.quantile(bare, random.uniform(0.35, 0.85), axis=0).astype(np.float32)
    return tone * np.float32(np.exp(random.normal(0, 0.12)))


def _cloth(random: Random, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Floats:
    """RGB of the person's clothes, or of any others."""
    lower = np.flatnonzero(mask[-1] > 200)
    if not len(lower) or random.random() < 0.3:
        return np.asarray(random.uniform(10, 240, 3), np.float32)
    return np.asarray(image[-1, random.choice(lower)], np.float32)


def _shaded(random: Random, alpha: Floats, colour: Floats) -> Floats:
    """(H, W, 3) float32: a colour on something round, lit from one side, with blotches."""
    height, width = alpha.shape
    depth = cv2.distanceTransform(np.asarray(alpha > 0.5, np.uint8), cv2.DIST_L2, 3)
    inner = depth[depth > 0]
    middle = max(1.0, float(np.quantile(inner, 0.9))) if inner.size else 1.0
    roundness = np.minimum(depth / middle, 1)
    light = 1 - np.float32(random.uniform(0.05, 0.4)) * (1 - roundness) ** 2
    angle, slope = random.uniform(0, 2 * np.pi), np.float32(random.uniform(0, 0.35))
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    light += slope * (np.float32(np.cos(angle)) * columns + np.float32(np.sin(angle)) * rows)
    coarse = random.normal(0, random.uniform(0.01, 0.07), (8, 8, 3)).astype(np.float32)
    blotches = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(colour * np.clip(light[..., None] + blotches, 0.2, 1.6), np.float32)


def _moved(random: Random, layer: Floats, arm: _Arm) -> Floats:
    """The premultiplied arm as a shutter sees it that is open while it moves, or as it is."""
    if random.random() < 0.4:
        return layer
    height, width = layer.shape[:2]
    turn = np.rad2deg(random.normal(0, 0.06))
    shift = random.normal(0, 0.35 * arm.palm, 2)
    seen = np.zeros_like(layer)
    for moment in np.linspace(-0.5, 0.5, EXPOSURES):
        matrix = cv2.getRotationMatrix2D(arm.elbow, float(moment * turn), 1.0)
        matrix[:, 2] += moment * shift
        seen += cv2.warpAffine(layer, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen / EXPOSURES, np.float32)
