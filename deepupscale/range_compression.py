"""Range compression: the curve that carries scene-linear light into the network's range and back.

    T(y) = k * log(1 + mu * y) / log(1 + mu)

with k = 0.6 and mu = 5000 (*Deep Learned Super Resolution for Feature Film Production*, SIGGRAPH 2020),
extended as an odd function, T(-y) = -T(y), because plates hold negatives (filter lobes, gamut conversions)
and the bare curve is undefined below -1/mu. Landmarks: T(0.18) = 0.479, T(1) = 0.6, T(65504) = 1.381.

One definition serves numpy arrays and torch tensors: the functions speak only to the methods and operators
both kinds have, so the engine needs no torch and training sees the engine's very curve.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

_HUGE = 1e20  # light beyond which 1 + mu * y cannot be told from mu * y, far below where it exceeds float32


@dataclass(frozen=True)
class RangeCompression:
    """The curve with its two constants.

    Attributes:
        k: Where scene-linear 1.0 lands in the compressed range; above 0.
        mu: Strength of the compression; above 0. The curve is linear for y far below 1/mu.
    """

    k: float = 0.6
    mu: float = 5000.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.k) and self.k > 0.0 and math.isfinite(self.mu) and self.mu > 0.0):
            raise ValueError(f"range compression needs finite k > 0 and mu > 0, got k={self.k}, mu={self.mu}")

    @property
    def gain(self) -> float:
        """k / log(1 + mu): the factor on the logarithm."""
        return self.k / math.log1p(self.mu)

    def compress(self, linear: Any) -> Any:
        """Scene-linear values to the compressed range.

        Args:
            linear: numpy array or torch tensor, any shape, any real values.

        Returns:
            A new float32 array of the same kind and shape. NaN stays NaN, +-Inf stays +-Inf.
        """
        lib, y = _library_and_float32(linear)
        size = lib.abs(y)
        with np.errstate(over="ignore", divide="ignore"):
            log = lib.log1p(size * self.mu)
            if bool((size > _HUGE).any()):  # mu * y would exceed float32; 1 + mu * y is mu * y there
                log = lib.where(size > _HUGE, lib.log(size) + math.log(self.mu), log)
        return lib.copysign(log * self.gain, y)

    def expand(self, compressed: Any) -> Any:
        """Compressed values back to scene-linear light: the exact inverse of :meth:`compress`.

        Args:
            compressed: numpy array or torch tensor, any shape, any real values.

        Returns:
            A new float32 array of the same kind and shape; Inf where the light exceeds float32.
        """
        lib, t = _library_and_float32(compressed)
        log = lib.abs(t) * (1.0 / self.gain)
        with np.errstate(over="ignore"):
            size = lib.expm1(log) * (1.0 / self.mu)
            most = math.log1p(self.mu * _HUGE)
            if bool((log > most).any()):
                size = lib.where(log > most, lib.exp(log - math.log(self.mu)), size)
        return lib.copysign(size, t)


def _library_and_float32(values: Any) -> tuple[Any, Any]:
    """The module whose functions fit these values (numpy, or torch when it made them), and the values as float32."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        return torch, values.float()
    return np, np.asarray(values, dtype=np.float32)
