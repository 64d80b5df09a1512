"""What a live picture looks like: one frozen value, checked where it is made."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from humanseg.errors import SettingsError

View = Literal["composite", "mask"]
Keep = Literal["all", "largest", "centre"]

VIEWS: tuple[str, ...] = get_args(View)
KEEPS: tuple[str, ...] = get_args(Keep)

BLUR = "blur"
DEFAULT_STRENGTH = 0.5
DEFAULT_THRESHOLD = 0.5

RANGES: Mapping[str, tuple[float, float]] = {
    "strength": (0, 1),
    "threshold": (0.05, 0.95),
    "feather": (0, 30),
    "grow": (-30, 30),
}
"""Smallest and largest value of each number in a look."""

COLORS = {
    "black": "#000000",
    "white": "#ffffff",
    "grey": "#808080",
    "gray": "#808080",
    "red": "#ff0000",
    "green": "#00b140",
    "blue": "#0047bb",
}
"""Colours by name; green and blue are the usual chroma-key colours."""


@dataclass(frozen=True, slots=True)
class Look:
    """Everything about the picture that can change while it runs.

    Attributes:
        background: "blur", a colour ("green", "#00ff00", "0,255,0"), or the path of a picture or a
            video; "blur:0.8" sets the strength, too.
        effect_on: False shows the camera's own picture, whatever the background is.
        strength: of the blur, 0 (none) to 1 (strongest).
        mirror: people as in a mirror; backgrounds and overlays stay readable.
        frozen: the last picture stands still.
        view: "composite", or "mask" for the people in white.
        keep: which people are shown: "all", the "largest", or the one nearest the "centre".
        threshold: 0.05 to 0.95: how sure the networks must be where people end; lower shows more.
        feather: softness added to people's edges, as the spread of a Gaussian in pixels, 0 to 30.
        grow: pixels by which people are widened, -30 to 30; negative draws their edges in.
        overlay: path of a picture with transparency, laid on top; None for none.
        auto_frame: the picture's crop follows the people.
        statistics: figures are shown in the preview.
        backgrounds: what "background next" goes through.

    Raises:
        SettingsError: a value outside its range or choices.
    """

    background: str = BLUR
    effect_on: bool = True
    strength: float = DEFAULT_STRENGTH
    mirror: bool = False
    frozen: bool = False
    view: View = "composite"
    keep: Keep = "all"
    threshold: float = DEFAULT_THRESHOLD
    feather: float = 0.0
    grow: float = 0.0
    overlay: str | None = None
    auto_frame: bool = False
    statistics: bool = False
    backgrounds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        strength = blur_strength(self.background)
        if strength is not None and self.background != BLUR:
            object.__setattr__(self, "background", BLUR)
            object.__setattr__(self, "strength", strength)
        for name in RANGES:
            check_number(name, getattr(self, name))
        check_choice("view", self.view, VIEWS)
        check_choice("keep", self.keep, KEEPS)

    @property
    def is_blurred(self) -> bool:
        """Whether the surroundings are blurred now."""
        return self.effect_on and self.background == BLUR


def check_number(name: str, value: float) -> None:
    """Check a number of a look against RANGES.

    Raises:
        SettingsError: it lies outside, or is not finite.
    """
    low, high = RANGES[name]
    if not (math.isfinite(value) and low <= value <= high):
        raise SettingsError(
            f"a {name} of {value:g} is not possible", hint=f"give {low:g} to {high:g}"
        )


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Check a word against its choices.

    Raises:
        SettingsError: it is none of them; names the nearest one and all.
    """
    if value not in choices:
        raise SettingsError(f"{name} cannot be '{value}'", hint=suggest(value, choices))


def suggest(word: str, choices: Sequence[str]) -> str:
    """The hint for a word that is none of the choices: the nearest one, and all of them.

    >>> suggest("bigest", ["all", "largest"]), suggest("x", ["on", "off"])
    ("did you mean 'largest'? choose all or largest", 'choose on or off')
    """
    near = difflib.get_close_matches(word, choices, n=1)
    listed = " or ".join(filter(None, [", ".join(choices[:-1]), *choices[-1:]]))
    return f"did you mean '{near[0]}'? choose {listed}" if near else f"choose {listed}"


def blur_strength(background: str) -> float | None:
    """The strength that a background's text asks for; None when it asks for no blur.

    Raises:
        SettingsError: the strength is not a number from 0 to 1.

    >>> blur_strength("blur"), blur_strength("blur:0.8"), blur_strength("green")
    (0.5, 0.8, None)
    """
    if background == BLUR:
        return DEFAULT_STRENGTH
    if not background.startswith(f"{BLUR}:"):
        return None
    text = background.removeprefix(f"{BLUR}:")
    try:
        strength = float(text)
    except ValueError:
        raise SettingsError(
            f"'{text}' is no strength of a blur", hint="give 0 to 1, such as 0.5"
        ) from None
    check_number("strength", strength)
    return strength


def parse_color(text: str) -> tuple[int, int, int] | None:
    """Blue, green, red (0..255) of a colour; None when the text is no colour.

    >>> parse_color("#ff8000"), parse_color("0,255,0"), parse_color("beach.jpg")
    ((0, 128, 255), (0, 255, 0), None)
    """
    text = COLORS.get(text.lower(), text)
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        red, green, blue = (int(text[at : at + 2], 16) for at in (1, 3, 5))
        return blue, green, red
    if re.fullmatch(r"[0-9]{1,3},[0-9]{1,3},[0-9]{1,3}", text):
        red, green, blue = (int(part) for part in text.split(","))
        if max(red, green, blue) <= 255:
            return blue, green, red
    return None


def is_path(background: str) -> bool:
    """Whether a background's text names a file, not a blur or a colour."""
    return background.split(":")[0] != BLUR and parse_color(background) is None


def absolute_background(background: str, folder: Path) -> str:
    """A background's text that means the same from everywhere.

    Args:
        background: as Look takes it.
        folder: that a relative path starts from; "~" is the user's own folder.

    >>> absolute_background("green", Path("/films"))
    'green'
    """
    return absolute_path(background, folder) if is_path(background) else background


def absolute_path(path: str, folder: Path) -> str:
    """A path from a folder; "~" is the user's own folder."""
    try:
        return str(folder / Path(path).expanduser())
    except RuntimeError:  # no such user, or a user without a folder
        return str(folder / path)


def check_file(path: str) -> None:
    """Check that there is a file that can be opened, without opening it.

    Raises:
        SettingsError: there is none.
    """
    if not is_file(path):
        raise SettingsError("there is no such file", subject=path)


def is_file(path: str) -> bool:
    """Whether there is a file of this path."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a name that is too long, or of impossible letters
        return False


def display_name(background: str) -> str:
    """A background's text for people: the file's name without its folder."""
    return Path(background).name if is_path(background) else background
