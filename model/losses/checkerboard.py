"""The checkerboard term: the four pixels that the pixel shuffle makes of one must be as bright as they truly are.

Each of them comes from a channel of its own, so nothing but the data holds them together. Where the opponent rewards
texture, and to a lesser degree after any training of few steps, one of the four comes out brighter than the others on
areas of grain: a pattern of period 2, faint and everywhere (Odena, Dumoulin and Olah, *Deconvolution and Checkerboard
Artifacts*, Distill 2016). Fidelity hardly sees it, since it is far below the error of single pixels; in the mean over
a window it stands out. The term is the mean distance between both pictures' windows in how each of the four differs
from their mean. Texture of that period that the truth has costs nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.losses.precision import full

WINDOW = 4  # LR pixels a side; wider ones do not see the dots that an opponent asks for beside edges


def checkerboard(ours: Tensor, truth: Tensor, scale: int = 2) -> Tensor:
    """How unevenly the pixels within each LR pixel come out, on average over windows.

    Args:
        ours: (batch, channels, height, width), in the compressed range; sides that ``scale`` divides.
        truth: Likewise, the same shape.
        scale: HR pixels per LR pixel.

    Returns:
        One number in the compressed range, float32; 0 for the truth.

    Raises:
        ValueError: Other shapes.
    """
    if ours.shape != truth.shape or ours.dim() != 4 or any(side < scale or side % scale for side in ours.shape[-2:]):
        raise ValueError(
            f"checkerboard needs two pictures of one shape and even sides, got {ours.shape}, {truth.shape}"
        )
    with torch.autocast(ours.device.type, enabled=False):
        phases = functional.pixel_unshuffle(full(ours) - full(truth), scale).unflatten(1, (-1, scale * scale))
        uneven = (phases - phases.mean(2, keepdim=True)).flatten(1, 2)
        sides = [min(WINDOW, length) for length in uneven.shape[-2:]]
        return functional.avg_pool2d(uneven, sides, [max(1, side // 2) for side in sides]).abs().mean()
