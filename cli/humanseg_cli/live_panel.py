"""The status of a live session on the terminal: a panel that stays in place, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from humanseg_cli.keys import SHOWN_KEYS

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from humanseg.live.status import LiveStatus

PANEL_SECONDS = 0.5
JSON_SECONDS = 1.0
MEGABYTE = 1e6

STATES = {
    "live": "green",
    "ok": "green",
    "idle": "yellow",
    "opening": "yellow",
    "lost": "red",
    "ended": "red",
}

CAUSES = {
    "busy": "networks busy",
    "replaced": "replaced before sending",
}


class Display:
    """Draws a status when it is time for it.

    A panel on a terminal; elsewhere a line of JSON if asked for, and else nothing but what is new:
    warnings, and a camera that is lost and comes back.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._live: Live | None = None
        self._due = time.monotonic()
        self._told: set[str] = set()
        self._is_camera_lost = False
        self._message = ""

    def __enter__(self) -> Display:
        if not self._as_json and not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def is_due(self) -> bool:
        """Whether it is time for the next `show`; a status costs a little."""
        return time.monotonic() >= self._due

    def show(self, status: LiveStatus) -> None:
        """Draw a status."""
        now = time.monotonic()
        period = JSON_SECONDS if self._as_json else PANEL_SECONDS
        # Counted from when it was due, so that the lines do not drift.
        self._due = max(self._due + period, now)
        if self._as_json:
            print(json.dumps(status.fields()), flush=True)
        elif self._live is not None:
            self._live.update(panel(status, self._message), refresh=True)
        elif not self._quiet:
            self._tell_news(status)

    def tell(self, message: str, *, is_wrong: bool = False) -> None:
        """Show what a key or a signal did; what went wrong is told even when all else is quiet."""
        self._message = message
        if self._live is not None:
            self._due = min(self._due, time.monotonic())
        elif is_wrong or not (self._as_json or self._quiet):
            _say(message)

    def _tell_news(self, status: LiveStatus) -> None:
        for warning in status.warnings:
            if warning not in self._told:
                _say(f"Warning: {warning}")
        self._told = set(status.warnings)
        is_lost = status.camera_state == "lost" or (
            self._is_camera_lost and status.camera_state == "opening"
        )
        # A camera that is given back for want of viewers has not come back.
        if is_lost != self._is_camera_lost and status.camera_state != "idle":
            lost = f"Camera lost: {status.camera_problem}"
            _say(lost if is_lost else f"The camera is back: {status.camera}")
        self._is_camera_lost = is_lost


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def panel(status: LiveStatus, message: str = "") -> RenderableType:
    """The panel of a status.

    Args:
        status: to draw.
        message: what the last key did.
    """
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column()
    for title, text in _rows(status):
        rows.add_row(title, text)
    below = [Text(warning, style="yellow") for warning in status.warnings]
    if message:
        below.append(Text(message, style="cyan"))
    keys = Text(SHOWN_KEYS, style="dim")
    return Panel(
        Group(rows, *below, keys), title="humanseg live", title_align="left", border_style="blue"
    )


def _rows(status: LiveStatus) -> list[tuple[str, Text]]:
    from rich.text import Text

    rows = [("camera", _named(status.camera, status.camera_state))]
    if status.camera_problem and status.camera_state != "live":
        rows.append(("", Text(status.camera_problem, style="red")))
    if status.virtual_camera is not None:
        named = _named(status.virtual_camera, status.virtual_camera_state or "")
        rows.append(("virtual camera", named))
    rates = f"{status.rate_in:.1f} in, {status.rate_out:.1f} out"
    rows.append(("frames a second", Text(rates)))
    if status.delay_p50 is not None and status.delay_p95 is not None:
        delay = f"{1000 * status.delay_p50:.0f} ms, 95 % within {1000 * status.delay_p95:.0f} ms"
        rows.append(("delay", Text(delay)))
    dropped = ", ".join(
        f"{count:,} {CAUSES.get(cause, cause)}" for cause, count in status.dropped.items() if count
    )
    rows.append(("dropped", Text(dropped or "none")))
    stages = "  ".join(f"{name} {took:.1f}" for name, took in status.stage_ms.items())
    rows.append(("ms a frame", Text(stages)))
    memory = "" if status.memory_bytes is None else f", {status.memory_bytes / MEGABYTE:,.0f} MB"
    rows.append(("processor", Text(f"{status.cores:.0%} of a core{memory}")))
    rows.append(("networks", Text(f"{status.effort}, {status.engine}")))
    return rows


def _named(name: str, state: str) -> Text:
    from rich.text import Text

    text = Text(f"{name}  ")
    text.append(state, style=STATES.get(state, ""))
    return text
