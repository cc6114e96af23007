"""Train the generator for fidelity: L1 in the compressed range.

    python -m model.train_psnr --plates FOLDER [FOLDER ...] --out runs/first --minutes 60 --seed 1

The network sees the compressed LR patch under bf16 autocast; the fixed upsample and the loss stay in float32. So it
meets inputs rounded as low precision rounds them, with exact targets, and learns to leave a rounded ramp alone.
Patches are drawn from (seed, step) alone: a resumed run continues with the very patches it would have had.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.networks import ResidualGenerator
from model.pairs import HdrImage, PatchSampler, crop_side, training_images, upsample_batch
from model.procedural import procedural_image
from model.validation import ValidationCrop, held_out_crops, score

log = logging.getLogger("train_psnr")


@dataclass
class Progress:
    """What a run has done; stored with every checkpoint."""

    step: int = 0
    elapsed_s: float = 0.0  # time spent in the loop, over all slices
    skipped: int = 0  # steps whose loss or gradient was not finite


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="model.train_psnr", description="Train the generator for fidelity.")
    parser.add_argument("--plates", type=Path, nargs="*", default=[], help="folders of HDR EXR plates")
    parser.add_argument("--out", type=Path, required=True, help="run folder: checkpoints, metrics, state")
    parser.add_argument("--minutes", type=float, required=True, help="length of the run; the rate anneals to its end")
    parser.add_argument("--steps", type=int, default=None, help="stop this slice after so many steps, for tests")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=64, help="side of the LR patch")
    parser.add_argument("--lr", type=float, default=5e-4, help="peak learning rate")
    parser.add_argument("--procedural", type=int, default=1500, help="procedural pictures in the pool")
    parser.add_argument("--plate-share", type=float, default=0.5, help="share of patches cut from plates")
    parser.add_argument("--ema", type=float, default=0.999, help="decay of the averaged weights")
    parser.add_argument("--border", type=int, default=4, help="LR pixels at the patch border that the loss ignores")
    parser.add_argument("--validate-every", type=int, default=300, help="steps between validations and checkpoints")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out")
    return parser.parse_args(argv)


def learning_rate(fraction: float, peak: float) -> float:
    """Trapezoid over the fraction of the run's time: up in 3 %, level, down to zero over the last half."""
    return peak * max(0.0, min(1.0, fraction / 0.03 + 0.01, (1.0 - fraction) / 0.5))


def procedural_pool(count: int, seed: int, workers: int, size: int) -> list[HdrImage]:
    """``count`` procedural pictures of this run's own seeds, made by worker processes if more than one."""
    seeds = [seed * 1_000_000 + i for i in range(count)]
    make = partial(procedural_image, size=size)
    if workers == 1:
        return [HdrImage(f"procedural:{s}", make(s)) for s in seeds]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        pictures = pool.map(make, seeds, chunksize=8)
        return [HdrImage(f"procedural:{s}", picture) for s, picture in zip(seeds, pictures, strict=True)]


def to_network(lr: np.ndarray) -> Tensor:
    """(batch, height, width, 3) to the channels-last layout that bf16 convolutions are fast in."""
    return torch.from_numpy(np.ascontiguousarray(lr)).permute(0, 3, 1, 2)


def save_atomically(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """The file is either the old one or the new one, never half of it."""
    partial_path = path.with_name(path.name + ".partial")
    save_file({name: t.detach().contiguous() for name, t in tensors.items()}, partial_path, metadata)
    partial_path.replace(path)


def save_checkpoint(
    out: Path, network: ResidualGenerator, ema: dict[str, Tensor], adam: torch.optim.Optimizer, progress: Progress
) -> None:
    """Everything a resume needs in one file; the averaged weights and the state once more for readers."""
    state = json.dumps(asdict(progress))
    tensors = {f"network.{name}": p for name, p in network.state_dict().items()}
    tensors |= {f"ema.{name}": p for name, p in ema.items()}
    for index, moments in adam.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    save_atomically(tensors, out / "checkpoint.safetensors", {"progress": state})
    shape = {"width": str(network.head.out_channels), "blocks": str(len(network.blocks))}
    save_atomically(ema, out / "ema.safetensors", {"progress": state, **shape})
    written = out / "state.json.partial"
    written.write_text(state + "\n")
    written.replace(out / "state.json")


def load_checkpoint(
    path: Path, network: ResidualGenerator, adam: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], Progress]:
    """Fill network and optimiser; returns the averaged weights and the progress."""
    with safe_open(path, framework="pt") as file:
        progress = Progress(**json.loads(file.metadata()["progress"]))
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "ema": {}, "adam": {}}
        for key in file.keys():  # noqa: SIM118  a safetensors file is not iterable
            group, name = key.split(".", 1)
            groups[group][name] = file.get_tensor(key)
    network.load_state_dict(groups["network"])
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in groups["adam"].items():
        index, name = key.split(".", 1)
        moments.setdefault(int(index), {})[name] = tensor
    adam.load_state_dict({"state": moments, "param_groups": adam.state_dict()["param_groups"]})
    return groups["ema"], progress


