"""The config file of `humanseg live`: reading it, and the order in which settings hold.

The command line goes over a profile, a profile over the rest of the file, the file over the
defaults.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanseg.errors import SettingsError
from humanseg.live_settings import DEFAULTS, KEYS, LiveSettings, from_folder

PROFILES = "profiles"

COMMAND_LINE = "command line"
DEFAULT = "default"

PERCENT_KEYS = ("max_cpu",)
"""What the file has in percent and the settings have in ones."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        value: as LiveSettings has it.
        origin: "default", "command line", or the file with its line and profile.
    """

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says.

    Attributes:
        path: of the file; it may not exist.
        settings: outside the profiles.
        profiles: the settings of each profile.
    """

    path: Path
    settings: Mapping[str, Setting]
    profiles: Mapping[str, Mapping[str, Setting]]


def default_path() -> Path:
    """Where the config file of this user is, if there is one."""
    from platformdirs import user_config_path

    return user_config_path("humanseg", appauthor=False) / "config.toml"


def resolve(
    command_line: Mapping[str, object], profile: str | None = None, *, path: Path | None = None
) -> LiveSettings:
    """The settings to run with.

    Args:
        command_line: names of settings to values as the config file takes them, but for `max_cpu`,
            which is in cores; None for what was not given.
        profile: of the config file; None for none.
        path: of the config file, which must exist; None for the user's own, which may not.

    Raises:
        SettingsError: a key or a value is wrong, here or in the file, or there is no such file or
            profile.
    """
    settings = explain(command_line, profile, path=path)
    values: dict[str, Any] = {key: setting.value for key, setting in settings.items()}
    return LiveSettings(**values)


def explain(
    command_line: Mapping[str, object], profile: str | None = None, *, path: Path | None = None
) -> dict[str, Setting]:
    """All settings with where each comes from; see `resolve`."""
    config = read_config(path)
    settings = {key: Setting(value, DEFAULT) for key, value in DEFAULTS.items()}
    settings |= config.settings
    if profile is not None:
        settings |= _find_profile(config, profile)
    given = {key: value for key, value in command_line.items() if value is not None}
    return settings | _layer(_checked(given), Path.cwd(), dict.fromkeys(KEYS, COMMAND_LINE))


def read_config(path: Path | None = None) -> Config:
    """Read a config file and check all of it.

    Args:
        path: must exist; None for the user's own, which may not.

    Raises:
        SettingsError: names the file and, where it can be found, the line.
    """
    own = default_path()
    if path is None and not own.exists():
        return Config(own, {}, {})
    path = path or own
    text = _read_text(path)
    table = _parse(text, path)
    profiles = table.pop(PROFILES, {})
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise _fault(path, _find_line(text, (), PROFILES), f"'{PROFILES}' is no table of tables")
    return Config(
        path,
        _read_table(path, text, (), table),
        {
            name: _read_table(path, text, (PROFILES, name), content)
            for name, content in profiles.items()
        },
    )


def _read_text(path: Path) -> str:
    try:
        # Editors on Windows begin a file with a mark that TOML does not know.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise SettingsError(
            "there is no such config file",
            subject=path,
            hint="make one with 'humanseg config init'",
        ) from error
    except UnicodeDecodeError as error:
        raise _fault(path, None, "is not text in UTF-8") from error
    except OSError as error:
        raise _fault(path, None, f"cannot be read: {error.strerror or error}") from error


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        what = str(error)[: found.start()] if found else str(error)
        at_end = len(text.splitlines()) or 1
        line = int(found[1]) if found and found[1] else at_end
        raise _fault(path, line, f"is not TOML: {what}") from error
    except RecursionError as error:
        raise _fault(path, None, "is not TOML that can be read: too many brackets") from error


def _fault(path: Path, line: int | None, what: str, hint: str | None = None) -> SettingsError:
    subject = f"{path}:{line}" if line is not None else path
    return SettingsError(what, subject=subject, hint=hint)


