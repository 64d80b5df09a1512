"""A camera is asked in the order that drivers obey, and its every fault ends in a clear line."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from humanseg import device_access, devices, v4l2
from humanseg.devices import Camera
from humanseg.errors import SettingsError, SourceError, SourceLost
from humanseg.frames import Frame
from humanseg.sources import camera_faults
from humanseg.sources.camera import CameraSource
from humanseg.v4l2 import VIDEO_CAPTURE, VIDEO_OUTPUT, Capability

NAMES = {
    cv2.CAP_PROP_FOURCC: "fourcc",
    cv2.CAP_PROP_FRAME_WIDTH: "width",
    cv2.CAP_PROP_FRAME_HEIGHT: "height",
    cv2.CAP_PROP_FPS: "rate",
    cv2.CAP_PROP_BUFFERSIZE: "buffers",
}
MJPG, YUYV = cv2.VideoWriter.fourcc(*"MJPG"), cv2.VideoWriter.fourcc(*"YUYV")


def noise(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 255, (height, width, 3), np.uint8)


class Clock:
    """Time that goes on only by sleeping, and by reading."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Capture:
    """Stands in for cv2.VideoCapture: gives what `reads` says, an array or None for a failure."""

    def __init__(
        self,
        reads: Iterator[Any] | None = None,
        *,
        given: dict[int, float] | None = None,
        is_open: bool = True,
        driver_time: Callable[[], float] = lambda: 0.0,
        clock: Clock | None = None,
        seconds: float = 0.0,
    ) -> None:
        self.reads = reads if reads is not None else (noise(index) for index in count())
        self.given = given or {}
        self.is_open = is_open
        self.asked: list[tuple[str, float]] = []
        self.opened_with: tuple[Any, ...] = ()
        self.released = 0
        self.driver_time = driver_time
        self.clock, self.seconds = clock, seconds

    def __call__(self, *arguments: Any) -> Capture:
        self.opened_with = arguments
        return self

    def isOpened(self) -> bool:
        return self.is_open

    def set(self, what: int, value: float) -> bool:
        self.asked.append((NAMES[what], value))
        return True

    def get(self, what: int) -> float:
        if what == cv2.CAP_PROP_POS_MSEC:
            return self.driver_time() * 1000
        return self.given.get(what, 0.0)

    def read(self) -> tuple[bool, Any]:
        assert not self.released, "read after release"
        if self.clock is not None:
            self.clock.sleep(self.seconds)
        pixels = next(self.reads)
        if isinstance(pixels, Exception):
            raise pixels
        return pixels is not None, pixels

    def release(self) -> None:
        self.released += 1


@pytest.fixture
def device(tmp_path: Path) -> str:
    """The path of a device that is there."""
    path = tmp_path / "video0"
    path.touch()
    return path.as_posix()


def open_camera(capture: Capture, clock: Clock | None = None, **options: Any) -> CameraSource:
    clock = clock or Clock()
    camera = options.pop("camera", 0)
    return CameraSource(camera, open_capture=capture, clock=clock, sleep=clock.sleep, **options)


def test_the_format_is_asked_for_first_and_the_buffers_last() -> None:
    capture = Capture()
    open_camera(capture, size=(720, 1280), rate=30, pixel_format="mjpg").close()
    assert capture.asked == [
        ("fourcc", MJPG),
        ("width", 1280),
        ("height", 720),
        ("rate", 30),
        ("buffers", 2),
    ]


@pytest.mark.parametrize(
    ("options", "fourcc"),
    [
        ({"size": (720, 1280)}, MJPG),
        ({"size": (480, 640), "rate": 30}, YUYV),
        ({"size": (480, 640), "rate": 60}, MJPG),
        ({"size": (600, 800), "rate": 15}, MJPG),
        ({"rate": 60}, MJPG),
        ({"rate": 30}, None),
        ({}, None),
        ({"size": (720, 1280), "pixel_format": "yuyv"}, YUYV),
    ],
)
def test_the_format_of_auto(options: dict[str, Any], fourcc: int | None) -> None:
    capture = Capture()
    open_camera(capture, **options).close()
    assert dict(capture.asked).get("fourcc") == fourcc


