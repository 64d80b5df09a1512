"""The pipeline: reader, inference, finish and writer thread between a source and a sink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        frames: frames written so far.
        promised: frames the source promises, or None.
        seconds: since the start.
    """

    frames: int
    promised: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job did.

    Attributes:
        target: file or folder written.
        frames: frames written.
        promised: frames the source promised, or None.
        seconds: from the first read to the finished file.
        stage_seconds: busy time of each stage by name, in the order of the pipeline: "decode",
            "infer", "smooth", "refine", "composite", "encode". Stages overlap in time.
        width: of the written frames.
        height: of the written frames.
        preset: networks used.
        engine: what ran them and where.
        copied: kinds of streams carried over from the source: "audio", "subtitle".
        warnings: what the user should know, a sentence each.
    """

    target: Path
    frames: int
    promised: int | None
    seconds: float
    stage_seconds: Mapping[str, float]
    width: int
    height: int
    preset: str
    engine: str
    copied: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Frames a second over the whole job."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0
