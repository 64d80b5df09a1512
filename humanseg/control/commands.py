"""What can be said to a running `humanseg live`: one line of text each, checked here and only here.

Keys, signals, the control socket and `humanseg ctl` all speak these lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from humanseg.errors import SettingsError
from humanseg.look.looks import (
    BLUR,
    KEEPS,
    RANGES,
    VIEWS,
    Look,
    absolute_background,
    absolute_path,
    blur_strength,
    check_choice,
    check_file,
    display_name,
    is_file,
    is_path,
    suggest,
)

LONGEST_LINE = 4096
"""Characters in a command, more than the longest path has."""

SWITCH = ("on", "off", "toggle")
TURNS = {"next": 1, "previous": -1}
STEPS = {"strength": 0.1, "threshold": 0.05, "feather": 1.0, "grow": 1.0}
"""What "up" and "down" add and take."""

Change = Callable[[Look, str], tuple[Look, ...]]


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: its first word.
        words: what may follow, for people.
        about: what it does, for people.
        change: what a look becomes with these words: the first of the looks whose files can be
            opened; raises SettingsError for wrong words. None when the session carries it out.
        tell: what is now true.
    """

    name: str
    words: str
    about: str
    change: Change | None = None
    tell: Callable[[Look], str] = lambda look: ""

    @property
    def usage(self) -> str:
        """The command as it is typed."""
        return f"{self.name} {self.words}".rstrip()


def parse(line: str) -> tuple[Command, str]:
    """The command that a line begins with, and the words after it.

    Raises:
        SettingsError: the line is empty or too long, has control characters, or begins with no
            command.
    """
    if len(line) > LONGEST_LINE:
        raise SettingsError(f"a command has at most {LONGEST_LINE} letters")
    line = line.strip()
    if any(ord(letter) < ord(" ") or letter == "\x7f" for letter in line):
        raise SettingsError("a command is one line of plain letters")
    first, _, words = line.partition(" ")
    name = first.casefold().replace("_", "-")
    if name not in COMMANDS:
        problem = f"there is no command '{first}'" if first else "there is no command in this line"
        raise SettingsError(problem, hint=suggest(name, list(COMMANDS)))
    command = COMMANDS[name]
    if words and not command.words:
        raise SettingsError(f"'{name}' takes no further words")
    return command, words.strip()


def from_folder(line: str, folder: Path) -> str:
    """A line that means the same in another folder: its relative path is made absolute.

    What a camera is called may be a name as well; it is a path where there is such a file.

    >>> from_folder("background blur", Path("/films"))
    'background blur'
    """
    first, _, words = line.strip().partition(" ")
    words = words.strip()
    name = first.casefold()
    if name == "background" and words and words.casefold() not in (*TURNS, BLUR):
        return f"{first} {absolute_background(words, folder)}"
    if name == "overlay" and words and words.casefold() != "off":
        return f"{first} {absolute_path(words, folder)}"
    if name == "camera" and words and is_file(absolute_path(words, folder)):
        return f"{first} {absolute_path(words, folder)}"
    return line


def describe_commands() -> tuple[tuple[str, str], ...]:
    """Each command as it is typed, and what it does; for help texts, documents and pages."""
    return tuple((command.usage, command.about) for command in COMMANDS.values())


def describe_effect(look: Look) -> str:
    """What stands behind the people now."""
    if not look.effect_on:
        return "the effect is off, the camera's own picture is shown"
    if look.is_blurred:
        return f"blur is on, strength {look.strength:g}"
    return f"the background is {display_name(look.background)}"


def _with(look: Look, **fields: Any) -> tuple[Look, ...]:
    return (replace(look, **fields),)


def _switched(name: str, now: bool, word: str) -> bool:
    word = word.casefold()
    check_choice(name, word, SWITCH)
    return not now if word == "toggle" else word == "on"


def _switch(name: str, field: str, words: str, about: str, told: str = "") -> Command:
    """A command that turns a field of the look on and off."""

    def change(look: Look, word: str) -> tuple[Look, ...]:
        return _with(look, **{field: _switched(name, getattr(look, field), word)})

    def tell(look: Look) -> str:
        return f"{name} is on{told}" if getattr(look, field) else f"{name} is off"

    return Command(name, words, about, change, tell)


def _number(name: str, unit: str, about: str) -> Command:
    """A command that sets a number of the look, or moves it by a step."""

    def change(look: Look, word: str) -> tuple[Look, ...]:
        return _with(look, **{name: _moved(name, getattr(look, name), word)})

    def tell(look: Look) -> str:
        return f"{name} is {getattr(look, name):g}{unit}"

    low, high = RANGES[name]
    return Command(name, f"{low:g}..{high:g}|up|down", about, change, tell)


def _moved(name: str, now: float, word: str) -> float:
    low, high = RANGES[name]
    if word.casefold() in ("up", "down"):
        step = STEPS[name] if word.casefold() == "up" else -STEPS[name]
        return round(min(high, max(low, now + step)), 4)
    try:
        return float(word)
    except ValueError:
        raise SettingsError(
            f"{name} cannot be '{word}'", hint=f"give {low:g} to {high:g}, up or down"
        ) from None


