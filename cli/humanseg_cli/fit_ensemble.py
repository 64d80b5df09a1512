"""`humanseg fit-ensemble`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from humanseg.errors import SettingsError
from humanseg_cli import draw
from humanseg_cli.options import Debug, Json, trained_on, training_data
from humanseg_cli.weights import named_weights

RUN = "The fit"


def fit_ensemble(
    names: Annotated[
        list[str],
        Argument(metavar="NAMES...", help="Weights to combine.", show_default=False),
    ],
    config: Annotated[Path, trained_on(RUN)],
    data: Annotated[Path, training_data(RUN)],
    halved: Annotated[
        list[str] | None,
        Option(
            "--halved",
            metavar="NAME",
            help="Weights that see the pictures at half the size, at a quarter of the cost; "
            "may be given several times.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit what each network contributes, on pictures kept out of training.

    [bold]humanseg fit-ensemble unet hrnet --config unet.toml --data data[/bold]
    """
    stems, folder = named_weights(names)
    from humanseg_training.config_file import read_config

    run, small = read_config(config), [Path(name).stem for name in halved or ()]
    if unknown := sorted(set(small) - set(stems)):
        raise SettingsError(
            f"--halved names {', '.join(unknown)}, which is none of the weights to combine",
            hint=f"one of {', '.join(stems)}",
        )
    from humanseg.models.registry import save_shares
    from humanseg_training.ensemble_fit import fit_ensemble as fit

    shares = fit(stems, data, run.data, holdout=run.holdout, halved=small, folder=folder)
    fitted_on = {
        "pictures": f"every {run.holdout}th of the training sets, never trained on",
        "data": [item.images for item in run.data],
    }
    path = save_shares(shares, fitted_on, folder, halved=small)
    if as_json:
        draw.print_json({"shares": shares, "halved": small, "file": str(path)})
        return
    sizes = {name: "half" if name in small else "full" for name in shares}
    rows = [(name, f"{share:.4f}", sizes[name]) for name, share in shares.items()]
    draw.show(draw.table(("weights", "share", "size"), rows))
    print(f"{path} is written")
