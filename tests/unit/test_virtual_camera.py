"""The virtual camera gives frames steadily, whatever happens before and behind it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from humanseg.errors import SettingsError, SinkError
from humanseg.frames import Frame
from humanseg.sinks import virtual_camera
from humanseg.sinks.pace import FASTER
from humanseg.sinks.virtual_camera import PAUSES, SinkState, VirtualCameraSink
from humanseg.testing import FakeClock, RecordingCamera

pytest.importorskip("pyvirtualcam")

HEIGHT, WIDTH, RATE = 48, 64, 30
CARD = 7


def picture(value: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def frame(value: int, captured_at: float | None = None, **size: int) -> Frame:
    return Frame(picture(value, **size), 0, Fraction(0), captured_at=captured_at)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def camera(clock: FakeClock) -> Iterator[RecordingCamera]:
    with RecordingCamera(clock=clock) as recording:
        yield recording


def open_sink(clock: FakeClock, **options: Any) -> VirtualCameraSink:
    options = {"card": picture(CARD), "backend": "recording"} | options
    return VirtualCameraSink(size=(HEIGHT, WIDTH), rate=RATE, clock=clock, **options)


def settle(clock: FakeClock) -> None:
    """Have the first repeat sent, and come to a moment at which a new frame is sent at once."""
    clock.advance(0.5 / RATE)


def values(camera: RecordingCamera) -> list[int]:
    return [int(sent[HEIGHT // 2, WIDTH // 2, 0]) for sent in camera.frames]


def test_without_any_frame_the_card_is_shown_at_the_full_rate(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    with open_sink(clock) as sink:
        clock.advance(10)
        assert sink.sent == sink.repeated == camera.count
        assert sink.state is SinkState.OK
        assert sink.error is None
    assert camera.count == 10 * RATE + 1
    assert set(values(camera)) == {CARD}
    assert np.allclose(np.diff(list(camera.times)), 1 / RATE)


def test_new_frames_are_sent_at_once_and_each_but_once(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    written: list[float] = []
    with open_sink(clock) as sink:
        settle(clock)
        sink.write(frame(9))
        clock.settle()
        before = sink.sent
        for value in range(10, 70):
            # Cameras are not even: some frames come a third of a period early, others late.
            clock.advance((1 + (value % 3 - 1) / 3) / RATE)
            written.append(clock())
            sink.write(frame(value))
            clock.settle()
        assert sink.sent - before == 60
        assert sink.replaced == 0
    assert values(camera)[before:] == list(range(10, 70))
    assert list(camera.times)[before:] == written


def test_the_last_frame_stands_for_a_second_and_then_the_card_takes_its_place(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    with open_sink(clock, hold_seconds=1.0) as sink:
        settle(clock)
        sink.write(frame(100))
        clock.settle()
        sent_at = clock()
        camera.frames.clear()
        camera.times.clear()
        clock.advance(5)
        stood = [
            at - sent_at
            for at, value in zip(camera.times, values(camera), strict=True)
            if value == 100
        ]
        assert max(stood) == pytest.approx(1, abs=1.5 / RATE)
        assert values(camera)[len(stood) :] == [CARD] * (len(camera.frames) - len(stood))
        assert len(camera.frames) == pytest.approx(5 * RATE, abs=1)
        sink.write(frame(101))
        clock.settle()
        assert values(camera)[-1] == 101


def test_without_a_card_the_last_frame_stands_for_ever(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    with open_sink(clock, card=None) as sink:
        settle(clock)
        assert values(camera) == [0]
        sink.write(frame(100))
        clock.advance(100)
        assert set(values(camera)[1:]) == {100}
        assert sink.sent == pytest.approx(100 * RATE, abs=2)


def test_a_card_can_be_shown_at_once_and_ends_with_the_next_frame(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    with open_sink(clock) as sink:
        settle(clock)
        sink.write(frame(100))
        clock.settle()
        sink.write(frame(101))
        sink.set_card(picture(50, 20, 30), at_once=True)
        clock.advance(2 / RATE)
        assert values(camera)[-1] == 50
        assert 101 not in values(camera)
        sink.write(frame(102))
        clock.settle()
        assert values(camera)[-1] == 102
        sink.set_card(None)
        clock.advance(10)
        assert values(camera)[-1] == 102


def test_a_slow_source_is_filled_up_to_the_rate(clock: FakeClock, camera: RecordingCamera) -> None:
    with open_sink(clock) as sink:
        settle(clock)
        began = clock()
        for value in range(10, 60):
            clock.advance(1 / 10)
            sink.write(frame(value))
            clock.settle()
        assert sink.sent == pytest.approx((clock() - began) * RATE, rel=0.05)
    assert np.diff(list(camera.times)).max() < 2 / RATE
    assert [value for value in range(10, 60) if value not in values(camera)] == []


def test_of_a_source_that_is_too_fast_the_newest_frames_are_sent(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    with open_sink(clock) as sink:
        settle(clock)
        for value in range(200):
            clock.advance(1 / 100)
            sink.write(frame(value))
            clock.settle()
        sent = camera.count
        assert sink.replaced == pytest.approx(200 - sent, abs=2)
        clock.advance(1 / RATE)
        assert values(camera)[-1] == 199
    assert sent <= 2 * RATE * FASTER + 2
    assert values(camera)[1:sent] == sorted(set(values(camera)[1:sent]))


def test_a_rate_that_stumbled_is_not_made_good_by_a_burst(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    with open_sink(clock) as sink:
        settle(clock)
        clock.skip(5)  # a laptop that slept
        before = sink.sent
        clock.advance(1)
        assert sink.sent - before == pytest.approx(RATE, abs=2)


@pytest.mark.parametrize("size", [(96, 128), (24, 32), (48, 32), (20, 64), (49, 65), (47, 63)])
def test_frames_of_any_size_fit(
    clock: FakeClock, camera: RecordingCamera, size: tuple[int, int]
) -> None:
    with open_sink(clock) as sink:
        settle(clock)
        sink.write(frame(100))
        clock.advance(1 / RATE)
        sink.write(frame(200, height=size[0], width=size[1]))
        clock.advance(1 / RATE)
    shown = camera.frames[-1]
    assert shown.shape == (HEIGHT, WIDTH, 3)
    assert int(shown[HEIGHT // 2, WIDTH // 2, 0]) == 200
    share = min(HEIGHT / size[0], WIDTH / size[1])
    area = size[0] * size[1] * share**2
    assert np.count_nonzero(shown[..., 0] > 100) == pytest.approx(area, rel=0.06)


def test_odd_sizes_are_made_even_and_that_is_told(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    sink = VirtualCameraSink(size=(49, 65), rate=RATE, backend="recording", clock=clock)
    with sink:
        settle(clock)
        assert (sink.height, sink.width) == (48, 64)
        assert sink.warnings == (
            "the virtual camera is 64x48 instead of 65x49: its sizes must be even",
        )
        pixels = np.random.default_rng(1).integers(0, 255, (49, 65, 3), np.uint8)
        sink.write(Frame(pixels, 0, Fraction(0)))
        clock.settle()
    # The frame loses its last row and column; to scale it would soften all of it.
    assert np.array_equal(camera.frames[-1], pixels[:48, :64])


def test_delays_are_those_of_new_frames_from_capture_to_the_end_of_sending(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    camera.on_send = lambda: clock.skip(0.004)
    with open_sink(clock) as sink:
        settle(clock)
        sink.write(frame(1, captured_at=clock() - 0.020))
        clock.advance(1)
        sink.write(frame(2))
        clock.advance(1)
        assert sink.delays == pytest.approx([0.024])


def test_what_it_is_called(clock: FakeClock, camera: RecordingCamera) -> None:
    with open_sink(clock) as sink:
        assert sink.describe() == "memory 64x48 30 fps bgr (recording)"
        assert sink.device == "memory"
        assert "humanseg-camera" in {thread.name for thread in threading.enumerate()}


# --- devices that go away ------------------------------------------------------------------------


def test_a_device_that_goes_away_is_opened_again_and_the_picture_returns(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    with open_sink(clock) as sink:
        clock.advance(1)
        camera.unplug()
        clock.advance(1 / RATE)
        assert sink.state is SinkState.LOST
        assert str(sink.error) == (
            "memory: takes no frames any more: No such device "
            "(it is opened again as soon as it is back)"
        )
        assert not camera.is_open
        sent = sink.sent
        for value in range(100, 110):
            sink.write(frame(value))  # never raises, never waits
            clock.advance(0.05)
        assert sink.sent == sent
        camera.plug_in()
        camera.frames.clear()
        clock.advance(1)
        assert sink.state is SinkState.OK
        assert values(camera)[0] == 109
        assert camera.openings == 2
        clock.advance(5)
        assert sink.sent - sent == pytest.approx(5.5 * RATE, abs=RATE / 2)


def test_attempts_to_open_again_come_after_pauses_that_grow(
    clock: FakeClock, camera: RecordingCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[float] = []

    def fail(request: object) -> None:
        attempts.append(clock())
        raise SinkError("is still away")

    with open_sink(clock) as sink:
        clock.advance(1)
        camera.unplug()
        clock.advance(1 / RATE)
        lost_at = clock()
        monkeypatch.setattr(virtual_camera, "open_camera", fail)
        clock.advance(61)
        assert str(sink.error) == "is still away"
    assert PAUSES == (1, 2, 4, 8, 15)
    assert np.diff([lost_at, *attempts]) == pytest.approx([1, 2, 4, 8, 15, 15, 15], abs=0.04)


@pytest.mark.parametrize(("steady", "pause"), [(2.0, 2.0), (6.0, 1.0)])
def test_pauses_begin_anew_once_a_device_was_steady(
    clock: FakeClock, camera: RecordingCamera, steady: float, pause: float
) -> None:
    with open_sink(clock) as sink:
        for seconds in (1.0, steady):
            clock.advance(seconds)
            camera.unplug()
            clock.advance(2 / RATE)
            camera.plug_in()
            if seconds == 1.0:
                clock.advance(1)
                assert sink.state is SinkState.OK
        assert sink.state is SinkState.LOST
        clock.advance(pause - 0.5)
        assert sink.state is SinkState.LOST
        clock.advance(0.6)
        assert sink.state is SinkState.OK


def test_a_device_that_hangs_keeps_nobody(
    clock: FakeClock, camera: RecordingCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual_camera, "_CLOSE_SECONDS", 0.05)
    inside, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        assert go_on.wait(60)

    sink = open_sink(clock)
    settle(clock)
    camera.on_send = hang
    sink.write(frame(1))
    assert inside.wait(60)
    for value in range(100):
        sink.write(frame(value))
    sink.close()
    assert camera.is_open  # never closed inside a write
    go_on.set()
    sink._thread.join(60)
    assert not camera.is_open


def test_a_mistake_of_ours_is_told_to_the_writer_and_the_device_given_back(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    with open_sink(clock) as sink:
        settle(clock)
        sink.write(Frame(np.zeros((4, 4, 2), np.uint8), 0, Fraction(0)))
        sink._thread.join(60)
        with pytest.raises(SinkError, match="memory: stopped by a fault in humanseg"):
            sink.write(frame(1))
        assert not camera.is_open


def test_two_sinks_cannot_have_one_device(clock: FakeClock, camera: RecordingCamera) -> None:
    with (
        open_sink(clock),
        pytest.raises(SinkError, match="the virtual camera: is fed by another program already"),
    ):
        open_sink(clock)
    with open_sink(clock):
        assert camera.openings == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (0, 64)}, "64x0 at 30 frames a second"),
        ({"rate": 0}, "64x48 at 0 frames a second"),
        ({"rate": 1e9}, "nothing a camera can show"),
        ({"pixel_format": "jpeg"}, "one of auto, bgr, rgb"),
        ({"backend": "no such"}, "there is no virtual camera back-end 'no such'"),
    ],
)
def test_settings_that_no_camera_can_have(
    camera: RecordingCamera, options: dict[str, Any], words: str
) -> None:
    given: dict[str, Any] = {"size": (HEIGHT, WIDTH), "rate": RATE, "backend": "recording"}
    with pytest.raises(SettingsError) as caught:
        VirtualCameraSink(**(given | options))
    assert words in str(caught.value)
    assert camera.openings == 0


def test_a_card_that_is_no_picture_leaves_no_device_open(camera: RecordingCamera) -> None:
    with pytest.raises(ValueError, match="broadcast"):
        VirtualCameraSink(
            size=(HEIGHT, WIDTH),
            rate=RATE,
            backend="recording",
            card=np.zeros((4, 4, 2), np.uint8),
        )
    assert camera.openings == 1
    assert not camera.is_open


# --- for a long time -----------------------------------------------------------------------------


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
def test_many_openings_and_losses_leave_nothing_behind(
    clock: FakeClock, camera: RecordingCamera
) -> None:
    with open_sink(clock):
        clock.advance(1)
    before = threading.active_count(), descriptors()
    for number in range(60):
        with open_sink(clock) as sink:
            sink.write(frame(number))
            clock.advance(0.1)
            camera.unplug()
            clock.advance(0.1)
            if number % 2:
                camera.plug_in()
                clock.advance(2)
            assert sink.state is (SinkState.OK if number % 2 else SinkState.LOST)
        camera.plug_in()
        assert not camera.is_open
        sink.close()
    assert (threading.active_count(), descriptors()) == before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_an_hour_without_a_source_costs_no_memory(clock: FakeClock) -> None:
    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    with RecordingCamera(keep=1) as camera, open_sink(clock) as sink:
        sink.write(frame(1))
        clock.advance(360)
        before = resident()
        clock.advance(3600)
        assert sink.sent == camera.count == pytest.approx(3960 * RATE, abs=3)
        assert resident() < 1.05 * before
