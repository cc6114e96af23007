"""Resampling by fixed kernels: the interpolation under the network's correction, and the data channels' filters.

Everything here works on float32 arrays of shape (height, width, channels) that already carry ``margin`` pixels of
context on every side, and returns the doubled interior: (2 * (height - 2 * margin), 2 * (width - 2 * margin),
channels). A doubled pixel's value depends only on input pixels within ``margin``, by the same arithmetic wherever
the pixel lies, so a tiled result equals the whole one bit for bit.

Arrays that are made here lie plane by plane in memory (see :func:`empty`): neighbours in a row are then neighbours in
memory, which is what interpolation, a network's tensors and a writer of channels all want.

Output pixel 2i is centred a quarter pixel before input pixel i's centre, 2i + 1 a quarter pixel after: the pixel
areas coincide, which is what a render at twice the resolution has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepupscale.trace import traced

Float32 = NDArray[np.float32]


def _catmull_rom(x: float) -> float:
    """Keys' cubic convolution with a = -0.5 (Keys 1981); support 2."""
    x = abs(x)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    if x < 2.0:
        return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return 0.0


def _lanczos3(x: float) -> float:
    """sinc windowed by sinc, three lobes (Duchon 1979); support 3."""
    if x == 0.0:
        return 1.0
    if abs(x) >= 3.0:
        return 0.0
    p = math.pi * x
    return 3.0 * math.sin(p) * math.sin(p / 3.0) / (p * p)


def _triangle(x: float) -> float:
    """Linear interpolation; support 1. Never leaves the range of its inputs."""
    return max(0.0, 1.0 - abs(x))


_KERNELS: dict[str, tuple[Callable[[float], float], int]] = {
    "cubic": (_catmull_rom, 2),
    "lanczos3": (_lanczos3, 3),
    "linear": (_triangle, 1),
}


def kernel_radius(kernel: str) -> int:
    """Input pixels of context that a doubled pixel needs on each side under this kernel."""
    return _KERNELS[kernel][1]


def phase_weights(kernel: str) -> tuple[list[float], list[float]]:
    """Weights of the even and the odd output pixel, each over offsets -radius..+radius; each sums to 1."""
    function, radius = _KERNELS[kernel]
    phases: list[list[float]] = []
    for centre in (-0.25, 0.25):
        weights = [function(offset - centre) for offset in range(-radius, radius + 1)]
        total = math.fsum(weights)
        phases.append([weight / total for weight in weights])
    return phases[0], phases[1]


def empty(height: int, width: int, channels: int, dtype: Any = np.float32) -> NDArray[Any]:
    """An array (height, width, channels), values undefined, that lies plane by plane in memory."""
    return np.empty((channels, height, width), dtype).transpose(1, 2, 0)


def by_planes(array: Float32) -> Float32:
    """The array (height, width, channels) itself where neighbours in a row lie side by side, else a copy."""
    if array.strides[1] == array.itemsize:
        return array
    height, width, channels = array.shape
    out = empty(height, width, channels)
    out[...] = array
    return out


def double(plane: Float32, margin: int, kernel: str = "cubic") -> Float32:
    """Interpolate to twice the size by a separable kernel.

    Args:
        plane: (height, width, channels) float32 with ``margin`` pixels of context on every side.
        margin: at least ``kernel_radius(kernel)``.
        kernel: ``cubic`` (the fixed upsample under the network's correction), ``lanczos3`` or ``linear``.

    Returns:
        (2 * (height - 2 * margin), 2 * (width - 2 * margin), channels) float32.
    """
    height, width, channels = plane.shape
    out = empty(2 * (height - 2 * margin), 2 * (width - 2 * margin), channels)
    for row, column, phase in double_by_phase(plane, margin, kernel):
        out[row::2, column::2] = phase
    return out


