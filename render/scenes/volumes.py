"""Soft volumes: ruins in mist, light through windows, smoke, clouds, flames and ink in water.

Every domain is bounded. One or two volume bounces are enough, but clouds look best with four.
"""

import numpy as np

from render.blender import Shader, boxes, lathe, light, place
from render.scenes import materials
from render.scenes.flames import candles
from render.scenes.haze import Haze
from render.scenes.ruins import column, posts, ruins, wet_ground, woods
from render.scenes.shapes import Noise, daylight, hue, limbs, move, plane, sheet, tone
from render.scenes.stage import Stage, Subject
from render.scenes.stones import rock_shader, strew

OUTDOORS = ("forest", "courtyard", "sunrise", "sunset", "city")


# ---- the kinds


def mist(stage: Stage) -> Subject:
    """Ruins, a wood or a line of posts in ground mist with a low sun."""
    {"ruins": ruins, "woods": woods, "posts": posts}[stage.choose("set", ("ruins", "woods", "posts"))](stage)
    wet_ground(stage)
    haze = Haze("mist", (0.9, 0.92, 0.95), stage.uniform("anisotropy", 0.2, 0.7))
    thick = stage.log_uniform("density", 0.012, 0.06)
    z = haze.add("SeparateXYZ", haze.where, out="Z")
    fall = haze.math("POWER", 0.5, haze.math("MULTIPLY", z, 1.0 / stage.uniform("mist height", 0.5, 2.5)))
    patchy = haze.add("MapRange", haze.stretched((0.5, 0.5, 1.1), 0.3, 2.5), 0.38, 0.72, 0.1, 1.6)
    density = haze.math("MULTIPLY", haze.math("MULTIPLY", haze.math("ADD", fall, 0.12), patchy), thick)
    domain = haze.fill(density, (-9.0, -9.0, -0.3), (9.0, 17.0, 5.5), 24.0)
    move(domain, (0.3, 0.0, 0.0))
    daylight(stage, 8.0, 35.0, 25.0)
    return Subject(
        (0.0, 0.0, 1.3),
        2.2,
        (0.5, 10.0),
        (-30.0, 30.0),
        (0.7, 1.5),
        lights=False,
        environments=OUTDOORS,
        depth_of_field=False,
    )


