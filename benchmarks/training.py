"""Steps of training a second: the project's own step in each precision and layout, against this machine's best product.

    python -m benchmarks.training STORE [--preset default] [--batch 20] [--patch 192] [--stage pretrain|gan|both]
        [--steps N] [--rounds N] [--slice N] [--workers N] [--device auto|cpu|cuda] [--threads N] [--json]

Four trainers of one configuration take their turns in every round, on the very same batches of the store: bf16 autocast
or f32, channels-last or contiguous. What is timed is `model.trainer.Trainer.step`, all of it: copying the batch to the
device, both networks' turns, the clipping of gradients, the optimisers, the averaged weights. The batches lie ready,
in the layout of the trainer. Square matrix products take their turns in the same rounds.

Then the first trainer does a slice of steps on batches as they come from the real loader with its workers, and the
share of the time is told that goes by waiting for them.

Floating-point operations are counted on the networks' convolutions, 2 a multiply-add (:func:`convolution_flop`):
once forward, once for the gradient towards the weights where they learn, and once for that towards the input where
somebody wants it. That is 3 times forward but for a network's first layer, and 2 times through a frozen network.
Resampling, losses, activations and optimisers are not counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.machine import Machine, load_average
from benchmarks.products import SECTION as PRODUCTS
from benchmarks.products import matrix_products, yardsticks
from benchmarks.rounds import Contestant, Outcome, Series, Skipped, interleave
from deepupscale.errors import DeepUpscaleError, UsageError
from model import config as configuration
from model.config import TrainConfig
from model.loader import Batch, batches, patches_of
from model.meter import Meter
from model.ranks import Ranks
from model.sampling import StorePatches, split
from model.steps import TrainingError
from model.store import Store
from model.trainer import Trainer

Precision = Literal["bf16", "f32"]
Stage = Literal["pretrain", "gan"]
VARIANTS: tuple[tuple[Precision, bool], ...] = (("bf16", True), ("f32", False), ("f32", True), ("bf16", False))


def convolution_flop(conv: nn.Conv2d, given: Tensor, made: Tensor) -> float:
    """Floating-point operations of a convolution in one step, forward and backward.

    Args:
        conv: The layer.
        given: What it was called with; whether its gradient is wanted counts.
        made: What it returned.
    """
    products = made.numel() * conv.in_channels // conv.groups * math.prod(conv.kernel_size)
    passes = 1
    if torch.is_grad_enabled():
        passes += int(given.requires_grad) + int(any(weight.requires_grad for weight in conv.parameters()))
    return 2.0 * products * passes


@contextmanager
def counted() -> Iterator[list[float]]:
    """Counts :func:`convolution_flop` of all convolutions, of any network, that are called inside."""
    flop: list[float] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            flop.append(convolution_flop(module, given[0], made))

    handle = nn.modules.module.register_module_forward_hook(note)
    try:
        yield flop
    finally:
        handle.remove()


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that work takes until the device is done with it."""
    if device.type != "cuda":
        began = time.perf_counter()
        work()
        return time.perf_counter() - began
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    first.record()
    work()
    last.record()
    torch.cuda.synchronize(device)
    return first.elapsed_time(last) / 1000.0


