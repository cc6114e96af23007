"""Score a checkpoint on whole held-out plates beside fixed interpolation.

    python -m model.evaluate --checkpoint runs/first/ema.safetensors --plates FOLDER [FOLDER ...]

Each plate is reduced by the box and by the Blackman-Harris filter in scene-linear light and brought back. All PSNR
are in the compressed range with a peak of 1.0, over every pixel of the data window, borders included.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from deepupscale.resample import double, kernel_radius, pad
from model.checkpoint import load_generator
from model.networks import Generator
from model.pairs import CURVE, UPSAMPLE, plate_files, read_layers
from model.pixel_filters import Float32, PixelFilter, blackman_harris, box, reduce_whole
from model.validation import psnr, residual_of

log = logging.getLogger("evaluate")
METHODS = ("ours", "cubic", "lanczos3", "lanczos3 in linear light")
# Frames of a shot whose other frames are trained on: kept apart from the plates that are really new.
SAME_SHOT = ("Beachball_",)
DEEP_SHADOW = 0.01  # scene-linear, four stops and more below mid-grey
TILE = 256  # LR pixels; keeps the memory of whole plates in bounds


@dataclass
class Result:
    """Scores of one pair, in dB: over all pixels, and over those that are not deep shadow.

    The curve is so steep near black that sensor noise of 0.0001 there outweighs all else in a dark plate's score.
    """

    plate: str
    same_shot: bool
    pixel_filter: str
    width: int
    height: int
    psnr: dict[str, float]
    psnr_lit: dict[str, float]


def interpolated(plane: Float32, kernel: str) -> Float32:
    """A whole picture doubled, its border repeated."""
    radius = kernel_radius(kernel)
    return double(pad(plane, radius, radius, radius, radius), radius, kernel)


def upscaled(network: Generator, lr: Float32, precision: torch.dtype = torch.float32) -> Float32:
    """A whole compressed picture doubled by the generator, by tiles with their full context (so without seams)."""
    halo = network.receptive_radius
    around = pad(lr, halo, halo, halo, halo)
    out = interpolated(lr, UPSAMPLE)
    height, width = lr.shape[:2]
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            tile = around[y : min(y + TILE, height) + 2 * halo, x : min(x + TILE, width) + 2 * halo]
            residual = residual_of(network, tile, precision)[2 * halo : -2 * halo, 2 * halo : -2 * halo]
            out[2 * y : 2 * y + residual.shape[0], 2 * x : 2 * x + residual.shape[1]] += residual
    return out


def evaluate_plate(network: Generator, name: str, hr: Float32, pixel_filter: PixelFilter) -> Result:
    """All methods on one scene-linear picture, its sides cut to even numbers."""
    hr = hr[: hr.shape[0] // 2 * 2, : hr.shape[1] // 2 * 2]
    return compare(network, name, reduce_whole(hr, pixel_filter, 2), hr, pixel_filter.name)


def compare(network: Generator, name: str, lr: Float32, hr: Float32, pair: str) -> Result:
    """All methods on one scene-linear pair; ``pair`` says how it came about."""
    compressed, truth = CURVE.compress(lr), CURVE.compress(hr)
    pictures = {
        "ours": upscaled(network, compressed),
        "cubic": interpolated(compressed, "cubic"),
        "lanczos3": interpolated(compressed, "lanczos3"),
        "lanczos3 in linear light": CURVE.compress(interpolated(lr, "lanczos3")),
    }
    scores = {method: psnr(picture, truth) for method, picture in pictures.items()}
    lit = hr.max(axis=2) > DEEP_SHADOW
    lit_scores = {method: psnr(picture[lit], truth[lit]) for method, picture in pictures.items()}
    return Result(name, name.startswith(SAME_SHOT), pair, hr.shape[1], hr.shape[0], scores, lit_scores)


def evaluate(network: Generator, folders: list[Path]) -> list[Result]:
    """The first RGB layer of every held-out plate under both filters."""
    results: list[Result] = []
    for file in plate_files(folders, held_out=True):
        hr = read_layers(file)[0][1]
        if not np.isfinite(hr).all():
            raise ValueError(f"{file} holds NaN or Inf: PSNR has no meaning there")
        for pixel_filter in (box(), blackman_harris()):
            results.append(evaluate_plate(network, file.name, hr, pixel_filter))
            log.info("%s", results[-1])
    return results


def evaluate_pair(network: Generator, lr_file: Path, hr_file: Path) -> Result:
    """The first RGB layers of two renders of one scene, the second at twice the size of the first."""
    lr, hr = (read_layers(file)[0][1] for file in (lr_file, hr_file))
    if hr.shape[:2] != (2 * lr.shape[0], 2 * lr.shape[1]):
        raise ValueError(f"{hr_file} is not twice the size of {lr_file}")
    return compare(network, lr_file.name, lr, hr, "rendered twice")


def summary(results: list[Result]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean PSNR over all pixels by filter and method: unseen plates, and other frames of trained shots."""
    means: dict[str, dict[str, dict[str, float]]] = {}
    for group, same_shot in (("unseen", False), ("same shot, other frame", True)):
        for name in sorted({r.pixel_filter for r in results}):
            chosen = [r.psnr for r in results if r.same_shot == same_shot and r.pixel_filter == name]
            if chosen:
                means.setdefault(group, {})[name] = {m: float(np.mean([c[m] for c in chosen])) for m in METHODS}
    return means


