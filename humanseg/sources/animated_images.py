"""Pictures that move: which ones do, and the frames of those that FFmpeg does not play."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from humanseg.closing import Closing
from humanseg.errors import MissingExtraError, SourceError
from humanseg.frames import Frame, StreamInfo
from humanseg.media.av_gate import reading
from humanseg.media.opencv_log import quiet_opencv

if TYPE_CHECKING:
    from typing import BinaryIO

    from humanseg.frames import Image

MOST_BYTES = 512 << 20
"""Of all frames of an animation, which are decoded at once."""

SHORTEST = Fraction(11, 1000)
USUAL = Fraction(1, 10)
"""Browsers show a frame that asks for less than SHORTEST seconds for USUAL ones."""

_PNG = b"\x89PNG\r\n\x1a\n"
_MOVES = 0x02
_LONGEST_HEADER = 64
"""Chunks of a PNG before its pixels; more are not looked at."""


@dataclass(frozen=True, slots=True)
class _Canvas:
    """What the header of an animated WebP says."""

    height: int
    width: int
    frame_count: int


def is_animated_png(path: Path) -> bool:
    """Whether this is a PNG of several frames, whatever its suffix; FFmpeg plays these."""
    try:
        with path.open("rb") as file:
            return file.read(len(_PNG)) == _PNG and _has_frames(file)
    except OSError:
        return False


def _has_frames(file: BinaryIO) -> bool:
    for _ in range(_LONGEST_HEADER):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return False
        (length,) = struct.unpack(">I", head[:4])
        if head[4:] == b"acTL":
            count = file.read(4)
            return len(count) == 4 and struct.unpack(">I", count)[0] > 1
        file.seek(length + 4, 1)
    return False


def is_animated_webp(path: Path) -> bool:
    """Whether this is a WebP of several frames, whatever its suffix."""
    return _read_canvas(path) is not None


def _read_canvas(path: Path) -> _Canvas | None:
    try:
        with path.open("rb") as file:
            head = file.read(30)
            is_extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 30
            if not is_extended or not head[20] & _MOVES:
                return None
            width = 1 + int.from_bytes(head[24:27], "little")
            height = 1 + int.from_bytes(head[27:30], "little")
            count = _count_frames(file)
    except OSError:
        return None
    return _Canvas(height, width, count) if count > 1 else None


def _count_frames(file: BinaryIO) -> int:
    count = 0
    while len(head := file.read(8)) == 8:
        count += head[:4] == b"ANMF"
        (length,) = struct.unpack("<I", head[4:])
        file.seek(length + length % 2, 1)
    return count


class AnimatedWebpSource(Closing):
    """Frames of an animated WebP, at their own pace; may be gone through again and again.

    All frames are decoded when it is opened, and kept.
    """

    def __init__(self, path: Path | str) -> None:
        """Decode the file.

        Args:
            path: of the picture.

        Raises:
            SourceError: it is missing, damaged, no animated WebP, or too large.
            MissingExtraError: OpenCV is too old for it.
        """
        path = Path(path)
        with reading(path):
            path.stat()
        canvas = _read_canvas(path)
        if canvas is None:
            raise SourceError("is no animated WebP", subject=path)
        _check_size(canvas, path)
        pictures, seconds = _decode(path)
        self._frames: list[Frame] = []
        time = Fraction(0)
        for index, (pixels, lasting) in enumerate(zip(pictures, seconds, strict=True)):
            pixels.flags.writeable = False
            self._frames.append(Frame(pixels, index, time, duration=lasting))
            time += lasting
        self._info = StreamInfo(
            width=pictures[0].shape[1],
            height=pictures[0].shape[0],
            rate=len(pictures) / time,
            frame_count=len(pictures),
            time_base=Fraction(1, 1000),
            duration=float(time),
            origin=path,
        )

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """All frames, from the first one; they are shared and read-only."""
        return iter(self._frames)

    def close(self) -> None:
        """Let the frames go."""
        self._frames = []


def _check_size(canvas: _Canvas, path: Path) -> None:
    size = canvas.height * canvas.width * 4 * canvas.frame_count
    if size > MOST_BYTES:
        raise SourceError(
            f"has {canvas.frame_count} frames of {canvas.width}x{canvas.height}, too much to keep",
            subject=path,
            hint="make a video of it, as an mp4, which is read frame by frame",
        )


def _decode(path: Path) -> tuple[list[Image], list[Fraction]]:
    """(H, W, 3) BGR pixels and seconds of each frame."""
    if not hasattr(cv2, "imdecodeanimation"):
        raise MissingExtraError(
            "needs OpenCV 4.11 or newer",
            subject=path,
            hint="pip install --upgrade opencv-python",
        )
    with reading(path):
        data = np.fromfile(path, np.uint8)
    animation: Any = None
    is_decoded = False
    with quiet_opencv(), contextlib.suppress(cv2.error):
        is_decoded, animation = cv2.imdecodeanimation(data)
    if not is_decoded or len(animation.frames) == 0:
        raise SourceError(
            "is no picture that can be read",
            subject=path,
            hint="the file is damaged; copy or save the picture again",
        )
    pictures = [np.ascontiguousarray(each[..., :3]) for each in animation.frames]
    asked = [Fraction(int(each), 1000) for each in animation.durations]
    return pictures, [USUAL if each < SHORTEST else each for each in asked]
