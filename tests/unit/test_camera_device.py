"""Which virtual camera is opened, and what is said of one that is not."""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from humanseg import devices
from humanseg.devices import VirtualCamera, virtual_camera_hint
from humanseg.errors import HumansegError, MissingExtraError, SettingsError, SinkError
from humanseg.sinks import camera_device, camera_faults, loopback
from humanseg.sinks.camera_device import CameraRequest, open_camera
from humanseg.sinks.camera_pixels import encode
from humanseg.testing import RecordingCamera

pyvirtualcam = pytest.importorskip("pyvirtualcam")

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's virtual cameras")
MODPROBE = 'sudo modprobe v4l2loopback exclusive_caps=1 card_label="humanseg" video_nr=10'
QUERYCAP, GET_FORMAT = 0x80685600, 0xC0D05604
CAPTURE, OUTPUT = 1, 2


def request(**options: Any) -> CameraRequest:
    return CameraRequest(48, 64, 30, **options)


class Driver:
    """v4l2loopback behind ordinary files and pipes, as far as it is asked."""

    def __init__(self) -> None:
        self.flags = OUTPUT
        self.name = b"v4l2 loopback"
        self.format: tuple[int, int, bytes] | None = (64, 48, b"YU12")
        self.error: int | None = None

    def __call__(self, device: int, number: int, data: bytearray) -> int:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        if number == QUERYCAP:
            words = (self.name, b"humanseg", b"platform:v4l2loopback-000", 0, self.flags, 0)
            data[:] = struct.pack("=16s32s32sIII12x", *words)
        elif number == GET_FORMAT and self.format is not None:
            assert struct.unpack_from("=I", data) == (OUTPUT,)
            struct.pack_into("=II4s", data, 8, *self.format)
        else:
            raise OSError(errno.EINVAL, "no")
        return 0


class Backend:
    """What pyvirtualcam's back-end of Linux does with a device, but for the calls to its driver."""

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str) -> None:
        self.path = device
        self.descriptor = os.open(device, os.O_WRONLY | os.O_SYNC)

    def device(self) -> str:
        return self.path

    def send(self, frame: np.ndarray) -> None:
        raise AssertionError("the real one would print its errors")

    def close(self) -> None:
        os.close(self.descriptor)

    def native_fourcc(self) -> None:
        return None


