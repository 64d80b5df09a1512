"""Cameras are listed from what the kernel says, packed by hand as its videodev2.h lays it out."""

from __future__ import annotations

import errno
import json
import os
import struct
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from humanseg import device_access, devices, v4l2
from humanseg.devices import Camera, VirtualCamera
from humanseg.errors import SourceError
from humanseg.v4l2 import Capability, Mode
from humanseg_cli.app import app

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="V4L2 is Linux's")

# The numbers that a C compiler prints for the macros of linux/videodev2.h.
QUERYCAP, ENUM_FMT, REQBUFS = 0x80685600, 0xC0405602, 0xC0145608
ENUM_FRAMESIZES, ENUM_FRAMEINTERVALS = 0xC02C564A, 0xC034564B
CAPTURE, OUTPUT, META, M2M, STREAMING = 0x1, 0x2, 0x00800000, 0x8000, 0x04000000
MPLANE = 0x1000
MJPG, YUYV, GREY_BE = 0x47504A4D, 0x56595559, 0x80000000 | 0x59455247
DISCRETE, CONTINUOUS, STEPWISE = 1, 2, 3


class Kernel:
    """Answers the calls for devices that are ordinary files named video0, video1, ..."""

    def __init__(self) -> None:
        self.capabilities: dict[str, bytes] = {}
        self.formats: dict[int, list[int]] = {1: [], 9: []}
        self.sizes: dict[int, list[bytes]] = {}
        self.intervals: dict[tuple[int, int, int], list[bytes]] = {}
        self.busy: set[str] = set()
        self.numbers: set[int] = set()

    def add(
        self, name: str, card: str, flags: int, *, driver: str = "uvcvideo", whole: int = 0
    ) -> None:
        """A device whose node can do `flags`; with `whole` 0 its driver tells no node's own."""
        told = whole | 0x80000000 if whole else flags
        words = (driver.encode(), card.encode(), b"usb-0000:00:14.0-1", 0x060500, told)
        self.capabilities[name] = struct.pack(
            "=16s32s32s3I3I", *words, flags if whole else 0, 0, 0, 0
        )

    def __call__(self, device: int, number: int, data: bytearray) -> int:
        self.numbers.add(number)
        name = Path(f"/proc/self/fd/{device}").readlink().name
        if name not in self.capabilities:
            raise OSError(errno.ENOTTY, "not a typewriter")
        if number == QUERYCAP:
            data[:] = self.capabilities[name]
        elif number == ENUM_FMT:
            index, kind = struct.unpack_from("=II", data)
            code = self._item(self.formats[kind], index)
            struct.pack_into("=I32sI", data, 8, 0, b"a description", code)
        elif number == ENUM_FRAMESIZES:
            index, code = struct.unpack_from("=II", data)
            data[8:] = self._item(self.sizes[code], index)
        elif number == ENUM_FRAMEINTERVALS:
            index, code, width, height = struct.unpack_from("=IIII", data)
            data[16:] = self._item(self.intervals.get((code, height, width), []), index)
        elif number == REQBUFS:
            assert struct.unpack_from("=III", data) in [(0, 1, 1), (0, 9, 1)]
            if name in self.busy:
                raise OSError(errno.EBUSY, "busy")
        return 0

    @staticmethod
    def _item(items: list, index: int):
        if index >= len(items):
            raise OSError(errno.EINVAL, "the list has ended")
        return items[index]


def size(width: int, height: int) -> bytes:
    return struct.pack("=III16x8x", DISCRETE, width, height)


def size_range(kind: int, *numbers: int) -> bytes:
    return struct.pack("=I6I8x", kind, *numbers)


def interval(numerator: int, denominator: int) -> bytes:
    return struct.pack("=III16x8x", DISCRETE, numerator, denominator)


def interval_range(*numbers: int) -> bytes:
    return struct.pack("=I6I8x", CONTINUOUS, *numbers)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (0, 1, 2, 10):
        (tmp_path / f"video{number}").touch()
    (tmp_path / "video").touch()
    (tmp_path / "videodisc").touch()
    return tmp_path


