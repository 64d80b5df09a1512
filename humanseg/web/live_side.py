"""What the page shows of a live session, and what it may tell it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from humanseg import devices
from humanseg.config.file import read_config
from humanseg.control.controls import Controls, Reply
from humanseg.look.looks import COLORS, is_path
from humanseg.sinks.watched import WatchedSink

FRESH_SECONDS = 0.2
"""How long the figures asked for by one visitor are good enough for the others."""

USUAL_COLORS = ("green", "grey", "white", "black")


@dataclass(slots=True)
class LiveSide:
    """A running session, as the page knows it.

    Attributes:
        controls: carry out its commands.
        sink: gives its finished frames.
        config: the config file; None for the user's usual one.
    """

    controls: Controls
    sink: WatchedSink
    config: Path | None = None
    _told: Mapping[str, object] = field(default_factory=dict)
    _told_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(self, line: str) -> Reply:
        """Carry out a command; the next figures are fresh."""
        reply = self.controls.apply(line)
        self._told_at = float("-inf")
        return reply

    def status(self) -> Mapping[str, object]:
        """The look and the figures, as JSON takes them."""
        with self._lock:
            if time.monotonic() - self._told_at > FRESH_SECONDS:
                self._told_at = time.monotonic()
                self._told = self.controls.apply("status").data or {}
            return self._told

    def profiles(self) -> list[str]:
        """The names of the config file's profiles.

        Raises:
            SettingsError: the file is wrong.
        """
        return sorted(read_config(self.config).profiles)


def cameras() -> dict[str, list[dict[str, str]]]:
    """Cameras and virtual cameras of this machine, each with the word that commands take for it."""
    return {
        "cameras": [
            {"word": camera.path or str(camera.index), "name": camera.name or "Camera"}
            for camera in devices.cameras()
            if not camera.is_virtual
        ],
        "virtual_cameras": [
            {"word": camera.path, "name": camera.name} for camera in devices.virtual_cameras()
        ],
    }


def files_in_use(side: LiveSide) -> list[str]:
    """The pictures and videos that the look names: its list of backgrounds, and what is shown."""
    look = side.controls.look
    named = dict.fromkeys((*look.backgrounds, look.background))
    return [background for background in named if is_path(background)]


def usual_colors() -> list[dict[str, str]]:
    """Colours to choose from, by name."""
    return [{"word": name, "value": COLORS[name]} for name in USUAL_COLORS]
