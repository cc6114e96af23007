"""Loss terms, one module each, and their weighted sum. All take the compressed range and compute in float32."""

from model.losses.adversarial import Adversarial, r1
from model.losses.checkerboard import checkerboard
from model.losses.colour_shift import ColourShift
from model.losses.features import FeatureLoss, FeatureSource, OwnFeatures, Vgg, feature_distance, frozen
from model.losses.fidelity import Fidelity
from model.losses.hdr_flip import HdrFlipLoss
from model.losses.ms_ssim import ms_ssim
from model.losses.total import PAPER_WEIGHTS, Combine, Total

__all__ = [
    "PAPER_WEIGHTS",
    "Adversarial",
    "ColourShift",
    "Combine",
    "FeatureLoss",
    "FeatureSource",
    "Fidelity",
    "HdrFlipLoss",
    "OwnFeatures",
    "Total",
    "Vgg",
    "checkerboard",
    "feature_distance",
    "frozen",
    "ms_ssim",
    "r1",
]
