"""One word for every source of live frames: a camera, an address, a file."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from humanseg import devices
from humanseg.errors import SourceError
from humanseg.protocols import Source
from humanseg.sources.camera import CameraSource
from humanseg.sources.playback import Looped, Paced
from humanseg.sources.stream import StreamSource
from humanseg.sources.video_file import VideoFileSource

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_LOOKS_LIKE_A_FILE = re.compile(r"[/\\]|\.\w{2,4}$")


def open_live(
    camera: int | str,
    *,
    size: tuple[int, int] | None = None,
    rate: float | None = None,
    pixel_format: str = "auto",
    loop: bool = True,
) -> Source:
    """Open what gives live frames; may be closed from any thread.

    Args:
        camera: index, path or name of a camera; address of a stream; or a video file, which is
            played at its own pace.
        size: (height, width) to ask a camera for; others have their own.
        rate: frames a second to ask a camera for; others have their own.
        pixel_format: to ask a camera for: "auto", "mjpg", "yuyv".
        loop: play a file again and again; else its frames end with it.

    Raises:
        SourceError: there is no such thing, or it cannot be opened; the hint says what to do.
        SettingsError: there is no such pixel format.
    """
    if isinstance(camera, str) and _ADDRESS.match(camera):
        if camera.lower().startswith("file://"):
            return _open_file(Path(unquote(urlsplit(camera).path)), loop=loop)
        stream = StreamSource(camera)
        return Paced(stream) if stream.needs_pace else stream
    if isinstance(camera, str) and not camera.strip().isdecimal() and _is_file(camera):
        return _open_file(Path(camera), loop=loop)
    return CameraSource(camera, size=size, rate=rate, pixel_format=pixel_format)


def _open_file(path: Path, *, loop: bool) -> Source:
    if loop:
        return Paced(Looped(lambda: VideoFileSource(path)))
    return Paced(VideoFileSource(path))


def _is_file(camera: str) -> bool:
    """Whether the word means a file, and no camera.

    Raises:
        SourceError: it looks like a file, but there is none.
    """
    try:
        kind = Path(camera).stat().st_mode
    except (OSError, ValueError):
        if camera.startswith("/dev/") or not _LOOKS_LIKE_A_FILE.search(camera):
            return False
        raise SourceError(
            "is neither a file nor a camera",
            subject=camera,
            hint=f"check the path, or choose a camera: {devices.found_text(devices.cameras())}",
        ) from None
    return not stat.S_ISCHR(kind)
