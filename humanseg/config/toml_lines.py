"""Where the settings of a TOML text stand, and changing some of them without touching the rest."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KeyPath = tuple[str, ...]
"""Names of tables and at last of a key."""


class UnusualLayoutError(ValueError):
    """A text whose table is written in a way that cannot be changed line by line."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """A header or an assignment.

    Attributes:
        first: number of its first line, from 0.
        end: number of the line after its last one.
        path: from the text's root.
        is_header: it is a line in brackets.
    """

    first: int
    end: int
    path: KeyPath
    is_header: bool


def find_line(text: str, path: KeyPath) -> int | None:
    """The line, from 1, in which a key or a table begins; None where there is none.

    Args:
        text: TOML without faults.
        path: of the key or table.
    """
    for statement in _statements(_lines(text)):
        is_there = statement.path[: len(path)] == path
        is_inside = not statement.is_header and path[: len(statement.path)] == statement.path
        if is_there or is_inside:
            return statement.first + 1
    return None


def set_values(text: str, table: KeyPath, values: Mapping[str, object]) -> str:
    """The text with some values of one table changed; all else stays, comments too.

    Args:
        text: TOML without faults.
        table: which is added at the end if it is not there.
        values: of keys; None takes the key away.

    Raises:
        UnusualLayoutError: the table is written inside a line, or in several places.
        ValueError: a value that TOML does not have.
    """
    expected = _changed(tomllib.loads(text), table, values)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = _lines(text)
    section = _section(lines, table)
    if section is None:
        lines = _without_blank_end(lines)
        header = f"[{'.'.join(_name(part) for part in table)}]"
        lines += [*([""] if lines else []), header, *_assignments(values), ""]
    else:
        lines = _rewritten(lines, section, values)
    changed = newline.join(lines)
    try:
        is_right = tomllib.loads(changed) == expected
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise UnusualLayoutError(f"[{'.'.join(table)}] is not a table of its own")
    return changed


def to_toml(value: object) -> str:
    r"""A value as TOML has it.

    Raises:
        ValueError: TOML has no such value, or text that no file can hold.

    >>> to_toml(True), to_toml(2.0), to_toml(("blur", 'a "b"'))
    ('true', '2', '["blur", "a \\"b\\""]')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, str):
        value.encode()  # a path may hold bytes that are no letters
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(to_toml(each) for each in value)}]"
    raise ValueError(f"TOML has no {type(value).__name__}")


def _name(part: str) -> str:
    return part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else to_toml(part)


def _lines(text: str) -> list[str]:
    # Only these end a line in TOML; str.splitlines knows more.
    return text.replace("\r\n", "\n").split("\n")


def _without_blank_end(lines: list[str]) -> list[str]:
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return lines[:end]


def _statements(lines: list[str]) -> Iterator[_Statement]:
    """All statements in order.

    A statement ends with the first line with which it can be read: what is open at the end of a
    line, a list or a long text, cannot be.
    """
    here: KeyPath = ()
    first = 0
    for number in range(len(lines)):
        try:
            read = tomllib.loads("\n".join(lines[first : number + 1]))
        except ValueError:
            continue
        if read:
            is_header = lines[first].lstrip().startswith("[")
            path = _path(read)
            if is_header:
                here = path
            yield _Statement(first, number + 1, path if is_header else (*here, *path), is_header)
        first = number + 1


def _path(read: Mapping[str, Any]) -> KeyPath:
    """The names that lead to the one thing inside."""
    path: list[str] = []
    inside: Any = read
    while isinstance(inside, dict) and len(inside) == 1:
        [(name, inside)] = inside.items()
        path.append(name)
    return tuple(path)


def _changed(
    content: Mapping[str, Any], table: KeyPath, values: Mapping[str, object]
) -> Mapping[str, Any]:
    """What the text is to say, without a view to how it is written."""
    changed = copy.deepcopy(dict(content))
    inside = changed
    for name in table:
        inside = inside.setdefault(name, {})
        if not isinstance(inside, dict):
            raise UnusualLayoutError(f"'{name}' is no table")
    for key, value in values.items():
        if value is None:
            inside.pop(key, None)
        else:
            inside[key] = tomllib.loads(f"value = {to_toml(value)}")["value"]
    return changed


def _section(lines: list[str], table: KeyPath) -> list[_Statement] | None:
    """The header of a table and its assignments."""
    section: list[_Statement] = []
    for statement in _statements(lines):
        if section and statement.is_header:
            break
        if section or (statement.is_header and statement.path == table):
            section.append(statement)
    return section or None


def _rewritten(
    lines: list[str], section: list[_Statement], values: Mapping[str, object]
) -> list[str]:
    left = dict(values)
    table = section[0].path
    added_at = section[-1].end
    replaced: dict[int, tuple[int, list[str]]] = {}
    for statement in section[1:]:
        key = statement.path[len(table) :][0]
        if key not in left:
            continue
        value = left.pop(key)
        old = lines[statement.first : statement.end]
        new = [] if value is None else [_assigned_anew(old, key, value)]
        replaced[statement.first] = (statement.end, new)
    written: list[str] = []
    number = 0
    while number <= len(lines):
        if number == added_at:
            written += _assignments(left)
        if number in replaced:
            number, new = replaced[number]
            written += new
            continue
        written += lines[number : number + 1]
        number += 1
    return written


def _assignments(values: Mapping[str, object]) -> list[str]:
    return [
        f"{_name(key)} = {to_toml(value)}" for key, value in values.items() if value is not None
    ]


def _assigned_anew(old: list[str], key: str, value: object) -> str:
    """An assignment in the place of another, with its indentation and the comment behind it."""
    last = old[-1]
    for at in (found.start() for found in re.finditer(r"\s*#", last)):
        try:
            tomllib.loads("\n".join([*old[:-1], last[:at]]))
        except ValueError:  # this is inside a text
            continue
        comment = last[at:]
        break
    else:
        comment = ""
    indentation = old[0][: len(old[0]) - len(old[0].lstrip())]
    return f"{indentation}{_name(key)} = {to_toml(value)}{comment}"
