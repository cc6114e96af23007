"""The generator: plain 3x3 convolutions that predict what interpolation leaves out.

Only 3x3 convolutions and ReLU, so the receptive field is finite and known: a tile with that much context gives the
very pixels of the whole frame. The interpolated plate is added outside, in float32 (see ``deepupscale``).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from model.networks.generator import Generator, he_initialise


class ResidualBlock(nn.Module):
    """Three 3x3 convolutions with ReLU between them, added to their input; ``inner`` channels between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        sides = ((width, inner), (inner, inner), (inner, width))
        self.convs = nn.ModuleList(nn.Conv2d(taken, made, 3, padding=1) for taken, made in sides)

    def forward(self, features: Tensor) -> Tensor:
        out = self.convs[0](features)
        for conv in self.convs[1:]:
            out = conv(torch.relu_(out))
        return features + out


class ResidualGenerator(Generator):
    """Correction to the fixed upsample, in the compressed range.

    Width 64 with 8 blocks is the default (931,916 parameters, radius 27); the *hero*, see :func:`hero`, is four times
    the work.

    Args:
        width: Feature channels.
        blocks: Residual blocks of three convolutions each.
        channels: Colour channels of the plate.
        scale: Integer magnification.
        inner: Channels between the convolutions of a block, where pruning takes them away; 0 for as many as ``width``.
    """

    kind: ClassVar[str] = "residual"

    def __init__(self, width: int = 64, blocks: int = 8, channels: int = 3, scale: int = 2, inner: int = 0) -> None:
        super().__init__()
        self.channels = channels
        self.scale = scale
        self.inner = inner or width
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width, self.inner) for _ in range(blocks))
        self.fuse = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, channels * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        self._initialise()

    def _initialise(self) -> None:
        """He initialisation; block exits a tenth of it (steady deep sums); the tail zero: plain interpolation."""
        he_initialise(self)
        for name, parameter in self.named_parameters():
            if name.endswith("convs.2.weight"):
                parameter.data.mul_(0.1)
        nn.init.zeros_(self.tail.weight)

    @property
    def shape(self) -> dict[str, int | float | bool]:
        """What its constructor takes to build it again."""
        width = self.head.out_channels
        shape: dict[str, int | float | bool] = {
            "width": width,
            "blocks": len(self.blocks),
            "channels": self.channels,
            "scale": self.scale,
        }
        return shape if self.inner == width else {**shape, "inner": self.inner}

    @property
    def receptive_radius(self) -> int:
        """Input pixels on each side that one output pixel depends on: one per 3x3 convolution on the longest path."""
        return sum(isinstance(module, nn.Conv2d) for module in self.modules())

    def forward(self, compressed: Tensor) -> Tensor:
        """Residual at ``scale`` times the size.

        Args:
            compressed: (batch, channels, height, width), the low-resolution plate in the compressed range.

        Returns:
            (batch, channels, scale * height, scale * width), to be added to the doubled plate in that range.
        """
        head = self.head(compressed)
        features = head
        for block in self.blocks:
            features = block(features)
        return self.shuffle(self.tail(head + self.fuse(features)))


def hero(width: int = 96, blocks: int = 16, channels: int = 3, scale: int = 2, inner: int = 0) -> ResidualGenerator:
    """The large network of the same family, for a GPU or for patience: 4,082,028 parameters, radius 51."""
    return ResidualGenerator(width, blocks, channels, scale, inner)
