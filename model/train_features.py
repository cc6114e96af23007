"""Train the feature network: to guess albedo, normal and depth from the beauty alone, on a store that has them.

It is a run as the generator's are: the same configuration, held-out pairs, patches by seed and step, run folder and
exact resume. It learns from HR, which is what the generator's feature loss shows it. The network computes in bfloat16
under autocast, channels last; its loss is float32.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from deepupscale.errors import UsageError, one_line
from model import config as configuration
from model import snapshots
from model.aov_validator import AovScores, AovValidator, aov_errors, aov_fields, truth
from model.checkpoint import AOV_FEATURES, metadata
from model.config import AugmentationConfig, DataConfig, NetworkConfig, StageConfig, TrainConfig, WeightsConfig
from model.loader import batches, patches_of
from model.meter import Meter, Pace
from model.networks import AovFeatures
from model.networks.aov_features import aov_loss
from model.ranks import Ranks
from model.run_folder import RunFolder, environment
from model.run_state import Progress, RunState
from model.sampling import StorePatches, split
from model.schedule import moment, total_steps
from model.steps import LOG_EVERY, Slice, average, count, learn, placed, set_rate, stop_signal
from model.store import Store

SUFFIX = ".safetensors"
# Floors lie below and light falls from above: in turned pictures nothing tells a floor from a wall.
UPRIGHT = AugmentationConfig(flips="across", rotations=False)


@dataclass(frozen=True)
class Outcome:
    """What a run, or a slice of it, came to.

    Attributes:
        progress: Steps done and skipped.
        scores: Of the averaged weights on the fixed crops.
        baseline: What constants score there.
        seen: Whether those crops come of pairs that are trained on, as no other is there.
    """

    progress: Progress
    scores: AovScores
    baseline: AovScores
    seen: bool


def feature_config(
    store: Path,
    steps: int = 20_000,
    batch: int = 16,
    patch: int = 192,
    rate: float = 5e-4,
    seed: int = 1,
    width: int = 32,
    levels: int = 4,
    held_out: float = 0.1,
    workers: int = 2,
) -> TrainConfig:
    """The configuration of a run; what it says of opponents and of loss terms is not looked at.

    Args:
        store: A store whose fields hold albedo, normal and depth.
        steps: Of the whole run; the rate warms up over the first and falls to nothing by a cosine at the last.
        batch: Patches a step.
        patch: Side of the HR patch in pixels, even, 32 to 1024.
        rate: Peak learning rate.
        seed: Of weights, places, augmentation.
        width: Feature channels at full size, 1 to 512.
        levels: Levels of the encoder, 1 to 6.
        held_out: Share of scenes that is never trained on.
        workers: Processes that make patches; 0 for none.

    Raises:
        UsageError: A value that cannot be.
    """
    if not (1 <= width <= 512 and 1 <= levels <= 6):
        raise UsageError(f"width {width} and levels {levels}: use a width of 1 to 512 and 1 to 6 levels")
    try:
        return TrainConfig(
            name=AOV_FEATURES,
            seed=seed,
            data=DataConfig(
                store=store, held_out=held_out, patch=patch, batch=batch, workers=workers, augmentation=UPRIGHT
            ),
            generator=NetworkConfig(name=AOV_FEATURES, shape={"width": width, "levels": levels}),
            pretrain=StageConfig(
                steps=steps,
                rate=rate,
                warm_up=min(200, steps // 10),
                weights=WeightsConfig(feature=0.0, adversarial=0.0),
            ),
            validate_every=1000,
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = (first["loc"] or ("configuration",))[-1]
        raise UsageError(f"--{str(name).replace('_', '-')} {first['input']}: {one_line(first['msg'])}") from None


def run_folder(out: Path) -> Path:
    """Where a run keeps its checkpoints and figures: ``features.run`` beside ``features.safetensors``."""
    return out.with_suffix(".run")


def train_features(
    config: TrainConfig,
    out: Path,
    now: Slice | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    tell: Callable[[Pace], None] = lambda _: None,
    tell_scores: Callable[[int, AovScores], None] = lambda *_: None,
) -> Outcome:
    """Do a run, or a slice of it, and write the network as it then is: its averaged weights.

    Args:
        config: As :func:`feature_config` makes it.
        out: The file, for :func:`~model.checkpoint.load_aov_features`; the run's folder lies beside it.
        now: How much to do now; all of it by default.
        resume: Go on with the run beside ``out``.
        overwrite: Begin anew though there is such a file, or such a run.
        device: "auto", "cpu" or "cuda".
        tell: Told of the pace now and then.
        tell_scores: Told steps done and scores, after each validation.

    Raises:
        UsageError: ``out`` or the configuration cannot be used.
        RuntimeUnavailableError: The device is not there.
        StoreError: The store cannot be read, or lacks a field.
        ModelError: A checkpoint cannot be read.
        WriteError: Something cannot be written.
        TrainingError: Too many steps in a row were not finite.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError("train-features runs in one process: start it without torchrun")
    place = Ranks.join(device).device

    # Data: whatever is wrong with it is found before anything is written or removed
    store = Store(config.data.store)
    fields = aov_fields(store)
    learnt, held = split(store, config.data.held_out)
    learnt, held = (learnt, held) if learnt else (held, learnt)
    patches = patches_of(config, store, learnt, fields)
    validator = AovValidator(store, fields, learnt, held, config.validation_crops, config.data.patch // 2)

    _clear(out, resume, overwrite)
    with RunFolder(run_folder(out), config, resume) as run, stop_signal() as asked_to_stop:
        return _run(
            config, run, out, patches, validator, now or Slice(), resume, place, tell, tell_scores, asked_to_stop
        )


def _run(
    config: TrainConfig,
    run: RunFolder,
    out: Path,
    patches: StorePatches,
    validator: AovValidator,
    now: Slice,
    resume: bool,
    device: torch.device,
    tell: Callable[[Pace], None],
    tell_scores: Callable[[int, AovScores], None],
    asked_to_stop: Callable[[], bool],
) -> Outcome:
    torch.manual_seed(config.seed)

    # Network, optimiser, averaged weights
    network = placed(AovFeatures(**{name: int(value) for name, value in config.generator.shape.items()}), device)
    ema = {name: value.detach().clone() for name, value in network.state_dict().items()}
    adam = torch.optim.AdamW(network.parameters(), betas=config.betas, weight_decay=config.weight_decay)

    # Where it left off
    progress = Progress()
    state = RunState(network, ema, adam)
    if resume:
        progress = state.restore(run.checkpoints)
        run.go_on_after(progress.step)
    store, fields = validator.store, validator.fields
    run.describe(store.dataset)
    first, steps = progress.step, total_steps(config)
    last = steps if now.steps is None else min(steps, first + now.steps)
    deadline = None if now.minutes is None else time.monotonic() + 60.0 * now.minutes

    def validate() -> AovScores:
        scores = validator.score(network, ema, device)
        run.log(progress.step, "validation", scores.figures() | validator.baseline.figures(" of constants"))
        tell_scores(progress.step, scores)
        return scores

    meter = Meter(first, steps)
    made = batches(patches, first, last, config.data.workers, pin=device.type == "cuda")
    for step, batch in enumerate(meter.waiting(made), start=first):
        at = moment(config, step)
        batch = batch.to(device)  # noqa: PLW2901
        labels = truth(batch.aovs, fields)

        # Down the gradient
        set_rate(adam, at.stage.rate * at.factor)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            guess = network(batch.hr)
            loss = aov_loss(guess, labels)
        finite, norm = learn(adam, network, loss, config.clip)
        count(progress, finite, config.nonfinite_steps, run.path)
        if finite:
            average(ema, network, config.ema, step)

        # Reports, validation, checkpoints
        if progress.step % LOG_EVERY == 0 or progress.step == last:
            terms = AovScores.of([aov_errors(guess, labels)]).figures()
            figures = {"rate": at.stage.rate * at.factor, "norm": norm, "skipped": float(progress.skipped)}
            pace = meter.pace(progress.step, "features", {"loss": float(loss.detach())} | terms | figures)
            run.log(progress.step, "train", pace.figures | {"steps/s": pace.per_second, "data wait": pace.waiting})
            tell(pace)
        over = asked_to_stop() or (deadline is not None and time.monotonic() > deadline)
        if over or progress.step == last or progress.step % config.checkpoint_every == 0:
            progress.seconds += meter.lap()
            state.save(run.checkpoints, progress, config.keep)
        if over or progress.step == last:
            break
        if progress.step % config.validate_every == 0:
            validate()

    scores = validate()
    snapshots.write_tensors(out, ema, metadata(network) | _provenance(store, config, progress, scores, validator))
    return Outcome(progress, scores, validator.baseline, validator.seen)


def _clear(out: Path, resume: bool, overwrite: bool) -> None:
    """Make sure that the result may be written, and remove a run that is to be begun anew.

    Raises:
        UsageError: Something lies there that must not be touched.
    """
    folder = run_folder(out)
    if out.suffix != SUFFIX:
        raise UsageError(f"{out}: is no {SUFFIX} file: name one, as in features{SUFFIX}")
    if out.is_dir():
        raise UsageError(f"{out}: is a folder: name a {SUFFIX} file")
    if resume and overwrite:
        raise UsageError(f"{out}: --resume goes on, --overwrite begins anew: use one of them")
    if resume:
        return
    if not overwrite:
        if out.exists():
            raise UsageError(f"{out}: exists: --overwrite replaces it, --resume goes on with its run")
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"{folder}: is not empty: --resume goes on with its run, --overwrite begins anew")
    elif folder.is_dir() and any(folder.iterdir()):
        started = folder / "config.yaml"
        if not started.is_file() or configuration.load(str(started)).generator.name != AOV_FEATURES:
            raise UsageError(f"{folder}: is no run of train-features, so it is not removed: name another file")
        shutil.rmtree(folder)


def _provenance(
    store: Store, config: TrainConfig, progress: Progress, scores: AovScores, validator: AovValidator
) -> dict[str, str]:
    figures: dict[str, float] = scores.figures() | validator.baseline.figures(" of constants")
    ready = {name: round(value, 6) if math.isfinite(value) else None for name, value in figures.items()}
    return {
        "dataset": store.dataset,
        "revision": str(environment(store.dataset)["revision"]),
        "steps": f"{progress.step} of {total_steps(config)}",
        "figures": json.dumps(ready),
        "figures of": "pairs that were trained on" if validator.seen else "held-out pairs",
    }
