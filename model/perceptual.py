"""Metrics that judge by a model of sight: PSNR in perceptually uniform values (PU21), and HDR-FLIP."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepupscale.errors import MissingExtraError
from model.metrics import LUMINANCE

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

PU21_PEAK = 256.0  # what PU21 gives for 100 nits, nearly, so that figures compare with those of standard pictures
PU21_NITS = (0.005, 10000.0)  # luminances that PU21 is fitted for; others are clamped

# Variant "banding + glare" of Mantiuk and Azimi, "PU21: A novel perceptually uniform encoding for adapting existing
# quality metrics for HDR", Picture Coding Symposium 2021; the one its authors recommend. Their p1 to p7.
_PU21 = (0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142)

_BLACK = 1e-6  # scene-linear luminance: a reference nowhere above it has no exposure of its own
_MOST_LIGHT = np.float32(65504.0)


def pu21_encode(nits: NDArray[np.floating]) -> Float64:
    """Luminance, or linear colour values in its units, to perceptually uniform values.

    V = p7 * (((p1 + p2 * Y**p4) / (1 + p3 * Y**p4))**p5 - p6)

    Args:
        nits: cd/m^2, any shape; clamped to 0.005 to 10000.

    Returns:
        0 at 0.005, 256.4 at 100 and 595.4 at 10000 nits.
    """
    p1, p2, p3, p4, p5, p6, p7 = _PU21
    power = np.clip(np.asarray(nits, np.float64), *PU21_NITS) ** p4
    return p7 * (((p1 + p2 * power) / (1.0 + p3 * power)) ** p5 - p6)


def pu21_psnr(a: Float32, b: Float32, peak_nits: float = 100.0) -> float:
    """PSNR in dB of PU21 values, over red, green and blue alike, for a peak of 256.

    The peak and the use of all channels follow the authors' own `pu21_metric`. It stays 256 whatever ``peak_nits``.
    Negatives and light below 0.005 nits count as 0.005, light above 10000 nits as 10000.

    Args:
        a: (height, width, 3), scene-linear.
        b: The same shape.
        peak_nits: Luminance in cd/m^2 of scene-linear 1.0.

    Returns:
        inf where both encode alike.

    Raises:
        ValueError: For unequal or other shapes, NaN, Inf, or a ``peak_nits`` that is not above 0.
    """
    if not (math.isfinite(peak_nits) and peak_nits > 0.0):
        raise ValueError(f"pu21_psnr needs peak_nits above 0, got {peak_nits}")
    for picture in (a, b):
        _check(picture, b.shape, "pu21_psnr")
        if np.isinf(picture).any():
            raise ValueError("pu21_psnr has no meaning over Inf")
    first, second = (pu21_encode(np.asarray(p, np.float64) * peak_nits) for p in (a, b))
    error = float(np.mean((first - second) ** 2))
    return math.inf if error == 0.0 else 10.0 * math.log10(PU21_PEAK**2 / error)


@dataclass(frozen=True)
class HdrFlip:
    """A comparison by HDR-FLIP.

    Attributes:
        mean: Mean error, 0 (alike) to 1.
        negatives: Values of reference and test together that were below 0 and were taken as 0.
        infinities: Values that were above 65504, or infinite, and were taken as 65504.
    """

    mean: float
    negatives: int
    infinities: int


def hdr_flip(reference: Float32, test: Float32) -> HdrFlip:
    """HDR-FLIP (Andersson et al., "Visualizing Errors in Rendered High Dynamic Range Images", Eurographics 2021).

    By the package ``flip-evaluator`` with its defaults: 67 pixels per degree, the ACES tone mapper, exposures chosen
    from the reference. The package takes NaN and negatives for colours and ends the whole process where it finds no
    exposures, so pictures are made fit first; where the reference is black throughout, exposure 0 is taken.

    Args:
        reference: (height, width, 3), scene-linear Rec.709.
        test: The same shape.

    Raises:
        ValueError: For unequal or other shapes, or NaN.
        MissingExtraError: ``flip-evaluator`` is not installed.
    """
    try:
        flip = importlib.import_module("flip_evaluator")
    except ImportError as error:
        raise MissingExtraError("HDR-FLIP", "flip-evaluator", "train") from error
    clean: list[Float32] = []
    negatives = infinities = 0
    for picture in (reference, test):
        _check(picture, reference.shape, "hdr_flip")
        negatives += int(np.count_nonzero(picture < 0.0))
        infinities += int(np.count_nonzero(picture > _MOST_LIGHT))
        clean.append(np.ascontiguousarray(np.clip(picture, 0.0, _MOST_LIGHT), np.float32))
    black = float((clean[0].astype(np.float64) @ LUMINANCE).max()) < _BLACK
    exposures = {"startExposure": 0.0, "stopExposure": 0.0} if black else {}
    mean = flip.evaluate(clean[0], clean[1], "HDR", applyMagma=False, parameters=exposures)[1]
    return HdrFlip(float(mean), negatives, infinities)


def _check(picture: Float32, shape: tuple[int, ...], metric: str) -> None:
    if picture.shape != shape:
        raise ValueError(f"{metric} needs two pictures of one shape, got {picture.shape} and {shape}")
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise ValueError(f"{metric} needs (height, width, 3), got {picture.shape}")
    if np.isnan(picture).any():
        raise ValueError(f"{metric} has no meaning over NaN")
