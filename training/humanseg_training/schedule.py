"""Where a step lies in its run: its stage, and its learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanseg_training.config import Config, Stage

WARM_UP = 0.15
"""Share of a stage in which the learning rate rises."""

START_DIVISOR = 20.0
END_DIVISOR = 500.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of a run: its stage and its learning rate."""

    stage: Stage
    learning_rate: float


class Schedule:
    """One schedule a stage: one-cycle (cosine up, cosine down) or cosine (down only).

    Source: Smith and Topin, "Super-Convergence", arXiv:1708.07120.
    """

    def __init__(self, config: Config, picture_count: int) -> None:
        self._stages = config.stages
        self._factor = one_cycle if config.schedule == "one-cycle" else cosine
        self._lengths = [
            max(1, round(stage.epochs * picture_count / config.batch)) for stage in config.stages
        ]

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return sum(self._lengths)

    def at(self, step: int) -> Moment:
        """Stage and learning rate of a step, counted from 0.

        Raises:
            ValueError: the run has no such step.
        """
        begin = 0
        for stage, length in zip(self._stages, self._lengths, strict=True):
            if begin <= step < begin + length:
                share = (step - begin) / length
                return Moment(stage, stage.learning_rate * self._factor(share))
            begin += length
        raise ValueError(f"the run has {self.steps} steps, not {step + 1}")


def one_cycle(share: float) -> float:
    """Factor of the peak learning rate after a share (0..1) of a stage."""
    if share < WARM_UP:
        low, high, progress = 1 / START_DIVISOR, 1.0, share / WARM_UP
    else:
        low, high, progress = 1.0, 1 / END_DIVISOR, (share - WARM_UP) / (1 - WARM_UP)
    return low + (high - low) * (1 - math.cos(math.pi * progress)) / 2


def cosine(share: float) -> float:
    """Factor of the first learning rate after a share (0..1) of a stage, without warm-up.

    Source: Loshchilov and Hutter, "SGDR", arXiv:1608.03983, one period.
    """
    return 1 / END_DIVISOR + (1 - 1 / END_DIVISOR) * (1 + math.cos(math.pi * share)) / 2
