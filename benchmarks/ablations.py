"""What each choice of training is worth: one thing changed at a time, same steps, several seeds, one table.

    python -m benchmarks.ablations STORE --pairs FOLDER --runs FOLDER [--steps N] [--seeds 1,2] [--set NAME=VALUE ...]

Every variant is an ordinary training run in its own folder, so a stopped ablation goes on where it was, and any run
can be looked at by itself. All are scored by `deepupscale evaluate`'s own figures, on the pairs that none of them has
trained on. Differences are to the first variant of the same seed; their spread over the seeds says what is noise.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from deepupscale.errors import DeepUpscaleError
from model import config as configuration
from model.config import TrainConfig
from model.contenders import Contender, baseline, models
from model.evaluate import Evaluation, Options, evaluate
from model.scoring import FIGURES
from model.train import Slice, train

AS_IT_IS = "as the preset"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    AS_IT_IS: (),
    "no colour-shift loss": ("pretrain.weights.colour_shift=0.0",),
    "whole colour shift": ("loss.colour_shift.beyond_floor=false",),
    "whole compressed colour shift": (
        "loss.colour_shift.beyond_floor=false",
        "loss.colour_shift.domain=compressed",
    ),
    "no augmentation": ("data.augmentation={flips: false, rotations: false, shift: 0.0, exposure: 0.0}",),
    "no importance sampling": ("data.importance=0.0",),
    "fidelity in linear light": ("loss.domain=linear",),
}
SHOWN = ("psnr", "ssim", "pu21", "sharpness", "drift")


def configs(preset: str, store: Path, steps: int, seeds: Sequence[int], more: Sequence[str]) -> dict[str, TrainConfig]:
    """One configuration for each variant and seed, by the name of its run's folder.

    Raises:
        UsageError: The preset or an override cannot be meant.
    """
    found: dict[str, TrainConfig] = {}
    for variant, changes in VARIANTS.items():
        for seed in seeds:
            fixed = (f"data.store={json.dumps(str(store))}", f"pretrain.steps={steps}", "gan=null", f"seed={seed}")
            rest = (f"validate_every={steps}", f"checkpoint_every={max(1, steps // 4)}", "keep=1")
            name = folder_of(variant, seed)
            found[name] = configuration.load(preset, (*fixed, *rest, *more, *changes, f"name={name}"))
    return found


def folder_of(variant: str, seed: int) -> str:
    """The name of a run's folder."""
    return f"{variant.replace(' ', '-')}-{seed}"


def run_all(asked: Mapping[str, TrainConfig], runs: Path, device: str) -> None:
    """Train what is not trained yet."""
    for number, (name, config) in enumerate(asked.items(), 1):
        folder = runs / name
        begun = (folder / "config.yaml").is_file()
        done = train(config, folder, Slice(), begun, device)
        said = f"{done.step} steps, {done.skipped} skipped, {done.seconds / 60.0:.1f} min"
        sys.stdout.write(f"[{number}/{len(asked)}] {name}: {said}\n")
        sys.stdout.flush()
        if done.step < config.pretrain.steps:
            sys.exit("stopped: the same command goes on")  # asked to by a signal; the run has its checkpoint


def compare(pairs: Path, runs: Path, seeds: Sequence[int], held_out: float, device: str) -> Evaluation:
    """Score all runs and the interpolation that they correct, on the pairs that were held out."""
    names = [folder_of(variant, seed) for variant in VARIANTS for seed in seeds]
    contenders: list[Contender] = [baseline("bicubic-compressed"), baseline("lanczos3")]
    contenders += models([f"{name}={runs / name}" for name in names], device, "f32")
    return evaluate([pairs], contenders, Options(held_out=held_out))


def table(evaluation: Evaluation, seeds: Sequence[int]) -> str:
    """Markdown: means over the seeds, and differences to the first variant of the same seed with their range."""
    means = evaluation.means()
    lines = ["| | " + " | ".join(FIGURES[name].label for name in SHOWN) + " |", "|---" * (len(SHOWN) + 1) + "|"]
    for variant in VARIANTS:
        cells: list[str] = []
        for name in SHOWN:
            values = [means[folder_of(variant, seed)][name] for seed in seeds]
            cell = format(float(np.mean(values)), FIGURES[name].style)
            if variant != AS_IT_IS:
                by = [value - means[folder_of(AS_IT_IS, seed)][name] for value, seed in zip(values, seeds, strict=True)]
                signed = "+" + FIGURES[name].style
                cell += f" ({format(min(by), signed)} to {format(max(by), signed)})"
            cells.append(cell)
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    for contender in evaluation.contenders:
        if contender.kind == "baseline":
            shown = [format(means[contender.name][name], FIGURES[name].style) for name in SHOWN]
            lines.append(f"| {contender.name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--pairs", type=Path, required=True, help="the folder that the store was packed from")
    parser.add_argument("--runs", type=Path, required=True, help="where the runs go; a stopped ablation goes on")
    parser.add_argument("--preset", default="fidelity")
    parser.add_argument("--steps", type=int, default=2000, help="of every run")
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="for all runs; repeatable")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(argv)
    seeds = [int(word) for word in options.seeds.split(",")]
    asked = configs(options.preset, options.store, options.steps, seeds, options.set)
    run_all(asked, options.runs, options.device)
    first = next(iter(asked.values()))
    found = compare(options.pairs, options.runs, seeds, first.data.held_out, options.device)
    sys.stdout.write(f"\n{table(found, seeds)}\n\n{len(found.results)} pairs that none has trained on, ")
    sys.stdout.write(f"{options.steps} steps, seeds {options.seeds}, {first.generator.name} {first.generator.shape}, ")
    sys.stdout.write(f"{first.data.batch} patches of {first.data.patch}\n")


if __name__ == "__main__":
    try:
        main()
    except DeepUpscaleError as failure:
        sys.exit(f"benchmarks: {failure}")
