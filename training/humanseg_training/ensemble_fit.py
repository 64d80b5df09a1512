"""Fit what each network of an ensemble contributes, on pictures none of them was trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from humanseg.errors import TrainingDataError
from humanseg.models import registry
from humanseg.sizes import input_size
from humanseg_training.config import DataSet
from humanseg_training.data import Pair, is_held_out, list_pairs, read_pair
from humanseg_training.losses import segmentation_loss

STEPS = 200
LEARNING_RATE = 0.05


def fit_ensemble(
    names: Sequence[str],
    root: Path,
    data: Sequence[DataSet],
    *,
    holdout: int,
    halved: Sequence[str] = (),
    folder: Path = registry.WEIGHTS_FOLDER,
) -> dict[str, float]:
    """Fit the softmax weights of an ensemble on the held-out pictures of its training sets.

    Args:
        names: of the members' weights.
        root: folder of all data.
        data: sets the members were trained on.
        holdout: the members' own `holdout`: every so many-th picture was kept out.
        halved: names of the members that see the pictures at half the size.
        folder: of the weights.

    Returns:
        The share of each member; they add up to 1.

    Raises:
        TrainingDataError: a set is missing, or nothing is held out.
        WeightsError: weights are missing or damaged.
    """
    networks = registry.load_members(names, halved, folder)
    groups = [
        group for item in data for group in _groups(networks, list_pairs(root, item), item, holdout)
    ]
    if not groups:
        raise TrainingDataError("holds no pictures that were kept out of training", subject=root)
    pictures = sum(len(group.masks) for group in groups)
    mixing = torch.zeros(len(networks), requires_grad=True)
    optimizer = torch.optim.Adam([mixing], lr=LEARNING_RATE)
    for _ in range(STEPS):
        shares = torch.softmax(mixing, 0).view(-1, 1, 1, 1, 1)
        loss = torch.stack([group.loss(shares) for group in groups]).sum() / pictures
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    fitted = torch.softmax(mixing.detach(), 0)
    return {name: round(float(share), 4) for name, share in zip(names, fitted, strict=True)}


@dataclass(frozen=True, slots=True)
class _Group:
    """Pictures of one set and one size, which are scored together.

    Attributes:
        logits: (members, N, 1, h, w).
        masks: (N, 1, h, w), 0..1.
        weight: of each picture.
    """

    logits: Tensor
    masks: Tensor
    weight: float

    def loss(self, shares: Tensor) -> Tensor:
        """Sum of the pictures' weighted losses."""
        mixed = (shares * self.logits).sum(0)
        losses = segmentation_loss(mixed, self.masks, torch.ones_like(self.masks))
        return losses["total"] * self.weight * len(self.masks)


def _groups(
    networks: Sequence[torch.nn.Module], pairs: Sequence[Pair], item: DataSet, holdout: int
) -> Iterator[_Group]:
    """The held-out pictures of a set, those of one size together."""
    by_size: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for batch, mask in held_out_pictures(pairs, holdout):
        size = (batch.shape[-2], batch.shape[-1])
        by_size[size].append((_all_logits(networks, batch), _plane(mask, size)))
    for found in by_size.values():
        logits = torch.stack([planes for planes, _ in found], dim=1)
        yield _Group(logits, torch.cat([mask for _, mask in found]), item.weight * item.share)


def held_out_pictures(pairs: Sequence[Pair], holdout: int) -> Iterator[tuple[Tensor, np.ndarray]]:
    """The pictures kept out of training, one by one, as networks see them, with their masks.

    Yields:
        (1, 3, h, w) RGB 0..1 at network size, and the mask (H, W) uint8 in its own.
    """
    for pair in pairs:
        if is_held_out(pair.image, holdout):
            image, mask = read_pair(pair)
            size = input_size(*mask.shape)
            small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
            yield torch.from_numpy(small.transpose(2, 0, 1)[None] / np.float32(255)), mask


@torch.no_grad()
def _all_logits(networks: Sequence[torch.nn.Module], batch: Tensor) -> Tensor:
    """(members, 1, h, w) logits of one picture (1, 3, h, w)."""
    return torch.cat([network(batch) for network in networks])


def _plane(mask: np.ndarray, size: tuple[int, int]) -> Tensor:
    small = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small[None, None] / np.float32(255))
