"""The one gate to FFmpeg: its errors become ours, its rationals become fractions."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import av
import av.error

from humanseg.errors import SinkError, SourceError

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

_MAJOR = int(av.__version__.split(".")[0])


class Rational(Protocol):
    """A number with numerator and denominator: Fraction in PyAV 18, AVRational in 19."""

    @property
    def numerator(self) -> int:
        """Above the line."""

    @property
    def denominator(self) -> int:
        """Below the line."""


# A clock that goes back further has started again; less is disorder.
RESTART_SECONDS = Fraction(1, 2)

_READING: dict[type[BaseException], tuple[str, str]] = {
    FileNotFoundError: ("there is no such file", "check the path"),
    IsADirectoryError: ("is a folder, not a video", "name a file inside it"),
    NotADirectoryError: ("there is no such file", "a part of the path is a file, not a folder"),
    PermissionError: ("may not be read", "change the file's permissions or copy it elsewhere"),
    MemoryError: ("does not fit into memory", "close other programs or use a smaller video"),
    TimeoutError: ("did not answer in time", "check the disk or the network"),
    EOFError: ("holds no frames", "the recording may have been cut short; record it again"),
    av.error.InvalidDataError: (
        "is no video that can be read",
        "the file is damaged, unfinished or of another kind; try to play it",
    ),
    av.error.DecoderNotFoundError: (
        "is coded in a way this FFmpeg cannot read",
        "convert it to H.264 first",
    ),
    av.error.DemuxerNotFoundError: (
        "is of a kind this FFmpeg cannot read",
        "convert it to mp4 or mkv first",
    ),
    av.error.PatchWelcomeError: (
        "uses a feature that FFmpeg cannot read",
        "convert it to H.264 first",
    ),
}

_STREAMING: dict[type[BaseException], tuple[str, str]] = {
    ConnectionRefusedError: (
        "refuses the connection",
        "is it switched on? check host and port of the address",
    ),
    TimeoutError: ("does not answer", "is it switched on and sending? check the address"),
    av.error.ExitError: ("does not answer", "is it switched on and sending? check the address"),
    av.error.HTTPUnauthorizedError: (
        "asks for a name and a password",
        "write them into the address: rtsp://name:password@host/...",
    ),
    av.error.HTTPForbiddenError: ("refuses access", "check name and password in the address"),
    av.error.HTTPNotFoundError: ("has no such stream", "check what stands behind the host"),
    av.error.ProtocolNotFoundError: (
        "is an address of a kind this FFmpeg cannot open",
        "rtsp, rtmp, http, https, udp, rtp and tcp can be opened",
    ),
    av.error.DecoderNotFoundError: (
        "is coded in a way this FFmpeg cannot read",
        "make it send H.264",
    ),
    av.error.InvalidDataError: (
        "sends no video that can be read",
        "check the address; try to play it elsewhere",
    ),
    av.error.EOFError: ("sends nothing", "is it switched on and sending?"),
}

_WRITING: dict[type[BaseException], tuple[str, str]] = {
    FileNotFoundError: ("cannot be written: its folder is gone", "make the folder again"),
    IsADirectoryError: ("is a folder", "name a file inside it"),
    NotADirectoryError: ("cannot be written", "a part of the path is a file, not a folder"),
    PermissionError: ("may not be written", "choose a folder you may write to"),
    MemoryError: ("cannot be written: out of memory", "close other programs or use fewer threads"),
}

_WRITING_ERRNO: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("disk full", "free some space or choose another disk"),
    errno.EDQUOT: ("disk quota used up", "free some space or choose another disk"),
    errno.EFBIG: ("too big for this disk's file system", "choose another disk"),
    errno.EROFS: ("cannot be written: the disk is read-only", "choose another disk"),
    errno.EIO: ("the disk reports a fault", "check the disk"),
}


def source_error(error: BaseException, path: Path) -> SourceError:
    """What a failed read means to the user."""
    for kind, (what, hint) in _READING.items():
        if isinstance(error, kind):
            return SourceError(what, subject=path, hint=hint)
    return SourceError(
        f"cannot be read: {_reason(error)}", subject=path, hint="try to play it elsewhere"
    )


def stream_error(error: BaseException, address: str) -> SourceError:
    """What a stream from the network that cannot be opened means to the user."""
    for kind, (what, hint) in _STREAMING.items():
        if isinstance(error, kind):
            return SourceError(what, subject=address, hint=hint)
    # Of a host name that nobody knows FFmpeg tells no more than "Input/output error".
    return SourceError(
        f"cannot be reached: {_reason(error)}",
        subject=address,
        hint="check the address and the network",
    )


def sink_error(error: BaseException, path: Path, *, frames: int, kept: Path | None) -> SinkError:
    """What a failed write means to the user.

    Args:
        error: as FFmpeg or the system raised it.
        path: the file that was wanted.
        frames: number written before the failure.
        kept: the partial file, or None when nothing was kept.
    """
    what, hint = _writing_text(error)
    if frames:
        what = f"{what} after {frames} frame{'' if frames == 1 else 's'}"
    if kept is not None:
        hint = f"{hint}; what was written is kept in {kept}"
    return SinkError(what, subject=path, hint=hint)


def _writing_text(error: BaseException) -> tuple[str, str]:
    if isinstance(error, OSError) and error.errno in _WRITING_ERRNO:
        return _WRITING_ERRNO[error.errno]
    for kind, text in _WRITING.items():
        if isinstance(error, kind):
            return text
    return f"cannot be written: {_reason(error)}", "try another codec or another kind of file"


def _reason(error: BaseException) -> str:
    """FFmpeg's own words, from its log where the error itself says little."""
    log = getattr(error, "log", None)
    if log and log[1]:
        return f"{error.strerror or type(error).__name__}; {log[1][2].strip()}"  # type: ignore[attr-defined]
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what FFmpeg and the system raise into SourceError.

    Raises:
        SourceError: with the path and the next step.
    """
    try:
        yield
    except (av.error.FFmpegError, OSError, MemoryError) as error:
        raise source_error(error, path) from error


def fraction(value: Rational | None) -> Fraction | None:
    """An exact fraction; None for FFmpeg's ways to say "unknown" (None, 0/1, 0/0, 1/0)."""
    if value is None or value.denominator == 0 or value.numerator == 0:
        return None
    return Fraction(value.numerator, value.denominator)


