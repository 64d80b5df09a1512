"""The training loop, top to bottom."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from humanseg.errors import SettingsError, SinkError
from humanseg.models import registry
from humanseg_training.batches import Batches
from humanseg_training.checkpoint import (
    config_table,
    load_checkpoint,
    save_checkpoint,
    write_whole,
)
from humanseg_training.config import Config
from humanseg_training.data import Faults
from humanseg_training.evaluate import Truths, read_truths, score
from humanseg_training.learner import Learner
from humanseg_training.loading import load
from humanseg_training.mask_tuner import MaskTuner, save_tuner
from humanseg_training.pictures import sheet
from humanseg_training.predict import predictor
from humanseg_training.schedule import Schedule
from humanseg_training.stopping import StopRequest, TrainingInterrupted, TrainingStopped
from humanseg_training.team import Team
from humanseg_training.tracking import Line, Tracker

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"


def train(
    config: Config,
    root: Path,
    out: Path,
    *,
    resume: bool = False,
    weights_folder: Path = registry.WEIGHTS_FOLDER,
    wandb: str = "",
    on_line: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train one network; write checkpoints, logs, pictures and the averaged weights under `out`.

    Under torchrun all processes call it alike and share each batch.

    Args:
        config: of the run.
        root: folder that the config's folders lie in.
        out: folder of the run, made when missing.
        resume: go on from `out/checkpoint.pt`.
        weights_folder: where `start_from`, `teacher` and `tuner_behind` are looked up.
        wandb: project of Weights & Biases to log to, too; "" for none.
        on_line: takes one line of progress, in JSON, after every scoring.

    Returns:
        Path of the weights' card, or of the mask tuner.

    Raises:
        TrainingDataError: pictures or masks are missing or wrong; before the first step.
        SettingsError: the config does not fit this machine, or `out` holds a run already.
        WeightsError: the checkpoint to resume does not fit.
        TrainingInterrupted: Ctrl-C or SIGTERM.
        TrainingStopped: a loss that is no number.
        SinkError: a checkpoint or a log cannot be written.
    """
    if not resume and (out / CHECKPOINT).exists():
        raise SettingsError(
            "holds a run already", subject=out, hint="add --resume, or give another --out folder"
        )
    with Team(config.device) as team:
        faults = Faults()
        with faults.collected():
            batches = Batches(config, root)
        with faults.collected():
            truths = read_truths(root, config.validation)
        faults.raise_any()
        learner = Learner(config, team, weights_folder)
        begin, progress = 0, {"best": -1.0, "stale": 0}
        if resume:
            checkpoint = load_checkpoint(out / CHECKPOINT, config)
            learner.restore(checkpoint)
            begin, progress = checkpoint.step, {**progress, **checkpoint.progress}
        schedule = Schedule(config, batches.picture_count)
        run = _Run(config, out, team, learner, schedule, truths, progress, batches.picture_count)
        done = run.go(batches, begin, wandb, on_line)
        return run.finish(done, weights_folder)


