"""Pixel filters: what a renderer or a camera integrates into one pixel, as taps over a finer grid.

Filters are given in pixels of the coarse image. Fine pixels lie symmetrically about the coarse pixel's centre
(for factor 2 at -0.25, +0.25, ... of a coarse pixel), so the pixel areas of both images coincide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class PixelFilter:
    """A separable, symmetric filter.

    Attributes:
        name: For logs.
        radius: Half of its support, in coarse pixels.
        weight: Unnormalised weight at a distance in coarse pixels.
    """

    name: str
    radius: float
    weight: Callable[[float], float]

    def taps(self, factor: int) -> list[float]:
        """Weights over the fine pixels under the support, summing to 1; their number has the parity of ``factor``."""
        beyond = math.ceil(self.radius * factor - factor / 2.0)
        count = factor + 2 * max(0, beyond)
        distances = [((i + 0.5) - count / 2.0) / factor for i in range(count)]
        weights = [self.weight(x) if abs(x) < self.radius else 0.0 for x in distances]
        total = math.fsum(weights)
        return [w / total for w in weights]


def box() -> PixelFilter:
    """The mean over the pixel's own area."""
    return PixelFilter("box", 0.5, lambda x: 1.0)


def blackman_harris(width: float = 1.5) -> PixelFilter:
    """The window Cycles integrates with. Its support reaches ``width`` pixels to each side (default 1.5)."""

    def weight(x: float) -> float:
        phase = 2.0 * math.pi * (x / (2.0 * width) + 0.5)
        return 0.35875 - 0.48829 * math.cos(phase) + 0.14128 * math.cos(2 * phase) - 0.01168 * math.cos(3 * phase)

    return PixelFilter("blackman-harris", width, weight)


def gaussian(sigma: float) -> PixelFilter:
    """A Gaussian of this standard deviation in coarse pixels, cut at three of them (at most 1.9 pixels)."""
    return PixelFilter("gaussian", min(3.0 * sigma, 1.9), lambda x: math.exp(-0.5 * (x / sigma) ** 2))


def mitchell() -> PixelFilter:
    """The cubic of Mitchell and Netravali 1988 with B = C = 1/3."""

    def weight(x: float) -> float:
        x = abs(x)
        if x < 1.0:
            return (7.0 * x**3 - 12.0 * x**2 + 16.0 / 3.0) / 6.0
        return (-7.0 / 3.0 * x**3 + 12.0 * x**2 - 20.0 * x + 32.0 / 3.0) / 6.0 if x < 2.0 else 0.0

    return PixelFilter("mitchell", 2.0, weight)


def reduce(image: Float32, taps: list[float], factor: int) -> Float32:
    """Filter and decimate, without padding.

    Args:
        image: (height, width, channels) float32, scene-linear, with (len(taps) - factor) / 2 pixels of context.
        taps: From :meth:`PixelFilter.taps` for this ``factor``.
        factor: Fine pixels per coarse pixel.

    Returns:
        ((height - len(taps)) // factor + 1, (width - len(taps)) // factor + 1, channels) float32.
    """
    for axis in (0, 1):
        length = (image.shape[axis] - len(taps)) // factor + 1
        total = np.zeros_like(image[:length] if axis == 0 else image[:, :length])
        for i, tap in enumerate(taps):
            if tap != 0.0:
                part = slice(i, i + factor * (length - 1) + 1, factor)
                total += np.float32(tap) * (image[part] if axis == 0 else image[:, part])
        image = total
    return image


def reduce_whole(image: Float32, pixel_filter: PixelFilter, factor: int) -> Float32:
    """Reduce a whole image, its border repeated; sides are cut to multiples of ``factor`` at the bottom and right."""
    height, width = (side // factor * factor for side in image.shape[:2])
    taps = pixel_filter.taps(factor)
    context = (len(taps) - factor) // 2
    padded = np.pad(image[:height, :width], ((context, context), (context, context), (0, 0)), mode="edge")
    return reduce(padded, taps, factor)
