"""Fidelity metrics of a doubled picture against the HR picture that it should be.

| metric | values in | best | says |
|---|---|---|---|
| `psnr` | compressed | inf dB | squared error |
| `ssim` | compressed | 1 | local structure |
| `sharpness` | scene-linear | 1 | gradient energy at the reference's edges |
| `colour_drift` | scene-linear | 0 % | colour of what both pictures show at LR size, by brightness |

"Compressed" is `RangeCompression`'s range, where scene-linear 1.0 is 0.6 and 295 is 1.0. What is judged by a model of
sight is in `model.perceptual`; sequences are in `model.temporal`. All raise ValueError for pictures of unequal shapes
and for NaN or Inf: a score over damaged pixels means nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepupscale.range_compression import RangeCompression
from model.pixel_filters import box, reduce_whole

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

LUMINANCE = np.array((0.2126, 0.7152, 0.0722))  # luminance of scene-linear Rec.709 red, green and blue
MID_GREY = 0.18  # scene-linear
STOPS = tuple(range(-10, 7))  # edges of colour_drift's bins about mid-grey: 0.00018 to 11.5 scene-linear

_WINDOW = 11  # pixels; with _SIGMA the window of Wang et al. 2004, section III-B
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03

_EDGE = 0.01  # compressed range per pixel: what sharpness takes for an edge; a fifth of a stop outside deep shadow


def psnr(ours: Float32, truth: Float32) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 1.0, over all values.

    Args:
        ours: Any shape, compressed range.
        truth: The same shape.

    Returns:
        inf where both are equal; NaN where there are no values at all (a selection may be empty).
    """
    a, b = _finite_pair(ours, truth, "psnr")
    if a.size == 0:
        return math.nan
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0.0 else -10.0 * math.log10(error)


def ssim(ours: Float32, truth: Float32) -> float:
    """Structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004) in its standard form.

    Gaussian window of 11 x 11 pixels and sigma 1.5, K1 = 0.01, K2 = 0.03, L = 1.0, moments weighted by the window
    (not the sample's unbiased ones), only windows that lie whole within the picture. L is 1.0 because the compressed
    range is, up to 295 scene-linear; brighter light only makes the constants relatively smaller.

    Each channel is compared by itself and the mean over channels is returned, so that an error of colour counts that
    leaves luminance alone.

    Args:
        ours: (height, width, channels), compressed range, at least 11 x 11 pixels.
        truth: The same shape.

    Returns:
        -1 to 1; 1 only where both are equal.
    """
    a, b = _finite_pair(ours, truth, "ssim")
    if a.ndim != 3 or min(a.shape[:2]) < _WINDOW or a.shape[2] == 0:
        raise ValueError(f"ssim needs (height, width, channels) of at least {_WINDOW} pixels a side, got {a.shape}")
    # One channel at a time: all at once, a 4K picture would take gigabytes.
    return float(np.mean([_ssim_of_channel(a[:, :, c : c + 1], b[:, :, c : c + 1]) for c in range(a.shape[2])]))


