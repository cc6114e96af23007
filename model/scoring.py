"""Scores of one doubled picture, and what they mean: the columns of an evaluation's table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepupscale.range_compression import RangeCompression
from model.metrics import colour_drift, psnr, sharpness, ssim
from model.perceptual import hdr_flip, pu21_psnr

Float32 = NDArray[np.float32]
CURVE = RangeCompression()


@dataclass(frozen=True)
class Figure:
    """One column.

    Attributes:
        label: As tables head it.
        style: Format of its values.
        best: What the best value is: "high", "low", or "one".
        meaning: One sentence, with range and unit.
    """

    label: str
    style: str
    best: str
    meaning: str


FIGURES: Mapping[str, Figure] = {
    "psnr": Figure("PSNR dB", ".2f", "high", "PSNR in the compressed range, peak 1.0, whole picture"),
    "ssim": Figure("SSIM", ".4f", "high", "structural similarity in the compressed range, mean over channels"),
    "pu21": Figure("PU21 dB", ".2f", "high", "PSNR of PU21 values, scene-linear 1.0 as 100 nits"),
    "flip": Figure("HDR-FLIP", ".4f", "low", "mean HDR-FLIP, 67 pixels per degree, 0 to 1"),
    "sharpness": Figure("sharpness", ".3f", "one", "gradient energy at HR's edges over HR's own; 1 is as sharp"),
    "drift": Figure("drift %", ".3f", "low", "drift of mean colour at LR size, per cent, mean over brightness bins"),
    "shimmer": Figure(
        "shimmer", ".5f", "low", "difference to the frame before along its motion, compressed range; sequences only"
    ),
}


def score(sr: Float32, hr: Float32, flip: bool = False) -> dict[str, float]:
    """All figures of one picture that need no other frame; NaN where one has no meaning for this picture.

    Args:
        sr: (height, width, 3), scene-linear, finite; the result.
        hr: The same shape: the truth.
        flip: Also HDR-FLIP, which takes longer than all others together.

    Raises:
        ValueError: Unequal shapes, or NaN or Inf.
    """
    ours, truth = CURVE.compress(sr), CURVE.compress(hr)
    found = {"psnr": psnr(ours, truth), "ssim": ssim(ours, truth), "pu21": pu21_psnr(sr, hr)}
    if flip:
        found["flip"] = hdr_flip(hr, sr).mean
    return found | {"sharpness": sharpness(sr, hr), "drift": colour_drift(sr, hr).percent}


def drift_floor(lr: Float32, hr: Float32) -> float:
    """The pair's own drift: that of LR with every pixel repeated. An upscale that keeps colour comes out near it.

    Args:
        lr: (height, width, 3), scene-linear, finite.
        hr: (2 height, 2 width, 3).
    """
    return colour_drift(lr.repeat(2, 0).repeat(2, 1), hr).percent


def mean(values: Iterable[float]) -> float:
    """Of those that are finite; NaN of none."""
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan
