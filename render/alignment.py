"""Alignment of two pictures of one size: by how much one is shifted, and whether their edges agree.

Both are (height, width) float64, smoothed. Local figures are of blocks of about 32 pixels that overlap by half: large
enough that noise drowns, small enough that one moved object stands out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

CELL = 16  # pixels; a block is two by two cells
TEXTURE = 0.004  # per pixel: root-mean-square gradient of a block from which a shift can be seen
STRONG_TEXTURE = 0.007  # likewise, from which noise no longer decides how its edges correlate
# Smoothing, denoising and the blotches of few samples leave about one independent value in so many pixels.
CORRELATED = 50.0
CERTAIN = 0.12  # pixels: largest standard error with which a shift is believed


def block_sums(values: Float64) -> Float64:
    """Sums over all blocks of (height, width) values: one row and column less than there are cells."""
    for axis in (0, 1):
        cells = max(2, round(values.shape[axis] / CELL))
        starts = np.linspace(0, values.shape[axis], cells, endpoint=False).astype(int)
        values = np.add.reduceat(values, starts, axis=axis)
        values = values[:-1] + values[1:] if axis == 0 else values[:, :-1] + values[:, 1:]
    return values


def block_means(values: Float64) -> Float64:
    """Means over all blocks of (height, width) values."""
    return block_sums(values) / block_sums(np.ones_like(values))


def _gradient(picture: Float64) -> tuple[Float64, Float64]:
    down, right = np.gradient(picture)
    return np.asarray(down, np.float64), np.asarray(right, np.float64)


@dataclass(frozen=True)
class _Equations:
    """Least squares on gradients (Lucas and Kanade 1981) in every block: means of products, of mean zero.

    Taking the means off fits a constant offset in each block too, so that light alone moves nothing.

    Attributes:
        count: Pixels in the block.
        xx, xy, yy: Of the gradients.
        xt, yt: Of the gradients and the step from the first picture to the second.
        tt: Of the step.
    """

    count: Float64
    xx: Float64
    xy: Float64
    yy: Float64
    xt: Float64
    yt: Float64
    tt: Float64

    @classmethod
    def of(cls, first: Float64, second: Float64) -> _Equations:
        y, x = _gradient(0.5 * (first + second))  # of both, so that neither's noise shortens the shift
        t = second - first
        mx, my, mt = (block_means(values) for values in (x, y, t))
        return cls(
            count=block_sums(np.ones_like(t)),
            xx=block_means(x * x) - mx * mx,
            xy=block_means(x * y) - mx * my,
            yy=block_means(y * y) - my * my,
            xt=block_means(x * t) - mx * mt,
            yt=block_means(y * t) - my * mt,
            tt=block_means(t * t) - mt * mt,
        )


def shifts(first: Float64, second: Float64) -> tuple[tuple[float, float], float, float]:
    """How far the second picture's content lies from the first's.

    Returns:
        The global shift right and down, in pixels, 0 where nothing tells; the largest that a block shows beyond twice
        its standard error; the share of blocks in which one can be measured.
    """
    equations = _Equations.of(first, second)
    return _global_shift(equations), *_worst_shift(equations)


def _global_shift(e: _Equations) -> tuple[float, float]:
    """A block weighs by what the shift leaves unexplained in it, so that neither noise nor a moved object leads."""
    shift = np.zeros(2)
    for _ in range(3):
        x, y = shift
        left = e.tt + 2.0 * (x * e.xt + y * e.yt) + x * x * e.xx + 2.0 * x * y * e.xy + y * y * e.yy
        weight = e.count / (CORRELATED * np.maximum(left, 1e-6))
        xx, xy, yy, xt, yt = (float((weight * term).sum()) for term in (e.xx, e.xy, e.yy, e.xt, e.yt))
        certainty, axes = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))  # the inverse of the squared standard error
        along = -(axes.T @ np.array([xt, yt])) / np.maximum(certainty, 1e-12)
        shift = axes @ np.where(certainty > CERTAIN**-2, along, 0.0)  # along parallel edges there is nothing to see
    return float(shift[0]), float(shift[1])


def _worst_shift(e: _Equations) -> tuple[float, float]:
    """Every block by itself, along its strongest gradient and across it."""
    half, spread = 0.5 * (e.xx + e.yy), np.hypot(0.5 * (e.xx - e.yy), e.xy)
    angle = 0.5 * np.arctan2(2.0 * e.xy, e.xx - e.yy)
    axes = ((half + spread, np.cos(angle), np.sin(angle)), (half - spread, -np.sin(angle), np.cos(angle)))
    moves = [(np.maximum(energy, 1e-12), x * e.xt + y * e.yt) for energy, x, y in axes]
    left = np.maximum(e.tt - sum(product**2 / energy for energy, product in moves), 1e-12)
    worst, textured = 0.0, np.zeros(e.count.shape, bool)
    for energy, product in moves:
        deviation = np.sqrt(left * CORRELATED / (e.count * energy))
        told = (energy > TEXTURE**2) & (deviation < CERTAIN)
        textured |= told
        worst = max(worst, float(np.where(told, np.abs(product) / energy - 2.0 * deviation, 0.0).max()))
    return worst, float(textured.mean())


def edges(first: Float64, second: Float64) -> tuple[float, float]:
    """Correlation of the gradients, over all blocks with texture and in the worst with strong texture; 1 without."""
    (ay, ax), (by, bx) = _gradient(first), _gradient(second)
    both, a, b = (block_means(product) for product in (ax * bx + ay * by, ax * ax + ay * ay, bx * bx + by * by))
    energy = np.sqrt(a * b)
    seen, strong = energy > TEXTURE**2, energy > STRONG_TEXTURE**2
    whole = both[seen].sum() / np.sqrt(a[seen].sum() * b[seen].sum()) if seen.any() else 1.0
    worst = (both[strong] / energy[strong]).min() if strong.any() else 1.0
    return float(whole), float(worst)
