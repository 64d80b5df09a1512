"""Cameras and virtual cameras of this machine.

On Linux the kernel tells all: names, formats, sizes and rates, without waking a camera. Elsewhere
cameras are tried one by one through OpenCV, which switches each on for a moment and tells neither
names nor what else a camera could do; virtual cameras cannot be listed there.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanseg import v4l2
from humanseg.errors import SourceError
from humanseg.v4l2 import Capability, Ioctl, Mode

DEVICES = Path("/dev")
NAMES = Path("/sys/class/video4linux")
LOOPBACK_DRIVER = "v4l2 loopback"
PROBED = 8
"""Cameras that are tried where the system has no list of them."""

MODULE = Path("/sys/module/v4l2loopback")
"""Exists while v4l2loopback is loaded."""

_FORBIDDEN = "may not be opened"
_MODPROBE = 'sudo modprobe v4l2loopback exclusive_caps=1 card_label="humanseg" video_nr={number}'
# A module that is loaded already takes no notice of options.
_LOADED_HINT = f"make one: sudo modprobe -r v4l2loopback && {_MODPROBE}"
_VIRTUAL_CAMERA_HINTS = {
    "linux": (
        f"install v4l2loopback (package v4l2loopback-dkms) and make a virtual camera: {_MODPROBE}"
    ),
    "darwin": (
        "install OBS 30 or later, press Start Virtual Camera in it once, allow its extension in "
        "System Settings, and stop it again"
    ),
    "win32": (
        "install OBS, press Start Virtual Camera in it once and stop it again; or install Unity "
        "Capture"
    ),
}


@dataclass(frozen=True, slots=True)
class Camera:
    """A device that gives pictures.

    Attributes:
        index: its number, as `--camera` takes it.
        path: "/dev/video0"; None where cameras have none.
        name: for people; None where the system does not tell.
        driver: "uvcvideo" and the like; None where unknown.
        bus: where it is plugged in; None where unknown.
        modes: formats, sizes and rates; elsewhere than on Linux only the one it starts with.
        is_virtual: it is fed by a program (v4l2loopback).
        problem: why nothing more is known of it, or None.
    """

    index: int
    path: str | None = None
    name: str | None = None
    driver: str | None = None
    bus: str | None = None
    modes: tuple[Mode, ...] = ()
    is_virtual: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class VirtualCamera:
    """A device that other programs see as a camera and that a program may feed.

    Attributes:
        path: "/dev/video10".
        name: that other programs show.
        driver: "v4l2 loopback".
        is_fed: it shows itself as a camera only, so a program feeds it now (with
            `exclusive_caps=1`; without, this is always False).
        problem: why nothing more is known of it, or None.
    """

    path: str
    name: str
    driver: str
    is_fed: bool = False
    problem: str | None = None


def cameras(
    *, folder: Path = DEVICES, names: Path = NAMES, ioctl: Ioctl = v4l2.system_ioctl
) -> list[Camera]:
    """All cameras, also virtual ones that are fed; empty when there is none.

    Args:
        folder: of the devices, on Linux.
        names: where the kernel keeps their names, on Linux.
        ioctl: the system's call, on Linux.
    """
    if sys.platform != "linux":
        return probe_cameras()
    found = []
    for index, path in _nodes(folder):
        try:
            with opened(path) as device:
                able = v4l2.capability(device, ioctl)
                if able.gives_pictures:
                    found.append(_camera(index, path, able, v4l2.modes(device, able, ioctl)))
        except PermissionError:
            # The name can still be read, and with it the user knows what to repair.
            name = _kernel_name(names, path)
            is_virtual = _belongs_to_no_hardware(names, path)
            found.append(Camera(index, str(path), name, is_virtual=is_virtual, problem=_FORBIDDEN))
        except OSError:  # unplugged while we looked, or no V4L2 device
            continue
    return found


def virtual_cameras(
    *, folder: Path = DEVICES, names: Path = NAMES, ioctl: Ioctl = v4l2.system_ioctl
) -> list[VirtualCamera]:
    """All devices of v4l2loopback; empty elsewhere than on Linux, where they cannot be listed.

    Args:
        folder: of the devices.
        names: where the kernel keeps their names.
        ioctl: the system's call.
    """
    if sys.platform != "linux":
        return []
    found = []
    for _, path in _nodes(folder):
        try:
            with opened(path) as device:
                able = v4l2.capability(device, ioctl)
        except PermissionError:
            if _belongs_to_no_hardware(names, path):
                name = _kernel_name(names, path) or ""
                found.append(VirtualCamera(str(path), name, "", problem=_FORBIDDEN))
        except OSError:  # removed while we looked, or no V4L2 device
            continue
        else:
            if able.driver == LOOPBACK_DRIVER:
                is_fed = not able.takes_pictures
                found.append(VirtualCamera(str(path), able.card, able.driver, is_fed))
    return found


def find_camera(name: str, among: Sequence[Camera]) -> Camera:
    """The camera of a name, or of a part of it that fits no other camera; case does not matter.

    Raises:
        SourceError: no camera has that name, or several have that part in theirs.
    """
    named = [camera for camera in among if camera.name]
    wanted = name.casefold()
    exact = [camera for camera in named if (camera.name or "").casefold() == wanted]
    if exact:
        # One camera may have several nodes, or a twin; the first is what its maker meant.
        return exact[0]
    partly = [camera for camera in named if wanted in (camera.name or "").casefold()]
    if len({camera.name for camera in partly}) == 1:
        return partly[0]
    if partly:
        raise SourceError(
            "is a part of several cameras' names", subject=name, hint=f"name one of {_list(partly)}"
        )
    if among and not named:
        raise SourceError(
            "names no camera", subject=name, hint="this system tells no names; give its index"
        )
    raise SourceError("is no camera", subject=name, hint=found_text(among))


def found_text(among: Sequence[Camera]) -> str:
    """The cameras that exist, for a hint."""
    if not among:
        return "no camera was found; plug one in, or give a video file or an address as camera"
    return f"found {_list(among)}; see `humanseg devices`"


def virtual_camera_hint(number: int = 10, *, module: Path = MODULE) -> str:
    """How to get a virtual camera on this system; on Linux as /dev/video<number>.

    Args:
        number: of the device, on Linux.
        module: exists while v4l2loopback is loaded.
    """
    if sys.platform == "linux" and module.exists():
        return _LOADED_HINT.format(number=number)
    hint = _VIRTUAL_CAMERA_HINTS.get(sys.platform, _VIRTUAL_CAMERA_HINTS["linux"])
    return hint.format(number=number)


def probe_cameras(
    open_capture: Callable[[int], Any] | None = None, *, limit: int = PROBED
) -> list[Camera]:
    """Cameras found by opening one index after the other, each for a moment.

    Args:
        open_capture: gives what reads like a `cv2.VideoCapture`; None for the system's cameras.
        limit: highest index, exclusive.
    """
    import cv2

    from humanseg.media.opencv_log import quiet_opencv

    found = []
    with quiet_opencv():
        for index in range(limit):
            capture = cv2.VideoCapture(index) if open_capture is None else open_capture(index)
            try:
                if capture.isOpened():
                    width, height, rate = (
                        float(capture.get(wanted))
                        for wanted in (
                            cv2.CAP_PROP_FRAME_WIDTH,
                            cv2.CAP_PROP_FRAME_HEIGHT,
                            cv2.CAP_PROP_FPS,
                        )
                    )
                    rates = (rate,) if rate > 0 else ()
                    mode = Mode("", int(height), int(width), rates)
                    found.append(Camera(index, modes=(mode,)))
            finally:
                capture.release()
    return found


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[int]:
    """The descriptor of a device that is open for a moment; that starts no camera.

    Raises:
        OSError: it is missing, or may not be opened.
    """
    device = os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        yield device
    finally:
        os.close(device)


def _nodes(folder: Path) -> list[tuple[int, Path]]:
    """Number and path of each video device, by number."""
    matches = ((re.fullmatch(r"video(\d+)", path.name), path) for path in folder.glob("video*"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def _camera(index: int, path: Path, able: Capability, modes: tuple[Mode, ...]) -> Camera:
    return Camera(
        index=index,
        path=str(path),
        name=able.card,
        driver=able.driver,
        bus=able.bus,
        modes=modes,
        is_virtual=able.driver == LOOPBACK_DRIVER,
    )


def _belongs_to_no_hardware(names: Path, path: Path) -> bool:
    """Whether the kernel keeps a device among those that only programs stand behind."""
    return "/devices/virtual/" in os.path.realpath(names / path.name)


def _kernel_name(names: Path, path: Path) -> str | None:
    try:
        return (names / path.name / "name").read_text(errors="replace").strip() or None
    except OSError:
        return None


def _list(among: Sequence[Camera]) -> str:
    return ", ".join(
        f"{camera.path or camera.index}" + (f" ({camera.name})" if camera.name else "")
        for camera in among
    )
