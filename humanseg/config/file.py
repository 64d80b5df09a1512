"""Reading the config file of `humanseg live`, and the order in which settings hold.

The command line goes over a profile, a profile over the rest of the file, the file over the
defaults.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanseg.config.toml_lines import find_line
from humanseg.errors import SettingsError
from humanseg.live.settings import DEFAULTS, KEYS, LiveSettings, from_folder
from humanseg.look.looks import is_file, is_path

PROFILES = "profiles"

COMMAND_LINE = "command line"
DEFAULT = "default"

FILE_KEYS = ("background", "overlay")
"""What may name a file that must be there."""

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
    for key in FILE_KEYS:
        _check_named_file(key, settings[key])
    values: dict[str, Any] = {key: setting.value for key, setting in settings.items()}
    return LiveSettings(**values)


def _check_named_file(key: str, setting: Setting) -> None:
    """Name the config file's line for a file that is not there."""
    is_named = isinstance(setting.value, str) and (key != "background" or is_path(setting.value))
    if setting.origin in (DEFAULT, COMMAND_LINE) or not is_named:
        return
    if not is_file(str(setting.value)):
        raise SettingsError(
            f"{key}: there is no file '{setting.value}'",
            subject=setting.origin,
            hint="a relative path starts from the config file's folder",
        )


def explain(
    command_line: Mapping[str, object], profile: str | None = None, *, path: Path | None = None
) -> dict[str, Setting]:
    """All settings with where each comes from; see `resolve`."""
    config = read_config(path)
    settings = {key: Setting(value, DEFAULT) for key, value in DEFAULTS.items()}
    settings |= config.settings
    if profile is not None:
        settings |= find_profile(config, profile)
    given = {key: value for key, value in command_line.items() if value is not None}
    return settings | _layer(_checked(given), Path.cwd(), dict.fromkeys(KEYS, COMMAND_LINE))


def read_config(path: Path | None = None) -> Config:
    """Read a config file and check all of it.

    Args:
        path: must exist; None for the user's own, which may not.

    Raises:
        SettingsError: names the file and, where it can be found, the line.
    """
    text = read_text(path or default_path(), must_exist=path is not None)
    path = path or default_path()
    table = parse(text, path)
    profiles = table.pop(PROFILES, {})
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise fault(path, find_line(text, (PROFILES,)), f"'{PROFILES}' is no table of tables")
    return Config(
        path,
        _read_table(path, text, (), table),
        {
            name: _read_table(path, text, (PROFILES, name), content)
            for name, content in profiles.items()
        },
    )


def read_text(path: Path, *, must_exist: bool) -> str:
    """The text of a config file; nothing where there is none and none must be.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        # Editors on Windows begin a file with a mark that TOML does not know.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        if not must_exist:
            return ""
        raise SettingsError(
            "there is no such config file",
            subject=path,
            hint="make one with 'humanseg config init'",
        ) from error
    except UnicodeDecodeError as error:
        raise fault(path, None, "is not text in UTF-8") from error
    except OSError as error:
        raise fault(path, None, f"cannot be read: {error.strerror or error}") from error


def parse(text: str, path: Path) -> dict[str, Any]:
    """What a config file says, unchecked.

    Raises:
        SettingsError: it is not TOML; names the file and the line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        what = str(error)[: found.start()] if found else str(error)
        at_end = len(text.splitlines()) or 1
        line = int(found[1]) if found and found[1] else at_end
        raise fault(path, line, f"is not TOML: {what}") from error
    except RecursionError as error:
        raise fault(path, None, "is not TOML that can be read: too many brackets") from error
    except ValueError as error:  # a number of thousands of digits
        raise fault(path, None, f"is not TOML that can be read: {error}") from error


def fault(path: Path, line: int | None, what: str, hint: str | None = None) -> SettingsError:
    """An error that names the file, and the line if there is one."""
    subject = f"{path}:{line}" if line is not None else path
    return SettingsError(what, subject=subject, hint=hint)


def _read_table(
    path: Path, text: str, table: tuple[str, ...], content: Mapping[str, object]
) -> dict[str, Setting]:
    """The settings of the file's top or of one profile."""
    lines = {key: find_line(text, (*table, key)) for key in content}
    values: dict[str, object] = {}
    for key, value in content.items():
        try:
            known = KEYS if table else (*KEYS, PROFILES)
            values |= _checked({key: _in_ones(key, value)}, known)
        except SettingsError as error:
            raise fault(path, lines[key], error.what, error.hint) from error
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


def as_written(key: str, value: object) -> object:
    """A setting as the config file takes it; the other way of reading it.

    >>> as_written("size", (720, 1280)), as_written("max_cpu", 1.5), as_written("overlay", None)
    ('1280x720', 150.0, None)
    """
    if key == "size" and isinstance(value, tuple):
        height, width = value
        return f"{width}x{height}"
    if key in PERCENT_KEYS and isinstance(value, float):
        return round(100 * value, 6)
    return list(value) if isinstance(value, tuple) else value


def _checked(given: Mapping[str, object], known: Collection[str] = KEYS) -> dict[str, object]:
    """Values as LiveSettings has them; `known` are the keys to suggest."""
    values = {}
    for key, value in given.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(known)}"
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


def find_profile(config: Config, name: str) -> Mapping[str, Setting]:
    """The settings of a profile.

    Raises:
        SettingsError: there is none of this name; names the nearest one.
    """
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
