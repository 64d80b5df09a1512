"""The sockets of the pipeline: what a source, a sink, an engine and a background must do."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

from humanseg.frames import Frame, StreamInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from humanseg.frames import Alpha, Image


Goal = Literal["latency", "throughput"]
"""What an engine is run for: one picture soon, as live, or many in all, as of a file."""


class Closable(Protocol):
    """Holds something that must be given back; `close` may be called twice."""

    def close(self) -> None:
        """Give back files, devices and memory."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Source(Closable, Protocol):
    """Gives frames in order of time; never the same buffer twice."""

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames to the end.

        Raises:
            PartialError: the source ended before its promised end; all that could be decoded has
                been yielded.
            SourceError: nothing could be decoded.
        """


class Sink(Closable, Protocol):
    """Takes frames in order; `close` finishes, leaving with an error keeps a partial."""

    def write(self, frame: Frame) -> None:
        """Take one frame; its pixels are not changed.

        Raises:
            SinkError: the frame cannot be written; what was written is kept and named.
        """


class Engine(Closable, Protocol):
    """Runs the networks."""

    @property
    def name(self) -> str:
        """What runs where, for people: "openvino cpu bf16"."""

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability of a person for each pixel.

        Args:
            batch: (N, h, w, 3) uint8, BGR; sides multiples of 16.

        Returns:
            (N, h, w) float32, 0..1.
        """


class Background(Closable, Protocol):
    """What stands behind the people."""

    def for_frame(self, frame: Frame, alpha: Alpha) -> Image:
        """(H, W, 3) BGR of the frame's size, for this frame and the people in it."""
