"""Classical upscalers that the network is measured against.

Each takes a picture (height, width, 3), float32, scene-linear and finite, and returns (2 height, 2 width, 3), float32,
scene-linear, its pixel areas those of a render at twice the size. Negatives and light above 1 pass as they are.
A picture of another shape, or one that holds NaN or Inf, is a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from model.baselines.interpolation import bicubic, bicubic_compressed, lanczos3, lanczos3_compressed, nuke_lanczos6
from model.baselines.total_variation import tviscale

__all__ = [
    "BASELINES",
    "bicubic",
    "bicubic_compressed",
    "lanczos3",
    "lanczos3_compressed",
    "nuke_lanczos6",
    "tviscale",
]

Float32 = NDArray[np.float32]

BASELINES: Mapping[str, Callable[[Float32], Float32]] = MappingProxyType(
    {
        "bicubic": bicubic,
        "bicubic-compressed": bicubic_compressed,
        "lanczos3": lanczos3,
        "lanczos3-compressed": lanczos3_compressed,
        "nuke-lanczos6": nuke_lanczos6,
        "tviscale": tviscale,
    }
)
