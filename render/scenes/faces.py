"""A face that is not quite human, a reptile's head, and a hand."""

import numpy as np

from render.blender import Shader, place
from render.scenes.eyes import eye
from render.scenes.flesh import body, complexion, skin_shader
from render.scenes.shapes import (
    Noise,
    blend,
    capsule,
    cells,
    ellipsoid,
    hue,
    limbs,
    move,
    settle,
    sheet,
    strands,
    surface,
    tone,
)
from render.scenes.stage import Stage, Subject
from render.scenes.stones import rock_shader
from render.scenes.strands import grow, hair_shader


def face(stage: Stage) -> Subject:
    """A bust of someone not quite human: skin, lids, wet eyes, brows, lashes, and horns or none."""
    rng, noise = stage.rng, Noise(stage.rng)
    brow, jaw = stage.uniform("brow", 0.8, 1.9), stage.uniform("jaw", 0.85, 1.3)
    nose, ear = stage.uniform("nose", 0.75, 1.35), stage.uniform("ear", 0.8, 2.4)
    mouth, opening = stage.uniform("mouth", 0.85, 1.3), stage.uniform("lids", 0.0038, 0.0062)
    at = np.array((0.031, -0.0735, 0.024))

    def head(p):
        q = np.abs(p) * (1, 0, 0) + p * (0, 1, 1)
        q = q.astype(np.float32)
        d = blend(
            ellipsoid(q, (0, 0.01, 0.05), (0.075, 0.095, 0.105)),
            ellipsoid(q, (0, -0.03, -0.045), (0.055 * jaw, 0.06, 0.06)),
            0.04,
        )
        d = blend(d, ellipsoid(q, (0.042, -0.058, 0.0), (0.024, 0.022, 0.02)), 0.03)
        d = blend(d, capsule(q, (0.006, -0.088, 0.045), (0.05, -0.068, 0.047), 0.009 * brow, 0.008 * brow), 0.02)
        d = -blend(-d, ellipsoid(q, at + np.array((0.001, -0.016, 0.0)), (0.018, 0.013, 0.013)), 0.012)
        d = blend(d, capsule(q, (0, -0.086, 0.03), (0, -0.1 - 0.014 * nose, -0.012), 0.008, 0.011 * nose), 0.013)
        d = blend(d, ellipsoid(q, (0.011 * nose, -0.101, -0.016), (0.007 * nose, 0.01, 0.007)), 0.006)
        d = -blend(-d, ellipsoid(q, (0.0065 * nose, -0.107, -0.025), (0.0035, 0.005, 0.006)), 0.004)
        d = blend(d, capsule(q, (0, -0.098, -0.0425), (0.022 * mouth, -0.086, -0.046), 0.0058, 0.003), 0.006)
        d = blend(d, capsule(q, (0, -0.095, -0.0545), (0.02 * mouth, -0.085, -0.049), 0.0075, 0.003), 0.006)
        d = -blend(-d, capsule(q, (0, -0.108, -0.048), (0.027 * mouth, -0.09, -0.0475), 0.0012, 0.0008), 0.003)
        d = blend(d, ellipsoid(q, (0, -0.08, -0.085), (0.02 * jaw, 0.018, 0.014)), 0.03)
        lobe = capsule(q, (0.076, 0.012, -0.01), (0.08 + 0.012 * ear, 0.03, 0.02 + 0.022 * ear), 0.012, 0.005)
        d = blend(
            d,
            -blend(
                -lobe,
                capsule(q, (0.09, 0.006, 0.0), (0.094 + 0.01 * ear, 0.024, 0.015 + 0.02 * ear), 0.008, 0.003),
                0.004,
            ),
            0.008,
        )
        d = blend(d, capsule(q, (0, 0.03, -0.06), (0, 0.05, -0.2), 0.048 * jaw**0.5, 0.055), 0.03)
        d = blend(d, capsule(q, (0, 0.05, -0.25), (0.17, 0.06, -0.28), 0.06, 0.06), 0.08)
        local = q - at.astype(np.float32)
        d = blend(d, np.linalg.norm(local, axis=-1) - 0.0146, 0.005)
        lift = opening * (1.0 - np.clip(np.abs(local[..., 0]) / 0.0145, 0.0, 1.0) ** 2.2)
        gap = np.abs(local[..., 2] - 0.08 * local[..., 0]) - lift
        return np.maximum(d, -np.maximum(gap * 0.8, local[..., 1] + 0.002))

    vertices, quads, normal = body(head, (-0.13, -0.14, -0.22), (0.13, 0.13, 0.17), 0.005, 2)
    age = stage.uniform("age", 0.2, 1.0)
    lines = noise.fractal(vertices * (22.0, 30.0, 75.0), 4, ridged=True)
    fine = noise.fractal(vertices * 260.0, 3)
    brink = np.clip(
        np.linalg.norm(np.abs(vertices) * (1, 0, 0) + vertices * (0, 1, 1) - at, axis=1) / 0.02 - 0.6, 0.0, 1.0
    )
    vertices = vertices - normal * (brink * (0.0014 * age * np.clip(lines - 1.0, 0.0, 1.0) + 0.00012 * fine))[:, None]
    lips = np.exp(-(((vertices - (0, -0.1, -0.049)) / (0.02 * mouth, 0.02, 0.008)) ** 2).sum(1))
    tip = np.exp(-(((vertices - (0, -0.115, -0.012)) / 0.018) ** 2).sum(1))
    holder = place("head", None)
    shader = skin_shader(stage, complexion(stage), 0.16, stage.choose("wet", (0.0, 0.0, 0.3, 0.8)))
    surface("head", vertices, quads, shader, parent=holder, blush=np.clip(lips + 0.5 * tip, 0.0, 1.0))
    look = (stage.uniform("look aside", -0.4, 0.4), -1.0, stage.uniform("look up", -0.15, 0.2))
    hair = hair_shader(stage, "lash", 0.1)
    for side in (-1.0, 1.0):
        centre = at * (side, 1.0, 1.0)
        eye(stage, centre, 0.0126, look, holder, animal=stage.notes["complexion"] in ("green", "blue"))
        for upper, count, length in ((1.0, 130, 0.0095), (-1.0, 80, 0.0055)):
            x = rng.uniform(-0.0135, 0.0138, count)
            z = upper * opening * (1.0 - np.abs(x / 0.0145) ** 2.2) + 0.08 * x
            roots = np.column_stack([side * x, -np.sqrt(np.maximum(0.0148**2 - x**2 - z**2, 1e-6)), z]) + centre
            way = np.column_stack([side * x * 45.0, np.full(count, -1.0), 0.35 * upper + 0.0 * x]) + rng.normal(
                0.0, 0.08, (count, 3)
            )
            strands(
                "lashes",
                grow(rng, roots, way, length * rng.uniform(0.6, 1.0, count), 10, -0.5 * upper, 0.0),
                0.00006 * np.linspace(1, 0.15, 10),
                hair,
                holder,
            )
        count = 420
        s = rng.uniform(0.0, 1.0, count)
        roots = np.column_stack(
            [
                side * (0.01 + 0.042 * s),
                np.full(count, -0.09),
                0.05 + 0.008 * np.sin(2.6 * s) + rng.normal(0.0, 0.0018, count),
            ]
        )
        roots = settle(head, roots.astype(np.float32), 0.02)
        way = np.column_stack([side * (0.6 + s), -0.3 + 0.0 * s, 0.9 - 1.3 * s]) + rng.normal(0.0, 0.15, (count, 3))
        strands(
            "brow",
            grow(rng, roots, way, 0.009 * rng.uniform(0.6, 1.1, count), 8, 0.1, 0.03),
            0.00006 * np.linspace(1, 0.2, 8),
            hair,
            holder,
        )
    if stage.happens("horns", 0.35):
        bone = rock_shader(stage, 0.05, "limestone", "horn")
        t = np.linspace(0.0, 1.0, 60)
        curl = stage.uniform("horn curl", 1.0, 4.5)
        for side in (-1.0, 1.0):
            path = np.stack(
                [
                    side * (0.045 + 0.06 * t),
                    -0.02 + 0.08 * np.sin(curl * t) * t,
                    0.12 + 0.11 * t * np.cos(0.5 * curl * t),
                ],
                axis=-1,
            )
            limbs("horn", path[None], 0.018 * (1.02 - t) * (1.0 + 0.07 * np.sin(90.0 * t)), bone, holder, sides=32)
    if stage.happens("turning", 0.5):
        move(holder, turn=(0.0, 0.0, stage.uniform("turn", -20.0, 20.0)))
    return Subject((0.0, -0.06, 0.0), 0.11, (-12.0, 20.0), (-60.0, 60.0), fill=(0.8, 3.0))


