"""What cameras, lamps and video codecs do to a picture; (H, W, 3) uint8 RGB in and out."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Floats = NDArray[np.float32]

Random = np.random.Generator

CODED_FRAMES = 3
"""Frames of the clip a picture is coded in: what is seen of a stream is mostly predicted frames."""

LEAST_QUALITY, MOST_QUALITY = 46, 28
"""x264's rate factors: visible blocks, and slight softness."""


def low_light(random: Random, picture: Picture) -> Picture:
    """Darken as an underexposed room does, with shot and read noise, and a camera's colour cast."""
    light = (picture / np.float32(255)) ** np.float32(random.uniform(1.2, 2.0))
    light *= np.float32(random.uniform(0.12, 0.5)) * _floats(random.uniform(0.85, 1.15, 3))
    electrons = np.float32(random.uniform(60, 400))
    # Shot noise grows with the root of the light; the rest is there in the dark, too.
    spread = np.sqrt(light / electrons + np.float32(random.uniform(0.002, 0.015) ** 2))
    noisy = light + spread * random.standard_normal(light.shape, np.float32)
    return _bytes(np.maximum(noisy, 0) * np.float32(random.uniform(1.0, 2.2)))


def mixed_light(random: Random, picture: Picture) -> Picture:
    """Light one side warm and the other cool, as a lamp and a window do."""
    height, width = picture.shape[:2]
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    across = columns * np.float32(np.cos(angle)) + rows * np.float32(np.sin(angle))
    share = 1 / (1 + np.exp(-across * np.float32(random.uniform(1.5, 6))))[..., None]
    warmth = random.uniform(0.1, 0.35)
    warm = np.array([1 + warmth, 1, 1 - warmth], np.float32)
    cool = np.array([1 - 0.7 * warmth, 1, 1 + 0.7 * warmth], np.float32)
    return _bytes(picture / np.float32(255) * (share * warm + (1 - share) * cool))


def webcam(random: Random, picture: Picture) -> Picture:
    """Coarse noise, colour that is smeared over neighbours, and halos of sharpening."""
    height, width = picture.shape[:2]
    coarse = random.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32)
    noise = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    noisy = picture.astype(np.float32) + noise * np.float32(random.uniform(3, 14))
    split = cv2.cvtColor(np.clip(noisy, 0, 255) / np.float32(255), cv2.COLOR_RGB2YCrCb)
    split[..., 1:] = cv2.GaussianBlur(split[..., 1:], (0, 0), random.uniform(1, 3))
    luma = split[..., 0]
    halo = luma - cv2.GaussianBlur(luma, (0, 0), 1.2)
    split[..., 0] = np.clip(luma + np.float32(random.uniform(0.3, 1.5)) * halo, 0, 1)
    return _bytes(np.asarray(cv2.cvtColor(split, cv2.COLOR_YCrCb2RGB), np.float32))


def h264(random: Random, picture: Picture) -> Picture:
    """Code a picture with too few bits, as the last frame of a short, moving clip.

    Pictures of odd size or below 32 pixels are given back as they are: H.264 has no such frames.
    """
    height, width = picture.shape[:2]
    if height % 2 or width % 2 or min(height, width) < 32:
        return picture
    step = random.uniform(-2, 2, 2)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.thread_count = 1
        factor = random.integers(MOST_QUALITY, LEAST_QUALITY + 1)
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "crf": str(factor)}
        for index in range(CODED_FRAMES):
            back = step * (CODED_FRAMES - 1 - index)
            moved = cv2.warpAffine(
                picture,
                np.array([[1, 0, back[0]], [0, 1, back[1]]]),
                (width, height),
                borderMode=cv2.BORDER_REPLICATE,
            )
            frame = av.VideoFrame.from_ndarray(np.asarray(moved, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r", format="h264") as coded:
        frames = list(coded.decode(video=0))
    return np.asarray(frames[-1].to_ndarray(format="rgb24"), np.uint8)


def _floats(numbers: NDArray[np.float64]) -> Floats:
    return numbers.astype(np.float32)


def _bytes(light: Floats) -> Picture:
    """0..1 -> 0..255."""
    return np.round(np.clip(light, 0, 1) * 255).astype(np.uint8)
