"""Make the sample clip, its exact alpha and the replacement background.

Run it from anywhere: ``python samples/make_samples.py``. It reads ``portrait.png`` and writes
``walk.mp4``, ``alpha/walk.mkv`` and ``beach.jpg`` beside itself.

The alpha is exact because it is where the clip comes from, not what is read off it: one warp moves
the portrait's colour and its matte together, and the frame is blended with the very alpha that is
stored. That warp is plain numpy, so that another version of OpenCV gives the same alpha. Noise,
flicker and compression come after the blend.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Bytes: TypeAlias = NDArray[np.uint8]
Corners: TypeAlias = list[tuple[float, float]]

HERE = Path(__file__).resolve().parent
HEIGHT, WIDTH = 720, 1280
RATE = 30  # frames a second
FRAMES = 150
SOUND_RATE = 44_100  # samples a second
SEED = 1995  # the year of Eileen Collins's first flight

ENLARGED = 3  # the portrait is enlarged so often before the warp, which then samples linearly
NECK = (222.0, 186.0)  # (x, y) in the portrait: the head turns about this point
MARGIN = 40  # pixels the room reaches beyond the frame, so that a shaken camera sees no edge
SHUTTER = 0.5  # share of a frame's time that the shutter is open: motion blur
EXPOSURES = 4  # moments that make up one frame's motion blur


# Light ---------------------------------------------------------------------------------------


def to_linear(encoded: Floats) -> Floats:
    """Light from sRGB-encoded values, 0..1 both."""
    curve = ((encoded + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, curve).astype(np.float32)


def to_srgb(light: Floats) -> Floats:
    """sRGB-encoded values from light; what is outside 0..1 is cut off."""
    light = np.clip(light, 0, 1)
    curve = 1.055 * light ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, curve).astype(np.float32)


def smooth_step(value: Doubles, low: float, high: float) -> Doubles:
    """0 up to ``low``, 1 from ``high`` on, without a corner between."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


# Motion --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pose:
    """Where the person is in the frame at one moment; lengths in frame pixels, angles in radians.

    Attributes:
        x: of the neck.
        y: of the neck.
        zoom: frame pixels for one portrait pixel.
        roll: of the whole body about the neck.
        tilt: of the head against the body.
        turn: sideways shift of the face within the head, in portrait pixels.
    """

    x: float
    y: float
    zoom: float
    roll: float
    tilt: float
    turn: float


def glide(time: float, start: float, end: float) -> float:
    """0 before ``start``, 1 after ``end``, with a gentle start and stop."""
    share = min(max((time - start) / (end - start), 0.0), 1.0)
    return share**3 * (share * (6 * share - 15) + 10)


def camera_shake(time: float) -> tuple[float, float]:
    """How far a camera on a shaky desk moves the picture, (x, y) in pixels."""
    x = 1.6 * math.sin(7.1 * time) + 1.0 * math.sin(17.3 * time + 1) + 0.5 * math.sin(41 * time)
    y = 1.2 * math.sin(8.7 * time + 2) + 0.8 * math.sin(21.1 * time) + 0.5 * math.sin(37 * time)
    return x, y


def pose_at(time: float) -> Pose:
    """Talk, lean in, lean far out of the frame to the right, come back."""
    away = glide(time, 2.5, 3.35) - glide(time, 3.75, 4.7)
    lean = glide(time, 0.9, 1.5) - glide(time, 1.9, 2.6)
    shake_x, shake_y = camera_shake(time)
    step = math.sin(2 * math.pi * 2.4 * time) * away * (1 - away) * 4
    return Pose(
        x=646 + 14 * math.sin(2 * math.pi * time / 2.5) + 415 * away - 22 * lean + shake_x,
        y=418 + 5 * math.sin(2 * math.pi * time / 1.25) + 10 * lean + 9 * step + shake_y,
        zoom=1.97 + 0.015 * math.sin(2 * math.pi * time / 2.5 + 1) + 0.13 * lean,
        roll=math.radians(1.0 * math.sin(2 * math.pi * time / 2.5 + 0.6) + 2.5 * away),
        tilt=math.radians(3.2 * math.sin(2 * math.pi * time / 1.667) + 3.0 * away - 2.0 * lean),
        turn=1.6 * math.sin(2 * math.pi * time / 1.25 + 0.9) + 2.4 * away,
    )


