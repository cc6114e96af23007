"""One process of a training: alone, or one of several that torchrun started."""

from __future__ import annotations

import os
import time
import weakref
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from deepupscale.errors import RuntimeUnavailableError


@dataclass(frozen=True)
class Ranks:
    """Which process this is, and what it computes on.

    Attributes:
        rank: Its number, from 0.
        count: How many there are.
        device: Where its networks are.
    """

    rank: int
    count: int
    device: torch.device
    _handed: list[weakref.ref[torch.Tensor]] = field(default_factory=list["weakref.ref[torch.Tensor]"], compare=False)

    @classmethod
    def join(cls, device: str) -> Ranks:
        """Join the others, if torchrun's environment names any.

        Args:
            device: "auto", "cpu" or "cuda"; auto takes GPUs where there are any.

        Raises:
            RuntimeUnavailableError: GPUs are asked for and there are none, or fewer than processes.
        """
        count, rank, local = (int(os.environ.get(name, default)) for name, default in _ENVIRONMENT)
        gpus = torch.cuda.device_count()
        if device == "cuda" and gpus <= local:
            raise RuntimeUnavailableError(f"--device cuda: process {local} wants a GPU, PyTorch finds {gpus}")
        on_gpu = device == "cuda" or (device == "auto" and gpus > local)
        if count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if on_gpu else "gloo")
        return cls(rank, count, torch.device(f"cuda:{local}" if on_gpu else "cpu"))

    def leave(self) -> None:
        """Part from the others, once Gloo's threads have let go of what they were handed.

        They outlive the group, and one that lets go of a tensor while Python shuts down aborts the process
        (PyTorch 2.13).
        """
        given_up = time.monotonic() + _LONGEST_HOLD
        while any(handed() is not None for handed in self._handed) and time.monotonic() < given_up:
            time.sleep(0.001)
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def shared(self, network: nn.Module) -> nn.Module:
        """The network as it is to be called so that gradients are averaged over all processes."""
        if self.count == 1:
            return network
        return DistributedDataParallel(network, [self.device] if self.device.type == "cuda" else None)

    def any(self, here: bool) -> bool:
        """Whether it is so in any process; the same answer in all."""
        if self.count == 1:
            return here
        flag = torch.tensor(float(here), device=self.device)
        self._handed[:] = [weakref.ref(flag)]
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag.item())


_LONGEST_HOLD = 2.0  # seconds
_ENVIRONMENT = (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))
