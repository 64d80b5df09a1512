"""`humanseg image`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument

from humanseg_cli import draw
from humanseg_cli.options import (
    Background,
    Blur,
    Debug,
    Device,
    Engine,
    Json,
    LightWrap,
    Output,
    Overwrite,
    Premultiplied,
    Preset,
    Quiet,
    Threads,
    choose_background,
)

Source = Annotated[
    Path, Argument(metavar="IN", help="A picture, or a folder of them.", show_default=False)
]
Target = Annotated[
    Path, Argument(metavar="OUT", help="A picture, or a folder.", show_default=False)
]


def image(
    source: Source,
    target: Target,
    blur: Blur = None,
    background: Background = None,
    output: Output = "composite",
    light_wrap: LightWrap = 0.0,
    premultiplied: Premultiplied = False,
    preset: Preset = "balanced",
    device: Device = "auto",
    engine: Engine = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Blur, replace or remove what is behind people in pictures.

    [bold]humanseg image photos/ masks/ --output mask[/bold]
    """
    place = choose_background(blur, background)
    with draw.progress(source.name, "pictures", shown=not (quiet or as_json)) as on_progress:
        from humanseg.jobs import process_images

        done = process_images(
            source,
            target,
            background=place,
            output=output,
            light_wrap=light_wrap,
            premultiplied=premultiplied,
            preset=preset,
            device=device,
            engine=engine,
            threads=threads,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if as_json:
        draw.print_json(draw.fields(done))
    elif not quiet:
        draw.summary(done, unit="pictures")
