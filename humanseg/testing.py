"""Small doubles of a source, a sink and an engine, for tests of this package and of yours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from humanseg.closing import Closing
from humanseg.frames import Frame, StreamInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Image


class ListSource(Closing):
    """Gives pictures from memory at a steady rate; can fail at the end."""

    def __init__(
        self,
        pictures: Sequence[Image],
        *,
        rate: int = 30,
        error: Exception | None = None,
    ) -> None:
        """Hold the pictures.

        Args:
            pictures: (H, W, 3) uint8 BGR, at least one, all of one size.
            rate: frames a second.
            error: raised after the last picture.
        """
        self._pictures = list(pictures)
        self._rate = rate
        self._error = error
        self.is_closed = False

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream."""
        height, width = self._pictures[0].shape[:2]
        return StreamInfo(
            width=width,
            height=height,
            rate=Fraction(self._rate),
            frame_count=len(self._pictures),
            time_base=Fraction(1, self._rate),
            duration=len(self._pictures) / self._rate,
            origin="memory",
        )

    def __iter__(self) -> Iterator[Frame]:
        step = Fraction(1, self._rate)
        for index, picture in enumerate(self._pictures):
            yield Frame(picture.copy(), index, index * step, step)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True


class RecordingSink(Closing):
    """Keeps every frame written to it; can fail at a given one."""

    def __init__(self, *, fail_at: int | None = None, error: Exception | None = None) -> None:
        """Raise `error` instead of taking the frame with number `fail_at`, if that is given."""
        self.frames: list[Frame] = []
        self.is_closed = False
        self._fail_at = fail_at
        self._error = error or OSError("the sink fails as asked")

    def write(self, frame: Frame) -> None:
        """Keep the frame."""
        if len(self.frames) == self._fail_at:
            raise self._error
        self.frames.append(frame)

    def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True


class BrightnessEngine(Closing):
    """Takes bright pixels for people: probability = luma; cheap and exactly predictable."""

    name = "brightness"

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, h, w) float32: mean of the three colours over 255."""
        self.batches.append(batch.shape)
        return np.asarray(batch.mean(axis=3, dtype=np.float32) * np.float32(1 / 255))
