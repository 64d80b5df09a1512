"""Who may use the page: whoever knows its token, at the page's own address, and nobody else.

The token travels in the part of the address after "#", which browsers neither send nor put into
referrers, and then in a header or, for the socket, as a subprotocol. There is no cookie: what
another page makes the browser send carries no token.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Iterable
from threading import Lock

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"

SOCKET_PROTOCOL = "humanseg"
TOKEN_PROTOCOL = "token."
"""Before the token, where it stands among the socket's subprotocols."""

TICKET_SECONDS = 120.0
"""How long an address for one use is good."""

MOST_TICKETS = 64

GUARDED = "/api/"
EXCHANGE = "/api/token"
"""The one guarded path without a token: it gives one for a ticket."""

_NOT_HERE = "this page is only for the address that humanseg printed"
_NO_TOKEN = "the token is missing or wrong; open the address that humanseg printed"


class Tickets:
    """Random words that are each worth something once, for a while."""

    def __init__(self, seconds: float = TICKET_SECONDS) -> None:
        self._seconds = seconds
        self._worth: dict[str, tuple[float, str]] = {}
        self._lock = Lock()

    def issue(self, worth: str) -> str:
        """A new ticket for something."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._worth) >= MOST_TICKETS:
                self._worth.pop(next(iter(self._worth)))
            self._worth[ticket] = (time.monotonic() + self._seconds, worth)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """What a ticket was issued for; None if it is unknown, used or too old."""
        with self._lock:
            until, worth = self._worth.pop(ticket, (0.0, ""))
        return worth if time.monotonic() < until else None


class Access:
    """The token of one run, and the addresses it is good at."""

    def __init__(self, port: int) -> None:
        self._token = secrets.token_urlsafe(32)
        self._logins = Tickets()
        hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        self._hosts = hosts
        self._origins = {f"http://{host}" for host in hosts}
        self._base = f"http://{HOST}:{port}/"

    @property
    def address(self) -> str:
        """Where the page is, with its token."""
        return f"{self._base}#token={self._token}"

    def address_for_once(self) -> str:
        """Where the page is, good for one use: other users may see it in the list of processes."""
        return f"{self._base}#once={self._logins.issue('token')}"

    def exchange(self, ticket: str) -> str | None:
        """The token for the ticket of an address for one use; None if that is not good."""
        return self._token if self._logins.redeem(ticket) is not None else None

    def knows(self, token: str) -> bool:
        """Whether this is the token; takes the same time for every wrong one."""
        return hmac.compare_digest(token.encode(), self._token.encode())

    def is_own_address(self, hosts: Iterable[str], origins: Iterable[str]) -> bool:
        """Whether a request names the page's own host, and comes from no other page.

        A foreign name that was made to mean 127.0.0.1 (DNS rebinding) is still in `hosts`.
        """
        named = list(hosts)
        return len(named) == 1 and named[0] in self._hosts and set(origins) <= self._origins

    @property
    def security_headers(self) -> dict[str, str]:
        """Headers that keep the page from asking anybody else, and others from embedding it."""
        sockets = " ".join(sorted(f"ws://{host}" for host in self._hosts))
        policy = [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            f"connect-src 'self' {sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ]
        return {
            "Content-Security-Policy": "; ".join(policy),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }


class Guard:
    """Lets requests through to the app that `Access` allows."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 or pass on."""
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:  # closed before it was accepted: the client sees 403
                await send({"type": "websocket.close", "code": 1008, "reason": refusal})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in self._access.security_headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                message["headers"] = headers.raw
            await send(message)

        if refusal is None:
            await self._app(scope, receive, send_guarded)
        else:
            await JSONResponse({"error": refusal}, 403)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        if not self._access.is_own_address(headers.getlist("host"), headers.getlist("origin")):
            return _NOT_HERE
        path = scope["path"]
        if not path.startswith(GUARDED) or path == EXCHANGE:
            return None
        token = _socket_token(scope) if scope["type"] == "websocket" else _bearer_token(headers)
        return None if self._access.knows(token) else _NO_TOKEN


def _bearer_token(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token if kind == "Bearer" else ""


def _socket_token(scope: Scope) -> str:
    offered = scope.get("subprotocols", [])
    tokens = [word.removeprefix(TOKEN_PROTOCOL) for word in offered if _is_token(word)]
    return tokens[0] if len(tokens) == 1 else ""


def _is_token(word: str) -> bool:
    return word.startswith(TOKEN_PROTOCOL)
