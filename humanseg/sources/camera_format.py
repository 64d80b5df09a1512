"""What is asked of a camera, in the order that drivers obey, and what it makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2

from humanseg.errors import SettingsError
from humanseg.frames import StreamInfo

PIXEL_FORMATS = ("auto", "mjpg", "yuyv")

# Two: the driver fills one while the other is decoded. With one it has to drop every second
# picture; more would only hold old ones.
_BUFFERS = 2
# USB 2 carries raw pictures up to this size at this rate; above it only JPEG keeps the rate.
_RAW_PIXELS, _RAW_RATE = 640 * 480, 30
# Drivers say 29.97 for 30.
_RATE_SLACK = 0.95
_OTHER_NAMES = {"YUYV": "YUY2"}


@dataclass(frozen=True, slots=True)
class CameraFormat:
    """What to ask of a camera.

    Attributes:
        size: (height, width); None for the camera's own choice.
        rate: frames a second; None for the camera's own choice.
        pixel_format: "mjpg", "yuyv", or "auto": JPEG above 640x480 at 30 a second.

    Raises:
        SettingsError: there is no such pixel format.
    """

    size: tuple[int, int] | None = None
    rate: float | None = None
    pixel_format: str = "auto"

    def __post_init__(self) -> None:
        if self.pixel_format not in PIXEL_FORMATS:
            raise SettingsError(
                f"{self.pixel_format!r} is no camera format",
                hint=f"use {', '.join(PIXEL_FORMATS)}",
            )

    def ask(self, capture: Any) -> None:
        """Ask an open `cv2.VideoCapture`.

        The format goes first: many drivers reset the size with it, and offer large sizes at a
        full rate in one format only.
        """
        letters = self._letters()
        if letters:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*letters))
        if self.size:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.size[1])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.size[0])
        if self.rate:
            capture.set(cv2.CAP_PROP_FPS, self.rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)

    def differences(self, info: StreamInfo, letters: str) -> Iterator[str]:
        """What the camera gives instead, a sentence each.

        Args:
            info: what it gives.
            letters: its pixel format; empty when unknown.
        """
        if self.size and self.size != (info.height, info.width):
            yield (
                f"asked for {self.size[1]}x{self.size[0]}, the camera gives "
                f"{info.width}x{info.height}; `humanseg devices` lists its sizes"
            )
        if self.rate and info.rate and info.rate < _RATE_SLACK * self.rate:
            yield (
                f"asked for {self.rate:g} frames a second, the camera gives {float(info.rate):g}; "
                "a smaller size or another format may be faster, see `humanseg devices`"
            )
        asked = self.pixel_format.upper()
        if asked != "AUTO" and letters and letters not in (asked, _OTHER_NAMES.get(asked)):
            yield f"asked for the format {asked}, the camera gives {letters}"

    def _letters(self) -> str | None:
        """The format to ask for; None leaves it to the camera."""
        if self.pixel_format != "auto":
            return self.pixel_format.upper()
        if self.rate and self.rate > _RAW_RATE:
            return "MJPG"
        if self.size is None:
            return None
        return "MJPG" if self.size[0] * self.size[1] > _RAW_PIXELS else "YUYV"


def letters_of(capture: Any) -> str:
    """The four letters of what an open camera gives; empty where OpenCV does not know."""
    code = int(max(0, capture.get(cv2.CAP_PROP_FOURCC)))
    text = code.to_bytes(8, "little")[:4].decode("ascii", "replace")
    return text if text.isalnum() and text.isascii() else ""
