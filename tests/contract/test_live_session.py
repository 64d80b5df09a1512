"""A live session with doubles of camera, networks and virtual camera: what it promises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from humanseg.blending import BlendOptions
from humanseg.closing import Closing
from humanseg.control.controls import Controls
from humanseg.errors import HumansegError, SinkError, SourceError, SourceLost
from humanseg.frames import Frame, StreamInfo
from humanseg.live.effort import Effort
from humanseg.live.masks import MaskMaker
from humanseg.live.outputs import Outputs
from humanseg.live.session import STAGES, LiveSession
from humanseg.live.status import LiveStatus
from humanseg.look.dressing import Dresser
from humanseg.look.looks import Look
from humanseg.segmenter import Segmenter
from humanseg.settings import PRESETS
from humanseg.sinks.cards import CAMERA_LOST, camera_lost_card, idle_card
from humanseg.sinks.virtual_camera import VirtualCameraSink
from humanseg.sources.reopened import Reopened
from humanseg.stopwatch import Stopwatch
from humanseg.testing import BrightnessEngine, RecordingCamera, RecordingSink

HEIGHT, WIDTH = 90, 160
RATE = 50
PATIENT = 60.0
"""Seconds that only a machine which hangs needs."""

HOLD_SECONDS = 0.4
SQUARE = 40
GREEN = (0, 255, 0)


def numbered(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A dark picture with a bright square, which stands elsewhere in each frame."""
    pixels = np.full((height, width, 3), 20, np.uint8)
    left = place(index, width)
    pixels[25 : 25 + SQUARE, left : left + SQUARE] = (200 + index % 50, 255, 255)
    return pixels


def place(index: int, width: int = WIDTH) -> int:
    """Left side of the square: 37 pixels further in each frame."""
    return 4 + 37 * index % (width - SQUARE - 8)


class FakeCamera:
    """A camera that can be unplugged, hang, and change its size; its sources share one counter."""

    def __init__(self, *, rate: float = RATE) -> None:
        self.rate = rate
        self.size = (HEIGHT, WIDTH)
        self.is_unplugged = False
        self.runs = threading.Event()
        self.runs.set()
        self.index = 0
        self.opened = self.held = 0

    def open(self) -> FakeOpening:
        self.opened += 1
        if self.is_unplugged:
            raise SourceError("is not there", subject="fake camera")
        return FakeOpening(self)


class FakeOpening(Closing):
    def __init__(self, camera: FakeCamera) -> None:
        self.camera = camera
        self.is_closed = False
        camera.held += 1

    @property
    def info(self) -> StreamInfo:
        height, width = self.camera.size
        rate = Fraction(self.camera.rate)
        return StreamInfo(width, height, rate, None, 1 / rate, None, "fake camera")

    def __iter__(self) -> Iterator[Frame]:
        camera = self.camera
        due = time.monotonic()
        while not self.is_closed:
            due = max(due + 1 / camera.rate, time.monotonic())
            time.sleep(max(0, due - time.monotonic()))
            while not camera.runs.wait(0.05):
                if self.is_closed:
                    return
            if camera.is_unplugged:
                raise SourceLost("was unplugged", subject="fake camera")
            now = Fraction(time.monotonic())
            pixels = numbered(camera.index, *camera.size)
            yield Frame(pixels, camera.index, now, captured_at=float(now))
            camera.index += 1

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.camera.held -= 1


class Switch(Closing):
    """A demand that the test switches."""

    def __init__(self) -> None:
        self.is_on = True

    def wanted(self) -> bool:
        return self.is_on


