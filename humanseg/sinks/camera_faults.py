"""Why a virtual camera cannot be opened, in a line that says what to do."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from humanseg.device_access import permission_hint, programs_using
from humanseg.devices import VirtualCamera, virtual_camera_hint
from humanseg.errors import HumansegError, SettingsError, SinkError

# pyvirtualcam has no kinds of errors, only these words (0.12 to 0.15).
_FORMAT = ("image format", "format is currently not supported")
_FORBIDDEN = ("missing permissions",)
_BUSY = ("already in use", "busy", "multiple cameras are not", "could not be started")
_NO_OUTPUT = ("not a video output device", "not a v4l2 device", "could not be queried")
_MISSING = ("does not exist", "no v4l2 loopback", "not found", "not installed", "registered")

_NONE = "there is no virtual camera"
_NO_SUCH = "there is no such virtual camera"


def refusal(backend: str, words: str, device: str | None) -> HumansegError:
    """What to tell of a back-end that would not open.

    Args:
        backend: its name.
        words: its own ones.
        device: that was asked for, or None for any.
    """
    subject = device or _device_in(words)
    if _has(words, _FORMAT):
        return SettingsError(
            "does not take this pixel format",
            subject=subject or backend,
            hint="leave the pixel format out",
        )
    if _has(words, _FORBIDDEN):
        return forbidden(subject)
    if _has(words, _BUSY):
        return in_use(subject)
    if _has(words, _NO_OUTPUT):
        return no_virtual_camera(subject)
    if _has(words, _MISSING):
        return no_device(device)
    return SinkError(
        "cannot be opened as a virtual camera",
        subject=subject or backend,
        hint=f"{backend} says: {' '.join(words.split()).rstrip('.')}",
    )


def in_use(device: str | None) -> SinkError:
    """Another program feeds the camera."""
    programs = programs_using(device) if device is not None and sys.platform == "linux" else ()
    closing = f"close {' or '.join(programs)}" if programs else "close it"
    return SinkError(
        "is fed by another program already",
        subject=device or "the virtual camera",
        hint=f"{closing}, or choose another virtual camera",
    )


def forbidden(device: str | None) -> SinkError:
    """This user may not open the camera."""
    return SinkError(
        "may not be opened by this user",
        subject=device,
        hint=permission_hint(device or "/dev/video*"),
    )


def no_virtual_camera(device: str | None) -> SinkError:
    """The device is of another kind."""
    return SinkError(
        "is no virtual camera", subject=device, hint="see `humanseg devices` for those that are"
    )


def holds_other_format(device: str, held: tuple[str, int, int]) -> SinkError:
    """Programs that look at the camera keep it at another size or pixel format.

    Args:
        device: path of the camera.
        held: four letters, height and width of the format it keeps.
    """
    letters, height, width = held
    programs = programs_using(device)
    watching = " and ".join(programs) or "the program that shows it"
    return SinkError(
        f"still gives {width}x{height} {letters} to a program and cannot change",
        subject=device,
        hint=f"close {watching}, or choose that size: --size {width}x{height}",
    )


def no_device(device: str | None, *, among: Iterable[VirtualCamera] = ()) -> SinkError:
    """There is no such virtual camera, or none at all.

    Args:
        device: that was asked for, or None for any.
        among: those there are.
    """
    found = ", ".join(f"{camera.path} ({camera.name})" for camera in among)
    if device is None:
        return SinkError(_NONE, hint=virtual_camera_hint())
    if found:
        return SinkError(_NO_SUCH, subject=device, hint=f"found {found}")
    number = re.fullmatch(r"(?:/dev/video)?(\d+)", device)
    hint = virtual_camera_hint(int(number[1])) if number else virtual_camera_hint()
    return SinkError(_NO_SUCH, subject=device, hint=hint)


def is_missing(error: HumansegError) -> bool:
    """Whether an error says that there is no such camera."""
    return error.what in (_NONE, _NO_SUCH)


def _device_in(words: str) -> str | None:
    """The device a back-end names in its own words."""
    match = re.search(r"/dev/video\d+", words)
    return match[0] if match else None


def _has(words: str, any_of: Iterable[str]) -> bool:
    return any(word in words.lower() for word in any_of)
