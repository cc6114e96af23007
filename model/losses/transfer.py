"""From the compressed range to linear light inside a loss: the engine's own curve, bounded so that gradients stay."""

from __future__ import annotations

from torch import Tensor

from deepupscale.range_compression import RangeCompression

CURVE = RangeCompression()
LARGEST = 2.0  # compressed; light of 4e8. What an untrained network puts beyond has no gradient here: fidelity pulls it


def to_linear(compressed: Tensor) -> Tensor:
    """Scene-linear light, float32, at most 4e8 either way."""
    return CURVE.expand(compressed.clamp(-LARGEST, LARGEST))


def to_compressed(linear: Tensor) -> Tensor:
    """The compressed range, float32."""
    return CURVE.compress(linear)


def to_display(compressed: Tensor) -> Tensor:
    """A picture for networks that know photographs: tone-mapped, sRGB-encoded, 0 to 1, float32.

    Negatives are black; light y becomes y / (1 + y) (Reinhard et al., 2002, equation 3) so that no highlight clips,
    then sRGB (IEC 61966-2-1), whose slope is finite at black.
    """
    light = to_linear(compressed).clamp_min(0.0)
    mapped = light / (1.0 + light)
    curved = 1.055 * mapped.clamp_min(0.0031308) ** (1.0 / 2.4) - 0.055
    return curved.where(mapped > 0.0031308, 12.92 * mapped)
