"""Why a camera cannot be opened, in a line that says what to do."""

from __future__ import annotations

import errno
import sys

from humanseg import device_access, devices, v4l2
from humanseg.errors import SourceError
from humanseg.v4l2 import Ioctl

_PRIVACY = {
    "darwin": "allow this terminal in System Settings > Privacy & Security > Camera",
    "win32": "allow desktop apps in Settings > Privacy & security > Camera",
}


def check_device(path: str, *, ioctl: Ioctl = v4l2.system_ioctl) -> None:
    """Refuse a Linux device that OpenCV would refuse without a reason.

    Args:
        path: "/dev/video0" and the like.
        ioctl: the system's call.

    Raises:
        SourceError: missing, busy, not permitted, or no camera.
    """
    try:
        with devices.opened(path) as device:
            able = v4l2.capability(device, ioctl)
            # A virtual camera is read by any number of programs.
            is_shared = able.driver == devices.LOOPBACK_DRIVER
            is_busy = able.gives_pictures and not is_shared and v4l2.is_busy(device, able, ioctl)
    except OSError as error:
        raise _refused(error, path) from error
    if not able.gives_pictures:
        raise _gives_nothing(able, path)
    if is_busy:
        raise busy(path)


def not_opened(camera: int | str) -> SourceError:
    """What to say when OpenCV gives no reason and the device itself shows none."""
    hint = "close other programs that use it, unplug it and plug it in again"
    if sys.platform in _PRIVACY:
        hint = f"{hint}, and {_PRIVACY[sys.platform]}"
    return SourceError("cannot be opened as a camera", subject=camera, hint=hint)


def busy(path: str) -> SourceError:
    """Another program streams from the camera."""
    programs = device_access.programs_using(path)
    using = ", ".join(programs) or "another program"
    closing = f"close {using}" if programs else "close the program that uses it"
    return SourceError(
        f"is in use by {using}", subject=path, hint=f"{closing}, or choose another camera"
    )


def _refused(error: OSError, path: str) -> SourceError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return SourceError(
            "may not be opened", subject=path, hint=device_access.permission_hint(path)
        )
    if error.errno == errno.EBUSY:
        return busy(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return SourceError(
            "there is no such camera", subject=path, hint=devices.found_text(devices.cameras())
        )
    if error.errno in (errno.ENODEV, errno.ENXIO, errno.EIO):
        return SourceError(
            "does not answer", subject=path, hint="unplug the camera and plug it in again"
        )
    return SourceError("is no camera", subject=path, hint=devices.found_text(devices.cameras()))


def _gives_nothing(able: v4l2.Capability, path: str) -> SourceError:
    if able.driver == devices.LOOPBACK_DRIVER:
        return SourceError(
            "is a virtual camera that no program feeds",
            subject=path,
            hint="choose a real camera; see `humanseg devices`",
        )
    return SourceError(
        f"gives no pictures (it is another part of {able.card})",
        subject=path,
        hint=devices.found_text(devices.cameras()),
    )
