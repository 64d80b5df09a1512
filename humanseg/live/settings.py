"""The settings of `humanseg live`: what each key of the config file means, and which values it has.

The names, checks, examples and explanations stand here once, for the config file, its commented
template, and the command line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from humanseg.engines.choose import DEVICES, ENGINES
from humanseg.errors import SettingsError
from humanseg.look.looks import (
    BLUR,
    DEFAULT_STRENGTH,
    DEFAULT_THRESHOLD,
    KEEPS,
    RANGES,
    Keep,
    Look,
    absolute_background,
    absolute_path,
    blur_strength,
    check_choice,
    is_file,
)

DEFAULT_PRESET = "balanced"

NO_OVERLAY = "off"
"""What the file has for no overlay, where one is set further out."""

Read = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What `humanseg live` runs with.

    Attributes:
        camera: number, path, name or address of the camera, or a video file.
        size: (height, width) asked of the camera; None takes its own.
        fps: frames a second asked of the camera; None takes its own.
        format: of the camera's pictures: "auto", "mjpg" or "yuyv".
        virtual_camera: device of the virtual camera; None takes the first one.
        virtual_format: of the virtual camera's pictures, as `VirtualCameraSink` takes it.
        background: as `Look.background`.
        strength: as `Look.strength`.
        preset: which networks.
        engine: what runs them.
        device: where they run.
        threads: of the networks; None chooses.
        mirror: as `Look.mirror`.
        keep: as `Look.keep`.
        threshold: as `Look.threshold`.
        feather: as `Look.feather`.
        grow: as `Look.grow`.
        overlay: as `Look.overlay`.
        auto_frame: as `Look.auto_frame`.
        max_cpu: cores that may be busy, 1.0 for one; None sets no limit.
        gate: leave the networks out while nothing moves.
        always_on: keep the camera open when no program reads the virtual camera.
        preview: show a window.
        backgrounds: as `Look.backgrounds`.
    """

    camera: int | str = 0
    size: tuple[int, int] | None = None
    fps: float | None = None
    format: str = "auto"
    virtual_camera: str | None = None
    virtual_format: str = "auto"
    background: str = BLUR
    strength: float = DEFAULT_STRENGTH
    preset: str = DEFAULT_PRESET
    engine: str = "auto"
    device: str = "auto"
    threads: int | None = None
    mirror: bool = False
    keep: Keep = "all"
    threshold: float = DEFAULT_THRESHOLD
    feather: float = 0.0
    grow: float = 0.0
    overlay: str | None = None
    auto_frame: bool = False
    max_cpu: float | None = None
    gate: bool = True
    always_on: bool = False
    preview: bool = False
    backgrounds: tuple[str, ...] = ()

    def look(self) -> Look:
        """The look to begin with."""
        return Look(
            background=self.background,
            strength=self.strength,
            mirror=self.mirror,
            keep=self.keep,
            threshold=self.threshold,
            feather=self.feather,
            grow=self.grow,
            overlay=self.overlay,
            auto_frame=self.auto_frame,
            backgrounds=self.backgrounds,
        )


