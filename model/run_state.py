"""What a run is in the middle of: networks, averaged weights, optimisers, counts; to a snapshot and back."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from deepupscale.errors import ModelError, UsageError, one_line
from model import snapshots
from model.checkpoint import metadata
from model.networks import AovFeatures, Discriminator, Generator


@dataclass
class Progress:
    """What a run has done, over all its slices.

    Attributes:
        step: Steps done.
        skipped: Steps whose gradient was not finite, which changed nothing.
        in_a_row: How many of them were the last ones.
        seconds: Time in the loop.

    Raises:
        ValueError: A value that none of them can have.
    """

    step: int = 0
    skipped: int = 0
    in_a_row: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        counts = (self.step, self.skipped, self.in_a_row)
        if any(type(count) is not int or count < 0 for count in counts):
            raise ValueError(f"counts of steps are whole numbers, 0 or more, not {counts}")
        if type(self.seconds) not in (int, float) or not 0.0 <= self.seconds < math.inf:
            raise ValueError(f"seconds are a number, 0 or more, not {self.seconds}")


class RunState:
    """The parts, held by reference; they are changed by the run and by :meth:`restore`.

    Args:
        network: What is learnt and exported; "generator", or "features", in a snapshot.
        ema: Its averaged weights.
        adam: Its optimiser.
        discriminator: The opponent, if there is one.
        opposing: The opponent's optimiser.
    """

    def __init__(
        self,
        network: Generator | AovFeatures,
        ema: dict[str, Tensor],
        adam: torch.optim.Optimizer,
        discriminator: Discriminator | None = None,
        opposing: torch.optim.Optimizer | None = None,
    ) -> None:
        self._network, self._ema, self._adam = network, ema, adam
        self._name = "generator" if isinstance(network, Generator) else "features"
        self._discriminator, self._opposing = discriminator, opposing

    def save(self, folder: Path, progress: Progress, keep: int) -> Path:
        """Write a snapshot; raises as `snapshots.write` does."""
        groups = {self._name: self._network.state_dict(), "ema": self._ema}
        groups["optimiser"] = snapshots.optimiser_tensors(self._adam)
        if self._discriminator is not None and self._opposing is not None:
            groups["discriminator"] = self._discriminator.state_dict()
            groups["opposing"] = snapshots.optimiser_tensors(self._opposing)
        groups["random"] = {"cpu": torch.get_rng_state()}
        return snapshots.write(folder, progress.step, groups, asdict(progress), metadata(self._network), keep)

    def restore(self, folder: Path) -> Progress:
        """Fill the parts from the last snapshot.

        Raises:
            UsageError: There is none.
            ModelError: It is damaged, or of other networks.
        """
        whole = snapshots.steps(folder)
        if not whole:
            raise UsageError(f"{folder}: holds no checkpoint yet: begin the run anew in another folder")
        place = whole[-1]
        before = len(whole) > 1
        advice = f"remove {place.name} to go on from the one before" if before else "begin the run anew elsewhere"
        try:
            groups, state = snapshots.read(place)
        except ModelError as error:
            raise ModelError(f"{error}: {advice}") from None
        try:
            self._network.load_state_dict(groups[self._name])
            for name, value in self._ema.items():
                value.copy_(groups["ema"][name])
            snapshots.restore_optimiser(self._adam, groups["optimiser"])
            if self._discriminator is not None and self._opposing is not None:
                self._discriminator.load_state_dict(groups["discriminator"])
                snapshots.restore_optimiser(self._opposing, groups["opposing"])
            torch.set_rng_state(groups["random"]["cpu"])
            return Progress(**state)
        except (KeyError, RuntimeError, TypeError, ValueError, ModelError) as error:
            why = one_line(str(error))[:400]  # torch lists every tensor
            raise ModelError(f"{place}: is not of this configuration's networks: {why}: {advice}") from None
