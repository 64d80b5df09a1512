"""A folder for a run's temporary files: gone at its end, and swept up later if it was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from humanseg.closing import Closing
from humanseg.media.av_gate import sink_error

PREFIX = "humanseg-files-"
LOCK = "lock"


class Scratch(Closing):
    """Makes a folder that only this user can read, and deletes it when closed.

    Attributes:
        path: of the folder.
    """

    def __init__(self, parent: Path | None = None) -> None:
        """Make the folder, and delete those of runs that did not come to their end.

        Args:
            parent: None for the system's own place of temporary files.

        Raises:
            SinkError: it cannot be made.
        """
        place = Path(tempfile.gettempdir()) if parent is None else parent
        for old in place.glob(f"{PREFIX}*"):
            if _is_abandoned(old):
                shutil.rmtree(old, ignore_errors=True)
        try:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
            self._lock = (self.path / LOCK).open("wb")
        except OSError as error:
            raise sink_error(error, place, frames=0, kept=None) from error
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Delete the folder and all in it; may be called twice."""
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether the run that made a folder is dead: the system has let go of its lock."""
    lock = folder / LOCK
    try:
        if sys.platform == "win32":
            lock.unlink()  # refused while it is open
            return True
        import fcntl

        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return False
        with lock.open("rb") as opened, contextlib.ExitStack() as stack:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stack.callback(fcntl.flock, opened, fcntl.LOCK_UN)
            return True
    except OSError:
        return False