@dataclass(frozen=True)
class Variant:
    """A trainer in one precision and layout, with the batches it is timed on.

    Attributes:
        name: Both.
        precision: Of the networks.
        trainer: Its weights are laid out.
        ready: Laid out as well; a turn is one step on each.
    """

    name: str
    precision: Precision
    trainer: Trainer
    ready: tuple[Batch, ...]

    @classmethod
    def of(
        cls, config: TrainConfig, ranks: Ranks, made: Sequence[Batch], precision: Precision, channels_last: bool
    ) -> Variant:
        """The project's trainer, made over where the layout is another than its own, channels-last."""
        torch.manual_seed(config.seed)
        trainer = Trainer(config.model_copy(update={"precision": precision}), ranks)
        ready = tuple(made)
        if not channels_last:
            for network in (trainer.generator, trainer.opponent):
                if network is not None:
                    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            trainer.ema.update({name: value.contiguous() for name, value in trainer.ema.items()})
            ready = tuple(_contiguous(batch) for batch in made)
            ready = tuple(batch.pin_memory() for batch in ready) if ranks.device.type == "cuda" else ready
        name = f"{precision}{' autocast' if precision == 'bf16' else ''}, "
        return cls(name + ("channels-last" if channels_last else "contiguous"), precision, trainer, ready)

    def contestant(self, stage: Stage, config: TrainConfig, device: torch.device) -> Contestant:
        """Times steps in the middle of a stage; the warm-up counts what they compute."""
        number = middle(config, stage)

        def step(batch: Batch) -> None:
            if not self.trainer.step(number, batch).finite:
                raise TrainingError(f"{config.data.store}: a step of {stage} in {self.name} was not finite")

        def turn() -> Outcome:
            seconds = timed(lambda: [step(batch) for batch in self.ready], device)
            return Outcome(seconds / len(self.ready))

        def warm_up() -> None:
            with counted() as flop:
                step(self.ready[0])
            contestant.flop = sum(flop)

        contestant = Contestant(stage, self.name, turn, warm_up, 1, self.precision)
        return contestant


def middle(config: TrainConfig, stage: Stage) -> int:
    """Number of the step in the middle of a stage.

    Raises:
        UsageError: The configuration has no such stage.
    """
    if stage == "pretrain":
        return config.pretrain.steps // 2
    if config.gan is None:
        raise UsageError(f"--stage gan: the configuration {config.name} has no such stage, use --stage pretrain")
    return config.pretrain.steps + config.gan.steps // 2


def cuda_products(side: int, device: torch.device) -> list[Contestant]:
    """Square products on a GPU; in f32 with the TF32 that the convolutions may use."""
    found: list[Contestant] = []
    for precision, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))

        def turn(left: Tensor = left, right: Tensor = right) -> Outcome:
            allowed = torch.backends.cuda.matmul.allow_tf32
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
            try:
                return Outcome(timed(lambda: [torch.matmul(left, right) for _ in range(10)], device) / 10)
            finally:
                torch.backends.cuda.matmul.allow_tf32 = allowed

        flop = 2.0 * side**3
        found.append(Contestant(PRODUCTS, f"PyTorch {precision}, {side}^3", turn, None, 1, precision, flop, flop))
    return found


def loader_slice(
    trainer: Trainer, patches: StorePatches, number: int, steps: int, workers: int, device: torch.device
) -> dict[str, Any]:
    """Steps on batches as they come from the loader, as in a run.

    Returns:
        JSON-ready: steps a second and the share of waiting over the whole slice, and over what follows its first step;
        seconds until the first batch came.
    """
    meter = Meter(0, steps)
    paces = []
    made = batches(patches, 0, steps, workers, pin=device.type == "cuda")
    for step, batch in enumerate(meter.waiting(made), start=1):
        trainer.step(number, batch)
        if step in (1, steps):
            _ = timed(lambda: None, device)  # the device is done
            paces.append(meter.pace(step, "", {}))
    seconds = [(pace.step - before) / pace.per_second for before, pace in zip((0, 1), paces, strict=True)]
    waited = [pace.waiting * took for pace, took in zip(paces, seconds, strict=True)]
    return {
        "workers": workers,
        "steps": steps,
        "steps_per_s": round(steps / sum(seconds), 4),
        "waiting": round(sum(waited) / sum(seconds), 5),
        "waiting_after_the_first": round(paces[1].waiting, 5),
        "first_batch_s": round(waited[0], 3),
    }


