"""One opened virtual camera, through pyvirtualcam: v4l2loopback, OBS, Unity Capture."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from humanseg.closing import Closing
from humanseg.devices import virtual_cameras
from humanseg.errors import HumansegError, MissingExtraError, SettingsError, SinkError
from humanseg.sinks.camera_faults import in_use, is_missing, no_device, refusal
from humanseg.sinks.camera_pixels import PIXEL_FORMATS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOOPBACK = "v4l2loopback"
"""pyvirtualcam's name of its back-end on Linux."""

OUR_LABEL = "humanseg"
"""Name of the virtual camera that is taken before others."""


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """What to open.

    Attributes:
        height: even.
        width: even.
        rate: frames a second, told to the back-end.
        device: "/dev/video10", its number or its label on Linux, a camera's name elsewhere; None
            for the first that is free, on Linux the one labelled "humanseg" before others.
        backend: pyvirtualcam's name of it; None for the first that works.
        pixel_format: one of PIXEL_FORMATS, or "auto" for what the back-end converts least.
    """

    height: int
    width: int
    rate: float
    device: str | None = None
    backend: str | None = None
    pixel_format: str = "auto"


class CameraDevice(Closing):
    """A virtual camera that takes frames, and says so when it does not.

    On Linux pyvirtualcam only prints what the kernel says to a frame. The frames therefore go
    through a duplicate of its file descriptor, which costs nothing and gives every error at the
    very frame it happens to; watching the device's node or its poll state would cost a call for
    each frame and see fewer faults, and reading the process's stderr would take it from everyone
    else. The same descriptor holds a lock, so that two programs of ours never share a camera.
    """

    def __init__(self, camera: Any, request: CameraRequest, pixel_format: str) -> None:
        """Take over an opened `pyvirtualcam.Camera`.

        Raises:
            SinkError: another program of ours feeds the same device.
        """
        self._camera = camera
        self.name = str(camera.device)
        self.backend = str(camera.backend)
        self.pixel_format = pixel_format
        self._request = request
        self._descriptor: int | None = None

    def watch(self, descriptor: int | None) -> None:
        """Send through a duplicate of the back-end's own file descriptor from now on.

        Raises:
            SinkError: another program of ours has locked the device.
        """
        if descriptor is None:
            return
        import fcntl  # not on Windows

        self._descriptor = os.dup(descriptor)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise in_use(self.name) from error
        except OSError:
            pass  # a device that cannot be locked can be fed all the same

    def send(self, picture: NDArray[np.uint8]) -> None:
        """Send a picture, encoded in `pixel_format`.

        Raises:
            SinkError: the device is gone or refuses.
        """
        try:
            if self._descriptor is None:
                self._camera.send(picture)
                return
            written = os.write(self._descriptor, picture.data)
        except Exception as error:  # back-ends raise what they like
            raise self._refused(getattr(error, "strerror", None) or str(error)) from error
        if written != picture.nbytes:
            raise self._refused(f"it took {written} of {picture.nbytes} bytes")

    def _refused(self, reason: str) -> SinkError:
        return SinkError(
            f"takes no frames any more: {reason}",
            subject=self.name,
            hint="it is opened again as soon as it is back",
        )

    def close(self) -> None:
        """Give the device back; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        with contextlib.suppress(Exception):  # it may be gone already
            self._camera.close()

    def describe(self) -> str:
        """For people: "/dev/video10 1280x720 30 fps i420 (v4l2loopback)"."""
        asked = self._request
        return (
            f"{self.name} {asked.width}x{asked.height} {asked.rate:g} fps "
            f"{self.pixel_format} ({self.backend})"
        )


def open_camera(request: CameraRequest) -> CameraDevice:
    """Open a virtual camera: the first of those asked for that can be fed.

    Raises:
        MissingExtraError: pyvirtualcam is not installed.
        SettingsError: unknown back-end or pixel format, or one the back-end does not take.
        SinkError: there is none, it is in use, or it may not be opened.
    """
    pyvirtualcam = _import_pyvirtualcam()
    _check_format(request)
    errors: list[HumansegError] = []
    for backend in _backends(request.backend):
        for device in _devices(request.device, backend):
            try:
                return _open(pyvirtualcam, request, backend, device)
            except SinkError as error:
                errors.append(error)
            except (RuntimeError, ValueError, OSError) as error:
                errors.append(refusal(backend, str(error), device))
    # Of several back-ends, those that are not there tell less than one that refuses.
    raise next((error for error in errors if not is_missing(error)), errors[0])


def _open(
    pyvirtualcam: Any, request: CameraRequest, backend: str, device: str | None
) -> CameraDevice:
    pixel_format = _format_for(backend, request.pixel_format)
    before = set(_descriptors())
    camera = pyvirtualcam.Camera(
        request.width,
        request.height,
        request.rate,
        fmt=pyvirtualcam.PixelFormat[pixel_format.upper()],
        device=device,
        backend=backend,
    )
    opened = CameraDevice(camera, request, pixel_format)
    try:
        if backend == LOOPBACK:
            opened.watch(_descriptor_of(opened.name, before))
    except BaseException:
        opened.close()
        raise
    return opened


def _import_pyvirtualcam() -> Any:
    try:
        import pyvirtualcam
    except ImportError as error:
        raise MissingExtraError(
            "pyvirtualcam, which feeds virtual cameras, is not installed",
            hint='pip install "humanseg[live]"',
        ) from error
    return pyvirtualcam


def _backends(wanted: str | None) -> list[str]:
    from pyvirtualcam.camera import BACKENDS

    if wanted is None:
        return [name for name in BACKENDS if name in NATIVE_FORMATS] or list(BACKENDS)
    if wanted not in BACKENDS:
        raise SettingsError(
            f"there is no virtual camera back-end '{wanted}' on this system",
            hint=f"one of {', '.join(BACKENDS)}",
        )
    return [wanted]


NATIVE_FORMATS = {
    LOOPBACK: "i420",
    "obs": "uyvy" if sys.platform == "darwin" else "i420",
    "unitycapture": "rgba",
}
"""What each back-end stores, or converts most cheaply; others are given bgr."""


def _check_format(request: CameraRequest) -> None:
    if request.pixel_format not in ("auto", *PIXEL_FORMATS):
        raise SettingsError(
            f"there is no pixel format '{request.pixel_format}'",
            hint=f"one of auto, {', '.join(PIXEL_FORMATS)}",
        )


def _format_for(backend: str, wanted: str) -> str:
    if wanted == "auto":
        return NATIVE_FORMATS.get(backend, "bgr")
    # pyvirtualcam stores these as I420 there; so do we, once for each frame and not for repeats.
    return "i420" if backend == LOOPBACK and wanted in ("bgr", "rgb") else wanted


def _devices(wanted: str | None, backend: str) -> Sequence[str | None]:
    """The devices to ask the back-end for, the best first.

    Raises:
        SinkError: no virtual camera has that label, or all of them are fed.
    """
    if backend != LOOPBACK or (wanted is not None and os.sep in wanted):
        return [wanted]
    if wanted is not None and wanted.isdigit():
        return [f"/dev/video{wanted}"]
    cameras = virtual_cameras()
    if wanted is not None:
        named = [camera.path for camera in cameras if camera.name == wanted]
        if not named:
            raise no_device(wanted, among=cameras)
        return named
    free = sorted(
        (camera for camera in cameras if not camera.is_fed),
        key=lambda camera: camera.name != OUR_LABEL,
    )
    if cameras and not free:
        raise in_use(cameras[0].path)
    return [camera.path for camera in free] or [None]


def _descriptors() -> Iterator[int]:
    """Descriptors of this process; none where the system does not list them."""
    with contextlib.suppress(OSError):
        yield from map(int, os.listdir("/proc/self/fd"))  # noqa: PTH208


def _descriptor_of(path: str, before: set[int]) -> int | None:
    """The descriptor opened since for writing to a device."""
    import fcntl  # not on Windows

    for descriptor in _descriptors():
        if descriptor in before:
            continue
        with contextlib.suppress(OSError):
            mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
            is_device = os.path.samestat(os.fstat(descriptor), Path(path).stat())
            if mode == os.O_WRONLY and is_device:
                return descriptor
    return None
