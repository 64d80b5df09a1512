"""Opens all that a live session joins, in the order in which it may be missing."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2

from humanseg.control import Controls
from humanseg.control_socket import ControlServer
from humanseg.demand import AlwaysWanted, Demand, open_demand
from humanseg.dressing import Dresser
from humanseg.effort import FAST, Effort
from humanseg.errors import HumansegError, SettingsError
from humanseg.frames import StreamInfo
from humanseg.live import STAGES, LiveSession, Outputs
from humanseg.live_masks import MaskMaker
from humanseg.live_settings import LiveSettings
from humanseg.looks import Look
from humanseg.protocols import Source
from humanseg.segmenter import Segmenter
from humanseg.sinks.preview import PreviewSink
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sinks.virtual_camera import VirtualCameraSink
from humanseg.sources.live import open_live
from humanseg.sources.reopened import Reopened
from humanseg.stopwatch import Stopwatch
from humanseg.threads import share

USUAL_RATE = 30.0
"""Frames a second of the virtual camera when neither user nor camera tell one."""

MOST_THREADS = 2
"""Of the networks: a frame is small, more threads take more time to meet than they save."""

HANG_SECONDS = 10.0
"""Without a frame, after which a camera is taken for lost even if its driver says nothing."""

Resolve = Callable[[str | None], LiveSettings]
"""The settings of a profile, None for none."""


@contextlib.contextmanager
def open_session(
    resolve: Resolve,
    profile: str | None = None,
    *,
    has_virtual_camera: bool = True,
    record: Path | None = None,
) -> Iterator[tuple[LiveSession, Controls]]:
    """Open camera, networks, outputs and the control socket; all are closed at the end.

    Args:
        resolve: reads the settings, also when the user asks to read them again.
        profile: to begin with.
        has_virtual_camera: False for only looking, or recording.
        record: video file to write, too.

    Yields:
        The session, ready to run, and what controls it.

    Raises:
        HumansegError: something that cannot be done without is missing.
    """
    settings = resolve(profile)
    if not (has_virtual_camera or settings.preview or record):
        raise SettingsError(
            "nobody would see the picture",
            hint="add --preview or --record FILE, or leave out --no-virtual-camera",
        )
    cv2.setNumThreads(share(settings.threads).picture)
    with contextlib.ExitStack() as stack:
        controls = Controls(settings.look())
        dresser = stack.enter_context(Dresser(controls))
        source = stack.enter_context(
            Reopened(lambda: _open_camera(settings), patience=HANG_SECONDS)
        )
        outputs, warnings = _open_outputs(stack, settings, source.info, has_virtual_camera, record)
        stopwatch = Stopwatch(*STAGES)
        masks = stack.enter_context(
            MaskMaker(
                partial(
                    open_live_segmenter,
                    device=settings.device,
                    engine=settings.engine,
                    threads=settings.threads,
                ),
                settings.preset,
                stopwatch=stopwatch,
            )
        )
        session = LiveSession(
            source,
            masks,
            dresser,
            outputs,
            controls=controls,
            demand=stack.enter_context(_open_demand(settings, outputs)),
            effort=Effort(settings.preset, settings.max_cpu),
            stopwatch=stopwatch,
            warnings=warnings,
        )
        _connect(controls, resolve, settings, profile)
        stack.enter_context(ControlServer(controls))
        yield session, controls


def _open_camera(settings: LiveSettings) -> Source:
    return open_live(
        settings.camera, size=settings.size, rate=settings.fps, pixel_format=settings.format
    )


def open_live_segmenter(
    preset: str, *, device: str = "auto", engine: str = "auto", threads: int | None = None
) -> Segmenter:
    """The networks of a preset, for one frame at a time.

    Args:
        preset: "fast", "balanced" or "best".
        device: as `Segmenter` takes it.
        engine: as `Segmenter` takes it.
        threads: None for one with a single small network, and MOST_THREADS with several.

    Raises:
        HumansegError: as `Segmenter` does.
    """
    usual = 1 if preset == FAST else min(MOST_THREADS, share().infer)
    return Segmenter(preset, device=device, engine=engine, threads=threads or usual)


def _open_outputs(
    stack: contextlib.ExitStack,
    settings: LiveSettings,
    info: StreamInfo,
    has_virtual_camera: bool,
    record: Path | None,
) -> tuple[Outputs, tuple[str, ...]]:
    """What can be opened of camera and preview; the error when neither can be."""
    size = settings.size or (info.height, info.width)
    rate = settings.fps or (float(info.rate) if info.rate else USUAL_RATE)
    outputs, missing = Outputs(), list[HumansegError]()
    if record is not None:
        like = dataclasses.replace(info, frame_count=None, rate=info.rate or Fraction(rate))
        recorder = stack.enter_context(VideoFileSink(record, like))
        outputs = dataclasses.replace(outputs, recorder=recorder)
    if has_virtual_camera:
        try:
            camera = VirtualCameraSink(size=size, rate=rate, device=settings.virtual_camera)
            outputs = dataclasses.replace(outputs, camera=stack.enter_context(camera))
        except HumansegError as error:
            missing.append(error)
    if settings.preview:
        try:
            preview = stack.enter_context(PreviewSink("humanseg live"))
            outputs = dataclasses.replace(outputs, preview=preview)
        except HumansegError as error:
            missing.append(error)
    if missing and outputs == Outputs():
        raise missing[0]
    return outputs, tuple(str(error) for error in missing)


def _open_demand(settings: LiveSettings, outputs: Outputs) -> Demand:
    if settings.always_on or outputs.camera is None:
        return AlwaysWanted()
    return open_demand(outputs.camera.device)


def _connect(
    controls: Controls, resolve: Resolve, settings: LiveSettings, profile: str | None
) -> None:
    """Have the controls read the settings again when asked to."""
    state = {"profile": profile, "preset": settings.preset}

    def take(profile: str | None) -> str:
        fresh = resolve(profile)
        controls.replace(_still_going(fresh.look(), controls.look))
        if fresh.preset != state["preset"] and controls.on_preset is not None:
            controls.on_preset(fresh.preset)
        state.update(profile=profile, preset=fresh.preset)
        return "the settings were read; camera and outputs change at the next start"

    controls.on_reload = lambda: take(state["profile"])
    controls.on_profile = take


def _still_going(fresh: Look, now: Look) -> Look:
    """A look from the settings that keeps what the user has switched meanwhile."""
    return dataclasses.replace(
        fresh,
        effect_on=now.effect_on,
        frozen=now.frozen,
        view=now.view,
        statistics=now.statistics,
    )