def _read_table(
    path: Path, text: str, table: tuple[str, ...], content: Mapping[str, object]
) -> dict[str, Setting]:
    """The settings of the file's top or of one profile."""
    lines = {key: _find_line(text, table, key) for key in content}
    values: dict[str, object] = {}
    for key, value in content.items():
        try:
            values |= _checked({key: _in_ones(key, value)})
        except SettingsError as error:
            raise _fault(path, lines[key], error.what, error.hint) from error
    profile = f", profile {table[-1]}" if table else ""
    origins = {
        key: f"{path}:{line}{profile}" if line is not None else f"{path}{profile}"
        for key, line in lines.items()
    }
    return _layer(values, path.parent.absolute(), origins)


def _in_ones(key: str, value: object) -> object:
    if key not in PERCENT_KEYS:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 100_000:
        raise SettingsError(f"{key} cannot be {value!r}", hint="give percent, 100 for one core")
    return value / 100


def _checked(given: Mapping[str, object]) -> dict[str, object]:
    values = {}
    for key, value in given.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(KEYS)}"
            raise SettingsError(f"there is no setting '{key}'", hint=hint)
        try:
            values[key] = KEYS[key].read(value)
        except SettingsError as error:
            what = error.what.removeprefix("it ")
            raise SettingsError(f"{key}: {what}", hint=error.hint) from error
    return values


def _layer(
    values: Mapping[str, object], folder: Path, origins: Mapping[str, str]
) -> dict[str, Setting]:
    placed = from_folder(values, folder)
    # A strength that "blur:0.8" brings stands where the background stands.
    return {
        key: Setting(value, origins.get(key) or origins["background"])
        for key, value in placed.items()
    }


def _find_profile(config: Config, name: str) -> Mapping[str, Setting]:
    if name in config.profiles:
        return config.profiles[name]
    near = difflib.get_close_matches(name, config.profiles, n=1)
    if near:
        hint = f"did you mean '{near[0]}'?"
    elif config.profiles:
        hint = f"one of {', '.join(config.profiles)}"
    else:
        hint = f"write a table [{PROFILES}.{name}]"
    raise SettingsError(f"there is no profile '{name}'", subject=config.path, hint=hint)


def _find_line(text: str, table: tuple[str, ...], key: str) -> int | None:
    """The line of a key in a TOML text, from 1; None where it is written in an unusual way."""
    here: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        if header:
            here = _parts(header[1])
            if here == (*table, key):
                return number
            continue
        assigned = re.match(r"\s*([^=#]+?)\s*=", line)
        # A dotted key before the equals sign goes on from the table's name.
        if assigned and (*here, *_parts(assigned[1]))[: len(table) + 1] == (*table, key):
            return number
    return None


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in name.split("."))


def template() -> str:
    """A config file with every key, its meaning and an example, all of them commented out."""
    lines = [
        "# Settings of humanseg live. Remove the # before a line to set it.",
        "# The command line goes over a profile, and a profile over what stands outside of it.",
        "# Relative paths of pictures start from this file's folder.",
        "",
    ]
    for name, key in KEYS.items():
        lines += [f"# {key.about}", f"#{name} = {key.example}", ""]
    lines += [
        "# Profiles are chosen by 'humanseg live --profile call', or 'humanseg ctl profile call'",
        "# while it runs, and may hold any of the keys above.",
        f"#[{PROFILES}.call]",
        '#background = "blur:0.8"',
        "#mirror = true",
        "",
    ]
    return "\n".join(lines)


def write_template(path: Path | None = None, *, overwrite: bool = False) -> Path:
    """Write the template.

    Args:
        path: to write; None for the user's own config file.
        overwrite: replace a file that is there.

    Returns:
        Where it was written.

    Raises:
        SettingsError: the file exists, or cannot be written.
    """
    path = path or default_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if overwrite else "x", encoding="utf-8") as written:
            written.write(template())
    except FileExistsError as error:
        raise SettingsError(
            "exists already", subject=path, hint="replace it with --force"
        ) from error
    except OSError as error:
        raise _fault(path, None, f"cannot be written: {error.strerror or error}") from error
    return path
