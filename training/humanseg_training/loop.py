"""The training loop, top to bottom."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from humanseg.errors import HumansegError
from humanseg.models import registry
from humanseg.sizes import input_size
from humanseg_training.average import MovingAverage
from humanseg_training.checkpoint import (
    Checkpoint,
    config_table,
    load_checkpoint,
    save_checkpoint,
)
from humanseg_training.config import Config
from humanseg_training.data import Batch, Batches
from humanseg_training.depthwise import speed_up
from humanseg_training.evaluate import Predict, Scores, enlarge, evaluate
from humanseg_training.losses import segmentation_loss
from humanseg_training.pretrained import fill_encoder
from humanseg_training.schedule import Schedule

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHECKPOINT_SECONDS = 300.0
SCORES_PER_RUN = 12
LOADING_PROCESSES = 1


class TrainingStopped(HumansegError):
    """The loss of a run was no number; the checkpoint from before is kept."""


class TrainingInterrupted(TrainingStopped):
    """Ctrl-C or SIGTERM ended the run; a checkpoint of its last step is kept."""

    exit_code = 130


class _Steps(Dataset[tuple[int, Batch]]):
    """Batches by step, for the loading process."""

    def __init__(self, batches: Batches, schedule: Schedule) -> None:
        self._batches, self._schedule = batches, schedule

    def __len__(self) -> int:
        return self._schedule.steps

    def __getitem__(self, step: int) -> tuple[int, Batch]:
        return step, self._batches.batch(step, pixels=self._schedule.at(step).stage.pixels)


def train(
    config: Config,
    root: Path,
    out: Path,
    *,
    resume: bool = False,
    weights_folder: Path = registry.WEIGHTS_FOLDER,
    on_line: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train one network; write checkpoints, a log and the averaged weights under `out`.

    Args:
        config: of the run.
        root: folder that the config's folders lie in.
        out: folder of the run, made when missing.
        resume: go on from `out/checkpoint.pt`.
        weights_folder: where `config.start_from` is looked up.
        on_line: takes one line of progress after every scoring.

    Returns:
        Path of the weights' card.

    Raises:
        TrainingDataError: pictures or masks are missing or wrong; before the first step.
        WeightsError: the checkpoint to resume does not fit.
        TrainingInterrupted: Ctrl-C or SIGTERM.
        TrainingStopped: a loss that is no number.
        SinkError: a checkpoint cannot be written.
    """
    torch.manual_seed(config.seed)
    network = registry.build(config.network, config.width)
    if config.encoder:
        fill_encoder(network, config.encoder)
    if config.start_from:
        network.load_state_dict(registry.load(config.start_from, weights_folder).state_dict())
    speed_up(network)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = MovingAverage(network, config.average_decay)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=1.0, weight_decay=config.weight_decay, fused=True
    )
    begin = 0
    if resume:
        checkpoint = load_checkpoint(out / "checkpoint.pt", config)
        network.load_state_dict(checkpoint.network)
        average.network.load_state_dict(checkpoint.average)
        optimizer.load_state_dict(checkpoint.optimizer)
        begin = checkpoint.step
    batches = Batches(config, root)
    schedule = Schedule(config, batches.picture_count)
    score_every = max(1, schedule.steps // SCORES_PER_RUN)

    def save(step: int) -> None:
        state = (network.state_dict(), average.network.state_dict(), optimizer.state_dict())
        save_checkpoint(Checkpoint(step, *state, config_table(config)), out / "checkpoint.pt")

    out.mkdir(parents=True, exist_ok=True)
    losses: list[float] = []
    scores: Scores | None = None
    saved_at = started_at = time.monotonic()
    with _StopRequest() as stop, (out / "log.jsonl").open("a", encoding="utf-8") as log:
        for step, batch in _load(batches, schedule, begin):
            if stop.requested:
                save(step)
                raise TrainingInterrupted(
                    f"stopped before step {step} of {schedule.steps}",
                    subject=config.name,
                    hint="the same command with --resume goes on",
                )
            moment = schedule.at(step)
            for group in optimizer.param_groups:
                group["lr"] = moment.learning_rate
            loss = _step(network, optimizer, batch, config)
            if not math.isfinite(loss):
                raise TrainingStopped(
                    f"the loss of step {step} is {loss}",
                    subject=config.name,
                    hint=f"{out / 'checkpoint.pt'} is from before; lower the learning rate",
                )
            losses.append(loss)
            average.update(network, step)
            if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                save(step + 1)
                saved_at = time.monotonic()
            if (step + 1) % score_every == 0 or step + 1 == schedule.steps:
                scores = evaluate(root, config.validation, predictor(average.network))
                line = {
                    "step": step + 1,
                    "steps": schedule.steps,
                    "pixels": moment.stage.pixels,
                    "loss": round(float(np.mean(losses)), 5),
                    **score_table(scores),
                    "seconds": round(time.monotonic() - started_at),
                }
                print(json.dumps(line), file=log, flush=True)
                on_line(json.dumps(line))
                losses.clear()
        save(schedule.steps)
    if scores is None:  # resumed at its very end: the loop had nothing left to score
        scores = evaluate(root, config.validation, predictor(average.network))
    registry.save(
        average.network,
        out,
        config.name,
        architecture=config.network,
        width=config.width,
        training=_training_table(config, schedule.steps, batches.picture_count),
        scores={"set": config.validation.images, **score_table(scores)},
    )
    return out / f"{config.name}.toml"


def _step(
    network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, config: Config
) -> float:
    network.train()
    images = torch.from_numpy(batch.images).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
    losses = segmentation_loss(
        logits.float(),
        torch.from_numpy(batch.masks),
        torch.from_numpy(batch.weights),
        boundary=config.boundary,
    )
    optimizer.zero_grad(set_to_none=True)
    losses["total"].backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
    optimizer.step()
    return losses["total"].item()


def _load(batches: Batches, schedule: Schedule, begin: int) -> Iterator[tuple[int, Batch]]:
    """Batches from `begin` on, made ahead in another process; the pictures are shared by fork."""
    loader = DataLoader(
        _Steps(batches, schedule),
        batch_size=None,
        sampler=range(begin, schedule.steps),
        num_workers=LOADING_PROCESSES,
        prefetch_factor=6,
        # Where it works, forking shares the pictures instead of copying them.
        multiprocessing_context="fork" if sys.platform == "linux" else "spawn",
        worker_init_fn=_single_threaded,
        collate_fn=_as_is,
    )
    yield from loader


def _as_is(item: Any) -> Any:
    return item


def _single_threaded(_: int) -> None:
    cv2.setNumThreads(0)
    # Both reach the whole group of processes; the training process alone decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class _StopRequest:
    """Remembers Ctrl-C and SIGTERM, so that the step in progress can end first."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _StopRequest:
        for name in (signal.SIGINT, signal.SIGTERM):
            self._before[name] = signal.signal(name, self._remember)
        return self

    def __exit__(self, *exception: object) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


def predictor(network: nn.Module, *, flip: bool = False) -> Predict:
    """Make a predictor for `evaluate` from a network; `flip` averages with the mirror image."""
    network.eval()

    @torch.inference_mode()
    def predict(images: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.float32]]:
        height, width = images[0].shape[:2]
        size = input_size(height, width)
        small = [cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA) for image in images]
        batch = torch.from_numpy(np.stack(small).transpose(0, 3, 1, 2).astype(np.float32) / 255)
        logits = network(batch.contiguous(memory_format=torch.channels_last))
        if flip:
            logits = (logits + network(batch.flip(-1)).flip(-1)) / 2
        return enlarge(torch.sigmoid(logits)[:, 0].float().numpy(), height, width)

    return predict


def score_table(scores: Scores) -> dict[str, float]:
    """Scores by name, rounded as cards and logs hold them."""
    return {
        "dice": round(scores.dice, 4),
        "pooled_dice": round(scores.pooled_dice, 4),
        "iou": round(scores.iou, 4),
        "boundary_f": round(scores.boundary_f, 4),
    }


def _training_table(config: Config, steps: int, picture_count: int) -> dict[str, Any]:
    return {
        "data": [data.images for data in config.data],
        "backgrounds": config.backgrounds,
        "stages": [f"{stage.epochs:g} epochs at {stage.pixels} pixels" for stage in config.stages],
        "pictures": picture_count,
        "epochs": round(steps * config.batch / picture_count, 1),
        "steps": steps,
        "batch": config.batch,
        "seed": config.seed,
        "start_from": config.start_from,
        "encoder": config.encoder,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
