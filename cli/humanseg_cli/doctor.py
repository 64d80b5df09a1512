"""`humanseg doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from humanseg_cli import draw
from humanseg_cli.options import Debug, Json

if TYPE_CHECKING:
    from humanseg_cli.checks import Check

STYLES = {"ok": "green", "note": "dim", "warning": "yellow", "problem": "bold red"}


def doctor(as_json: Json = False, debug: Debug = False) -> None:
    """Check this installation; ends with 1 if there is a problem.

    [bold]humanseg doctor[/bold]
    """
    from humanseg_cli.checks import GROUPS

    found: list[Check] = []
    for title, group in GROUPS.items():
        checks = group()
        found += checks
        if not as_json:
            _draw_group(title, checks)
    problems = sum(check.state == "problem" for check in found)
    warnings = sum(check.state == "warning" for check in found)
    if as_json:
        draw.print_json({"problems": problems, "checks": [asdict(check) for check in found]})
    else:
        _draw_verdict(problems, warnings)
    if problems:
        raise typer.Exit(1)


def _draw_group(title: str, checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(title, style="bold"))
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=9)
    grid.add_column(min_width=20)
    grid.add_column(overflow="fold")
    for check in checks:
        detail = Text(check.detail)
        if check.hint:
            detail.append(f"\n{check.hint}", style="cyan")
        grid.add_row(Text(f"  {check.state}", style=STYLES[check.state]), Text(check.name), detail)
    console.print(grid)


def _draw_verdict(problems: int, warnings: int) -> None:
    from rich.console import Console
    from rich.text import Text

    if problems:
        text = Text(f"{problems} problem{'s' * (problems > 1)} to mend first", style="bold red")
    elif warnings:
        text = Text("humanseg works; see the warnings", style="yellow")
    else:
        text = Text("everything is in order", style="green")
    Console(highlight=False).print(text)
