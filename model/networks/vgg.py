"""VGG19 up to conv5_4, for a feature loss from weights that the user brings. Nothing here downloads.

Simonyan and Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, 2015, configuration E.
Layers are numbered as torchvision numbers them, so that a ``state_dict`` of its ``vgg19`` saved as safetensors fits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # width, convolutions; a pooling between stages

# Convolution name to its number in ``features``.
LAYERS: dict[str, int] = {}
_number = 0
for _stage, (_, _count) in enumerate(_STAGES, 1):
    for _conv in range(1, _count + 1):
        LAYERS[f"conv{_stage}_{_conv}"] = _number
        _number += 2  # its ReLU
    _number += 1  # the pooling


class VggFeatures(nn.Module):
    """The convolutions of VGG19, 20,024,384 parameters; activations are taken *before* their ReLU.

    Args:
        taps: Which convolutions' activations are given.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, taps: Sequence[str] = ("conv5_4",)) -> None:
        super().__init__()
        unknown = [tap for tap in taps if tap not in LAYERS]
        if unknown or not taps:
            raise ValueError(f"taps {list(taps)}: choose from {', '.join(LAYERS)}")
        self.taps = frozenset(LAYERS[tap] for tap in taps)
        layers: list[nn.Module] = []
        before = 3
        for width, count in _STAGES:
            for _ in range(count):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[: LAYERS["conv5_4"] + 1])
        # Of ImageNet, as its weights expect them.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, display: Tensor) -> tuple[Tensor, ...]:
        """Activations of the taps, from fine to coarse.

        Args:
            display: (batch, 3, height, width), sRGB-encoded, 0 to 1; sides of at least 16.
        """
        features = (display - self.mean) / self.spread
        found: list[Tensor] = []
        for number, layer in enumerate(self.features):
            features = layer(features)
            if number in self.taps:
                found.append(features)
                if len(found) == len(self.taps):
                    break
        return tuple(found)
