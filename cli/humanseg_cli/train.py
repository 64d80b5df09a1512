"""`humanseg train`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from humanseg_cli import draw
from humanseg_cli.options import Debug, Json, Quiet

RUN = "The run"


def train(
    config: Annotated[
        Path, Argument(metavar="CONFIG", help="What to train, in TOML.", show_default=False)
    ],
    data: Annotated[
        Path,
        Option(
            "--data",
            metavar="FOLDER",
            help="Where the folders named in CONFIG are.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        Option(
            "--out",
            metavar="FOLDER",
            help="For weights, log and checkpoint.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ],
    resume: Annotated[
        bool,
        Option(
            "--resume",
            metavar="",
            help="Go on from the checkpoint in --out.",
            rich_help_panel=RUN,
        ),
    ] = False,
    weights: Annotated[
        Path | None,
        Option(
            "--weights",
            metavar="FOLDER",
            help="Of weights that CONFIG names.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = None,
    wandb: Annotated[
        str,
        Option(
            "--wandb",
            metavar="PROJECT",
            help="Log to Weights & Biases, too.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = "",
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train one network on folders of pictures and masks.

    [bold]humanseg train unet.toml --data data --out runs/unet[/bold]

    Under torchrun (-m humanseg_cli train ...) many processes share each batch.
    """
    from humanseg_training.config_file import read_config

    run = read_config(config)
    from humanseg.models.registry import WEIGHTS_FOLDER
    from humanseg_training.loop import train as train_network

    def show(line: str) -> None:
        if not (quiet or as_json):
            print(_sentence(line), flush=True)

    card = train_network(
        run,
        data,
        out,
        resume=resume,
        weights_folder=weights or WEIGHTS_FOLDER,
        wandb=wandb,
        on_line=show,
    )
    if os.environ.get("RANK", "0") != "0":
        return  # one of many processes tells
    # A mask tuner has no card.
    written = card.with_suffix(".safetensors")
    if as_json:
        draw.print_json({"card": str(card), "weights": str(written)})
    elif not quiet:
        print(f"{written} is written, and beside it the logs, curves and sheets of the run")


def _sentence(line: str) -> str:
    """A line of the log, in words."""
    now = json.loads(line)
    return (
        f"epoch {now['epoch']:g}, step {now['step']:,} of {now['steps']:,}: "
        f"loss {now['loss']:.4f}, Dice {now['dice']:.4f}, {now['seconds']:,} s"
    )
