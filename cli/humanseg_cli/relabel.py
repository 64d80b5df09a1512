"""`humanseg relabel`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from humanseg_cli import draw
from humanseg_cli.evaluate import PICTURES, make_predictor
from humanseg_cli.options import WRITING, Debug, Json, Quiet


def relabel(
    names: Annotated[
        list[str],
        Argument(
            metavar="NAMES...",
            help="Weights (several: an ensemble) or a preset.",
            show_default=False,
        ),
    ],
    images: Annotated[
        Path,
        Option(
            "--images",
            metavar="FOLDER",
            help="Pictures to label.",
            rich_help_panel=PICTURES,
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        Option(
            "--out",
            metavar="FOLDER",
            help="For the soft masks.",
            rich_help_panel=WRITING,
            show_default=False,
        ),
    ],
    flip: Annotated[
        bool,
        Option(
            "--flip",
            metavar="",
            help="Average with the mirror image.",
            rich_help_panel=PICTURES,
        ),
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Label pictures with soft masks, for other networks to learn from.

    [bold]humanseg relabel best --images data/more --out data/more_masks[/bold]
    """
    predict = make_predictor(names, flip=flip)
    from humanseg_training.relabel import relabel as label

    count = label(images, out, predict)
    if as_json:
        draw.print_json({"masks": count, "folder": str(out)})
    elif not quiet:
        print(f"{count:,} soft masks are written to {out}")
