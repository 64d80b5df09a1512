"""Clips with known truth, made from stills: the camera moves, a head turns, a hand waves.

Every picture of a clip goes through the same warp as its mask; motion blur, exposure, sensor noise
and compression come afterwards, as in a webcam.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import cv2
import numpy as np

from humanseg_training.cutouts import Hand, Head, Layer, background_behind, cut_out, layer_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Alpha, Image

    Floats = NDArray[np.float32]

Array = TypeVar("Array", bound="NDArray[Any]")

RATE = 30
"""Frames a second of every clip."""

SHUTTER = 0.5
"""Share of the time between two frames for which the shutter is open."""

EXPOSURES = 4
"""Moments within one open shutter that are averaged into the blur of a moving layer."""


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A picture whose truth is known.

    Attributes:
        name: also the seed of what is random in its clips.
        pixels: (H, W, 3) uint8 BGR.
        alpha: (H, W) float32, 0..1.
    """

    name: str
    pixels: Image
    alpha: Alpha


@dataclass(frozen=True, slots=True)
class Degradation:
    """What camera and connection do to the pictures.

    Attributes:
        exposure: largest change of brightness from frame to frame, as a share.
        noise: of the sensor, standard deviation in levels of 0..255.
        quality: of JPEG, 1..100.
    """

    exposure: float = 0.04
    noise: float = 5.0
    quality: int = 60


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame of a clip.

    Attributes:
        pixels: (H, W, 3) uint8 BGR.
        truth: (H, W) float32, 0..1.
        fast: rows and columns of the part where something moves fast, or None.
    """

    pixels: Image
    truth: Alpha
    fast: tuple[slice, slice] | None = None


Scene = Callable[[float], Shot]
"""What the camera sees at a time in seconds, before any degradation."""


def make_clip(
    still: Still,
    kind: str,
    *,
    frames: int = 40,
    seed: int = 0,
    degradation: Degradation | None = None,
) -> Iterator[Shot]:
    """Film a still; the same arguments give the same clip.

    Args:
        still: what is filmed; the clip has its size.
        kind: one of KINDS.
        frames: length of the clip, at RATE.
        seed: of exposure and noise.
        degradation: of the pictures; the usual one when None.
    """
    scene = KINDS[kind](still)
    degrade = _Degrader(degradation or Degradation(), [seed, zlib.crc32(still.name.encode())])
    for index in range(frames):
        shot = scene(index / RATE)
        yield Shot(degrade(shot.pixels, index), shot.truth, shot.fast)


class _Degrader:
    def __init__(self, degradation: Degradation, seed: list[int]) -> None:
        self._degradation, self._seed = degradation, seed

    def __call__(self, pixels: Image, index: int) -> Image:
        kind = self._degradation
        random = np.random.default_rng([*self._seed, index])
        gain = np.float32(1 + random.uniform(-kind.exposure, kind.exposure))
        noise = random.standard_normal(pixels.shape, np.float32) * np.float32(kind.noise)
        seen = np.clip(pixels * gain + noise, 0, 255).astype(np.uint8)
        _, packed = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, kind.quality])
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


# The camera moves ------------------------------------------------------------------------------

ZOOM = 1.12
"""Enlargement of every still, so that a moving camera does not see its edge."""


def _wave(time: float, period: float) -> float:
    return math.sin(2 * math.pi * time / period)


def _camera(still: Still, pose: Callable[[float], tuple[float, float, float, float]]) -> Scene:
    """A camera whose pose is a function of time: right, down (shares), zoom, roll (degrees)."""

    def scene(time: float) -> Shot:
        right, down, zoom, roll = pose(time)
        height, width = still.alpha.shape
        middle = (width / 2, height / 2)
        matrix = np.asarray(cv2.getRotationMatrix2D(middle, roll, ZOOM * zoom), np.float64)
        matrix[:, 2] += (right * width, down * width)
        return Shot(_warp(still.pixels, matrix), _warp(still.alpha, matrix))

    return scene


def _warp(array: Array, matrix: NDArray[np.float64]) -> Array:
    size = (array.shape[1], array.shape[0])
    return cast(
        "Array",
        cv2.warpAffine(array, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT),
    )


def _still(still: Still) -> Scene:
    return _camera(still, lambda _: (0, 0, 1, 0))


def _pan(still: Still) -> Scene:
    return _camera(still, lambda t: (0.045 * _wave(t, 1.4), 0.02 * _wave(t + 0.2, 1.1), 1, 0))


def _zoom(still: Still) -> Scene:
    return _camera(still, lambda t: (0, 0, 1 + 0.08 * _wave(t, 1.6), 0))


def _rotation(still: Still) -> Scene:
    return _camera(still, lambda t: (0, 0, 1, 5 * _wave(t, 1.5)))


# People move -----------------------------------------------------------------------------------


def _head_turn(still: Still) -> Scene:
    behind, head = _layers(still)

    def scene(time: float) -> Shot:
        person = _exposed(time, lambda moment: head.turned(2 * math.pi * moment / 1.3))
        return Shot(_bytes(person.over(behind)), person.alpha)

    return scene


def _hand_wave(still: Still) -> Scene:
    behind, head = _layers(still)
    hand = Hand(still.pixels, still.alpha)
    reach = hand.reach()

    def scene(time: float) -> Shot:
        # The person sways a little, as nobody waves with one arm only.
        person = head.turned(0.3 * _wave(time, 1.6))
        arm = _exposed(time, lambda moment: hand.waved(2 * math.pi * moment / 0.8))
        truth = person.alpha + arm.alpha * (1 - person.alpha)
        return Shot(_bytes(arm.over(person.over(behind))), truth, reach)

    return scene


def _layers(still: Still) -> tuple[Floats, Head]:
    behind = background_behind(still.pixels, still.alpha)
    return behind, Head(cut_out(still.pixels, still.alpha))


def _exposed(time: float, layer: Callable[[float], Layer]) -> Layer:
    """A moving layer, blurred by the open shutter."""
    moments = [time + SHUTTER / RATE * step / EXPOSURES for step in range(EXPOSURES)]
    total = np.mean([layer(moment).premultiplied() for moment in moments], axis=0)
    return layer_of(np.asarray(total, np.float32))


def _bytes(colour: Floats) -> Image:
    return np.asarray(np.clip(colour + np.float32(0.5), 0, 255), np.uint8)


KINDS: Mapping[str, Callable[[Still], Scene]] = {
    "still": _still,
    "pan": _pan,
    "zoom": _zoom,
    "rotation": _rotation,
    "head turn": _head_turn,
    "hand wave": _hand_wave,
}
"""Kinds of motion by name."""
