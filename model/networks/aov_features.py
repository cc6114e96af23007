"""Features of the film's own domain: a network that guesses albedo, normal and depth from the beauty alone.

Renders come with these labels for nothing, so features that tell material, shape and distance apart can be learnt
without a photograph or a download. Once trained its encoder is frozen and feeds the feature loss.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.networks.generator import he_initialise

_FARTHEST = 1e9  # a renderer's background lies beyond


class Aovs(NamedTuple):
    """Three labels of each pixel, each (batch, its channels, height, width), float.

    Attributes:
        albedo: Reflectance, 0 to 1, three channels.
        normal: Three components; a zero vector where there is nothing.
        log_depth: Natural logarithm of the distance; up to a constant for each picture.
    """

    albedo: Tensor
    normal: Tensor
    log_depth: Tensor


def _pair(wide_in: int, wide_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, 3, padding=1), nn.ReLU(), nn.Conv2d(wide_out, wide_out, 3, padding=1), nn.ReLU()
    )


class AovFeatures(nn.Module):
    """Encoder and decoder with skips; sizes are halved after a binomial blur, so that features hardly alias.

    By default 1,947,079 parameters, of them 1,172,256 in the encoder.

    Args:
        width: Feature channels at full size; doubled at each level.
        levels: Levels of the encoder; each but the first at half the size of the one before.
        channels: Colour channels of the beauty.
    """

    blur: Tensor

    def __init__(self, width: int = 32, levels: int = 4, channels: int = 3) -> None:
        super().__init__()
        self.shape: dict[str, int] = {"width": width, "levels": levels, "channels": channels}
        widths = [width * 2**level for level in range(levels)]
        self.encoder = nn.ModuleList(_pair(a, b) for a, b in zip([channels, *widths], widths, strict=False))
        self.decoder = nn.ModuleList(_pair(a + b, a) for a, b in reversed(list(pairwise(widths))))
        self.tail = nn.Conv2d(width, 7, 1)
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8.0
        self.register_buffer("blur", row[:, None] * row, persistent=False)
        he_initialise(self)

    def features(self, compressed: Tensor) -> tuple[Tensor, ...]:
        """Activations of every level of the encoder, from full size down.

        Args:
            compressed: (batch, channels, height, width), beauty in the compressed range; sides of any size from
                2 ** (levels - 1).
        """
        found: list[Tensor] = []
        for level, convs in enumerate(self.encoder):
            compressed = convs(self._halved(compressed) if level else compressed)
            found.append(compressed)
        return tuple(found)

    def forward(self, compressed: Tensor) -> Aovs:
        """Guess the AOVs of a beauty in the compressed range."""
        *skips, features = self.features(compressed)
        for convs, skip in zip(self.decoder, reversed(skips), strict=True):
            enlarged = functional.interpolate(features, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            features = convs(torch.cat((enlarged, skip), dim=1))
        guess = self.tail(features)
        return Aovs(guess[:, :3], guess[:, 3:6], guess[:, 6:])

    def _halved(self, features: Tensor) -> Tensor:
        kernel = self.blur.to(features.dtype).expand(features.shape[1], 1, 4, 4)
        padded = functional.pad(features, (1, 1, 1, 1), mode="replicate")
        return functional.conv2d(padded, kernel, stride=2, groups=features.shape[1])


def log_depth(distance: Tensor) -> Tensor:
    """Distances (batch, 1, height, width) to their logarithm; NaN, which the loss leaves out, for background."""
    known = torch.isfinite(distance) & (distance > 0.0) & (distance < _FARTHEST)
    return torch.where(known, distance.float().clamp_min(1e-6).log(), torch.nan)


def aov_loss(guess: Aovs, truth: Aovs) -> Tensor:
    """What :class:`AovFeatures` is trained with; float32, also under autocast.

    L1 of the albedo; one minus the cosine of normals, where there is a normal; L1 of the logarithm of depth after each
    picture's own mean difference is taken out (Eigen et al., 2014, section 3.2: a picture does not tell its scale).
    Pixels that are not finite in the truth are left out of their term; a term that has no pixel is zero.
    """
    with torch.autocast(guess.albedo.device.type, enabled=False):
        albedo, normal, depth = (g.float() for g in guess)
        known = torch.isfinite(truth.albedo).all(dim=1, keepdim=True)
        difference = (albedo - torch.where(known, truth.albedo.float(), albedo)).abs().mean(dim=1, keepdim=True)
        total = _mean(difference, known)

        length = truth.normal.float().norm(dim=1, keepdim=True)
        known = torch.isfinite(length) & (length > 0.1)
        target = torch.where(known, truth.normal.float(), torch.ones_like(normal))
        total = total + _mean(1.0 - functional.cosine_similarity(normal, target, dim=1, eps=1e-4)[:, None], known)

        known = torch.isfinite(truth.log_depth)
        difference = depth - torch.where(known, truth.log_depth.float(), depth)
        count = known.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)
        offset = difference.sum(dim=(1, 2, 3), keepdim=True) / count
        return total + _mean((difference - offset).abs(), known)


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum() / known.sum().clamp_min(1)
