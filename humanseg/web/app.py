"""The page's addresses, and what each answers."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from humanseg.errors import HumansegError
from humanseg.web import gallery, live_side
from humanseg.web.access import SOCKET_PROTOCOL, Guard
from humanseg.web.file_routes import file_routes
from humanseg.web.page import Page
from humanseg.web.uploads import read_body
from humanseg.web.visitor import Visitor

MOST_VISITORS = 16
"""Sockets open at once."""

TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


def make_app(page: Page) -> ASGIApp:
    """The application, guarded."""
    static = {path: _load(path) for path in _static_names()}

    async def show(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in static:
            raise HTTPException(404, "there is no such page")
        return Response(static[name], media_type=TYPES[Path(name).suffix])

    async def give_token(request: Request) -> Response:
        token = page.access.exchange(request.headers.get("x-ticket", ""))
        if token is None:
            raise HTTPException(403, "this address was used already; open the one humanseg printed")
        return JSONResponse({"token": token})

    async def list_backgrounds(request: Request) -> Response:
        return JSONResponse({"backgrounds": await _threaded(page.background_tiles)})

    async def add_background(request: Request) -> Response:
        data = await read_body(request, gallery.MOST_BYTES, gallery.too_large_text)
        name = request.query_params.get("name", "")
        path = await _threaded(page.gallery.add, name, data)
        return JSONResponse({"word": str(path), "label": path.stem}, 201)

    async def remove_background(request: Request) -> Response:
        await _threaded(page.gallery.remove, Path(request.query_params.get("background", "")))
        return JSONResponse({})

    async def show_thumbnail(request: Request) -> Response:
        name = request.query_params.get("background", "")
        if name not in await _threaded(page.background_files):
            raise HTTPException(404, "there is no such background")
        data = await _threaded(page.gallery.thumbnail, Path(name))
        return Response(data, media_type="image/jpeg")

    async def list_devices(request: Request) -> Response:
        return JSONResponse(await _threaded(live_side.cameras))

    async def list_profiles(request: Request) -> Response:
        names = [] if page.live is None else await _threaded(page.live.profiles)
        return JSONResponse({"profiles": names})

    async def end(request: Request) -> Response:
        """End the run: of the session by its own command, else of the page."""
        if page.live is not None:
            return JSONResponse({"ok": page.live.apply("quit").ok})
        if page.on_quit is not None:
            page.on_quit()
        return JSONResponse({"ok": page.on_quit is not None})

    async def meet(socket: WebSocket) -> None:
        if page.visitors >= MOST_VISITORS:
            await socket.close(1013, "too many pages are open")
            return
        page.visitors += 1
        try:
            await socket.accept(SOCKET_PROTOCOL)
            visitor = Visitor(socket, page.live, page.broadcast, page.files)
            await visitor.serve(page.hello())
        finally:
            page.visitors -= 1

    routes = [
        Route("/", show),
        Route("/static/{name}", show),
        Route("/api/token", give_token, methods=["POST"]),
        Route("/api/backgrounds", list_backgrounds),
        Route("/api/backgrounds", add_background, methods=["POST"]),
        Route("/api/backgrounds", remove_background, methods=["DELETE"]),
        Route("/api/thumbnail", show_thumbnail),
        Route("/api/devices", list_devices),
        Route("/api/profiles", list_profiles),
        Route("/api/quit", end, methods=["POST"]),
        WebSocketRoute("/api/events", meet),
        *file_routes(page),
    ]
    handlers: dict[Any, Any] = {
        HumansegError: _answer_error,
        HTTPException: _answer_refusal,
        ClientDisconnect: _answer_nobody,
        Exception: _answer_fault,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), page.access)


async def _threaded(work: Callable[..., Any], *arguments: object) -> Any:
    return await anyio.to_thread.run_sync(work, *arguments)


def _static_names() -> list[str]:
    names = [entry.name for entry in resources.files("humanseg.web").joinpath("static").iterdir()]
    return [name for name in names if Path(name).suffix in TYPES]


def _load(name: str) -> bytes:
    return resources.files("humanseg.web").joinpath("static", name).read_bytes()


async def _answer_error(request: Request, error: HumansegError) -> Response:
    return JSONResponse({"error": _sentence(error)}, 400)


def _sentence(error: HumansegError) -> str:
    """The error for people who see no terminal: "beach.jpg is no video" for "beach.jpg: is ..."."""
    if error.subject is None or not error.what.startswith(("is ", "has ")):
        return str(error)
    return f"{error.subject} {error.what}" + (f" ({error.hint})" if error.hint else "")


async def _answer_refusal(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code)


async def _answer_nobody(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=400)


async def _answer_fault(request: Request, fault: Exception) -> Response:
    return JSONResponse({"error": f"humanseg has a fault: {type(fault).__name__}: {fault}"}, 500)