def validate(network: ResidualGenerator, ema: dict[str, Tensor], crops: list[ValidationCrop]) -> dict[str, float]:
    """PSNR of the averaged weights on the fixed crops."""
    trained = {name: p.clone() for name, p in network.state_dict().items()}
    network.load_state_dict(ema)
    scores = score(network, crops)
    network.load_state_dict(trained)
    return scores


def train(options: argparse.Namespace) -> Progress:
    """One run, or one slice of it."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    settings = {key: [str(p) for p in v] if isinstance(v, list) else v for key, v in vars(options).items()}
    (options.out / "options.json").write_text(json.dumps(settings, default=str, indent=1) + "\n")

    # Data
    smallest = crop_side(options.patch)
    plates = training_images(options.plates, smallest)
    drawn = procedural_pool(options.procedural, options.seed, options.threads, max(320, smallest))
    share = options.plate_share if plates else 0.0
    sampler = PatchSampler([(share, plates), (1.0 - share, drawn)], options.patch)
    crops = held_out_crops(options.plates)
    (options.out / "pictures.txt").write_text("\n".join(image.name for image in plates + drawn) + "\n")
    log.info("%d plate pictures, %d procedural, %d validation crops", len(plates), len(drawn), len(crops))

    # Network, optimiser, averaged weights
    network = ResidualGenerator(options.width, options.blocks).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(network.parameters(), lr=options.lr, betas=(0.9, 0.99), weight_decay=1e-4)
    ema = {name: p.clone() for name, p in network.state_dict().items()}
    progress = Progress()
    if options.resume:
        ema, progress = load_checkpoint(options.out / "checkpoint.safetensors", network, adam)
        log.info("resumed at step %d", progress.step)
    metrics = (options.out / "metrics.jsonl").open("a", buffering=1)

    start, first, losses, baselines = time.monotonic() - progress.elapsed_s, progress.step, [], []
    cut = 2 * options.border
    inner = slice(cut, 2 * options.patch - cut)
    while progress.elapsed_s < 60.0 * options.minutes and (
        options.steps is None or progress.step < first + options.steps
    ):
        # Draw, interpolate
        lr_patches, hr_patches = sampler.batch(np.random.default_rng([options.seed, progress.step]), options.batch)
        upsampled = to_network(upsample_batch(lr_patches))
        margin = (lr_patches.shape[1] - options.patch) // 2
        lr = to_network(lr_patches[:, margin : margin + options.patch, margin : margin + options.patch])
        missing = (to_network(hr_patches) - upsampled)[:, :, inner, inner]

        # Learn what is missing
        rate = learning_rate(progress.elapsed_s / (60.0 * options.minutes), options.lr)
        for group in adam.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            residual = network(lr)
        loss = (residual[:, :, inner, inner].float() - missing).abs().mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        if torch.isfinite(norm) and torch.isfinite(loss):
            adam.step()
            decay = min(options.ema, (1.0 + progress.step) / (10.0 + progress.step))
            for name, p in network.state_dict().items():
                ema[name].lerp_(p, 1.0 - decay)
            losses.append(loss.item())
            baselines.append(missing.abs().mean().item())
        else:
            progress.skipped += 1
            log.warning("step %d skipped: loss %s, gradient norm %s", progress.step, loss.item(), norm.item())
        progress.step += 1
        progress.elapsed_s = time.monotonic() - start

        # Report
        if progress.step % 50 == 0 and losses:
            record: dict[str, float] = {"step": progress.step, "elapsed_s": round(progress.elapsed_s, 1), "rate": rate}
            record |= {"loss": float(np.mean(losses)), "interpolation": float(np.mean(baselines))}
            record |= {"norm": norm.item(), "skipped": progress.skipped}
            losses, baselines = [], []
            metrics.write(json.dumps(record) + "\n")
            log.info("%s", json.dumps(record))
        if progress.step % options.validate_every == 0:
            save_checkpoint(options.out, network, ema, adam, progress)
            if crops:
                record = {"step": progress.step, **validate(network, ema, crops)}
                metrics.write(json.dumps(record) + "\n")
                log.info("%s", json.dumps(record))
    save_checkpoint(options.out, network, ema, adam, progress)
    if crops:
        record = {"step": progress.step, "final": True, **validate(network, ema, crops)}
        metrics.write(json.dumps(record) + "\n")
        log.info("%s", json.dumps(record))
    metrics.close()
    if not math.isfinite(sum(float(p.abs().sum()) for p in ema.values())):
        raise FloatingPointError("the averaged weights are not finite")
    return progress


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(arguments())
