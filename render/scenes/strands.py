"""Hair as such: its shader, how it grows and how it clumps."""

import numpy as np

from render.blender import Shader
from render.scenes.shapes import UP, across, hue, tone, unit
from render.scenes.stage import Stage


def hair_shader(stage: Stage, name: str = "hair", dyed: float = 0.2, pattern: bool = False) -> Shader:
    """Hair by melanin or by dye; pattern: the strands' tint turns it from light to dark."""
    shader = Shader(name, (0.0, 0.0, 0.0), 0.5)
    kind = "COLOR" if stage.happens(f"{name} dyed", dyed) else "MELANIN"
    bsdf = shader.nodes.new("ShaderNodeBsdfHairPrincipled")
    bsdf.parametrization = kind
    bsdf.inputs["Roughness"].default_value = stage.uniform(f"{name} roughness", 0.2, 0.45)
    bsdf.inputs["Random Roughness"].default_value = 0.2
    light, dark = stage.uniform(f"{name} melanin", 0.05, 0.4), stage.uniform(f"{name} dark melanin", 0.5, 1.0)
    tint = shader.add("Attribute", out="Fac", settings={"attribute_name": "tint"})
    if kind == "COLOR":
        colour = hue(stage.uniform(f"{name} hue", 0.0, 1.0), stage.uniform(f"{name} saturation", 0.2, 0.85), 0.4)
        mixed = shader.add("MixRGB", tint, (*colour, 1.0), (*tone(colour, 0.15), 1.0))
        shader.links.new(mixed, bsdf.inputs["Color"])
    else:
        even = stage.uniform(f"{name} even melanin", 0.7 if name == "lash" else 0.1, 0.98)
        pigment = shader.add("MapRange", tint, 0.0, 1.0, *((light, dark) if pattern else (even, even)))
        shader.links.new(pigment, bsdf.inputs["Melanin"])
        bsdf.inputs["Melanin Redness"].default_value = stage.uniform(f"{name} redness", 0.0, 1.0)
        bsdf.inputs["Random Color"].default_value = 0.25
    shader.links.new(bsdf.outputs[0], shader.nodes["Material Output"].inputs["Surface"])
    return shader


def grow(rng, roots, heading, length, steps: int, gravity: float, frizz: float, curl: float = 0.0) -> np.ndarray:
    """Strands (count, steps, 3) from roots; gravity and frizz: shares of the length; curl: its radius in metres."""
    count, t = len(roots), np.linspace(0.0, 1.0, steps)[None, :, None]
    length = np.broadcast_to(length, (count,))[:, None, None]
    path = roots[:, None] + length * (t * unit(heading)[:, None] - gravity * t**2 * UP)
    wander = np.cumsum(rng.normal(0.0, 1.0, (count, steps, 3)), axis=1) * steps**-0.5
    path = path + frizz * length * t * (wander + rng.normal(0.0, 0.6, (count, 1, 3)))
    if curl:
        side, other = across(unit(heading))
        phase = rng.uniform(0.0, 6.3, (count, 1, 1)) + 2.0 * np.pi * length * t / (7.0 * curl)
        path = path + curl * np.minimum(4.0 * t, 1.0) * (np.cos(phase) * side[:, None] + np.sin(phase) * other[:, None])
    return path


def clump(rng, path: np.ndarray, locks: int, strength: float) -> np.ndarray:
    """Strands drawn towards the nearest of some of them, more so at their tips."""
    leaders = rng.choice(len(path), locks, replace=False)
    roots = path[:, 0].astype(np.float32)
    near = np.concatenate([
        np.argmin(((part[:, None] - roots[leaders][None]) ** 2).sum(-1), axis=1)
        for part in np.array_split(roots, max(len(roots) // 2000, 1))
    ])  # fmt: skip
    lead = path[leaders][near]
    offset = lead[:, :1] - path[:, :1]
    t = np.linspace(0.0, 1.0, path.shape[1])[None, :, None]
    pull = strength * t**1.3 * rng.uniform(0.6, 1.0, (len(path), 1, 1))
    return path + pull * (lead - path - 0.15 * offset)