def rays(stage: Stage) -> Subject:
    """A dusty hall into which a sun falls through windows, bars or a broken roof."""
    rng = stage.rng
    wall = materials.draw(stage, ("concrete", "brick", "stone"), 4.0)
    low, high, spans = (-3.2, -4.0, 0.0), (3.2, 6.0, 4.2), []
    spans += [
        ((-3.4, -4.2, -0.2), (3.4, 6.2, 0.0)),
        ((-3.4, 6.0, 0.0), (3.4, 6.2, 4.2)),
        ((-3.4, -4.2, 0.0), (-3.2, 6.2, 4.2)),
        ((-3.4, -4.2, 0.0), (3.4, -4.0, 4.2)),
    ]
    kind = stage.choose("openings", ("windows", "slats", "roof"))
    if kind == "roof":
        spans += [((3.2, -4.2, 0.0), (3.4, 6.2, 4.2))]
        spans += [((x, -4.2, 4.2), (x + rng.uniform(0.12, 0.42), 6.2, 4.3)) for x in np.arange(-3.4, 3.3, 0.45)]
    else:
        spans += [
            ((-3.4, -4.2, 4.2), (3.4, 6.2, 4.4)),
            ((3.2, -4.2, 0.0), (3.4, 6.2, 1.0)),
            ((3.2, -4.2, 3.6), (3.4, 6.2, 4.2)),
        ]
        spans += [((3.2, y, 1.0), (3.4, y + 1.1, 3.6)) for y in np.arange(-4.2, 6.0, 2.0)]
        bars = np.arange(1.0, 3.6, 0.16) if kind == "slats" else np.arange(1.3, 3.6, 0.62)
        frame = [((3.27, -4.2, z), (3.34, 6.2, z + 0.05)) for z in bars]
        frame += (
            [((3.28, y, 1.0), (3.32, y + 0.04, 3.6)) for y in np.arange(-3.9, 6.0, 0.3)] if kind == "windows" else []
        )
        boxes("frames", frame, materials.draw(stage, ("painted", "metal", "wood"), 1.0), bevel=0.004)
    boxes("walls", spans, wall, bevel=0.01)
    stock = []
    for _ in range(stage.integer("crates", 6, 16)):
        size, (x, y) = rng.uniform(0.25, 0.7, 3), rng.uniform((-2.6, -0.5), (2.0, 5.0))
        base = rng.choice((0.0, 0.0, 0.5))
        stock.append(((x, y, 0.0), (x + size[0], y + size[1], base + size[2])))
    boxes("crates", stock, materials.draw(stage, ("wood", "painted", "metal"), 0.6), bevel=0.01)
    marble = rock_shader(stage, 1.0, stage.choose("stone", ("limestone", "granite", "sandstone")))
    for y in (0.0, 2.2, 4.4):
        column(stage, (-1.7, y, 0.0), 3.7, marble, broken=False)
    limbs(
        "pipes",
        np.array([[(-3.0, y, z) for y in np.linspace(-4.0, 6.0, 9)] for z in (3.2, 3.5, 3.65)]),
        0.06,
        materials.draw(stage, ("metal", "painted"), 0.2),
        sides=20,
    )
    strew(
        stage,
        marble,
        np.column_stack([rng.uniform(-3.0, 3.0, 700), rng.uniform(-3.0, 5.8, 700), np.zeros(700)]),
        0.01,
        0.25,
        0.9,
    )
    haze = Haze("dust", (0.95, 0.93, 0.9), stage.uniform("anisotropy", 0.3, 0.7))
    haze.fill(stage.log_uniform("density", 0.015, 0.07), low, high, 10.0)
    sun = daylight(stage, 30.0, 50.0, 60.0)
    sun.rotation_euler = np.radians(
        (0.0, 90.0 - stage.uniform("beam", 25.0, 48.0), stage.uniform("beam side", -30.0, 30.0))
    )
    if kind == "roof":
        sun.rotation_euler = np.radians((0.0, stage.uniform("beam tilt", -30.0, 30.0), 0.0))
    return Subject(
        (-0.3, 1.6, 1.5), 1.9, (0.0, 15.0), (-20.0, 35.0), (1.0, 1.5), inside=True, lights=False, depth_of_field=False
    )


