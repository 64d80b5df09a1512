"""`humanseg config`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from humanseg_cli import draw
from humanseg_cli.options import SHOWN, WRITING, Debug, Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from humanseg.config.file import Setting


def config(
    action: Annotated[
        Literal["show", "path", "init"],
        Argument(metavar="show|path|init", show_default=False),
    ] = "show",
    profile: Annotated[
        str | None,
        Option("--profile", metavar="NAME", help="Shown with this one.", rich_help_panel=SHOWN),
    ] = None,
    file: Annotated[
        Path | None,
        Option(
            "--config",
            metavar="FILE",
            help="Another file than your own.",
            rich_help_panel=WRITING,
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        Option("--overwrite", metavar="", help="Let init replace a file.", rich_help_panel=WRITING),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the settings of humanseg live, or begin a file for them.

    [bold]humanseg config init[/bold]

    show tells every setting and where it comes from; init explains them all.
    """
    if action == "init":
        from humanseg.config.writing import write_template

        _tell_path(write_template(file, overwrite=overwrite), as_json=as_json)
        return
    from humanseg.config.file import default_path, explain, read_config

    path = file or default_path()
    if action == "path":
        _tell_path(path, as_json=as_json)
        return
    settings, profiles = explain({}, profile, path=file), list(read_config(file).profiles)
    if as_json:
        draw.print_json(
            {
                "path": str(path),
                "exists": path.exists(),
                "profile": profile,
                "profiles": profiles,
                "settings": {
                    key: {"value": value, "origin": settings[key].origin}
                    for key, value in _written(settings).items()
                },
            }
        )
        return
    _draw(path, settings, profiles)


def _tell_path(path: Path, *, as_json: bool) -> None:
    if as_json:
        draw.print_json({"path": str(path), "exists": path.exists()})
    else:
        draw.say(str(path))


def _written(settings: Mapping[str, Setting]) -> dict[str, object]:
    from humanseg.config.file import as_written

    return {key: as_written(key, setting.value) for key, setting in settings.items()}


def _draw(path: Path, settings: Mapping[str, Setting], profiles: list[str]) -> None:
    from humanseg.config.toml_lines import to_toml

    rows = [
        (key, "" if value is None else to_toml(value), _source(settings[key].origin, path))
        for key, value in _written(settings).items()
    ]
    draw.say(str(path) if path.exists() else f"{path} (not there; 'humanseg config init')")
    draw.show(draw.table(("setting", "value", "from"), rows, left=3, fold=True))
    if profiles:
        draw.say(f"profiles: {', '.join(profiles)}")


def _source(origin: str, path: Path) -> str:
    """Where a setting comes from; the file itself is named above the table."""
    return f"line {origin.removeprefix(f'{path}:')}" if origin.startswith(str(path)) else origin
