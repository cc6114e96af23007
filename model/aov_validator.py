"""How well a network guesses AOVs: on fixed crops of pairs that it never learns from, beside the best of constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from deepupscale.errors import StoreError
from deepupscale.fields import Kind
from deepupscale.range_compression import RangeCompression
from model.networks import AovFeatures
from model.networks.aov_features import Aovs, log_depth
from model.sampling import StoreSampler
from model.store import Store
from model.store_format import BEAUTY, FieldSpec

SIDE = 96  # LR pixels of a crop
_SEED = 20  # the crops are the same in every run on a store
_DRAWS = 64  # crops of the training pairs that the constants are the means of
_CURVE = RangeCompression()


class AovFields(NamedTuple):
    """Names of the three fields in a store."""

    albedo: str
    normal: str
    depth: str


# What they are called, by kind: the names of render-pairs first, then what studios use. Lower case.
_NAMES: Mapping[str, tuple[Kind, int, tuple[str, ...]]] = {
    "albedo": (Kind.COLOUR, 3, ("albedo", "diffuse_albedo", "diffcol")),
    "normal": (Kind.UNIT_VECTOR, 3, ("n", "normal", "normals")),
    "depth": (Kind.DISTANCE, 1, ("z", "depth")),
}


def aov_fields(store: Store) -> AovFields:
    """Where albedo, normal (camera space) and depth lie in a store.

    Raises:
        StoreError: One of them is not there.
    """
    found = {aov: _find(store.fields, *wanted) for aov, wanted in _NAMES.items()}
    if missing := [aov for aov, name in found.items() if name is None]:
        raise StoreError(
            f"{store.path}: has no {' and no '.join(missing)} (fields: {', '.join(f.name for f in store.fields)}): "
            "render pairs by deepupscale render-pairs --aovs albedo,normal,depth and pack them with "
            "deepupscale pack --aovs albedo,N,Z"
        )
    return AovFields(**{aov: name for aov, name in found.items() if name is not None})


def _find(fields: Sequence[FieldSpec], kind: Kind, channels: int, names: Sequence[str]) -> str | None:
    fit = {field.name.lower(): field.name for field in fields if field.kind is kind and len(field.channels) == channels}
    return next((fit[name] for name in names if name in fit), None)


def truth(planes: Mapping[str, Tensor], fields: AovFields) -> Aovs:
    """The labels of a batch out of its fields, (batch, channels, height, width) each, as the store has them."""
    return Aovs(planes[fields.albedo], planes[fields.normal], log_depth(planes[fields.depth]))


class AovErrors(NamedTuple):
    """One value for each pixel of some pictures that has a truth; a row each, float32.

    Attributes:
        albedo: Mean absolute difference of the three channels.
        angle: Between the normals, in degrees.
        log_depth: Absolute difference of log depth, after each picture's own mean difference is taken out.
    """

    albedo: Tensor
    angle: Tensor
    log_depth: Tensor


@torch.no_grad()
def aov_errors(guess: Aovs, truth: Aovs) -> AovErrors:
    """Errors by pixel; which pixels have a truth is as in :func:`~model.networks.aov_features.aov_loss`."""
    albedo, normal, depth = (g.float() for g in guess)
    known = torch.isfinite(truth.albedo).all(dim=1)
    albedo = (albedo - truth.albedo).abs().mean(dim=1)[known]

    length = truth.normal.norm(dim=1)
    cosine = (normal * truth.normal).sum(dim=1) / (normal.norm(dim=1) * length).clamp_min(1e-9)
    angle = torch.rad2deg(torch.acos(cosine.clamp(-1.0, 1.0)))[torch.isfinite(length) & (length > 0.1)]

    known = torch.isfinite(truth.log_depth)
    away = torch.where(known, depth - truth.log_depth, 0.0)
    offset = away.sum(dim=(1, 2, 3), keepdim=True) / known.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)
    return AovErrors(albedo, angle, (away - offset).abs()[known])


@dataclass(frozen=True)
class AovScores:
    """Means, and a median, over all pixels that have a truth; not-a-number where there is none.

    Attributes:
        albedo: L1, in units of reflectance.
        normal_mean: Angle in degrees.
        normal_median: Angle in degrees.
        log_depth: L1 of the natural logarithm, each picture's scale taken out: 0.1 is a depth wrong by 10 %.
    """

    albedo: float
    normal_mean: float
    normal_median: float
    log_depth: float

    @classmethod
    def of(cls, errors: Sequence[AovErrors]) -> AovScores:
        """Over several pictures."""
        albedo, angle, depth = (torch.cat(parts) for parts in zip(*errors, strict=True))
        median = float(angle.median()) if len(angle) else float("nan")
        return cls(float(albedo.mean()), float(angle.mean()), median, float(depth.mean()))

    def __str__(self) -> str:
        """For a line."""
        return (
            f"albedo L1 {self.albedo:.4f}, normal {self.normal_mean:.1f} degrees off in the mean and "
            f"{self.normal_median:.1f} in the median, log depth L1 {self.log_depth:.3f}"
        )

    def figures(self, of: str = "") -> dict[str, float]:
        """By the names that they are logged under."""
        return {
            f"albedo{of}": self.albedo,
            f"normal mean{of}": self.normal_mean,
            f"normal median{of}": self.normal_median,
            f"log depth{of}": self.log_depth,
        }


class AovValidator:
    """Scores a network on fixed crops.

    Args:
        store: Where the crops are cut from.
        fields: Of the three AOVs.
        learnt: Numbers of the pairs that are trained on.
        held: Numbers of those that are not.
        count: How many crops.
        least: Smallest side in LR pixels that a pair must have, as the patches of the training.

    Attributes:
        store, fields: As given.
        seen: Whether the crops come of pairs that are trained on, as no other is there.
        baseline: What constants score: the mean albedo and the mean normal of crops of the training pairs; the
            constant of log depth drops out with each picture's own.

    Raises:
        StoreError: No pair is large enough.
    """

    def __init__(
        self, store: Store, fields: AovFields, learnt: Sequence[int], held: Sequence[int], count: int, least: int
    ) -> None:
        fit = [number for number in held if min(store.pairs[number].size) >= least]
        self.seen = not fit
        self.store, self.fields = store, fields
        # A crop in this frame: the beauty compressed, (1, 3, height, width), and its labels.
        self._crops = list(self._cut(fit or learnt, count, least))
        means = [self._constants(labels) for _, labels in self._cut(learnt or fit, _DRAWS, least)]
        albedo, normal = (torch.stack(parts).nanmean(dim=0) for parts in zip(*means, strict=True))
        depth = torch.zeros(1)
        guess = Aovs(*(values.nan_to_num()[None, :, None, None] for values in (albedo, normal, depth)))
        self.baseline = AovScores.of([aov_errors(_spread(guess, labels), labels) for _, labels in self._crops])

    def score(self, network: AovFeatures, weights: Mapping[str, Tensor], device: torch.device) -> AovScores:
        """What these weights score, in float32; the network's own weights are not looked at."""
        errors: list[AovErrors] = []
        for beauty, labels in self._crops:
            with torch.inference_mode():
                guess = torch.func.functional_call(network, dict(weights), (beauty.to(device),))
            errors.append(aov_errors(Aovs(*(plane.cpu() for plane in guess)), labels))
        return AovScores.of(errors)

    def _cut(self, pairs: Sequence[int], count: int, least: int) -> Iterator[tuple[Tensor, Aovs]]:
        """Crops as the store has them, neither turned nor exposed."""
        side = min(SIDE, *(size for n in pairs if (size := min(self.store.pairs[n].size)) >= least), SIDE)
        sampler, rng = StoreSampler(self.store, side, pairs=pairs), np.random.default_rng(_SEED)
        for _ in range(count):
            place = sampler.draw(rng)
            planes = self.store.crop(place.pair, place.y, place.x, side, 0, (BEAUTY, *self.fields)).hr
            planes = {name: np.asarray(plane, np.float32) for name, plane in planes.items()}
            planes[BEAUTY] = _CURVE.compress(planes[BEAUTY])
            ready = {name: torch.from_numpy(plane).permute(2, 0, 1)[None] for name, plane in planes.items()}
            yield ready[BEAUTY], truth(ready, self.fields)

    @staticmethod
    def _constants(labels: Aovs) -> tuple[Tensor, Tensor]:
        """Mean albedo and mean normal of one crop; not-a-number where there is none."""
        normal = torch.where(labels.normal.norm(dim=1, keepdim=True) > 0.1, labels.normal, torch.nan)
        return labels.albedo.nanmean(dim=(0, 2, 3)), normal.nanmean(dim=(0, 2, 3))


def _spread(guess: Aovs, labels: Aovs) -> Aovs:
    return Aovs(*(plane.expand_as(like) for plane, like in zip(guess, labels, strict=True)))
