"""A plate of any size that shows what an export gets wrong."""

from __future__ import annotations

import numpy as np

from deepupscale.resample import Float32


def made_plate(height: int, width: int) -> Float32:
    """Scene-linear light with grain, edges, lights of several hundred and negatives, (height, width, 3)."""
    rng = np.random.default_rng([height, width])
    y, x = np.mgrid[0:height, 0:width]
    light = np.exp(np.sin(x / 3.0) + np.cos(y / 5.0) - 2.0)[..., None] * rng.uniform(0.9, 1.1, (height, width, 3))
    light[(x + 2 * y) % 23 < 7] *= 0.05
    light[rng.random((height, width)) < 0.02] = [900.0, 400.0, 60.0]
    light[rng.random((height, width)) < 0.05] -= 0.2
    return light.astype(np.float32)
