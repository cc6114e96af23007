"""A dense residual generator after ProSR, the network that the 2020 film paper built on.

Wang et al., *A Fully Progressive Approach to Single-Image Super-Resolution*, NTIRE 2018, section 3: dense compression
units, a skip around the pyramid level, sub-pixel upsampling, no normalisation; widths as published for their larger
network. What differs from it here:

- One level, for 2x; the published network has three (2x, 4x, 8x) that are grown in turn. With them go the curriculum
  and the blending of levels.
- Convolutions pad with zeros, not by reflection, so that a tile with its full context equals the whole frame.
- The last convolution starts at zero: untrained, it leaves the interpolation as it is.
- Inputs are in the compressed range, not normalised by the mean and spread of a photograph set.
- The residual is added outside, in float32, to the fixed upsample that the engine has; theirs is bicubic.

There is neither attention nor pooling: the receptive field is finite.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from model.networks.generator import Generator, he_initialise


class DenseUnit(nn.Module):
    """Dense compression unit: every layer sees all before it; a 1x1 convolution brings them back to the width.

    Args:
        width: Feature channels in and out.
        layers: Dense layers, each a 1x1 convolution, ReLU and a 3x3 convolution.
        growth: Channels that each layer adds.
        bottleneck: The 1x1 convolution gives this many times ``growth`` channels.
        residual: Factor on what is added to the input.
    """

    def __init__(self, width: int, layers: int, growth: int, bottleneck: int, residual: float) -> None:
        super().__init__()
        self.residual = residual
        widths = [width + i * growth for i in range(layers)]
        self.narrow = nn.ModuleList(nn.Conv2d(w, bottleneck * growth, 1) for w in widths)
        self.grow = nn.ModuleList(nn.Conv2d(bottleneck * growth, growth, 3, padding=1) for _ in widths)
        self.compress = nn.Conv2d(width + layers * growth, width, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        seen = features
        for narrow, grow in zip(self.narrow, self.grow, strict=True):
            seen = torch.cat((seen, grow(torch.relu_(narrow(seen)))), dim=1)
        return features + self.residual * self.compress(seen)


class ProsrGenerator(Generator):
    """Correction to the fixed upsample, in the compressed range.

    As published: 9 units of 8 layers, 9,470,403 parameters, radius 76.

    Args:
        width: Feature channels between units.
        units: Dense compression units.
        layers: Dense layers of each unit.
        growth: Channels that each layer adds.
        bottleneck: Channels inside a layer, in multiples of ``growth``.
        residual: Factor on what each unit adds to its input.
        channels: Colour channels of the plate.
        scale: Integer magnification.
    """

    kind: ClassVar[str] = "prosr"

    def __init__(
        self,
        width: int = 160,
        units: int = 9,
        layers: int = 8,
        growth: int = 40,
        bottleneck: int = 4,
        residual: float = 0.2,
        channels: int = 3,
        scale: int = 2,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.scale = scale
        self._shape = {"width": width, "units": units, "layers": layers, "growth": growth, "bottleneck": bottleneck}
        self._residual = residual
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.units = nn.ModuleList(DenseUnit(width, layers, growth, bottleneck, residual) for _ in range(units))
        self.fuse = nn.Conv2d(width, width, 3, padding=1)
        self.enlarge = nn.Conv2d(width, width * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        self.tail = nn.Conv2d(width, channels, 3, padding=1)
        he_initialise(self)
        nn.init.zeros_(self.tail.weight)

    @property
    def shape(self) -> dict[str, int | float | bool]:
        """What its constructor takes to build it again."""
        return {**self._shape, "residual": self._residual, "channels": self.channels, "scale": self.scale}

    @property
    def receptive_radius(self) -> int:
        """One input pixel per 3x3 convolution on the longest path.

        The last one works on enlarged pixels: the outer sub-pixels of an input pixel see into the next, so one as well.
        """
        return sum(isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) for module in self.modules())

    def forward(self, compressed: Tensor) -> Tensor:
        """Residual at ``scale`` times the size; see :meth:`Generator.forward`."""
        head = self.head(compressed)
        features = head
        for unit in self.units:
            features = unit(features)
        enlarged = torch.relu_(self.shuffle(self.enlarge(head + self.fuse(features))))
        return self.tail(enlarged)


def prosr_small(
    width: int = 64,
    units: int = 4,
    layers: int = 6,
    growth: int = 16,
    bottleneck: int = 4,
    residual: float = 0.2,
    channels: int = 3,
    scale: int = 2,
) -> ProsrGenerator:
    """One that a CPU can bear: 611,971 parameters, radius 28. Not a published size."""
    return ProsrGenerator(width, units, layers, growth, bottleneck, residual, channels, scale)
