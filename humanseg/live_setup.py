"""Opens all that a live session joins, in the order in which it may be missing."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from humanseg.control import Controls
from humanseg.control_socket import ControlServer
from humanseg.dressing import Dresser
from humanseg.effort import FAST, Effort
from humanseg.frames import StreamInfo
from humanseg.live import STAGES, LiveSession
from humanseg.live_devices import USUAL_RATE, CameraChoice, VirtualCameraChoice, open_outputs
from humanseg.live_masks import MaskMaker
from humanseg.live_settings import LiveSettings
from humanseg.looks import Look
from humanseg.segmenter import Segmenter
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sources.reopened import Reopened
from humanseg.stopwatch import Stopwatch
from humanseg.threads import share

if TYPE_CHECKING:
    from humanseg.sinks.watched import WatchedSink

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
    page: WatchedSink | None = None,
) -> Iterator[tuple[LiveSession, Controls]]:
    """Open camera, networks, outputs and the control socket; all are closed at the end.

    Args:
        resolve: reads the settings, also when the user asks to read them again.
        profile: to begin with.
        has_virtual_camera: False for only looking, or recording.
        record: video file to write, too.
        page: sink for those who watch in a browser; the virtual camera may be missing then.

    Yields:
        The session, ready to run, and what controls it.

    Raises:
        HumansegError: something that cannot be done without is missing.
    """
    settings = resolve(profile)
    cv2.setNumThreads(share(settings.threads).picture)
    with contextlib.ExitStack() as stack:
        controls = Controls(settings.look())
        dresser = stack.enter_context(Dresser(controls))
        camera = CameraChoice(settings)
        source = stack.enter_context(Reopened(camera.open, patience=HANG_SECONDS))
        virtual = VirtualCameraChoice(settings, source.info)
        recorder = None if record is None else stack.enter_context(_recorder(record, source.info))
        outputs = open_outputs(
            stack,
            settings,
            virtual,
            has_virtual_camera=has_virtual_camera,
            recorder=recorder,
            page=page,
        )
        stopwatch = Stopwatch(*STAGES)
        open_networks = partial(
            open_live_segmenter,
            device=settings.device,
            engine=settings.engine,
            threads=settings.threads,
        )
        size = (source.info.height, source.info.width)
        masks = MaskMaker(open_networks, settings.preset, size=size, stopwatch=stopwatch)
        session = LiveSession(
            source,
            stack.enter_context(masks),
            dresser,
            outputs,
            controls=controls,
            demand=virtual.demand(stack, outputs.camera, has_page=page is not None),
            effort=Effort(settings.preset, settings.max_cpu),
            stopwatch=stopwatch,
            warnings=lambda: camera.warnings,
        )
        _connect(controls, resolve, settings, profile)
        stack.enter_context(ControlServer(controls))
        yield session, controls


def _recorder(path: Path, info: StreamInfo) -> VideoFileSink:
    rate = info.rate or Fraction(USUAL_RATE)
    return VideoFileSink(path, dataclasses.replace(info, frame_count=None, rate=rate))


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