DEFAULTS: Mapping[str, object] = {
    field.name: getattr(LiveSettings(), field.name) for field in fields(LiveSettings)
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the config file.

    Attributes:
        read: makes the setting of a TOML value; raises SettingsError, naming what is allowed.
        example: a TOML value.
        about: what it means, in a line.
    """

    read: Read
    example: str
    about: str


def _wrong(value: object, allowed: str) -> SettingsError:
    shown = f"'{value}'" if isinstance(value, str) else str(value).lower()
    return SettingsError(f"cannot be {shown}", hint=f"give {allowed}")


def _read_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def _read_number(value: object, *, low: float, high: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= float(str(value)) <= high:
        raise _wrong(value, f"a number from {low:g} to {high:g}")
    return float(str(value))


def _read_whole(value: object, *, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _wrong(value, f"a whole number from {low} to {high}")
    return value


def _read_text(value: object, *, allowed: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(value, allowed)
    return value


def _read_choice(value: object, *, choices: Sequence[str]) -> str:
    text = _read_text(value, allowed=", ".join(f'"{choice}"' for choice in choices))
    check_choice("it", text, choices)
    return text


def read_camera(value: object) -> int | str:
    """The camera that a number or a text means.

    Raises:
        SettingsError: it is neither.
    """
    allowed = 'a number, or "/dev/video0", a name, an address or a file in quotes'
    if isinstance(value, int):
        return _read_whole(value, low=0, high=255)
    text = _read_text(value, allowed=allowed)
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else text


def _read_size(value: object) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{2,5})x([0-9]{2,5})", value) if isinstance(value, str) else None
    if found is None:
        raise _wrong(value, 'width and height, as "1280x720"')
    return int(found[2]), int(found[1])


def _read_format(value: object) -> str:
    from humanseg.sources.camera_format import PIXEL_FORMATS

    return _read_choice(value, choices=PIXEL_FORMATS)


def _read_virtual_format(value: object) -> str:
    from humanseg.sinks.camera_pixels import PIXEL_FORMATS

    return _read_choice(value, choices=("auto", *PIXEL_FORMATS))


def _read_preset(value: object) -> str:
    from humanseg.settings import PRESETS

    return _read_choice(value, choices=tuple(PRESETS))


def _read_background(value: object) -> str:
    text = _read_text(value, allowed='"blur", a colour, or the path of a picture or video')
    blur_strength(text)
    return text


def _read_overlay(value: object) -> str | None:
    text = _read_text(value, allowed='the path of a picture with transparency, or "off"')
    return None if text == NO_OVERLAY else text


def _read_backgrounds(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(value, 'a list, as ["blur", "beach.jpg"]')
    return tuple(_read_background(each) for each in value)


def _ranged(name: str) -> Read:
    low, high = RANGES[name]
    return partial(_read_number, low=low, high=high)


def _chosen(choices: Sequence[str]) -> Read:
    return partial(_read_choice, choices=choices)


KEYS: Mapping[str, Key] = {
    "camera": Key(read_camera, "0", "Number, path, name or address of the camera."),
    "size": Key(_read_size, '"1280x720"', "Of the camera's pictures; its own by default."),
    "fps": Key(
        partial(_read_number, low=1, high=240), "30", "Frames a second; the camera's by default."
    ),
    "format": Key(_read_format, '"auto"', "Of the camera's pictures: auto, mjpg or yuyv."),
    "virtual_camera": Key(
        partial(_read_text, allowed="a device in quotes"),
        '"/dev/video10"',
        "Where the pictures go; the first virtual camera by default.",
    ),
    "virtual_format": Key(
        _read_virtual_format, '"auto"', "Of its pictures: auto, i420, nv12, yuyv, uyvy, rgb."
    ),
    "background": Key(_read_background, '"blur"', "blur, a colour, or a picture or video."),
    "strength": Key(_ranged("strength"), "0.5", "Of the blur, 0 to 1."),
    "backgrounds": Key(
        _read_backgrounds, '["blur", "green"]', "What the key n goes through while it runs."
    ),
    "mirror": Key(_read_bool, "false", "Show people as a mirror does."),
    "keep": Key(_chosen(KEEPS), '"all"', "Which people are shown: all, largest or centre."),
    "threshold": Key(_ranged("threshold"), "0.5", "How sure an edge must be; less shows more."),
    "feather": Key(_ranged("feather"), "0", "Softens people's edges, in pixels."),
    "grow": Key(_ranged("grow"), "0", "Widens people, in pixels; negative narrows."),
    "overlay": Key(
        _read_overlay,
        '"logo.png"',
        "A picture with transparency on top.",
    ),
    "auto_frame": Key(_read_bool, "false", "Follow people with the crop."),
    "preset": Key(_read_preset, f'"{DEFAULT_PRESET}"', "Which networks: fast, balanced or best."),
    "engine": Key(_chosen(ENGINES), '"auto"', "What runs them: auto, torch, openvino or int8."),
    "device": Key(_chosen(DEVICES), '"auto"', "Where they run: auto, cpu, cuda or mps."),
    "threads": Key(
        partial(_read_whole, low=1, high=256), "2", "Of the networks; chosen by default."
    ),
    "max_cpu": Key(
        partial(_read_number, low=0.01, high=1024),
        "150",
        "Percent of one core; no limit by default.",
    ),
    "gate": Key(_read_bool, "true", "Leave the networks out while nothing moves."),
    "always_on": Key(_read_bool, "false", "Keep the camera on when nobody looks."),
    "preview": Key(_read_bool, "false", "Show a window."),
}
"""All keys, in the order in which the template shows them."""


def from_folder(settings: Mapping[str, object], folder: Path) -> dict[str, object]:
    """Settings whose relative paths start from a folder, and whose "blur:0.8" is taken apart."""
    placed = dict(settings)
    background = placed.get("background")
    if isinstance(background, str):
        placed["background"] = absolute_background(background, folder)
        strength = blur_strength(background)
        if strength is not None and background != BLUR:
            placed["background"] = BLUR
            placed.setdefault("strength", strength)
    if isinstance(placed.get("camera"), str):
        film = absolute_path(str(placed["camera"]), folder)
        placed["camera"] = film if is_file(film) else placed["camera"]
    if isinstance(placed.get("overlay"), str):
        placed["overlay"] = absolute_path(str(placed["overlay"]), folder)
    backgrounds = placed.get("backgrounds")
    if isinstance(backgrounds, tuple):
        placed["backgrounds"] = tuple(absolute_background(each, folder) for each in backgrounds)
    return placed


def of_look(look: Look) -> dict[str, object]:
    """The settings that make this look, as the config file takes them; None for what is not set.

    What is switched only for a moment, as freeze and the mask view, is no setting.
    """
    return {
        "background": look.background,
        "strength": look.strength,
        "mirror": look.mirror,
        "keep": look.keep,
        "threshold": look.threshold,
        "feather": look.feather,
        "grow": look.grow,
        "overlay": look.overlay,
        "auto_frame": look.auto_frame,
    }
