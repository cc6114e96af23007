"""The feature term: L1 between what a network sees in the output and in the truth.

Three sources; each says what it does with pictures of the compressed range:

- The opponent's activations, as its verdicts hold them; it sees the compressed range as it is. It needs nothing
  beforehand, so it is the default, and one pass serves this term and the adversarial one: :func:`feature_distance`.
- :class:`OwnFeatures`: the encoder of :class:`~model.networks.AovFeatures`, which learnt to tell material, shape and
  distance in renders. It sees the compressed range as it is.
- :class:`Vgg`: VGG19 with the user's weights. It sees tone-mapped sRGB (:func:`~model.losses.transfer.to_display`).

No gradient reaches the source's weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from model.losses.precision import full
from model.losses.transfer import to_display
from model.networks import AovFeatures, VggFeatures


class FeatureSource(Protocol):
    """Anything that sees features in pictures."""

    def __call__(self, compressed: Tensor) -> Sequence[Tensor]:
        """Features of (batch, channels, height, width) in the compressed range, each (batch, its channels, h, w)."""
        ...


class OwnFeatures:
    """All levels of the encoder that learnt AOVs, in float32. The network is frozen for good."""

    def __init__(self, network: AovFeatures) -> None:
        self.network = network.eval().requires_grad_(False)

    def __call__(self, compressed: Tensor) -> Sequence[Tensor]:
        with torch.autocast(compressed.device.type, enabled=False):
            return self.network.features(compressed.to(next(self.network.parameters()).dtype))


class Vgg:
    """The taps of a VGG19, in float32. The network is frozen for good."""

    def __init__(self, network: VggFeatures) -> None:
        self.network = network.eval().requires_grad_(False)

    def __call__(self, compressed: Tensor) -> Sequence[Tensor]:
        with torch.autocast(compressed.device.type, enabled=False):
            return self.network(to_display(compressed))


class FeatureLoss:
    """The term through a network of its own.

    Args:
        source: Where features come from.
        weights: See :func:`feature_distance`.
    """

    def __init__(self, source: FeatureSource, weights: Sequence[float] | None = None) -> None:
        if weights is not None and not (min(weights, default=-1.0) >= 0.0 and sum(weights) > 0.0):
            raise ValueError(f"feature weights {list(weights)}: none below 0, one above")
        self.source = source
        self.weights = weights

    def __call__(self, ours: Tensor, truth: Tensor) -> Tensor:
        """Mean absolute difference of features, averaged over the source's features; float32.

        Args:
            ours: (batch, channels, height, width), in the compressed range.
            truth: The same shape. No gradient is kept for it.

        Raises:
            ValueError: As many weights as features are needed.
        """
        with torch.no_grad():
            wanted = self.source(truth)
        return feature_distance(self.source(ours), wanted, self.weights)


def feature_distance(
    seen: Sequence[Tensor], wanted: Sequence[Tensor], weights: Sequence[float] | None = None
) -> Tensor:
    """Mean absolute difference of features, averaged over them; float32.

    Args:
        seen: Of the output.
        wanted: Of the truth. No gradient is kept for them.
        weights: Of each feature, from first to last; equal by default. They are divided by their sum.

    Raises:
        ValueError: As many weights as features are needed.
    """
    weights = [1.0] * len(seen) if weights is None else weights
    if len(weights) != len(seen):
        raise ValueError(f"{len(weights)} weights for {len(seen)} features")
    with torch.autocast(seen[0].device.type, enabled=False):
        parts = [w * (full(a) - full(b.detach())).abs().mean() for w, a, b in zip(weights, seen, wanted, strict=True)]
        return torch.stack(parts).sum() / sum(weights)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, the network is as in evaluation and no gradient is noted for its weights; afterwards it is as before.

    Give it the bare network, not its distributed wrapper, and run the forward pass inside; backward may follow outside.
    """
    training = {module: module.training for module in network.modules()}
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.eval()
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
        for module, was in training.items():
            module.training = was
