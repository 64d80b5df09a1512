"""The `humanseg` command: its sub-commands, and nothing that takes long to import."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from humanseg_cli.bench import bench
from humanseg_cli.calibrate import calibrate
from humanseg_cli.command import Command
from humanseg_cli.compare import compare
from humanseg_cli.config import config
from humanseg_cli.ctl import WordsCommand, ctl
from humanseg_cli.devices import devices
from humanseg_cli.doctor import doctor
from humanseg_cli.evaluate import evaluate
from humanseg_cli.export import export
from humanseg_cli.fit_ensemble import fit_ensemble
from humanseg_cli.image import image
from humanseg_cli.live import live
from humanseg_cli.models import models
from humanseg_cli.relabel import relabel
from humanseg_cli.report import report
from humanseg_cli.snapshot import snapshot
from humanseg_cli.train import train
from humanseg_cli.ui import ui
from humanseg_cli.version import version_lines
from humanseg_cli.video import video

app = typer.Typer(
    name="humanseg",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
COMMANDS: Mapping[str, tuple[Callable[..., None], ...]] = {
    "Files": (video, image),
    "Live": (live, ctl, config, ui, devices),
    "Checking": (snapshot, compare),
    "This machine": (models, doctor, bench),
    "Training": (train, fit_ensemble, calibrate, evaluate, report, export, relabel),
}
for panel, functions in COMMANDS.items():
    for function in functions:
        kind = WordsCommand if function is ctl else Command
        app.command(cls=kind, rich_help_panel=panel)(function)


def _print_version(asked: bool) -> None:
    if asked:
        print("\n".join(version_lines()))
        raise typer.Exit


@app.callback()
def humanseg_command(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            help="Print version, engine and device.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Cut people out of video.

    [bold]humanseg video in.mp4 out.mp4[/bold]
    """


def main() -> None:
    """Run the command line; the entry point of the package."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A path in letters that the terminal's encoding lacks must not fail a job that went well.
        sys.stdout.reconfigure(errors="backslashreplace")
    app(prog_name="humanseg")
