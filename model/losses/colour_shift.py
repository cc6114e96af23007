"""The colour shift term: L1 between the reduced, low-passed output and the low-passed LR input.

The 2020 paper keeps the colour of the output by comparing it, downsampled, with the input. An LR render is not the
reduced HR render (its pixel filter and its noise are its own), so fine differences are no fault: both are brought low
before they are compared. What remains between a pair's own pictures is its *floor*, below which no network need come;
see :meth:`ColourShift.whole`. So by default only what goes beyond it counts, at every place: where the true picture is
this far from LR, the output may be as well. The paper's term knows no floor, and at its weight it then holds the output
to LR's noise a hundred times more closely than the truth is held to it.

Domain: by default the low-pass is taken in linear light, where the mean is the light itself, so the term says that
energy is kept; the means are compressed before they are compared, or highlights would be all that counts. Taken in the
compressed range the mean depends on contrast too: detail that LR averaged away lowers it, so the term would hold back
the very detail that is to be found, and ask for too much light in its place (``docs/training.md`` has the figures).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from model.losses.precision import full
from model.losses.transfer import to_compressed, to_linear


class ColourShift:
    """The term as configured.

    Args:
        filter: Low-pass at LR size: a Gaussian, or a box of about the same spread (an odd side, near
            sqrt(12 * sigma**2 + 1)).
        sigma: Of the low-pass, in LR pixels.
        domain: Where the means are taken.
        beyond_floor: Count only what goes beyond the pair's own shift, place by place; else all of it, as in the paper.
        scale: HR pixels per LR pixel.
    """

    def __init__(
        self,
        filter: Literal["box", "gaussian"] = "gaussian",  # noqa: A002  the name in the configuration
        sigma: float = 2.0,
        domain: Literal["compressed", "linear"] = "linear",
        beyond_floor: bool = True,
        scale: int = 2,
    ) -> None:
        if filter not in ("box", "gaussian") or domain not in ("compressed", "linear"):
            raise ValueError(f"colour shift by {filter!r} in {domain!r}: box or gaussian; compressed or linear")
        if not (0.0 < sigma <= 16.0 and scale >= 1):
            raise ValueError(f"colour shift needs 0 < sigma <= 16 and a scale from 1, got {sigma} and {scale}")
        self.linear = domain == "linear"
        self.beyond_floor = beyond_floor
        self.scale = scale
        if filter == "box":
            weights = torch.ones(2 * math.floor(math.sqrt(12.0 * sigma**2 + 1.0) / 2.0) + 1, dtype=torch.float64)
        else:
            radius = math.ceil(3.0 * sigma)
            weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / sigma) ** 2)
        self.weights = weights / weights.sum()

    def __call__(self, ours: Tensor, lr: Tensor, hr: Tensor) -> Tensor:
        """How far the output's colour is from the input's, beyond the pair's own shift if so configured.

        Args:
            ours: (batch, channels, scale * height, scale * width), in the compressed range.
            lr: (batch, channels, height, width), in the compressed range.
            hr: The true picture, as ``ours``.

        Returns:
            One number in the compressed range, float32.
        """
        shift = self._shift(ours, lr)
        if self.beyond_floor:
            with torch.no_grad():
                floor = self._shift(hr, lr)
            shift = functional.relu(shift - floor)
        return shift.mean()

    @torch.no_grad()
    def whole(self, ours: Tensor, lr: Tensor) -> float:
        """All of the shift, whatever the pair's own is. Shapes and range as for the term.

        Of the true HR picture it is the pair's floor.
        """
        return float(self._shift(ours, lr).mean())

    def _shift(self, ours: Tensor, lr: Tensor) -> Tensor:
        """At each place of LR, in the compressed range, float32."""
        if ours.shape[-2:] != (self.scale * lr.shape[-2], self.scale * lr.shape[-1]) or ours.shape[:2] != lr.shape[:2]:
            raise ValueError(f"{tuple(ours.shape)} is not {self.scale} times the size of {tuple(lr.shape)}")
        with torch.autocast(ours.device.type, enabled=False):
            ours, lr = full(ours), full(lr)
            if self.linear:
                ours, lr = to_linear(ours), to_linear(lr)
            # pixel areas coincide: a box is the exact reduction
            ours, lr = self._low(functional.avg_pool2d(ours, self.scale)), self._low(lr)
            if self.linear:
                ours, lr = to_compressed(ours), to_compressed(lr)
            return (ours - lr).abs()

    def _low(self, picture: Tensor) -> Tensor:
        """Separable low-pass; at the border over the pixels that there are."""
        channels, length = picture.shape[1], self.weights.numel()
        weights = self.weights.to(picture)
        ones = torch.ones_like(picture[:1, :1])
        for shape, padding in (((1, 1, length, 1), (length // 2, 0)), ((1, 1, 1, length), (0, length // 2))):
            kernel = weights.view(shape)
            picture = functional.conv2d(picture, kernel.repeat(channels, 1, 1, 1), padding=padding, groups=channels)
            ones = functional.conv2d(ones, kernel, padding=padding)
        return picture / ones
