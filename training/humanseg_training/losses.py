"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

DICE_SMOOTHING = 1.0
"""Pixels added to both terms of Dice: keeps empty pictures finite and their false people costly."""

BOUNDARY_REACH = 2
"""Pixels on either side of an outline that `boundary` weighs more."""


Share = Callable[[Tensor], Tensor]
"""Mean of a number over all processes that share a batch."""


def alone(number: Tensor) -> Tensor:
    """The mean over the processes when there is only one."""
    return number


def weighted_bce(logits: Tensor, masks: Tensor, weights: Tensor, *, share: Share = alone) -> Tensor:
    """Binary cross-entropy, mean over the pixels that count; all (N, 1, h, w), masks 0..1.

    The mean of several processes' results is that of the whole batch: each divides by the mean of
    what counts in all of them.
    """
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return (losses * weights).sum() / share(weights.sum()).clamp(min=1.0)


def soft_dice(logits: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    """1 - Dice of probabilities, mean over pictures; all (N, 1, h, w), masks 0..1.

    A picture without a person costs nearly 1 when a person is seen everywhere and 0 when nowhere.

    Source: Milletari et al., "V-Net", arXiv:1606.04797, with the plain sum in the denominator.
    """
    counted = (weights > 0).to(logits.dtype)
    probability = torch.sigmoid(logits) * counted
    truth = masks * counted
    overlap = (probability * truth).sum(dim=(1, 2, 3))
    total = (probability + truth).sum(dim=(1, 2, 3))
    return (1 - (2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING)).mean()


def boundary_band(masks: Tensor) -> Tensor:
    """How near the outline of the people each pixel lies, 0..1; (N, 1, h, w) like the masks.

    1 where white and black masks meet within BOUNDARY_REACH pixels, 0 where the mask is flat.
    """
    return _highest_near(masks) + _highest_near(-masks)


def _highest_near(masks: Tensor) -> Tensor:
    # By rows, then by columns: a fifth of the comparisons of a square window each.
    window, reach = 2 * BOUNDARY_REACH + 1, BOUNDARY_REACH
    rows = torch.nn.functional.max_pool2d(masks, (1, window), 1, (0, reach))
    return torch.nn.functional.max_pool2d(rows, (window, 1), 1, (reach, 0))


def segmentation_loss(
    logits: Tensor,
    masks: Tensor,
    weights: Tensor,
    *,
    boundary: float = 0.0,
    share: Share = alone,
) -> dict[str, Tensor]:
    """The terms by name, and their sum as "total".

    Args:
        logits: (N, 1, h, w) float32.
        masks: (N, 1, h, w), 0..1.
        weights: (N, 1, h, w), 0 or more; 0 leaves a pixel out.
        boundary: by how much more the cross-entropy of a pixel on an outline counts.
        share: mean over all processes that share the batch.
    """
    near = weights * (1 + boundary * boundary_band(masks)) if boundary else weights
    bce = weighted_bce(logits, masks, near, share=share)
    dice = soft_dice(logits, masks, weights)
    return {"bce": bce, "dice": dice, "total": bce + dice}


def disagreement(logits: Tensor, other: Tensor, weights: Tensor, *, share: Share = alone) -> Tensor:
    """Mean squared difference of two masks of the same scene; all (N, 1, h, w).

    Args:
        logits: of one view.
        other: of the other view, brought to the geometry of the first.
        weights: 0 where the views have nothing in common.
        share: mean over all processes that share the batch.
    """
    squares = (torch.sigmoid(logits) - torch.sigmoid(other)) ** 2
    return (squares * weights).sum() / share(weights.sum()).clamp(min=1.0)
