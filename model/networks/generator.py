"""What every generator is: a network that predicts the correction to the fixed upsample, and says how far it looks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class Generator(nn.Module, ABC):
    """Base of the generators.

    Attributes:
        kind: Name that it is registered and stored under.
        channels: Colour channels of the plate.
        scale: Integer magnification.
    """

    kind: ClassVar[str]
    channels: int
    scale: int

    @property
    @abstractmethod
    def shape(self) -> dict[str, int | float | bool]:
        """What its constructor takes to build it again."""

    @property
    @abstractmethod
    def receptive_radius(self) -> int:
        """Input pixels on each side that one output pixel depends on: no more, and with some weights no fewer."""

    @abstractmethod
    def forward(self, compressed: Tensor) -> Tensor:
        """Residual at ``scale`` times the size.

        Args:
            compressed: (batch, channels, height, width), the low-resolution plate in the compressed range.

        Returns:
            (batch, channels, scale * height, scale * width), to be added to the enlarged plate in that range.
        """


def he_initialise(network: nn.Module) -> None:
    """He initialisation of every convolution, biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
