"""The control socket: commands from other programs of the same user.

One command a line, one reply a line: `{"ok": true, "text": "mirror is on", "data": {...}}`.
"""

from __future__ import annotations

import hmac
import json
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanseg.closing import Closing
from humanseg.control.commands import LONGEST_LINE
from humanseg.control.controls import Controls, Reply
from humanseg.control.endpoint import HAS_UNIX_SOCKETS, Listener, connect
from humanseg.errors import InputError, SettingsError

LONGEST = 4 * LONGEST_LINE
"""Bytes in a line; a letter has four at most."""

MOST_CLIENTS = 16
"""At once; the threads of a session must not grow without end."""

LONGEST_REPLY = 1 << 20
"""Bytes in an answer; more is none of ours."""

PATIENCE = 2.0
"""Seconds to wait for a client's secret, for one that does not take its reply, and for threads."""

IDLE = 5.0
"""Seconds of silence after which a client gives way to another, when there are too many."""

THREAD_NAME = "humanseg-control"


@dataclass(slots=True)
class _Client:
    """Somebody who is connected.

    Attributes:
        thread: that serves them.
        heard_at: `time.monotonic()` of their last line, or of their coming.
        is_owner: they have said the secret, if there is one.
    """

    thread: threading.Thread
    heard_at: float
    is_owner: bool = False


class ControlServer(Closing):
    """Answers commands from the moment it is made.

    Attributes:
        path: of the socket, or of the file with port and secret.
    """

    def __init__(
        self,
        controls: Controls,
        path: Path | None = None,
        *,
        unix: bool = HAS_UNIX_SOCKETS,
        listener: Listener | None = None,
    ) -> None:
        """Take the place of the socket, also that of an instance that has died, and answer.

        Args:
            controls: carry out the commands.
            path: of the socket; None for the user's usual one.
            unix: False takes a port of this machine instead.
            listener: that has a place already, and is not closed here; who has connected to it
                is answered now.

        Raises:
            InputError: another instance is there, or the place is not safe or cannot be written.
        """
        self._controls = controls
        self._closes_listener = listener is None
        self._listener = listener or Listener(path, unix=unix)
        self.path = self._listener.path
        self._clients: dict[socket.socket, _Client] = {}
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
                    try:
                        self._welcome(self._listener.socket.accept()[0])
                    except OSError:
                        # The client has left already, or there are too many open files.
                        time.sleep(0.05)

    def _welcome(self, client: socket.socket) -> None:
        client.settimeout(PATIENCE)
        with self._guard:
            has_room = not self._is_closed and self._make_room()
            if has_room:
                thread = threading.Thread(
                    target=self._serve, args=(client,), name=THREAD_NAME, daemon=True
                )
                self._clients[client] = _Client(thread, time.monotonic())
                thread.start()
        if not has_room:
            with client, suppress(OSError):
                _answer(client, Reply(False, "too many programs are connected already"))

    def _make_room(self) -> bool:
        """Whether one more may come; the one that was silent for longest has to leave for it."""
        if len(self._clients) < MOST_CLIENTS:
            return True
        socket_, idlest = min(self._clients.items(), key=lambda item: item[1].heard_at)
        if time.monotonic() - idlest.heard_at < IDLE:
            return False
        del self._clients[socket_]
        with suppress(OSError):
            socket_.shutdown(socket.SHUT_RDWR)
        return True

    def _serve(self, client: socket.socket) -> None:
        """Answer one client until it leaves."""
        try:
            with suppress(OSError):
                lines = self._lines(client)
                if self._is_owner(lines):
                    self._note(client, is_owner=True)
                    for line in lines:
                        self._note(client)
                        _answer(client, self._reply(line))
                else:
                    _answer(client, Reply(False, "this is not the secret of this session"))
        finally:
            with self._guard:
                self._clients.pop(client, None)
            client.close()

    def _note(self, client: socket.socket, *, is_owner: bool = False) -> None:
        """A client was heard."""
        with self._guard:
            if client in self._clients:
                self._clients[client].heard_at = time.monotonic()
                self._clients[client].is_owner |= is_owner

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
                if self._is_stranger(client):
                    return
                continue
            if not data:
                return
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                yield None if is_too_long or len(line) > LONGEST else line
                is_too_long = False
            if len(held) > LONGEST:
                held, is_too_long = b"", True

    def _is_stranger(self, client: socket.socket) -> bool:
        """Whether this client has owed the secret for too long."""
        with self._guard:
            known = self._clients.get(client)
            return known is None or not known.is_owner

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
        for each in clients.values():
            if each.thread is not threading.current_thread():
                each.thread.join(PATIENCE)
        if self._closes_listener:
            self._listener.close()
        self._woken.close()
        self._waker.close()


def _answer(client: socket.socket, reply: Reply) -> None:
    told = {"ok": reply.ok, "text": reply.text, "data": reply.data}
    client.sendall(json.dumps(told, default=str).encode() + b"\n")


def send(line: str, path: Path | None = None, *, seconds: float = 10.0) -> dict[str, Any]:
    """Send a command to the session that is running.

    Args:
        line: the command; see `humanseg.control.commands.describe_commands`.
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
                reply = json.loads(answers.readline(LONGEST_REPLY))
        except (OSError, ValueError) as error:
            raise InputError(
                "humanseg live does not answer", hint="see what it shows, or start it again"
            ) from error
    if not (isinstance(reply, dict) and {"ok", "text", "data"} <= reply.keys()):
        # The port of an instance that was killed may belong to another program by now.
        raise InputError("humanseg live is not running", hint="start it with 'humanseg live'")
    return reply
