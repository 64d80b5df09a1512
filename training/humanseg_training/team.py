"""The processes that share a run: one, or as many as torchrun started."""

from __future__ import annotations

import os
import warnings
from types import TracebackType

import torch
from torch import Tensor, distributed, nn

from humanseg.errors import SettingsError


class Team:
    """Who trains: this process alone, or all that torchrun started, each with its part of a batch.

    Use it as a context manager: the processes meet on entry and part on exit.

    Attributes:
        rank: number of this process, from 0; the first alone scores, logs and writes.
        size: number of processes.
        device: where this process computes.
    """

    def __init__(self, device: str) -> None:
        """Find out from torchrun's environment variables.

        Raises:
            SettingsError: CUDA is asked for and this machine has none.
        """
        self.rank = int(os.environ.get("RANK", "0"))
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        has_cuda = torch.cuda.is_available()
        if device == "cuda" and not has_cuda:
            raise SettingsError(
                "this machine has no CUDA device that torch can use",
                subject="device",
                hint='set device = "cpu", or install torch for CUDA',
            )
        on_cuda = has_cuda and device != "cpu"
        local = int(os.environ.get("LOCAL_RANK", "0"))
        self.device = torch.device("cuda", local) if on_cuda else torch.device("cpu")

    @property
    def is_first(self) -> bool:
        """Whether this process scores, logs and writes."""
        return self.rank == 0

    def __enter__(self) -> Team:
        if self.size > 1:
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            distributed.init_process_group(backend)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.size > 1:
            distributed.destroy_process_group()

    def mean(self, number: Tensor) -> Tensor:
        """Mean of a number over all processes; not differentiated."""
        if self.size == 1:
            return number
        total = number.detach().clone()
        distributed.all_reduce(total)
        return total / self.size

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process; all must ask at the same step."""
        if self.size == 1:
            return flag
        raised = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(raised, op=distributed.ReduceOp.MAX)
        return bool(raised.item())

    def joined(self, network: nn.Module) -> nn.Module:
        """The network as all processes train it together: gradients and batch norms are shared.

        `network` keeps its own parameters and their names; it is what is saved.
        """
        if self.size == 1:
            return network
        _share_statistics(network)
        ids = [self.device.index] if self.device.type == "cuda" else None
        with warnings.catch_warnings():
            # The name that replaces `broadcast_buffers` is unknown to older versions of torch.
            warnings.simplefilter("ignore", FutureWarning)
            # Statistics are equal in all processes, because all of them see the same sums.
            return nn.parallel.DistributedDataParallel(network, ids, broadcast_buffers=False)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose mean and variance are those of all processes' samples together.

    torch's own SyncBatchNorm refuses the processor.

    Source: Ioffe and Szegedy, "Batch Normalization", arXiv:1502.03167, over the whole batch.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, c, h, w) in and out."""
        if not self.training:
            return super().forward(input)
        features = input.float()
        own_mean = features.mean(dim=(0, 2, 3))
        # About the shared mean, not from squares: those would lose digits where the mean is large.
        mean = _differentiable_mean(own_mean)
        centred = features - mean[:, None, None]
        variance = _differentiable_mean(centred.square().mean(dim=(0, 2, 3)))
        self._remember(mean.detach(), variance.detach(), features)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        result = centred * scale[:, None, None] + self.bias[:, None, None]
        return result.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, features: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        count = features[:, 0].numel() * distributed.get_world_size()
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / max(1, count - 1)), self.momentum)
        self.num_batches_tracked.add_(1)


class _Mean(torch.autograd.Function):
    """Mean over all processes, in both directions."""

    @staticmethod
    def forward(ctx: object, number: Tensor) -> Tensor:
        total = number.clone()
        distributed.all_reduce(total)
        return total / distributed.get_world_size()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        # Each process's loss depends on each process's number.
        total = gradient.clone()
        distributed.all_reduce(total)
        return total / distributed.get_world_size()


def _differentiable_mean(number: Tensor) -> Tensor:
    mean: Tensor = _Mean.apply(number)  # type: ignore[no-untyped-call]
    return mean


def _share_statistics(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm(child.num_features, eps=child.eps, momentum=child.momentum)
            # The very parameters, not copies: the optimiser holds them already.
            shared.weight, shared.bias = child.weight, child.bias
            for key, value in child.named_buffers():
                setattr(shared, key, value)
            shared.train(child.training)
            setattr(module, name, shared)
        else:
            _share_statistics(child)
