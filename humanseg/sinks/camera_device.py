"""One opened virtual camera, through pyvirtualcam: v4l2loopback, OBS, Unity Capture."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from humanseg import v4l2
from humanseg.closing import Closing
from humanseg.errors import HumansegError, MissingExtraError, SettingsError, SinkError
from humanseg.sinks import loopback
from humanseg.sinks.camera_faults import is_missing, refusal
from humanseg.sinks.camera_pixels import PIXEL_FORMATS
from humanseg.sinks.loopback import LoopbackWriter
from humanseg.v4l2 import Ioctl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOOPBACK = "v4l2loopback"
"""pyvirtualcam's name of its back-end on Linux."""


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
    """A virtual camera that takes frames, and says so when it does not."""

    def __init__(
        self,
        camera: Any,
        request: CameraRequest,
        pixel_format: str,
        writer: LoopbackWriter | None = None,
    ) -> None:
        """Take over an opened camera.

        Args:
            camera: a `pyvirtualcam.Camera`.
            request: that it was opened for.
            pixel_format: that it was opened with.
            writer: writes to it in the camera's place, where that tells of more errors.
        """
        self.name = str(camera.device)
        self.backend = str(camera.backend)
        self.pixel_format = pixel_format
        self._camera = camera
        self._request = request
        self._writer = writer

    def send(self, picture: NDArray[np.uint8]) -> None:
        """Send a picture, encoded in `pixel_format`.

        Raises:
            SinkError: the device is gone or refuses.
        """
        try:
            if self._writer is None:
                self._camera.send(picture)
            else:
                self._writer.write(picture)
        except Exception as error:  # back-ends raise what they like
            reason = getattr(error, "strerror", None) or str(error)
            raise SinkError(
                f"takes no frames any more: {reason}",
                subject=self.name,
                hint="it is opened again as soon as it is back",
            ) from error

    def close(self) -> None:
        """Give the device back; may be called twice."""
        if self._writer is not None:
            self._writer.close()
        with contextlib.suppress(Exception):  # it may be gone already
            self._camera.close()

    def describe(self) -> str:
        """For people: "/dev/video10 1280x720 30 fps i420 (v4l2loopback)"."""
        asked = self._request
        return (
            f"{self.name} {asked.width}x{asked.height} {asked.rate:g} fps "
            f"{self.pixel_format} ({self.backend})"
        )


def open_camera(request: CameraRequest, *, ioctl: Ioctl = v4l2.system_ioctl) -> CameraDevice:
    """Open a virtual camera: the first of those asked for that can be fed.

    Args:
        request: what to open.
        ioctl: the system's call on Linux, or a test's.

    Raises:
        MissingExtraError: pyvirtualcam is not installed.
        SettingsError: unknown back-end or pixel format, or one the back-end does not take.
        SinkError: there is none, it is in use, or it may not be opened.
    """
    pyvirtualcam = _import_pyvirtualcam()
    _check_format(request)
    errors: list[HumansegError] = []
    for backend in _backends(request.backend):
        try:
            devices = _devices(request.device, backend)
        except SinkError as error:
            errors.append(error)
            continue
        for device in devices:
            try:
                return _open(pyvirtualcam, request, backend, device, ioctl)
            except (SettingsError, SinkError) as error:
                errors.append(error)
            except (RuntimeError, ValueError, OSError) as error:
                errors.append(refusal(backend, str(error), device))
    # Of several back-ends, those that are not there tell less than one that refuses.
    raise next((error for error in errors if not is_missing(error)), errors[0])


def _open(
    pyvirtualcam: Any, request: CameraRequest, backend: str, device: str | None, ioctl: Ioctl
) -> CameraDevice:
    pixel_format = _format_for(backend, request.pixel_format)
    path = device if backend == LOOPBACK else None
    before: set[int] = set()
    if path is not None:
        loopback.check_device(path, ioctl=ioctl)
        before = loopback.writing_descriptors(path)
    camera = pyvirtualcam.Camera(
        request.width,
        request.height,
        request.rate,
        fmt=pyvirtualcam.PixelFormat[pixel_format.upper()],
        device=device,
        backend=backend,
    )
    try:
        writer = None
        if path is not None and (opened := loopback.writing_descriptors(path) - before):
            size = (request.height, request.width)
            writer = LoopbackWriter(
                opened.pop(), path, size=size, pixel_format=pixel_format, ioctl=ioctl
            )
        return CameraDevice(camera, request, pixel_format, writer)
    except BaseException:
        camera.close()
        raise


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
        SinkError: no virtual camera has that label, all of them are fed, or there is none.
    """
    return loopback.choose_devices(wanted) if backend == LOOPBACK else [wanted]
