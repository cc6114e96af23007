"""Skin that light enters, and bodies whose skin is made fine enough for pores and wrinkles."""

import numpy as np

from render.blender import Shader
from render.scenes.shapes import finer, settle, skin, slope, tone, unit
from render.scenes.stage import Stage


def skin_shader(stage: Stage, colour, size: float, wet: float = 0.0) -> Shader:
    """Skin of a thing size metres across: mottled, veined and pored; the mesh's `blush` reddens it."""
    rough = stage.uniform("skin roughness", 0.35, 0.6)
    shader = Shader("skin", colour, rough, Subsurface_Weight=0.3, Subsurface_Scale=0.02 * size,
                    Coat_Weight=wet, Coat_Roughness=0.08)  # fmt: skip
    shader.bsdf.inputs["Subsurface Radius"].default_value = (1.0, 0.35, 0.2)
    mottle = shader.add("MapRange", shader.noise(9.0 / size, 7.0), 0.38, 0.66)
    base = shader.colour(mottle, colour, tone(np.array(colour) * (0.85, 0.62, 0.6), 1.0))
    veins = shader.add("TexNoise", Vector=shader.where, Scale=5.0 / size, Detail=4.0, Distortion=1.5)
    thin = shader.math("LESS_THAN", shader.math("ABSOLUTE", shader.math("SUBTRACT", veins, 0.5), 0.0), 0.012)
    base = shader.colour(shader.math("MULTIPLY", thin, 0.25), base, tone(np.array(colour) * (0.5, 0.6, 0.9), 1.0))
    freckles = shader.add("TexVoronoi", Vector=shader.where, Scale=45.0 / size, Randomness=1.0)
    spots = shader.math("MULTIPLY", shader.math("LESS_THAN", freckles, 0.14), stage.uniform("freckles", 0.0, 0.7))
    base = shader.colour(spots, base, tone(np.array(colour) * (0.6, 0.42, 0.35), 1.0))
    blush = shader.add("Attribute", out="Fac", settings={"attribute_name": "blush"})
    shader.colour(shader.math("MULTIPLY", blush, 0.8), base, tone(np.array(colour) * (1.0, 0.4, 0.4), 0.9))
    pores = shader.add("TexVoronoi", Vector=shader.where, Scale=220.0 / size)
    relief = shader.math("ADD", shader.math("MULTIPLY", pores, 0.7), shader.noise(300.0 / size, 3.0))
    shader.bump(relief, 0.0022 * size, 0.5)
    return shader


def body(field, low, high, step: float, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, quads and normals of a field's skin, made finer and set back on it; step: metres before that."""
    vertices, quads = skin(field, low, high, step)
    for _ in range(levels):
        vertices, quads = finer(vertices, quads)
    vertices = settle(field, vertices.astype(np.float32), step / 4.0, rounds=1)
    return vertices, quads, unit(slope(field, vertices, 0.2 * step))


def complexion(stage: Stage) -> tuple[float, float, float]:
    """The colour of a skin, of this world or another."""
    kind = stage.choose("complexion", ("light", "brown", "dark", "green", "blue", "grey"), (2, 2, 2, 1, 1, 1))
    base = {"light": (0.6, 0.33, 0.23), "brown": (0.3, 0.14, 0.08), "dark": (0.09, 0.045, 0.03),
            "green": (0.16, 0.25, 0.09),
            "blue": (0.15, 0.24, 0.36), "grey": (0.28, 0.25, 0.24)}[kind]  # fmt: skip
    return tone(base, stage.uniform("lightness", 0.75, 1.25))
