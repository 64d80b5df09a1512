"""A network while it learns: one step at a time, in mixed precision, alone or with others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from humanseg.errors import SettingsError, WeightsError
from humanseg.models import registry
from humanseg_training.average import MovingAverage
from humanseg_training.batches import Batch
from humanseg_training.checkpoint import (
    Checkpoint,
    config_table,
    random_state,
    restore_random_state,
)
from humanseg_training.config import Config
from humanseg_training.depthwise import speed_up_depthwise
from humanseg_training.enlarging import speed_up_enlarging
from humanseg_training.freezing import Frozen
from humanseg_training.losses import disagreement, segmentation_loss
from humanseg_training.mask_tuner import MaskTuner
from humanseg_training.pretrained import fill_encoder, take_encoder
from humanseg_training.stopping import TrainingStopped
from humanseg_training.team import Team
from humanseg_training.views import Motion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class Learner:
    """The network of a run, the moving average of its weights, and the optimiser.

    Attributes:
        network: what is trained, under the names its weights are saved with.
        average: the moving average; it is what is scored and saved in the end.
        precision: "f32", "bf16" or "f16".
    """

    def __init__(self, config: Config, team: Team, weights_folder: Path) -> None:
        """Build the network and fill it as the config says.

        Raises:
            SettingsError: the batch cannot be shared, or the precision does not fit the device.
            WeightsError: weights to start from are missing or of another network.
            MissingExtraError: the package of the encoder's weights is missing.
        """
        if config.batch % team.size:
            raise SettingsError(
                f"{team.size} processes cannot share a batch of {config.batch}",
                subject=config.name,
                hint="choose a batch that is a multiple of the number of processes",
            )
        self._config, self._team = config, team
        self.precision = _choose_precision(config.precision, team.device)
        torch.manual_seed(config.seed)
        network = _build(config, weights_folder)
        if team.device.type == "cpu":
            speed_up_depthwise(network)
            speed_up_enlarging(network)
        self._frozen = Frozen(network, config.frozen_stages)
        self.network: nn.Module = network.to(team.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = MovingAverage(self.network, config.average_decay)
        self._trained = [value for value in self.network.parameters() if value.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._trained, lr=1.0, weight_decay=config.weight_decay, fused=True
        )
        self._scaler = torch.amp.GradScaler(team.device.type, enabled=self.precision == "f16")
        self._teacher = None
        if config.teacher:
            teacher = registry.load_ensemble(config.teacher, weights_folder)
            self._teacher = teacher.to(team.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._joined: nn.Module | None = None

    def step(self, batch: Batch, step: int, learning_rate: float) -> float:
        """Learn from one batch, or from this process's part of it; the loss of the whole batch.

        Raises:
            TrainingStopped: loss or gradient is no number; nothing was learned from the batch.
        """
        if self._joined is None:  # not before a checkpoint was restored
            self._joined = self._team.joined(self.network)
        self._joined.train()
        self._frozen.keep()
        self._optimizer.zero_grad(set_to_none=True)
        logits, total = self._loss(batch, step)
        loss = float(self._team.mean(total.detach()))
        if not math.isfinite(loss):
            self._refuse(f"the loss of step {step} is {loss}", batch, logits)
        self._scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        norm = float(nn.utils.clip_grad_norm_(self._trained, self._config.clip_norm))
        # In f16 the scaler meets such gradients now and then, and leaves the step out by itself.
        if not math.isfinite(norm) and not self._scaler.is_enabled():
            self._refuse(f"the gradient of step {step} is {norm}", batch, logits)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self.average.update(self.network, step)
        return loss

    def checkpoint(self, step: int, progress: dict[str, Any]) -> Checkpoint:
        """Everything that going on from here takes."""
        return Checkpoint(
            step,
            self.network.state_dict(),
            self.average.network.state_dict(),
            self._optimizer.state_dict(),
            config_table(self._config),
            self._scaler.state_dict(),
            random_state(),
            progress,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; before the first step only."""
        self.network.load_state_dict(checkpoint.network)
        self.average.network.load_state_dict(checkpoint.average)
        self._optimizer.load_state_dict(checkpoint.optimizer)
        if checkpoint.scaler:
            self._scaler.load_state_dict(checkpoint.scaler)
        restore_random_state(checkpoint.random)

    def _loss(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """Logits of the batch, and what is minimised."""
        config = self._config
        images, masks = self._upload(batch.images), self._upload(batch.masks)
        weights = self._upload(batch.weights)
        if self._teacher is not None:
            masks, weights = self._taught(images, masks, weights)
        if batch.views is None:
            logits = self._logits(images)
        else:
            views, motion = self._upload(batch.views), None
            if config.consistency_view == "motion":
                own = range(config.batch)[self._team.rank :: self._team.size]
                motion = Motion(config.seed, step, own)
                views = motion.move(views)
            logits, others = self._logits(torch.cat([images, views])).chunk(2)
        total = segmentation_loss(
            logits, masks, weights, boundary=config.boundary, share=self._team.mean
        )["total"]
        if batch.views is not None:
            first = logits if motion is None else motion.move(logits)
            seen = torch.ones_like(logits) if motion is None else motion.seen(logits)
            apart = disagreement(first, others, seen, share=self._team.mean)
            total = total + config.consistency * apart
        return logits, total

    def _logits(self, images: Tensor) -> Tensor:
        assert self._joined is not None
        images = images.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            logits: Tensor = self._joined(images)
        return logits.float()

    @torch.no_grad()
    def _taught(self, images: Tensor, masks: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Labels with the teacher's share; where there was none to trust, the teacher's alone."""
        assert self._teacher is not None
        share = self._config.teacher_share
        with self._autocast():
            logits: Tensor = self._teacher(images)
        opinion = torch.sigmoid(logits.float())
        unlabelled = weights == 0
        mixed = torch.where(unlabelled, opinion, (1 - share) * masks + share * opinion)
        return mixed, torch.where(unlabelled, share, weights)

    def _autocast(self) -> torch.autocast:
        kind, dtype = self._team.device.type, TYPES[self.precision]
        return torch.autocast(kind, dtype, enabled=self.precision != "f32")

    def _upload(self, planes: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(planes).to(self._team.device, non_blocking=True)

    def _refuse(self, what: str, batch: Batch, logits: Tensor) -> None:
        """End the run with the names of the pictures that gave no numbers, or else of them all."""
        finite = logits.detach().isfinite().flatten(1).all(dim=1).tolist()
        named = [name for name, is_fine in zip(batch.names, finite, strict=True) if not is_fine]
        files = ", ".join(dict.fromkeys(named or batch.names))
        raise TrainingStopped(
            f"{what}; its pictures: {files}",
            subject=self._config.name,
            hint="lower the learning rate, or look at these pictures",
        )


def _build(config: Config, weights_folder: Path) -> nn.Module:
    if config.tuner_behind:
        return MaskTuner(registry.load_ensemble(config.tuner_behind, weights_folder), config.width)
    try:
        network = registry.build(config.network, config.width)
    except ValueError as error:  # not every width can be built
        raise SettingsError(str(error), subject=config.name) from error
    if config.encoder:
        fill_encoder(network, config.encoder)
    if config.start_from:
        weights = registry.load(config.start_from, weights_folder).state_dict()
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise WeightsError(
                f"are no weights of a {config.network} of width {config.width}",
                subject=config.start_from,
                hint="start_from takes weights of the same network and width",
            ) from error
    if config.encoder_from:
        other = registry.load(config.encoder_from, weights_folder)
        take_encoder(network, other, config.encoder_from)
    return network


def _choose_precision(asked: str, device: torch.device) -> str:
    on_cuda = device.type == "cuda"
    if asked == "auto":
        return "f16" if on_cuda else "bf16"
    if asked == "f16" and not on_cuda:
        raise SettingsError(
            "f16 trains on CUDA only", subject="precision", hint='"bf16", "f32" or "auto"'
        )
    return asked
