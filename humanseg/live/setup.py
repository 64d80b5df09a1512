"""Opens all that a live session joins, in the order in which it may be missing."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from humanseg.control.controls import Controls
from humanseg.control.endpoint import Listener
from humanseg.control.server import ControlServer
from humanseg.frames import StreamInfo
from humanseg.live.devices import USUAL_RATE, CameraChoice, VirtualCameraChoice, open_outputs
from humanseg.live.effort import FAST, Effort
from humanseg.live.masks import MaskMaker
from humanseg.live.profiles import LiveProfiles, Resolve
from humanseg.live.session import STAGES, LiveSession
from humanseg.live.settings import read_camera
from humanseg.look.dressing import Dresser
from humanseg.segmenter import Segmenter
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sources.reopened import Reopened
from humanseg.stopwatch import Stopwatch
from humanseg.threads import share

if TYPE_CHECKING:
    from humanseg.live.settings import LiveSettings
    from humanseg.sinks.watched import WatchedSink

MOST_THREADS = 2
"""Of the networks: a frame is small, more threads take more time to meet than they save."""

USUAL_SIZE = (720, 1280)
"""(height, width) that most webcams give."""

HANG_SECONDS = 10.0
"""Without a frame, after which a camera is taken for lost even if its driver says nothing."""


@contextlib.contextmanager
def open_session(
    resolve: Resolve,
    profile: str | None = None,
    *,
    has_virtual_camera: bool = True,
    record: Path | None = None,
    page: WatchedSink | None = None,
    config: Path | None = None,
) -> Iterator[tuple[LiveSession, Controls]]:
    """Open the control socket, camera, outputs and networks; all are closed at the end.

    Commands that come before the session runs are answered when it does.

    Args:
        resolve: reads the settings, also when the user asks to read them again.
        profile: to begin with.
        has_virtual_camera: False for only looking, or recording.
        record: video file to write, too.
        page: sink for those who watch in a browser; virtual camera and camera may be missing then,
            for they can be chosen on the page.
        config: file that `resolve` reads; None for the user's own.

    Yields:
        The session, ready to run, and what controls it.

    Raises:
        HumansegError: something that cannot be done without is missing.
    """
    settings = resolve(profile)
    cv2.setNumThreads(share(settings.threads).picture)
    with contextlib.ExitStack() as stack:
        # From first to last: a second session is refused before it opens or loads anything.
        place = stack.enter_context(Listener())
        controls = Controls(settings.look())
        dresser = stack.enter_context(Dresser(controls))
        camera = stack.enter_context(CameraChoice(settings))
        expected = None if page is None else _expected(settings)
        source = stack.enter_context(
            Reopened(camera.open, expected=expected, patience=HANG_SECONDS)
        )
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
        masks = MaskMaker(
            open_networks, settings.preset, size=size, gate=settings.gate, stopwatch=stopwatch
        )
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
        LiveProfiles(controls, resolve, settings, profile, path=config)
        controls.on_camera = partial(_change_camera, session, camera)
        controls.on_virtual_camera = partial(virtual.change, stack, session)
        stack.enter_context(ControlServer(controls, listener=place))
        yield session, controls


def _expected(settings: LiveSettings) -> StreamInfo:
    """What a camera most likely gives that is not there yet."""
    height, width = settings.size or USUAL_SIZE
    rate = Fraction(settings.fps or USUAL_RATE).limit_denominator(1001)
    return StreamInfo(width, height, rate, None, 1 / rate, None, str(settings.camera))


def _change_camera(session: LiveSession, choice: CameraChoice, words: str) -> str:
    told = choice.choose(read_camera(words))
    session.reopen_camera()
    return told


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