class Pipe:
    """A pipe in the place of a device, with its other end."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        os.mkfifo(path)
        self.end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> bytes:
        return os.read(self.end, 1 << 20)

    def remove(self) -> None:
        Path(self.path).unlink()
        os.close(self.end)
        self.end = -1


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    from pyvirtualcam.camera import BACKENDS

    monkeypatch.setitem(BACKENDS, "v4l2loopback", Backend)
    monkeypatch.setattr(devices, "virtual_cameras", lambda: [])
    pipe = Pipe(tmp_path / "video10")
    yield pipe
    if pipe.end >= 0:
        os.close(pipe.end)


def picture() -> np.ndarray:
    return encode(np.full((48, 64, 3), 90, np.uint8), "i420")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


# --- a device of Linux ---------------------------------------------------------------------------


@linux
def test_pictures_are_written_whole(device: Pipe, driver: Driver) -> None:
    with open_camera(request(device=device.path), ioctl=driver) as camera:
        camera.send(picture())
        assert device.read() == picture().tobytes()
        assert camera.describe() == f"{device.path} 64x48 30 fps i420 (v4l2loopback)"


@linux
def test_a_device_that_is_removed_is_noticed_with_the_next_picture(
    device: Pipe, driver: Driver
) -> None:
    with open_camera(request(device=device.path), ioctl=driver) as camera:
        camera.send(picture())
        device.remove()
        with pytest.raises(SinkError) as caught:
            camera.send(picture())
    assert caught.value.what == "takes no frames any more: Broken pipe"
    assert caught.value.subject == device.path


@linux
def test_a_device_that_takes_a_part_only_is_noticed(device: Pipe, driver: Driver) -> None:
    with open_camera(request(device=device.path), ioctl=driver) as camera:
        os.set_blocking(camera._writer._descriptor, False)  # type: ignore[union-attr, arg-type]
        with pytest.raises(SinkError, match=r"it took \d+ of 1000000 bytes"):
            camera.send(np.zeros(1_000_000, np.uint8))


@linux
def test_another_program_of_ours_is_noticed(device: Pipe, driver: Driver) -> None:
    before = descriptors()
    with open_camera(request(device=device.path), ioctl=driver):
        held = descriptors()
        with pytest.raises(SinkError) as caught:
            open_camera(request(device=device.path), ioctl=driver)
        assert str(caught.value).startswith(f"{device.path}: is fed by another program already")
        assert descriptors() == held
    with open_camera(request(device=device.path), ioctl=driver):
        pass
    assert descriptors() == before


@linux
def test_a_device_that_keeps_another_format_is_refused(device: Pipe, driver: Driver) -> None:
    driver.format = (640, 360, b"YU12")
    before = descriptors()
    with pytest.raises(SinkError) as caught:
        open_camera(request(device=device.path), ioctl=driver)
    assert caught.value.what == "still gives 640x360 YU12 to a program and cannot change"
    assert "--size 640x360" in str(caught.value.hint)
    assert descriptors() == before


@linux
def test_a_format_that_cannot_be_asked_is_taken_on_trust(device: Pipe, driver: Driver) -> None:
    driver.format = None
    with open_camera(request(device=device.path), ioctl=driver) as camera:
        camera.send(picture())


@linux
@pytest.mark.parametrize("pixel_format", ["i420", "nv12", "yuyv", "uyvy", "gray", "bgr", "rgb"])
def test_formats_of_linux(device: Pipe, driver: Driver, pixel_format: str) -> None:
    # pyvirtualcam would turn BGR and RGB into I420, for repeats too.
    stored = "i420" if pixel_format in ("bgr", "rgb") else pixel_format
    driver.format = (64, 48, loopback.FORMATS[stored].encode())
    with open_camera(
        request(device=device.path, pixel_format=pixel_format), ioctl=driver
    ) as camera:
        assert camera.pixel_format == stored
        camera.send(encode(np.zeros((48, 64, 3), np.uint8), camera.pixel_format))


@linux
def test_many_openings_leave_no_descriptor(device: Pipe, driver: Driver) -> None:
    before = descriptors()
    for number in range(200):
        driver.flags = (OUTPUT, CAPTURE)[number % 2]
        try:
            open_camera(request(device=device.path), ioctl=driver).close()
        except SinkError:
            assert number % 2
    assert descriptors() == before


@linux
@pytest.mark.parametrize(
    ("error", "what"),
    [
        (errno.ENOENT, "there is no such virtual camera"),
        (errno.ENODEV, "there is no such virtual camera"),
        (errno.EACCES, "may not be opened by this user"),
        (errno.EBUSY, "is fed by another program already"),
        (errno.ENOTTY, "is no virtual camera"),
    ],
)
def test_what_linux_says_is_told(device: Pipe, driver: Driver, error: int, what: str) -> None:
    driver.error = error
    with pytest.raises(SinkError) as caught:
        open_camera(request(device=device.path), ioctl=driver)
    assert caught.value.what == what
    assert caught.value.subject == device.path
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@linux
def test_a_webcam_is_no_virtual_camera(device: Pipe, driver: Driver) -> None:
    driver.name = b"uvcvideo"
    with pytest.raises(SinkError, match="is no virtual camera"):
        open_camera(request(device=device.path), ioctl=driver)


@linux
def test_who_feeds_a_device_is_named(
    device: Pipe, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.flags = CAPTURE
    monkeypatch.setattr(camera_faults, "programs_using", lambda path: ("obs", "zoom"))
    with pytest.raises(SinkError, match="close obs or zoom, or choose another"):
        open_camera(request(device=device.path), ioctl=driver)


# --- which device --------------------------------------------------------------------------------

LISTED = [
    VirtualCamera("/dev/video7", "fed", "v4l2 loopback", is_fed=True),
    VirtualCamera("/dev/video8", "", "", problem="may not be opened"),
    VirtualCamera("/dev/video9", "Dummy", "v4l2 loopback"),
    VirtualCamera("/dev/video10", "humanseg", "v4l2 loopback"),
]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (None, ["/dev/video10", "/dev/video9", "/dev/video8"]),
        ("9", ["/dev/video9"]),
        ("/dev/video33", ["/dev/video33"]),
        ("Dummy", ["/dev/video9"]),
        ("fed", ["/dev/video7"]),
    ],
)
def test_the_device_that_is_chosen(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, chosen: list[str]
) -> None:
    monkeypatch.setattr(devices, "virtual_cameras", lambda: LISTED)
    assert loopback.choose_devices(wanted) == chosen


def test_a_label_that_no_device_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "virtual_cameras", lambda: LISTED[2:])
    with pytest.raises(SinkError) as caught:
        loopback.choose_devices("Zoom")
    assert str(caught.value) == (
        "Zoom: there is no such virtual camera (found /dev/video9 (Dummy), /dev/video10 (humanseg))"
    )


def test_all_devices_are_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "virtual_cameras", lambda: LISTED[:1])
    with pytest.raises(SinkError, match="/dev/video7: is fed by another program already"):
        loopback.choose_devices(None)


@linux
def test_without_any_device_the_line_that_makes_one_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "virtual_cameras", lambda: [])
    with pytest.raises(SinkError) as caught:
        open_camera(request())
    assert caught.value.what == "there is no virtual camera"
    assert (caught.value.hint or "").endswith(MODPROBE)
    with pytest.raises(SinkError) as caught:
        open_camera(request(device="/dev/video98765"))
    assert caught.value.subject == "/dev/video98765"
    assert (caught.value.hint or "").endswith(MODPROBE.replace("10", "98765"))


@linux
def test_a_module_that_is_loaded_must_go_first(tmp_path: Path) -> None:
    told = virtual_camera_hint(12, module=tmp_path)
    assert told.endswith(
        "sudo modprobe -r v4l2loopback && " + MODPROBE.replace("video_nr=10", "video_nr=12")
    )
    assert "-r" not in virtual_camera_hint(12, module=tmp_path / "none")


@pytest.mark.parametrize(("system", "words"), [("darwin", "OBS 30"), ("win32", "Unity Capture")])
def test_the_step_on_other_systems(
    monkeypatch: pytest.MonkeyPatch, system: str, words: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert words in virtual_camera_hint()


def test_pyvirtualcam_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingExtraError, match=r'pip install "humanseg\[live\]"'):
        open_camera(request())


# --- other back-ends, which tell of faults in words ----------------------------------------------


@pytest.mark.parametrize(
    ("words", "kind", "what"),
    [
        ("Unsupported image format.", SettingsError, "does not take this pixel format"),
        (
            "Could not access /dev/video3 due to missing permissions. Did you add your user",
            SinkError,
            "may not be opened by this user",
        ),
        ("Device /dev/video3 is already in use.", SinkError, "is fed by another program already"),
        (
            "Virtual camera device /dev/video3 could not be configured: Device or resource busy",
            SinkError,
            "is fed by another program already",
        ),
        (
            "virtual camera output could not be started",
            SinkError,
            "is fed by another program already",
        ),
        ("Device /dev/video3 is not a video output device.", SinkError, "is no virtual camera"),
        ("OBS Virtual Camera device not found! Did you", SinkError, "there is no virtual camera"),
        ("No camera registered with this name.", SinkError, "there is no virtual camera"),
        ("Something\n  went wrong.", SinkError, "cannot be opened as a virtual camera"),
    ],
)
def test_what_back_ends_say(words: str, kind: type[HumansegError], what: str) -> None:
    error = camera_faults.refusal("obs", words, None)
    assert type(error) is kind
    assert error.what == what
    assert error.hint
    assert "\n" not in str(error)
    if "/dev/video3" in words:
        assert error.subject == "/dev/video3"


def test_unknown_words_are_passed_on() -> None:
    error = camera_faults.refusal("obs", "Something\n  went wrong.", "OBS")
    assert str(error) == (
        "OBS: cannot be opened as a virtual camera (obs says: Something went wrong)"
    )


def failing(words: str) -> Callable[..., Any]:
    def backend(**_: Any) -> Any:
        raise RuntimeError(words)

    return backend


def test_of_several_back_ends_the_first_that_works_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pyvirtualcam.camera import BACKENDS

    monkeypatch.setattr(camera_device, "NATIVE_FORMATS", {"obs": "bgr", "unity": "rgba"})
    with RecordingCamera("unity") as camera:
        for name in set(BACKENDS) - {"unity"}:
            monkeypatch.delitem(BACKENDS, name)
        monkeypatch.setitem(BACKENDS, "obs", failing("OBS Virtual Camera device not found!"))
        with open_camera(request()) as opened:
            assert (opened.backend, opened.pixel_format) == ("unity", "rgba")
            opened.send(encode(np.full((48, 64, 3), (1, 2, 3), np.uint8), "rgba"))
            assert tuple(camera.frames[0][0, 0]) == (3, 2, 1, 255)
            # One that refuses tells more than one that is not there.
            with pytest.raises(SinkError, match="is fed by another program already"):
                open_camera(request())


def test_all_back_ends_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyvirtualcam.camera import BACKENDS

    for name in list(BACKENDS):
        monkeypatch.delitem(BACKENDS, name)
    monkeypatch.setitem(BACKENDS, "obs", failing("OBS Virtual Camera device not found!"))
    with pytest.raises(SinkError, match="there is no virtual camera"):
        open_camera(request())


def test_a_back_end_that_raises_while_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    with RecordingCamera() as camera, open_camera(request(backend="recording")) as opened:
        camera.unplug()
        with pytest.raises(SinkError, match="memory: takes no frames any more: No such device"):
            opened.send(np.zeros((48, 64, 3), np.uint8))
