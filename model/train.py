"""Train a generator: for fidelity first, then against an opponent, as one configuration says.

The networks compute in bfloat16 under autocast, channels last; the fixed upsample, the addition and every loss are
float32. What a step does follows from the configuration and the step's number, so a run that was stopped goes on with
the very patches and rates that it would have had.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from deepupscale.errors import DeepUpscaleError
from model.augment import Augmentation
from model.config import TrainConfig
from model.loader import CONTEXT, Batch, batches, inner
from model.meter import Meter, Pace
from model.networks import build_discriminator, build_generator
from model.objective import Objective
from model.ranks import Ranks
from model.run_folder import RunFolder
from model.run_state import Progress, RunState
from model.sampling import StorePatches, StoreSampler, split
from model.schedule import Moment, moment, total_steps
from model.store import Store
from model.validator import Validator

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


Tell = Callable[[Pace], None]


def train(
    config: TrainConfig,
    folder: Path,
    now: Slice | None = None,
    resume: bool = False,
    device: str = "auto",
    tell: Tell = lambda _: None,
) -> Progress:
    """Do a run, or a slice of it.

    Args:
        config: What is asked for.
        folder: The run's; see `model/run_folder.py`.
        now: How much to do now; all of it by default.
        resume: Go on with the run in the folder.
        device: "auto", "cpu" or "cuda".
        tell: Told of the pace now and then, in the first process.

    Raises:
        UsageError: The folder or the configuration cannot be used.
        StoreError: The store cannot be read.
        ModelError: A snapshot or a feature network cannot be read.
        WriteError: The folder cannot be written to.
        TrainingError: Too many steps in a row were not finite.
    """
    ranks = Ranks.join(device)
    try:
        with RunFolder(folder, config, resume, writes=ranks.first) as run, _stop_signal() as asked_to_stop:
            return _run(config, run, now or Slice(), resume, ranks, tell, asked_to_stop)
    finally:
        ranks.leave()


def _run(
    config: TrainConfig,
    run: RunFolder,
    now: Slice,
    resume: bool,
    ranks: Ranks,
    tell: Tell,
    asked_to_stop: Callable[[], bool],
) -> Progress:
    torch.manual_seed(config.seed)

    # Data
    store = Store(config.data.store)
    learnt, held = split(store, config.data.held_out)
    sampler = StoreSampler(store, config.data.patch // 2, config.data.importance, learnt or None)
    augmentation = Augmentation(**config.data.augmentation.model_dump())
    patches = StorePatches(sampler, augmentation, config.seed, config.data.batch, CONTEXT)
    validator = Validator(store, held or learnt, config.validation_crops, config.loss)

    # Networks, optimisers, averaged weights
    generator = _placed(build_generator(config.generator.name, **config.generator.shape), ranks)
    opponent = None
    if config.gan is not None:
        opponent = _placed(build_discriminator(config.discriminator.name, **config.discriminator.shape), ranks)
    ema = {name: value.detach().clone() for name, value in generator.state_dict().items()}
    objective = Objective(config.loss, opponent, ranks.device)
    settings = {"betas": config.betas, "weight_decay": config.weight_decay}
    adam = torch.optim.AdamW(generator.parameters(), **settings)
    opposing = torch.optim.AdamW(opponent.parameters(), **settings) if opponent is not None else None

    # Where it left off
    progress = Progress()
    state = RunState(generator, ema, adam, opponent, opposing)
    if resume:
        progress = state.restore(run.checkpoints)
        run.go_on_after(progress.step)
    run.describe(store.dataset)
    first, steps = progress.step, total_steps(config)
    last = steps if now.steps is None else min(steps, first + now.steps)
    deadline = None if now.minutes is None else time.monotonic() + 60.0 * now.minutes
    called, judged = ranks.shared(generator), ranks.shared(opponent) if opponent is not None else None

    meter = Meter(first, steps)
    pin = ranks.device.type == "cuda"
    made = batches(patches, first, last, config.data.workers, ranks.rank, ranks.count, pin)
    for step, batch in enumerate(meter.waiting(made), start=first):
        at = moment(config, step)
        batch = batch.to(ranks.device)  # noqa: PLW2901

        # The generator's turn
        _set_rate(adam, at.stage.rate * at.factor)
        with torch.autocast(ranks.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            residual = called(batch.lr)
            sr = batch.base + inner(residual).float()
            total = objective.generator(at.stage.weights, sr, batch)
        finite, norm = _learn(adam, generator, total.value, config.clip)

        # The opponent's turn
        figures = {}
        if finite and judged is not None and opposing is not None and at.stage.weights.adversarial > 0.0:
            finite, figures = _oppose(config, at, objective, judged, opposing, sr.detach(), batch, ranks)

        # Averaged weights; steps that were not finite
        progress.step, progress.in_a_row = step + 1, 0 if finite else progress.in_a_row + 1
        if finite:
            _average(ema, generator, min(config.ema, (1.0 + step) / (10.0 + step)))
        else:
            progress.skipped += 1
        if progress.in_a_row >= config.nonfinite_steps:
            raise TrainingError(
                f"{run.path}: {progress.in_a_row} steps in a row up to {progress.step} were not finite: lower the rate "
                "and go on from the last checkpoint, which is whole"
            )

        # Reports, validation, checkpoints
        figures |= {"rate": at.stage.rate * at.factor, "norm": norm, "skipped": float(progress.skipped)}
        if ranks.first and (progress.step % LOG_EVERY == 0 or progress.step == last):
            pace = meter.pace(progress.step, at.name, total.floats() | figures)
            run.log(progress.step, "train", pace.figures | {"steps/s": pace.per_second, "data wait": pace.waiting})
            tell(pace)
        over = ranks.any(asked_to_stop() or (deadline is not None and time.monotonic() > deadline))
        ending = over or progress.step == last
        if ranks.first and (progress.step % config.validate_every == 0 or progress.step == steps):
            validator.validate(run, progress.step, generator, ema, ranks.device)
        if ranks.first and (progress.step % config.checkpoint_every == 0 or ending):
            progress.seconds += meter.lap()
            state.save(run.checkpoints, progress, config.keep)
        if over:
            break
    return progress


_Network = TypeVar("_Network", bound=nn.Module)


def _placed(network: _Network, ranks: Ranks) -> _Network:
    return network.to(device=ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def _learn(optimiser: torch.optim.Optimizer, network: nn.Module, loss: Tensor, clip: float) -> tuple[bool, float]:
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


def _oppose(
    config: TrainConfig, at: Moment, objective: Objective, judged: nn.Module, opposing: torch.optim.Optimizer,
    sr: Tensor, batch: Batch, ranks: Ranks,
) -> tuple[bool, dict[str, float]]:  # fmt: skip
    """The discriminator learns to tell the batch's truth from what the generator made of it.

    Both go through it at once: its spectral norms move once a step.
    """
    _set_rate(opposing, at.stage.discriminator_rate * at.factor)
    with torch.autocast(ranks.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        logits = judged(torch.cat((sr, batch.hr))).logits
    fake, real = logits.chunk(2)
    loss = objective.adversarial.discriminator(fake, real)
    finite, norm = _learn(opposing, judged, loss, config.clip)
    told = {"discriminator": loss, "fake": fake.mean(), "real": real.mean()}
    return finite, {name: float(value.detach()) for name, value in told.items()} | {"discriminator norm": norm}


@torch.no_grad()
def _average(ema: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    for name, value in network.state_dict().items():
        ema[name].lerp_(value, 1.0 - decay)


@contextmanager
def _stop_signal() -> Iterator[Callable[[], bool]]:
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