def test_what_the_camera_gives_instead_is_told() -> None:
    given = {cv2.CAP_PROP_FPS: 10.0, cv2.CAP_PROP_FOURCC: float(YUYV)}
    with open_camera(
        Capture(given=given), size=(720, 1280), rate=30, pixel_format="mjpg"
    ) as camera:
        assert (camera.info.height, camera.info.width, camera.info.rate) == (48, 64, 10)
        size, rate, pixel_format = camera.warnings
    assert "asked for 1280x720, the camera gives 64x48" in size
    assert "asked for 30 frames a second, the camera gives 10" in rate
    assert pixel_format == "asked for the format MJPG, the camera gives YUYV"


def test_what_was_given_as_asked_is_not_told() -> None:
    given = {cv2.CAP_PROP_FPS: 29.97, cv2.CAP_PROP_FOURCC: float(MJPG)}
    with open_camera(Capture(given=given), size=(48, 64), rate=30, pixel_format="mjpg") as camera:
        assert camera.warnings == ()
        assert camera.describe().endswith("64x48 29.97 fps MJPG")


def test_a_camera_that_tells_nothing() -> None:
    with open_camera(Capture(given={cv2.CAP_PROP_FPS: -1, cv2.CAP_PROP_FOURCC: -1})) as camera:
        assert camera.info.rate is None
        assert camera.describe().endswith("64x48")


def test_an_unknown_format_is_refused_before_the_camera_is_opened() -> None:
    capture = Capture()
    with pytest.raises(SettingsError, match="yuyv"):
        open_camera(capture, pixel_format="png")
    assert capture.opened_with == ()


@pytest.mark.skipif(sys.platform != "linux", reason="paths are Linux's")
@pytest.mark.parametrize(
    ("camera", "path"),
    [
        (2, "/dev/video2"),
        ("2", "/dev/video2"),
        ("/dev/v4l/by-id/usb-cam", "/dev/v4l/by-id/usb-cam"),
        ("webcam", "/dev/video4"),
    ],
)
def test_cameras_by_index_path_and_name(
    monkeypatch: pytest.MonkeyPatch, camera: int | str, path: str
) -> None:
    monkeypatch.setattr(devices, "cameras", lambda: [Camera(4, "/dev/video4", "HD Webcam")])
    capture = Capture()
    with open_camera(capture, camera=camera) as source:
        assert capture.opened_with == (path, cv2.CAP_V4L2)
        assert source.info.origin == path


def test_a_name_that_no_camera_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cameras", lambda: [Camera(4, "/dev/video4", "HD Webcam")])
    with pytest.raises(SourceError, match="HD Webcam"):
        open_camera(Capture(), camera="Logitech")


def test_frames_and_their_times() -> None:
    clock = Clock()
    with open_camera(Capture(clock=clock, seconds=0.04), clock) as camera:
        frames = list(islice(camera, 3))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [float(frame.time) for frame in frames] == [0, 0.04, 0.08]
    assert [frame.captured_at for frame in frames] == pytest.approx([100.04, 100.08, 100.12])
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.pixels, noise(index))


@pytest.mark.skipif(sys.platform != "linux", reason="only V4L2's clock is ours")
def test_the_drivers_time_tells_when_a_frame_was_taken() -> None:
    clock = Clock()
    capture = Capture(clock=clock, seconds=0.04, driver_time=lambda: clock.now - 0.015)
    with open_camera(capture, clock) as camera:
        frames = list(islice(camera, 2))
    assert [frame.captured_at for frame in frames] == pytest.approx([100.025, 100.065])


@pytest.mark.parametrize("off", [-3.0, 1.0, 50.0])
def test_a_driver_with_another_clock_is_not_believed(off: float) -> None:
    clock = Clock()
    capture = Capture(clock=clock, seconds=0.04, driver_time=lambda: clock.now - off)
    with open_camera(capture, clock) as camera:
        frames = list(islice(camera, 2))
    assert [frame.captured_at for frame in frames] == pytest.approx([100.04, 100.08])


def test_opencv_gives_a_new_array_with_each_read(make_video: Callable[..., Path]) -> None:
    capture = cv2.VideoCapture(str(make_video()))
    first, second = capture.read()[1], capture.read()[1]
    capture.release()
    assert not np.shares_memory(first, second)


# --- faults --------------------------------------------------------------------------------------


def test_a_camera_that_opencv_refuses_is_released() -> None:
    capture = Capture(is_open=False)
    with pytest.raises(SourceError, match="cannot be opened") as caught:
        open_camera(capture)
    assert caught.value.hint
    assert capture.released == 1


def test_a_camera_whose_first_reads_fail() -> None:
    reads = iter([None, None, noise(0), noise(1)])
    with open_camera(Capture(reads)) as camera:
        assert len(list(islice(camera, 2))) == 2


