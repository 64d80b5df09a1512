"""What travels through the pipeline: frames, their mattes, and facts about a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    """(H, W, 3) BGR 0..255, sRGB-encoded; (H, W, 4) BGRA with straight alpha where said so."""

    Mask = NDArray[np.float32]
    """(h, w) probability of a person 0..1, at the network's size."""

    Alpha = NDArray[np.float32]
    """(H, W) share of the foreground in each pixel 0..1, at the frame's size."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a stream. Its pixels are read-only from the moment it is handed on.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, or (H, W, 4) BGRA with straight alpha from a compositor.
        index: number of the frame in its stream, from 0.
        time: presentation time in seconds from the stream's own zero, exact.
        duration: seconds the frame is shown, exact; None when the source does not say.
        captured_at: `time.monotonic()` when a camera gave the frame; None for files.
    """

    pixels: Image
    index: int
    time: Fraction
    duration: Fraction | None = None
    captured_at: float | None = None

    @property
    def height(self) -> int:
        """Rows of the picture."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of the picture."""
        return int(self.pixels.shape[1])

    def freeze(self) -> None:
        """Make the pixels read-only."""
        self.pixels.flags.writeable = False

    def __repr__(self) -> str:
        return f"Frame({self.index}, {float(self.time):.3f} s, {self.width}x{self.height})"


@dataclass(frozen=True, slots=True, eq=False)
class Matte:
    """A frame with its alpha.

    Attributes:
        frame: the picture as it came from the source.
        alpha: (H, W) float32, 0..1, of the frame's size.

    Raises:
        ValueError: the sizes differ.
    """

    frame: Frame
    alpha: Alpha

    def __post_init__(self) -> None:
        if self.alpha.shape != self.frame.pixels.shape[:2]:
            raise ValueError(
                f"an alpha of {self.alpha.shape} does not fit a frame of "
                f"{self.frame.pixels.shape[:2]}"
            )

    def __repr__(self) -> str:
        return f"Matte({self.frame!r})"


@dataclass(frozen=True, slots=True)
class ColorTags:
    """How a stream codes colour, by FFmpeg's names; None where the stream does not say.

    Attributes:
        matrix: YCbCr matrix, "bt709" or "smpte170m" and the like.
        range: "tv" (limited) or "pc" (full).
        primaries: "bt709" and the like.
        transfer: "bt709" and the like.
    """

    matrix: str | None = None
    range: str | None = None
    primaries: str | None = None
    transfer: str | None = None


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Facts about a stream, known before its first frame.

    Attributes:
        width: columns of the frames as they are shown, after rotation.
        height: rows of the frames as they are shown, after rotation.
        rate: frames a second on average; None when unknown.
        frame_count: frames the container promises; None when it does not say.
        time_base: unit of the presentation times, in seconds.
        duration: seconds the container promises; None when it does not say.
        origin: file, folder or device the frames come from.
        color: how the stream codes colour.
        pixel_aspect: width of a pixel over its height; 1 for nearly every file.
    """

    width: int
    height: int
    rate: Fraction | None
    frame_count: int | None
    time_base: Fraction
    duration: float | None
    origin: Path | str
    color: ColorTags = field(default_factory=ColorTags)
    pixel_aspect: Fraction = Fraction(1)
