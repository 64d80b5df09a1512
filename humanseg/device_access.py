"""Who may open a device of Linux, and who has it open."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path


def permission_hint(path: str) -> str:
    """How this user may come to open a device of Linux."""
    group = _group(path)
    if group is None:
        return f"change its permissions, as root: chmod a+rw {path}"
    return (
        f"you are not in the group {group}: run `sudo usermod -aG {group} $USER`, "
        "log out and log in again"
    )


def _group(path: str) -> str | None:
    """The group that may open a device; None where there is none that would help."""
    try:
        import grp  # not on Windows

        status = Path(path).stat()
        if not status.st_mode & stat.S_IRGRP or status.st_gid in (0, *os.getgroups()):
            return None
        return grp.getgrgid(status.st_gid).gr_name
    except (ImportError, OSError, KeyError):
        return None


def programs_using(path: Path | str, *, processes: Path = Path("/proc")) -> tuple[str, ...]:
    """Names of the other programs that hold a device open, as far as this user may see them."""
    found = set()
    for process in _users_of(path, processes):
        with contextlib.suppress(OSError):
            found.add((process / "comm").read_text(errors="replace").strip())
    return tuple(sorted(found))


def is_in_use(path: Path | str, *, processes: Path = Path("/proc")) -> bool:
    """Whether any other program holds a device open, as far as this user may see it."""
    return next(_users_of(path, processes), None) is not None


def _users_of(path: Path | str, processes: Path) -> Iterator[Path]:
    """Folders of the other processes that hold a device open."""
    wanted = os.path.realpath(path)
    ours = str(os.getpid())
    # scandir and readlink, since this may be done several times a second.
    with contextlib.suppress(OSError), os.scandir(processes) as entries:
        for process in entries:
            if process.name.isdigit() and process.name != ours and _holds(process.path, wanted):
                yield Path(process.path)


def _holds(process: str, wanted: str) -> bool:
    """Whether a process has a file open; False for one that is not ours to look at, or has gone."""
    with contextlib.suppress(OSError), os.scandir(f"{process}/fd") as descriptors:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                if os.readlink(descriptor.path) == wanted:  # noqa: PTH115
                    return True
    return False