def add_webcam(kernel: Kernel, name: str = "video0", card: str = "HD Webcam") -> None:
    kernel.add(name, card, CAPTURE | STREAMING, whole=CAPTURE | META | STREAMING)
    kernel.formats[1] = [MJPG, YUYV]
    kernel.sizes = {MJPG: [size(1280, 720), size(640, 480)], YUYV: [size(640, 480)]}
    kernel.intervals = {
        (MJPG, 720, 1280): [interval(1, 30), interval(1001, 30000), interval(1, 15)],
        (MJPG, 480, 640): [interval(1, 60)],
        (YUYV, 480, 640): [interval(1, 30), interval(2, 15)],
    }


def test_the_numbers_of_the_calls_are_the_kernels() -> None:
    assert v4l2.QUERYCAP == QUERYCAP
    assert v4l2.ENUM_FMT == ENUM_FMT
    assert v4l2.REQBUFS == REQBUFS
    assert v4l2.ENUM_FRAMESIZES == ENUM_FRAMESIZES
    assert v4l2.ENUM_FRAMEINTERVALS == ENUM_FRAMEINTERVALS


def test_a_webcam_with_its_formats_sizes_and_rates(kernel: Kernel, folder: Path) -> None:
    add_webcam(kernel)
    [camera] = devices.cameras(folder=folder, ioctl=kernel)
    assert camera == Camera(
        index=0,
        path=str(folder / "video0"),
        name="HD Webcam",
        driver="uvcvideo",
        bus="usb-0000:00:14.0-1",
        modes=(
            Mode("MJPG", 720, 1280, (15.0, 29.97, 30.0)),
            Mode("MJPG", 480, 640, (60.0,)),
            Mode("YUYV", 480, 640, (7.5, 30.0)),
        ),
    )


def test_only_nodes_that_give_pictures_are_cameras(kernel: Kernel, folder: Path) -> None:
    kernel.add("video0", "HD Webcam", META, whole=CAPTURE | META)
    kernel.add("video1", "A codec", CAPTURE | M2M)
    kernel.add("video2", "Pi camera", MPLANE | STREAMING, driver="unicam")
    kernel.formats[9] = [GREY_BE]
    kernel.sizes = {GREY_BE: [size(64, 48)]}
    [camera] = devices.cameras(folder=folder, ioctl=kernel)
    assert (camera.index, camera.name) == (2, "Pi camera")
    assert camera.modes == (Mode("GREY-BE", 48, 64, ()),)


def test_cameras_come_in_the_order_of_their_numbers(kernel: Kernel, folder: Path) -> None:
    for number in (10, 2, 0):
        kernel.add(f"video{number}", f"camera {number}", CAPTURE)
    assert [camera.index for camera in devices.cameras(folder=folder, ioctl=kernel)] == [0, 2, 10]


def test_ranges_of_sizes_and_rates(kernel: Kernel, folder: Path) -> None:
    kernel.add("video0", "Sensor", CAPTURE)
    kernel.formats[1] = [YUYV]
    kernel.sizes = {YUYV: [size_range(STEPWISE, 32, 1920, 32, 16, 1080, 8)]}
    kernel.intervals = {(YUYV, 480, 640): [interval_range(1, 40, 1, 10, 1, 1000)]}
    [camera] = devices.cameras(folder=folder, ioctl=kernel)
    sizes = [(mode.height, mode.width) for mode in camera.modes]
    assert sizes == [(240, 320), (480, 640), (600, 800), (720, 1280), (1080, 1920)]
    assert camera.modes[1].rates == (10.0, 15.0, 24.0, 25.0, 30.0, 40.0)


def test_sizes_off_the_steps_are_left_out(kernel: Kernel, folder: Path) -> None:
    kernel.add("video0", "Sensor", CAPTURE)
    kernel.formats[1] = [YUYV]
    kernel.sizes = {YUYV: [size_range(STEPWISE, 320, 1280, 320, 240, 1000, 240)]}
    [camera] = devices.cameras(folder=folder, ioctl=kernel)
    sizes = [(mode.height, mode.width) for mode in camera.modes]
    assert sizes == [(240, 320), (480, 640), (720, 1280), (1000, 1280)]


