"""All that the page works with, and what it tells a browser first."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import humanseg
from humanseg.control.commands import COMMANDS
from humanseg.look.looks import RANGES, display_name
from humanseg.settings import PRESETS
from humanseg.web import file_jobs, gallery, live_side
from humanseg.web.access import Access, Tickets
from humanseg.web.broadcast import Broadcast
from humanseg.web.file_jobs import FileQueue
from humanseg.web.gallery import Gallery
from humanseg.web.live_side import LiveSide


@dataclass(slots=True)
class Page:
    """All that the page works with.

    Attributes:
        access: who may use it.
        files: the queue of video files.
        scratch: folder for uploaded videos and their results.
        gallery: the user's own backgrounds.
        live: the running session; None without one.
        broadcast: the session's pictures; None without one.
        downloads: tickets of results.
        on_quit: ends a run without a session; None where the session does that.
        visitors: sockets open now.
    """

    access: Access
    files: FileQueue
    scratch: Path
    gallery: Gallery = field(default_factory=Gallery)
    live: LiveSide | None = None
    broadcast: Broadcast | None = None
    downloads: Tickets = field(default_factory=Tickets)
    on_quit: Callable[[], None] | None = None
    visitors: int = 0

    def hello(self) -> dict[str, object]:
        """What does not change while it runs, as JSON takes it."""
        return {
            "version": humanseg.__version__,
            "has_live": self.live is not None,
            "commands": list(COMMANDS),
            "ranges": RANGES,
            "presets": list(PRESETS),
            "colors": live_side.usual_colors(),
            "lists_devices_quietly": sys.platform == "linux",
            "limits": {
                "picture_bytes": gallery.MOST_BYTES,
                "picture_pixels": gallery.MOST_PIXELS,
                "video_bytes": file_jobs.MOST_BYTES,
                "video_seconds": file_jobs.LONGEST_SECONDS,
            },
        }

    def background_files(self) -> list[str]:
        """Pictures and videos that may be chosen: of the config file, then the user's own."""
        named = [] if self.live is None else live_side.files_in_use(self.live)
        own = [str(path) for path in self.gallery.pictures()]
        return list(dict.fromkeys([*named, *own]))

    def background_tiles(self) -> list[dict[str, object]]:
        """The same, as JSON takes them."""
        own = {str(path) for path in self.gallery.pictures()}
        return [
            {"word": name, "label": Path(display_name(name)).stem, "is_own": name in own}
            for name in self.background_files()
        ]