def portrait_places(pose: Pose, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
    """Where in the portrait the frame's points come from: the inverse of the movement."""
    cos, sin = math.cos(pose.roll), math.sin(pose.roll)
    dx, dy = (x - pose.x) / pose.zoom, (y - pose.y) / pose.zoom
    across, down = cos * dx + sin * dy, cos * dy - sin * dx
    # The head turns as one piece and the neck twists; below the ring the suit stays as it is.
    angle = pose.tilt * (1 - smooth_step(down, -48.0, 26.0))
    head_x = np.cos(angle) * across + np.sin(angle) * down
    head_y = np.cos(angle) * down - np.sin(angle) * across
    # The face is nearer than the outline of the head, so it moves further when she turns.
    near = np.exp(-(((head_x - 2) / 48) ** 2) - ((head_y + 82) / 52) ** 2)
    return NECK[0] + head_x - pose.turn * near, NECK[1] + head_y


# Sampling ------------------------------------------------------------------------------------


def cubic_weights(size: int, times: int) -> Doubles:
    """(size * times, size): the Catmull-Rom weights that enlarge a row of pixels."""
    place = (np.arange(size * times) + 0.5) / times - 0.5
    first = np.floor(place).astype(int)
    t = place - first
    taps = (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    weights = np.zeros((size * times, size))
    for offset, tap in zip((-1, 0, 1, 2), taps, strict=True):
        np.add.at(weights, (np.arange(len(place)), np.clip(first + offset, 0, size - 1)), tap)
    return weights


def load_person(path: Path = HERE / "portrait.png") -> Floats:
    """The enlarged portrait, (h, w, 4): premultiplied red, green, blue in linear light, alpha."""
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.shape[2:] != (4,):
        raise FileNotFoundError(f"{path} is not a picture with alpha")
    straight = np.asarray(raw[..., [2, 1, 0, 3]] / 255, np.float32)
    alpha = straight[..., 3:]
    small = np.concatenate([to_linear(straight[..., :3]) * alpha, alpha], axis=2)
    rows, columns = (cubic_weights(size, ENLARGED) for size in small.shape[:2])
    large = np.stack([rows @ small[..., c].astype(np.float64) @ columns.T for c in range(4)], 2)
    # Cubic weights overshoot beside an edge, and nothing may shine through where alpha is 0.
    large = np.clip(large, 0, 1)
    return np.minimum(large, large[..., 3:]).astype(np.float32)


def sample(picture: Floats, x: Doubles, y: Doubles) -> Floats:
    """Bilinear samples of an (h, w, c) picture, whose border is repeated outside."""
    height, width = picture.shape[:2]
    x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right_share = (x - left).astype(np.float32)[..., None]
    lower_share = (y - top).astype(np.float32)[..., None]
    flat, corner = picture.reshape(height * width, -1), top * width + left
    upper = flat[corner] + right_share * (flat[corner + 1] - flat[corner])
    corner += width
    lower = flat[corner] + right_share * (flat[corner + 1] - flat[corner])
    return np.asarray(upper + lower_share * (lower - upper))


def pose_person(person: Floats, pose: Pose) -> Floats:
    """The person in a frame at one moment, (HEIGHT, WIDTH, 4), premultiplied linear light."""
    frame = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    # All of the portrait lies within this many columns of the neck, whatever the angles.
    reach = 320 * pose.zoom
    first, last = max(0, int(pose.x - reach)), min(WIDTH, int(pose.x + reach))
    y, x = np.mgrid[0:HEIGHT, first:last].astype(np.float64)
    from_x, from_y = portrait_places(pose, x, y)
    enlarged = (from_x + 0.5) * ENLARGED - 0.5, (from_y + 0.5) * ENLARGED - 0.5
    frame[:, first:last] = sample(person, *enlarged)
    return frame


def expose_person(person: Floats, index: int) -> Floats:
    """The person in frame ``index`` with motion blur: the mean over the time of the shutter."""
    offsets = [SHUTTER * (k + 0.5) / EXPOSURES for k in range(EXPOSURES)]
    moments = [pose_person(person, pose_at((index + offset) / RATE)) for offset in offsets]
    return np.asarray(np.mean(moments, axis=0), np.float32)


def alpha_bytes(posed: Floats) -> Bytes:
    """The alpha as it is stored, 0..255."""
    return np.rint(posed[..., 3] * 255).astype(np.uint8)


# Scenery -------------------------------------------------------------------------------------


def clouds(height: int, width: int, coarsest: int, seed: int) -> Floats:
    """Fractal noise about 0 with a spread of about 1; ``coarsest`` is its largest grain."""
    rng = np.random.default_rng([SEED, seed])
    total = np.zeros((height, width), np.float32)
    grain, strength = coarsest, 1.0
    while grain >= 2:
        shape = (height // grain + 3, width // grain + 3)
        grid = rng.standard_normal(shape).astype(np.float32)
        total += strength * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        grain, strength = grain // 2, strength * 0.55
    return np.asarray(total / total.std(), np.float32)


def soften(picture: Floats, sigma: float) -> Floats:
    """A Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def mix(picture: Floats, color: tuple[float, ...] | Floats, share: Floats) -> None:
    """Paint a colour, or another picture, over a picture in place; ``share`` is (h, w), 0..1."""
    picture += share[..., None] * (np.asarray(color, np.float32) - picture)


def fill(
    picture: Floats,
    color: tuple[float, ...] | Floats,
    corners: Corners,
    blur: float = 0.7,
    strength: float = 1.0,
) -> None:
    """Paint a polygon in place with a colour, or with what another picture has there."""
    height, width = picture.shape[:2]
    points = np.array(corners)
    # Only the part that the polygon and its soft edge reach: a room has hundreds of polygons.
    reach = math.ceil(4 * blur) + 1
    left, top = np.clip(np.floor(points.min(axis=0)).astype(int) - reach, 0, (width, height))
    right, low = np.clip(np.ceil(points.max(axis=0)).astype(int) + reach, 0, (width, height))
    share = np.zeros((low - top, right - left), np.float32)
    if share.size == 0:
        return
    cv2.fillPoly(share, [np.rint((points - (left, top)) * 16).astype(np.int32)], 1.0, shift=4)
    paint = color[top:low, left:right] if isinstance(color, np.ndarray) else color
    mix(picture[top:low, left:right], paint, strength * soften(share, blur))


def box(x: float, y: float, width: float, height: float) -> Corners:
    """The corners of a rectangle."""
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def paint_wall(room: Floats) -> None:
    """Plaster, brighter towards the window, with the window's light falling on it aslant."""
    height, width = room.shape[:2]
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    plaster = 1 + 0.018 * clouds(height, width, 256, 1) + 0.008 * clouds(height, width, 8, 2)
    brightness = (1.04 - 0.42 * x - 0.16 * y + 0.05 * np.sin(3 * y)) * plaster
    room[:] = brightness[..., None] * np.array((0.60, 0.655, 0.645), np.float32)
    for k in range(2):
        patch = box(455 + 118 * k, 90 + 36 * k, 96, 300)
        slanted = [(px + 0.30 * (py - 90), py + 0.22 * (px - 455)) for px, py in patch]
        fill(room, (1.0, 0.93, 0.78), slanted, blur=9, strength=0.34)


def paint_window(room: Floats) -> None:
    """A window on trees and sky, its frame, its sill and a curtain on either side."""
    height, width = room.shape[:2]
    fill(room, (0.25, 0.28, 0.28), box(52, 8, 336, 480), blur=16, strength=0.5)
    fill(room, (0.90, 0.90, 0.87), box(60, -20, 312, 490))
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    view = np.empty_like(room)
    view[:] = np.stack([0.80 + 0.18 * y, 0.90 + 0.07 * y, 1.0 + 0 * y], axis=2)
    mix(view, (1, 1, 1), np.clip(0.35 * clouds(height, width, 128, 3), 0, 0.8))
    leaves = clouds(height, width, 64, 4)
    crown = np.clip((y - 0.30) * 6 + 0.55 * clouds(height, width, 128, 5), 0, 1)
    mix(view, (0.52, 0.66, 0.42), crown)
    mix(view, (0.33, 0.47, 0.28), crown * np.clip(0.5 * leaves, 0, 0.8))
    mix(view, (0.86, 0.92, 0.62), crown * np.clip(-0.45 * leaves - 0.2, 0, 0.8))
    view = soften(view, 5)
    for column in range(2):
        for row in range(2):
            pane = box(78 + 142 * column, -30 + 250 * row, 132, 238)
            fill(room, (0.66, 0.66, 0.63), pane, blur=2.5)
            fill(room, view, pane)
    fill(room, (0.30, 0.31, 0.30), box(48, 476, 344, 26), blur=10, strength=0.6)
    fill(room, (0.93, 0.92, 0.88), box(40, 462, 352, 20))
    for left, right in ((-10, 110), (338, 428)):
        paint_curtain(room, left, right)


def paint_curtain(room: Floats, left: int, right: int) -> None:
    """Pale linen in folds that let light through."""
    height, width = room.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    phase = 0.22 * x + 0.9 * np.sin(0.004 * y) + 0.8 * np.sin(0.05 * x)
    fold = 0.86 + 0.09 * np.sin(phase) + 0.04 * np.sin(2.3 * phase + 1)
    cloth = (fold * (1.02 - 0.00022 * y))[..., None] * np.array((0.93, 0.88, 0.79), np.float32)
    edge = [(left, -5), (right, -5), (right - 6, 400), (right + 8, height + 5)]
    corners = [*((float(a), float(b)) for a, b in edge), (float(left), height + 5.0)]
    shadow = [(px + 10, py) for px, py in corners]
    fill(room, (0.25, 0.24, 0.22), shadow, blur=9, strength=0.35)
    fill(room, cloth.astype(np.float32), corners, strength=0.95)


def paint_books(room: Floats, x: float, end: float, floor: float, seed: int) -> None:
    """A row of books that stand on a board, from ``x`` to ``end``."""
    rng = np.random.default_rng([SEED, seed])
    inks = [
        (0.55, 0.23, 0.19), (0.20, 0.32, 0.42), (0.80, 0.73, 0.58), (0.30, 0.40, 0.31),
        (0.72, 0.53, 0.26), (0.36, 0.27, 0.33), (0.86, 0.83, 0.77), (0.17, 0.24, 0.27),
    ]  # fmt: skip
    while x < end:
        width, height = rng.uniform(15, 30), rng.uniform(88, 132)
        lean = rng.uniform(10, 16) if rng.random() < 0.12 else 0.0
        color = np.array(inks[rng.integers(len(inks))]) * rng.uniform(0.85, 1.1)
        corners = box(x, floor - height, width, height)
        corners = [(px + lean * (floor - py) / height, py) for px, py in corners]
        fill(room, tuple(color), corners)
        # A round spine is brighter on the side of the window and darker on the other.
        lit = [(px if k in (0, 3) else px - 0.7 * width, py) for k, (px, py) in enumerate(corners)]
        fill(room, (1, 1, 1), lit, blur=2, strength=0.16)
        dark = [(px + 0.8 * width if k in (0, 3) else px, py) for k, (px, py) in enumerate(corners)]
        fill(room, (0, 0, 0), dark, blur=1.5, strength=0.45)
        for band in (0.14, 0.20, 0.84):
            line = box(x + lean * (1 - band), floor - height * (1 - band), width, 3)
            fill(room, (0.88, 0.77, 0.52), line, strength=0.55)
        x += width + 1.5 + lean


def paint_board(room: Floats, x: float, y: float, width: float) -> None:
    """A wooden shelf board with the shadow under it."""
    fill(room, (0.10, 0.11, 0.11), box(x + 8, y + 8, width, 44), blur=15, strength=0.5)
    grain = 1 + 0.10 * cv2.resize(clouds(room.shape[0], 40, 16, 7), room.shape[1::-1])
    wood = grain[..., None] * np.array((0.56, 0.39, 0.25), np.float32)
    fill(room, wood.astype(np.float32), box(x, y, width, 17))
    fill(room, (0.84, 0.68, 0.50), box(x, y - 1, width, 4), strength=0.8)


def paint_ball(room: Floats, center: tuple[float, float], radius: float, seed: int) -> None:
    """A globe, lit from the window."""
    height, width = room.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = (x - center[0]) / radius, (y - center[1]) / radius
    inside = np.clip((1 - np.hypot(u, v)) * radius, 0, 1).astype(np.float32)
    light = np.clip(0.75 - 0.45 * u - 0.35 * v, 0.18, 1.2)[..., None]
    land = np.clip(clouds(height, width, 32, seed) * 3, 0, 1)[..., None]
    ocean, soil = np.array((0.28, 0.46, 0.55)), np.array((0.68, 0.62, 0.42))
    mix(room, (light * (ocean + land * (soil - ocean))).astype(np.float32), inside)
    gloss = np.exp(-((u + 0.4) ** 2 + (v + 0.45) ** 2) * 18).astype(np.float32)
    mix(room, (1, 1, 1), gloss * inside * 0.5)


def paint_shelves(room: Floats) -> None:
    """Two boards with books, a globe and a vase."""
    left = 962.0
    for top, seed in ((228.0, 11), (430.0, 12)):
        paint_board(room, left, top, 440)
        shade = box(left + 16, top - 118, 360, 118)
        fill(room, (0.12, 0.13, 0.13), shade, blur=12, strength=0.40)
        books = (left + 20, left + 210) if seed == 11 else (left + 150, left + 400)
        paint_books(room, *books, top, seed)
    fill(room, (0.30, 0.22, 0.15), box(1240, 208, 52, 20))
    paint_ball(room, (1266, 160), 52, 13)
    vase = [(1000, 430), (988, 392), (996, 352), (1012, 330), (1008, 312), (1040, 312)]
    vase += [(1036, 330), (1052, 352), (1060, 392), (1048, 430)]
    corners = [(float(a), float(b)) for a, b in vase]
    light = np.clip(1.05 - np.arange(room.shape[1]) / 1000, None, 0.05) * 9 + 0.55
    glaze = np.broadcast_to(light[None, :, None] * np.array((0.76, 0.75, 0.70)), room.shape)
    fill(room, glaze.astype(np.float32), corners)
    fill(room, (1, 1, 1), box(1002, 350, 8, 50), blur=5, strength=0.5)


def paint_picture(room: Floats) -> None:
    """A framed print of hills at dusk."""
    x, y, width, height = 700.0, 52.0, 176.0, 128.0
    fill(room, (0.15, 0.16, 0.16), box(x + 9, y + 11, width, height), blur=8, strength=0.55)
    fill(room, (0.20, 0.16, 0.13), box(x, y, width, height))
    fill(room, (0.93, 0.91, 0.86), box(x + 8, y + 8, width - 16, height - 16))
    dusk = np.empty_like(room)
    dusk[:] = (0.95, 0.76, 0.56)
    rows, columns = np.mgrid[0 : room.shape[0], 0 : room.shape[1]].astype(np.float32)
    tones = ((0.74, 0.52, 0.48), (0.45, 0.37, 0.44), (0.24, 0.26, 0.34))
    for k, tone in enumerate(tones):
        ridge = y + 58 + 16 * k + 9 * np.sin(columns * (0.05 + 0.013 * k) + 2 * k)
        mix(dusk, tone, np.clip(rows - ridge, 0, 1))
    fill(room, dusk, box(x + 26, y + 24, width - 52, height - 48))


def paint_plant(room: Floats) -> None:
    """Long leaves of a plant that stands below the frame, at the right."""
    rng = np.random.default_rng([SEED, 21])
    foot = np.array((1190.0, 812.0))
    fill(room, (0.08, 0.09, 0.08), box(1060, 500, 250, 300), blur=40, strength=0.35)
    for k in range(34):
        angle = math.radians(rng.uniform(-72, 72))
        length, bend = rng.uniform(170, 315), rng.uniform(0.1, 0.7) * np.sign(angle)
        share = np.linspace(0, 1, 24)[:, None]
        turn = angle + bend * share * 1.3
        spine = foot + np.cumsum(np.hstack([np.sin(turn), -np.cos(turn)]) * length / 24, axis=0)
        half = rng.uniform(9, 15) * np.sin(np.pi * share**0.8) ** 0.8
        normal = np.hstack([np.cos(turn), np.sin(turn)])
        corners = [
            tuple(p) for p in np.vstack([spine + normal * half, (spine - normal * half)[::-1]])
        ]
        upper = [tuple(p) for p in np.vstack([spine, (spine - normal * half)[::-1]])]
        depth = 0.45 + 0.55 * k / 33
        leaf = np.array((0.24, 0.42, 0.22)) * depth * rng.uniform(0.85, 1.15)
        fill(room, tuple(leaf), corners)
        fill(room, tuple(leaf * 1.5 + 0.05), upper, blur=1.2, strength=0.75)


def make_room() -> Floats:
    """The clip's own background in linear light, MARGIN larger than the frame on every side."""
    height, width = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN
    room = np.zeros((height, width, 3), np.float32)
    for paint in (paint_wall, paint_window, paint_picture, paint_shelves, paint_plant):
        paint(room)
    # The lens is sharp on the person; blurred in light, bright things bloom as they should.
    return soften(to_linear(np.clip(room, 0, 1)), 3.4)


def make_beach() -> Bytes:
    """The replacement background, (HEIGHT, WIDTH, 3) RGB: a beach towards evening."""
    beach = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    horizon, shore, sun = 350.0, 560.0, (930.0, 262.0)
    paint_sky(beach, x, y, horizon, sun)
    paint_sea(beach, x, y, horizon, sun)
    paint_sand(beach, x, y, shore)
    paint_palm(beach)
    return np.rint(np.clip(soften(beach, 0.6), 0, 1) * 255).astype(np.uint8)


def paint_sky(
    beach: Floats, x: Floats, y: Floats, horizon: float, sun: tuple[float, float]
) -> None:
    """From deep blue down to gold, with a sun, its glow and streaks of cloud."""
    down = np.clip(y / horizon, 0, 1)
    stops = np.array(
        [(0.20, 0.42, 0.70), (0.48, 0.68, 0.84), (0.96, 0.82, 0.66), (1.0, 0.72, 0.46)]
    )
    for c in range(3):
        beach[..., c] = np.interp(down, (0, 0.45, 0.85, 1), stops[:, c])
    distance = np.hypot(x - sun[0], y - sun[1])
    mix(beach, (1.0, 0.86, 0.62), 0.75 * np.exp(-distance / 150))
    streaks = cv2.resize(clouds(HEIGHT * 3, WIDTH // 2, 192, 31), (WIDTH, HEIGHT))
    cover = np.clip(streaks * 0.55 - 0.15, 0, 0.85) * np.clip(1.15 - 0.7 * down, 0, 1)
    mix(beach, (0.98, 0.90, 0.84), cover)
    mix(beach, (0.62, 0.60, 0.70), np.clip(np.roll(cover, 9, axis=0) - cover, 0, 1) * 0.55)
    mix(beach, (1.0, 0.97, 0.86), np.clip((44 - distance) / 3, 0, 1))


def paint_sea(
    beach: Floats, x: Floats, y: Floats, horizon: float, sun: tuple[float, float]
) -> None:
    """Waves that grow towards the viewer, and the path of the sun on them."""
    near = np.clip((y - horizon) / (HEIGHT - horizon), 0, 1)
    sea = np.empty_like(beach)
    for c, (far, close) in enumerate(((0.36, 0.20), (0.52, 0.55), (0.60, 0.58))):
        sea[..., c] = far + (close - far) * np.minimum(near * 1.7, 1)
    # A plane seen at a slant: what is one length on the water is 1 / near on the picture.
    depth = 1 / (near + 0.02)
    ripple = clouds(1024, 1024, 64, 32)
    u, v = (x - WIDTH / 2) * depth * 0.55 + 511, depth * 300
    # There and back again: a plain wrap would tear the waves where the pattern ends.
    there, along = (1022 - np.abs(place % 2044 - 1022).astype(np.float64) for place in (u, v))
    waves = sample(ripple[..., None], there, along)[..., 0]
    sea += (waves * (0.018 + 0.07 * np.sqrt(near)))[..., None]
    path = np.exp(-(((x - sun[0]) / (55 + 260 * near)) ** 2)) * np.exp(-1.2 * near)
    glint = np.clip(0.35 + 0.55 * waves, 0, 1) * path
    mix(sea, (1.0, 0.86, 0.62), glint.astype(np.float32))
    mix(sea, (0.95, 0.80, 0.66), 0.5 * np.exp(-np.clip(y - horizon, 0, None) / 12))
    mix(beach, sea, np.clip(y - horizon, 0, 1))


def paint_sand(beach: Floats, x: Floats, y: Floats, shore: float) -> None:
    """Foam, wet sand that mirrors the sky, and dry sand with ripples."""
    line = shore + 16 * np.sin(x / 170) + 9 * np.sin(x / 61 + 1) - 0.035 * (x - 640)
    line += 5 * clouds(HEIGHT, WIDTH, 64, 33)[:1]
    depth = y - line
    grain, dunes = clouds(HEIGHT, WIDTH, 4, 34), clouds(HEIGHT, WIDTH // 6, 32, 35)
    relief = cv2.resize(dunes, (WIDTH, HEIGHT))
    sand = np.empty_like(beach)
    sand[:] = (0.87, 0.74, 0.56)
    sand += (0.022 * grain + 0.035 * relief)[..., None]
    wet = np.exp(-np.clip(depth, 0, None) / 38)
    mix(sand, (0.60, 0.51, 0.44), wet * 0.85)
    mix(sand, (0.98, 0.84, 0.70), np.clip(wet - 0.35, 0, 1) * 0.5)
    mix(beach, (0.55, 0.68, 0.66), np.exp(-np.clip(-depth, 0, None) / 40) * 0.55)
    mix(beach, sand, np.clip(depth / 2 + 0.5, 0, 1))
    lace = np.clip(0.75 + 0.5 * clouds(HEIGHT, WIDTH, 16, 36), 0, 1)
    for offset, spread, strength in ((-4.0, 7.0, 1.0), (-44.0, 5.0, 0.65), (-78.0, 3.5, 0.5)):
        foam = np.exp(-(((depth - offset - 3 * relief) / spread) ** 2)) * lace * strength
        mix(beach, (1.0, 0.98, 0.95), np.clip(foam, 0, 1))


def paint_palm(beach: Floats) -> None:
    """Palm leaves that hang into the picture at the upper left, against the light."""
    for k, (aim, length) in enumerate(((-2, 400), (30, 430), (62, 330))):
        tone = (0.06 + 0.02 * k, 0.13 + 0.03 * k, 0.09 + 0.01 * k)
        share = np.linspace(0, 1, 30)
        turn = np.radians(aim + 34 * share**1.7)
        steps = np.stack([np.cos(turn), np.sin(turn)], 1) * length / 30
        rib = np.array((-40.0, -25.0)) + np.cumsum(steps, axis=0)
        cv2.polylines(beach, [np.rint(rib * 16).astype(np.int32)], False, tone, 3, cv2.LINE_AA, 4)
        for place, angle, along in zip(rib[3:], turn[3:], share[3:], strict=True):
            size = 108 * math.sin(math.pi * (0.22 + 0.70 * along)) ** 0.8 + 10
            for side in (-1, 1):
                paint_leaflet(beach, place, angle + side * (0.85 - 0.35 * along), size, tone)


def paint_leaflet(
    beach: Floats, root: Doubles, angle: float, size: float, tone: tuple[float, float, float]
) -> None:
    """One narrow leaflet that bends down under its weight."""
    share = np.linspace(0, 1, 9)[:, None]
    aim = np.array((math.cos(angle), math.sin(angle)))
    spine = root + size * (share * aim + share**2 * np.array((0.0, 0.30)))
    half = 3.6 * np.sqrt(1 - share) * np.array((-aim[1], aim[0]))
    outline = np.vstack([spine + half, (spine - half)[::-1]])
    fixed = np.rint(outline * 16).astype(np.int32)
    cv2.fillPoly(beach, [fixed], tone, lineType=cv2.LINE_AA, shift=4)


# Frames --------------------------------------------------------------------------------------


def shade_room(room: Floats, posed: Floats, time: float) -> Floats:
    """The room as the shaken camera sees it, with the person's soft shadow on its wall."""
    shake_x, shake_y = camera_shake(time + SHUTTER / 2 / RATE)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    # The wall is further away than the person: the same shake moves it less.
    view = sample(room, x + MARGIN - 0.6 * shake_x, y + MARGIN - 0.6 * shake_y)
    small = cv2.resize(posed[..., 3], (WIDTH // 8, HEIGHT // 8), interpolation=cv2.INTER_AREA)
    # The light comes from the left and above: the shadow falls 72 pixels right and 32 down.
    moved = cv2.warpAffine(small, np.array([[1.0, 0, 9], [0, 1, 4]]), small.shape[::-1])
    shadow = cv2.resize(
        soften(np.asarray(moved, np.float32), 5), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(view * (1 - 0.32 * shadow[..., None]), np.float32)


def light_person(posed: Floats) -> Floats:
    """The person's premultiplied colour in the light of the room: brighter towards the window."""
    fall = np.linspace(1.10, 0.86, WIDTH, dtype=np.float32)[None, :, None]
    return np.asarray(posed[..., :3] * fall * np.array((1.0, 0.985, 0.95), np.float32))


def expose(light: Floats, index: int) -> Floats:
    """sRGB-encoded 0..1 as a small camera gives it: exposure that hunts a little, and noise."""
    time = index / RATE
    gain = 1 + 0.018 * math.sin(2 * math.pi * time / 1.9) + 0.008 * math.sin(23 * time)
    picture = to_srgb(light * gain)
    rng = np.random.default_rng([SEED, 100, index])
    luma = rng.standard_normal((HEIGHT, WIDTH, 1), np.float32)
    coarse = rng.standard_normal((HEIGHT // 2, WIDTH // 2, 3), np.float32)
    chroma = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    # The darker the picture, the fewer photons, the more noise after the sRGB curve.
    strength = (1.9 - 0.9 * picture) / 255
    return np.asarray(np.clip(picture + strength * (1.1 * luma + 0.9 * chroma), 0, 1))


def make_frame(person: Floats, room: Floats, index: int) -> tuple[Bytes, Bytes]:
    """Frame ``index`` and its alpha: (HEIGHT, WIDTH, 3) RGB and (HEIGHT, WIDTH), 0..255 both."""
    posed = expose_person(person, index)
    light = shade_room(room, posed, index / RATE) * (1 - posed[..., 3:]) + light_person(posed)
    frame = np.rint(expose(light, index) * 255).astype(np.uint8)
    return frame, alpha_bytes(posed)


def make_frames() -> Iterator[tuple[Bytes, Bytes]]:
    """All frames of the clip, each with its alpha."""
    person, room = load_person(), make_room()
    for index in range(FRAMES):
        yield make_frame(person, room, index)


def to_yuv(frame: Bytes) -> Bytes:
    """An RGB frame as BT.709 limited-range planes, (HEIGHT * 3 / 2, WIDTH), as PyAV wants it."""
    red, green, blue = np.moveaxis(frame.astype(np.float32) / 255, 2, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    chroma = [(blue - luma) / 1.8556, (red - luma) / 1.5748]
    small = [c.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean(axis=(1, 3)) for c in chroma]
    planes = [16 + 219 * luma, *(128 + 224 * c for c in small)]
    joined = np.concatenate([p.reshape(-1) for p in planes]).reshape(-1, WIDTH)
    return np.asarray(np.rint(np.clip(joined, 0, 255)), np.uint8)


# Sound ---------------------------------------------------------------------------------------


def make_sound() -> Floats:
    """(2, samples): a slow music-box tune over two chords, and a tick at every full second."""
    total = SOUND_RATE * FRAMES // RATE
    sound = np.zeros((2, total))
    tune = (76, 79, 84, 83, 79, 76, 74, 77, 81, 79, 77, 74, 72, 76, 79, 84, 83, 79, 76, 72)
    for k, pitch in enumerate(tune):
        add_note(sound, k * 0.25, pitch, length=1.1, level=0.10, pan=0.35 + 0.3 * (k % 2))
    for start, chord in ((0.0, (48, 55, 64)), (1.5, (50, 57, 65)), (3.0, (48, 55, 64))):
        for pitch in chord:
            add_note(sound, start, pitch, length=2.2, level=0.07, pan=0.5)
    for second in range(FRAMES // RATE):
        add_tick(sound, second)
    fade = np.minimum(1, np.arange(total)[::-1] / (0.3 * SOUND_RATE))
    return np.asarray(np.clip(sound * fade, -1, 1), np.float32)


def add_note(
    sound: Doubles, start: float, pitch: int, length: float, level: float, pan: float
) -> None:
    """Add a plucked note; ``pitch`` is a MIDI number, ``pan`` 0 for left to 1 for right."""
    first = round(start * SOUND_RATE)
    time = np.arange(min(round(length * SOUND_RATE), sound.shape[1] - first)) / SOUND_RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    tone = sum(np.sin(2 * np.pi * frequency * n * time) / n**2.2 for n in (1, 2, 3, 5))
    tone = tone * np.exp(-4.5 * time / length) * np.minimum(1, time / 0.006) * level
    sound[:, first : first + len(time)] += np.array(((1 - pan), pan))[:, None] * 2 * tone


def add_tick(sound: Doubles, second: int) -> None:
    """Add a short high click, by which a shift between picture and sound can be seen."""
    first = second * SOUND_RATE
    time = np.arange(round(0.03 * SOUND_RATE)) / SOUND_RATE
    sound[:, first : first + len(time)] += (
        0.25 * np.sin(2 * np.pi * 2200 * time) * np.exp(-180 * time)
    )


# Files ---------------------------------------------------------------------------------------


def write_clip(clip_path: Path, alpha_path: Path) -> None:
    """Write the clip with its sound, and beside it the alpha, frame by frame."""
    alpha_path.parent.mkdir(exist_ok=True)
    with (
        av.open(str(clip_path), "w", options={"movflags": "+faststart"}) as clip,
        av.open(str(alpha_path), "w") as matte,
    ):
        picture, sound, grey = add_picture(clip), add_sound(clip), add_grey(matte)
        for index, (frame, alpha) in enumerate(make_frames()):
            clip.mux(picture.encode(tagged_frame(frame, index)))
            matte.mux(grey.encode(alpha_frame(alpha, index)))
        clip.mux(picture.encode())
        matte.mux(grey.encode())
        write_sound(clip, sound)


def add_picture(clip: av.container.OutputContainer) -> av.VideoStream:
    """The H.264 stream of the clip, tagged as what it is: BT.709, limited range."""
    options = {"crf": "20", "preset": "slow", "x264-params": "aq-mode=3"}
    stream = clip.add_stream("libx264", RATE, options=options)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, RATE)
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    return stream


def add_sound(clip: av.container.OutputContainer) -> av.AudioStream:
    """The AAC stream of the clip."""
    stream = clip.add_stream("aac", SOUND_RATE, layout="stereo")
    stream.bit_rate = 96_000
    return stream


def add_grey(matte: av.container.OutputContainer) -> av.VideoStream:
    """The lossless stream of the alpha; one long group, so that its statistics are kept."""
    options = {"level": "3", "coder": "1", "context": "1", "g": str(FRAMES), "slicecrc": "1"}
    stream = matte.add_stream("ffv1", RATE, options=options)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
    stream.codec_context.time_base = Fraction(1, RATE)
    stream.codec_context.color_range = ColorRange.JPEG
    return stream


def tagged_frame(frame: Bytes, index: int) -> av.VideoFrame:
    """A frame of the clip for the encoder."""
    picture = av.VideoFrame.from_ndarray(to_yuv(frame), format="yuv420p")
    picture.color_range, picture.colorspace = ColorRange.MPEG, Colorspace.ITU709
    picture.pts, picture.time_base = index, Fraction(1, RATE)
    return picture


def alpha_frame(alpha: Bytes, index: int) -> av.VideoFrame:
    """A frame of the alpha for the encoder."""
    picture = av.VideoFrame.from_ndarray(alpha, format="gray")
    picture.color_range = ColorRange.JPEG
    picture.pts, picture.time_base = index, Fraction(1, RATE)
    return picture


def write_sound(clip: av.container.OutputContainer, stream: av.AudioStream) -> None:
    """Encode the sound and end its stream."""
    samples = av.AudioFrame.from_ndarray(make_sound(), format="fltp", layout="stereo")
    samples.sample_rate, samples.pts = SOUND_RATE, 0
    samples.time_base = Fraction(1, SOUND_RATE)
    clip.mux(stream.encode(samples))
    clip.mux(stream.encode())


def write_beach(path: Path) -> None:
    """Write the replacement background."""
    cv2.imwrite(str(path), make_beach()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def main() -> None:
    """Write all samples into the folder that is asked for, by default the script's own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE, help="where to write")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write_beach(folder / "beach.jpg")
    write_clip(folder / "walk.mp4", folder / "alpha" / "walk.mkv")


if __name__ == "__main__":
    main()
