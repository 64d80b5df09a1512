"""The page's server, in a thread of its own beside whatever else runs."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from humanseg.closing import Closing
from humanseg.errors import InputError
from humanseg.web.access import HOST, Access
from humanseg.web.app import make_app
from humanseg.web.broadcast import Broadcast
from humanseg.web.file_jobs import FileQueue
from humanseg.web.gallery import Gallery
from humanseg.web.live_side import LiveSide
from humanseg.web.page import Page
from humanseg.web.scratch import Scratch

PATIENCE = 5.0
"""Seconds to wait for the server to begin or to end."""

LONGEST_MESSAGE = 65_536
"""Bytes in a message of the socket."""

PING_SECONDS = 10.0
"""How often a silent browser is asked whether it is still there, and how long it may take."""


class PageServer(Closing):
    """Serves the page on 127.0.0.1 from the moment it is made.

    Attributes:
        page: what it serves.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        live: LiveSide | None = None,
        gallery: Gallery | None = None,
        scratch: Path | None = None,
        on_quit: Callable[[], None] | None = None,
    ) -> None:
        """Open the port and serve.

        Args:
            port: 0 takes a free one.
            live: the running session; None serves the page for files alone.
            gallery: None for the user's own.
            scratch: folder of temporary files; None for the system's own.
            on_quit: called when the user ends a page that serves files alone.

        Raises:
            InputError: the port is taken.
            SinkError: there is no room for temporary files.
        """
        self._scratch = Scratch(scratch)
        try:
            self._socket = _listen(port)
        except InputError:
            self._scratch.close()
            raise
        broadcast = None if live is None else Broadcast(live.sink)
        self.page = Page(
            access=Access(self._socket.getsockname()[1]),
            # A call needs the processor more than a file does.
            files=FileQueue(threads=None if live is None else 1),
            scratch=self._scratch.path,
            gallery=gallery or Gallery(),
            live=live,
            broadcast=broadcast,
            on_quit=on_quit,
        )
        self._server = _QuietServer(
            uvicorn.Config(
                make_app(self.page),
                loop="asyncio",
                http="h11",
                ws="websockets-sansio",
                ws_max_size=LONGEST_MESSAGE,
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PING_SECONDS,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="humanseg-web", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        if not self._server.started:
            self.close()
            raise InputError("the page's server does not start", subject=f"port {port}")

    @property
    def address(self) -> str:
        """Where the page is, with its token."""
        return self.page.access.address

    def open_browser(self) -> None:
        """Show the page in the user's browser, if there is a screen; never waits."""
        # Without a screen, a browser for terminals would take the terminal over.
        has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if sys.platform != "linux" or has_screen:
            address = self.page.access.address_for_once()
            threading.Thread(target=_open, args=(address,), name="humanseg-web-open").start()

    def close(self) -> None:
        """End the server, cancel files that are being worked on, and delete them."""
        self._server.should_exit = True
        self.page.files.close()
        self._thread.join(PATIENCE)
        self._socket.close()
        if self.page.broadcast is not None:
            self.page.broadcast.close()
        self._scratch.close()


class _QuietServer(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    def run(self, sockets: Sequence[socket.socket] | None = None) -> None:
        with suppress(SystemExit):
            super().run(list(sockets or []))


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        is_taken = error.errno == errno.EADDRINUSE
        what = "is taken by another program" if is_taken else f"cannot be used: {error.strerror}"
        raise InputError(
            what, subject=f"port {port}", hint="choose another with --port, or 0 for a free one"
        ) from error
    except OverflowError as error:
        listener.close()
        raise InputError("is no port", subject=port, hint="choose 0 to 65535") from error
    return listener


def _open(address: str) -> None:
    with suppress(webbrowser.Error, OSError):
        webbrowser.open(address)
