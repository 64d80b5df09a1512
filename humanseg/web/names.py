"""Names of files that come from a browser."""

from __future__ import annotations

import unicodedata

from humanseg.errors import SettingsError

LONGEST_NAME = 200
LONGEST_STEM = 60

_KEPT_SIGNS = set(" -_.()+")
_PORTS = {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}
_DEVICES = {"con", "prn", "aux", "nul"} | _PORTS
"""Names that Windows takes for devices, whatever the suffix."""


def clean_stem(name: str) -> str:
    """The part before the suffix, safe as a file's name on every system.

    Args:
        name: as the browser gives it: a name without a folder.

    Raises:
        SettingsError: it holds a path, or is no name.

    >>> clean_stem("Beach <2>.jpg"), clean_stem("con.png")
    ('Beach 2', 'con_')
    """
    if not name.strip() or len(name) > LONGEST_NAME:
        raise SettingsError("the file has no name, or one that is far too long")
    if any(sign in name for sign in "/\\\0") or name.strip(". ") == "":
        raise SettingsError("the file's name holds a path", hint="give the name alone")
    stem = unicodedata.normalize("NFC", name).rpartition(".")[0] or name
    kept = "".join(sign for sign in stem if sign.isalnum() or sign in _KEPT_SIGNS)
    cut = " ".join(kept.split())[:LONGEST_STEM].strip(". ")
    if not cut:
        return "unnamed"
    return f"{cut}_" if cut.casefold() in _DEVICES else cut


def suffix_of(name: str) -> str:
    """The suffix in small letters with its dot; empty when there is none, or no plain one.

    >>> suffix_of("a.MP4"), suffix_of("a.m/4")
    ('.mp4', '')
    """
    stem, _, suffix = name.rpartition(".")
    is_plain = suffix.isascii() and suffix.isalnum() and len(suffix) <= 5
    return f".{suffix.lower()}" if stem and is_plain else ""
