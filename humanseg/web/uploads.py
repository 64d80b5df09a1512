"""Bodies of requests: read with a limit, into memory or into a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request

TOO_LARGE = 413

TooLargeText = Callable[[int], str]


async def read_body(request: Request, most: int, too_large: TooLargeText) -> bytes:
    """The whole body.

    Args:
        request: being answered.
        most: bytes.
        too_large: says that so many bytes are too many.

    Raises:
        HTTPException: 413, it is larger; known before the first byte is read where its length is
            told.
        ClientDisconnect: the browser has left.
    """
    data = bytearray()
    async for chunk in _limited(request, most, too_large):
        data += chunk
    return bytes(data)


async def save_body(
    request: Request,
    path: Path,
    most: int,
    too_large: TooLargeText,
    check_head: Callable[[bytes], None],
) -> None:
    """Write the whole body into a file, which is the caller's to delete whatever happens.

    Args:
        request: being answered.
        path: of a new file.
        most: bytes.
        too_large: says that so many bytes are too many.
        check_head: raises if the first bytes are those of no file that is wanted.

    Raises:
        HTTPException: 413, it is larger.
        ClientDisconnect: the browser has left.
        OSError: the disk is full.
    """
    is_checked = False
    async with await anyio.open_file(path, "xb") as file:
        async for chunk in _limited(request, most, too_large):
            if not is_checked:
                is_checked = True
                check_head(chunk)
            await file.write(chunk)
    if not is_checked:
        check_head(b"")


def told_length(request: Request) -> int | None:
    """The bytes that the request says it has; None if it does not say."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


async def _limited(request: Request, most: int, too_large: TooLargeText) -> AsyncIterator[bytes]:
    told = told_length(request)
    if told is not None and told > most:
        raise HTTPException(TOO_LARGE, too_large(told))
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > most:
            raise HTTPException(TOO_LARGE, too_large(received))
        if chunk:
            yield chunk
