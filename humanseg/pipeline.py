"""The pipeline: a thread each for reading, inferring, finishing and writing.

    read --Frame--> [A] --batch--> infer --Frame, Mask--> [B] --> finish --Frame--> [C] --> write

The caller's thread starts and joins the others and takes Ctrl-C. Order is kept because every stage
is one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from humanseg.channel import Channel, Ended
from humanseg.composite import Compositor
from humanseg.crew import Crew
from humanseg.errors import Interrupted, PartialError
from humanseg.frames import Frame
from humanseg.gate import MotionGate
from humanseg.media.planar import glance
from humanseg.protocols import Sink, Source
from humanseg.refine import Refiner
from humanseg.segmenter import Segmenter
from humanseg.stopwatch import Stopwatch
from humanseg.temporal import TemporalSmoother

if TYPE_CHECKING:
    from humanseg.frames import Mask

CHANNEL_BYTES = 64 * 2**20
"""Frames waiting in one channel take about this much, whatever their size."""

MOST_JUDGED = 2
"""Batches of frames that wait at most, while most of them are still, for a whole one to see."""

STAGES = ("decode", "infer", "smooth", "refine", "composite", "encode")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        frames: frames written so far.
        promised: frames the source promises, or None.
        seconds: since the start.
    """

    frames: int
    promised: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job did.

    Attributes:
        target: file or folder written.
        frames: frames written.
        promised: frames the source promised, or None.
        seconds: from the first read to the finished file.
        stage_seconds: busy time of each stage by name, in the order of STAGES. Stages overlap.
        width: of the written frames.
        height: of the written frames.
        preset: networks used.
        engine: what ran them and where.
        copied: kinds of streams carried over from the source: "audio", "subtitle".
        warnings: what the user should know, a sentence each.
    """

    target: Path
    frames: int
    promised: int | None
    seconds: float
    stage_seconds: Mapping[str, float]
    width: int
    height: int
    preset: str
    engine: str
    copied: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Frames a second over the whole job."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Stages:
    """What happens to a frame between source and sink."""

    segmenter: Segmenter
    smoother: TemporalSmoother
    refiner: Refiner
    compositor: Compositor
    gate: MotionGate = field(default_factory=MotionGate)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run of the pipeline did.

    Attributes:
        frames: frames written.
        seconds: from the first read to the last write.
        stage_seconds: busy time by stage.
        problem: the source ended early; all it gave was written.
    """

    frames: int
    seconds: float
    stage_seconds: Mapping[str, float]
    problem: PartialError | None


def channel_depth(frame_bytes: int) -> int:
    """Frames that may wait in one channel: between 1 and 16, about CHANNEL_BYTES in all."""
    return max(1, min(16, CHANNEL_BYTES // max(1, frame_bytes)))


class Pipeline:
    """Runs the frames of a source through the stages into a sink, once."""

    def __init__(self, source: Source, stages: Stages, sink: Sink, *, batch: int = 8) -> None:
        """Connect the parts; nothing runs yet, and none of them is closed here.

        Args:
            source: of frames.
            stages: for every frame, in this order.
            sink: for the finished frames.
            batch: frames the networks see at once; fewer for very large frames.
        """
        info = source.info
        frame_bytes = info.width * info.height * 3
        depth = channel_depth(frame_bytes)
        # Only the networks take several at once.
        behind = channel_depth(2 * frame_bytes)
        self._source, self._stages, self._sink = source, stages, sink
        self._batch = max(1, min(batch, depth))
        self._frames: Channel[Frame] = Channel(max(depth, self._batch))
        self._masks: Channel[tuple[Frame, Mask]] = Channel(behind)
        self._finished: Channel[Frame] = Channel(behind)
        self._timed = Stopwatch(*STAGES)
        self._written = 0
        self._problem: PartialError | None = None
        self._crew = Crew(self._frames, self._masks, self._finished)

    def run(self, on_progress: Callable[[Progress], None] | None = None) -> Figures:
        """Process all frames; the threads have ended when it returns or raises.

        Args:
            on_progress: called some ten times a second in the caller's thread.

        Raises:
            Interrupted: Ctrl-C; what had been read was written (a second Ctrl-C drops it).
            HumansegError: of the source or the sink; the first error wins.
        """
        started_at = time.monotonic()
        promised = self._source.info.frame_count

        def tell_progress() -> None:
            if on_progress is not None:
                on_progress(Progress(self._written, promised, time.monotonic() - started_at))

        interrupts = self._crew.run(
            [("infer", self._infer), ("finish", self._finish), ("write", self._write)],
            reader=self._read,
            on_tick=tell_progress,
            on_interrupt=self._frames.finish,
        )
        if interrupts:
            raise Interrupted
        seconds = time.monotonic() - started_at
        return Figures(self._written, seconds, dict(self._timed.seconds), self._problem)

    def _read(self) -> None:
        frames = iter(self._source)
        try:
            while True:
                with self._timed("decode"):
                    frame = next(frames, None)
                if frame is None:
                    break
                frame.freeze()
                self._frames.put(frame)
        except Ended:
            raise
        except PartialError as problem:
            self._problem = problem
        except Exception as error:
            # What was decoded before is still worth writing.
            self._crew.remember(error)
        self._frames.finish()

    def _infer(self) -> None:
        for judged in self._judged():
            with self._timed("infer"):
                masks = self._stages.gate.shared(judged, self._stages.segmenter.masks)
            for (frame, _), mask in zip(judged, masks, strict=True):
                with self._timed("smooth"):
                    seen = glance(frame, *mask.shape)
                    ready = self._stages.smoother.push(frame, mask, seen=seen)
                for smoothed in ready:
                    self._masks.put(smoothed)
        for smoothed in self._stages.smoother.flush():
            self._masks.put(smoothed)
        self._masks.finish()

    def _judged(self) -> Iterator[list[tuple[Frame, bool]]]:
        """Frames, and whether they are still, until the networks have a whole batch to see.

        A batch that is not whole takes them nearly as long.
        """
        judged: list[tuple[Frame, bool]] = []
        wanted = self._batch
        while frames := self._frames.take(wanted, at_least=wanted):
            is_slow = len(frames) < wanted
            with self._timed("infer"):
                found = [(frame, self._stages.gate.is_still(frame)) for frame in frames]
            judged += found
            wanted -= sum(not is_still for _, is_still in found)
            if is_slow or not wanted or len(judged) >= MOST_JUDGED * self._batch:
                yield judged
                judged, wanted = [], self._batch
        if judged:
            yield judged

    def _finish(self) -> None:
        for frame, mask in self._masks:
            with self._timed("refine"):
                alpha = self._stages.refiner.refine_frame(frame, mask)
            with self._timed("composite"):
                composed = self._stages.compositor.compose(frame, alpha)
            self._finished.put(composed)
        self._finished.finish()

    def _write(self) -> None:
        for frame in self._finished:
            with self._timed("encode"):
                self._sink.write(frame)
            self._written += 1