def smoke(stage: Stage) -> Subject:
    """Smoke that rises from a bowl or a heap, against what lies behind."""
    haze = Haze(
        "smoke", tone((1.0, 1.0, 1.0), stage.choose("soot", (0.85, 0.6, 0.25))), stage.uniform("anisotropy", -0.1, 0.5)
    )
    x, y, z = (haze.add("SeparateXYZ", haze.where, out=axis) for axis in "XYZ")
    drift = stage.uniform("drift", -0.5, 0.5)
    sway = haze.add(
        "SeparateXYZ",
        haze.add(
            "TexNoise",
            Vector=haze.add("VectorMath", haze.where, (0.2, 0.2, 1.3), settings={"operation": "MULTIPLY"}),
            out="Color",
            Scale=1.6,
            Detail=2.0,
        ),
        out="X",
    )
    off = haze.math(
        "SUBTRACT", x, haze.math("MULTIPLY", z, haze.math("ADD", drift - 0.55, haze.math("MULTIPLY", sway, 1.1)))
    )
    away = haze.math(
        "SQRT",
        haze.math(
            "ADD",
            haze.math("POWER", haze.math("ABSOLUTE", off, 0.0), 2.0),
            haze.math("POWER", haze.math("ABSOLUTE", y, 0.0), 2.0),
        ),
        0.0,
    )
    width = haze.math("ADD", 0.05, haze.math("MULTIPLY", z, stage.uniform("spread", 0.2, 0.4)))
    core = haze.math("SUBTRACT", 1.0, haze.math("DIVIDE", away, width))
    billow = haze.stretched((6.0, 6.0, 4.0), stage.uniform("curl", 0.4, 1.6), 4.0, 0.62)
    wisps = haze.add(
        "MapRange",
        haze.math("ADD", haze.math("MULTIPLY", core, 0.55), haze.math("MULTIPLY", billow, 1.5)),
        0.85,
        1.25,
        0.0,
        1.0,
    )
    inside = haze.math("MULTIPLY", wisps, haze.add("MapRange", core, 0.0, 0.25))
    thin = haze.math("DIVIDE", stage.log_uniform("density", 8.0, 40.0), haze.math("ADD", 0.25, z))
    domain = haze.fill(haze.math("MULTIPLY", inside, thin), (-1.3, -0.9, 0.0), (1.3, 0.9, 2.2), 28.0)
    move(domain, (0.0, 0.0, 0.12))
    bowl = [
        (0.0, -0.1),
        (0.07, -0.1),
        (0.12, -0.06),
        (0.15, 0.01),
        (0.15, 0.02),
        (0.14, 0.02),
        (0.1, -0.05),
        (0.0, -0.07),
    ]
    lathe("bowl", bowl, materials.draw(stage, ("metal", "ceramic"), 0.3), place("bowl", None))
    coals = Shader("coals", (0.02, 0.018, 0.016), 0.9, Emission_Color=(1.0, 0.2, 0.03, 1.0))
    hot = coals.math("MULTIPLY", coals.add("MapRange", coals.noise(3.0, 4.0), 0.5, 0.7), 30.0)
    coals.links.new(hot, coals.bsdf.inputs["Emission Strength"])
    at = np.column_stack([stage.rng.normal(0.0, 0.045, (60, 2)), stage.rng.uniform(-0.05, 0.0, 60)])
    strew(stage, coals, at, 0.02, 0.05, 1.0)
    boxes("table", [((-2.0, -1.2, -0.16), (2.0, 1.2, -0.1))], materials.draw(stage, ("wood", "stone"), 1.0), bevel=0.01)
    light("rim", "AREA", (1.6, 1.8, 1.6), 260.0, (1.0, 0.85, 0.7), 0.6, (0.0, 0.0, 0.8))
    light("key", "AREA", (-2.0, -1.2, 1.4), 90.0, (0.75, 0.87, 1.0), 0.8, (0.0, 0.0, 0.8))
    return Subject(
        (0.0, 0.0, 0.5),
        0.65,
        (-2.0, 20.0),
        fill=(0.7, 1.3),
        lights=False,
        environments=("night", "studio", "interior", "forest"),
    )


