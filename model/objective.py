"""What a run minimises, built from its configuration: the terms, and their weights by stage."""

from __future__ import annotations

import torch
from torch import Tensor

from deepupscale.errors import UsageError
from model.checkpoint import load_aov_features, load_vgg
from model.config import LossConfig, WeightsConfig
from model.loader import CONTEXT, Batch
from model.losses import (
    Adversarial,
    ColourShift,
    Combine,
    DiscriminatorFeatures,
    FeatureLoss,
    Fidelity,
    HdrFlipLoss,
    OwnFeatures,
    Total,
    Vgg,
    frozen,
    ms_ssim,
)
from model.networks import Discriminator


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
        self._source, self._device, self._gain = config.feature, device, config.correction_gain
        self._features: FeatureLoss | None = None
        if config.feature.file is not None:
            self._feature_loss()  # what is wrong with the file is told now, not when the stage that wants it begins

    def generator(self, weights: WeightsConfig, sr: Tensor, batch: Batch) -> Total:
        """What the generator pays for its pictures of one batch; see the weights for which terms count."""
        combine = Combine(weights.model_dump())
        lr = batch.lr[..., CONTEXT:-CONTEXT, CONTEXT:-CONTEXT]
        terms = {"fidelity": self.fidelity(sr, batch.hr), "colour_shift": self.colour_shift(sr, lr, batch.hr)}
        own = self._source.source == "discriminator"
        ours, truth = sr, batch.hr
        if combine.wants("adversarial") or (own and combine.wants("feature")):
            ours, truth = self.shown(sr, batch.base), self.shown(batch.hr, batch.base)
        if combine.wants("feature"):
            terms["feature"] = self._feature_loss()(*((ours, truth) if own else (sr, batch.hr)))
        if combine.wants("adversarial"):
            assert self.discriminator is not None
            with frozen(self.discriminator):
                fake = self.discriminator(ours).logits
                real = self.discriminator(truth).logits if self.adversarial.relativistic else None
            terms["adversarial"] = self.adversarial.generator(fake, real)
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

    def _feature_loss(self) -> FeatureLoss:
        if self._features is None:
            source, file = self._source.source, self._source.file
            if source == "discriminator":
                if self.discriminator is None:
                    raise UsageError("loss.feature.source is discriminator, but no stage trains one")
                self._features = FeatureLoss(DiscriminatorFeatures(self.discriminator))
            else:
                assert file is not None
                own = source == "aov"
                network = (load_aov_features if own else load_vgg)(file).to(self._device)
                self._features = FeatureLoss(OwnFeatures(network) if own else Vgg(network))  # type: ignore[arg-type]
        return self._features
