"""What this process takes of the machine: processor time and memory."""

from __future__ import annotations

import sys
import time
from pathlib import Path


def resident_bytes() -> int | None:
    """Memory this process holds now; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    import resource

    return pages * resource.getpagesize()


def peak_bytes() -> int:
    """The most memory this process ever held; 0 on Windows, which does not tell so simply."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def processor_seconds() -> float:
    """Time all threads of this process have kept cores busy, in seconds."""
    return time.process_time()
