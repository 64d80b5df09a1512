"""`humanseg export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from humanseg_cli import draw
from humanseg_cli.options import WRITING, Debug, Json, Names, Quiet
from humanseg_cli.weights import members_of


def export(
    names: Names,
    to: Annotated[
        Literal["onnx", "torchscript", "openvino"],
        Option(
            "--to",
            metavar="FORM",
            help="onnx, torchscript or openvino.",
            rich_help_panel=WRITING,
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        Option(
            "--out",
            metavar="FILE",
            help="NAMES with the form's ending by default.",
            rich_help_panel=WRITING,
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write networks as one file for other programs, checked against torch.

    [bold]humanseg export fast --to onnx[/bold]

    It takes (n, h, w, 3) BGR bytes, and gives (n, h, w), how surely a person.
    """
    stems, folder = members_of(names)
    from humanseg_training.export import ENDINGS
    from humanseg_training.export import export as write

    title = "-".join(Path(name).name.removesuffix(".safetensors") for name in names)
    path = out if out is not None else Path(title + ENDINGS[to])
    done = write(stems, folder, to, path)
    if as_json:
        fields = {"difference": done.difference, "checked_with": done.checked_with}
        draw.print_json({"file": str(done.path), **fields})
    elif not quiet:
        print(
            f"{done.path} is written; {done.checked_with} differs from torch by at most "
            f"{done.difference:.1e}"
        )
