"""What every training does in a step and around its steps: go down the gradient, count, average, stop when asked."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from deepupscale.errors import DeepUpscaleError, UsageError
from model.run_state import Progress

LOG_EVERY = 20  # steps


class TrainingError(DeepUpscaleError):
    """A run that cannot go on: its steps are not finite any more (exit code 1)."""

    exit_code = 1


@dataclass(frozen=True)
class Slice:
    """How much of a run is done now; what is left out does not limit it.

    Attributes:
        steps: So many steps.
        minutes: So much time, validation included.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.minutes is not None and not self.minutes >= 0.0:
            raise UsageError(f"--minutes {self.minutes}: use a number, 0 or more")


_Network = TypeVar("_Network", bound=nn.Module)


def placed(network: _Network, device: torch.device) -> _Network:
    """The network on its device, channels last."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def learn(optimiser: torch.optim.Optimizer, network: nn.Module, loss: Tensor, clip: float) -> tuple[bool, float]:
    """One step down the gradient, unless it is not finite; and the gradient's norm.

    Gradients are averaged over all processes before their norm is taken, so all of them agree.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = float(nn.utils.clip_grad_norm_(network.parameters(), clip))
    finite = math.isfinite(norm)
    if finite:
        optimiser.step()
    return finite, norm


def count(progress: Progress, finite: bool, most: int, run: Path) -> None:
    """Note that a step is done, and whether it was finite.

    Args:
        progress: Changed.
        finite: Whether the step changed the weights.
        most: So many steps in a row that were not finite end the run.
        run: Its folder, for the message.

    Raises:
        TrainingError: There were so many.
    """
    progress.step, progress.in_a_row = progress.step + 1, 0 if finite else progress.in_a_row + 1
    progress.skipped += not finite
    if progress.in_a_row >= most:
        raise TrainingError(
            f"{run}: {progress.in_a_row} steps in a row up to {progress.step} were not finite: lower the rate "
            "and go on from the last checkpoint, which is whole"
        )


@torch.no_grad()
def average(ema: dict[str, Tensor], network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards the network's; in the first steps, counted from 0, by more."""
    decay = min(decay, (1.0 + step) / (10.0 + step))
    for name, value in network.state_dict().items():
        ema[name].lerp_(value, 1.0 - decay)


@contextmanager
def stop_signal() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and a farm's SIGTERM end a run after the step that it is in; a second one ends it at once."""
    asked: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, _: object) -> None:
        asked.append(number)
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
