"""The page in the browser: `humanseg ui`, and what `humanseg live --ui` needs of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from humanseg.errors import MissingExtraError
from humanseg_cli.live_signals import LiveSignals
from humanseg_cli.options import SHOWN, Debug

if TYPE_CHECKING:
    from humanseg.control.controls import Controls
    from humanseg.sinks.watched import WatchedSink
    from humanseg.web.server import PageServer

PACKAGES = ("starlette", "uvicorn", "websockets")

LOOK_SECONDS = 0.2
"""How often signals are looked for."""

Port = Annotated[
    int,
    Option(
        "--port",
        metavar="N",
        min=0,
        max=65535,
        help="Of the page; a free one by default.",
        rich_help_panel=SHOWN,
        show_default=False,
    ),
]
NoOpen = Annotated[
    bool,
    Option("--no-open", metavar="", help="Do not open the browser.", rich_help_panel=SHOWN),
]


def ui(port: Port = 0, no_open: NoOpen = False, debug: Debug = False) -> None:
    """Work on video files in a page of your browser, without a camera.

    [bold]humanseg ui[/bold]
    """
    check_packages()
    # Before the slow imports: a signal that comes meanwhile must not end the process.
    with LiveSignals() as signals:
        from humanseg.web.server import PageServer

        ended = threading.Event()
        with PageServer(port=port, on_quit=ended.set) as server:
            signals.commands()  # from now on they are taken from there
            _show(server, opens=not no_open)
            while "quit" not in signals.commands():
                if ended.wait(LOOK_SECONDS):
                    break


def page_sink() -> WatchedSink:
    """The sink that gives a page its preview.

    Raises:
        MissingExtraError: the packages of the page are not installed.
    """
    check_packages()
    from humanseg.sinks.watched import WatchedSink

    return WatchedSink()


@contextmanager
def live_page(
    controls: Controls,
    sink: WatchedSink | None,
    *,
    config: Path | None,
    port: int,
    opens: bool,
) -> Iterator[None]:
    """Serve the page of a live session while the context lasts.

    Args:
        controls: of the session.
        sink: gives its frames; None for no page.
        config: the config file; None for the user's own.
        port: 0 takes a free one.
        opens: the browser, too.

    Raises:
        InputError: the port is taken.
    """
    if sink is None:
        yield
        return
    from humanseg.web.live_side import LiveSide
    from humanseg.web.server import PageServer

    with PageServer(port=port, live=LiveSide(controls, sink, config)) as server:
        _show(server, opens=opens)
        yield


def check_packages() -> None:
    """Check that the packages of the page are installed, without importing them.

    Raises:
        MissingExtraError: one is not.
    """
    from importlib.util import find_spec

    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"the page needs {' and '.join(missing)}", hint="pip install 'humanseg[ui]'"
        )


def _show(server: PageServer, *, opens: bool) -> None:
    print(f"The page is at {server.address}", file=sys.stderr, flush=True)
    if opens:
        server.open_browser()
