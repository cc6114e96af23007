"""Procedural materials by family; each is seeded and has detail at several scales."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from render.blender import Shader
from render.scenes import materials_hard as hard
from render.scenes import materials_soft as soft
from render.scenes.patterns import BUMP_FILTER, Surface
from render.scenes.stage import Stage

__all__ = ["BUMP_FILTER", "FAMILIES", "draw"]

FAMILIES: dict[str, Callable[[Stage, float], Surface]] = {
    "metal": hard.metal,
    "glass": hard.glass,
    "plastic": hard.plastic,
    "painted": hard.painted,
    "stone": hard.stone,
    "concrete": hard.concrete,
    "brick": hard.brick,
    "tile": hard.tile,
    "ceramic": hard.ceramic,
    "car paint": hard.car_paint,
    "foil": hard.foil,
    "wood": soft.wood,
    "fabric": soft.fabric,
    "leather": soft.leather,
    "skin": soft.skin,
    "foliage": soft.foliage,
    "wax": soft.wax,
    "soil": soft.soil,
    "printed": soft.printed,
    "emission": soft.emission,
}


def draw(stage: Stage, families: Sequence[str] | None = None, size: float = 1.0) -> Shader:
    """A material of one of the families (None: any that does not glow) for a thing that is size metres across."""
    dark = tuple(name for name in FAMILIES if name != "emission")
    return FAMILIES[stage.choose("material", tuple(families or dark))](stage, size)
