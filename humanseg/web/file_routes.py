"""The addresses for video files: hand one in, follow it, take the result."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from functools import partial

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from humanseg.errors import SettingsError
from humanseg.look.looks import blur_strength, check_choice, is_path
from humanseg.settings import find_preset
from humanseg.web.file_jobs import MOST_BYTES, FileJob, JobState, Wish
from humanseg.web.file_kinds import is_video
from humanseg.web.names import clean_stem, suffix_of
from humanseg.web.page import Page
from humanseg.web.uploads import save_body, told_length

SPARE_BYTES = 500_000_000
"""Left on the disk; it is the user's."""

OUTPUTS = ("composite", "mask", "alpha")

_FULL = 507


def file_routes(page: Page) -> Sequence[Route]:
    """The routes of a page."""

    async def add_file(request: Request) -> Response:
        name = request.query_params.get("name", "")
        stem = clean_stem(name)
        wish = _read_wish(page, request)
        page.files.check_room()
        _check_disk(page, told_length(request) or 0)
        folder = page.scratch / secrets.token_hex(8)
        result = f"{stem} {_word_for(wish)}{wish.suffix}"
        source, target = folder / f"source{suffix_of(name)}", folder / f"result{wish.suffix}"
        job = FileJob(name, source, target, result, wish)
        try:
            folder.mkdir()
            await save_body(request, source, MOST_BYTES, _too_large, partial(_check, name))
            await anyio.to_thread.run_sync(page.files.add, job)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise HTTPException(_FULL, f"the video cannot be stored: {error.strerror}") from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return JSONResponse({"key": job.key}, 201)

    async def cancel_file(request: Request) -> Response:
        page.files.cancel(request.path_params["key"])
        return JSONResponse({})

    async def remove_file(request: Request) -> Response:
        await anyio.to_thread.run_sync(page.files.remove, request.path_params["key"])
        return JSONResponse({})

    async def prepare_download(request: Request) -> Response:
        job = page.files.find(request.path_params["key"])
        if job.state is not JobState.DONE:
            raise SettingsError("this video is not finished")
        return JSONResponse({"address": f"/download/{page.downloads.issue(job.key)}"})

    async def download(request: Request) -> Response:
        """A result for a ticket: a link that the browser follows carries no token."""
        key = page.downloads.redeem(request.path_params["ticket"])
        if key is None:
            raise HTTPException(403, "this download was used already; press Save again")
        job = page.files.find(key)
        return FileResponse(job.target, filename=job.result_name)

    return [
        Route("/api/files", add_file, methods=["POST"]),
        Route("/api/files/{key}", remove_file, methods=["DELETE"]),
        Route("/api/files/{key}/cancel", cancel_file, methods=["POST"]),
        Route("/api/files/{key}/ticket", prepare_download, methods=["POST"]),
        Route("/download/{ticket}", download, methods=["GET"]),
    ]


def _read_wish(page: Page, request: Request) -> Wish:
    """What is to be done, checked before a byte of the video is read."""
    asked = request.query_params
    wish = Wish(
        asked.get("background", "blur"),
        asked.get("output", "composite"),
        asked.get("preset", "balanced"),
    )
    check_choice("output", wish.output, OUTPUTS)
    find_preset(wish.preset)
    blur_strength(wish.background)
    if is_path(wish.background) and wish.background not in page.background_files():
        raise SettingsError("there is no such background", subject=wish.background)
    return wish


def _check(name: str, head: bytes) -> None:
    if not is_video(head):
        raise SettingsError(
            "is no video that can be read",
            subject=name,
            hint="choose an MP4, MOV, MKV, WebM, AVI or MPEG file",
        )


def _check_disk(page: Page, size: int) -> None:
    free = shutil.disk_usage(page.scratch).free
    if free < 2 * size + SPARE_BYTES:
        raise HTTPException(_FULL, f"the disk has only {free / 1e9:.1f} GB left for this video")


def _too_large(size: int) -> str:
    return (
        f"the video has {size / 1e9:.1f} GB, more than {MOST_BYTES / 1e9:g} GB; "
        "use the command `humanseg video` for it"
    )


def _word_for(wish: Wish) -> str:
    if wish.output != "composite":
        return {"mask": "mask", "alpha": "transparent"}[wish.output]
    return "blurred" if wish.background.startswith("blur") else "new background"
