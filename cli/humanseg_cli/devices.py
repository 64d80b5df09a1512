"""`humanseg devices`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

from humanseg_cli import draw
from humanseg_cli.options import Debug, Json

if TYPE_CHECKING:
    from humanseg.devices import Camera, VirtualCamera
    from humanseg.v4l2 import Mode

NO_CAMERA = (
    "plug in a camera, or hand it over to the container (--device=/dev/video0); "
    "a video file or an address does as camera, too"
)
NO_PERMISSION = "join the group that may open cameras: sudo usermod -aG video $USER; log in again"
UNKNOWN = (
    "this system tells neither names of cameras nor what else they could do; "
    "each was switched on for a moment"
)


def devices(as_json: Json = False, debug: Debug = False) -> None:
    """List cameras with their formats, and virtual cameras.

    [bold]humanseg devices[/bold]
    """
    from humanseg.devices import cameras, virtual_cameras

    found, virtual = cameras(), virtual_cameras()
    steps = _next_steps(found, virtual)
    if as_json:
        draw.print_json(
            {
                "cameras": [asdict(camera) for camera in found],
                "virtual_cameras": [asdict(camera) for camera in virtual],
                "next_steps": steps,
            }
        )
        return
    _draw_cameras(found)
    _draw_virtual_cameras(virtual)
    for step in steps:
        _say(step, style="cyan")


def _next_steps(found: Sequence[Camera], virtual: Sequence[VirtualCamera]) -> list[str]:
    from humanseg.devices import virtual_camera_hint

    steps = []
    if not found:
        steps.append(NO_CAMERA)
    if (found and all(camera.problem for camera in found)) or any(
        camera.problem for camera in virtual
    ):
        steps.append(NO_PERMISSION)
    if found and sys.platform != "linux":
        steps.append(UNKNOWN)
    if not virtual:
        steps.append(virtual_camera_hint())
    return steps


def _draw_cameras(found: Sequence[Camera]) -> None:
    if not found:
        _say("no cameras")
        return
    rows = []
    for camera in found:
        device = camera.path or str(camera.index)
        name = (camera.name or "") + (" (virtual)" if camera.is_virtual else "")
        if not camera.modes:
            rows.append((device, name, "", camera.problem or ""))
        for letters, modes in groupby(camera.modes, key=lambda mode: mode.pixel_format):
            rows.append((device, name, letters, "\n".join(_mode(mode) for mode in modes)))
            device = name = ""
    draw.show(draw.table(("camera", "name", "format", "sizes"), rows, left=4, fold=True))


def _mode(mode: Mode) -> str:
    rates = ", ".join(f"{rate:g}" for rate in mode.rates)
    return f"{mode.width}x{mode.height}" + (f" at {rates}" if rates else "")


def _draw_virtual_cameras(virtual: Sequence[VirtualCamera]) -> None:
    if not virtual:
        _say("no virtual cameras")
        return
    rows = [
        (
            camera.path,
            camera.name,
            camera.problem or ("fed by a program" if camera.is_fed else "free"),
        )
        for camera in virtual
    ]
    draw.show(draw.table(("virtual camera", "name", "state"), rows, left=3))


def _say(text: str, *, style: str = "") -> None:
    from rich.console import Console
    from rich.text import Text

    # A command in a hint is to be copied, so it is not broken into lines.
    Console(highlight=False).print(Text(text, style=style), soft_wrap=True)
