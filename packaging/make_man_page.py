"""Writes humanseg.1 from the help texts of the commands: `python packaging/make_man_page.py`."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import humanseg
from humanseg_cli.app import app

TARGET = Path(__file__).parent / "humanseg.1"
GENERAL = "Arguments"

EXITS = {
    0: "Done.",
    1: "The output could not be written, humanseg has a fault, or doctor found a problem.",
    2: "The request cannot be carried out as given; nothing was written.",
    3: "Only part of the input could be read; the output is finished and holds that part.",
    4: "compare: the snapshots are farther apart than the limits allow.",
    130: "Stopped by Ctrl-C; what was written is kept and can be played.",
    143: "Stopped by SIGTERM; the same.",
}
FILES = {
    "~/.config/humanseg/config.toml": "Settings of live, if it exists.",
    "~/.cache/humanseg/": "Converted networks; may be removed at any time.",
    "~/.local/state/humanseg/log/": "Tracebacks of faults.",
}


def main() -> None:
    """Write the page."""
    TARGET.write_text(man_page(), encoding="utf-8")
    print(TARGET)


def man_page() -> str:
    """The whole page in man's own language."""
    root: Any = typer.main.get_command(app)
    about = plain(root.help)[0].rstrip(".")
    lines = [
        '.\\" Written by packaging/make_man_page.py; change the help texts instead.',
        f'.TH HUMANSEG 1 "" "humanseg {humanseg.__version__}" "User Commands"',
        ".SH NAME",
        f"humanseg \\- {escape(about[0].lower() + about[1:])}",
        ".SH SYNOPSIS",
        ".B humanseg",
        ".RI [ option ...]",
        ".I command",
        ".RI [ option ...]",
        ".RI [ argument ...]",
        ".SH DESCRIPTION",
        escape(
            "Blurs, replaces or removes what is behind people, in video files, in pictures, and in "
            "the live picture of a webcam. Nothing leaves the machine. Each command shows its "
            "options with --help."
        ),
        ".SH OPTIONS",
    ]
    shown = [option for option in root.params if option.help and not option.hidden]
    for option in shown:
        lines += described(option)
    lines.append(".SH COMMANDS")
    for name, command in walk(root):
        lines += command_section(name, command)
    lines.append(".SH EXIT STATUS")
    for code, text in EXITS.items():
        lines += [".TP", f".B {code}", escape(text)]
    lines.append(".SH FILES")
    lines.append(escape("On Linux; humanseg doctor names the folders of other systems."))
    for path, text in FILES.items():
        lines += [".TP", f".I {escape(path)}", escape(text)]
    return "\n".join(lines) + "\n"


def walk(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """All commands by their whole names, those of groups as well."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from walk(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def command_section(name: str, command: Any) -> list[str]:
    """A command: what it does, an example, its arguments and options under their titles."""
    about, *examples = plain(command.help)
    arguments = [param for param in command.params if not param.opts[0].startswith("-")]
    words = " ".join(
        argument.metavar if argument.required else f"[{argument.metavar}]" for argument in arguments
    )
    lines = [f".SS humanseg {escape(name)}".rstrip(), f".RI {quoted(words)}" if words else ""]
    lines += [".PP", escape(about)]
    for example in examples:
        lines += [".PP", ".in +4n", ".nf", escape(example), ".fi", ".in"]
    panels: dict[str, list[Any]] = {}
    for param in command.params:
        if param.help and not param.hidden:
            panels.setdefault(param.rich_help_panel or GENERAL, []).append(param)
    for title, params in panels.items():
        lines += [".PP", f".I {escape(title)}"]
        for param in params:
            lines += described(param)
    return [line for line in lines if line]


def described(param: Any) -> list[str]:
    """An option or argument as a tagged paragraph."""
    is_option = param.opts[0].startswith("-")
    names = ", ".join(param.opts) if is_option else param.metavar
    value = "" if not is_option or getattr(param, "is_flag", False) else param.metavar
    choices = literal_choices(param)
    if is_option and not value and choices:
        value = "|".join(choices)
    text = param.help
    if param.show_default and param.default not in (None, False, True):
        text = f"{text.rstrip('.')}; {param.default} by default."
    tag = f".BI {quoted(names)} {quoted(f' {value}')}" if value else f".B {escape(names)}"
    return [".TP", tag, escape(text)]


def literal_choices(param: Any) -> list[str]:
    """The values that a choice may have, from its annotation; none for other options."""
    annotation = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    return [str(choice) for choice in typing.get_args(annotation) if isinstance(choice, str)]


def plain(text: str) -> list[str]:
    """Paragraphs of a help text, without markup and line breaks."""
    without = re.sub(r"\[/?bold\]", "", text or "")
    return [" ".join(part.split()) for part in without.split("\n\n") if part.strip()]


def escape(text: str) -> str:
    """Text that man shows letter for letter."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


def quoted(text: str) -> str:
    """An argument of a macro."""
    return '"' + escape(text).replace('"', "\\(dq") + '"'


if __name__ == "__main__":
    main()
