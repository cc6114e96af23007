"""Networks by name, as configurations and checkpoints call them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from deepupscale.errors import ModelError
from model.networks.discriminator import Discriminator
from model.networks.generator import Generator
from model.networks.patch_discriminator import PatchDiscriminator
from model.networks.prosr import ProsrGenerator, prosr_small
from model.networks.residual import ResidualGenerator, hero
from model.networks.unet_discriminator import UNetDiscriminator

LARGEST = 1024  # of any width or count: a shape may come from a stranger's file

GENERATORS: Mapping[str, Callable[..., Generator]] = {
    "residual": ResidualGenerator,
    "hero": hero,
    "prosr": ProsrGenerator,
    "prosr-small": prosr_small,
}
DISCRIMINATORS: Mapping[str, Callable[..., Discriminator]] = {"unet": UNetDiscriminator, "patch": PatchDiscriminator}


def build_generator(name: str, **shape: int | float | bool) -> Generator:
    """A generator with fresh weights.

    Args:
        name: One of ``GENERATORS``.
        **shape: What its constructor takes; the rest by default.

    Raises:
        ModelError: An unknown name or keyword, or a value of the wrong type or size.
    """
    return _build("generator", GENERATORS, name, shape)


def build_discriminator(name: str, **shape: int | float | bool) -> Discriminator:
    """A discriminator with fresh weights; see :func:`build_generator`."""
    return _build("discriminator", DISCRIMINATORS, name, shape)


def _build(role: str, registry: Mapping[str, Callable[..., Any]], name: str, shape: Mapping[str, Any]) -> Any:
    if name not in registry:
        raise ModelError(f"{role} {name!r}: there is no such network; there are {', '.join(registry)}")
    parameters = inspect.signature(registry[name]).parameters
    for keyword, value in shape.items():
        if keyword not in parameters:
            raise ModelError(f"{role} {name}: takes no {keyword!r}; it takes {', '.join(parameters)}")
        kind = type(parameters[keyword].default)
        fits = isinstance(value, kind if kind is not float else (int, float)) and (
            isinstance(value, bool) == (kind is bool)
        )
        if not fits or not (kind is bool or (math.isfinite(value) and 0 < value <= LARGEST)):
            raise ModelError(
                f"{role} {name}: {keyword} is {value!r}, which is no {kind.__name__} above 0 and up to {LARGEST}"
            )
    return registry[name](**shape)
