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
from numpy.typing import NDArray

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
        if lib is np:
            return self._compress_array(y)
        size = lib.abs(y)
        log = lib.log1p(size * self.mu)
        log = lib.where(size > _HUGE, lib.log(size) + math.log(self.mu), log)
        return lib.copysign(log * self.gain, y)

    def expand(self, compressed: Any, out: NDArray[np.float32] | None = None) -> Any:
        """Compressed values back to scene-linear light: the exact inverse of :meth:`compress`.

        Args:
            compressed: numpy array or torch tensor, any shape, any real values.
            out: Where a numpy result goes; may be the input itself.

        Returns:
            A new float32 array of the same kind and shape; Inf where the light exceeds float32.
        """
        lib, t = _library_and_float32(compressed)
        if lib is np:
            return self._expand_array(t, out)
        log = lib.abs(t) * (1.0 / self.gain)
        size = lib.where(log > self._most, lib.exp(log - math.log(self.mu)), lib.expm1(log) * (1.0 / self.mu))
        return lib.copysign(size, t)

    @property
    def _most(self) -> float:
        """The logarithm that ``_HUGE`` light has."""
        return math.log1p(self.mu * _HUGE)

    def _compress_array(self, y: NDArray[np.float32]) -> NDArray[np.float32]:
        """:meth:`compress` in one buffer: fresh memory costs more than the logarithm."""
        log = np.abs(y, out=np.empty_like(y))
        huge = log > _HUGE if _above(log, _HUGE) else None  # mu * y would exceed float32; 1 + mu * y is mu * y there
        with np.errstate(over="ignore", divide="ignore"):
            far = None if huge is None else np.log(log[huge]) + np.float32(math.log(self.mu))
            log *= np.float32(self.mu)
            np.log1p(log, out=log)
        if huge is not None:
            log[huge] = far
        log *= np.float32(self.gain)
        return np.copysign(log, y, out=log)[()]

    def _expand_array(self, t: NDArray[np.float32], out: NDArray[np.float32] | None) -> NDArray[np.float32]:
        size = np.abs(t, out=np.empty_like(t))
        size *= np.float32(1.0 / self.gain)
        huge = size > self._most if _above(size, self._most) else None
        with np.errstate(over="ignore"):
            far = None if huge is None else np.exp(size[huge] - np.float32(math.log(self.mu)))
            np.expm1(size, out=size)
            size *= np.float32(1.0 / self.mu)
        if huge is not None:
            size[huge] = far
        return np.copysign(size, t, out=size if out is None else out)[()]


def _above(values: NDArray[np.float32], limit: float) -> bool:
    """Whether any value exceeds the limit; True also where one is NaN."""
    return values.size > 0 and not values.max() <= limit


def _library_and_float32(values: Any) -> tuple[Any, Any]:
    """The module whose functions fit these values (numpy, or torch when it made them), and the values as float32."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        return torch, values.float()
    return np, np.asarray(values, dtype=np.float32)
