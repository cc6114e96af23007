"""Eyes: a wet cornea over an iris with its fibres, and lids with lashes and a brow for a close-up."""

import numpy as np

from render.blender import Shader, lathe, place
from render.scenes.shapes import Noise, blend, capsule, ellipsoid, hue, skin, slope, strands, surface, tone, turns, unit
from render.scenes.stage import Stage


def iris_shader(stage: Stage, radius: float, animal: bool) -> Shader:
    """White, iris and pupil by the angle from the axis, +z; animal: the iris fills most of what is seen."""
    shader = Shader("eyeball", (0.7, 0.66, 0.62), 0.35, Subsurface_Weight=0.2, Subsurface_Scale=0.1 * radius)
    x, y, z = (shader.add("SeparateXYZ", shader.where, out=axis) for axis in "XYZ")
    angle = shader.math("ARCTAN2", y, x)
    width = stage.uniform("slit", 0.35, 1.0) if animal else 1.0
    across = shader.math("MULTIPLY", x, 1.0 / width)
    off = shader.math(
        "MULTIPLY",
        shader.math("SQRT", shader.math("ADD", shader.math("POWER", x, 2.0), shader.math("POWER", y, 2.0)), 0.0),
        1.0 / radius,
    )
    slit = shader.math(
        "MULTIPLY",
        shader.math("SQRT", shader.math("ADD", shader.math("POWER", across, 2.0), shader.math("POWER", y, 2.0)), 0.0),
        1.0 / radius,
    )
    polar = shader.add("CombineXYZ", shader.math("MULTIPLY", angle, 6.0), shader.math("MULTIPLY", off, 3.0), 0.0)
    fibres = shader.add("TexNoise", Vector=polar, Scale=3.0, Detail=6.0, Roughness=0.65)
    rim, pupil = (0.8, 0.28) if animal else (0.5, stage.uniform("pupil", 0.16, 0.24))
    turn = stage.uniform("iris hue", 0.05, 0.68)
    outer, inner = hue(turn, 0.7, 0.22), hue(0.09, 0.8, 0.35)
    veins = shader.add("TexNoise", Vector=shader.where, Scale=1.6 / radius, Detail=8.0, Roughness=0.75)
    white = shader.colour(shader.add("MapRange", veins, 0.56, 0.66), (0.72, 0.68, 0.64), (0.5, 0.12, 0.09))
    tinted = shader.colour(shader.add("MapRange", off, pupil, rim), inner, outer)
    tinted = shader.colour(shader.add("MapRange", fibres, 0.4, 0.62), tinted, tone(outer, 0.12))
    tinted = shader.colour(shader.add("MapRange", off, rim - 0.09, rim), tinted, (0.01, 0.01, 0.012))
    ball = shader.colour(shader.add("MapRange", off, rim - 0.015, rim + 0.03), tinted, white)
    ball = shader.colour(shader.add("MapRange", slit, pupil * width, pupil * width - 0.02), ball, (0.002, 0.002, 0.002))
    front = shader.math("GREATER_THAN", z, 0.0)
    shader.colour(front, white, ball)
    return shader


def wet_shader() -> Shader:
    """The film over the eye: what it does not reflect goes straight through."""
    shader = Shader("cornea", (1.0, 1.0, 1.0), 0.0)
    clear = shader.add("BsdfTransparent", (1.0, 1.0, 1.0, 1.0))
    gloss = shader.add("BsdfGlossy", Roughness=0.02)
    mixed = shader.add("MixShader", shader.add("Fresnel", 1.5), clear, gloss)
    shader.links.new(mixed, shader.nodes["Material Output"].inputs["Surface"])
    return shader


def eye(stage: Stage, at, radius: float, looking, parent=None, animal: bool = False) -> None:
    """An eyeball of radius metres that looks along a direction."""
    holder = place("eye", None, parent=parent, at=at)
    holder.rotation_euler = turns(np.array(looking, float))
    t = np.linspace(np.pi, 0.0, 64)
    dish = np.where(t < 0.52, 0.035 * np.cos(t / 0.52 * np.pi / 2.0), 0.0)
    lathe(
        "eyeball",
        np.stack([radius * np.sin(t), radius * (np.cos(t) - dish)], axis=1),
        iris_shader(stage, radius, animal),
        holder,
    )
    bulge = 1.012 + 0.11 * np.exp(-((t / 0.45) ** 2))
    lathe("cornea", np.stack([radius * bulge * np.sin(t), radius * bulge * np.cos(t)], axis=1), wet_shader(), holder)