def _choice(name: str, choices: tuple[str, ...], about: str, told: Mapping[str, str]) -> Command:
    """A command that sets a word of the look."""

    def change(look: Look, word: str) -> tuple[Look, ...]:
        word = word.casefold()
        if word == "toggle":
            word = choices[(choices.index(getattr(look, name)) + 1) % len(choices)]
        return _with(look, **{name: word})

    def tell(look: Look) -> str:
        return told[getattr(look, name)]

    return Command(name, "|".join((*choices, "toggle")), about, change, tell)


def _change_blur(look: Look, words: str) -> tuple[Look, ...]:
    word, _, rest = words.partition(" ")
    if word.casefold() == "strength":
        return _with(look, strength=_moved("strength", look.strength, rest.strip()))
    check_choice("blur", word.casefold(), (*SWITCH, "strength"))
    if rest:
        raise SettingsError(f"'blur {word}' takes no further words")
    if _switched("blur", look.is_blurred, word):
        return _with(look, background=BLUR, effect_on=True)
    # With a picture behind the people, blur is off already; the room is not shown by mistake.
    return _with(look, effect_on=look.effect_on and not look.is_blurred)


def _tell_blur(look: Look) -> str:
    told = describe_effect(look)
    if look.is_blurred:
        return told
    return f"blur is off, strength {look.strength:g}; {told}"


def _change_background(look: Look, words: str) -> tuple[Look, ...]:
    if words.casefold() in TURNS:
        return _turned(look, TURNS[words.casefold()])
    if not words:
        raise SettingsError(
            "no background is named",
            hint="give next, previous, blur, a colour such as '#00ff00', or a picture or video",
        )
    if words.casefold() == BLUR:
        words = BLUR
    elif is_path(words):
        check_file(words)
    return _with(look, background=words, effect_on=True)


def _turned(look: Look, step: int) -> tuple[Look, ...]:
    """The looks with the backgrounds of the list, the next one first and this one last."""
    shelf = look.backgrounds
    if not shelf:
        raise SettingsError(
            "there is no list of backgrounds", hint="set 'backgrounds' in the config file"
        )
    place = _place(look)
    first = place + step if place is not None else min(0, step)
    order = (shelf[(first + turn * step) % len(shelf)] for turn in range(len(shelf)))
    return tuple(replace(look, background=each, effect_on=True) for each in order)


def _place(look: Look) -> int | None:
    """Where the background stands in the list; a blur of another strength is still the blur."""
    if look.background in look.backgrounds:
        return look.backgrounds.index(look.background)
    if look.background != BLUR:
        return None
    blurs = [place for place, each in enumerate(look.backgrounds) if each.startswith(f"{BLUR}:")]
    exact = [place for place in blurs if blur_strength(look.backgrounds[place]) == look.strength]
    return next(iter(exact or blurs), None)


def _change_overlay(look: Look, words: str) -> tuple[Look, ...]:
    if not words:
        raise SettingsError("no overlay is named", hint="give a picture, or off")
    if words.casefold() == "off":
        return _with(look, overlay=None)
    check_file(words)
    return _with(look, overlay=words)


def _tell_overlay(look: Look) -> str:
    return f"the overlay is {Path(look.overlay).name}" if look.overlay else "overlay is off"


EFFECT = replace(
    _switch("effect", "effect_on", "on|off|toggle", "Blur or background, or neither."),
    tell=describe_effect,
)

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        EFFECT,
        Command(
            "blur", "on|off|toggle|strength N", "Blur the background.", _change_blur, _tell_blur
        ),
        _number("strength", "", "How strong the blur is."),
        Command(
            "background",
            "FILE|COLOR|blur|next|previous",
            "What is behind people.",
            _change_background,
            describe_effect,
        ),
        _switch("mirror", "mirror", "on|off|toggle", "Show people as a mirror does."),
        _switch("freeze", "frozen", "on|off|toggle", "Stop the picture.", ": the picture stands"),
        _choice(
            "view",
            VIEWS,
            "Show people in white instead.",
            {"composite": "the picture is shown", "mask": "the mask is shown"},
        ),
        _choice(
            "keep",
            KEEPS,
            "Which people are shown.",
            {
                "all": "everybody is kept",
                "largest": "the largest person is kept",
                "centre": "the person nearest the centre is kept",
            },
        ),
        _number("threshold", "", "How sure an edge must be."),
        _number("feather", " pixels", "Soften people's edges."),
        _number("grow", " pixels", "Widen people, or narrow them."),
        Command("overlay", "FILE|off", "A picture on top.", _change_overlay, _tell_overlay),
        _switch("auto-frame", "auto_frame", "on|off|toggle", "Follow people with the crop."),
        _switch("statistics", "statistics", "on|off|toggle", "Show figures in the preview."),
        Command("preset", "fast|balanced|best", "Which networks."),
        Command("camera", "NUMBER|PATH|NAME|ADDRESS", "Which camera is read."),
        Command("virtual-camera", "DEVICE|none", "Where the pictures go."),
        Command("profile", "NAME|none", "Take a profile of the config file."),
        Command("save", "NAME", "Write the look into a profile."),
        Command("reload", "", "Read the config file again."),
        Command("status", "", "Tell how it runs."),
        Command("quit", "", "End humanseg live."),
    )
}
"""All commands by name, in the order they are shown."""
