"""`humanseg ctl`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument

from humanseg_cli import draw
from humanseg_cli.command import Command
from humanseg_cli.options import Debug, Json

OPTIONS = ("--json", "--debug", "--help")


class WordsCommand(Command):
    """A command whose words may look like options, as in "grow -1"."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what is no option of ours as words."""
        return super().parse_args(ctx, options_first(args))


def options_first(arguments: Sequence[str]) -> list[str]:
    """The options, and after them everything else as words.

    >>> options_first(["grow", "-1", "--json"])
    ['--json', '--', 'grow', '-1']
    """
    given = list(arguments)
    at = given.index("--") if "--" in given else len(given)
    options = [each for each in given[:at] if each in OPTIONS]
    words = [each for each in given[:at] if each not in OPTIONS]
    return [*options, "--", *words, *given[at + 1 :]]


def ctl(
    words: Annotated[
        list[str] | None,
        Argument(metavar="COMMAND", help="Without one, all are listed.", show_default=False),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Command the humanseg live that is running.

    [bold]humanseg ctl blur off[/bold]

    [bold]humanseg ctl background beach.jpg[/bold]

    [bold]humanseg ctl status --json[/bold]
    """
    from humanseg.control.commands import describe_commands, from_folder
    from humanseg.control.server import send
    from humanseg.errors import SettingsError

    if not words:
        _list(describe_commands(), as_json=as_json)
        return
    line = from_folder(" ".join(words), Path.cwd())
    reply = send(line)
    if not reply["ok"]:
        raise SettingsError(str(reply["text"]))
    if as_json:
        draw.print_json(reply)
        return
    draw.say(str(reply["text"]))
    if "rate_in" in reply["data"]:
        for name, told in _status_rows(reply["data"]):
            draw.say(f"{name:<16} {told}")


def _list(commands: Sequence[tuple[str, str]], *, as_json: bool) -> None:
    if as_json:
        draw.print_json([{"command": usage, "about": about} for usage, about in commands])
    else:
        draw.show(draw.table(("command", "what it does"), commands, left=2, fold=True))


def _status_rows(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a session tells about itself, for people."""
    rows = [("camera", f"{status['camera']}, {status['camera_state']}")]
    if status["camera_problem"]:
        rows.append(("", status["camera_problem"]))
    if status["virtual_camera"]:
        told = f"{status['virtual_camera']}, {status['virtual_camera_state']}"
        rows.append(("virtual camera", told))
    rows.append(("frames a second", f"{status['rate_in']:.1f} in, {status['rate_out']:.1f} out"))
    if status["delay_p50"] is not None and status["delay_p95"] is not None:
        median, most = 1000 * status["delay_p50"], 1000 * status["delay_p95"]
        rows.append(("delay", f"{median:.0f} ms, 95 % within {most:.0f} ms"))
    dropped = ", ".join(f"{count} {cause}" for cause, count in status["dropped"].items() if count)
    rows.append(("dropped", dropped or "none"))
    memory = status["memory_bytes"]
    used = "" if memory is None else f", {memory / 1e6:,.0f} MB"
    rows.append(("processor", f"{status['cores']:.0%} of a core{used}"))
    rows.append(("networks", f"{status['effort']}, {status['engine']}"))
    if status.get("profiles"):
        profile = status["profile"] or "none"
        rows.append(("profile", f"{profile}, of {', '.join(status['profiles'])}"))
    rows += [("warning", warning) for warning in status["warnings"]]
    return rows