def double_by_phase(plane: Float32, margin: int, kernel: str = "cubic") -> Iterator[tuple[int, int, Float32]]:
    """:func:`double`, one of the four pixels of each 2 x 2 at a time: contiguous, and four times as small.

    Yields:
        Row and column of the pixel, 0 or 1, and (height - 2 * margin, width - 2 * margin, channels) float32, which is
        the caller's to change.
    """
    radius = kernel_radius(kernel)
    if margin < radius:
        raise ValueError(f"{kernel} needs a margin of {radius}, got {margin}")
    rows, columns = plane.shape[0] - 2 * margin, plane.shape[1] - 2 * margin
    near = by_planes(plane[:, margin - radius : margin + columns + radius])
    phases = phase_weights(kernel)
    for row, down in enumerate(phases):
        tall = _weighted_sum([near[margin + o : margin + o + rows] for o in range(-radius, radius + 1)], down)
        for column, across in enumerate(phases):
            yield row, column, _weighted_sum([tall[:, o : o + columns] for o in range(2 * radius + 1)], across)


def _weighted_sum(parts: list[Float32], weights: list[float]) -> Float32:
    """Sum of parts * weights, in a fixed order; parts of no weight are left out."""
    pairs = [(part, np.float32(weight)) for part, weight in zip(parts, weights, strict=True) if weight != 0.0]
    total = empty(*parts[0].shape)
    np.multiply(*pairs[0], out=total)
    product = np.empty_like(total)
    for part, weight in pairs[1:]:
        total += np.multiply(part, weight, out=product)
    return total


def pad(plane: Float32, top: int, bottom: int, left: int, right: int) -> Float32:
    """Extend a (height, width, channels) plane by repeating its border pixels."""
    return np.pad(plane, ((top, bottom), (left, right), (0, 0)), mode="edge")


def double_nearest(plane: NDArray[Any], margin: int) -> NDArray[Any]:
    """Every pixel four times. Works on any dtype; bits are kept."""
    inner = plane[margin : plane.shape[0] - margin, margin : plane.shape[1] - margin]
    out = empty(2 * inner.shape[0], 2 * inner.shape[1], inner.shape[2], plane.dtype)
    out[0::2, 0::2] = inner
    out[0::2, 1::2] = inner
    out[1::2] = out[0::2]
    return out


@traced("interpolate")
def double_limited(plane: Float32, margin: int) -> Float32:
    """Piecewise linear reconstruction with the minmod slope limiter (Roe 1986), axis after axis.

    A sloped plane is continued exactly; a step stays a step, with no value that was not there and no overshoot, because
    the smaller of the two one-sided slopes is taken, and none where they disagree. Where a neighbour is not finite the
    slope is none, so an infinite or NaN pixel stays what it is and touches no other.

    Args:
        plane: (height, width, channels) float32 with ``margin`` >= 1 pixels of context on every side.

    Returns:
        (2 * (height - 2 * margin), 2 * (width - 2 * margin), channels) float32.
    """
    inner = plane[margin - 1 : plane.shape[0] - margin + 1, margin - 1 : plane.shape[1] - margin + 1]
    tall = _double_axis_limited(inner)
    return np.ascontiguousarray(_double_axis_limited(tall.transpose(1, 0, 2)).transpose(1, 0, 2))


def _double_axis_limited(plane: Float32) -> Float32:
    """One axis (the first) of :func:`double_limited`; one pixel of context before and after."""
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.diff(plane, axis=0)
        before, after = steps[:-1], steps[1:]
        agree = np.isfinite(before) & np.isfinite(after) & (np.signbit(before) == np.signbit(after))
        slope = np.where(agree, np.where(np.abs(before) < np.abs(after), before, after), np.float32(0.0)) * np.float32(
            0.25
        )
        centre = plane[1:-1]
        out = np.empty((2 * centre.shape[0], *plane.shape[1:]), np.float32)
        out[0::2] = np.where(slope == 0.0, centre, centre - slope)
        out[1::2] = np.where(slope == 0.0, centre, centre + slope)
    return out


@traced("interpolate")
def double_bounded(plane: Float32, margin: int, kernel: str = "cubic") -> Float32:
    """:func:`double`, held within the smallest and largest of the nine input pixels around: no ringing."""
    low, high = local_range(plane, margin, 1)
    out = empty(2 * low.shape[0], 2 * low.shape[1], low.shape[2])
    for row, column, phase in double_by_phase(plane, margin, kernel):
        np.clip(phase, low, high, out=out[row::2, column::2])
    return out


