"""The control socket: commands from other programs of the same user.

One command a line, one reply a line: `{"ok": true, "text": "mirror is on", "data": {...}}`.
"""

from __future__ import annotations

import hmac
import json
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from humanseg.closing import Closing
from humanseg.commands import LONGEST_LINE
from humanseg.control import Controls, Reply
from humanseg.control_endpoint import HAS_UNIX_SOCKETS, Listener, connect
from humanseg.errors import InputError, SettingsError

LONGEST = 4 * LONGEST_LINE
"""Bytes in a line; a letter has four at most."""

MOST_CLIENTS = 16
"""At once; the threads of a session must not grow without end."""

PATIENCE = 2.0
"""Seconds to wait for a client that does not take its reply, and for threads to end."""

THREAD_NAME = "humanseg-control"


class ControlServer(Closing):
    """Answers commands from the moment it is made.

    Attributes:
        path: of the socket, or of the file with port and secret.
    """

    def __init__(
        self, controls: Controls, path: Path | None = None, *, unix: bool = HAS_UNIX_SOCKETS
    ) -> None:
        """Take the place of the socket, also that of an instance that has died.

        Args:
            controls: carry out the commands.
            path: of the socket; None for the user's usual one.
            unix: False takes a port of this machine instead.

        Raises:
            InputError: another instance is there, or the place is not safe or cannot be written.
        """
        self._controls = controls
        self._listener = Listener(path, unix=unix)
        self.path = self._listener.path
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()
        self._is_closed = False
        self._woken, self._waker = socket.socketpair()
        self._accepting = threading.Thread(target=self._accept, name=THREAD_NAME, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener.socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._is_closed:
                    return
                if self._listener.socket in ready:
                    with suppress(OSError):  # the client has left already
                        self._welcome(self._listener.socket.accept()[0])

    def _welcome(self, client: socket.socket) -> None:
        client.settimeout(PATIENCE)
        with self._guard:
            is_full = len(self._clients) >= MOST_CLIENTS or self._is_closed
            if not is_full:
                thread = threading.Thread(
                    target=self._serve, args=(client,), name=THREAD_NAME, daemon=True
                )
                self._clients[client] = thread
                thread.start()
        if is_full:
            with client, suppress(OSError):
                _answer(client, Reply(False, "too many programs are connected already"))

    def _serve(self, client: socket.socket) -> None:
        """Answer one client until it leaves."""
        try:
            with suppress(OSError):
                lines = self._lines(client)
                if self._is_owner(lines):
                    for line in lines:
                        _answer(client, self._reply(line))
                else:
                    _answer(client, Reply(False, "this is not the secret of this session"))
        finally:
            with self._guard:
                self._clients.pop(client, None)
            client.close()

    def _is_owner(self, lines: Iterator[bytes | None]) -> bool:
        secret = self._listener.secret
        return secret is None or hmac.compare_digest(next(lines, None) or b"", secret.encode())

    def _reply(self, line: bytes | None) -> Reply:
        if line is None:
            return Reply(False, f"a command has at most {LONGEST} bytes")
        return self._controls.apply(line.decode("utf-8", "surrogateescape"))

    def _lines(self, client: socket.socket) -> Iterator[bytes | None]:
        """Whole lines; None for one that is too long. What ends without a line's end is dropped."""
        held, is_too_long = b"", False
        while not self._is_closed:
            try:
                data = client.recv(1 << 16)
            except TimeoutError:
                continue
            if not data:
                return
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                yield None if is_too_long or len(line) > LONGEST else line
                is_too_long = False
            if len(held) > LONGEST:
                held, is_too_long = b"", True

    def close(self) -> None:
        """Answer what was asked already, and end all threads; may be called twice."""
        with self._guard:
            self._is_closed = True
            clients = dict(self._clients)
        with suppress(OSError):
            self._waker.send(b"\0")
        self._accepting.join(PATIENCE)
        for client in clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RD)
        for thread in clients.values():
            if thread is not threading.current_thread():
                thread.join(PATIENCE)
        self._listener.close()
        self._woken.close()
        self._waker.close()


def _answer(client: socket.socket, reply: Reply) -> None:
    told = {"ok": reply.ok, "text": reply.text, "data": reply.data}
    client.sendall(json.dumps(told, default=str).encode() + b"\n")


def send(line: str, path: Path | None = None, *, seconds: float = 10.0) -> dict[str, Any]:
    """Send a command to the session that is running.

    Args:
        line: the command; see `humanseg.commands.describe_commands`.
        path: of its socket; None for the user's usual one.
        seconds: to wait for the reply at most.

    Returns:
        The reply: "ok", "text" and "data".

    Raises:
        InputError: no session is running, or it does not answer.
        SettingsError: the command is more than one line, or of letters that cannot be sent.
    """
    try:
        coded = line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise SettingsError("a command is one line of plain letters") from error
    if b"\n" in coded:
        raise SettingsError("a command is one line of plain letters")
    with connect(path, seconds=seconds) as server:
        try:
            server.sendall(coded + b"\n")
            with server.makefile("rb") as answers:
                reply = answers.readline()
            read: dict[str, Any] = json.loads(reply)
        except (OSError, ValueError) as error:
            raise InputError(
                "humanseg live does not answer", hint="see what it shows, or start it again"
            ) from error
    return read
