"""Train a generator: for fidelity first, then against an opponent, as one configuration says.

What a step does (`model/trainer.py`) follows from the configuration and the step's number, so a run that was stopped
goes on with the very patches and rates that it would have had.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from model.config import TrainConfig
from model.loader import batches, patches_of
from model.meter import Meter, Pace
from model.ranks import Ranks
from model.run_folder import RunFolder
from model.run_state import Progress
from model.sampling import split
from model.schedule import total_steps
from model.steps import LOG_EVERY, Slice, TrainingError, count, stop_signal
from model.store import Store
from model.trainer import Trainer
from model.validator import Validator

__all__ = ["Slice", "Tell", "TrainingError", "train"]

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
        with RunFolder(folder, config, resume, writes=ranks.first) as run, stop_signal() as asked_to_stop:
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
    patches = patches_of(config, store, learnt or None)
    validator = Validator(store, held or learnt, config.validation_crops, config.loss)

    # Networks, optimisers, averaged weights
    trainer = Trainer(config, ranks)

    # Where it left off
    progress = Progress()
    if resume:
        progress = trainer.state.restore(run.checkpoints)
        run.go_on_after(progress.step)
    elif config.start is not None:
        trainer.start_from(config.start)
    run.describe(store.dataset)
    first, steps = progress.step, total_steps(config)
    last = steps if now.steps is None else min(steps, first + now.steps)
    deadline = None if now.minutes is None else time.monotonic() + 60.0 * now.minutes

    meter = Meter(first, steps)
    pin = ranks.device.type == "cuda"
    made = batches(patches, first, last, config.data.workers, ranks.rank, ranks.count, pin)
    for step, batch in enumerate(meter.waiting(made), start=first):
        done = trainer.step(step, batch)
        count(progress, done.finite, config.nonfinite_steps, run.path)

        # Reports, validation, checkpoints
        if ranks.first and (progress.step % LOG_EVERY == 0 or progress.step == last):
            figures = done.total.floats() | done.figures | {"skipped": float(progress.skipped)}
            pace = meter.pace(progress.step, done.stage, figures)
            run.log(progress.step, "train", pace.figures | {"steps/s": pace.per_second, "data wait": pace.waiting})
            tell(pace)
        over = ranks.any(asked_to_stop() or (deadline is not None and time.monotonic() > deadline))
        ending = over or progress.step == last
        if ranks.first and (progress.step % config.validate_every == 0 or progress.step == steps):
            validator.validate(run, progress.step, trainer.generator, trainer.ema, ranks.device)
        if ranks.first and (progress.step % config.checkpoint_every == 0 or ending):
            progress.seconds += meter.lap()
            trainer.state.save(run.checkpoints, progress, config.keep)
        if over:
            break
    return progress
