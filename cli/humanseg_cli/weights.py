"""Weights named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from humanseg.errors import SettingsError


def named_weights(names: Sequence[str]) -> tuple[list[str], Path]:
    """Stems and folder of weights that are named, or given as files.

    Raises:
        SettingsError: they lie in different folders.
    """
    from humanseg.models.registry import WEIGHTS_FOLDER

    paths = [
        Path(name) if name.endswith(".safetensors") else WEIGHTS_FOLDER / name for name in names
    ]
    if len({path.parent for path in paths}) > 1:
        raise SettingsError(
            "the weights lie in different folders", hint="put them, and their cards, in one folder"
        )
    return [path.name.removesuffix(".safetensors") for path in paths], paths[0].parent


def members_of(names: Sequence[str]) -> tuple[list[str], Path]:
    """Stems and folder of weights that are named, given as files, or make up a preset.

    Raises:
        SettingsError: the weights lie in different folders.
    """
    from humanseg.models.registry import WEIGHTS_FOLDER
    from humanseg.settings import PRESETS

    if len(names) == 1 and names[0] in PRESETS:
        return list(PRESETS[names[0]].models), WEIGHTS_FOLDER
    return named_weights(names)
