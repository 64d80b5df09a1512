"""`humanseg report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from humanseg_cli import draw
from humanseg_cli.evaluate import make_predictor
from humanseg_cli.options import PICTURES, Debug, Images, Json, Names, PictureData, Quiet
from humanseg_cli.weights import members_of

PAGE = "The page"


def report(
    names: Names,
    data: PictureData,
    out: Annotated[
        Path,
        Option(
            "--out",
            metavar="PAGE.html",
            help="The masks go beside it, as .csv.",
            rich_help_panel=PAGE,
            show_default=False,
        ),
    ],
    images: Images = "images",
    masks: Annotated[
        str,
        Option(
            "--masks",
            metavar="NAME",
            help="Folder below; without it there are no scores.",
            rich_help_panel=PICTURES,
            show_default=False,
        ),
    ] = "",
    gains: Annotated[
        bool,
        Option(
            "--gains",
            metavar="",
            help="Score each post-processing module, too.",
            rich_help_panel=PAGE,
        ),
    ] = False,
    tuner: Annotated[
        Path | None,
        Option(
            "--tuner",
            metavar="FILE",
            help="A mask tuner, for --gains.",
            rich_help_panel=PAGE,
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show pictures, masks, cut-outs and scores on one page, and write the masks as text.

    [bold]humanseg report balanced --data data --images test --out test.html[/bold]
    """
    _check(out, masks, gains=gains, tuner=tuner)
    predict = make_predictor(names, flip=False)
    from humanseg_training.config import DataSet
    from humanseg_training.evaluate import read_truths
    from humanseg_training.gains import measure_gains
    from humanseg_training.report import (
        make_row,
        page,
        predict_entries,
        worst_first,
        write_masks,
        write_page,
    )

    shown = DataSet(images, masks)
    rows = worst_first(make_row(entry) for entry in predict_entries(data, shown, predict))
    measured = []
    if gains:
        stems, folder = members_of(names)
        measured = measure_gains(stems, read_truths(data, shown), folder=folder, tuner=tuner)
    title = " + ".join(names)
    write_page(page(title, f"{len(rows):,} pictures of {data / images}.", rows, measured), out)
    csv = out.with_suffix(".csv")
    write_masks(rows, csv)
    if as_json:
        draw.print_json({"pictures": len(rows), "page": str(out), "masks": str(csv)})
    elif not quiet:
        print(f"{out} and {csv.name} are written")


def _check(out: Path, masks: str, *, gains: bool, tuner: Path | None) -> None:
    from humanseg.errors import SettingsError

    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingsError("a page ends in .html", subject=out)
    if gains and not masks:
        raise SettingsError("--gains needs --masks", hint="without masks there are no scores")
    if tuner is not None and not gains:
        raise SettingsError("--tuner is only for --gains", hint="add --gains")
