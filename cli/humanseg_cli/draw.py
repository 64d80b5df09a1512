"""What is drawn on the terminal: progress, summaries, tables and the error panel."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from humanseg.pipeline import Progress, Summary

REFRESHES_A_SECOND = 5


@contextmanager
def progress(label: str, unit: str, *, shown: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A bar with frames, rate and time left, if stderr is a terminal; gone when the job ends.

    Args:
        label: stands before the bar.
        unit: of what is counted, in the plural.
        shown: False draws nothing, whatever stderr is.

    Yields:
        What takes the progress, or None when nothing is drawn.
    """
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[counted]}"),
        TextColumn("{task.fields[rate]}", style="green"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[left]}"),
    )
    with Bar(
        *columns,
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=REFRESHES_A_SECOND,
    ) as bar:
        task = bar.add_task(label, total=None, counted="starting", rate="", left="")

        def update(now: Progress) -> None:
            of = f" of {now.promised:,}" if now.promised else ""
            rate = f"{now.frames / now.seconds:.1f} {unit}/s" if now.seconds > 0 else ""
            bar.update(
                task,
                total=now.promised,
                completed=now.frames,
                counted=f"{now.frames:,}{of} {unit}",
                rate=rate,
                left="left" if now.promised else "",
            )

        yield update


def summary(done: Summary, *, unit: str = "frames") -> None:
    """Print what was written, how fast, and where the time went."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(str(done.target), style="bold"), soft_wrap=True)
    counted = f"{done.frames:,}"
    if done.promised is not None and done.promised != done.frames:
        counted += f" of about {done.promised:,}"
    counted_in = unit.removesuffix("s") if counted == "1" else unit
    copied = f", {' and '.join(done.copied)} copied" if done.copied else ""
    console.print(
        f"{counted} {counted_in} of {done.width}x{done.height} in {done.seconds:.1f} s, "
        f"{done.rate:.1f} {unit} a second{copied}",
        soft_wrap=True,
    )
    console.print(f"{done.preset} on {done.engine}", soft_wrap=True, markup=False)
    if done.stage_seconds:
        console.print(_stages(done))
    for warning in done.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"), soft_wrap=True)


def _stages(done: Summary) -> Table:
    rows = [
        (
            name,
            f"{seconds:.1f} s",
            f"{1000 * seconds / max(1, done.frames):.1f} ms",
            f"{100 * seconds / done.seconds:.0f} %" if done.seconds > 0 else "",
        )
        for name, seconds in done.stage_seconds.items()
    ]
    return table(("stage", "busy", "each", "of the time"), rows)


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, fold: bool = False
) -> Table:
    """A plain table.

    Args:
        titles: of the columns.
        rows: of cells, as text without markup.
        left: number of columns, from the first, that are words; the others are numbers.
        fold: break long words of the last column into lines, instead of cutting nothing.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for index, title in enumerate(titles):
        drawn.add_column(
            title,
            justify="left" if index < left else "right",
            no_wrap=not (fold and index == len(titles) - 1),
            overflow="fold",
        )
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn


def show(drawn: Table) -> None:
    """Print a table to stdout."""
    from rich.console import Console

    Console(highlight=False).print(drawn)


def say(line: str, *, style: str = "") -> None:
    """Print a line to stdout, unbroken, so that a path in it can be copied."""
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False).print(Text(line, style=style), soft_wrap=True)


def fields(done: Summary) -> dict[str, object]:
    """A summary as JSON takes it."""
    return {
        "target": str(done.target),
        "frames": done.frames,
        "promised": done.promised,
        "seconds": round(done.seconds, 3),
        "frames_per_second": round(done.rate, 2),
        "stage_seconds": {name: round(time, 3) for name, time in done.stage_seconds.items()},
        "width": done.width,
        "height": done.height,
        "preset": done.preset,
        "engine": done.engine,
        "copied": list(done.copied),
        "warnings": list(done.warnings),
    }


def print_json(table: object) -> None:
    """Print one JSON value to stdout."""
    print(json.dumps(table, indent=2))


def error(what: str, subject: str | None, hint: str | None, *, title: str = "Error") -> None:
    """Show an error on stderr: a panel on a terminal, plain lines elsewhere."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    line = f"{subject}: {what}" if subject else what
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        # Logs and pipes get lines that are never broken, so that a path can be searched for.
        print(f"{title}: {line}", file=sys.stderr)
        if hint:
            print(f"Next step: {hint}", file=sys.stderr)
        return
    text = Text(line, overflow="fold")
    if hint:
        text.append(f"\nNext step: {hint}", style="dim")
    console.print(Panel(text, title=title, title_align="left", border_style="red"))
