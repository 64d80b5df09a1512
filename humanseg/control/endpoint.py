"""Where the control socket is, and that nobody else can reach it.

A Unix socket that only its owner may open; where there are none, a port of this machine alone, with
its number and a secret in a file that only its owner may read.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import stat
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from humanseg.closing import Closing
from humanseg.errors import InputError

# Windows has sockets of this name, too, but neither their permissions nor Python's support of them.
HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX") and sys.platform != "win32"

LONGEST_ADDRESS = 100
"""Bytes in the path of a Unix socket; systems allow 103 to 107."""

THIS_MACHINE = "127.0.0.1"


def default_path() -> Path:
    """Where the control socket of this user is."""
    from platformdirs import user_runtime_path

    with warnings.catch_warnings():
        # platformdirs warns where the system names no such folder, and finds one all the same.
        warnings.simplefilter("ignore")
        return user_runtime_path("humanseg", appauthor=False) / "control"


class Listener(Closing):
    """A socket that takes connections, alone in its place.

    Attributes:
        path: of the socket, or of the file with port and secret.
        socket: listening.
        secret: what a client must say first; None where the path itself keeps others out.
    """

    def __init__(self, path: Path | None = None, *, unix: bool = HAS_UNIX_SOCKETS) -> None:
        """Take the place, also that of an instance that has died.

        Args:
            path: of the socket; None for the user's usual one.
            unix: False takes a port of this machine.

        Raises:
            InputError: another instance is there, or the place is not safe or cannot be written.
        """
        self.path = path or default_path()
        self.secret: str | None = None
        try:
            _make_folder(self.path.parent, must_be_private=path is None)
            self._lock = _lock(self.path)
            try:
                self.socket = self._listen_unix() if unix else self._listen_port()
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise InputError(
                f"cannot be the control socket: {error.strerror or error}", subject=self.path
            ) from error

    def _listen_unix(self) -> socket.socket:
        if len(os.fsencode(self.path)) > LONGEST_ADDRESS:
            raise InputError(
                "this path is too long for a socket",
                subject=self.path,
                hint=f"use one of at most {LONGEST_ADDRESS} bytes",
            )
        # Whoever held the lock before is dead, and so is what they left.
        self.path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        try:
            with suppress(OSError):  # Linux makes the socket with these permissions, others after
                os.fchmod(listening.fileno(), 0o600)
            listening.bind(str(self.path))
            self.path.chmod(0o600)
            listening.listen()
        except BaseException:
            listening.close()
            raise
        return listening

    def _listen_port(self) -> socket.socket:
        listening = socket.create_server((THIS_MACHINE, 0))
        try:
            self.secret = secrets.token_hex(32)
            self.path.unlink(missing_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w") as written:
                json.dump({"port": listening.getsockname()[1], "secret": self.secret}, written)
        except BaseException:
            listening.close()
            raise
        return listening

    def close(self) -> None:
        """Leave the place to others; may be called twice."""
        if self._lock < 0:
            return
        self.socket.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = -1


def connect(path: Path | None = None, *, seconds: float) -> socket.socket:
    """Connect to the instance that is running, and show that this is its owner.

    Args:
        path: of its socket; None for the user's usual one.
        seconds: the socket's time limit.

    Raises:
        InputError: none is running, or it belongs to somebody else.
    """
    path = path or default_path()
    try:
        if path.is_file():
            place = json.loads(path.read_text())
            connected = socket.create_connection((THIS_MACHINE, place["port"]), seconds)
            connected.sendall(f"{place['secret']}\n".encode())
            return connected
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(seconds)
        try:
            connected.connect(str(path))
        except BaseException:
            connected.close()
            raise
    except PermissionError as error:
        raise InputError("belongs to another user", subject=path) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "humanseg live is not running", hint="start it with 'humanseg live'"
        ) from error
    return connected


def _make_folder(folder: Path, *, must_be_private: bool) -> None:
    """Make a folder for its owner alone; refuse one that others could put something into."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if not must_be_private or sys.platform == "win32":
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise InputError(
            "is not a folder of yours alone",
            subject=folder,
            hint="remove it, or set XDG_RUNTIME_DIR to a folder of your own",
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def _lock(path: Path) -> int:
    """Lock a place until the file descriptor is closed or the process ends, however it ends.

    Raises:
        InputError: another process holds it.
        OSError: the place cannot be written.
    """
    name = path.with_name(f"{path.name}.lock")
    another = InputError(
        "another humanseg live is running", subject=path, hint="end it with 'humanseg ctl quit'"
    )
    if sys.platform == "win32":
        try:
            # Windows removes the file when its process ends.
            return os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_TEMPORARY)
        except FileExistsError:
            raise another from None
    import fcntl

    held = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise another from None
    except BaseException:
        os.close(held)
        raise
    return held
