"""`humanseg video`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from humanseg_cli import draw
from humanseg_cli.options import (
    WRITING,
    Background,
    Blur,
    Debug,
    Device,
    Engine,
    Json,
    LightWrap,
    NoGate,
    Output,
    Overwrite,
    Premultiplied,
    Preset,
    Quiet,
    Threads,
    choose_background,
)

Source = Annotated[Path, Argument(metavar="IN", help="The video to read.", show_default=False)]
Target = Annotated[Path, Argument(metavar="OUT", help="The video to write.", show_default=False)]
Codec = Annotated[
    str | None,
    Option(
        "--codec",
        metavar="NAME",
        help="h264 by default; h265, vp9, av1, prores, ...",
        rich_help_panel=WRITING,
        show_default=False,
    ),
]
Crf = Annotated[
    int | None,
    Option(
        "--crf",
        metavar="N",
        help="Lower is better, and bigger.",
        rich_help_panel=WRITING,
        show_default=False,
    ),
]
EncoderPreset = Annotated[
    str | None,
    Option(
        "--encoder-preset",
        metavar="NAME",
        help="Of the encoder: veryfast, slow, ...",
        rich_help_panel=WRITING,
        show_default=False,
    ),
]


def video(
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
    codec: Codec = None,
    crf: Crf = None,
    encoder_preset: EncoderPreset = None,
    no_gate: NoGate = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Blur, replace or remove what is behind people in a video.

    [bold]humanseg video in.mp4 out.mp4 --blur-background 0.8[/bold]
    """
    place = choose_background(blur, background)
    with draw.progress(source.name, "frames", shown=not (quiet or as_json)) as on_progress:
        from humanseg.jobs import process_video

        done = process_video(
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
            codec=codec,
            crf=crf,
            encoder_preset=encoder_preset,
            gate=not no_gate,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if as_json:
        draw.print_json(draw.fields(done))
    elif not quiet:
        draw.summary(done)
