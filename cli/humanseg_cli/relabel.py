"""`humanseg relabel`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from humanseg_cli import draw
from humanseg_cli.evaluate import make_predictor
from humanseg_cli.options import PICTURES, WRITING, Debug, Flip, Json, Names, Quiet


def relabel(
    names: Names,
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
    flip: Flip = False,
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
