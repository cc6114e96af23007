"""How scene-linear light is shown to a person: one exposure for all pictures that are compared, one soft curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from render.comparable import LUMA

Float32 = NDArray[np.float32]

GREY, WHITE = 0.2, 16.0  # the median is exposed to the first; the second is the light that the curve shows as white


def exposure_of(hr: Float32) -> float:
    """What brings the median of a picture's lit pixels to mid-grey.

    Args:
        hr: (height, width, 3), scene-linear, finite.
    """
    light = hr @ LUMA
    lit = light[light > 1e-4]
    return GREY / max(float(np.median(lit)), 1e-3) if lit.size else 1.0


def displayed(light: Float32) -> Float32:
    """Reinhard's curve with a white point (2002), then a display's gamma: highlights roll off instead of clipping.

    Args:
        light: Scene-linear, exposed; negatives count as none.

    Returns:
        The same shape, 0 to 1.
    """
    light = np.maximum(light, 0.0)
    toned = np.clip(light * (1.0 + light / WHITE**2) / (1.0 + light), 0.0, 1.0)
    return np.asarray(toned ** (1.0 / 2.2), np.float32)


def codes(picture: Float32) -> NDArray[np.uint8]:
    """Display values 0 to 1 as 8 bits."""
    return np.asarray(np.clip(picture, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
