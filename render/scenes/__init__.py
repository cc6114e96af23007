"""A seeded generator of scenes: what is in them (a module a kind), what they are made of, how they are lit and filmed.

:data:`KINDS` names the kinds; the modules themselves need Blender and are imported by who builds.
"""

from __future__ import annotations

import numpy as np

# Kind to how often it stands in a round of kinds. Lettering is the paper's weak spot, so it comes twice.
KINDS = {
    "lettering": 2,
    "still_life": 2,
    "city": 1,
    "machine": 1,
    "interior": 1,
    "hair": 1,
    "cloth": 1,
    "foliage": 1,
    "terrain": 1,
    "creature": 1,
    "volumes": 1,
}


def kind_of(seed: int, index: int, kinds: tuple[str, ...] = tuple(KINDS)) -> str:
    """The kind of a scene: rounds that hold every kind as often as :data:`KINDS` says, each shuffled anew."""
    one_round = [kind for kind in kinds for _ in range(KINDS[kind])]
    number, place = divmod(index, len(one_round))
    return one_round[int(np.random.default_rng((seed, number, 1)).permutation(len(one_round))[place])]
