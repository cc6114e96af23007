"""Land and sea in relief: rocks, dunes, snow, cracked mud, layered cliffs, pebbles, waves, craters and scree."""

import numpy as np

from render.blender import Shader
from render.scenes.sea import OUTDOORS, sea
from render.scenes.shapes import (
    UP,
    Noise,
    cells,
    daylight,
    hue,
    plane,
    sheet,
    strands,
    surface,
    tone,
    unit,
    weave_quads,
)
from render.scenes.stage import Stage, Subject
from render.scenes.stones import ROCKS, rock_shader, strew

SIDE = 760  # grid points along a side, closer together in the middle


# ---- parts


def field(size: float, focus: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a square grid; focus: how much finer than even it is in the middle."""
    x, y = plane((2.0, 2.0), (SIDE, SIDE))
    return tuple(0.5 * size * (focus * s + (1.0 - focus) * s**3) for s in (x, y))


def on(x, y, z, count: int, reach: float, rng: np.random.Generator) -> np.ndarray:
    """Points of the grid, count of them within reach metres of the middle, jittered in its plane."""
    column = x[:, 0]
    spots = rng.uniform(-reach, reach, (count, 2))
    i, j = (np.clip(np.searchsorted(column, spots[:, k]), 1, SIDE - 1) for k in (0, 1))
    return np.column_stack([spots, z[i, j]])


def land(name: str, x, y, z, shader: Shader, **values):
    return sheet(name, np.stack([x, y, z], axis=-1), shader, **values)


# ---- the kinds


def rocks(stage: Stage) -> Subject:
    """Bare rock and scree, from a ledge to a mountainside."""
    size = stage.log_uniform("size", 4.0, 60.0)
    x, y = field(size)
    noise, spot = Noise(stage.rng), np.stack([x, y], axis=-1) * 5.0 / size
    bent = spot + 0.35 * np.stack([noise(spot * 0.8 + 3.0), noise(spot * 0.8 + 9.0)], axis=-1)
    crags = noise.fractal(bent, 9, gain=stage.uniform("rough", 0.42, 0.55), ridged=True) - 1.0
    steps = stage.uniform("terraces", 0.0, 0.8)
    level = crags * stage.uniform("steps", 4.0, 9.0)
    shelf = (
        (np.floor(level) + np.clip((level % 1.0 - 0.3) / 0.4, 0.0, 1.0))
        / np.maximum(np.abs(level), 1e-3)
        * np.abs(crags)
    )
    crags = crags + steps * (shelf - crags) * 0.8
    z = size * stage.uniform("relief", 0.06, 0.14) * crags + 0.002 * size * noise.fractal(spot * 25.0, 4)
    shader = rock_shader(stage, 0.25 * size)
    land("rock", x, y, z, shader)
    strew(
        stage,
        shader,
        on(x, y, z, 1800, 0.35 * size, stage.rng),
        0.004 * size,
        0.05 * size,
        stage.uniform("jagged", 0.4, 1.0),
    )
    daylight(stage, 8.0, 45.0)
    return Subject(
        (0.0, 0.0, float(z[380, 380])), 0.16 * size, (12.0, 40.0), fill=(0.7, 1.5), lights=False, environments=OUTDOORS
    )


def dunes(stage: Stage) -> Subject:
    """Dunes with ripples that the wind left."""
    size = 30.0
    x, y = field(size)
    noise, spot = Noise(stage.rng), np.stack([x, y], axis=-1)
    warp = noise(spot * 0.12) * 2.5 + 0.6 * noise(spot * 0.35 + 5.0)
    phase = (y * 0.9 + 0.3 * x + warp * 1.6) / stage.uniform("dune", 7.0, 13.0) % 1.0
    crest = np.where(phase < 0.72, (phase / 0.72) ** 1.6, ((1.0 - phase) / 0.28) ** 1.05)
    z = stage.uniform("tall", 0.6, 1.6) * crest * (1.0 + 0.5 * noise(spot * 0.1 + 20.0))
    across = y + 0.25 * noise(spot * 0.9 + 11.0) + 0.1 * noise(spot * 2.3)
    wave = (across + 0.15 * x) / stage.uniform("ripple", 0.07, 0.16) % 1.0
    ripple = np.where(wave < 0.7, wave / 0.7, (1.0 - wave) / 0.3)
    near = np.exp(-((np.hypot(x, y) / 6.5) ** 4))
    z = z + stage.uniform("ripple height", 0.01, 0.022) * near * ripple * np.clip((0.74 - phase) * 12.0, 0.0, 1.0) * (
        0.7 + 0.5 * noise(spot * 0.7)
    )
    sand = stage.choose(
        "sand", ((0.5, 0.3, 0.15), (0.62, 0.5, 0.35), (0.36, 0.15, 0.07), (0.7, 0.68, 0.63), (0.06, 0.055, 0.055))
    )
    shader = Shader("sand", sand, 0.85)
    grains = shader.add("TexNoise", Vector=shader.where, Scale=900.0, Detail=2.0)
    base = shader.colour(shader.add("MapRange", shader.noise(1.5, 5.0), 0.35, 0.65), sand, tone(sand, 0.7))
    shader.colour(shader.add("MapRange", grains, 0.4, 0.8), base, tone(sand, 1.5))
    shader.bump(shader.math("ADD", grains, shader.noise(90.0, 3.0)), 0.004, 0.5)
    land("dune", x, y, z, shader)
    if stage.happens("stones", 0.4):
        strew(stage, rock_shader(stage, 0.3), on(x, y, z, 120, 4.0, stage.rng), 0.02, 0.2, 0.6)
    daylight(stage, 4.0, 30.0)
    return Subject(
        (0.0, 0.0, float(z[380, 380])),
        2.0,
        (10.0, 35.0),
        fill=(0.7, 1.8),
        lights=False,
        environments=("courtyard", "sunrise", "sunset"),
    )


def snow(stage: Stage) -> Subject:
    """Snow with drifts, glints and tracks, grasses standing out of it."""
    size, rng = 12.0, stage.rng
    x, y = field(size)
    noise, spot = Noise(rng), np.stack([x, y], axis=-1)
    z = 0.25 * noise.fractal(spot * 0.35, 4, gain=0.35)
    sastrugi = noise.fractal(spot * (0.8, 5.0) + 0.6 * noise(spot)[..., None], 4, ridged=True)
    z = z + stage.uniform("sastrugi", 0.015, 0.07) * sastrugi + 0.004 * noise.fractal(spot * 14.0, 4)
    path = stage.uniform("track", -1.0, 1.0)
    for k in range(26 if stage.happens("footprints", 0.6) else 0):
        at = np.array((-4.0 + 0.34 * k, path + 0.3 * np.sin(0.5 * k) + 0.09 * (-1) ** k))
        box = np.abs(spot - at).max(-1) < 0.45
        ox, oy = (spot[box] - at).T
        off = np.hypot(ox / 0.15, oy / 0.06) + 0.15 * noise(spot[box] * 9.0)
        z[box] -= 0.07 * np.clip(1.25 - off, 0.0, 0.4) / 0.4 - 0.015 * np.exp(-(((off - 1.35) / 0.18) ** 2))
    shader = Shader("snow", (0.82, 0.85, 0.9), 0.5, Subsurface_Weight=0.25, Subsurface_Scale=0.02)
    shader.bsdf.inputs["Subsurface Radius"].default_value = (0.6, 0.8, 1.0)
    flakes = shader.add("TexVoronoi", Vector=shader.where, Scale=420.0, out="Color")
    glint = shader.math("GREATER_THAN", shader.add("SeparateXYZ", flakes), 0.97)
    shader.links.new(shader.math("SUBTRACT", 0.6, shader.math("MULTIPLY", glint, 0.5)), shader.bsdf.inputs["Roughness"])
    shader.bump(shader.math("ADD", shader.add("SeparateXYZ", flakes, out="Y"), shader.noise(60.0, 6.0)), 0.004, 0.5)
    land("snow", x, y, z, shader)
    count, t = stage.integer("grasses", 0, 700), np.linspace(0.0, 1.0, 9)[None, :, None]
    feet = on(x, y, z, count, 2.5, rng)[:, None]
    bend = rng.normal(0.0, 0.12, (count, 1, 3)) * (1.0, 1.0, 0.0)
    tall = rng.uniform(0.08, 0.4, (count, 1, 1))
    straw = Shader("straw", (0.3, 0.2, 0.09), 0.6)
    if count:
        strands("grasses", feet + tall * t * UP + bend * t**2, 0.0012 * (1.0 - 0.8 * t[..., 0]), straw)
    if stage.happens("stones", 0.5):
        strew(stage, rock_shader(stage, 0.5), on(x, y, z, 60, 3.0, rng), 0.05, 0.7, 0.7)
    daylight(stage, 5.0, 30.0)
    return Subject(
        (0.0, 0.0, float(z[380, 380])), 0.9, (10.0, 40.0), fill=(0.7, 1.8), lights=False, environments=OUTDOORS
    )


def mud(stage: Stage) -> Subject:
    """Mud that dried and cracked into curling plates."""
    size, rng = 2.4, stage.rng
    x, y = field(size, 0.35)
    noise, spot = Noise(rng), np.stack([x, y], axis=-1)
    plate = stage.uniform("plate", 0.06, 0.14)
    bent = spot / plate + 0.12 * np.stack([noise(spot * 25.0), noise(spot * 25.0 + 7.0)], axis=-1)
    near, border, tag = cells(bent, rng)
    fine = cells(bent * 2.7, rng)[1]
    gap = stage.uniform("gap", 0.04, 0.12)
    wall, hair_crack = np.clip(border / gap, 0.0, 1.0), np.clip(fine / 0.05, 0.0, 1.0)
    curl = stage.uniform("curl", 0.0, 0.5) * near**2
    z = plate * (0.35 * wall**0.6 + 0.4 * curl * wall + 0.05 * tag - 0.02 * (1.0 - hair_crack) * wall)
    z = z + 0.01 * noise.fractal(spot * 2.0, 3) + 0.0012 * noise.fractal(spot * 60.0, 4)
    clay = stage.choose("clay", ((0.33, 0.25, 0.18), (0.22, 0.19, 0.17), (0.4, 0.2, 0.11), (0.5, 0.45, 0.37)))
    shader = Shader("mud", clay, stage.uniform("mud roughness", 0.4, 0.95))
    part, deep = (shader.add("Attribute", out="Fac", settings={"attribute_name": a}) for a in ("tag", "wall"))
    base = shader.colour(part, tone(clay, 0.75), tone(clay, 1.2))
    base = shader.colour(shader.add("MapRange", shader.noise(40.0, 8.0), 0.4, 0.7), base, tone(clay, 0.6))
    shader.colour(deep, tone(clay, 0.12), base)
    shader.bump(shader.noise(400.0, 6.0), 0.003, 0.5)
    land("mud", x, y, z, shader, tag=tag, wall=wall)
    strew(stage, rock_shader(stage, 0.05), on(x, y, z, stage.integer("gravel", 0, 500), 0.7, rng), 0.003, 0.04, 0.5)
    daylight(stage, 6.0, 40.0)
    return Subject((0.0, 0.0, 0.03), 0.28, (14.0, 60.0), fill=(0.8, 2.0), lights=False, environments=OUTDOORS)


def cliff(stage: Stage) -> Subject:
    """A cliff of worn layers, or a bluff of columns."""
    size = stage.log_uniform("size", 3.0, 30.0)
    x, z = field(size, 0.4)
    noise, spot = Noise(stage.rng), np.stack([x, z], axis=-1) * 6.0 / size
    kind = stage.choose("cliff", ("layers", "columns", "honeycomb"))
    dip = stage.uniform("dip", -0.25, 0.25)
    depth = 0.5 * noise.fractal(spot * 0.5, 6, ridged=True)
    bed = spot[..., 1] + dip * spot[..., 0] + 0.12 * noise.fractal(spot * 0.6, 4)
    beds = noise.fractal(np.stack([bed * 3.0, 0.05 * spot[..., 0]], axis=-1), 6, gain=0.6)
    if kind == "layers":
        depth = 0.35 * depth + 0.3 * np.tanh(2.5 * beds) + 0.05 * noise.fractal(spot * 4.0, 5, ridged=True)
    elif kind == "columns":
        near, border, tag = cells(
            np.stack(
                [spot[..., 0] * 3.0 + 0.05 * bed, np.floor(0.5 * bed + 3.0 * noise(spot * (2.0, 0.0))) * 7.0], axis=-1
            ),
            stage.rng,
        )
        depth = 0.35 * depth + 0.35 * tag + 0.15 * np.minimum(border * 2.0, 0.4) + 0.03 * noise.fractal(spot * 5.0, 5)
    else:
        near, _, _ = cells(spot * 3.0 + 0.3 * noise.fractal(spot * 3.0, 3)[..., None], stage.rng)
        hollow = np.clip(noise(spot * 0.7 + 4.0) + 0.4, 0.0, 1.0)
        depth = (
            0.4 * depth
            + 0.15 * beds
            - 0.3 * hollow * np.clip(0.5 - near, 0.0, 0.3) / 0.3
            + 0.02 * noise.fractal(spot * 8.0, 4)
        )
    shader = rock_shader(
        stage, 0.2 * size, stage.choose("rock", ("sandstone", "ochre", "limestone", "basalt", "slate"), (3, 2, 1, 1, 1))
    )
    band = shader.add("Attribute", out="Fac", settings={"attribute_name": "bed"})
    stripe = shader.add("MapRange", band, -0.25, 0.35)
    socket = shader.bsdf.inputs["Base Color"].links[0].from_socket
    shader.colour(
        shader.math("MULTIPLY", stripe, 0.75),
        socket,
        hue(stage.uniform("bed hue", 0.0, 0.12), 0.6, stage.uniform("bed lightness", 0.05, 0.6)),
    )
    points = np.stack([x, -depth * size * 0.14, z], axis=-1)
    sheet("cliff", points, shader, bed=beds)
    daylight(stage, 15.0, 50.0).rotation_euler[2] = np.radians(stage.uniform("sun side", -75.0, 75.0))
    return Subject(
        (0.0, -0.05 * size, 0.0),
        0.17 * size,
        (-15.0, 15.0),
        (-35.0, 35.0),
        (0.7, 1.6),
        lights=False,
        environments=OUTDOORS,
    )


def pebbles(stage: Stage) -> Subject:
    """A beach of pebbles, dry or wet, of one rock or several."""
    rng, size = stage.rng, stage.log_uniform("pebble", 0.012, 0.05)
    x, y = field(120.0 * size, 0.4)
    noise, spot = Noise(rng), np.stack([x, y], axis=-1) / (20.0 * size)
    z = 2.0 * size * noise.fractal(spot, 3)
    wet, jagged = stage.choose("wet", (0.0, 1.0)), stage.choose("jagged", (0.0, 0.0, 0.8))
    land("bed", x, y, z, rock_shader(stage, 4.0 * size, "slate"))
    for _ in range(stage.integer("kinds of rock", 2, 4)):
        shader = rock_shader(stage, stage.uniform("speckle", 1.0, 6.0))
        shader.bsdf.inputs["Coat Weight"].default_value, shader.bsdf.inputs["Coat Roughness"].default_value = wet, 0.06
        chance = shader.add("ObjectInfo", out="Random")
        socket = shader.bsdf.inputs["Base Color"].links[0].from_socket
        light = stage.choose(
            "tint", ((0.5, 0.45, 0.38), (0.3, 0.1, 0.07), (0.05, 0.06, 0.07), (0.6, 0.58, 0.53), (0.2, 0.24, 0.2))
        )
        shader.colour(shader.math("MULTIPLY", chance, 0.85), socket, tone(light, 0.5 if wet else 1.0))
        shader.nodes["Bump"].inputs["Distance"].default_value = 0.01
        strew(stage, shader, on(x, y, z, 2600, 26.0 * size, rng), size, 7.0 * size, jagged)
    daylight(stage, 10.0, 50.0)
    return Subject((0.0, 0.0, 0.0), 7.0 * size, (15.0, 60.0), fill=(0.7, 1.6), lights=False, environments=OUTDOORS)


def craters(stage: Stage) -> Subject:
    """Ground pocked by craters of every size, hard light."""
    size, rng = 40.0, stage.rng
    x, y = field(size, 0.3)
    noise, spot, z = Noise(rng), np.stack([x, y], axis=-1), np.zeros_like(x)
    for radius in np.sort(np.minimum(0.05 * (1.0 + rng.pareto(1.5, 900)), 4.0))[::-1]:
        at = rng.uniform(-0.5, 0.5, 2) * min(size, 8.0 + 14.0 * radius)
        rows = [slice(*np.searchsorted(x[:, 0], (a - 3.0 * radius, a + 3.0 * radius))) for a in at]
        part = (rows[0], rows[1])
        off = np.hypot(x[part] - at[0], y[part] - at[1]) / radius
        if off.size:
            off = off * (1.0 + 0.12 * noise((spot[part] - at) * 1.3 / radius))
            bowl = np.where(off < 1.0, 0.42 * off**2 - 0.36, 0.06 * off**-3.0 * np.clip(3.0 - off, 0.0, 1.0))
            z[part] = z[part] * (1.0 - 0.6 * np.clip(1.2 - off, 0.0, 1.0)) + radius * bowl * rng.uniform(0.4, 1.0)
    z = z + 0.25 * noise.fractal(spot * 0.15, 9, gain=0.45)
    shader = rock_shader(stage, 4.0, stage.choose("rock", ("basalt", "granite", "slate", "ochre")))
    land("moon", x, y, z, shader)
    strew(stage, shader, on(x, y, z, 1500, 5.0, rng), 0.02, 0.5, 0.9)
    daylight(stage, 6.0, 30.0, 16.0)
    return Subject((0.0, 0.0, float(z[380, 380])), 2.6, (12.0, 45.0), fill=(0.7, 1.6), lights=False)


def boulders(stage: Stage) -> Subject:
    """A pile of boulders, close enough for their grain, sunk into gravel."""
    rng = stage.rng
    x, y = field(8.0)
    noise, spot = Noise(rng), np.stack([x, y], axis=-1)
    z = 0.12 * noise.fractal(spot * 0.7, 6)
    kind = stage.choose("rock", tuple(ROCKS))
    land("gravel", x, y, z, rock_shader(stage, 0.2, kind))
    big = rock_shader(stage, 0.6, kind, "boulder")
    theta, phi = np.meshgrid(np.linspace(0.02, np.pi - 0.02, 300), np.arange(420) * 2.0 * np.pi / 420, indexing="ij")
    way = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    for n in range(stage.integer("boulders", 2, 4)):
        faces = unit(rng.normal(size=(14, 3)))
        sharp = stage.uniform("sharp", 8.0, 50.0)
        radius = np.minimum(
            1.0
            / ((np.maximum(way @ faces.T, 0.0) / rng.uniform(0.6, 1.0, 14)) ** sharp).sum(-1).clip(1e-9) ** (1 / sharp),
            1.5,
        )
        grain = noise.fractal(way * 1.7 + 5.0 * n, 9, gain=0.48, ridged=True) - 1.0
        cracks = np.clip(0.06 - np.abs(noise.fractal(way * 1.3 + 30.0 + n, 4)), 0.0, 0.06)
        points = way * (radius * (1.0 + 0.05 * grain) - 0.8 * cracks)[..., None] * rng.uniform(0.2, 0.5)
        at = np.array((rng.normal(0.0, 0.45), rng.normal(0.1, 0.35), 0.12))
        surface("boulder", points + at, weave_quads(300, 420, around=True)[:, ::-1], big)
    strew(stage, big, on(x, y, z, 9000, 1.6, rng), 0.008, 0.16, 0.8)
    daylight(stage, 8.0, 45.0)
    return Subject((0.0, 0.0, 0.22), 0.55, (5.0, 35.0), fill=(0.8, 2.0), lights=False, environments=OUTDOORS)


KINDS = (rocks, dunes, snow, mud, cliff, pebbles, sea, craters, boulders)


def build(stage: Stage) -> Subject:
    """One of the kinds."""
    kinds = {kind.__name__: kind for kind in KINDS}
    return kinds[stage.choose("terrain", tuple(kinds))](stage)
