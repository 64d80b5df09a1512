"""What the study put behind its networks, as modules that stand behind any network.

Each takes (N, 3, h, w) RGB 0..1 and gives (N, 1, h, w) logits like the networks do, so they can be
put behind one another; h and w are multiples of 16. The linear combination of several networks is
`humanseg.models.ensemble.Ensemble`, the mask tuner `humanseg_training.mask_tuner.MaskTuner`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from humanseg.sizes import NETWORK_STRIDE

USUAL_SCALES = (0.75, 1.0, 1.25)
LEAST_PROBABILITY = 1e-6
"""Probabilities are kept this far from 0 and 1, so that their logits stay finite."""


class MirrorAverage(nn.Module):
    """Mean of the logits of a picture and of its horizontal reflection, at twice the cost."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Logits of both, averaged."""
        both: Tensor = self.network(image) + self.network(image.flip(-1)).flip(-1)
        return both / 2


class SizeAverage(nn.Module):
    """Mean of the logits at several sizes of the picture, each enlarged or shrunk to the first's.

    Args:
        network: takes every multiple of 16.
        scales: factors of the sides; each side is rounded to a multiple of 16.
    """

    def __init__(self, network: nn.Module, scales: Sequence[float] = USUAL_SCALES) -> None:
        super().__init__()
        if not scales or min(scales) <= 0:
            raise ValueError(f"sizes need factors above 0, not {tuple(scales)}")
        self.network, self.scales = network, tuple(scales)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of all sizes, averaged."""
        height, width = image.shape[-2:]
        total = torch.zeros_like(image[:, :1])
        for scale in self.scales:
            size = [_nearest_multiple(scale * height), _nearest_multiple(scale * width)]
            total = total + _scaled(self.network(_scaled(image, size)), [height, width])
        return total / len(self.scales)


class SoftErosion(nn.Module):
    """Draws the outline of a mask in a little and softens it, without touching its inside.

    Each round takes the smaller of a probability and its mean in a round window that weighs near
    pixels more. What then is above `threshold` becomes 1, and the rest is stretched to 0..1, so a
    pixel counts as a person from half the threshold on.

    Args:
        network: gives logits.
        radius: of the window, in pixels of the network's input.
        threshold: probability from which on a pixel is fully a person.
        rounds: how often; each draws the outline in by about half the radius.
    """

    kernel: Tensor

    def __init__(
        self, network: nn.Module, *, radius: int = 2, threshold: float = 0.9, rounds: int = 1
    ) -> None:
        super().__init__()
        if radius < 1 or rounds < 1 or not 0 < threshold <= 1:
            raise ValueError(
                "soft erosion needs a radius and rounds of at least 1, a threshold <= 1"
            )
        self.network, self.radius, self.threshold, self.rounds = network, radius, threshold, rounds
        steps = torch.arange(-radius, radius + 1).float()
        distance = torch.hypot(steps[:, None], steps[None, :])
        cone = (1 - distance / (radius + 1)).clamp(min=0)
        self.register_buffer("kernel", (cone / cone.sum())[None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the eroded mask."""
        probability = torch.sigmoid(self.network(image).float())
        margin = [self.radius] * 4
        for _ in range(self.rounds):
            # The edge is repeated: a person who leaves the frame is not eroded there.
            padded = nn.functional.pad(probability, margin, mode="replicate")
            mean = nn.functional.conv2d(padded, self.kernel)
            probability = torch.minimum(probability, mean)
        stretched = (probability / self.threshold).clamp(max=1)
        return torch.logit(stretched, eps=LEAST_PROBABILITY)


def _nearest_multiple(length: float) -> int:
    return max(NETWORK_STRIDE, round(length / NETWORK_STRIDE) * NETWORK_STRIDE)


def _scaled(planes: Tensor, size: list[int]) -> Tensor:
    if list(planes.shape[-2:]) == size:
        return planes
    return nn.functional.interpolate(
        planes, size=size, mode="bilinear", align_corners=False, antialias=True
    )
