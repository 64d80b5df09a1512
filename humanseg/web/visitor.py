"""One browser's socket: state and pictures go out, commands come in.

Messages to the browser are JSON with a "kind", or a picture: its number in four bytes, big-endian,
and a JPEG. Messages from it are JSON: {"command": line, "id": n}, {"watch": bool}, {"seen": n}.
"""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from humanseg.web.broadcast import Broadcast
from humanseg.web.file_jobs import FileQueue
from humanseg.web.live_side import LiveSide

STATE_SECONDS = 0.5

PATIENCE = 20.0
"""Seconds for a browser to draw a picture or to take a message; then it is taken for gone.

One that comes back, as after the machine has slept, opens a new socket.
"""

UNSEEN = 2
"""Pictures on their way to a browser; one that draws slowly gets fewer, not older ones."""


Body = Callable[[], Awaitable[None]]

_GONE = (WebSocketDisconnect, OSError, RuntimeError)
"""What sending and receiving raise when the browser has left; a TimeoutError is an OSError."""


class Visitor:
    """Serves one socket until the browser leaves."""

    def __init__(
        self,
        socket: WebSocket,
        live: LiveSide | None,
        broadcast: Broadcast | None,
        files: FileQueue,
    ) -> None:
        """Take a socket that was accepted.

        Args:
            socket: of the browser.
            live: the session; None without one.
            broadcast: its pictures; None without a session.
            files: the queue of video files.
        """
        self._socket, self._live, self._broadcast, self._files = socket, live, broadcast, files
        self._sending = anyio.Lock()
        self._watches = anyio.Event()
        self._watching: anyio.CancelScope | None = None
        self._sent = self._seen = 0
        self._drawn = anyio.Event()

    async def serve(self, hello: Mapping[str, object]) -> None:
        """Greet the browser, then send and receive until it leaves or is silent for too long."""
        with suppress(*_GONE):
            await self._tell("hello", hello)
            async with anyio.create_task_group() as tasks:
                for body in (self._send_state, self._send_pictures, self._receive):
                    tasks.start_soon(self._until_gone, body, tasks.cancel_scope)

    async def _until_gone(self, body: Body, all_bodies: anyio.CancelScope) -> None:
        try:
            await body()
        except _GONE:
            all_bodies.cancel()

    async def _tell(self, kind: str, content: Mapping[str, object]) -> None:
        text = json.dumps({"kind": kind, **content})
        async with self._turn_to_send():
            await self._socket.send_text(text)

    @asynccontextmanager
    async def _turn_to_send(self) -> AsyncIterator[None]:
        """One message at a time; a browser that takes none for a while is gone.

        Raises:
            TimeoutError: it is.
        """
        with anyio.fail_after(PATIENCE):
            async with self._sending:
                yield

    async def _send_state(self) -> None:
        version = -1
        while True:
            if self._live is not None:
                status = await anyio.to_thread.run_sync(self._live.status)
                await self._tell("live", {"status": status})
            if self._files.version != version:
                version = self._files.version
                await self._tell("files", {"jobs": [job.fields() for job in self._files.jobs()]})
            await anyio.sleep(STATE_SECONDS)

    async def _send_pictures(self) -> None:
        if self._broadcast is None:
            return
        while True:
            await self._watches.wait()
            with anyio.CancelScope() as self._watching:
                async with self._broadcast.watching():
                    await self._send_while_watching(self._broadcast)

    async def _send_while_watching(self, broadcast: Broadcast) -> None:
        last = broadcast.number
        unseen: list[int] = []
        self._seen = last
        while True:
            while len([number for number in unseen if number > self._seen]) >= UNSEEN:
                self._drawn = anyio.Event()
                with anyio.fail_after(PATIENCE):
                    await self._drawn.wait()
            last, picture = await broadcast.after(last)
            unseen = [number for number in unseen if number > self._seen] + [last]
            async with self._turn_to_send():
                await self._socket.send_bytes(struct.pack(">I", last) + picture)

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive_text()
            try:
                content = json.loads(message)
            except ValueError:
                continue
            if isinstance(content, dict):
                await self._obey(content)

    async def _obey(self, content: dict[str, Any]) -> None:
        if isinstance(content.get("watch"), bool):
            self._watch(content["watch"])
        if isinstance(content.get("seen"), int):
            self._seen = content["seen"]
            self._drawn.set()
        command = content.get("command")
        if isinstance(command, str) and self._live is not None:
            reply = await anyio.to_thread.run_sync(self._live.apply, command)
            answer = {"id": content.get("id"), "ok": reply.ok, "text": reply.text}
            await self._tell("reply", {**answer, "look": (reply.data or {}).get("look")})

    def _watch(self, is_wanted: bool) -> None:
        if is_wanted:
            self._watches.set()
        else:
            self._watches = anyio.Event()
            if self._watching is not None:
                self._watching.cancel()