def clouds(stage: Stage) -> Subject:
    """A deck of clouds over hills or, from above, a sea of them."""
    haze = Haze("cloud", (1.0, 1.0, 1.0), 0.45)
    z = haze.add("SeparateXYZ", haze.where, out="Z")
    scale = stage.log_uniform("cloud scale", 0.02, 0.05)
    body = haze.stretched((scale, scale, 1.4 * scale), 0.2, 5.0, 0.58)
    cover = stage.uniform("cover", 0.46, 0.56)
    shape = haze.math(
        "SUBTRACT",
        body,
        haze.math(
            "ADD",
            cover,
            haze.math(
                "MULTIPLY", haze.math("POWER", haze.math("MULTIPLY", haze.math("SUBTRACT", z, 12.0), 0.05), 2.0), 0.22
            ),
        ),
    )
    density = haze.math("MULTIPLY", haze.add("MapRange", shape, 0.0, 0.05), stage.log_uniform("density", 0.25, 0.8))
    above = stage.happens("above", 0.5)
    base = 0.0 if above else 45.0
    holder = place("clouds", None, at=(0.0, 0.0, base))
    haze.fill(density, (-130.0, -130.0, 0.0), (130.0, 170.0, 36.0), 56.0, holder)
    move(holder, (2.0, 0.0, 0.0))
    x, y = plane((600.0, 600.0), (420, 420))
    noise = Noise(stage.rng)
    peaks = noise.fractal(np.stack([x, y], axis=-1) * 0.012, 9, gain=0.48, ridged=True)
    tall = stage.uniform("peaks", 12.0, 30.0)
    sheet(
        "hills",
        np.stack([x, y, tall * (peaks - 1.0) - (4.0 if above else 12.0)], axis=-1),
        rock_shader(stage, 30.0, stage.choose("rock", ("basalt", "granite", "slate"))),
    )
    daylight(stage, 3.0, 35.0, 7.0)
    elevation = (8.0, 25.0) if above else (-4.0, 6.0)
    return Subject(
        (0.0, 0.0, 14.0 if above else 30.0),
        34.0,
        elevation,
        fill=(0.6, 1.0),
        lights=False,
        environments=("sunrise", "sunset", "courtyard"),
        depth_of_field=False,
    )


def ink(stage: Stage) -> Subject:
    """Ink that billows in clear water before a bright backdrop."""
    size = 0.2
    turn = stage.uniform("ink hue", 0.0, 1.0)
    for n in range(stage.integer("inks", 1, 2)):
        colour = hue(turn + 0.3 * n, 0.9, 0.8)
        haze = Haze("ink", colour, 0.2)
        shift = haze.add("VectorMath", haze.where, stage.rng.uniform(-9.0, 9.0, 3), settings={"operation": "ADD"})
        curls = haze.add(
            "TexNoise",
            Vector=shift,
            Scale=2.2 / size,
            Detail=4.0,
            Roughness=0.55,
            Distortion=stage.uniform("curl", 1.0, 3.0),
        )
        away = haze.add(
            "VectorMath",
            haze.add(
                "VectorMath",
                haze.where,
                (*stage.rng.uniform(-0.06, 0.06, 2), stage.rng.uniform(-0.02, 0.08)),
                settings={"operation": "SUBTRACT"},
            ),
            out="Value",
            settings={"operation": "LENGTH"},
        )
        body = haze.math("SUBTRACT", curls, haze.math("MULTIPLY", away, 2.2))
        density = haze.math(
            "MULTIPLY", haze.add("MapRange", body, 0.24, 0.4), stage.log_uniform("density", 60.0, 300.0)
        )
        domain = haze.fill(density, (-0.19 - 0.001 * n, -0.13, -0.19), (0.19, 0.13, 0.19 + 0.001 * n), 40.0)
        move(domain, (0.0, 0.0, -0.01))
    boxes(
        "backdrop",
        [((-3.0, 0.9, -2.0), (3.0, 1.0, 2.0))],
        Shader("backdrop", tone((1.0, 1.0, 1.0), stage.choose("backdrop", (0.8, 0.05))), 0.9),
    )
    light("behind", "AREA", (0.5, 0.7, 0.8), 25.0, (1.0, 0.95, 0.9), 0.5, (0.0, 0.0, 0.0))
    light("front", "AREA", (-0.8, -0.8, 0.5), 14.0, (0.85, 0.93, 1.0), 0.4, (0.0, 0.0, 0.0))
    return Subject(
        (0.0, 0.0, 0.0), 0.13, (-10.0, 15.0), (-25.0, 25.0), fill=(0.8, 1.6), lights=False, depth_of_field=False
    )


KINDS = (mist, rays, smoke, clouds, candles, ink)


def build(stage: Stage) -> Subject:
    """One of the kinds."""
    kinds = {kind.__name__: kind for kind in KINDS}
    return kinds[stage.choose("volume", tuple(kinds), (3, 2, 1, 1.5, 1.5, 1))](stage)