def reptile(stage: Stage) -> Subject:
    """The scaly head of a lizard or of something larger."""
    rng, noise = stage.rng, Noise(stage.rng)
    snout, brow, neck = (
        stage.uniform("snout", 0.08, 0.17),
        stage.uniform("brow", 0.8, 1.6),
        stage.uniform("neck", 0.045, 0.07),
    )
    at = np.array((0.039, -0.03, 0.028))

    def head(p):
        q = (np.abs(p) * (1, 0, 0) + p * (0, 1, 1)).astype(np.float32)
        d = blend(
            ellipsoid(q, (0, 0.0, 0.0), (0.052, 0.07, 0.045)),
            capsule(q, (0.01, -0.04, -0.005), (0.004, -0.05 - snout, -0.012), 0.036, 0.017),
            0.035,
        )
        d = blend(d, capsule(q, (0.03, -0.065, 0.035), (0.04, 0.01, 0.045), 0.006, 0.012 * brow), 0.015)
        d = blend(d, ellipsoid(q, (0.042, 0.03, -0.02), (0.02, 0.035, 0.024)), 0.025)
        d = blend(d, capsule(q, (0, 0.04, -0.01), (0, 0.26, -0.05), neck, neck * 1.3), 0.05)
        d = -blend(-d, capsule(q, (0.0, -0.09 - snout, -0.02), (0.06, 0.02, -0.018), 0.0012, 0.0015), 0.004)
        d = -blend(-d, ellipsoid(q, (0.011, -0.062 - snout, 0.0), (0.003, 0.005, 0.003)), 0.004)
        d = -blend(-d, np.linalg.norm(q - np.float32(at + np.array((0.006, -0.002, 0.0))), axis=-1) - 0.012, 0.005)
        ring = np.linalg.norm(q - np.float32(at), axis=-1) - 0.0136
        return np.maximum(
            blend(d, ring, 0.004),
            0.0095 - np.linalg.norm((q - np.float32(at))[..., 1:] * (1.0, 1.35), axis=-1) - 9.0 * (q[..., 0] < 0.03),
        )

    vertices, quads, normal = body(head, (-0.09, -0.27, -0.12), (0.09, 0.2, 0.08), 0.005, 2)
    size = stage.log_uniform("scale", 0.0045, 0.009)
    eyes = np.linalg.norm(np.abs(vertices) * (1, 0, 0) + vertices * (0, 1, 1) - at, axis=1)
    near, border, tag = cells(np.float32(vertices / size + 0.1 * noise(vertices * 60.0)[:, None]), rng)
    fine_border = cells(np.float32(vertices / (0.5 * size)), rng)[1]
    small = np.clip(1.6 - eyes / 0.012, 0.0, 1.0)
    plate = np.clip(border / 0.3, 0.0, 1.0) ** 0.6 * (1.15 - near)
    height = (1.0 - small) * size * 0.34 * plate + small * size * 0.12 * np.clip(fine_border / 0.3, 0.0, 1.0)
    ridge = (
        np.maximum(normal[:, 2] - 0.75, 0.0)
        * stage.uniform("spines", 0.0, 2.5)
        * (tag > 0.6)
        * np.maximum(0.55 - near, 0.0)
    )
    vertices = vertices + normal * (height + size * 2.0 * ridge + 0.0001 * noise.fractal(vertices * 700.0, 2))[:, None]
    colours = [hue(stage.uniform("hue", 0.02, 0.62), stage.uniform("saturation", 0.2, 0.9), v) for v in (0.3, 0.06)]
    shader = Shader(
        "scales",
        colours[0],
        stage.uniform("gloss", 0.2, 0.5),
        Coat_Weight=stage.uniform("wet", 0.0, 0.6),
        Coat_Roughness=0.1,
    )
    own, gap, under = (
        shader.add("Attribute", out="Fac", settings={"attribute_name": a}) for a in ("own", "gap", "belly")
    )
    pattern = shader.add("MapRange", shader.noise(stage.uniform("pattern", 12.0, 60.0), 3.0), 0.44, 0.56)
    base = shader.colour(pattern, *colours)
    base = shader.colour(shader.math("MULTIPLY", own, 0.5), base, tone(np.add(colours[0], colours[1]), 1.2))
    base = shader.colour(under, base, (0.5, 0.42, 0.28))
    shader.colour(gap, tone(colours[1], 0.25), base)
    shader.bump(
        shader.math("ADD", shader.noise(900.0, 4.0), shader.add("TexVoronoi", Vector=shader.where, Scale=1400.0)),
        0.0004,
        0.5,
    )
    holder = place("reptile", None)
    surface(
        "reptile",
        vertices,
        quads,
        shader,
        parent=holder,
        own=tag,
        gap=np.clip(border / 0.18, 0.0, 1.0),
        belly=np.clip(-normal[:, 2] * 1.5 - 0.3, 0.0, 1.0),
    )
    for side in (-1.0, 1.0):
        eye(stage, at * (side, 1.0, 1.0), 0.0125, (side, -0.25, 0.08), holder, animal=True)
    if stage.happens("turning", 0.5):
        move(holder, turn=(0.0, 0.0, stage.uniform("turn", -20.0, 20.0)))
    return Subject((0.0, -0.05, 0.0), 0.1, (-8.0, 35.0), (-110.0, 110.0), fill=(0.8, 2.6))


