"""Options that more than one command has: their types, help and panels, once each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, BadParameter, Option

from humanseg.errors import SettingsError

EFFECT = "Effect"
SPEED = "Quality and speed"
WRITING = "Writing"
PICTURES = "Pictures"
SHOWN = "What is shown"

DEFAULT_BACKGROUND = "blur"

USUAL_BLUR = "usual"
"""Strength of `--blur-background` without a number: that of the config file, or the default."""


def read_blur(text: str) -> str:
    """A strength, or USUAL_BLUR, as it was given.

    Raises:
        BadParameter: it is neither.
    """
    if text != USUAL_BLUR:
        try:
            float(text)
        except ValueError:
            raise BadParameter(f"{text!r} is not a number.") from None
    return text


def trained_on(panel: str) -> Any:
    """`--config FILE`: the run of the weights that a command is given."""
    return Option(
        "--config",
        metavar="FILE",
        help="What they were trained on, in TOML.",
        rich_help_panel=panel,
        show_default=False,
    )


def training_data(panel: str) -> Any:
    """`--data FOLDER`: where the data of `trained_on` is."""
    return Option(
        "--data",
        metavar="FOLDER",
        help="Where the folders named there are.",
        rich_help_panel=panel,
        show_default=False,
    )


Blur = Annotated[
    str | None,
    Option(
        "--blur-background",
        metavar="[STRENGTH]",
        parser=read_blur,
        help="Blur it, 0 to 1; the default, at 0.5.",
        rich_help_panel=EFFECT,
        show_default=False,
    ),
]
Background = Annotated[
    str | None,
    Option(
        "--background",
        metavar="FILE|COLOR",
        help="A picture, a video, green, #00ff00, ...",
        rich_help_panel=EFFECT,
        show_default=False,
    ),
]
Output = Annotated[
    Literal["composite", "mask", "alpha", "foreground"],
    Option(
        "--output",
        metavar="WHAT",
        help="composite, mask, alpha or foreground.",
        rich_help_panel=EFFECT,
        show_default=False,
    ),
]
LightWrap = Annotated[
    float,
    Option(
        "--light-wrap",
        metavar="SHARE",
        min=0,
        max=1,
        help="Its light over the edges, 0 to 1.",
        rich_help_panel=EFFECT,
        show_default=False,
    ),
]
Premultiplied = Annotated[
    bool,
    Option(
        "--premultiplied",
        metavar="",
        help="With --output alpha.",
        rich_help_panel=EFFECT,
    ),
]
Preset = Annotated[
    Literal["fast", "balanced", "best"],
    Option("--preset", help="Networks.", rich_help_panel=SPEED),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    Option("--device", help="Where they run.", rich_help_panel=SPEED),
]
Engine = Annotated[
    Literal["auto", "torch", "openvino", "int8"],
    Option("--engine", help="What runs them.", rich_help_panel=SPEED),
]
Threads = Annotated[
    int | None,
    Option(
        "--threads",
        metavar="N",
        min=1,
        help="All cores by default.",
        rich_help_panel=SPEED,
        show_default=False,
    ),
]
NoGate = Annotated[
    bool,
    Option(
        "--no-gate",
        metavar="",
        help="Run the networks on still pictures, too.",
        rich_help_panel=SPEED,
    ),
]
Overwrite = Annotated[
    bool, Option("--overwrite", metavar="", help="Replace OUT.", rich_help_panel=WRITING)
]
Names = Annotated[
    list[str],
    Argument(
        metavar="NAMES...",
        help="Weights (several: an ensemble) or a preset.",
        show_default=False,
    ),
]
PictureData = Annotated[
    Path,
    Option(
        "--data",
        metavar="FOLDER",
        help="Where --images and --masks are.",
        rich_help_panel=PICTURES,
        show_default=False,
    ),
]
Images = Annotated[
    str, Option("--images", metavar="NAME", help="Folder below.", rich_help_panel=PICTURES)
]
Flip = Annotated[
    bool,
    Option(
        "--flip",
        metavar="",
        help="Average with the mirror image.",
        rich_help_panel=PICTURES,
    ),
]
Quiet = Annotated[bool, Option("--quiet", metavar="", help="Only errors.", rich_help_panel=SHOWN)]
Json = Annotated[
    bool, Option("--json", metavar="", help="The result as JSON.", rich_help_panel=SHOWN)
]
Debug = Annotated[
    bool, Option("--debug", metavar="", help="A traceback with errors.", rich_help_panel=SHOWN)
]


def choose_background(blur: str | None, background: str | None) -> str:
    """The one background that two options ask for, as the library takes it.

    Args:
        blur: as `read_blur` gives it; None when it was not given.
        background: as it was given.

    Raises:
        SettingsError: both are given, or the strength is not from 0 to 1.
    """
    if blur is None:
        return DEFAULT_BACKGROUND if background is None else background
    if background is not None:
        raise SettingsError(
            "--blur-background and --background exclude each other",
            hint="give only one of them",
        )
    if blur == USUAL_BLUR:
        return DEFAULT_BACKGROUND
    strength = float(blur)
    if not 0 <= strength <= 1:
        raise SettingsError(
            f"a blur of {strength:g} is not possible", hint="give a strength from 0 to 1"
        )
    return f"{DEFAULT_BACKGROUND}:{strength:g}"
