"""What can stand behind the people: a blur, a colour, a picture, a video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.closing import Closing
from humanseg.errors import PartialError, SourceError
from humanseg.frames import Frame
from humanseg.look.looks import DEFAULT_STRENGTH, blur_strength, check_number, parse_color
from humanseg.pixels import gaussian_mean, grow, interleave, resize
from humanseg.protocols import Background
from humanseg.sources.animated_images import (
    AnimatedWebpSource,
    is_animated_png,
    is_animated_webp,
)
from humanseg.sources.images import SUFFIXES, read_image
from humanseg.sources.video_file import VideoFileSource

if TYPE_CHECKING:
    from humanseg.frames import Alpha, Image
    from humanseg.media.planar import PlanarFrame, Planes

LARGEST_SIGMA = 0.05
"""Spread of the strongest blur, as a share of the frame's height."""


class Blur(Closing):
    """The frame's own background, blurred without the people's colours in it.

    Works at an eighth or a quarter of the frame's size; a Gaussian as wide as ours holds nothing
    finer.

    Source: normalised convolution, Knutsson and Westin, CVPR 1993, with 1 - alpha as certainty.
    """

    SCALES = (8, 4)
    FINEST = 2.0
    """Spread in pixels of the small picture below which a Gaussian no longer fits into it."""
    PERSON_SHARE = 0.004
    """Certainty left to the people, so that a pixel far inside them still has a colour."""

    def __init__(self, strength: float = DEFAULT_STRENGTH) -> None:
        """Set the strength, 0 (none) to 1 (strongest).

        Raises:
            SettingsError: another number.
        """
        check_number("strength", strength)
        self._strength = strength

    def for_frame(self, frame: Frame, alpha: Alpha) -> Image:
        """(H, W, 3) BGR: the blurred surroundings of the people."""
        if self._strength == 0:
            return frame.pixels
        height, width = alpha.shape
        scale = self._scale(height)
        size = (max(1, height // scale), max(1, width // scale))
        blurred = self._blurred(resize(frame.pixels, *size), alpha, height / scale)
        return resize(blurred, height, width)

    def fill(self, frame: PlanarFrame, alpha: Alpha, into: Planes) -> None:
        """Write the blurred surroundings of the people, plane by plane.

        Args:
            frame: left unchanged.
            alpha: (h, w) float32, 0..1, of the frame's size or smaller.
            into: planes of the frame's size.
        """
        source = frame.planes
        planes = (into.y, into.u, into.v)
        if self._strength == 0:
            for plane, target in zip((source.y, source.u, source.v), planes, strict=True):
                np.copyto(target, plane)
            return
        scale = self._scale(source.height)
        small = interleave(source.level(scale.bit_length() - 1))
        blurred = self._blurred(small, alpha, source.height / scale)
        for number, target in enumerate(planes):
            plane = np.ascontiguousarray(blurred[..., number])
            cv2.resize(plane, target.shape[::-1], dst=target, interpolation=cv2.INTER_LINEAR)

    def _scale(self, height: int) -> int:
        """How much smaller the picture is blurred; a power of two."""
        sigma = self._strength * LARGEST_SIGMA * height
        return next((scale for scale in self.SCALES if sigma / scale >= self.FINEST), 4)

    def _blurred(self, small: Image, alpha: Alpha, small_height: float) -> Image:
        """A small picture (h, w, 3) uint8 blurred where people are not, into where they are."""
        # A pixel more, since the edge's own pixels carry some of the person's colour.
        people = grow(_fitted(alpha, *small.shape[:2]), 1)
        certainty = 1 - np.float32(1 - self.PERSON_SHARE) * people
        sigma = max(0.5, self._strength * LARGEST_SIGMA * small_height)
        weighted = cv2.multiply(small, cv2.merge([certainty] * 3), dtype=cv2.CV_32F)
        sums = gaussian_mean(cv2.merge([*cv2.split(weighted), certainty]), sigma)
        blurred = sums[..., :3] / sums[..., 3:]
        return np.asarray(np.clip(blurred + np.float32(0.5), 0, 255), np.uint8)


def _fitted(alpha: Alpha, height: int, width: int) -> Alpha:
    """An alpha at a size, which may be larger; a new array."""
    return np.array(resize(alpha, height, width))


class Color(Closing):
    """One colour everywhere."""

    def __init__(self, bgr: tuple[int, int, int]) -> None:
        self._bgr = bgr
        self._filled: Image | None = None

    def for_frame(self, frame: Frame, alpha: Alpha) -> Image:
        """(H, W, 3) BGR of the one colour."""
        if self._filled is None or self._filled.shape[:2] != alpha.shape:
            self._filled = np.full((*alpha.shape, 3), self._bgr, np.uint8)
        return self._filled


class Picture(Closing):
    """A picture, scaled to cover the frame and cropped at its centre."""

    def __init__(self, pixels: Image) -> None:
        self._pixels = pixels
        self._fitted: Image | None = None

    def for_frame(self, frame: Frame, alpha: Alpha) -> Image:
        """(H, W, 3) BGR of the picture."""
        if self._fitted is None or self._fitted.shape[:2] != alpha.shape:
            self._fitted = cover(self._pixels, *alpha.shape[:2])
        return self._fitted


class Clip(Closing):
    """A video at its own pace, from the start again when it ends; scaled to cover the frame."""

    def __init__(self, path: Path) -> None:
        """Open a video or an animated picture.

        Raises:
            SourceError: it cannot be opened.
        """
        self._source = AnimatedWebpSource(path) if is_animated_webp(path) else VideoFileSource(path)
        self._frames = iter(self._source)
        self._shown = self._next_or_none()
        if self._shown is None:
            raise SourceError("has no frames to show as a background", subject=path)
        self._upcoming = self._next_or_none()
        self._is_still = self._upcoming is None
        self._began = Fraction(0)
        self._fitted: tuple[Frame, Image] | None = None

    def for_frame(self, frame: Frame, alpha: Alpha) -> Image:
        """(H, W, 3) BGR of the clip's frame for the time of this frame."""
        while self._upcoming is not None and self._upcoming.time <= frame.time - self._began:
            self._shown, self._upcoming = self._upcoming, self._next_or_none()
        if self._upcoming is None and not self._is_still and self._ended(frame.time):
            self._rewind(frame.time)
        assert self._shown is not None
        return self._fit(self._shown, *alpha.shape[:2])

    def _fit(self, shown: Frame, height: int, width: int) -> Image:
        """The shown frame in the size asked for; made once, however often it is shown."""
        if self._fitted is not None:
            frame, fitted = self._fitted
            if frame is shown and fitted.shape[:2] == (height, width):
                return fitted
        fitted = cover(shown.pixels, height, width)
        self._fitted = (shown, fitted)
        return fitted

    def _ended(self, time: Fraction) -> bool:
        assert self._shown is not None
        lasting = self._shown.duration or Fraction(1, 25)
        return time - self._began >= self._shown.time + lasting

    def _rewind(self, time: Fraction) -> None:
        self._frames = iter(self._source)
        self._shown, self._upcoming = self._next_or_none() or self._shown, self._next_or_none()
        self._began = time

    def _next_or_none(self) -> Frame | None:
        try:
            return next(self._frames, None)
        except PartialError:
            # A damaged end only makes the loop shorter.
            return None

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def cover(pixels: Image, height: int, width: int) -> Image:
    """Scale a picture so that it covers (height, width) without stretching, and crop its centre."""
    scale = max(height / pixels.shape[0], width / pixels.shape[1])
    tall = max(height, round(pixels.shape[0] * scale))
    wide = max(width, round(pixels.shape[1] * scale))
    scaled = resize(pixels, tall, wide)
    top, left = (tall - height) // 2, (wide - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])


def open_background(what: str | Path) -> Background:
    """Make a background of a short text.

    Args:
        what: "blur", "blur:0.8", a colour ("green", "#00ff00", "0,255,0" as red, green, blue), or
            the path of a picture or a video.

    Raises:
        SettingsError: the text says none of these.
        SourceError: the file does not exist, or is neither picture nor video.
    """
    text = str(what)
    strength = blur_strength(text)
    if strength is not None:
        return Blur(strength)
    bgr = parse_color(text)
    if bgr is not None:
        return Color(bgr)
    path = Path(what)
    is_picture = path.suffix.lower() in SUFFIXES and not _moves(path)
    if is_picture or not path.is_file():
        return Picture(_read_background(path))
    try:
        return Clip(path)
    except SourceError as error:
        raise SourceError(
            "is neither a picture nor a video that can be read",
            subject=path,
            hint="a background is a picture, a video, a colour such as '#00ff00', or blur",
        ) from error


def _moves(path: Path) -> bool:
    """Whether this is an animated picture."""
    return is_animated_png(path) or is_animated_webp(path)


def _read_background(path: Path) -> Image:
    try:
        return read_image(path)
    except SourceError as error:
        raise SourceError(
            error.what,
            subject=path,
            hint="a background is a picture, a video, a colour such as '#00ff00', or blur",
        ) from error
