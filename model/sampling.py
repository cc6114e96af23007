"""Sampling: which pair, and where in it, by importance and by chance.

A place is drawn from a mixture over the *blocks* of all pairs, the squares of 32 HR pixels of the intensity tables:

    P(block) = importance * area * intensity / sum(area * intensity)
             + detail * area * missed / sum(area * missed)
             + (1 - importance - detail) * area / sum(area)

with the block's area in pixels, its mean compressed intensity T(max(R, G, B)), not below 0, and what interpolation
misses there on average; where a dataset has no light, or no detail, that share goes by area. Light sources and what
they fall on are few and matter, and so is what there is to learn from in soft pictures; patches of one sort alone would
bias the objective, hence the mixture. The crop's centre is uniform in the block, and the crop is then
moved into the frame.

Everything is drawn from (seed, step, index) alone: any worker may make any patch, and a run that goes on at a step
makes the patches that it would have made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepupscale.errors import StoreError
from model.augment import Augmentation, Float32
from model.store import Store
from model.store_format import BEAUTY, SQUARE, TABLES

Float64 = NDArray[np.float64]
_LR_SQUARE = SQUARE // 2
_WAYS = (*TABLES, "area")


@dataclass(frozen=True)
class Place:
    """A square of a pair: the pair's number, and its top left corner in LR pixels."""

    pair: int
    y: int
    x: int