def open_input(path: Path) -> InputContainer:
    """Open a file to read it.

    Raises:
        av.error.FFmpegError: it is no file FFmpeg knows.
    """
    return cast("InputContainer", av.open(_address(path), "r", **_any_tags()))


def open_stream(
    url: str, *, options: dict[str, str], open_seconds: float, read_seconds: float
) -> InputContainer:
    """Open a stream from the network.

    Args:
        url: with its scheme.
        options: for the protocol and the format.
        open_seconds: to wait for an answer and for the first packets.
        read_seconds: to wait for each packet.

    Raises:
        SourceError: it cannot be reached, or is no video.
    """
    try:
        container = av.open(
            url, "r", options=options, timeout=(open_seconds, read_seconds), **_any_tags()
        )
    except (av.error.FFmpegError, OSError, MemoryError) as error:
        raise stream_error(error, without_password(url)) from error
    return cast("InputContainer", container)


def without_password(url: str) -> str:
    """An address as it may be shown.

    >>> without_password("rtsp://me:secret@camera:554/live?channel=1")
    'rtsp://me:***@camera:554/live?channel=1'
    """
    return re.sub(r"^([^/]+//[^/:@]*):[^/]*@", r"\1:***@", url)


def open_output(path: Path, *, kind: str | None, options: dict[str, str]) -> OutputContainer:
    """Open a file to write it; nothing is written before its streams are known.

    Args:
        path: of the file.
        kind: FFmpeg's name of the format; None to go by the suffix.
        options: for the format.
    """
    container = av.open(_address(path), "w", format=kind, container_options=options, **_any_tags())
    return cast("OutputContainer", container)


def _address(path: Path) -> str:
    """The path with `file:` before it, or FFmpeg would take "a:b.mp4" for a protocol."""
    return f"file:{path}"


def _any_tags() -> dict[str, Any]:
    """Tags need not be UTF-8; PyAV 19 copies them as they are, 18 must be told."""
    return {"metadata_errors": "surrogateescape"} if _MAJOR < 19 else {}


def clock_zero(container: InputContainer) -> Fraction:
    """Seconds to take off every time of a file.

    Broadcast formats carry a running clock that may stand at any hour, so they start at their
    first packet; every other format's times are its own and stay untouched.
    """
    if "mpegts" not in container.format.name and container.format.name != "mpeg":
        return Fraction(0)
    return Fraction(container.start_time or 0, av.time_base)