def test_a_camera_that_gives_no_picture_at_all() -> None:
    capture = Capture(iter(lambda: None, 0))
    with pytest.raises(SourceError, match="gives no picture") as caught:
        open_camera(capture)
    assert not isinstance(caught.value, SourceLost)
    assert capture.released == 1


def test_a_camera_whose_first_read_times_out_is_not_tried_for_ever() -> None:
    clock = Clock()
    capture = Capture(iter(lambda: None, 0), clock=clock, seconds=5)
    with pytest.raises(SourceError, match="gives no picture"):
        open_camera(capture, clock)
    assert clock.now < 106


@pytest.mark.parametrize("failure", [None, cv2.error("the driver says no"), noise(0)[..., 0]])
@pytest.mark.parametrize("is_plugged", [True, False])
def test_a_camera_whose_reads_fail_is_lost(device: str, is_plugged: bool, failure: Any) -> None:
    def reads() -> Iterator[Any]:
        yield from (noise(0), noise(1))
        if not is_plugged:
            Path(device).unlink()
        while True:
            yield failure

    clock = Clock()
    camera = open_camera(Capture(reads()), clock, camera=device)
    given: list[int] = []
    with pytest.raises(SourceLost, match="no more pictures" if is_plugged else "unplugged"):
        given.extend(frame.index for frame in camera)
    assert clock.now - 100 < 0.5
    with pytest.raises(SourceLost):
        given.extend(frame.index for frame in camera)
    assert given == [0, 1]


def test_failed_reads_in_between_are_survived() -> None:
    reads = iter([noise(0), None, None, None, None, noise(1), None, noise(2)])
    with open_camera(Capture(reads)) as camera:
        assert [frame.index for frame in islice(camera, 3)] == [0, 1, 2]


def test_a_picture_that_comes_again_and_again_is_a_stalled_camera(device: str) -> None:
    clock = Clock()
    reads = chain([noise(0)], (noise(1) for _ in count()))
    capture = Capture(reads, clock=clock, seconds=0.033)
    camera = open_camera(capture, clock, camera=device, stall_seconds=2)
    given: list[Frame] = []
    with pytest.raises(SourceLost, match="no new picture"):
        given.extend(camera)
    assert len(given) == 2
    assert 2 <= clock.now - 100 < 2.5


def test_a_picture_that_comes_again_after_a_time_out_is_not_given() -> None:
    clock = Clock()
    reads = iter([noise(0), noise(0), noise(1)])
    with open_camera(Capture(reads, clock=clock, seconds=0.5), clock) as camera:
        given = list(islice(camera, 2))
    np.testing.assert_array_equal(given[1].pixels, noise(1))


def test_a_read_that_times_out_with_ok_and_the_last_picture(device: str) -> None:
    clock = Clock()
    reads = (noise(0) for _ in count())
    capture = Capture(reads, clock=clock, seconds=10)
    with (
        open_camera(capture, clock, camera=device) as camera,
        pytest.raises(SourceLost, match="no new picture for 10"),
    ):
        list(camera)


def test_a_covered_lens_is_no_stall_while_the_drivers_clock_runs() -> None:
    clock = Clock()
    black = (np.zeros((48, 64, 3), np.uint8) for _ in count())
    capture = Capture(black, clock=clock, seconds=0.5, driver_time=lambda: clock.now)
    with open_camera(capture, clock, stall_seconds=2) as camera:
        assert len(list(islice(camera, 20))) == 20


def test_time_the_consumer_takes_is_no_stall() -> None:
    clock = Clock()
    reads = iter([noise(0), noise(0), noise(1), noise(1), noise(2)])
    with open_camera(Capture(reads), clock, stall_seconds=2) as camera:
        given = []
        for frame in islice(camera, 3):
            given.append(frame.index)
            clock.sleep(60)
    assert given == [0, 1, 2]


def test_close_ends_the_frames_and_releases_once() -> None:
    capture = Capture()
    camera = open_camera(capture)
    for frame in camera:
        if frame.index == 3:
            camera.close()
    camera.close()
    assert frame.index == 3
    assert capture.released == 1