def hand(stage: Stage) -> Subject:
    """A hand with its creases, knuckles and nails or claws, on a table or held up."""
    rng, noise = stage.rng, Noise(stage.rng)
    bend, spread, thick = (
        stage.uniform("bend", 0.1, 0.75),
        stage.uniform("spread", 0.03, 0.14),
        stage.uniform("thick", 0.85, 1.3),
    )
    long = stage.uniform("long", 0.9, 1.35)
    bones, nails = [], []
    for k, (x, length) in enumerate(((-0.03, 0.042), (-0.01, 0.048), (0.011, 0.045), (0.031, 0.035), (0.042, 0.04))):
        thumb = k == 4
        joint = np.array((x, 0.0, 0.05) if not thumb else (0.028, -0.012, -0.015))
        heading, curl = (spread * (k - 1.5) * 2.0, bend * rng.uniform(0.6, 1.3)) if not thumb else (0.75, 0.25 * bend)
        angle, radius = 0.1 + (0.35 if thumb else 0.0), (0.0098 if not thumb else 0.0115) * thick
        for part in range(3 if not thumb else 2):
            stride = length * long * (1.0, 0.68, 0.55)[part] * (1.15 if thumb else 1.0)
            way = np.array((np.sin(heading) * np.cos(angle), -np.sin(angle), np.cos(heading) * np.cos(angle)))
            bones.append((joint, joint + stride * way, radius, radius * 0.9))
            joint, radius, angle = joint + stride * way, radius * 0.9, angle + curl
        side = np.array((np.cos(heading), 0.0, -np.sin(heading)))
        nails.append((joint, way, np.cross(way, side), radius))

    def palm(p):
        d = blend(
            ellipsoid(p, (0.0, 0.0, 0.01), (0.042, 0.016 * thick, 0.05)),
            capsule(p, (0.0, 0.0, -0.03), (0.0, 0.005, -0.16), 0.024 * thick, 0.03),
            0.025,
        )
        d = blend(d, ellipsoid(p, (0.026, -0.012, -0.01), (0.016, 0.015, 0.03)), 0.015)
        for n, (a, b, first, last) in enumerate(bones):
            d = blend(d, capsule(p, a, b, first, last), 0.004 if n % 3 else 0.012)
            d = blend(d, np.linalg.norm(p - np.float32(a + np.array((0.0, 0.002, 0.0))), axis=-1) - first * 1.04, 0.006)
            fold = np.linalg.norm((p - np.float32(b)) * (0.4, 1.0, 1.0) - (0.0, -1.05 * last, 0.0), axis=-1) - 0.0004
            d = -blend(-d, fold, 0.0025)
        return d

    corners = np.array([point for bone in bones for point in bone[:2]])
    vertices, quads, normal = body(
        palm, corners.min(0) - (0.03, 0.04, 0.12), corners.max(0) + np.array((0.025, 0.03, 0.02)), 0.0042, 2
    )
    lines = noise.fractal(vertices * (55.0, 60.0, 130.0), 4, ridged=True)
    cracks = cells(np.float32(vertices * 420.0), rng)[1]
    vertices = (
        vertices
        - normal
        * (
            0.0011 * stage.uniform("age", 0.2, 1.2) * np.clip(lines - 1.05, 0.0, 1.0)
            - 0.00012 * np.clip(cracks / 0.3, 0.0, 1.0)
        )[:, None]
    )
    colour = complexion(stage)
    ends = np.min([np.linalg.norm(vertices - a, axis=1) / (1.6 * r) for a, _, r, _ in bones], axis=0)
    holder = place("hand", None, turn=(stage.uniform("tilt", -25.0, 15.0), 0.0, 0.0))
    surface(
        "hand", vertices, quads, skin_shader(stage, colour, 0.11), parent=holder, blush=np.clip(1.3 - ends, 0.0, 0.6)
    )
    horn = Shader(
        "nail", tone(np.add(colour, 0.15), 1.0), 0.25, Coat_Weight=0.4, Subsurface_Weight=0.2, Subsurface_Scale=0.002
    )
    horn.bump(horn.noise(900.0, 2.0), 0.0003, 0.5)
    claw = stage.choose("nails", (0.7, 0.7, 2.6))
    for joint, way, back, radius in nails:
        u, v = np.meshgrid(np.linspace(-1.1, 1.1, 25), np.linspace(-0.75, claw, 30), indexing="ij")
        taper = np.clip((claw + 0.02 - v) / (0.5 if claw < 1.0 else claw), 0.0, 1.0) ** 0.5
        arc = u * np.minimum(taper * 1.3, 1.0)
        side = np.cross(back, way)
        drop = 0.1 * np.maximum(v, 0.0) ** 2
        points = joint + radius * (
            v[..., None] * way + np.sin(arc)[..., None] * 0.82 * side + ((np.cos(arc) - drop) * 1.0)[..., None] * back
        )
        obj = sheet("nail", points, horn, parent=holder)
        obj.modifiers.new("thickness", "SOLIDIFY").thickness = 0.0006
    if stage.happens("moving", 0.5):
        move(holder, (0.01, 0.0, 0.0), (0.0, stage.uniform("turn", -15.0, 15.0), 10.0))
    return Subject((0.0, -0.015, 0.05), 0.1, (-10.0, 30.0), fill=(0.8, 2.2))