def rows(contestants: Sequence[Contestant], products: Sequence[Contestant]) -> list[dict[str, Any]]:
    """JSON-ready figures of the steps: speed over that of the stage's first, and over the best product's, by rounds."""
    best = yardsticks(list(products))
    found: list[dict[str, Any]] = []
    for each in contestants:
        first = next(other for other in contestants if other.section == each.section)
        row: dict[str, Any] = {"stage": each.section, "name": each.name}
        row["steps_per_s"] = _summary(Series(tuple(1.0 / seconds for seconds in each.seconds.values)))
        row["ratio"] = _summary(first.seconds.over(each.seconds))
        row["flop_a_step"] = each.flop
        row["gflops"] = round(each.flop / each.seconds.median / 1e9, 1)
        if each.precision in best:
            product = best[each.precision]
            row["of_matrix_product"] = round(product.seconds.over(each.seconds).median * each.flop / product.flop, 4)
        found.append(row)
    return found


def product_rows(products: Sequence[Contestant]) -> list[dict[str, Any]]:
    """JSON-ready figures of the products."""
    return [
        {"name": each.name, "precision": each.precision, "gflops": round(each.flop / each.seconds.median / 1e9, 1)}
        for each in products
    ]


def compare(
    config: TrainConfig, stages: Sequence[Stage], options: argparse.Namespace, told: Callable[[str], None]
) -> dict[str, Any]:
    """Time all, in turns; then the loader.

    Returns:
        JSON-ready.

    Raises:
        DeepUpscaleError: The store, the configuration or the device cannot be used.
    """
    numbers = {stage: middle(config, stage) for stage in stages}
    ranks = Ranks.join(options.device)
    device = ranks.device
    on_gpu = device.type == "cuda"
    store = Store(config.data.store)
    patches = patches_of(config, store, split(store, config.data.held_out)[0] or None)
    began = time.perf_counter()
    made = list(batches(patches, 0, options.steps, pin=on_gpu))
    batch_seconds = (time.perf_counter() - began) / len(made)

    variants = [Variant.of(config, ranks, made, *variant) for variant in VARIANTS]
    contestants = [variant.contestant(stage, config, device) for stage in stages for variant in variants]
    side = options.matrix or (8192 if on_gpu else 4096)
    skipped: list[Skipped] = []
    if on_gpu:
        products = cuda_products(side, device)
    else:
        products, skipped = matrix_products(side, torch.get_num_threads())
    interleave([*products, *contestants], options.rounds, told)
    slices: list[dict[str, Any]] = []
    for stage, number in numbers.items():
        told(f"a slice of {stage}")
        found = loader_slice(variants[0].trainer, patches, number, options.slice, config.data.workers, device)
        slices.append({"stage": stage, **found})
    return {
        "configuration": config.name,
        "dataset": store.dataset,
        "pairs": len(store),
        "batch": config.data.batch,
        "patch": config.data.patch,
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "steps_a_turn": options.steps,
        "rounds": options.rounds,
        "batch_s": round(batch_seconds, 3),
        "rows": rows(contestants, products),
        "products": product_rows(products),
        "loader": slices,
        "skipped": [dataclasses.asdict(each) for each in skipped],
    }


