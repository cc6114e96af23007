"""Multi-scale structural similarity as a loss (Wang, Simoncelli and Bovik 2003), in the compressed range.

The peak is taken as 1.0, the compressed value of light 295; brighter light is not clipped. Optional: it is no term of
the 2020 paper. Sizes that cannot bear five scales use fewer, with the published weights made to sum to one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.losses.precision import alike, in_full_precision

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = 0.01**2, 0.03**2
_SIDE, _SIGMA = 11, 1.5
_LEAST = 1e-4  # a negative or vanishing similarity has no real power and an endless slope


@in_full_precision
def ms_ssim(ours: Tensor, truth: Tensor) -> Tensor:
    """One minus the similarity of pictures (batch, channels, height, width) of at least 11 pixels a side: 0 to 1."""
    alike(ours, truth)
    side = min(ours.shape[-2:])
    if side < _SIDE:
        raise ValueError(f"MS-SSIM needs at least {_SIDE} pixels a side, not {tuple(ours.shape)}")
    scales = min(len(_WEIGHTS), (side // _SIDE).bit_length())
    weights = [weight / sum(_WEIGHTS[:scales]) for weight in _WEIGHTS[:scales]]
    offset = torch.arange(_SIDE, device=ours.device, dtype=ours.dtype) - _SIDE // 2
    window = torch.softmax(-0.5 * (offset / _SIGMA) ** 2, 0)

    product = ours.new_ones(ours.shape[:2])
    for scale, weight in enumerate(weights):
        mean, other = _blur(ours, window), _blur(truth, window)
        # Of the differences from one common mean: sums of large squares would cancel in float32.
        both = 0.5 * (mean + other).mean(dim=(2, 3), keepdim=True).detach()
        a, b = ours - both, truth - both
        mean_a, mean_b = mean - both, other - both
        var_a, var_b = _blur(a * a, window) - mean_a**2, _blur(b * b, window) - mean_b**2
        shared = _blur(a * b, window) - mean_a * mean_b
        similar = (2.0 * shared + _C2) / (var_a.clamp_min(0.0) + var_b.clamp_min(0.0) + _C2)
        if scale == scales - 1:
            similar = similar * (2.0 * mean * other + _C1) / (mean**2 + other**2 + _C1)
        product = product * similar.mean(dim=(2, 3)).clamp(_LEAST, 1.0) ** weight
        ours, truth = functional.avg_pool2d(ours, 2), functional.avg_pool2d(truth, 2)
    return 1.0 - product.mean()


def _blur(picture: Tensor, window: Tensor) -> Tensor:
    channels = picture.shape[1]
    rows = window.view(1, 1, -1, 1).repeat(channels, 1, 1, 1)
    columns = window.view(1, 1, 1, -1).repeat(channels, 1, 1, 1)
    return functional.conv2d(functional.conv2d(picture, rows, groups=channels), columns, groups=channels)
