"""`humanseg compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from humanseg_cli import draw
from humanseg_cli.options import SHOWN, WRITING, Debug, Json, Quiet

if TYPE_CHECKING:
    from humanseg.comparison import Change, Comparison, FrameDifference

LIMITS = "Limits"
PAGE = "compare.html"
DIFFERENT_EXIT_CODE = 4
"""Both snapshots could be compared, and lie farther apart than is allowed."""

Before = Annotated[Path, Argument(metavar="A", help="A snapshot.", show_default=False)]
After = Annotated[Path, Argument(metavar="B", help="Another one.", show_default=False)]
MinIou = Annotated[
    float | None,
    Option(
        "--min-iou",
        metavar="SHARE",
        help="Least overlap of each mask, 0 to 1.",
        rich_help_panel=LIMITS,
        show_default=False,
        min=0.0,
        max=1.0,
    ),
]
MaxDifference = Annotated[
    float | None,
    Option(
        "--max-difference",
        metavar="SHARE",
        help="Most mean difference of each mask, 0 to 1.",
        rich_help_panel=LIMITS,
        show_default=False,
        min=0.0,
        max=1.0,
    ),
]
Html = Annotated[
    Path | None,
    Option(
        "--html",
        metavar="FILE",
        help=f"The page to write; B/{PAGE} by default.",
        rich_help_panel=WRITING,
        show_default=False,
    ),
]
NoHtml = Annotated[
    bool, Option("--no-html", metavar="", help="Write no page.", rich_help_panel=WRITING)
]
Worst = Annotated[
    int,
    Option("--worst", metavar="N", min=1, help="How many frames to list.", rich_help_panel=SHOWN),
]


def compare(
    before: Before,
    after: After,
    min_iou: MinIou = None,
    max_difference: MaxDifference = None,
    html: Html = None,
    no_html: NoHtml = False,
    worst: Worst = 10,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show how far two snapshots are apart; ends with 4 if beyond a limit.

    [bold]humanseg compare before after --min-iou 0.98[/bold]
    """
    from humanseg.comparison import compare_snapshots

    found = compare_snapshots(before, after)
    page = None if no_html else html or after / PAGE
    if page is not None:
        from humanseg_cli.compare_page import write_page

        write_page(found, page)
    problems = beyond(found, min_iou, max_difference)
    if as_json:
        draw.print_json(_fields(found, problems, page))
    elif not quiet:
        _draw(found, worst, page)
    if problems:
        if not as_json:
            hint = f"look at {page}" if page else "leave out --no-html, and look at the page"
            draw.error("; ".join(problems), str(after), hint, title="Different")
        raise typer.Exit(DIFFERENT_EXIT_CODE)


def beyond(found: Comparison, min_iou: float | None, max_difference: float | None) -> list[str]:
    """What lies beyond the limits, in words; None is no limit."""
    problems = []
    if min_iou is not None:
        frames = [frame.index for frame in found.frames if frame.iou < min_iou]
        if frames:
            problems.append(f"IoU below {min_iou:g} in {_listed(frames)}")
    if max_difference is not None:
        frames = [f.index for f in found.frames if f.mask_difference > max_difference]
        if frames:
            problems.append(f"mean difference above {max_difference:g} in {_listed(frames)}")
    return problems


def _listed(frames: list[int]) -> str:
    return f"frame{'s' * (len(frames) > 1)} {', '.join(map(str, frames))}"


def _draw(found: Comparison, count: int, page: Path | None) -> None:
    titles = ("frame", "", "IoU", "mask difference", "composite difference")
    draw.show(draw.table(titles, [_row(frame) for frame in found.worst(count)], left=2))
    left = len(found.frames) - count
    if left > 0:
        draw.say(f"and {left} more, closer than these", style="dim")
    if found.changes:
        rows = [_change_row(change) for change in found.changes]
        draw.show(draw.table(("changed", "A", "B"), rows, left=3, fold=True))
    else:
        draw.say("versions, weights and settings are the same")
    draw.say(
        f"{len(found.frames)} frames: IoU {found.mean_iou:.4f} on average, {found.min_iou:.4f} "
        f"at worst; masks differ by {found.mean_difference:.4f} on average"
    )
    if page is not None:
        draw.say(f"side by side: {page}")


def _row(frame: FrameDifference) -> tuple[str, ...]:
    figures = (frame.iou, frame.mask_difference, frame.composite_difference)
    return (str(frame.index), frame.name, *(f"{figure:.4f}" for figure in figures))


def _change_row(change: Change) -> tuple[str, str, str]:
    return change.fact, shorten(change.before), shorten(change.after)


def shorten(value: str | None) -> str:
    """A fact for people: checksums by their first letters, a dash for what is not there."""
    if value is None:
        return "-"
    is_checksum = len(value) == 64 and set(value) <= set("0123456789abcdef")
    return f"{value[:12]}..." if is_checksum else value


def _fields(found: Comparison, problems: list[str], page: Path | None) -> dict[str, object]:
    return {
        "before": str(found.before),
        "after": str(found.after),
        "mean_iou": round(found.mean_iou, 6),
        "min_iou": round(found.min_iou, 6),
        "mean_difference": round(found.mean_difference, 6),
        "max_difference": round(found.max_difference, 6),
        "frames": [
            {
                "index": frame.index,
                "name": frame.name,
                "iou": round(frame.iou, 6),
                "mask_difference": round(frame.mask_difference, 6),
                "composite_difference": round(frame.composite_difference, 6),
            }
            for frame in found.worst()
        ],
        "changes": {change.fact: [change.before, change.after] for change in found.changes},
        "beyond_limits": problems,
        "html": None if page is None else str(page),
    }
