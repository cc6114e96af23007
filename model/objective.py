"""What a run minimises, built from its configuration: the terms, and their weights by stage."""

from __future__ import annotations

import torch
from torch import Tensor

from deepupscale.errors import UsageError
from model.checkpoint import load_aov_features, load_vgg
from model.config import FeatureConfig, LossConfig, WeightsConfig
from model.loader import CONTEXT, Batch
from model.losses import (
    Adversarial,
    ColourShift,
    Combine,
    FeatureLoss,
    Fidelity,
    HdrFlipLoss,
    OwnFeatures,
    Total,
    Vgg,
    checkerboard,
    feature_distance,
    frozen,
    ms_ssim,
)
from model.networks import Discriminator
from model.networks.discriminator import Verdict


class Objective:
    """Both sides of the game.

    Args:
        config: How each term is computed.
        discriminator: The opponent; None where no stage needs one.
        device: Where the networks are.

    Raises:
        UsageError: Discriminator features without a discriminator.
        ModelError: A feature network's file is damaged or foreign.
    """

    def __init__(self, config: LossConfig, discriminator: Discriminator | None, device: torch.device) -> None:
        self.fidelity = Fidelity(config.fidelity, config.domain)
        self.colour_shift = ColourShift(**config.colour_shift.model_dump())
        self.adversarial = Adversarial(config.adversarial)
        self.hdr_flip = HdrFlipLoss()
        self.discriminator = discriminator
        self._gain = config.correction_gain
        self._features = _feature_loss(config.feature, device)

    def generator(self, weights: WeightsConfig, sr: Tensor, batch: Batch) -> Total:
        """What the generator pays for its pictures of one batch; see the weights for which terms count."""
        combine = Combine(weights.model_dump())
        lr = batch.lr[..., CONTEXT:-CONTEXT, CONTEXT:-CONTEXT]
        terms = {"fidelity": self.fidelity(sr, batch.hr), "colour_shift": self.colour_shift(sr, lr, batch.hr)}
        if self._features is not None and combine.wants("feature"):
            terms["feature"] = self._features(sr, batch.hr)
        if combine.wants("adversarial") or (self._features is None and combine.wants("feature")):
            fake, real = self._verdict(sr, batch.base), None
            if self._features is None or self.adversarial.relativistic:
                with torch.no_grad():
                    real = self._verdict(batch.hr, batch.base)
            if self._features is None and real is not None:
                terms["feature"] = feature_distance(fake.features, real.features)
            terms["adversarial"] = self.adversarial.generator(fake.logits, None if real is None else real.logits)
        if combine.wants("checkerboard"):
            terms["checkerboard"] = checkerboard(sr, batch.hr)
        if combine.wants("ms_ssim"):
            terms["ms_ssim"] = ms_ssim(sr, batch.hr)
        if combine.wants("hdr_flip"):
            terms["hdr_flip"] = self.hdr_flip(sr, batch.hr)
        return combine(**terms)

    def shown(self, picture: Tensor, base: Tensor) -> Tensor:
        """What the discriminator is shown of a picture.

        Args:
            picture: (batch, channels, height, width), in the compressed range.
            base: The interpolated plate that it goes back to, likewise.

        Returns:
            The picture, and after it, unless ``correction_gain`` is 0, what it adds to ``base``, times that gain.
        """
        return torch.cat((picture, self._gain * (picture - base)), 1) if self._gain else picture

    def _verdict(self, picture: Tensor, base: Tensor) -> Verdict:
        """The discriminator's, which stands still meanwhile."""
        if self.discriminator is None:
            raise UsageError("loss.feature.source is discriminator, but no stage trains one")
        with frozen(self.discriminator):
            return self.discriminator(self.shown(picture, base))


def _feature_loss(config: FeatureConfig, device: torch.device) -> FeatureLoss | None:
    """Through a network that was trained beforehand; None where the discriminator's own features are taken."""
    if config.file is None:
        return None
    if config.source == "aov":
        return FeatureLoss(OwnFeatures(load_aov_features(config.file).to(device)))
    return FeatureLoss(Vgg(load_vgg(config.file).to(device)))