def show(found: dict[str, Any], console: Console) -> None:
    """The figures for people."""
    for row in found["products"]:
        console.print(f"product   {row['name']}: {row['gflops']:.0f} GFLOP/s", highlight=False)
    for each in found["skipped"]:
        console.print(f"skipped   {each['name']}: {each['reason']}", highlight=False, markup=False)
    title = f"{found['configuration']}: {found['batch']} patches of {found['patch']}x{found['patch']} a step"
    table = Table(title=f"{title}, {found['pairs']} pairs, {found['device']}")
    headings = ("steps/s", "least..most", "speed", "least..most", "TFLOP a step", "GFLOP/s", "of matmul")
    table.add_column("step of")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    stage = ""
    for row in found["rows"]:
        if row["stage"] != stage:
            stage = row["stage"]
            table.add_section()
            table.add_row(f"[bold]{stage}[/bold]")
        speed, ratio = row["steps_per_s"], row["ratio"]
        cells = [f"  {row['name']}", f"{speed['median']:.3f}", f"{speed['least']:.3f}..{speed['most']:.3f}"]
        cells += [
            f"{ratio['median']:.2f}x",
            f"{ratio['least']:.2f}..{ratio['most']:.2f}",
            f"{row['flop_a_step'] / 1e12:.2f}",
        ]
        cells += [f"{row['gflops']:.0f}", f"{row['of_matrix_product']:.0%}" if "of_matrix_product" in row else ""]
        table.add_row(*cells)
    console.print(table)
    console.print(f"batch     {found['batch_s']:.3f} s to make one, in one process, from the store", highlight=False)
    for each in found["loader"]:
        console.print(
            f"loader    {each['stage']}, {each['steps']} steps, {each['workers']} workers: {each['steps_per_s']:.3f} "
            f"steps/s, {each['waiting']:.2%} of the time waiting for data; after the first step "
            f"{each['waiting_after_the_first']:.2%} (the first batch came after {each['first_batch_s']:.2f} s)",
            highlight=False,
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print."""
    options = _arguments(argv)
    overrides = {"data.store": str(options.store), "data.batch": options.batch, "data.patch": options.patch}
    if options.workers is not None:
        overrides["data.workers"] = options.workers
    config = configuration.load(options.preset, [f"{name}={json.dumps(value)}" for name, value in overrides.items()])
    stages: list[Stage] = ["pretrain", "gan"] if options.stage == "both" else [options.stage]
    progress, console = Console(stderr=True), Console(stderr=options.json)
    if not console.is_terminal:
        console = Console(width=160, stderr=options.json)
    machine = Machine.here(options.threads)
    torch.set_num_threads(machine.threads)
    for line in machine.lines():
        console.print(line, highlight=False, markup=False)
    began = time.perf_counter()
    found = compare(config, stages, options, lambda text: progress.print(text, highlight=False, markup=False))
    found |= {"machine": machine.document(), "load_at_end": load_average()}
    if options.json:
        print(json.dumps(found, indent=2))
        return
    show(found, console)
    load = " ".join(map(str, load_average()))
    console.print(f"took {time.perf_counter() - began:.0f} s; load at the end {load}", highlight=False)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description="Steps of training a second.")
    parser.add_argument("store", type=Path, help="a store made by deepupscale pack")
    parser.add_argument("--preset", default="default", help="a preset, or a YAML file (default)")
    parser.add_argument("--batch", type=int, default=20, help="patches a step (20)")
    parser.add_argument("--patch", type=int, default=192, help="side of an HR patch (192)")
    parser.add_argument("--stage", choices=("pretrain", "gan", "both"), default="pretrain", help="(pretrain)")
    parser.add_argument("--steps", type=int, default=1, help="steps a turn (1)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every contestant (3)")
    parser.add_argument("--slice", type=int, default=10, help="steps on batches from the loader, at least 2 (10)")
    parser.add_argument("--workers", type=int, help="processes of the loader; the preset's if left out")
    parser.add_argument("--matrix", type=int, default=0, help="side of the product; 0 for 4096, or 8192 on a GPU")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(auto)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    if options.steps < 1 or options.rounds < 1 or options.slice < 2 or min(options.matrix, options.threads) < 0:
        parser.error("--steps and --rounds must be above 0, --slice above 1, --matrix and --threads 0 or more")
    return options


def _contiguous(batch: Batch) -> Batch:
    """The same batch, each plane of a picture by itself."""
    aovs = {name: plane.contiguous() for name, plane in batch.aovs.items()}
    return Batch(batch.lr.contiguous(), batch.base.contiguous(), batch.hr.contiguous(), aovs)


def _summary(series: Series) -> dict[str, float]:
    return {"median": round(series.median, 4), "least": round(series.least, 4), "most": round(series.most, 4)}


if __name__ == "__main__":
    try:
        main()
    except (DeepUpscaleError, OSError) as failure:
        sys.exit(f"benchmarks.training: {failure}")