class Running:
    """A session that runs in a thread of its own, with all its parts at hand."""

    def __init__(self, **parts: Any) -> None:
        self.session: LiveSession = parts["session"]
        self.controls: Controls = parts["controls"]
        self.recording: RecordingCamera = parts["recording"]
        self.virtual: VirtualCameraSink = parts["virtual"]
        self.masks: MaskMaker = parts["masks"]
        self.result: LiveStatus | None = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.result = self.session.run()
        except BaseException as error:
            self.error = error

    def until(self, is_so: Callable[[], bool], seconds: float = PATIENT) -> float:
        """Wait; gives the seconds it took."""
        began = time.monotonic()
        while not is_so():
            assert time.monotonic() - began < seconds, self.session.status()
            assert self.thread.is_alive(), self.error
            time.sleep(0.005)
        return time.monotonic() - began

    def shows(self, picture: np.ndarray) -> bool:
        """Whether the virtual camera shows a picture now."""
        return bool(self.recording.frames) and np.array_equal(self.recording.frames[-1], picture)

    def shows_people(self) -> bool:
        """Whether the virtual camera shows a bright square before green."""
        if not self.recording.frames:
            return False
        picture = self.recording.frames[-1]
        return bool((picture == GREEN).all(axis=2).any() and (picture[..., 2] == 255).any())

    def until_new_pictures(self, count: int = 5) -> None:
        sent = self.virtual.sent - self.virtual.repeated
        self.until(lambda: self.virtual.sent - self.virtual.repeated >= sent + count)
        self.until(self.shows_people)

    def end(self) -> float:
        """Stop; gives the seconds it took."""
        began = time.monotonic()
        self.session.stop()
        self.thread.join(PATIENT)
        assert not self.thread.is_alive()
        return time.monotonic() - began


def open_brightness(preset: str) -> Segmenter:
    return Segmenter.from_engine(BrightnessEngine())


@contextmanager
def running(
    camera: FakeCamera | None = None,
    *,
    look: Look | None = None,
    source: Reopened | None = None,
    open_segmenter: Callable[[str], Segmenter] = open_brightness,
    preset: str = "fast",
    recorder: Any = None,
    demand: Any = None,
    limit: float | None = None,
    patience: float | None = None,
    idle_seconds: float = 0.3,
) -> Iterator[Running]:
    camera = camera or FakeCamera()
    before = set(threading.enumerate())
    with ExitStack() as stack:
        recording = stack.enter_context(RecordingCamera(keep=400, clock=time.monotonic))
        source = source or Reopened(camera.open, pauses=(0.05, 0.1), patience=patience)
        stack.enter_context(source)
        virtual = stack.enter_context(
            VirtualCameraSink(
                size=(HEIGHT, WIDTH),
                rate=RATE,
                backend=recording.name,
                pixel_format="bgr",
                hold_seconds=HOLD_SECONDS,
            )
        )
        stopwatch = Stopwatch(*STAGES)
        masks = stack.enter_context(MaskMaker(open_segmenter, preset, stopwatch=stopwatch))
        controls = Controls(look or Look(background="#00ff00"))
        session = LiveSession(
            source,
            masks,
            stack.enter_context(Dresser(controls)),
            Outputs(camera=virtual, recorder=recorder),
            controls=controls,
            demand=demand,
            effort=Effort(preset, limit),
            stopwatch=stopwatch,
            idle_seconds=idle_seconds,
        )
        live = Running(
            session=session, controls=controls, recording=recording, virtual=virtual, masks=masks
        )
        try:
            yield live
        finally:
            live.end()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENT)
    assert set(threading.enumerate()) <= before


def test_frames_and_masks_are_never_out_of_step() -> None:
    recorder = RecordingSink()
    with running(recorder=recorder) as live:
        live.until(lambda: len(recorder.frames) >= 60)
    for frame in recorder.frames:
        index = int((frame.pixels[..., 0].astype(int) * (frame.pixels[..., 2] == 255)).max()) - 200
        assert index == frame.index % 50
        left = place(frame.index)
        inside = frame.pixels[31 : 19 + SQUARE, left + 6 : left + SQUARE - 6]
        assert np.array_equal(np.unique(inside.reshape(-1, 3), axis=0), [(200 + index, 255, 255)])
        outside = np.ones((HEIGHT, WIDTH), bool)
        outside[13 : 37 + SQUARE, max(0, left - 12) : left + SQUARE + 12] = False
        assert (frame.pixels[outside] == GREEN).all()


def test_what_comes_out_is_new_in_order_and_soon() -> None:
    recorder = RecordingSink()
    with running(recorder=recorder) as live:
        live.until(lambda: len(recorder.frames) >= 50)
        status = live.session.status()
    indices = [frame.index for frame in recorder.frames]
    assert indices == sorted(set(indices))
    assert status.delay_p50 is not None
    assert status.delay_p50 < 0.5
    assert status.camera_state == "live"
    assert status.frames >= 50
    assert status.warnings == ()


