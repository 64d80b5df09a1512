"""`humanseg snapshot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from humanseg.errors import SettingsError
from humanseg_cli import draw
from humanseg_cli.options import (
    WRITING,
    Background,
    Blur,
    Debug,
    Device,
    Engine,
    Json,
    Overwrite,
    Preset,
    Quiet,
    Threads,
    choose_background,
)

Source = Annotated[
    Path,
    Argument(metavar="IN", help="A video, a picture, or a folder of them.", show_default=False),
]
Folder = Annotated[Path, Argument(metavar="OUT", help="The folder to make.", show_default=False)]
Frames = Annotated[
    str | None,
    Option(
        "--frames",
        metavar="LIST",
        help="Which, from 0; 0,30,60 of a video.",
        rich_help_panel=WRITING,
        show_default=False,
    ),
]


def snapshot(
    source: Source,
    folder: Folder,
    frames: Frames = None,
    blur: Blur = None,
    background: Background = None,
    preset: Preset = "balanced",
    device: Device = "auto",
    engine: Engine = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Store masks and composites of a few frames, to compare with later.

    [bold]humanseg snapshot in.mp4 before --frames 0,30,60[/bold]
    """
    place = choose_background(blur, background)
    numbers = None if frames is None else parse_frames(frames)
    from humanseg.snapshots import FILE, take_snapshot

    taken = take_snapshot(
        source,
        folder,
        frames=numbers,
        background=place,
        preset=preset,
        device=device,
        engine=engine,
        threads=threads,
        overwrite=overwrite,
    )
    if as_json:
        listed = [{"index": frame.index, "name": frame.name} for frame in taken.frames]
        draw.print_json({"folder": str(folder), "frames": listed, **taken.facts})
    elif not quiet:
        counted = f"{len(taken.frames)} frame{'s' * (len(taken.frames) != 1)}"
        draw.say(f"{folder}", style="bold")
        draw.say(f"{counted} by {preset} on {taken.facts['engine']}; all facts are in {FILE}")


def parse_frames(text: str) -> list[int]:
    """Numbers of frames from a list like "0,30,60".

    Raises:
        SettingsError: it is no such list.

    >>> parse_frames("0, 30,60")
    [0, 30, 60]
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise SettingsError(
            f"'{text}' is no list of frames", hint="numbers from 0 with commas: --frames 0,30,60"
        )
    return [int(part) for part in parts]
