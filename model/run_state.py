"""What a run is in the middle of: networks, averaged weights, optimisers, counts; to a snapshot and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from deepupscale.errors import ModelError, UsageError
from model import snapshots
from model.checkpoint import metadata
from model.networks import Discriminator, Generator


@dataclass
class Progress:
    """What a run has done, over all its slices.

    Attributes:
        step: Steps done.
        skipped: Steps whose gradient was not finite, which changed nothing.
        in_a_row: How many of them were the last ones.
        seconds: Time in the loop.
    """

    step: int = 0
    skipped: int = 0
    in_a_row: int = 0
    seconds: float = 0.0


class RunState:
    """The parts, held by reference; they are changed by the run and by :meth:`restore`."""

    def __init__(
        self,
        generator: Generator,
        ema: dict[str, Tensor],
        adam: torch.optim.Optimizer,
        discriminator: Discriminator | None,
        opposing: torch.optim.Optimizer | None,
    ) -> None:
        self._generator, self._ema, self._adam = generator, ema, adam
        self._discriminator, self._opposing = discriminator, opposing

    def save(self, folder: Path, progress: Progress, keep: int) -> Path:
        """Write a snapshot; raises as `snapshots.write` does."""
        groups = {"generator": self._generator.state_dict(), "ema": self._ema}
        groups["optimiser"] = snapshots.optimiser_tensors(self._adam)
        if self._discriminator is not None and self._opposing is not None:
            groups["discriminator"] = self._discriminator.state_dict()
            groups["opposing"] = snapshots.optimiser_tensors(self._opposing)
        groups["random"] = {"cpu": torch.get_rng_state()}
        return snapshots.write(folder, progress.step, groups, asdict(progress), metadata(self._generator), keep)

    def restore(self, folder: Path) -> Progress:
        """Fill the parts from the last snapshot.

        Raises:
            UsageError: There is none.
            ModelError: It is damaged, or of other networks.
        """
        whole = snapshots.steps(folder)
        if not whole:
            raise UsageError(f"{folder}: holds no checkpoint yet: begin the run anew in another folder")
        groups, state = snapshots.read(whole[-1])
        try:
            self._generator.load_state_dict(groups["generator"])
            for name, value in self._ema.items():
                value.copy_(groups["ema"][name])
            snapshots.restore_optimiser(self._adam, groups["optimiser"])
            if self._discriminator is not None and self._opposing is not None:
                self._discriminator.load_state_dict(groups["discriminator"])
                snapshots.restore_optimiser(self._opposing, groups["opposing"])
            torch.set_rng_state(groups["random"]["cpu"])
            return Progress(**state)
        except (KeyError, RuntimeError, TypeError) as error:
            raise ModelError(f"{whole[-1]}: is not of this configuration's networks: {error}") from None
