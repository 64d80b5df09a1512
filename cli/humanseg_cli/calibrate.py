"""`humanseg calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument

from humanseg_cli import draw
from humanseg_cli.options import Debug, Json, trained_on, training_data
from humanseg_cli.weights import named_weights

RUN = "The measurement"


def calibrate(
    names: Annotated[
        list[str],
        Argument(metavar="NAMES...", help="Weights to measure.", show_default=False),
    ],
    config: Annotated[Path, trained_on(RUN)],
    data: Annotated[Path, training_data(RUN)],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how weights can be rounded to 8 bits, on pictures kept out of training.

    [bold]humanseg calibrate unet hrnet --config unet.toml --data data[/bold]
    """
    stems, folder = named_weights(names)
    from humanseg.models.registry import save_ranges
    from humanseg_training.calibrate import PICTURES
    from humanseg_training.calibrate import calibrate as measure
    from humanseg_training.config_file import read_config

    run = read_config(config)
    how = {
        "pictures": f"up to {PICTURES} held-out ones of each set",
        "data": [item.name for item in run.data],
    }
    written = {}
    for name in stems:
        ranges = measure(name, data, run.data, holdout=run.holdout, folder=folder)
        written[name] = (len(ranges), save_ranges(name, ranges, how, folder))
    if as_json:
        draw.print_json(
            {
                name: {"convolutions": count, "file": str(path)}
                for name, (count, path) in written.items()
            }
        )
        return
    for name, (count, path) in written.items():
        print(f"{name}: {count} convolutions, {path} is written")
