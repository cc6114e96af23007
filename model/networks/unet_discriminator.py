"""A U-Net discriminator: one logit per pixel, spectral norm on all but the first and last convolution.

The form is that of Schönfeld et al., *A U-Net Based Discriminator for Generative Adversarial Networks*, 2020, in the
slim variant that Wang et al. (*Real-ESRGAN*, 2021, section 3.3) use for super resolution: no normalisation layers,
skips that are added, bilinear enlargement.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from model.networks.discriminator import Discriminator, Verdict, normed_conv

SLOPE = 0.2  # of the leaky ReLU


class UNetDiscriminator(Discriminator):
    """Judges every pixel in the light of its surroundings. By default 4,376,897 parameters.

    Args:
        width: Feature channels at full size; doubled at each level.
        levels: How often the size is halved. Any picture size will do.
        channels: Colour channels of the pictures.
        norm: Spectral norm; off only for ablations.
    """

    def __init__(self, width: int = 64, levels: int = 3, channels: int = 3, norm: bool = True) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels + 1)]
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(normed_conv(a, b, 4, 2, norm) for a, b in pairwise(widths))
        self.up = nn.ModuleList(normed_conv(b, a, 3, 1, norm) for a, b in reversed(list(pairwise(widths))))
        self.judge = nn.ModuleList(normed_conv(width, width, 3, 1, norm) for _ in range(2))
        self.tail = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, compressed: Tensor) -> Verdict:
        """One logit per pixel; see :meth:`Discriminator.forward`.

        Returns:
            Logits (batch, 1, height, width); features of every level down, then up, then at full size.

        Raises:
            ValueError: A side of fewer than 2 ** levels pixels.
        """
        if min(compressed.shape[-2:]) < 2 ** len(self.down):
            raise ValueError(f"pictures must have at least {2 ** len(self.down)} pixels a side, not {compressed.shape}")
        features = functional.leaky_relu(self.head(compressed), SLOPE)
        skips = [features]
        for conv in self.down:
            features = functional.leaky_relu(conv(features), SLOPE)
            skips.append(features)
        kept = skips[1:]
        for conv, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            enlarged = functional.interpolate(features, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            features = functional.leaky_relu(conv(enlarged), SLOPE) + skip
            kept.append(features)
        for conv in self.judge:
            features = functional.leaky_relu(conv(features), SLOPE)
        kept.append(features)
        return Verdict(self.tail(features), tuple(kept))
