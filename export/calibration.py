"""Calibration: patches of a store, drawn as training draws them, to measure the range of every activation on.

Half of the draws go by intensity (see :mod:`model.sampling`): lights, and what they fall on, are few, and a range that
was measured without them cuts them off. For the same reason every second patch is exposed until its brightest pixel is
a light of up to several hundred, and a few single pixels are made such lights: plates hold them, rendered pairs hardly
do, and where they are cut off the correction beside them is wrong by tenths.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepupscale.errors import StoreError
from deepupscale.range_compression import RangeCompression
from deepupscale.resample import Float32
from model.sampling import Place, StoreSampler
from model.store import Store
from model.store_format import BEAUTY

PATCHES = 256  # to calibrate on
CHECKED = 8  # others, to verify with
SIDE = 48  # LR pixels
_IMPORTANCE = 0.5
_SEED = 20
_BRIGHTEST = 9.5  # stops above 1.0 that an exposed patch and a light in it may reach: 724, scene-linear
_LIGHTS = 2  # in every second patch
_TRIES = 50  # draws for each patch: a store with fewer places is too small
# A patch is looked at if half of it is lit at least so much: HDR-FLIP exposes the median to mid-grey, and black without
# end, so that a night sky shows differences that nobody will ever see.
_LIT = 1e-3
_CURVE = RangeCompression()


@dataclass(frozen=True)
class Calibration:
    """Patches of a store; no place is among both.

    Attributes:
        dataset: The store's id.
        patches: To measure ranges on: (1, 3, 48, 48) each, in the compressed range.
        others: To verify with, as they are in the store, mostly black ones left out: (48, 48, 3) each, scene-linear.
    """

    dataset: str
    patches: tuple[Float32, ...]
    others: tuple[Float32, ...]


def calibration(path: Path) -> Calibration:
    """Draw patches; the same ones of the same store.

    Args:
        path: The folder that ``deepupscale pack`` has made.

    Raises:
        StoreError: Not a store, a damaged one, or too small a one.
        MissingExtraError: LMDB is not installed.
    """
    rng = np.random.default_rng(_SEED)
    with Store(path) as store:
        sampler = StoreSampler(store, SIDE, _IMPORTANCE)
        places: set[Place] = set()
        linear: list[Float32] = []
        others: list[Float32] = []
        for _ in range(_TRIES * (PATCHES + CHECKED)):
            if (place := sampler.draw(rng)) in places:
                continue
            patch = store.crop(place.pair, place.y, place.x, SIDE).lr[BEAUTY].astype(np.float32)
            if len(linear) < PATCHES:
                linear.append(patch)
            elif np.median(patch.max(axis=2)) >= _LIT:
                others.append(patch)
            else:
                continue
            places.add(place)
            if len(others) == CHECKED:
                break
        else:
            raise StoreError(
                f"{path}: has fewer than {PATCHES} different patches and {CHECKED} others that are lit: "
                "calibrate on more pairs"
            )
        dataset = store.dataset
    chosen = [_exposed(patch, rng) if number % 2 else patch for number, patch in enumerate(linear)]
    return Calibration(
        dataset,
        tuple(np.ascontiguousarray(_CURVE.compress(patch).transpose(2, 0, 1))[np.newaxis] for patch in chosen),
        tuple(others),
    )


def _exposed(patch: Float32, rng: np.random.Generator) -> Float32:
    """Brought to a brightest pixel between 1.0 and 724, evenly in stops, with a few pixels of coloured light."""
    stops = np.float32(2.0 ** rng.uniform(0.0, _BRIGHTEST))
    exposed = patch * (stops / max(np.float32(1e-3), patch.max()))
    for _ in range(_LIGHTS):
        y, x = rng.integers(SIDE, size=2)
        exposed[y, x] = 2.0 ** rng.uniform(0.0, _BRIGHTEST) * rng.uniform(0.05, 1.0, 3)
    return exposed
