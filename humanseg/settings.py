"""Presets: which networks, and how their masks are treated."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from humanseg.blending import BlendOptions
from humanseg.errors import SettingsError
from humanseg.gate import NO_GATE, GateOptions
from humanseg.refine import RefineOptions
from humanseg.sizes import NETWORK_PIXELS
from humanseg.temporal import SmoothingOptions

ENSEMBLE = ("unet", "sdunet", "linknet", "hrnet")


@dataclass(frozen=True, slots=True)
class Preset:
    """The options of all stages together.

    Attributes:
        models: names of weights; several are one ensemble.
        areas: in which the networks see a frame, in pixels; the masks of several are averaged.
        exact: the networks' numbers are not rounded to 8 bits, even where that is quicker.
        smoothing: of masks over time; files are smoothed with its look-ahead.
        gate: when the networks may be left out, because nothing moves.
        refine: from mask to alpha.
        blend: people over the background.
        about: one line for people.
    """

    models: tuple[str, ...]
    areas: tuple[int, ...] = (NETWORK_PIXELS,)
    exact: bool = False
    smoothing: SmoothingOptions = field(default_factory=SmoothingOptions)
    gate: GateOptions = field(default_factory=GateOptions)
    refine: RefineOptions = field(default_factory=RefineOptions)
    blend: BlendOptions = field(default_factory=BlendOptions)
    about: str = ""


CAREFUL = BlendOptions(linear_light=True, clean_edges=True)

PRESETS: Mapping[str, Preset] = {
    "fast": Preset(
        models=("fast",), areas=(32768,), about="one small network, for calls on a laptop"
    ),
    "balanced": Preset(
        models=ENSEMBLE, blend=CAREFUL, about="the four networks together; the default"
    ),
    "best": Preset(
        models=ENSEMBLE,
        areas=(160 * 128, 320 * 240),
        exact=True,
        smoothing=SmoothingOptions(look_ahead=2),
        gate=NO_GATE,
        blend=CAREFUL,
        about="the four networks on each frame in two sizes, for files",
    ),
}


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        SettingsError: there is none.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(PRESETS)}"
        raise SettingsError(f"there is no preset '{name}'", hint=hint)
    return PRESETS[name]
