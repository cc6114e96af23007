"""The adversarial term, both sides, from logits of any shape; float32.

    vanilla   Goodfellow et al. 2014, the generator's side not saturating: it learns from -log D(fake)
    lsgan     Mao et al. 2017, least squares with targets 1 and 0, halved on both sides; what ProSR uses
    rasgan    Jolicoeur-Martineau 2018, relativistic average: is this more of a render than the other kind on average?
    ralsgan   the same with least squares, targets 1 and -1
    hinge     Miyato et al. 2018

Averages are over all logits of the batch on this process.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from model.losses.precision import in_full_precision

Kind = Literal["vanilla", "lsgan", "ralsgan", "rasgan", "hinge"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Adversarial:
    """The term as configured.

    Attributes:
        relativistic: Whether the generator's side needs the logits of the truth.
    """

    def __init__(self, kind: Kind = "lsgan") -> None:
        if kind not in KINDS:
            raise ValueError(f"adversarial {kind!r}: choose from {', '.join(KINDS)}")
        self.kind = kind
        self.relativistic = kind in ("rasgan", "ralsgan")

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """What the generator pays.

        Args:
            fake: Logits of generated pictures.
            real: Logits of the truth; needed by the relativistic kinds. No gradient is kept for them.
        """
        if self.relativistic and real is None:
            raise ValueError(f"{self.kind} compares with the truth: give its logits")
        real = fake.detach() if real is None else real.detach()
        return _generator(fake, real, self.kind)

    def discriminator(self, fake: Tensor, real: Tensor) -> Tensor:
        """What the discriminator pays; ``fake`` must come of detached pictures."""
        return _discriminator(fake, real, self.kind)


@in_full_precision
def _generator(fake: Tensor, real: Tensor, kind: str) -> Tensor:
    if kind == "vanilla":
        return functional.softplus(-fake).mean()
    if kind == "lsgan":
        return 0.5 * (fake - 1.0).square().mean()
    if kind == "hinge":
        return -fake.mean()
    return _relativistic(winner=fake, loser=real, squares=kind == "ralsgan")


@in_full_precision
def _discriminator(fake: Tensor, real: Tensor, kind: str) -> Tensor:
    if kind == "vanilla":
        return functional.softplus(-real).mean() + functional.softplus(fake).mean()
    if kind == "lsgan":
        return 0.5 * ((real - 1.0).square().mean() + fake.square().mean())
    if kind == "hinge":
        return functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean()
    return _relativistic(winner=real, loser=fake, squares=kind == "ralsgan")


def _relativistic(winner: Tensor, loser: Tensor, squares: bool) -> Tensor:
    above, below = winner - loser.mean(), loser - winner.mean()
    if squares:
        return 0.5 * ((above - 1.0).square().mean() + (below + 1.0).square().mean())
    return 0.5 * (functional.softplus(-above).mean() + functional.softplus(below).mean())


def r1(logits: Tensor, pictures: Tensor) -> Tensor:
    """Mean over the batch of the squared gradient of the logits' sum (Mescheder et al. 2018, R1, without gamma / 2).

    Args:
        logits: Of the truth, computed from ``pictures`` in float32, outside autocast.
        pictures: (batch, channels, height, width), with ``requires_grad`` set before.

    Returns:
        A number with a graph, for the discriminator's loss. For an output of many logits it grows with their number;
        a gamma is to be chosen with that in mind.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3)).mean()