class _Run:
    """A run between its first and its last step."""

    def __init__(
        self,
        config: Config,
        out: Path,
        team: Team,
        learner: Learner,
        schedule: Schedule,
        truths: Truths,
        progress: dict[str, Any],
        picture_count: int,
    ) -> None:
        self._config, self._out, self._team, self._learner = config, out, team, learner
        self._schedule, self._truths, self._progress = schedule, truths, progress
        self._pictures = picture_count
        self._score_every = max(1, round(config.score_epochs * picture_count / config.batch))

    def go(self, batches: Batches, begin: int, wandb: str, on_line: Callable[[str], None]) -> int:
        """Train from the step `begin` to the last; the number of steps that are done then."""
        config, team, learner = self._config, self._team, self._learner
        steps = self._schedule.steps
        table, first = config_table(config), team.is_first
        tracker = Tracker(self._out, begin=begin, config=table, wandb=wandb) if first else None
        losses: list[float] = []
        saved_at = started_at = time.monotonic()
        done = begin
        with StopRequest() as stop, tracker or nullcontext():
            if self._has_stopped_early():
                return done
            parts = {"part": team.rank, "parts": team.size}
            for step, batch in load(batches, self._schedule, begin, **parts):
                if team.any(stop.requested):
                    self._save(step)
                    raise TrainingInterrupted(
                        f"stopped before step {step} of {steps}",
                        subject=config.name,
                        hint="the same command with --resume goes on",
                    )
                moment = self._schedule.at(step)
                try:
                    losses.append(learner.step(batch, step, moment.learning_rate))
                except TrainingStopped as stopped:
                    raise self._with_checkpoint(stopped) from None
                done = step + 1
                is_scored = done % self._score_every == 0 or done == steps
                if is_scored and tracker is not None:
                    line = {
                        "step": done,
                        "steps": steps,
                        "epoch": round(done * config.batch / self._pictures, 2),
                        "pixels": moment.stage.pixels,
                        "learning_rate": moment.learning_rate,
                        "loss": round(float(np.mean(losses)), 5),
                        **self._score(),
                        "seconds": round(time.monotonic() - started_at),
                    }
                    tracker.add(line, sheet(self._truths, predictor(self._learner.average.network)))
                    on_line(json.dumps(line))
                    self._remember(line)
                    losses.clear()
                if is_scored or time.monotonic() - saved_at > config.checkpoint_seconds:
                    self._save(done)
                    saved_at = time.monotonic()
                if is_scored and team.any(self._has_stopped_early()):
                    break
        return done

    def finish(self, done: int, weights_folder: Path) -> Path:
        """Write the weights of the run, the best ones if it may stop early; their path."""
        config, network = self._config, self._learner.average.network
        if not self._team.is_first:
            return self._out / f"{config.name}.toml"
        if config.early_stop and (self._out / BEST).exists():
            network.load_state_dict(torch.load(self._out / BEST, weights_only=True))
        if isinstance(network, MaskTuner):
            path = self._out / f"{config.name}.tuner.safetensors"
            save_tuner(network, config.tuner_behind, weights_folder, path)
            return path
        beside = self._out / "new.part"
        try:
            registry.save(
                network.cpu(),
                beside,
                config.name,
                architecture=config.network,
                width=config.width,
                training=_training_table(config, done, self._pictures),
                scores={"set": config.validation.name, **self._score()},
            )
            for ending in (".safetensors", ".toml"):
                os.replace(beside / f"{config.name}{ending}", self._out / f"{config.name}{ending}")
        except OSError as error:
            raise SinkError(
                f"the weights cannot be written: {error.strerror}",
                subject=self._out,
                hint="the checkpoint is there; free some space and use --resume",
            ) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return self._out / f"{config.name}.toml"

    def _score(self) -> dict[str, float]:
        return score(self._truths, predictor(self._learner.average.network)).table()

    def _save(self, step: int) -> None:
        if self._team.is_first:
            checkpoint = self._learner.checkpoint(step, self._progress)
            save_checkpoint(checkpoint, self._out / CHECKPOINT)

    def _remember(self, line: Line) -> None:
        """Count for early stopping, and keep the best weights if the run may stop early."""
        if line["dice"] > self._progress["best"]:
            self._progress.update(best=line["dice"], stale=0)
            if self._config.early_stop:
                write_whole(self._learner.average.network.state_dict(), self._out / BEST)
        else:
            self._progress["stale"] += 1

    def _has_stopped_early(self) -> bool:
        return 0 < self._config.early_stop <= int(self._progress["stale"])

    def _with_checkpoint(self, stopped: TrainingStopped) -> TrainingStopped:
        path = self._out / CHECKPOINT
        where = f"{path} is from before" if path.exists() else "no checkpoint was written before"
        return TrainingStopped(
            stopped.what, subject=stopped.subject, hint=f"{where}; {stopped.hint}"
        )


def _training_table(config: Config, steps: int, picture_count: int) -> dict[str, Any]:
    return {
        "data": [data.name for data in config.data],
        "backgrounds": config.backgrounds,
        "stages": [str(stage) for stage in config.stages],
        "pictures": picture_count,
        "epochs": round(steps * config.batch / picture_count, 1),
        "steps": steps,
        "batch": config.batch,
        "seed": config.seed,
        "augmentation": config.augmentation.set,
        "start_from": config.start_from,
        "encoder": config.encoder,
        "encoder_from": config.encoder_from,
        "teacher": list(config.teacher),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
