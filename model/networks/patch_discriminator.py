"""A plain discriminator of patches: strided convolutions, one logit per patch (Isola et al., *pix2pix*, 2017)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from model.networks.discriminator import Discriminator, Verdict, normed_conv
from model.networks.unet_discriminator import SLOPE


class PatchDiscriminator(Discriminator):
    """Judges overlapping patches by themselves. By default 2,763,841 parameters, patches of 70 pixels.

    Args:
        width: Feature channels after the first convolution; doubled at each further one, at most eightfold.
        levels: How often the size is halved.
        channels: Colour channels of the pictures.
        norm: Spectral norm on all but the first and last convolution, instead of the published batch norm, which would
            let the pictures of a batch see each other.
    """

    def __init__(self, width: int = 64, levels: int = 3, channels: int = 3, norm: bool = True) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(levels + 1)]
        self.head = nn.Conv2d(channels, width, 4, 2, padding=1)
        strides = [2] * (levels - 1) + [1]
        self.convs = nn.ModuleList(
            normed_conv(a, b, 4, stride, norm) for a, b, stride in zip(widths, widths[1:], strides, strict=False)
        )
        self.tail = nn.Conv2d(widths[-1], 1, 4, padding=1)

    def forward(self, compressed: Tensor) -> Verdict:
        """One logit per patch; see :meth:`Discriminator.forward`.

        Returns:
            Logits (batch, 1, about height / 2 ** levels, likewise); features of every level.
        """
        features = functional.leaky_relu(self.head(compressed), SLOPE)
        kept = [features]
        for conv in self.convs:
            features = functional.leaky_relu(conv(features), SLOPE)
            kept.append(features)
        return Verdict(self.tail(features), tuple(kept))