class StoreSampler:
    """Draws places.

    Args:
        store: Where the pairs are. Kept; pickled as its path.
        side: Side of the squares in LR pixels. Pairs that are smaller are never drawn.
        importance: Share of draws that go by intensity, 0 to 1.
        detail: Share of draws that go by what interpolation misses; with the other at most 1.
        pairs: Numbers of the pairs to draw from; all if left out.

    Attributes:
        left_out: How many of these pairs are too small.

    Raises:
        ValueError: A side or share that cannot be meant.
        StoreError: Every pair is too small, or there is none.
    """

    def __init__(
        self,
        store: Store,
        side: int,
        importance: float = 0.5,
        detail: float = 0.0,
        pairs: Sequence[int] | None = None,
    ) -> None:
        if side < 1 or min(importance, detail) < 0.0 or importance + detail > 1.0:
            raise ValueError(
                f"side must be at least 1, importance and detail at least 0 and together at most 1, got {side}, "
                f"{importance} and {detail}"
            )
        self.store = store
        self.side = side
        asked = range(len(store)) if pairs is None else sorted(set(pairs))
        self._numbers = [number for number in asked if min(store.pairs[number].size) >= side]
        self.left_out = len(asked) - len(self._numbers)
        if not self._numbers:
            raise StoreError(f"{store.path}: of {len(asked)} pairs none has {side} LR pixels a side")
        weights = (self._weights(number) for number in self._numbers)
        sums = [[float(each[way].sum()) for way in _WAYS] for each in weights]
        self._sums: dict[str, Float64] = {way: np.array(sums)[:, column] for column, way in enumerate(_WAYS)}
        self._shares: dict[str, float] = {"intensity": importance, "detail": detail}
        for way in TABLES:
            if not self._sums[way].sum() > 0.0:
                self._shares[way] = 0.0
        self._shares["area"] = 1.0 - sum(self._shares.values())

    def probability(self, pair: int) -> Float64:
        """Probability of each block of a pair, row by row; over all pairs they sum to 1."""
        weights = self._weights(pair)
        if pair not in self._numbers:
            return np.zeros_like(weights["area"])
        ways = [way for way in _WAYS if self._shares[way] > 0.0]
        return sum((self._shares[way] * weights[way] / self._sums[way].sum() for way in ways), np.zeros(()))

    def draw(self, rng: np.random.Generator) -> Place:
        """One place."""
        chance = rng.random()
        way = "area"
        for name in TABLES:
            if chance < self._shares[name]:
                way = name
                break
            chance -= self._shares[name]
        number = self._numbers[_choose(self._sums[way], rng)]
        weights = self._weights(number)[way]
        row, column = divmod(_choose(weights.ravel(), rng), weights.shape[1])
        width, height = self.store.pairs[number].size
        y, x = (
            int(rng.integers(_LR_SQUARE * at, min(_LR_SQUARE * (at + 1), length))) - self.side // 2
            for at, length in ((row, height), (column, width))
        )
        return Place(number, min(max(y, 0), height - self.side), min(max(x, 0), width - self.side))

    def _weights(self, number: int) -> dict[str, Float64]:
        """Per block of a pair: area times intensity, area times what is missed, and area, in HR pixels."""
        height, width = self.store.pairs[number].shape("hr")
        sides = [np.minimum(SQUARE, length - SQUARE * np.arange(-(-length // SQUARE))) for length in (height, width)]
        areas = np.outer(*sides).astype(np.float64)
        weights: dict[str, Float64] = {"area": areas}
        for name in TABLES:
            weights[name] = np.maximum(self.store.table(number, name).astype(np.float64), 0.0) * areas
        return weights


def split(store: Store, held_out: float) -> tuple[list[int], list[int]]:
    """Numbers of the pairs to train on, and of those to hold out.

    What is held out follows from the pairs' names alone, so a pair stays on its side when the store grows. Frames of
    one scene or shot (``scene00003.0012``, ``scene00003.0013``) stay together: they show nearly the same.

    Args:
        store: Where the pairs are.
        held_out: Expected share of scenes, 0 to 1.
    """
    kept: list[int] = []
    held: list[int] = []
    for number, pair in enumerate(store.pairs):
        (held if is_held_out(pair.name, held_out) else kept).append(number)
    return kept, held


def is_held_out(pair: str, share: float) -> bool:
    """Whether :func:`split` holds out the pair of this name."""
    place = int.from_bytes(hashlib.sha256(shot_of(pair)[0].encode()).digest()[:8], "big") / 2.0**64
    return place < share


def shot_of(pair: str) -> tuple[str, int | None]:
    """A pair's scene or shot and its frame: ``scene00003.0012`` is frame 12 of scene00003.

    What made its LR, as in ``photo.0012@box``, is no part of either: pairs of one picture belong together.
    """
    picture = pair.partition("@")[0] or pair
    match = re.fullmatch(r"(.*?)[._-]?(\d+)", picture)
    return (match[1] or picture, int(match[2])) if match else (picture, None)


def _choose(weights: Float64, rng: np.random.Generator) -> int:
    """An index, by weight; never one of no weight."""
    sums = np.cumsum(weights)
    at = min(rng.random() * sums[-1], np.nextafter(sums[-1], 0.0))  # the product may round up to the sum
    return int(np.searchsorted(sums, at, side="right"))


class StorePatches:
    """Augmented patches by number: patch ``step * batch + index`` is the same in any process and any run.

    A map without an end, in the form that data loaders take (``patches[number]``); nothing in it needs torch.

    Args:
        sampler: Draws the places.
        augmentation: Drawn from once a patch.
        seed: Of the run.
        batch: Patches a step.
        context: LR pixels around the LR patch.
        fields: What to read.
    """

    def __init__(
        self,
        sampler: StoreSampler,
        augmentation: Augmentation,
        seed: int,
        batch: int,
        context: int = 0,
        fields: Sequence[str] = (BEAUTY,),
    ) -> None:
        self.sampler = sampler
        self.augmentation = augmentation
        self.seed, self.batch, self.context, self.fields = seed, batch, context, tuple(fields)

    def __getitem__(self, number: int) -> tuple[dict[str, Float32], dict[str, Float32]]:
        """One patch.

        Returns:
            LR, field name to (side + 2 context, side + 2 context, channels), and HR, (2 side, 2 side, channels);
            float32, the beauty in the compressed range.
        """
        rng = np.random.default_rng([self.seed, *divmod(number, self.batch)])
        place = self.sampler.draw(rng)
        crop = self.sampler.store.crop(place.pair, place.y, place.x, self.sampler.side, self.context, self.fields)
        return self.augmentation.draw(rng).apply(crop.lr, crop.hr, crop.kinds)

    def step(self, step: int) -> tuple[dict[str, Float32], dict[str, Float32]]:
        """All patches of a step, stacked in front: (batch, height, width, channels)."""
        made = [self[number] for number in range(step * self.batch, (step + 1) * self.batch)]
        lr, hr = ({name: np.stack([each[level][name] for each in made]) for name in self.fields} for level in (0, 1))
        return lr, hr
