"""Sessions as `humanseg live` opens them, with cheap networks and a virtual camera in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from humanseg.control.controls import Controls
from humanseg.errors import HumansegError, InputError, SettingsError, SinkError, SourceError
from humanseg.frames import Frame, StreamInfo
from humanseg.live import setup as live_setup
from humanseg.live.session import LiveSession
from humanseg.live.settings import LiveSettings
from humanseg.live.setup import open_session
from humanseg.segmenter import Segmenter
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sinks.virtual_camera import VirtualCameraSink
from humanseg.sinks.watched import WatchedSink
from humanseg.testing import BrightnessEngine, RecordingCamera

PATIENT = 60.0
"""Seconds that only a machine which hangs needs."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cheap networks, and a control socket and a config file of this test alone."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(
        live_setup,
        "open_live_segmenter",
        lambda preset, **options: Segmenter.from_engine(BrightnessEngine()),
    )


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingCamera]:
    """The only virtual camera that this machine has."""
    from pyvirtualcam.camera import BACKENDS

    for name in list(BACKENDS):
        monkeypatch.delitem(BACKENDS, name)
    with RecordingCamera(keep=50) as recording:
        yield recording


@contextmanager
def running(settings: LiveSettings, **options: Any) -> Iterator[tuple[LiveSession, Controls]]:
    """A session that runs in a thread of its own."""
    before = set(threading.enumerate())
    with open_session(lambda profile: settings, **options) as (session, controls):
        faults: list[BaseException] = []

        def run() -> None:
            try:
                session.run()
            except BaseException as fault:
                faults.append(fault)

        thread = threading.Thread(target=run, name="session")
        thread.start()
        try:
            yield session, controls
        finally:
            session.stop()
            thread.join(PATIENT)
        assert faults == []
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENT)
    assert set(threading.enumerate()) <= before


