"""A live session: the newest frame of a camera to a virtual camera and a preview, all day long.

    read --newest Frame--> infer --Frame, Mask--> finish --newest Frame--> the outputs' own clocks

Each thread has one frame in hand, and none queues up between them: a frame that comes while the
networks are busy replaces the one that waits for them. The caller's thread does the rest: demand,
cards, effort, the preview.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Iterable

from humanseg.channel import Channel
from humanseg.control.controls import Controls
from humanseg.crew import Crew
from humanseg.frames import Frame
from humanseg.live.demand import AlwaysWanted, Demand
from humanseg.live.effort import Effort, Step
from humanseg.live.masks import MadeMask, MaskMaker
from humanseg.live.outputs import Outputs
from humanseg.live.rest import IDLE_SECONDS, Rest
from humanseg.live.status import Counts, Gauge, LiveStatus, percentile
from humanseg.look.dressing import Dresser
from humanseg.sinks.virtual_camera import DELAYS_KEPT, VirtualCameraSink
from humanseg.sources.newest import NewestFrame
from humanseg.sources.reopened import Reopened, SourceState
from humanseg.stopwatch import Stopwatch
from humanseg.usage import processor_seconds, resident_bytes

STAGES = ("infer", "smooth", "refine", "dress", "output")

TAKE_SECONDS = 0.1
"""Longest wait for a frame before the thread looks whether the session ends."""

FIGURES_SECONDS = 0.5
"""How often the figures below the preview change."""


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
        warnings: Callable[[], Iterable[str]] = tuple,
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
            warnings: more that is wrong now, as of the camera; told with each status.
            idle_seconds: without demand before the camera is released.
            clock: `time.monotonic`, or a test's.
        """
        self._source, self._masks, self._dresser, self._outputs = source, masks, dresser, outputs
        self._controls = controls
        self._effort = effort or Effort(masks.preset)
        self._rest = Rest(demand or AlwaysWanted(), idle_seconds)
        self._timed = stopwatch or Stopwatch(*STAGES)
        self._more_warnings = warnings
        self._clock = clock
        self._handed: Channel[tuple[Frame, MadeMask | None]] = Channel(1)
        self._crew = Crew(self._handed)
        self._newest: NewestFrame | None = None
        self._gauge = Gauge()
        self._delays: deque[float] = deque(maxlen=DELAYS_KEPT)
        self._began = clock()
        self._finished = 0
        self._limit: int | None = None
        self._hint: str | None = None
        self._figures: tuple[float, str] = (-FIGURES_SECONDS, "")
        controls.on_quit = self.stop
        controls.on_status = lambda: self.status().fields()
        controls.on_preset = self._change_preset

    def run(
        self,
        on_tick: Callable[[], None] | None = None,
        *,
        on_key: Callable[[int], None] | None = None,
        hint: str | None = None,
        frames: int | None = None,
        seconds: float | None = None,
    ) -> LiveStatus:
        """Run until `stop`, Ctrl-C, or a limit; the threads have ended when it returns or raises.

        Args:
            on_tick: called in the caller's thread after each frame, and ten times a second.
            on_key: takes the keys pressed in the preview.
            hint: line below the preview, as about the keys.
            frames: to finish at most.
            seconds: to run at most.

        Returns:
            The status at the end.

        Raises:
            SinkError: there can be no preview, and nobody else would see the picture.
            Exception: of a stage, a mistake of ours; cameras and outputs that fail do not end it.
        """
        self._limit, self._hint = frames, hint
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

    @property
    def has_page(self) -> bool:
        """Whether somebody may watch in a browser."""
        return self._outputs.page is not None

    def reopen_camera(self) -> None:
        """Give the camera back and open it again, as after another one was chosen."""
        self._source.pause()
        if not self._rest.is_resting:
            self._source.resume()

    def change_virtual_camera(
        self, camera: VirtualCameraSink | None, demand: Demand
    ) -> tuple[VirtualCameraSink | None, Demand]:
        """Feed another virtual camera.

        Args:
            camera: an open one; None for none.
            demand: whether a program reads it.

        Returns:
            Those before, to be closed.
        """
        before = self._outputs.change_camera(camera), self._rest.demand
        self._rest.demand = demand
        return before

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
                made = self._masks.make(frame)
                kept = self._dresser.choose_people(made.mask)
                self._handed.put((frame, dataclasses.replace(made, mask=kept)))
            else:
                self._handed.put((frame, None))
        self._handed.finish()

    def _finish(self) -> None:
        for frame, made in self._handed:
            alpha = blend = None
            if made is not None:
                with self._timed("refine"):
                    alpha = made.refiner.refine(frame.pixels, made.mask)
                blend = made.blend
            with self._timed("dress"):
                dressed = self._dresser.dress(frame, alpha, blend)
            with self._timed("output"):
                self._outputs.write(dressed)
            if frame.captured_at is not None:
                self._delays.append(self._clock() - frame.captured_at)
            self._finished += 1
            if self._finished == self._limit:
                self.stop()
            self._crew.wake()

    def _look_after(self, on_key: Callable[[int], None] | None) -> None:
        """Everything that is not done for each frame."""
        now = self._clock()
        key = self._outputs.show_preview(self._below_preview(now))
        if key is not None and on_key is not None:
            on_key(key)
        if self._rest.changes(now, is_watched=self._outputs.is_watched):
            if self._rest.is_resting:
                self._source.pause()
            else:
                self._source.resume()
        info = self._source.info
        self._outputs.show_card(self._source.state, info.height, info.width)
        self._gauge.note(self._counts(now))
        self._adapt(now)

    def _below_preview(self, now: float) -> str | None:
        if not self._controls.look.statistics:
            return self._hint
        told_at, text = self._figures
        if now - told_at >= FIGURES_SECONDS:
            text = self.status().summary()
            self._figures = now, text
        return text

    def _adapt(self, now: float) -> None:
        newest = self._newest
        is_steady = self._source.state is SourceState.LIVE and not self._masks.is_loading
        if newest is None or not is_steady:
            # What loading takes, or a camera that is away, says nothing about the load.
            self._effort.settle()
        elif self._effort.observe(now, processor_seconds(), newest.received, newest.dropped):
            self._masks.change(self._effort.step.preset, self._effort.step.mask_every)

    def _change_preset(self, preset: str) -> str:
        self._effort.restart(preset)
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
        problem, info = self._source.error, self._source.info
        delays = list(self._delays) if camera is None else list(camera.delays)
        return LiveStatus(
            seconds=self._clock() - self._began,
            frames=self._finished,
            camera=self._source.describe(),
            camera_state=self._source.state.name.lower(),
            camera_problem=None if problem is None else str(problem),
            virtual_camera=None if camera is None else camera.describe(),
            virtual_camera_state=None if camera is None else camera.state.name.lower(),
            width=info.width,
            height=info.height,
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
            effort=Step(self._masks.preset, self._masks.every).about,
            wanted=not self._rest.is_resting,
            warnings=self._warnings(),
        )

    def _warnings(self) -> tuple[str, ...]:
        told = (self._effort.warning, self._masks.warning)
        return (
            *filter(None, told),
            *self._dresser.warnings(),
            *self._more_warnings(),
            *self._outputs.warnings(),
        )