def test_a_driver_whose_list_never_ends_is_left_alone(kernel: Kernel, folder: Path) -> None:
    add_webcam(kernel)

    def endless(device: int, number: int, data: bytearray) -> int:
        if number == ENUM_FRAMEINTERVALS:
            data[16:] = interval(1, 30)
            return 0
        return kernel(device, number, data)

    [camera] = devices.cameras(folder=folder, ioctl=endless)
    assert camera.modes[0].rates == (30.0,)


def test_virtual_cameras(kernel: Kernel, folder: Path) -> None:
    kernel.add("video0", "HD Webcam", CAPTURE)
    kernel.add("video1", "humanseg", OUTPUT, driver="v4l2 loopback")
    kernel.add("video2", "fed", CAPTURE, driver="v4l2 loopback")
    kernel.add("video10", "both", CAPTURE | OUTPUT, driver="v4l2 loopback")
    found = devices.virtual_cameras(folder=folder, ioctl=kernel)
    assert found == [
        VirtualCamera(str(folder / "video1"), "humanseg", "v4l2 loopback"),
        VirtualCamera(str(folder / "video2"), "fed", "v4l2 loopback", is_fed=True),
        VirtualCamera(str(folder / "video10"), "both", "v4l2 loopback"),
    ]
    listed = devices.cameras(folder=folder, ioctl=kernel)
    assert [(camera.index, camera.is_virtual) for camera in listed] == [
        (0, False),
        (2, True),
        (10, True),
    ]


@pytest.mark.parametrize(("busy", "answer"), [(set(), False), ({"video0"}, True)])
def test_busy(kernel: Kernel, folder: Path, busy: set[str], answer: bool) -> None:
    kernel.add("video0", "HD Webcam", CAPTURE)
    kernel.busy = busy
    with devices.opened(folder / "video0") as device:
        assert v4l2.is_busy(device, v4l2.capability(device, kernel), kernel) is answer


def test_a_camera_that_may_not_be_opened_keeps_its_name(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, folder: Path
) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError(errno.EACCES, "no")

    (folder / "names" / "video0").mkdir(parents=True)
    (folder / "names" / "video0" / "name").write_text("HD Webcam\n")
    for number in (1, 2, 10):
        (folder / f"video{number}").unlink()
    monkeypatch.setattr("os.open", refuse)
    [camera] = devices.cameras(folder=folder, names=folder / "names", ioctl=kernel)
    assert (camera.name, camera.problem) == ("HD Webcam", "may not be opened")


def test_a_virtual_camera_that_may_not_be_opened_is_listed(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, folder: Path
) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError(errno.EACCES, "no")

    names = folder / "names"
    for number, bus, name in ((0, "pci0000:00", "HD Webcam"), (10, "virtual", "humanseg")):
        node = folder / "devices" / bus / f"video{number}"
        node.mkdir(parents=True)
        (node / "name").write_text(f"{name}\n")
        names.mkdir(exist_ok=True)
        (names / f"video{number}").symlink_to(node)
    for number in (1, 2):
        (folder / f"video{number}").unlink()
    monkeypatch.setattr("os.open", refuse)
    assert devices.virtual_cameras(folder=folder, names=names, ioctl=kernel) == [
        VirtualCamera(str(folder / "video10"), "humanseg", "", problem="may not be opened")
    ]
    listed = devices.cameras(folder=folder, names=names, ioctl=kernel)
    assert [camera.is_virtual for camera in listed] == [False, True]


TWO = [Camera(0, "/dev/video0", "HD Webcam"), Camera(2, "/dev/video2", "HD Webcam Pro")]


@pytest.mark.parametrize(
    ("name", "index"), [("HD Webcam", 0), ("hd webcam", 0), ("pro", 2), ("hd webcam pro", 2)]
)
def test_find_camera(name: str, index: int) -> None:
    assert devices.find_camera(name, TWO).index == index


@pytest.mark.parametrize(
    ("name", "among", "words"),
    [
        ("webcam", TWO, "several"),
        ("logitech", TWO, "/dev/video0 (HD Webcam), /dev/video2 (HD Webcam Pro)"),
        ("logitech", [], "no camera was found"),
        ("logitech", [Camera(0)], "give its index"),
    ],
)
def test_no_such_camera(name: str, among: list[Camera], words: str) -> None:
    with pytest.raises(SourceError) as caught:
        devices.find_camera(name, among)
    assert words in str(caught.value)
    assert name in str(caught.value)


