"""Scores on plates that are never trained on: fixed crops while training, methods for whole plates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from deepupscale.resample import double
from model.metrics import psnr
from model.pairs import CURVE, UPSAMPLE, plate_files, read_layers
from model.pixel_filters import Float32, PixelFilter, blackman_harris, box, reduce_whole

CROP = 192  # HR pixels
CROPS_PER_PLATE = 3
# One Beachball frame is enough: its neighbours are trained on, and more of it would weigh the mean.
CROPPED = ("ScanLines_StillLife", "ScanLines_Carrots", "Beachball_singlepart.0004")


@dataclass
class ValidationCrop:
    """A pair in the compressed range.

    Attributes:
        plate: File name.
        pixel_filter: Name of the filter that made LR.
        lr: LR with ``context`` pixels on every side.
        hr: HR without context.
        context: LR pixels.
    """

    plate: str
    pixel_filter: str
    lr: Float32
    hr: Float32
    context: int


def residual_of(network: nn.Module, lr: Float32, precision: torch.dtype = torch.float32) -> Float32:
    """The network's residual for one (height, width, 3) compressed LR picture, as float32 of twice the size."""
    tensor = torch.from_numpy(np.ascontiguousarray(lr)).permute(2, 0, 1)[None]
    tensor = tensor.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        out = network(tensor)
    return np.ascontiguousarray(out[0].float().permute(1, 2, 0).numpy())


def held_out_crops(folders: list[Path], context: int = 27) -> list[ValidationCrop]:
    """Fixed crops of the held-out plates, by the box and by the Blackman-Harris filter."""
    crops: list[ValidationCrop] = []
    filters: tuple[PixelFilter, ...] = (box(), blackman_harris())
    for file in plate_files(folders, held_out=True):
        if not file.name.startswith(CROPPED):
            continue
        hr = read_layers(file)[0][1]
        rng = np.random.default_rng(20)
        low = [CURVE.compress(reduce_whole(hr, f, 2)) for f in filters]
        for _ in range(CROPS_PER_PLATE):
            y, x = (int(rng.integers(context, side // 2 - CROP // 2 - context)) for side in hr.shape[:2])
            truth = CURVE.compress(hr[2 * y : 2 * y + CROP, 2 * x : 2 * x + CROP])
            for f, lr in zip(filters, low, strict=True):
                around = lr[y - context : y + CROP // 2 + context, x - context : x + CROP // 2 + context]
                crops.append(ValidationCrop(file.name, f.name, np.ascontiguousarray(around), truth, context))
    return crops


def score(network: nn.Module, crops: list[ValidationCrop]) -> dict[str, float]:
    """Mean PSNR over the crops: ours (under bf16 autocast, for speed), cubic, Lanczos; ours also per plate."""
    ours: dict[str, list[float]] = {}
    fixed: dict[str, list[float]] = {"cubic": [], "lanczos3": []}
    for crop in crops:
        for kernel, values in fixed.items():
            values.append(psnr(double(crop.lr, crop.context, kernel), crop.hr))
        cut = 2 * crop.context
        residual = residual_of(network, crop.lr, torch.bfloat16)[cut:-cut, cut:-cut]
        ours.setdefault(crop.plate, []).append(psnr(double(crop.lr, crop.context, UPSAMPLE) + residual, crop.hr))
    scores = {"ours": float(np.mean([v for values in ours.values() for v in values]))}
    scores |= {kernel: float(np.mean(values)) for kernel, values in fixed.items()}
    return scores | {f"ours:{plate}": float(np.mean(values)) for plate, values in ours.items()}
