"""Several networks as one: their logits are added with learned weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from humanseg.models.blocks import enlarge_bilinear


class Ensemble(nn.Module):
    """Softmax-weighted sum of the logits of several networks.

    (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits. `mixing` holds the numbers before the softmax;
    equal numbers give a plain mean.
    """

    def __init__(
        self, networks: Sequence[nn.Module], shares: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        if not networks:
            raise ValueError("an ensemble needs at least one network")
        start = torch.ones(len(networks)) if shares is None else torch.tensor(list(shares))
        if len(start) != len(networks) or not bool((start > 0).all()):
            raise ValueError(f"{len(networks)} networks need as many shares above 0, not {shares}")
        self.networks = nn.ModuleList(networks)
        self.mixing = nn.Parameter(start.log())

    @property
    def shares(self) -> list[float]:
        """What each network contributes; adds up to 1."""
        return [float(share) for share in torch.softmax(self.mixing.detach(), 0)]

    def forward(self, image: Tensor) -> Tensor:
        shares = torch.softmax(self.mixing, 0)
        logits = [shares[i] * network(image) for i, network in enumerate(self.networks)]
        return torch.stack(logits).sum(dim=0)


class HalfSize(nn.Module):
    """A network of an ensemble that sees the picture at half the size, at a quarter of the cost.

    (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits; h and w even.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return enlarge_bilinear(self.small(image), (image.shape[-2], image.shape[-1]))

    def small(self, image: Tensor) -> Tensor:
        """Logits as they are, (N, 1, h / 2, w / 2)."""
        logits: Tensor = self.network(nn.functional.avg_pool2d(image, 2))
        return logits


class Serving(nn.Module):
    """The whole graph an engine runs: bytes in, probabilities out.

    (N, h, w, 3) uint8 BGR -> (N, h, w) float32 0..1.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network = network.to(dtype)
        self._dtype = dtype

    def forward(self, batch: Tensor) -> Tensor:
        return torch.sigmoid(self.network(_rgb(batch, self._dtype))[:, 0].float())


class ServingApart(nn.Module):
    """The same for an engine that runs the networks side by side.

    (N, h, w, 3) uint8 BGR -> one (N, h, w) float32 a network, whose sum is the ensemble's logits
    once those of `HalfSize` networks, (N, h / 2, w / 2), are enlarged: one plane is sooner enlarged
    outside a graph whose tensors hold sixteen.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.networks = ensemble.networks
        self._shares = ensemble.shares

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        rgb = _rgb(batch, torch.float32)
        return tuple(
            share * (network.small if isinstance(network, HalfSize) else network)(rgb)[:, 0]
            for share, network in zip(self._shares, self.networks, strict=True)
        )


def _rgb(batch: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, h, w, 3) uint8 BGR -> (N, 3, h, w) RGB 0..1."""
    # A strided view, not a copy: channels_last is what the convolutions want.
    image = batch.permute(0, 3, 1, 2).to(dtype) / 255
    return torch.flip(image, [1]).contiguous(memory_format=torch.channels_last)


def fuse_batch_norm(module: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in place; for inference only.

    Works on the `nn.Sequential`s that all our blocks are made of.
    """
    for child in module.children():
        fuse_batch_norm(child)
    if isinstance(module, nn.Sequential):
        layers = list(module)
        for index, (first, second) in enumerate(pairwise(layers)):
            if isinstance(second, nn.BatchNorm2d) and isinstance(
                first, nn.Conv2d | nn.ConvTranspose2d
            ):
                module[index] = nn.utils.fusion.fuse_conv_bn_eval(
                    first, second, transpose=isinstance(first, nn.ConvTranspose2d)
                )
                module[index + 1] = nn.Identity()
    return module
