"""The networks: generators that predict a correction to the fixed upsample, their opponents, feature networks."""

from model.networks.aov_features import AovFeatures
from model.networks.discriminator import Discriminator, Verdict
from model.networks.generator import Generator
from model.networks.patch_discriminator import PatchDiscriminator
from model.networks.prosr import ProsrGenerator
from model.networks.registry import DISCRIMINATORS, GENERATORS, build_discriminator, build_generator
from model.networks.residual import ResidualGenerator
from model.networks.unet_discriminator import UNetDiscriminator
from model.networks.vgg import VggFeatures

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "AovFeatures",
    "Discriminator",
    "Generator",
    "PatchDiscriminator",
    "ProsrGenerator",
    "ResidualGenerator",
    "UNetDiscriminator",
    "Verdict",
    "VggFeatures",
    "build_discriminator",
    "build_generator",
]
