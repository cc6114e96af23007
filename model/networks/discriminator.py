"""What every discriminator gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Verdict(NamedTuple):
    """What a discriminator says of pictures.

    Attributes:
        logits: (batch, 1, h, w), high where it takes the picture for a render; not squashed.
        features: Its intermediate activations, from fine to coarse and back, for feature matching.
    """

    logits: Tensor
    features: tuple[Tensor, ...]


class Discriminator(nn.Module, ABC):
    """Base of the discriminators."""

    @abstractmethod
    def forward(self, compressed: Tensor) -> Verdict:
        """Judge pictures.

        Args:
            compressed: (batch, channels, height, width), HR or generated, in the compressed range.
        """


class _Conv(nn.Conv2d):
    """A convolution whose weight is made outside autocast: CUDA's runs the products of the power iteration in bf16."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  torch's own name
        with torch.autocast(input.device.type, enabled=False):
            weight = self.weight
        return self._conv_forward(input, weight, self.bias)


def normed_conv(wide_in: int, wide_out: int, kernel: int, stride: int, norm: bool) -> nn.Module:
    """A convolution without bias, its weight as a matrix (out, in * kernel**2) held to spectral norm 1.

    Miyato et al., *Spectral Normalization for Generative Adversarial Networks*, 2018. As an operator the convolution
    may stretch by up to ceil(kernel / stride) more, for that is how often its windows overlap each way.
    """
    conv = _Conv(wide_in, wide_out, kernel, stride, padding=(kernel - 1) // 2, bias=False)
    return spectral_norm(conv) if norm else conv
