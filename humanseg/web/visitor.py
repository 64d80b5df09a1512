"""One browser's socket: state and pictures go out, commands come in.

Messages to the browser are JSON with a "kind", or a picture: its number in four bytes, big-endian,
and a JPEG. Messages from it are JSON: {"command": line, "id": n}, {"watch": bool}, {"seen": n}.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from humanseg.web.broadcast import Broadcast
from humanseg.web.file_jobs import FileQueue
from humanseg.web.live_side import LiveSide

STATE_SECONDS = 0.5

UNSEEN = 2
"""Pictures on their way to a browser; one that draws slowly gets fewer, not older ones."""


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
        """Greet the browser, then send and receive until it leaves."""
        with suppress(WebSocketDisconnect, OSError, RuntimeError):
            await self._tell("hello", hello)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._quietly, self._send_state)
                tasks.start_soon(self._quietly, self._send_pictures)
                await self._quietly(self._receive)
                tasks.cancel_scope.cancel()

    async def _quietly(self, body: Any) -> None:
        # A browser that has left is no fault; the receiving task notices and ends the others.
        with suppress(WebSocketDisconnect, OSError, RuntimeError):
            await body()

    async def _tell(self, kind: str, content: Mapping[str, object]) -> None:
        text = json.dumps({"kind": kind, **content})
        async with self._sending:
            await self._socket.send_text(text)

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
                await self._drawn.wait()
            last, picture = await broadcast.after(last)
            unseen = [number for number in unseen if number > self._seen] + [last]
            async with self._sending:
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
