"""Training runs in TOML: read, inherited from other files, and checked."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from humanseg.errors import SettingsError
from humanseg_training import config as choices
from humanseg_training.config import Augmentation, Config, DataSet, Stage

T = TypeVar("T")

CONFIGS_FOLDER = Path(__file__).parent / "configs"
BASE_KEY = "base"


def read_config(path: Path) -> Config:
    """Read a training run; `base = "other.toml"` takes over what that file says and this does not.

    Tables are merged key by key, lists (of data, of stages) are replaced as a whole.

    Raises:
        SettingsError: a file cannot be read, or a key or value in it is wrong.
    """
    fields = _read_with_base(path, ())
    config = make_config(fields, path)
    for what in _faults(config):
        raise SettingsError(what, subject=path)
    return config


def make_config(fields: Mapping[str, Any], subject: object) -> Config:
    """A config from plain tables, with defaults for what they lack.

    Raises:
        SettingsError: a key is unknown or missing, or a value of the wrong kind; names `subject`.
    """
    made: dict[str, Any] = dict(fields)
    made["data"] = tuple(_fill(DataSet, item, subject) for item in made.get("data", ()))
    made["stages"] = tuple(_fill(Stage, item, subject) for item in made.get("stages", ()))
    if "validation" in made:
        made["validation"] = _fill(DataSet, made["validation"], subject)
    made["augmentation"] = _fill(Augmentation, made.get("augmentation", {}), subject)
    for key in ("teacher", "tuner_behind"):
        if isinstance(made.get(key), list):
            made[key] = tuple(made[key])
    return _fill(Config, made, subject)


def _read_with_base(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise SettingsError("inherits from itself", subject=path)
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", subject=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"is not TOML: {error}", subject=path) from error
    base = fields.pop(BASE_KEY, None)
    if base is None:
        return fields
    if not isinstance(base, str):
        raise SettingsError(f"'{BASE_KEY}' must be the name of a file", subject=path)
    inherited = _read_with_base(path.parent / base, (*above, path.resolve()))
    return _merged(inherited, fields)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _fill(kind: type[T], fields: Any, subject: object) -> T:
    if isinstance(fields, kind):
        return fields
    if not isinstance(fields, Mapping):
        raise SettingsError(f"a table was expected, not {fields!r}", subject=subject)
    wanted = get_type_hints(kind)
    for key, value in fields.items():
        if key not in wanted:
            near = difflib.get_close_matches(key, wanted, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(wanted))}"
            raise SettingsError(f"has an unknown key '{key}'", subject=subject, hint=hint)
        if not _fits(value, wanted[key]):
            raise SettingsError(
                f"'{key}' must be {_named(wanted[key])}, not {value!r}", subject=subject
            )
    missing = [
        field.name
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
        if field.default is dataclasses.MISSING and field.name not in fields
    ]
    if missing:
        raise SettingsError(f"is incomplete: it lacks {', '.join(missing)}", subject=subject)
    return kind(**fields)


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, types.GenericAlias):
        return isinstance(value, tuple) and all(isinstance(v, get_args(wanted)[0]) for v in value)
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) if wanted is float else isinstance(value, wanted)


def _named(wanted: Any) -> str:
    names = {float: "a number", int: "a whole number", str: "a text"}
    return names.get(wanted, "a list" if isinstance(wanted, types.GenericAlias) else "a table")


LEAST = {"width": 1, "batch": 1, "holdout": 0, "early_stop": 0, "frozen_stages": 0}


def _faults(config: Config) -> Iterator[str]:
    """What is wrong with values that are each of the right kind."""
    if not config.data or not config.stages:
        yield "names no data or no stages"
    for data in (*config.data, config.validation):
        if bool(data.manifest) == bool(data.images and data.masks):
            yield "each set needs either `images` and `masks`, or a `manifest`"
        if not (data.share > 0 and data.weight > 0):
            yield f"the set {data.name} needs a share and a weight above 0"
    for stage in config.stages:
        if not (stage.pixels > 0 and stage.epochs > 0):
            yield "each stage needs pixels and epochs above 0"
        if stage.pixels_up_to and stage.pixels_up_to < stage.pixels:
            yield "'pixels_up_to' of a stage must not be below its 'pixels'"
    if bool(config.network) == bool(config.tuner_behind):
        yield "needs either a `network` or `tuner_behind`"
    for key, least in LEAST.items():
        if getattr(config, key) < least:
            yield f"'{key}' must be at least {least}, not {getattr(config, key)}"
    if config.score_epochs <= 0:
        yield "'score_epochs' must be above 0"
    if not 0 <= config.teacher_share <= 1:
        yield f"'teacher_share' must be from 0 to 1, not {config.teacher_share}"
    if not 0 < config.augmentation.crop <= 1:
        yield f"'augmentation.crop' must be above 0 and at most 1, not {config.augmentation.crop}"
    for key, value, known in (
        ("augmentation.set", config.augmentation.set, choices.AUGMENTATION_SETS),
        ("consistency_view", config.consistency_view, choices.CONSISTENCY_VIEWS),
        ("device", config.device, choices.DEVICES),
        ("precision", config.precision, choices.PRECISIONS),
        ("schedule", config.schedule, choices.SCHEDULES),
    ):
        if value not in known:
            yield f"'{key}' must be one of {', '.join(known)}, not '{value}'"
