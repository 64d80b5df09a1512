"""One stream of frames to several sinks."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from humanseg.frames import Frame
from humanseg.protocols import Sink


class TeeSink:
    """Hands each frame to all its sinks, and closes them.

    A sink that fails keeps neither the frame nor the closing from the others.
    """

    def __init__(self, *sinks: Sink) -> None:
        """Take over the sinks; they are written to and closed in this order."""
        self._sinks = sinks

    def write(self, frame: Frame) -> None:
        """Hand a frame to all.

        Raises:
            Exception: the first error of a sink, when all were given the frame.
        """
        self._for_all(lambda sink: sink.write(frame))

    def close(self) -> None:
        """Finish all sinks.

        Raises:
            Exception: the first error of a sink, when all were closed.
        """
        self._for_all(lambda sink: sink.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._for_all(lambda sink: sink.__exit__(kind, error, trace))

    def _for_all(self, action: Callable[[Sink], None]) -> None:
        first: BaseException | None = None
        for sink in self._sinks:
            try:
                action(sink)
            except BaseException as error:
                first = first or error
        if first is not None:
            raise first