def local_range(plane: Float32, margin: int, radius: int) -> tuple[Float32, Float32]:
    """Smallest and largest value within ``radius`` pixels (a square) of each interior pixel, per channel.

    Args:
        plane: (height, width, channels) float32, finite, with ``margin`` >= ``radius`` pixels of context.

    Returns:
        Two arrays (height - 2 * margin, width - 2 * margin, channels).
    """
    inner = plane[
        margin - radius : plane.shape[0] - margin + radius, margin - radius : plane.shape[1] - margin + radius
    ]
    return _extreme(inner, radius, np.minimum), _extreme(inner, radius, np.maximum)


def local_curvature(plane: Float32, margin: int, radius: int) -> Float32:
    """Largest second difference, along x or y, within ``radius`` pixels (a square) of each interior pixel, per channel.

    None on any sloped plane, about a step's height at a step, twice a line's height at a line.

    Args:
        plane: (height, width, channels) float32, finite, with ``margin`` > ``radius`` pixels of context.

    Returns:
        (height - 2 * margin, width - 2 * margin, channels), not negative.
    """
    reach = margin - radius - 1
    inner = plane[reach : plane.shape[0] - reach, reach : plane.shape[1] - reach]
    twice = inner[1:-1, 1:-1] * np.float32(2.0)
    across = inner[1:-1, 2:] + inner[1:-1, :-2]
    across -= twice
    np.abs(across, out=across)
    down = inner[2:, 1:-1] + inner[:-2, 1:-1]
    down -= twice
    np.abs(down, out=down)
    return _extreme(np.maximum(down, across, out=down), radius, np.maximum)


def _extreme(plane: Float32, radius: int, choose: np.ufunc) -> Float32:
    """Minimum or maximum over a square; loses ``radius`` pixels on every side."""
    return _extreme_down(_extreme_down(plane, radius, choose).transpose(1, 0, 2), radius, choose).transpose(1, 0, 2)


def _extreme_down(plane: Float32, radius: int, choose: np.ufunc) -> Float32:
    """One axis (the first) of :func:`_extreme`, by windows of 2, 4 and more rows put together."""
    size, held, span = 2 * radius + 1, plane, 1
    while span < size:
        step = min(span, size - span)
        held = choose(held[:-step], held[step:])
        span += step
    return held


def renormalise(vectors: Float32, lengths: Float32) -> Float32:
    """Give vectors (height, width, 3) the lengths (height, width, 1); those too short to have a direction stay."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        length = np.sqrt(np.sum(vectors * vectors, axis=2, keepdims=True))
        return np.where(np.isfinite(length) & (length > 1e-6), vectors * (lengths / length), vectors)


LARGEST_HALF = np.float32(65504.0)


def fill_nonfinite(plane: Float32) -> Float32:
    """Replace what is not finite, so that it cannot spread.

    Inf becomes +-65504; NaN the mean of the finite among the 25 pixels around, or 0.

    Args:
        plane: (height, width, channels) float32; the outermost two pixels serve as context only.

    Returns:
        (height - 4, width - 4, channels), finite.
    """
    inner = plane[2:-2, 2:-2]
    if np.isfinite(plane).all():
        return inner
    known = np.where(np.isposinf(plane), LARGEST_HALF, np.where(np.isneginf(plane), -LARGEST_HALF, plane))
    isnan = np.isnan(known)
    total = _box_sum(np.where(isnan, np.float32(0.0), known).astype(np.float64))
    finite = _box_sum((~isnan).astype(np.float64))
    mean = np.divide(total, finite, out=np.zeros_like(total), where=finite > 0).astype(np.float32)
    return np.where(isnan[2:-2, 2:-2], mean, known[2:-2, 2:-2])


def _box_sum(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the 5 x 5 pixels around each; loses two pixels on every side."""
    rows, columns = plane.shape[0] - 4, plane.shape[1] - 4
    tall = sum((plane[o : o + rows] for o in range(1, 5)), plane[0:rows])
    return sum((tall[:, o : o + columns] for o in range(1, 5)), tall[:, 0:columns])