class Probed:
    """Stands in for cv2.VideoCapture where there is no list of cameras."""

    closed = 0

    def __init__(self, index: int) -> None:
        self.index = index

    def isOpened(self) -> bool:
        return self.index in (0, 2)

    def get(self, wanted: int) -> float:
        return {3: 1280.0, 4: 720.0, 5: 0.0}[wanted]

    def release(self) -> None:
        Probed.closed += 1


def test_probing() -> None:
    found = devices.probe_cameras(Probed, limit=4)
    assert found == [Camera(index, modes=(Mode("", 720, 1280),)) for index in (0, 2)]
    assert Probed.closed == 4


def test_programs_that_use_a_device(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    for number, name, target in (
        (11, "zoom", device),
        (12, "editor", tmp_path / "text"),
        (os.getpid(), "python", device),
    ):
        process = tmp_path / "proc" / str(number)
        (process / "fd").mkdir(parents=True)
        (process / "comm").write_text(f"{name}\n")
        (process / "fd" / "7").symlink_to(target)
    (tmp_path / "proc" / "13").mkdir()
    assert device_access.programs_using(device, processes=tmp_path / "proc") == ("zoom",)


def test_capability_prefers_what_the_node_can_do() -> None:
    able = Capability("d", "c", "b", META)
    assert not able.gives_pictures
    assert not able.takes_pictures


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = (
        Mode("MJPG", 720, 1280, (15.0, 30.0)),
        Mode("MJPG", 480, 640, (29.97,)),
        Mode("YUYV", 480, 640),
    )
    listed = [Camera(0, "/dev/video0", "HD [Webcam]", "uvcvideo", "usb-1", modes)]
    virtual = [VirtualCamera("/dev/video10", "humanseg", "v4l2 loopback")]
    monkeypatch.setattr(devices, "cameras", lambda: listed)
    monkeypatch.setattr(devices, "virtual_cameras", lambda: virtual)


@pytest.mark.usefixtures("found")
def test_command() -> None:
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["devices"])
    assert result.exit_code == 0
    assert "HD [Webcam]" in result.stdout
    assert "/dev/video0" in result.stdout
    assert "1280x720 at 15, 30" in result.stdout
    assert "640x480 at 29.97" in result.stdout
    assert "/dev/video10" in result.stdout


@pytest.mark.usefixtures("found")
def test_command_as_json() -> None:
    told = json.loads(CliRunner().invoke(app, ["devices", "--json"]).stdout)
    assert told["cameras"][0]["path"] == "/dev/video0"
    assert told["cameras"][0]["modes"][0] == {
        "pixel_format": "MJPG",
        "height": 720,
        "width": 1280,
        "rates": [15.0, 30.0],
    }
    assert told["virtual_cameras"] == [
        {
            "path": "/dev/video10",
            "name": "humanseg",
            "driver": "v4l2 loopback",
            "is_fed": False,
            "problem": None,
        }
    ]
    assert told["next_steps"] == []


def test_command_with_devices_that_may_not_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = "may not be opened"
    virtual = [VirtualCamera("/dev/video10", "humanseg", "", problem=problem)]
    monkeypatch.setattr(devices, "cameras", lambda: [Camera(0, "/dev/video0", problem=problem)])
    monkeypatch.setattr(devices, "virtual_cameras", lambda: virtual)
    shown = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["devices"]).stdout
    assert shown.count(problem) == 2
    assert shown.count("sudo usermod -aG video $USER") == 1


def test_command_without_devices_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cameras", lambda: [])
    monkeypatch.setattr(devices, "virtual_cameras", lambda: [])
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["devices"])
    assert result.exit_code == 0
    assert "no cameras" in result.stdout
    assert 'sudo modprobe v4l2loopback exclusive_caps=1 card_label="humanseg"' in result.stdout
    told = json.loads(CliRunner().invoke(app, ["devices", "--json"]).stdout)
    assert len(told["next_steps"]) == 2
