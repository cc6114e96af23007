"""Batches for training: patches of a store, interpolated, as tensors; the same ones whoever makes them and whenever.

Step ``n`` of a run has the patches ``n * batch`` to ``(n + 1) * batch - 1``; process ``rank`` of ``ranks`` takes every
``ranks``-th of them. So neither the number of loader workers nor an interruption changes what is learnt from.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepupscale.errors import DeepUpscaleError
from model.augment import Augmentation
from model.config import TrainConfig
from model.pixel_filters import Float32
from model.sampling import StorePatches, StoreSampler
from model.steps import TrainingError
from model.store import Store
from model.store_format import BEAUTY
from model.upsample import MARGIN, upsample_batch

CONTEXT = 8  # LR pixels around a patch that a network sees: its zero padding then hardly reaches what is scored


@dataclass(frozen=True)
class Batch:
    """Patches of one step. All are float32 in channels-last layout; pictures are in the compressed range.

    Attributes:
        lr: (batch, 3, height + 2 CONTEXT, width + 2 CONTEXT): what the network sees.
        base: (batch, 3, 2 height, 2 width): the fixed upsample of LR, which the network's residual is added to.
        hr: (batch, 3, 2 height, 2 width): the truth.
        aovs: HR's other fields by name, (batch, channels, 2 height, 2 width).
    """

    lr: Tensor
    base: Tensor
    hr: Tensor
    aovs: dict[str, Tensor]

    def to(self, device: torch.device) -> Batch:
        """The same on a device; copies from pinned memory overlap with computing."""
        moved = {name: plane.to(device, non_blocking=True) for name, plane in self.aovs.items()}
        lr, base, hr = (tensor.to(device, non_blocking=True) for tensor in (self.lr, self.base, self.hr))
        return Batch(lr, base, hr, moved)

    def pin_memory(self) -> Batch:
        """The same in pinned memory; the data loader asks for it."""
        pinned = {name: plane.pin_memory() for name, plane in self.aovs.items()}
        return Batch(self.lr.pin_memory(), self.base.pin_memory(), self.hr.pin_memory(), pinned)


def inner(residual: Tensor) -> Tensor:
    """What lies under the patch, of a residual for LR with its context."""
    cut = 2 * CONTEXT
    return residual[..., cut:-cut, cut:-cut]


def patches_of(
    config: TrainConfig, store: Store, pairs: Sequence[int] | None = None, aovs: Sequence[str] = ()
) -> StorePatches:
    """The patches of a run.

    Args:
        config: The run's.
        store: Where they are cut from.
        pairs: Numbers of the pairs that are learnt from; all if left out.
        aovs: Fields that come beside the beauty; turned and flipped with it, and not exposed.

    Raises:
        StoreError: No pair is as large as a patch.
    """
    sampler = StoreSampler(store, config.data.patch // 2, config.data.importance, config.data.detail, pairs)
    augmentation = Augmentation(**config.data.augmentation.model_dump())
    return StorePatches(sampler, augmentation, config.seed, config.data.batch, CONTEXT, (BEAUTY, *aovs))


def batches(
    patches: StorePatches, first: int, last: int, workers: int = 0, rank: int = 0, ranks: int = 1, pin: bool = False
) -> Iterator[Batch]:
    """Batches of the steps from ``first`` to ``last`` - 1.

    Args:
        patches: With a context of :data:`CONTEXT`.
        first: First step; a run that is resumed starts in the middle.
        last: One past the last step.
        workers: Processes that make them; 0 for this one.
        rank: Of this process in a training over several.
        ranks: How many there are; must divide the batch.
        pin: Whether to put them into pinned memory for a GPU.

    Raises:
        ValueError: A context or a share that cannot be meant.
        StoreError: The store is damaged.
        TrainingError: A process that makes patches has died.
    """
    if patches.context != CONTEXT:
        raise ValueError(f"patches must come with {CONTEXT} LR pixels of context, not {patches.context}")
    if patches.batch % ranks or not 0 <= rank < ranks:
        raise ValueError(f"a batch of {patches.batch} cannot be shared by {ranks} processes, as number {rank}")
    made = _Steps(patches, rank, ranks)
    loader = DataLoader(
        made,
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_leave_signals_to_the_run,
        generator=torch.Generator(),  # of its own: it draws seeds, and the run's state must not move
    )
    try:
        for batch in loader:
            if isinstance(batch, _Refused):
                raise batch.error
            yield batch
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"{patches.sampler.store.path}: a process that makes patches has died: {error}: it may want more memory; "
            "go on by --resume with fewer of them, as in --set data.workers=0"
        ) from None


def _leave_signals_to_the_run(_: int) -> None:
    """Ctrl-C and a farm's SIGTERM reach the whole group; a loader that they kill takes the step in hand with it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@dataclass(frozen=True)
class _Refused:
    """What a process that makes patches hands over instead of a batch; an exception would come with its traceback."""

    error: DeepUpscaleError


class _Steps(Dataset["Batch | _Refused"]):
    """The share of a step, by the step's number."""

    def __init__(self, patches: StorePatches, rank: int, ranks: int) -> None:
        self._patches, self._rank, self._ranks = patches, rank, ranks

    def __getitem__(self, step: int) -> Batch | _Refused:
        try:
            return self._made(step)
        except DeepUpscaleError as error:
            return _Refused(error)

    def _made(self, step: int) -> Batch:
        size = self._patches.batch
        made = [self._patches[number] for number in range(step * size + self._rank, (step + 1) * size, self._ranks)]
        lr = np.stack([low[BEAUTY] for low, _ in made])
        spare = CONTEXT - MARGIN
        base = upsample_batch(lr[:, spare:-spare, spare:-spare])
        aovs = {name: _tensor(np.stack([high[name] for _, high in made])) for name in made[0][1] if name != BEAUTY}
        return Batch(_tensor(lr), _tensor(base), _tensor(np.stack([high[BEAUTY] for _, high in made])), aovs)


def _tensor(pictures: Float32) -> Tensor:
    """(batch, height, width, channels) as (batch, channels, height, width) over the same memory: channels-last."""
    return torch.from_numpy(np.ascontiguousarray(pictures, np.float32)).permute(0, 3, 1, 2)
