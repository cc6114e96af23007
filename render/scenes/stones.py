"""Rock and loose stones."""

import numpy as np

from render.blender import Shader
from render.scenes.shapes import UP, Noise, hue, scatter, sheet, tone, unit
from render.scenes.stage import Stage

ROCKS = {
    "granite": ((0.3, 0.27, 0.25), (0.1, 0.095, 0.1)),
    "basalt": ((0.075, 0.07, 0.07), (0.02, 0.02, 0.023)),
    "sandstone": ((0.5, 0.24, 0.11), (0.28, 0.1, 0.05)),
    "limestone": ((0.55, 0.5, 0.42), (0.25, 0.22, 0.18)),
    "slate": ((0.13, 0.15, 0.17), (0.05, 0.055, 0.07)),
    "ochre": ((0.4, 0.27, 0.11), (0.15, 0.075, 0.03)),
}


def rock_shader(stage: Stage, size: float, kind: str | None = None, name: str = "rock") -> Shader:
    """Rock for a view size metres across: speckle, strata, stains on what faces up, lichen."""
    light, dark = ROCKS[kind or stage.choose(name, tuple(ROCKS))]
    shader = Shader(name, light, stage.uniform(f"{name} roughness", 0.55, 0.95))
    broad, fine = shader.noise(4.0 / size, 8.0), shader.noise(120.0 / size, 6.0)
    base = shader.colour(shader.add("MapRange", broad, 0.38, 0.64), light, dark)
    base = shader.colour(shader.add("MapRange", fine, 0.4, 0.75), base, tone(light, 1.35))
    specks = shader.add("TexVoronoi", Vector=shader.where, Scale=260.0 / size, out="Color")
    base = shader.colour(shader.math("GREATER_THAN", shader.add("SeparateXYZ", specks), 0.86), base, tone(dark, 0.5))
    up = shader.add("SeparateXYZ", shader.add("NewGeometry", out="Normal"), out="Z")
    dusty = shader.math("MULTIPLY", shader.add("MapRange", up, 0.45, 0.9), stage.uniform(f"{name} dust", 0.0, 0.8))
    base = shader.colour(shader.math("MULTIPLY", dusty, broad), base, tone(np.add(light, 0.08), 1.1))
    if stage.happens(f"{name} lichen", 0.35):
        patch = shader.add("TexNoise", Vector=shader.where, Scale=14.0 / size, Detail=9.0, Roughness=0.75)
        shader.colour(
            shader.add("MapRange", patch, 0.57, 0.63), base, hue(stage.uniform("lichen hue", 0.1, 0.4), 0.7, 0.35)
        )
    shader.bump(shader.math("ADD", fine, shader.noise(420.0 / size, 5.0)), 0.012 * size, 0.5)
    return shader


def stone(stage: Stage, shader: Shader, jagged: float):
    """A stone about 1 across; jagged: 0 for one rolled by water, 1 for a fresh break."""
    rng, noise = stage.rng, Noise(stage.rng)
    theta, phi = np.meshgrid(np.linspace(0.02, np.pi - 0.02, 44), np.arange(64) * 2.0 * np.pi / 64, indexing="ij")
    way = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    faces = unit(rng.normal(size=(16, 3)))
    sharp = 5.0 + 45.0 * jagged
    reach = (np.maximum(way @ faces.T, 0.0) / rng.uniform(0.6, 1.0, 16)) ** sharp
    radius = 0.42 / np.maximum(reach.sum(-1), 1e-9) ** (1.0 / sharp)
    radius = np.minimum(radius, 0.62) * (1.0 + (0.03 + 0.06 * jagged) * noise.fractal(way * 2.2, 5))
    points = way * radius[..., None] * rng.uniform(0.55, 1.0, 3) * (1.0, 1.0, 0.7)
    return sheet("stone", points[::-1], shader, around=True)


def strew(stage: Stage, shader: Shader, points, low: float, high: float, jagged: float, kinds: int = 4) -> None:
    """Stones of several shapes at points, more small than large; low, high: metres."""
    rng = stage.rng
    for part in np.array_split(rng.permutation(len(points)), kinds):
        sizes = np.minimum(low * (1.0 + rng.pareto(2.2, len(part))), high)
        angles = np.column_stack([rng.normal(0.0, 0.35, (len(part), 2)), rng.uniform(0.0, 6.3, len(part))])
        at = points[part] + (0.12 * sizes)[:, None] * UP
        scatter("stones", stone(stage, shader, jagged), at, angles, sizes)
