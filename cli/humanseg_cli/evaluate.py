"""`humanseg evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from typer import Option

from humanseg.errors import SettingsError
from humanseg.sizes import NETWORK_PIXELS
from humanseg_cli import draw
from humanseg_cli.options import PICTURES, Debug, Flip, Images, Json, Names, PictureData
from humanseg_cli.weights import named_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from humanseg_training.evaluate import PictureScore, Scores
    from humanseg_training.predict import Predict


def evaluate(
    names: Names,
    data: PictureData,
    images: Images = "images",
    masks: Annotated[
        str, Option("--masks", metavar="NAME", help="Folder below.", rich_help_panel=PICTURES)
    ] = "masks",
    worst: Annotated[
        int,
        Option(
            "--worst",
            metavar="N",
            min=0,
            help="List so many of the worst pictures.",
            rich_help_panel=PICTURES,
        ),
    ] = 0,
    flip: Flip = False,
    area: Annotated[
        list[int] | None,
        Option(
            "--area",
            metavar="PIXELS",
            min=256,
            max=4_000_000,
            help="Area in which networks see a picture (27648 unless you say otherwise); several "
            "are averaged.",
            rich_help_panel=PICTURES,
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score weights on a folder of pictures with masks.

    [bold]humanseg evaluate balanced --data data/valid --worst 5[/bold]
    """
    predict = make_predictor(names, flip=flip, areas=area or ())
    from humanseg_training.config import DataSet
    from humanseg_training.evaluate import evaluate as score

    scores = score(data, DataSet(images, masks), predict)
    if as_json:
        draw.print_json({"names": names, "flip": flip, "areas": area, **_fields(scores, worst)})
        return
    # Four names would leave no room for the figures beside them.
    sizes = f", at {' and '.join(f'{pixels:,}' for pixels in area)} pixels" if area else ""
    print(" + ".join(names) + (", flipped too" if flip else "") + sizes)
    titles = ("pictures", "mean Dice", "pooled Dice", "IoU", "boundary F")
    row = (
        f"{len(scores.pictures):,}",
        f"{scores.dice:.4f}",
        f"{scores.pooled_dice:.4f}",
        f"{scores.iou:.4f}",
        f"{scores.boundary_f:.4f}",
    )
    draw.show(draw.table(titles, [row]))
    if worst:
        rows = [
            (picture.name, f"{picture.dice:.4f}", f"{picture.iou:.4f}", f"{picture.boundary_f:.4f}")
            for picture in _lowest(scores, worst)
        ]
        draw.show(draw.table(("worst", "Dice", "IoU", "boundary F"), rows))


def make_predictor(names: list[str], *, flip: bool, areas: Sequence[int] = ()) -> Predict:
    """What makes masks: a preset as it serves users, or the bare networks of one or more names."""
    from humanseg.models.registry import load_ensemble
    from humanseg.settings import PRESETS

    if len(names) == 1 and names[0] in PRESETS:
        from humanseg_training.predict import preset_predictor

        if flip or areas:
            raise SettingsError(
                f"the preset '{names[0]}' decides for itself about flipping and sizes",
                hint="leave out --flip and --area, or name weights",
            )
        return preset_predictor(names[0])
    from humanseg_training.predict import predictor

    stems, folder = named_weights(names)
    network = load_ensemble(stems, folder)
    return predictor(network, flip=flip, areas=areas or (NETWORK_PIXELS,))


def _lowest(scores: Scores, count: int) -> list[PictureScore]:
    return sorted(scores.pictures, key=lambda picture: picture.dice)[:count]


def _fields(scores: Scores, worst: int) -> dict[str, object]:
    return {
        "pictures": len(scores.pictures),
        "dice": scores.dice,
        "pooled_dice": scores.pooled_dice,
        "iou": scores.iou,
        "boundary_f": scores.boundary_f,
        "worst": [
            {
                "name": picture.name,
                "dice": picture.dice,
                "iou": picture.iou,
                "boundary_f": picture.boundary_f,
            }
            for picture in _lowest(scores, worst)
        ],
    }