def lashes(stage: Stage, hair_shader) -> None:
    """The surrounds of one eye at the origin, 24 mm wide, that looks along -y: lids, lashes, brow and pores."""
    rng, noise = stage.rng, Noise(stage.rng)
    opening, slant = stage.uniform("opening", 0.004, 0.0062), stage.uniform("slant", -0.15, 0.25)

    def face(p):
        d = ellipsoid(p, (0, 0.016, -0.004), (0.055, 0.025, 0.055))
        d = blend(d, capsule(p, (-0.03, 0.0, 0.017), (0.03, 0.002, 0.015), 0.006, 0.006), 0.016)
        d = blend(d, ellipsoid(p, (0, 0, 0), (0.0142, 0.0142, 0.0142)), 0.006)
        d = blend(d, capsule(p, (-0.034, -0.012, 0.01), (-0.036, -0.02, -0.03), 0.01, 0.013), 0.015)
        crease = capsule(p, (-0.013, -0.012, 0.0085), (0.015, -0.01, 0.0085), 0.0005, 0.0005)
        d = -blend(-d, crease, 0.003)
        lift = opening * (1.0 - np.clip(np.abs(p[..., 0]) / 0.0145, 0.0, 1.0) ** 2.2)
        gap = np.abs(p[..., 2] - slant * p[..., 0]) - lift
        slit = np.maximum(gap * 0.8, p[..., 1] + 0.002)
        return np.maximum(d, -slit)

    vertices, quads = skin(face, (-0.05, -0.04, -0.045), (0.045, 0.02, 0.045), 0.00065)
    normal = unit(slope(face, vertices, 0.0004))
    fine = noise.fractal(vertices * (900.0, 900.0, 1600.0), 3)
    folds = noise.fractal(vertices * (150.0, 150.0, 420.0), 3, ridged=True)
    vertices = vertices + normal * (0.00012 * fine - 0.0003 * np.maximum(folds - 1.1, 0.0))[:, None]
    colour = tone((0.55, 0.3, 0.21), stage.log_uniform("complexion", 0.12, 1.1))
    shader = Shader("face", colour, 0.45, Subsurface_Weight=0.35, Subsurface_Scale=0.0025)
    shader.bsdf.inputs["Subsurface Radius"].default_value = (1.0, 0.35, 0.2)
    mottle = shader.add("MapRange", shader.noise(220.0, 6.0), 0.35, 0.7)
    skin_tone = shader.colour(mottle, colour, tone(colour * np.array((1.0, 0.75, 0.7)), 0.75))
    made_up = shader.add("SeparateXYZ", shader.where, out="Z")
    shade = shader.add("MapRange", made_up, 0.004, 0.011)
    lid = hue(stage.uniform("make-up hue", 0.0, 1.0), 0.6, 0.2)
    crease = shader.math("SUBTRACT", shade, shader.add("MapRange", made_up, 0.011, 0.018))
    share = shader.math("MULTIPLY", shader.math("MAXIMUM", crease, 0.0), stage.choose("make-up", (0.0, 0.3, 0.85)))
    shader.colour(share, skin_tone, lid)
    pores = shader.add("TexVoronoi", Vector=shader.where, Scale=1500.0)
    shader.bump(shader.math("ADD", shader.math("MULTIPLY", pores, 0.6), shader.noise(2500.0, 3.0)), 0.0002, 0.5)
    surface("face", vertices, quads, shader)
    look = (stage.uniform("look aside", -0.4, 0.4), -1.0, stage.uniform("look up", -0.15, 0.15))
    eye(stage, (0.0, 0.0006, 0.0), 0.0122, look)
    hair = hair_shader(stage, "lash", 0.05)
    for upper, count, length in ((1.0, 190, 0.0105), (-1.0, 110, 0.006)):
        x = rng.uniform(-0.0135, 0.0138, count)
        z = upper * opening * (1.0 - np.abs(x / 0.0145) ** 2.2) + slant * x
        y = -np.sqrt(np.maximum(0.0148**2 - x**2 - z**2, 1e-6)) + 0.0004 + rng.normal(0.0, 0.0002, count)
        roots = np.column_stack([x, y, z])
        t = np.linspace(0.0, 1.0, 12)[None, :, None]
        lean = np.column_stack(
            [x * 45.0 + np.round(rng.normal(0.0, 1.5, count)) * 0.12, -1.0 + 0.0 * x, 0.0 * x - 0.1 * upper]
        )
        long = (length * rng.uniform(0.55, 1.05, count) * (1.0 - 0.3 * np.abs(x) / 0.0145))[:, None, None]
        path = roots[:, None] + long * (t * unit(lean)[:, None] + 0.65 * upper * t**2 * np.eye(3)[2])
        strands("lashes", path, 0.00009 * np.linspace(1.0, 0.12, 12), hair)
    count = stage.integer("brow hairs", 250, 600)
    x, fall = rng.uniform(-0.026, 0.027, count), rng.normal(0.0, 0.0017, count)
    roots = np.column_stack([x, np.full(count, -0.03), 0.0205 - 7.0 * (x - 0.006) ** 2 + fall])
    for _ in range(8):
        roots[:, 1] += np.clip(face(roots), -0.01, 0.01)
    t = np.linspace(0.0, 1.0, 8)[None, :, None]
    out = unit(
        np.column_stack(
            [0.9 + 0.0 * x, rng.normal(-0.35, 0.1, count), rng.normal(0.35, 0.25, count) - 20.0 * (x + 0.01)]
        )
    )
    path = roots[:, None] + 0.008 * rng.uniform(0.6, 1.0, (count, 1, 1)) * (
        t * out[:, None] + 0.25 * t**2 * np.array((0.3, 0.6, -0.5))
    )
    strands("brow", path, 0.00007 * np.linspace(1.0, 0.2, 8), hair)
    down = vertices[rng.integers(0, len(vertices), 2500)]
    path = down[:, None] + 0.0012 * np.linspace(0.0, 1.0, 4)[None, :, None] * unit(
        rng.normal(size=(2500, 1, 3)) - np.array((0, 0.6, 0.8))
    )
    strands("down", path, 0.000008, Shader("down", (0.8, 0.7, 0.6), 0.4))