def test_an_unplugged_camera_becomes_the_last_frame_then_the_card_and_the_picture_returns() -> None:
    camera = FakeCamera()
    with running(camera) as live:
        live.until_new_pictures()
        camera.is_unplugged = True
        live.until(lambda: live.session.status().camera_state == "lost")
        last, since = live.recording.frames[-1], time.monotonic()
        assert live.shows_people()
        live.until(lambda: live.shows(camera_lost_card(HEIGHT, WIDTH, CAMERA_LOST)))
        assert any(np.array_equal(each, last) for each in list(live.recording.frames)[-50:-1])
        problem = live.session.status().camera_problem
        assert problem is not None
        assert "fake camera" in problem
        time.sleep(0.5)
        camera.is_unplugged = False
        live.until_new_pictures()
        assert live.session.status().camera_state == "live"
        sent = [at for at in live.recording.times if at > since]
    # Through all of it the virtual camera had its own clock: half of its rate at the very least.
    assert len(sent) > (sent[-1] - sent[0]) * RATE / 2
    assert camera.opened >= 3


def test_a_camera_that_hangs_is_left_and_opened_again() -> None:
    camera = FakeCamera()
    with running(camera, patience=0.3) as live:
        live.until_new_pictures()
        camera.runs.clear()
        live.until(lambda: live.shows(camera_lost_card(HEIGHT, WIDTH)))
        sent = live.virtual.sent
        live.until(lambda: live.virtual.sent > sent + 10)
        camera.runs.set()
        live.until_new_pictures()
    assert camera.opened >= 2
    assert camera.held == 0


def test_frames_of_another_size_change_nothing_for_those_who_look() -> None:
    camera = FakeCamera()
    with running(camera) as live:
        live.until_new_pictures()
        camera.size = (2 * HEIGHT, 2 * WIDTH)
        live.until_new_pictures(20)
        camera.size = (HEIGHT, 2 * WIDTH)
        live.until_new_pictures(20)
    assert {picture.shape for picture in live.recording.frames} == {(HEIGHT, WIDTH, 3)}


def test_a_virtual_camera_that_is_taken_away_comes_back_by_itself() -> None:
    with running() as live:
        live.until_new_pictures()
        live.recording.unplug()
        live.until(lambda: live.session.status().virtual_camera_state == "lost")
        assert any("memory" in warning for warning in live.session.status().warnings)
        done = live.session.status().frames
        live.until(lambda: live.session.status().frames > done + 10)
        live.recording.plug_in()
        live.until_new_pictures()
        assert live.session.status().virtual_camera_state == "ok"
        assert live.session.status().warnings == ()
    assert live.recording.openings == 2


def test_frames_go_on_while_other_networks_are_loaded() -> None:
    may_load = threading.Event()

    def open_slowly(preset: str) -> Segmenter:
        assert preset == "fast" or may_load.wait(PATIENT)
        return open_brightness(preset)

    with running(open_segmenter=open_slowly) as live:
        assert live.controls.apply("preset balanced").ok
        live.until_new_pictures(20)
        assert live.session.status().preset == "fast"
        may_load.set()
        live.until(lambda: live.session.status().preset == "balanced")
        live.until_new_pictures()
        assert live.session.status().effort == "preset balanced on every frame"


def test_edges_are_blended_as_the_preset_that_runs_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[BlendOptions | None] = []
    dress = Dresser.dress

    def listening(self: Dresser, frame: Any, alpha: Any, blend: BlendOptions | None = None) -> Any:
        asked.append(blend)
        return dress(self, frame, alpha, blend)

    monkeypatch.setattr(Dresser, "dress", listening)
    with running(preset="fast") as live:
        live.until_new_pictures()
        assert live.controls.apply("preset balanced").ok
        live.until(lambda: live.session.status().preset == "balanced")
        live.until_new_pictures()
    assert asked[0] == PRESETS["fast"].blend
    assert asked[-1] == PRESETS["balanced"].blend != PRESETS["fast"].blend


def test_networks_that_cannot_be_loaded_leave_those_that_run() -> None:
    def open_once(preset: str) -> Segmenter:
        if preset == "best":
            raise HumansegError("is damaged", subject="best.safetensors")
        return open_brightness(preset)

    with running(open_segmenter=open_once) as live:
        assert live.controls.apply("preset best").ok
        live.until(lambda: "best.safetensors" in str(live.session.status().warnings))
        live.until_new_pictures()
        assert live.session.status().preset == "fast"