def table(results: list[Result]) -> str:
    """The results as a Markdown table."""

    def row(plate: str, pixel_filter: str, scores: dict[str, float]) -> str:
        return f"| {plate} | {pixel_filter} | " + " | ".join(f"{scores[m]:.2f}" for m in METHODS) + " |"

    lines = ["| plate | filter | " + " | ".join(METHODS) + " |", "|---|---|" + "---|" * len(METHODS)]
    for r in results:
        name = r.plate + (" *" if r.same_shot else "")
        lines.append(row(name, r.pixel_filter, r.psnr))
        lines.append(row(f"{name}, above {DEEP_SHADOW}", r.pixel_filter, r.psnr_lit))
    for group, filters in summary(results).items():
        lines += [row(f"mean, {group}", name, means) for name, means in filters.items()]
    return "\n".join(lines) + "\n\n* another frame of a shot that was trained on\n"


def slow_ramp(network: Generator) -> dict[str, float]:
    """Largest |residual| on a grey ramp from 0.1 to 1.0 over 2000 pixels, by precision, and between the two."""
    row = np.linspace(0.1, 1.0, 2000, dtype=np.float32)
    ramp = CURVE.compress(np.broadcast_to(row[None, :, None], (80, 2000, 3)).copy())
    halo = 2 * network.receptive_radius
    names = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    inner = {n: residual_of(network, ramp, precision)[halo:-halo, halo:-halo] for n, precision in names.items()}
    report = {f"max |residual| {n}": float(np.abs(residual).max()) for n, residual in inner.items()}
    report |= {f"mean |residual| {n}": float(np.abs(residual).mean()) for n, residual in inner.items()}
    return report | {"max |bfloat16 - float32|": float(np.abs(inner["bfloat16"] - inner["float32"]).max())}


def save_comparison(path: Path, pictures: list[Float32], zoom: int = 3) -> None:
    """Scene-linear crops of one size side by side, tone-mapped alike and enlarged by whole pixels."""
    exposure = 0.25 / max(float(np.median(np.maximum(pictures[-1], 0.0).max(axis=2))), 0.01)
    strip = np.concatenate([np.maximum(p, 0.0) * exposure for p in pictures], axis=1)
    display = np.clip((strip / (1.0 + strip)) ** (1.0 / 2.2) * 255.0 + 0.5, 0, 255).astype(np.uint8)
    Image.fromarray(display.repeat(zoom, 0).repeat(zoom, 1)).save(path)


def save_crops(network: Generator, folders: list[Path], out: Path, side: int = 128) -> None:
    """Where interpolation does worst in each held-out plate: LR by nearest | Lanczos | ours | HR."""
    out.mkdir(parents=True, exist_ok=True)
    for file in plate_files(folders, held_out=True):
        hr = read_layers(file)[0][1]
        hr = hr[: hr.shape[0] // 2 * 2, : hr.shape[1] // 2 * 2]
        lr = reduce_whole(hr, blackman_harris(), 2)
        compressed = CURVE.compress(lr)
        ours, lanczos = CURVE.expand(upscaled(network, compressed)), CURVE.expand(interpolated(compressed, "lanczos3"))
        shown = [np.sqrt(np.maximum(p, 0.0) / (1.0 + np.maximum(p, 0.0))) for p in (lanczos, hr)]
        missed = np.abs(shown[0] - shown[1]).mean(axis=2)  # as displayed: shadow noise is not what to look at
        rows, columns = hr.shape[0] // side, hr.shape[1] // side
        worst = missed[: rows * side, : columns * side].reshape(rows, side, columns, side).mean(axis=(1, 3))
        for rank, square in enumerate(np.argsort(worst, axis=None)[::-1][:3]):
            y, x = (int(at) * side for at in np.unravel_index(square, worst.shape))
            nearest = lr.repeat(2, 0).repeat(2, 1)
            crops = [picture[y : y + side, x : x + side] for picture in (nearest, lanczos, ours, hr)]
            save_comparison(out / f"{file.stem}_{rank}.png", crops)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="model.evaluate", description="Score a checkpoint on held-out plates.")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--plates", type=Path, nargs="+", required=True)
    parser.add_argument("--pair", type=Path, nargs=2, action="append", default=[], help="a render and its 2x render")
    parser.add_argument("--json", type=Path, default=None, help="default: evaluation.json beside the checkpoint")
    parser.add_argument("--crops", type=Path, default=None, help="folder for PNG comparisons; none are written without")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    network = load_generator(options.checkpoint)
    results = evaluate(network, options.plates)
    results += [evaluate_pair(network, lr, hr) for lr, hr in options.pair]
    ramp = slow_ramp(network)
    report = {"results": [asdict(r) for r in results], "means": summary(results), "slow_ramp": ramp}
    target = options.json or options.checkpoint.with_name("evaluation.json")
    target.write_text(json.dumps(report, indent=1) + "\n")
    print(table(results))
    print(json.dumps(ramp, indent=1))
    if options.crops is not None:
        save_crops(network, options.plates, options.crops)


if __name__ == "__main__":
    main()
