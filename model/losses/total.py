"""The weighted sum of the terms; the default weights are those of the 2020 paper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

PAPER_WEIGHTS: Mapping[str, float] = {"fidelity": 1.0, "colour_shift": 5.0, "feature": 0.1, "adversarial": 0.0005}


@dataclass(frozen=True)
class Total:
    """A sum and what it is made of.

    Attributes:
        value: To be minimised; has the graph.
        parts: Each term before its weight, detached.
    """

    value: Tensor
    parts: dict[str, Tensor]

    def floats(self) -> dict[str, float]:
        """Each term before its weight, and ``total``. Waits for the device, so call it when something is logged."""
        return {name: float(part) for name, part in self.parts.items()} | {"total": float(self.value.detach())}


class Combine:
    """Adds terms up.

    Args:
        weights: Name of each term to its weight, finite and not negative; those of the paper by default.
    """

    def __init__(self, weights: Mapping[str, float] = PAPER_WEIGHTS) -> None:
        wrong = [name for name, weight in weights.items() if not (math.isfinite(weight) and weight >= 0.0)]
        if wrong or not any(weights.values()):
            raise ValueError(f"loss weights {dict(weights)}: finite, none below 0, one above")
        self.weights = dict(weights)

    def wants(self, name: str) -> bool:
        """Whether a term has a weight, so is worth computing."""
        return self.weights.get(name, 0.0) > 0.0

    def __call__(self, **terms: Tensor) -> Total:
        """The sum of the terms, each one number. A term of weight 0 is reported but has no gradient.

        Raises:
            ValueError: A term without a weight, or a weight above 0 whose term is missing.
        """
        unknown = terms.keys() - self.weights.keys()
        missing = [name for name in self.weights if self.wants(name) and name not in terms]
        if unknown or missing:
            raise ValueError(f"loss terms without a weight: {sorted(unknown)}; weights without a term: {missing}")
        weighed = [self.weights[name] * term.float() for name, term in terms.items() if self.wants(name)]
        value = weighed[0]
        for part in weighed[1:]:
            value = value + part
        return Total(value, {name: term.detach() for name, term in terms.items()})
