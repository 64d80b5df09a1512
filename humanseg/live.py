"""A live session: the newest frame of a camera to a virtual camera and a preview, all day long.

    read --newest Frame--> infer --Frame, Mask--> finish --newest Frame--> the outputs' own clocks

Each thread has one frame in hand, and none queues up between them: a frame that comes while the
networks are busy replaces the one that waits for them. The caller's thread does the rest: demand,
cards, effort, the preview.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from humanseg.channel import Channel
from humanseg.control import Controls
from humanseg.crew import Crew
from humanseg.demand import AlwaysWanted, Demand
from humanseg.dressing import Dresser
from humanseg.effort import Effort
from humanseg.errors import SinkError
from humanseg.frames import Frame
from humanseg.live_masks import MaskMaker
from humanseg.live_status import Counts, Gauge, LiveStatus, percentile
from humanseg.protocols import Sink
from humanseg.refine import Refiner
from humanseg.sinks.cards import camera_lost_card, idle_card
from humanseg.sinks.preview import PreviewSink
from humanseg.sinks.virtual_camera import VirtualCameraSink
from humanseg.sources.newest import NewestFrame
from humanseg.sources.reopened import Reopened, SourceState
from humanseg.stopwatch import Stopwatch
from humanseg.usage import processor_seconds, resident_bytes

if TYPE_CHECKING:
    from humanseg.frames import Mask

STAGES = ("infer", "smooth", "refine", "dress", "output")

TAKE_SECONDS = 0.1
"""Longest wait for a frame before the thread looks whether the session ends."""

IDLE_SECONDS = 5.0
"""How long nobody must look before the camera is released; programs open and close it to probe."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where finished frames go; at least one of them is there.

    Attributes:
        camera: virtual camera.
        preview: window, shown by the thread that runs the session.
        recorder: any other sink, as a file.
    """

    camera: VirtualCameraSink | None = None
    preview: PreviewSink | None = None
    recorder: Sink | None = None

    def write(self, frame: Frame) -> None:
        """Hand a finished frame to all.

        Raises:
            SinkError: of the recorder; the others have the frame.
        """
        for sink in (self.camera, self.preview, self.recorder):
            if sink is not None:
                sink.write(frame)


class Rest:
    """Whether the camera may be released because nobody looks."""

    def __init__(self, demand: Demand, seconds: float = IDLE_SECONDS) -> None:
        """Rest after so many seconds without demand; end at once when it is back."""
        self._demand = demand
        self._seconds = seconds
        self._wanted_at: float | None = None
        self.is_resting = False

    def changes(self, now: float, *, is_watched: bool) -> bool:
        """Look at the demand.

        Args:
            now: `time.monotonic()`.
            is_watched: somebody looks at another output.

        Returns:
            Whether `is_resting` has changed.
        """
        if is_watched or self._wanted_at is None or self._demand.wanted():
            self._wanted_at = now
        is_resting = now - self._wanted_at >= self._seconds
        has_changed = is_resting != self.is_resting
        self.is_resting = is_resting
        return has_changed


class LiveSession:
    """Joins the parts and runs them until it is told to stop."""

    def __init__(
        self,
        source: Reopened,
        masks: MaskMaker,
        dresser: Dresser,
        outputs: Outputs,
        *,
        controls: Controls,
        demand: Demand | None = None,
        effort: Effort | None = None,
        stopwatch: Stopwatch | None = None,
        warnings: tuple[str, ...] = (),
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect the parts; nothing runs yet, and none of them is closed here.

        Args:
            source: of frames; reopens itself.
            masks: makes the masks.
            dresser: makes the finished frames.
            outputs: take them.
            controls: `on_quit`, `on_status` and `on_preset` are set to this session's.
            demand: whether a program reads the virtual camera; None for always.
            effort: chooses the amount of work; None limits nothing.
            stopwatch: the one that `masks` was given, with the stages STAGES.
            warnings: told with each status, as of outputs that could not be opened.
            idle_seconds: without demand before the camera is released.
            clock: `time.monotonic`, or a test's.
        """
        self._source, self._masks, self._dresser, self._outputs = source, masks, dresser, outputs
        self._effort = effort or Effort(masks.preset)
        self._rest = Rest(demand or AlwaysWanted(), idle_seconds)
        self._timed = stopwatch or Stopwatch(*STAGES)
        self._clock = clock
        self._handed: Channel[tuple[Frame, Mask | None, Refiner | None]] = Channel(1)
        self._crew = Crew(self._handed)
        self._newest: NewestFrame | None = None
        self._gauge = Gauge()
        self._began = clock()
        self._finished = 0
        self._limit: int | None = None
        self._card_of: SourceState | None = None
        self._size = (source.info.height, source.info.width)
        self._problems: list[str] = list(warnings)
        controls.on_quit = self.stop
        controls.on_status = lambda: self.status().fields()
        controls.on_preset = self._change_preset

    def run(
        self,
        on_tick: Callable[[], None] | None = None,
        *,
        on_key: Callable[[int], None] | None = None,
        frames: int | None = None,
        seconds: float | None = None,
    ) -> LiveStatus:
        """Run until `stop`, Ctrl-C, or a limit; the threads have ended when it returns or raises.

        Args:
            on_tick: called in the caller's thread after each frame, and ten times a second.
            on_key: takes the keys pressed in the preview.
            frames: to finish at most.
            seconds: to run at most.

        Returns:
            The status at the end.

        Raises:
            Exception: of a stage, a mistake of ours; cameras and outputs that fail do not end it.
        """
        self._limit = frames
        self._began = self._clock()

        def tick() -> None:
            self._look_after(on_key)
            if on_tick is not None:
                on_tick()
            if seconds is not None and self._clock() - self._began >= seconds:
                self.stop()

        with NewestFrame(self._source) as self._newest:
            self._crew.run(
                [("infer", self._infer), ("finish", self._finish)],
                on_tick=tick,
            )
            return self.status()

    def stop(self) -> None:
        """End the run soon; may be called from any thread and from a signal."""
        self._handed.finish()

    def _infer(self) -> None:
        newest = self._newest
        assert newest is not None
        while not newest.ended:
            # The newest frame is taken when the next thread can take it up at once, not before.
            self._handed.wait_for_room()
            frame = newest.take(TAKE_SECONDS)
            if frame is None:
                continue
            if self._dresser.needs_mask():
                mask, refiner = self._masks.make(frame)
                self._handed.put((frame, self._dresser.choose_people(mask), refiner))
            else:
                self._handed.put((frame, None, None))
        self._handed.finish()

    def _finish(self) -> None:
        for frame, mask, refiner in self._handed:
            alpha = None
            if mask is not None and refiner is not None:
                with self._timed("refine"):
                    alpha = refiner.refine(frame.pixels, mask)
            with self._timed("dress"):
                dressed = self._dresser.dress(frame, alpha)
            with self._timed("output"):
                self._write(dressed)
            self._finished += 1
            if self._finished == self._limit:
                self.stop()
            self._crew.wake()

    def _write(self, frame: Frame) -> None:
        try:
            self._outputs.write(frame)
        except SinkError as error:
            # A full disk must not end a call.
            self._problems.append(f"the recording ended: {error}")
            self._outputs = dataclasses.replace(self._outputs, recorder=None)

    def _look_after(self, on_key: Callable[[int], None] | None) -> None:
        """Everything that is not done for each frame."""
        now = self._clock()
        self._show_preview(on_key)
        is_watched = self._outputs.preview is not None or self._outputs.recorder is not None
        if self._rest.changes(now, is_watched=is_watched):
            if self._rest.is_resting:
                self._source.pause()
            else:
                self._source.resume()
        self._show_card()
        self._gauge.note(self._counts(now))
        self._adapt(now)

    def _show_preview(self, on_key: Callable[[int], None] | None) -> None:
        if self._outputs.preview is None:
            return
        try:
            key = self._outputs.preview.show()
        except SinkError as error:
            if self._outputs.camera is None:
                raise
            self._problems.append(f"there is no preview: {error}")
            self._outputs = dataclasses.replace(self._outputs, preview=None)
            return
        if key is not None and on_key is not None:
            on_key(key)

    def _show_card(self) -> None:
        """Have the virtual camera tell what is wrong when no frames come."""
        state = self._source.state
        if state is self._card_of or self._outputs.camera is None:
            return
        self._card_of = state
        height, width = self._size
        if state is SourceState.IDLE:
            self._outputs.camera.set_card(idle_card(height, width))
        else:
            self._outputs.camera.set_card(camera_lost_card(height, width))

    def _adapt(self, now: float) -> None:
        newest = self._newest
        if newest is None or self._source.state is not SourceState.LIVE:
            self._effort.settle()
            return
        used = processor_seconds()
        if self._effort.observe(now, used, newest.received, newest.dropped):
            self._masks.every = self._effort.step.mask_every
            self._masks.change(self._effort.step.preset)

    def _change_preset(self, preset: str) -> str:
        self._effort.restart(preset)
        self._masks.every = self._effort.step.mask_every
        self._masks.change(preset)
        return f"preset {preset} is being loaded"

    def _counts(self, now: float) -> Counts:
        camera = self._outputs.camera
        return Counts(
            now=now,
            received=0 if self._newest is None else self._newest.received,
            finished=self._finished,
            sent=self._finished if camera is None else camera.sent,
            processor_seconds=processor_seconds(),
            stage_seconds=dict(self._timed.seconds),
        )

    def status(self) -> LiveStatus:
        """The figures of now; may be called from any thread."""
        camera, newest, gauge = self._outputs.camera, self._newest, self._gauge
        problem = self._source.error
        delays = [] if camera is None else list(camera.delays)
        return LiveStatus(
            seconds=self._clock() - self._began,
            camera=self._source.describe(),
            camera_state=self._source.state.name.lower(),
            camera_problem=None if problem is None else str(problem),
            virtual_camera=None if camera is None else camera.describe(),
            virtual_camera_state=None if camera is None else camera.state.name.lower(),
            width=self._size[1],
            height=self._size[0],
            rate_in=gauge.rate("received"),
            rate_out=gauge.rate("sent"),
            delay_p50=percentile(delays, 0.5),
            delay_p95=percentile(delays, 0.95),
            dropped={
                "busy": 0 if newest is None else newest.dropped,
                "replaced": 0 if camera is None else camera.replaced,
            },
            repeated=0 if camera is None else camera.repeated,
            stage_ms=gauge.stage_ms(),
            cores=gauge.rate("processor_seconds"),
            memory_bytes=resident_bytes(),
            preset=self._masks.preset,
            engine=self._masks.engine_name,
            effort=self._effort.step.about,
            wanted=not self._rest.is_resting,
            warnings=self._warnings(),
        )

    def _warnings(self) -> tuple[str, ...]:
        told = [self._effort.warning, self._masks.warning, *self._dresser.warnings()]
        return (*filter(None, told), *self._problems)
