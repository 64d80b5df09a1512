"""Linux's virtual cameras: what v4l2loopback refuses, and a way to write that tells of errors.

pyvirtualcam only prints what the kernel says to a frame, tells refusals in words alone, does not
look at the format that it was given, and up to 0.14 leaves a descriptor open for each device that
it tries in vain.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from humanseg import devices, v4l2
from humanseg.closing import Closing
from humanseg.errors import SinkError
from humanseg.sinks.camera_faults import (
    forbidden,
    holds_other_format,
    in_use,
    no_device,
    no_virtual_camera,
)
from humanseg.v4l2 import Ioctl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OUR_LABEL = "humanseg"
"""Name of the virtual camera that is taken before others."""

FORMATS = {"i420": "YU12", "nv12": "NV12", "yuyv": "YUYV", "uyvy": "UYVY", "gray": "GREY"}
"""The kernel's four letters of the pixel formats that v4l2loopback is given."""


def choose_devices(wanted: str | None) -> list[str]:
    """Paths of the devices to try, the best first.

    Args:
        wanted: path, number or label; None for any that no program feeds.

    Raises:
        SinkError: there is none, none has that label, or all of them are fed.
    """
    if wanted is not None and os.sep in wanted:
        return [wanted]
    if wanted is not None and wanted.isdecimal():
        return [f"/dev/video{wanted}"]
    cameras = devices.virtual_cameras()
    if wanted is not None:
        named = [camera.path for camera in cameras if camera.name == wanted]
        if not named:
            raise no_device(wanted, among=cameras)
        return named
    if not cameras:
        raise no_device(None)
    free = [camera for camera in cameras if not camera.is_fed]
    if not free:
        raise in_use(cameras[0].path)
    free.sort(key=lambda camera: (camera.problem is not None, camera.name != OUR_LABEL))
    return [camera.path for camera in free]


def check_device(path: str, *, ioctl: Ioctl = v4l2.system_ioctl) -> None:
    """Refuse a device that cannot be fed.

    Raises:
        SinkError: missing, not permitted, no virtual camera, or another program feeds it.
    """
    try:
        with devices.opened(path) as device:
            able = v4l2.capability(device, ioctl)
    except OSError as error:
        raise _refused(error, path) from error
    if able.driver != devices.LOOPBACK_DRIVER:
        raise no_virtual_camera(path)
    if not able.takes_pictures:
        # With exclusive_caps=1 a device that somebody feeds shows itself as a camera only.
        raise in_use(path)


def _refused(error: OSError, path: str) -> SinkError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return forbidden(path)
    if error.errno == errno.EBUSY:
        return in_use(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO):
        return no_device(path, among=devices.virtual_cameras())
    return no_virtual_camera(path)


class LoopbackWriter(Closing):
    """Writes to a device that pyvirtualcam has opened, and tells what the kernel says to it.

    The frames go through a duplicate of pyvirtualcam's descriptor, which costs nothing and gives
    every error at the very frame it happens to; watching the device's node or its poll state
    would cost a call for each frame and see fewer faults, and reading the process's stderr would
    take it from everyone else. The same descriptor holds a lock, so that two programs of ours
    never share a camera.
    """

    def __init__(
        self,
        descriptor: int,
        path: str,
        *,
        size: tuple[int, int],
        pixel_format: str,
        ioctl: Ioctl = v4l2.system_ioctl,
    ) -> None:
        """Take part in an open descriptor, which stays its owner's to close.

        Args:
            descriptor: pyvirtualcam's, see `writing_descriptors`.
            path: of the device.
            size: (height, width) that was asked for.
            pixel_format: that was asked for, one of FORMATS.
            ioctl: the system's call, or a test's.

        Raises:
            SinkError: another program of ours has locked the device, or it keeps another format
                since a program still looks at it.
        """
        self._path = path
        self._descriptor: int | None = os.dup(descriptor)
        try:
            self._lock()
            self._check_format(size, pixel_format, ioctl)
        except BaseException:
            self.close()
            raise

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Write one encoded picture, whole.

        Raises:
            OSError: the device is gone or refuses.
        """
        if self._descriptor is None:
            raise OSError(errno.EBADF, "closed")
        written = os.write(self._descriptor, picture.data)
        if written != picture.nbytes:
            raise OSError(errno.EIO, f"it took {written} of {picture.nbytes} bytes")

    def close(self) -> None:
        """Give the lock and the duplicate back; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self) -> None:
        import fcntl  # not on Windows

        assert self._descriptor is not None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise in_use(self._path) from error
        except OSError:
            pass  # a device that cannot be locked can be fed all the same

    def _check_format(self, size: tuple[int, int], pixel_format: str, ioctl: Ioctl) -> None:
        """Refuse a device that agreed to a format but keeps its old one.

        v4l2loopback does so for as long as a program has it open for reading; pictures of another
        size would be torn.
        """
        assert self._descriptor is not None
        try:
            held = v4l2.output_format(self._descriptor, ioctl)
        except OSError:
            return  # what cannot be asked is taken on trust
        if held != (FORMATS[pixel_format], *size):
            raise holds_other_format(self._path, held)


def writing_descriptors(path: str) -> set[int]:
    """This process's descriptors that are open for writing to a device.

    Empty where the system does not list them.
    """
    import fcntl  # not on Windows

    found: set[int] = set()
    with contextlib.suppress(OSError):
        device = Path(path).stat()
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
            # The listing's own descriptor is among them, and closed again.
            with contextlib.suppress(OSError):
                mode = fcntl.fcntl(int(name), fcntl.F_GETFL) & os.O_ACCMODE
                if mode != os.O_RDONLY and os.path.samestat(os.fstat(int(name)), device):
                    found.add(int(name))
    return found
