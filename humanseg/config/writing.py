"""Writing the config file of `humanseg live`: the commented template, and profiles."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from humanseg.config.file import PROFILES, default_path, fault, parse, read_text
from humanseg.config.toml_lines import UnusualLayoutError, find_line, set_values
from humanseg.errors import SettingsError
from humanseg.live.settings import KEYS

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

LONGEST_NAME = 64
"""Letters in the name of a profile."""


def template() -> str:
    """A config file with every key, its meaning and an example, all of them commented out."""
    lines = [
        "# Settings of humanseg live. Remove the # before a line to set it.",
        "# The command line goes over a profile, and a profile over what stands outside of it.",
        "# Relative paths of files start from this file's folder.",
        "",
    ]
    for name, key in KEYS.items():
        lines += [f"# {key.about}", f"#{name} = {key.example}", ""]
    lines += [
        "# Profiles are chosen by 'humanseg live --profile call', or 'humanseg ctl profile call'",
        "# while it runs, and may hold any of the keys above. 'humanseg ctl save call' writes the",
        "# look of this moment into one.",
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
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            raise SettingsError(
                "exists already, and was left as it is",
                subject=path,
                hint="change it in an editor, or replace it with --overwrite",
            ) from error
        raise fault(path, None, f"cannot be written: {error.strerror or error}") from error
    return path


def save_profile(name: str, settings: Mapping[str, object], path: Path | None = None) -> Path:
    """Write settings into a profile; all else in the file stays as it is, comments too.

    Args:
        name: of the profile, which is added if it is not there.
        settings: keys and values as the config file takes them; None takes the key out of the
            profile. Other keys of the profile stay.
        path: of the config file; None for the user's own. It is made if it is not there.

    Returns:
        Where it was written.

    Raises:
        SettingsError: the name cannot be one; the file is not in order, has the profile in an
            unusual place, or cannot be written.
    """
    check_profile_name(name)
    file = path or default_path()
    text = read_text(file, must_exist=False)
    parse(text, file)
    try:
        changed = set_values(text, (PROFILES, name), settings)
    except UnusualLayoutError as error:
        raise fault(
            file,
            find_line(text, (PROFILES,)),
            f"profile '{name}' cannot be changed where it is written",
            f"write it as a table of its own, below a line [{PROFILES}.{name}]",
        ) from error
    except ValueError as error:
        raise fault(file, None, f"cannot hold this look: {error}") from error
    try:
        _write(file, changed)
    except OSError as error:
        raise fault(file, None, f"cannot be written: {error.strerror or error}") from error
    return file


def check_profile_name(name: str) -> None:
    """Check that a profile can have this name.

    Raises:
        SettingsError: it is empty, too long, or of letters that are not seen.
    """
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise SettingsError(
            f"a profile cannot be called '{name[:LONGEST_NAME]}'",
            hint=f"give up to {LONGEST_NAME} letters, as in: call",
        )


def _write(file: Path, text: str) -> None:
    """Write a text so that the file is whole at every moment, even if this process dies."""
    # Where the config is a link into somebody's collection of settings, the link stays.
    file = file.resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    coded = text.encode()
    mode = None
    with contextlib.suppress(FileNotFoundError):
        mode = file.stat().st_mode & 0o777
        with file.open("rb") as old:
            if old.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
                coded = BYTE_ORDER_MARK + coded
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(coded)
        if mode is not None:
            Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