def test_over_the_limit_it_does_less_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humanseg.live.effort.WINDOW", 0.2)
    seen: list[str] = []

    def follows() -> bool:
        status = live.session.status()
        if status.effort not in seen:
            seen.append(status.effort)
        return status.effort == "preset fast on every second frame"

    with running(preset="balanced", limit=0.001) as live:
        live.until(follows)
        live.until(lambda: "even with" in str(live.session.status().warnings))
        live.until_new_pictures()
        assert "the limit is 0%" in str(live.session.status().warnings)
    assert "preset balanced on every second frame" in seen


def test_without_an_effect_the_networks_rest() -> None:
    engine = BrightnessEngine()
    with running(open_segmenter=lambda preset: Segmenter.from_engine(engine)) as live:
        live.until_new_pictures()
        assert live.controls.apply("effect off").ok
        sent = live.virtual.sent - live.virtual.repeated
        live.until(lambda: live.virtual.sent - live.virtual.repeated > sent + 5)
        runs = len(engine.batches)
        live.until(lambda: live.virtual.sent - live.virtual.repeated > sent + 30)
        assert len(engine.batches) == runs
        assert live.controls.apply("effect on").ok
        live.until_new_pictures()


def test_when_nobody_looks_the_camera_is_given_back_and_wakes_within_half_a_second() -> None:
    camera, demand = FakeCamera(), Switch()
    with running(camera, demand=demand) as live:
        live.until_new_pictures()
        demand.is_on = False
        live.until(lambda: camera.held == 0)
        live.until(lambda: live.shows(idle_card(HEIGHT, WIDTH)))
        assert live.session.status().camera_state == "idle"
        assert not live.session.status().wanted
        sent = live.virtual.sent - live.virtual.repeated
        demand.is_on = True
        took = live.until(lambda: live.virtual.sent - live.virtual.repeated > sent)
        live.until(live.shows_people)
    assert took < 0.5


def test_a_camera_that_is_given_back_is_no_camera_that_is_lost() -> None:
    camera, demand = FakeCamera(), Switch()
    with running(camera, demand=demand) as live:
        live.until_new_pictures()
        demand.is_on = False
        live.until(lambda: live.session.status().camera_state == "idle")
        opened = camera.opened
        time.sleep(0.3)
        assert camera.opened == opened
        assert live.session.status().camera_problem is None


def test_a_full_disk_ends_the_recording_and_not_the_call() -> None:
    recorder = RecordingSink(fail_at=5, error=SinkError("is full", subject="disk"))
    with running(recorder=recorder) as live:
        live.until(lambda: "the recording ended" in str(live.session.status().warnings))
        live.until_new_pictures(20)
    assert len(recorder.frames) == 5


def test_another_virtual_camera_takes_over_while_it_runs() -> None:
    with running() as live, RecordingCamera("second") as second:
        live.until_new_pictures()
        with VirtualCameraSink(
            size=(HEIGHT, WIDTH), rate=RATE, backend="second", pixel_format="bgr"
        ) as virtual:
            before, demand = live.session.change_virtual_camera(virtual, Switch())
            assert before is live.virtual
            demand.close()
            before.close()
            assert not live.recording.is_open
            live.until(lambda: virtual.sent - virtual.repeated > 10)
            assert np.array_equal(second.frames[-1].shape, (HEIGHT, WIDTH, 3))
            live.end()


def test_a_mistake_of_ours_ends_all_threads_and_is_raised() -> None:
    class Broken(BrightnessEngine):
        def infer(self, batch: Any) -> Any:
            if len(self.batches) == 20:
                raise ZeroDivisionError("a mistake")
            return super().infer(batch)

    with running(open_segmenter=lambda preset: Segmenter.from_engine(Broken())) as live:
        live.thread.join(PATIENT)
        assert isinstance(live.error, ZeroDivisionError)


@pytest.mark.parametrize("fault", ["none", "lost", "hanging"])
def test_it_ends_soon_whatever_the_camera_does(fault: str) -> None:
    camera = FakeCamera()
    with running(camera) as live:
        live.until_new_pictures()
        camera.is_unplugged = fault == "lost"
        if fault == "hanging":
            camera.runs.clear()
        time.sleep(0.2)
        assert live.end() < 2


def test_quit_is_a_command_and_status_tells_all_figures() -> None:
    with running() as live:
        live.until_new_pictures()
        told = live.controls.apply("status").data
        assert told is not None
        assert told["camera_state"] == "live"
        assert live.controls.apply("quit").ok
        live.thread.join(PATIENT)
        assert not live.thread.is_alive()
        assert live.result is not None
