"""The `humanseg` command: its sub-commands, and nothing that takes long to import."""

from __future__ import annotations

from typing import Annotated

import typer

import humanseg
from humanseg_cli.command import Command
from humanseg_cli.image import image
from humanseg_cli.video import video

FILES = "Files"

app = typer.Typer(
    name="humanseg",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command(cls=Command, rich_help_panel=FILES)(video)
app.command(cls=Command, rich_help_panel=FILES)(image)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"humanseg {humanseg.__version__}")
        raise typer.Exit


@app.callback()
def humanseg_command(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Cut people out of video: blur, replace or remove what is behind them.

    [bold]humanseg video in.mp4 out.mp4[/bold]
    """


def main() -> None:
    """Run the command line; the entry point of the package."""
    app(prog_name="humanseg")
