"""A pair made comparable: both pictures of LR's size, without what may differ between good renders.

All pictures are (height, width, channels) float32; scene-linear unless said otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepupscale.range_compression import RangeCompression
from deepupscale.resample import pad
from render.alignment import Float64

Float32 = NDArray[np.float32]

SMALLEST = 16  # LR pixels a side
LUMA = np.array((0.2126, 0.7152, 0.0722), np.float32)  # Rec. 709
EMPTY = 1e-4  # scene-linear: film without anything on it


@dataclass(frozen=True)
class Comparable:
    """A pair brought to one size: both pictures (height, width, 3), scene-linear, finite and without fireflies.

    Attributes:
        lr: The 1x render.
        reduced: The 2x render, reduced by area.
        foot: Light under which differences count less.
    """

    lr: Float32
    reduced: Float32
    foot: float

    @classmethod
    def of(cls, lr: Float32, hr: Float32) -> Comparable:
        """From both renders; ValueError where their shapes are no pair."""
        if lr.ndim != 3 or lr.shape[2] != 3 or hr.shape != (2 * lr.shape[0], 2 * lr.shape[1], 3):
            raise ValueError(f"no pair: LR has the shape {lr.shape}, HR {hr.shape}")
        if min(lr.shape[:2]) < SMALLEST:
            raise ValueError(f"LR is {lr.shape[1]} x {lr.shape[0]} pixels, at least {SMALLEST} a side are needed")
        lr, reduced = finite(lr), halve(finite(hr))
        foot = _foot(lr, reduced)
        return cls(_without_spikes(lr, foot), _without_spikes(reduced, foot), foot)

    def difference(self) -> Float32:
        """HR minus LR, low-passed."""
        lr, hr = (gaussian(tone(gaussian(p, 1.0), self.foot), 2.0) for p in (self.lr, self.reduced))
        return hr - lr

    def smooth(self) -> tuple[Float64, Float64]:
        """Both luminances, (height, width), fit for gradients."""
        lr, hr = (
            gaussian(tone(gaussian((p @ LUMA)[:, :, None], 0.7), self.foot), 1.0) for p in (self.lr, self.reduced)
        )
        return lr[:, :, 0].astype(np.float64), hr[:, :, 0].astype(np.float64)


def finite(picture: Float32) -> Float32:
    """NaN becomes 0, and all is held within half floats' range."""
    return np.nan_to_num(np.clip(picture, -65504.0, 65504.0)).astype(np.float32)


def halve(picture: Float32) -> Float32:
    """Means of two by two pixels; an odd last row and column are left out."""
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    tall = picture[0:height:2] + picture[1:height:2]
    return np.asarray((tall[:, 0:width:2] + tall[:, 1:width:2]) * 0.25, np.float32)


def _foot(lr: Float32, reduced: Float32) -> float:
    """A fifth of the median of all that is lit, 0.002 to 0.05."""
    light = np.concatenate([(picture @ LUMA).ravel() for picture in (lr, reduced)])
    lit = light[light > EMPTY]
    return float(np.clip(0.2 * np.median(lit), 0.002, 0.05)) if lit.size else 0.05


def tone(picture: Float32, foot: float) -> Float32:
    """The compressed range with its foot lifted from 0.0002 to ``foot``: the same slope in the light above it.

    The network's own curve is so steep near black that the noise of few samples there outweighs a change in the light.
    """
    size = np.log1p(np.abs(picture) / np.float32(foot)) * np.float32(RangeCompression().gain)
    return np.asarray(np.copysign(size, picture), np.float32)


def _without_spikes(picture: Float32, foot: float) -> Float32:
    """No value above six times the second largest of its eight neighbours': a firefly is one pixel, sometimes two.

    Six times, because a tighter bound would cut the tops of ordinary noise, more of them in the noisier render.
    """
    around = pad(picture, 1, 1, 1, 1)
    height, width = picture.shape[:2]
    largest, second = np.zeros_like(picture), np.zeros_like(picture)
    for at in (0, 1, 2, 3, 5, 6, 7, 8):
        y, x = divmod(at, 3)
        value = around[y : y + height, x : x + width]
        np.maximum(second, np.minimum(largest, value), out=second)
        np.maximum(largest, value, out=largest)
    return np.minimum(picture, np.float32(6.0) * second + np.float32(foot))


def gaussian(picture: Float32, sigma: float) -> Float32:
    """Blurred by a Gaussian of this many pixels, its border repeated."""
    radius = math.ceil(3.0 * sigma)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    height, width = picture.shape[:2]
    around = pad(picture, radius, radius, radius, radius)
    tall = np.zeros_like(around[:height])
    for at, tap in enumerate(taps):
        tall += tap * around[at : at + height]
    out = np.zeros_like(picture)
    for at, tap in enumerate(taps):
        out += tap * tall[:, at : at + width]
    return out
