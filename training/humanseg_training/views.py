"""Second views of a batch, moved as in the next frame of a video."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

LARGEST_SHIFT = 0.06
"""Of the frame's half side; some ten pixels at 320."""

LARGEST_TURN = 0.06
"""In radians."""

LARGEST_ZOOM = 0.05
"""Share by which the picture grows or shrinks."""


class Motion:
    """Small affine motions of a batch, one a sample; each a function of seed, step and sample."""

    def __init__(self, seed: int, step: int, samples: range) -> None:
        """Draw the motions of the samples with these numbers in the whole batch."""
        self._matrices = torch.from_numpy(
            np.stack([_matrix(np.random.default_rng([seed, step, i, 2])) for i in samples])
        )

    def move(self, planes: Tensor) -> Tensor:
        """Move (N, c, h, w) planes; what comes from outside the frame repeats its edge."""
        grid = self._grid(planes)
        return nn.functional.grid_sample(
            planes, grid, mode="bilinear", padding_mode="border", align_corners=False
        )

    def seen(self, like: Tensor) -> Tensor:
        """(N, 1, h, w): 1 where `move` takes a pixel from inside the frame, 0 elsewhere."""
        inside = (self._grid(like).abs() <= 1).all(dim=-1)
        return inside[:, None].to(like.dtype)

    def _grid(self, planes: Tensor) -> Tensor:
        matrices = self._matrices.to(planes.device, planes.dtype)
        size = [planes.shape[0], 1, *planes.shape[-2:]]
        return nn.functional.affine_grid(matrices, size, align_corners=False)


def _matrix(random: np.random.Generator) -> np.ndarray:
    turn = random.uniform(-LARGEST_TURN, LARGEST_TURN)
    zoom = 1 + random.uniform(-LARGEST_ZOOM, LARGEST_ZOOM)
    shift = random.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2)
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.concatenate([linear, shift[:, None]], axis=1)
