"""`humanseg models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from humanseg_cli import draw
from humanseg_cli.options import Debug, Json

if TYPE_CHECKING:
    from humanseg.models.registry import Card
    from humanseg.settings import Preset

MEGABYTE = 1e6


def models(as_json: Json = False, debug: Debug = False) -> None:
    """List the weights, and which preset uses which.

    [bold]humanseg models[/bold]
    """
    from humanseg.models.registry import available
    from humanseg.settings import PRESETS

    cards = available()
    if as_json:
        draw.print_json(
            {
                "weights": [_fields(card) for card in cards],
                "presets": {
                    name: {"models": list(preset.models), "areas": list(preset.areas)}
                    for name, preset in PRESETS.items()
                },
            }
        )
        return
    titles = ("weights", "network", "width", "parameters", "size", "epochs", "Dice")
    draw.show(draw.table(titles, [_row(card) for card in cards], left=2))
    rows = [(name, _about(preset)) for name, preset in PRESETS.items()]
    draw.show(draw.table(("preset", ""), rows, left=2, fold=True))


def _about(preset: Preset) -> str:
    return f"{preset.about} ({' + '.join(preset.models)})"


def _fields(card: Card) -> dict[str, object]:
    return {
        "name": card.name,
        "network": card.network,
        "width": card.width,
        "parameters": card.parameters,
        "bytes": card.bytes,
        "sha256": card.sha256,
        "training": dict(card.training),
        "scores": dict(card.scores),
    }


def _row(card: Card) -> tuple[str, ...]:
    return (
        card.name,
        card.network,
        str(card.width),
        f"{card.parameters:,}",
        f"{card.bytes / MEGABYTE:.1f} MB",
        _number(card.training.get("epochs"), "g"),
        _number(card.scores.get("dice"), ".4f"),
    )


def _number(value: object, form: str) -> str:
    """A number of a card, or a dash where the card has none."""
    return format(value, form) if isinstance(value, int | float) else "-"