def test_a_camera_is_never_released_inside_a_read() -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Hanging(Capture):
        is_reading = False

        def read(self) -> tuple[bool, Any]:
            if not inside.is_set() and self.reads_done:
                self.is_reading = True
                inside.set()
                assert go_on.wait(10)
                self.is_reading = False
            self.reads_done = True
            return super().read()

        reads_done = False

        def release(self) -> None:
            assert not self.is_reading
            super().release()

    capture = Hanging()
    camera = open_camera(capture)
    given: list[int] = []
    reader = threading.Thread(target=lambda: given.extend(frame.index for frame in camera))
    reader.start()
    assert inside.wait(10)
    camera.close()  # returns at once, though the read still hangs
    assert capture.released == 0
    go_on.set()
    reader.join(10)
    assert capture.released == 1
    assert given == [0]


def test_opencv_is_quiet_only_while_a_camera_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    log = cv2.utils.logging
    before = log.getLogLevel()
    with open_camera(Capture()), open_camera(Capture()):
        assert log.getLogLevel() == log.LOG_LEVEL_SILENT
    assert log.getLogLevel() == before
    with pytest.raises(SourceError):
        open_camera(Capture(is_open=False))
    assert log.getLogLevel() == before


# --- the look at a Linux device before it is opened ----------------------------------------------

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's devices")


@linux
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOENT, ("there is no such camera", "/dev/video4 (HD Webcam)")),
        (errno.EACCES, ("may not be opened", "")),
        (errno.EBUSY, ("is in use by zoom", "close zoom")),
        (errno.ENODEV, ("does not answer", "plug it in again")),
        (errno.ENOTTY, ("is no camera", "/dev/video4 (HD Webcam)")),
    ],
)
def test_devices_that_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, number: int, words: tuple[str, str]
) -> None:
    def refuse(path: str, flags: int) -> int:
        assert path == "/dev/video9"
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(devices, "cameras", lambda: [Camera(4, "/dev/video4", "HD Webcam")])
    monkeypatch.setattr(device_access, "programs_using", lambda path: ("zoom",))
    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(SourceError) as caught:
        camera_faults.check_device("/dev/video9")
    assert caught.value.subject == "/dev/video9"
    assert words[0] in caught.value.what
    assert words[1] in (caught.value.hint or "")
    assert caught.value.hint


@linux
def test_a_group_that_may_open_the_camera_is_named(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    import grp

    class Status:
        st_mode = stat.S_IFCHR | 0o660
        st_gid = 54321

    monkeypatch.setattr(Path, "stat", lambda self, **_: Status)
    monkeypatch.setattr(
        grp, "getgrgid", lambda number: grp.struct_group(("video", "x", number, []))
    )
    monkeypatch.setattr(
        "os.open", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "no"))
    )
    with pytest.raises(SourceError, match="sudo usermod -aG video"):
        camera_faults.check_device(device)


def answering(able: Capability, *, is_busy: bool = False) -> Callable[..., int]:
    def ioctl(device: int, number: int, data: bytearray) -> int:
        if number == v4l2.QUERYCAP:
            words = (able.driver.encode(), able.card.encode(), b"usb", 0, able.flags, 0)
            data[:] = v4l2._CAPABILITY.pack(*words)
        elif is_busy:
            raise OSError(errno.EBUSY, "busy")
        return 0

    return ioctl


@linux
def test_what_is_streamed_from_elsewhere_is_busy(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    webcam = Capability("uvcvideo", "HD Webcam", "usb", VIDEO_CAPTURE)
    camera_faults.check_device(device, ioctl=answering(webcam))
    monkeypatch.setattr(device_access, "programs_using", lambda path: ())
    with pytest.raises(SourceError, match="in use by another program"):
        camera_faults.check_device(device, ioctl=answering(webcam, is_busy=True))


@linux
@pytest.mark.parametrize(
    ("driver", "flags", "words"),
    [
        ("v4l2 loopback", VIDEO_OUTPUT, "no program feeds"),
        ("uvcvideo", 0x00800000, "another part of HD Webcam"),
    ],
)
def test_devices_that_give_no_pictures(device: str, driver: str, flags: int, words: str) -> None:
    able = Capability(driver, "HD Webcam", "usb", flags)
    with pytest.raises(SourceError, match=words):
        camera_faults.check_device(device, ioctl=answering(able))


@linux
def test_a_missing_camera_is_refused_before_opencv_is_asked() -> None:
    with pytest.raises(SourceError, match=r"/dev/video987654: there is no such camera"):
        CameraSource(987654)


@linux
@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null")
def test_a_device_of_another_kind() -> None:
    with pytest.raises(SourceError, match=r"/dev/null: is no camera"):
        CameraSource("/dev/null")