def wait(is_so: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < PATIENT
        assert any(thread.name == "session" for thread in threading.enumerate())
        time.sleep(0.01)


def still_video(folder: Path) -> Path:
    """Ten seconds in which nothing moves."""
    target = VideoFileSink(
        folder / "still.mp4",
        StreamInfo(64, 48, Fraction(25), None, Fraction(1, 25), None, "still"),
    )
    pixels = np.full((48, 64, 3), 60, np.uint8)
    pixels[10:40, 20:44] = 220
    with target:
        for index in range(250):
            target.write(Frame(pixels, index, Fraction(index, 25), Fraction(1, 25)))
    return folder / "still.mp4"


def test_with_a_page_the_camera_may_come_later(make_video: Any) -> None:
    settings = LiveSettings(camera="/dev/video77", preset="fast", always_on=True)
    with WatchedSink() as page, running(settings, page=page) as (session, controls):
        wait(lambda: session.status().camera_state == "lost")
        controls.apply(f"camera {make_video()}")
        wait(lambda: session.status().frames > 10)
        assert session.status().camera_state == "live"


def test_without_a_page_a_missing_camera_is_said_at_once() -> None:
    settings = LiveSettings(camera="/dev/video77", preset="fast")
    with pytest.raises(SourceError, match="video77"), open_session(lambda profile: settings):
        pass


def test_a_clip_is_camera_enough(recording: RecordingCamera, make_video: Any) -> None:
    settings = LiveSettings(camera=str(make_video()), preset="fast", always_on=True)
    with running(settings) as (session, _):
        wait(lambda: session.status().frames > 10)
        status = session.status()
    assert status.camera_state == "live"
    assert status.virtual_camera_state == "ok"
    assert (status.width, status.height) == (64, 48)
    assert recording.count >= 10
    assert not recording.is_open


def test_another_camera_is_read_while_it_runs(recording: RecordingCamera, make_video: Any) -> None:
    first, second = make_video("first.mp4"), make_video("second.mp4", size=(64, 96))
    settings = LiveSettings(camera=str(first), preset="fast")
    with running(settings) as (session, controls):
        wait(lambda: session.status().frames > 5)
        reply = controls.apply(f"camera {second}")
        assert reply.ok
        assert "second.mp4 96x64" in reply.text
        wait(lambda: session.status().width == 96)
        seen = session.status().frames
        wait(lambda: session.status().frames > seen + 5)
        assert "second.mp4" in session.status().camera


def test_a_camera_that_cannot_be_opened_leaves_the_one_that_runs(
    recording: RecordingCamera, make_video: Any, tmp_path: Path
) -> None:
    settings = LiveSettings(camera=str(make_video()), preset="fast")
    with running(settings) as (session, controls):
        wait(lambda: session.status().frames > 5)
        reply = controls.apply(f"camera {tmp_path}/none.mp4")
        assert not reply.ok
        assert "none.mp4" in reply.text
        seen = session.status().frames
        wait(lambda: session.status().frames > seen + 5)
        assert "in.mp4" in session.status().camera


def test_the_same_camera_is_opened_again_when_it_is_asked_for(
    recording: RecordingCamera, make_video: Any
) -> None:
    path = make_video()
    with running(LiveSettings(camera=str(path), preset="fast")) as (session, controls):
        wait(lambda: session.status().frames > 5)
        assert controls.apply(f"camera {path}").ok
        seen = session.status().frames
        wait(lambda: session.status().frames > seen + 10)


def test_the_virtual_camera_is_left_and_taken_again(
    recording: RecordingCamera, make_video: Any
) -> None:
    settings = LiveSettings(camera=str(make_video()), preset="fast")
    with running(settings) as (session, controls):
        wait(lambda: recording.count > 5)
        assert controls.apply("virtual-camera none").ok
        assert not recording.is_open
        assert session.status().virtual_camera is None
        seen = session.status().frames
        wait(lambda: session.status().frames > seen + 5)
        reply = controls.apply("virtual-camera elsewhere")
        assert not reply.ok
        assert "elsewhere" in reply.text
        assert controls.apply(f"virtual-camera {recording.device}").ok
        wait(lambda: recording.openings == 2 and recording.count > 10)
        assert session.status().virtual_camera is not None


def test_a_second_session_is_refused_before_it_opens_or_loads_anything(
    recording: RecordingCamera, make_video: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = LiveSettings(camera=str(make_video()), preset="fast")
    with running(settings) as (session, _):
        wait(lambda: session.status().frames > 5)

        def refuse(*words: Any, **options: Any) -> Any:
            raise AssertionError("a session that cannot run has begun to open things")

        monkeypatch.setattr(live_setup, "open_live_segmenter", refuse)
        monkeypatch.setattr("humanseg.live.devices.open_live", refuse)
        with (
            pytest.raises(InputError, match="another humanseg live is running"),
            open_session(lambda profile: settings),
        ):
            pass
        seen = session.status().frames
        wait(lambda: session.status().frames > seen + 5)


def test_two_sessions_do_not_share_a_virtual_camera_and_the_second_loads_no_networks(
    recording: RecordingCamera, make_video: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(
        live_setup, "open_live_segmenter", lambda preset, **options: loaded.append(preset)
    )
    settings = LiveSettings(camera=str(make_video()), preset="fast")
    with (
        VirtualCameraSink(size=(48, 64), rate=25, backend=recording.name),
        pytest.raises(SinkError, match="another program"),
        open_session(lambda profile: settings),
    ):
        pass
    assert loaded == []


@pytest.mark.parametrize(("gate", "least", "most"), [(True, 0.1, 0.6), (False, 1, 1)])
def test_while_nothing_moves_the_networks_rest_unless_the_gate_is_off(
    gate: bool,
    least: float,
    most: float,
    recording: RecordingCamera,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = BrightnessEngine()
    monkeypatch.setattr(
        live_setup,
        "open_live_segmenter",
        lambda preset, **options: Segmenter.from_engine(engine),
    )
    settings = LiveSettings(camera=str(still_video(tmp_path)), preset="fast", gate=gate)
    with running(settings) as (session, _):
        wait(lambda: session.status().frames > 30)
    # One more than the frames made the networks ready; one frame may not be finished.
    share = (len(engine.batches) - 1) / session.status().frames
    assert least <= share <= most + 1 / 15


def test_without_a_virtual_camera_the_recording_goes_on_and_it_is_told(
    recording: RecordingCamera, make_video: Any, tmp_path: Path
) -> None:
    recording.unplug()
    settings = LiveSettings(camera=str(make_video()), preset="fast")
    with running(settings, record=tmp_path / "out.mp4") as (session, _):
        wait(lambda: session.status().frames > 5)
        [warning] = session.status().warnings
    assert "no virtual camera" in warning
    assert (tmp_path / "out.mp4").stat().st_size > 0


def test_without_a_virtual_camera_and_anything_else_it_does_not_begin(
    recording: RecordingCamera, make_video: Any
) -> None:
    recording.unplug()
    settings = LiveSettings(camera=str(make_video()), preset="fast")
    refused = pytest.raises(SinkError, match="no virtual camera")
    with refused, open_session(lambda profile: settings):
        pass


def test_a_session_that_nobody_would_see_is_refused(make_video: Any) -> None:
    settings = LiveSettings(camera=str(make_video()), preset="fast")
    with (
        pytest.raises(SettingsError, match="nobody would see"),
        open_session(lambda profile: settings, has_virtual_camera=False),
    ):
        pass


def test_a_preview_without_a_screen_is_told_and_the_rest_runs(
    recording: RecordingCamera, make_video: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise SinkError("there can be no preview: there is no screen here")

    monkeypatch.setattr("humanseg.live.devices.check_display", refuse)
    settings = LiveSettings(camera=str(make_video()), preset="fast", preview=True)
    with running(settings) as (session, _):
        wait(lambda: recording.count > 5)
        assert session.status().warnings == ("there can be no preview: there is no screen here",)
    with (
        pytest.raises(HumansegError, match="no screen"),
        open_session(lambda profile: settings, has_virtual_camera=False),
    ):
        pass
