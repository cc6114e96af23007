"""What a scene is drawn on: seeded chance that is written down, and what a builder hands over to be lit and filmed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

T = TypeVar("T")

SHOT = (1, 24)  # frames that moves are keyed over; at 24 frames a second


class Stage:
    """One scene in the making.

    All chance comes from ``rng`` or from the methods here, so that (seed, index) make the same scene again. What a
    method draws is kept in ``notes`` under its name and ends in the manifest.

    Attributes:
        rng: For what is too plentiful to be written down (the places of a thousand leaves).
        notes: Name to what was drawn, JSON-ready.
    """

    def __init__(self, seed: int, index: int) -> None:
        self.rng = np.random.default_rng((seed, index))
        self.notes: dict[str, object] = {}

    def uniform(self, name: str, low: float, high: float) -> float:
        """A number in [low, high), evenly."""
        return self._note(name, float(self.rng.uniform(low, high)))

    def log_uniform(self, name: str, low: float, high: float) -> float:
        """A number in [low, high), evenly by ratio; for sizes, strengths and distances."""
        return self._note(name, float(np.exp(self.rng.uniform(math.log(low), math.log(high)))))

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return self._note(name, int(self.rng.integers(low, high + 1)))

    def choose(self, name: str, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of the options; weights need not sum to 1."""
        chances = None if weights is None else np.asarray(weights, float) / sum(weights)
        chosen = options[int(self.rng.choice(len(options), p=chances))]
        self.notes[self._free(name)] = chosen if isinstance(chosen, str | int | float) else str(chosen)
        return chosen

    def happens(self, name: str, chance: float) -> bool:
        """True with that chance."""
        drawn = bool(self.rng.random() < chance)
        self.notes[self._free(name)] = drawn
        return drawn

    def _note(self, name: str, value: T) -> T:
        self.notes[self._free(name)] = round(value, 6) if isinstance(value, float) else value
        return value

    def _free(self, name: str) -> str:
        """The name, or with a number if it was used before (the second ball's material)."""
        if name not in self.notes:
            return name
        return next(f"{name} {n}" for n in range(2, 10_000) if f"{name} {n}" not in self.notes)


@dataclass
class Subject:
    """What a builder made, as those who light and film it must know it.

    Attributes:
        centre: (x, y, z) in metres of what is to be seen.
        radius: Metres around the centre that the camera should take in, roughly.
        elevation: Lowest and highest angle of the camera above the horizon, in degrees.
        azimuth: Lowest and highest direction in which the camera stands, in degrees from -y (the front) towards +x.
        fill: Shares of the picture's height that the subject's diameter may take, from and to; above 1 for close-ups
            and for scenes that surround the camera.
        inside: Whether walls stand around: then the environment cannot light it, and lamps go near the subject.
        lights: Whether lamps may be added; False where the builder set its own.
        environments: Names of bundled environments that suit it; empty for any.
        depth_of_field: Whether a shallow focus suits it.
    """

    centre: tuple[float, float, float]
    radius: float
    elevation: tuple[float, float] = (5.0, 40.0)
    azimuth: tuple[float, float] = (-180.0, 180.0)
    fill: tuple[float, float] = (0.6, 1.4)
    inside: bool = False
    lights: bool = True
    environments: tuple[str, ...] = field(default=())
    depth_of_field: bool = True