def _ssim_of_channel(a: Float64, b: Float64) -> float:
    """SSIM of (height, width, 1)."""
    taps = _gaussian(_SIGMA, _WINDOW // 2)
    mean_a, mean_b = _filtered(a, taps), _filtered(b, taps)
    both = mean_a * mean_b
    squares = mean_a**2 + mean_b**2
    covariance = _filtered(a * b, taps) - both
    variances = _filtered(a * a + b * b, taps) - squares
    c1, c2 = _K1**2, _K2**2
    return float(np.mean((2.0 * both + c1) * (2.0 * covariance + c2) / ((squares + c1) * (variances + c2))))


def sharpness(output: Float32, reference: Float32, curve: RangeCompression | None = None) -> float:
    """Gradient energy of the output over that of the reference: 1 is as sharp as HR, less is softer, more is crisper.

    Both are compressed, light below zero taken as none (the curve is so steep there that the least ringing into
    negatives would pass for an edge), and averaged over channels. Other ringing and false detail count as what they
    look like: read the figure beside `psnr` and `ssim`. The gradient is Roberts' cross (1963), which sees the finest
    octave (the one that an upscale has to make) and whose two differences share no pixel. Two things keep noise from
    passing for sharpness:

    - only pixels count where the reference has an edge: where its gradient after a Gaussian of sigma 1.5 reaches
      0.01 per pixel;
    - from each picture's mean energy there, the energy of its noise is deducted. White noise makes |gradient|^2
      exponentially distributed, whose mean is its median / ln 2; the median is taken of the pixels without an edge.

    Noise that differs greatly between edges and the rest is deducted only in part. Fine texture too faint for an edge
    is taken for noise, in both pictures alike.

    Args:
        output: (height, width, 3), scene-linear.
        reference: The same shape.
        curve: Default: `RangeCompression()`.

    Returns:
        Not negative; NaN where the reference has no edge.
    """
    curve = curve or RangeCompression()
    a, b = (_picture(p, "sharpness") for p in _finite_pair(output, reference, "sharpness"))
    grey = [np.mean(curve.compress(np.maximum(p, 0.0)).astype(np.float64), axis=2) for p in (a, b)]
    taps = _gaussian(_SIGMA, 5)
    soft = _filtered(np.pad(grey[1], 5, mode="edge")[:, :, None], taps)[:, :, 0]
    edges = _roberts(soft) >= 2.0 * _EDGE**2  # across a plain slope s, both diagonals of the cross differ by s
    if not edges.any():
        return math.nan
    energies: list[float] = []
    for picture in grey:
        energy = _roberts(picture)
        noise = float(np.median(energy[~edges])) / math.log(2.0) if not edges.all() else 0.0
        energies.append(max(0.0, float(np.mean(energy[edges])) - noise))
    return energies[0] / energies[1] if energies[1] > 0.0 else math.nan


@dataclass(frozen=True)
class ColourDrift:
    """Drift of colour by brightness.

    Attributes:
        edges: (bins + 1,) edges in stops about mid-grey (0.18 scene-linear) of the reference's luminance.
        counts: (bins,) pixels of LR size in each bin.
        drift: (bins, 3) signed relative drift of mean red, green and blue: 0.01 is one per cent too much. NaN where a
            bin is empty.
        outside: Pixels of LR size darker or brighter than all bins.
        percent: Mean of |drift| over the channels, weighted by counts over the bins, in per cent; NaN where all
            bins are empty.
    """

    edges: Float64
    counts: NDArray[np.int64]
    drift: Float64
    outside: int
    percent: float


def colour_drift(output: Float32, reference: Float32, bins: Sequence[float] = STOPS, sigma: float = 2.0) -> ColourDrift:
    """How far mean colour drifts, by luminance of the reference, both pictures brought to LR size and low-passed.

    The reduction is the mean over two by two pixels in scene-linear light; a Gaussian follows. What is left LR showed
    too, and an upscale may not shift it. The Gaussian is not for show: a merely softer picture is brighter where the
    reference is darkest, and darker where it is brightest, so without it (``sigma`` 0) softness reads as drift.
    Rendered pairs differ by their noise; LR itself with every pixel repeated gives a pair's floor.

    Drift is relative to the channel's own mean in the bin, or to a twentieth of the bin's mean luminance where that is
    more: a channel next to nothing in a saturated bin would otherwise make large figures out of none.

    Args:
        output: (height, width, 3), scene-linear, even sides.
        reference: The same shape.
        bins: Edges in stops about mid-grey, ascending; a bin holds its lower edge but not its upper.
        sigma: Of the Gaussian, in pixels of LR size; 0 for none. Cut at three of it; borders are repeated.
    """
    a, b = (_picture(p, "colour_drift") for p in _finite_pair(output, reference, "colour_drift"))
    if a.shape[0] % 2 or a.shape[1] % 2:
        raise ValueError(f"colour_drift needs even sides, got {a.shape[1]} x {a.shape[0]}")
    edges = np.asarray(bins, np.float64)
    if edges.ndim != 1 or edges.size < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0.0).any():
        raise ValueError(f"colour_drift needs two or more ascending edges, got {bins}")
    if not (math.isfinite(sigma) and sigma >= 0.0):
        raise ValueError(f"colour_drift needs a sigma of 0 or more, got {sigma}")
    ours, truth = (_low_passed(p, sigma).reshape(-1, 3) for p in (a, b))
    luminance = truth @ LUMINANCE
    count = edges.size - 1
    place = np.digitize(luminance, MID_GREY * 2.0**edges) - 1
    inside = (place >= 0) & (place < count)
    counts = np.bincount(place[inside], minlength=count)
    drift = np.full((count, 3), np.nan)
    for i in np.flatnonzero(counts):
        here = place == i
        mean = truth[here].mean(axis=0)
        drift[i] = (ours[here].mean(axis=0) - mean) / np.maximum(mean, 0.05 * float(luminance[here].mean()))
    filled = counts > 0
    percent = (
        100.0 * float(np.average(np.abs(drift[filled]).mean(axis=1), weights=counts[filled]))
        if any(filled)
        else (math.nan)
    )
    return ColourDrift(edges, counts.astype(np.int64), drift, int(np.count_nonzero(~inside)), percent)


def _finite_pair(ours: Float32, truth: Float32, metric: str) -> tuple[Float64, Float64]:
    """Both as float64, or ValueError."""
    a, b = np.asarray(ours, np.float64), np.asarray(truth, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{metric} needs two pictures of one shape, got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(f"{metric} has no meaning over NaN or Inf")
    return a, b


def _picture(values: Float64, metric: str) -> Float64:
    """The values, or ValueError where they are no RGB picture of two by two pixels at least."""
    if values.ndim != 3 or values.shape[2] != 3 or min(values.shape[:2]) < 2:
        raise ValueError(f"{metric} needs (height, width, 3) of at least 2 pixels a side, got {values.shape}")
    return values


def _gaussian(sigma: float, radius: int) -> list[float]:
    """2 * radius + 1 weights, summing to 1."""
    weights = [math.exp(-0.5 * (x / sigma) ** 2) if x else 1.0 for x in range(-radius, radius + 1)]
    total = math.fsum(weights)
    return [w / total for w in weights]


def _low_passed(picture: Float64, sigma: float) -> Float64:
    """Reduced to half its size by the box filter, then by a Gaussian of this sigma."""
    small = reduce_whole(picture.astype(np.float32), box(), 2).astype(np.float64)
    radius = math.ceil(3.0 * sigma)
    return _filtered(np.pad(small, ((radius,) * 2, (radius,) * 2, (0, 0)), mode="edge"), _gaussian(sigma, radius))


def _filtered(picture: Float64, taps: list[float]) -> Float64:
    """Separable filter over (height, width, channels), only where it lies whole within the picture."""
    rows, columns = (side - len(taps) + 1 for side in picture.shape[:2])
    tall = sum((tap * picture[i : i + rows] for i, tap in enumerate(taps)), np.zeros(1))
    return sum((tap * tall[:, i : i + columns] for i, tap in enumerate(taps)), np.zeros(1))


def _roberts(grey: Float64) -> Float64:
    """Roberts' cross: sum of the squared differences along both diagonals, (height - 1, width - 1)."""
    return (grey[1:, 1:] - grey[:-1, :-1]) ** 2 + (grey[1:, :-1] - grey[:-1, 1:]) ** 2
