"""The fidelity term ("PSNR loss"): how far each pixel is from the truth.

By default in the compressed range, where equal errors look about equally large; in linear light one firefly would
outweigh the rest of the picture. Linear light is there as an ablation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from model.losses.precision import alike, in_full_precision
from model.losses.transfer import to_linear

Kind = Literal["l1", "l2", "charbonnier"]
Domain = Literal["compressed", "linear"]
EPSILON = 1e-3  # of Charbonnier: below this an error counts by its square


@in_full_precision
def l1(ours: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of pictures (batch, channels, height, width)."""
    alike(ours, truth)
    return (ours - truth).abs().mean()


@in_full_precision
def l2(ours: Tensor, truth: Tensor) -> Tensor:
    """Mean squared difference."""
    alike(ours, truth)
    return (ours - truth).square().mean()


@in_full_precision
def charbonnier(ours: Tensor, truth: Tensor) -> Tensor:
    """Mean of sqrt(d**2 + EPSILON**2) - EPSILON: L1 with a round bottom, zero for equal pictures."""
    alike(ours, truth)
    difference = ours - truth
    return (torch.hypot(difference, torch.full_like(difference, EPSILON)) - EPSILON).mean()


_KINDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1, "l2": l2, "charbonnier": charbonnier}


class Fidelity:
    """The term as configured.

    Args:
        kind: Norm of the difference.
        domain: Where it is taken.
    """

    def __init__(self, kind: Kind = "l1", domain: Domain = "compressed") -> None:
        if kind not in _KINDS or domain not in ("compressed", "linear"):
            raise ValueError(f"fidelity {kind!r} in {domain!r}: choose from {', '.join(_KINDS)}; compressed or linear")
        self.norm = _KINDS[kind]
        self.linear = domain == "linear"

    def __call__(self, ours: Tensor, truth: Tensor) -> Tensor:
        """Pictures (batch, channels, height, width) in the compressed range to one number, float32."""
        if self.linear:
            return _in_linear(self.norm, ours, truth)
        return self.norm(ours, truth)


def _in_linear(norm: Callable[[Tensor, Tensor], Tensor], ours: Tensor, truth: Tensor) -> Tensor:
    with torch.autocast(ours.device.type, enabled=False):
        return norm(to_linear(ours), to_linear(truth))
