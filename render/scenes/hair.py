"""Hair: a furred animal, heads of hair, brushes, feathers, a deep carpet and the lashes of an eye."""

import numpy as np

from render.blender import Shader, place
from render.scenes import materials
from render.scenes.eyes import eye, lashes
from render.scenes.shapes import (
    UP,
    Noise,
    across,
    blend,
    capsule,
    ellipsoid,
    hue,
    limbs,
    move,
    plane,
    sheet,
    skin,
    slope,
    sprinkle,
    strands,
    surface,
    tone,
    unit,
)
from render.scenes.stage import Stage, Subject
from render.scenes.strands import clump, grow, hair_shader


def animal(stage: Stage) -> Subject:
    """A furred head and shoulders, or the whole of a small animal, with eyes and a nose."""
    rng = stage.rng
    snout, ear = stage.uniform("snout", 0.05, 0.13), stage.choose("ears", ("round", "pointed", "long"))
    width, lift = stage.uniform("head width", 0.085, 0.115), stage.uniform("ear", 0.05, 0.09)
    ear_tip = {"round": (1.1, 0.02, 1.2), "pointed": (1.0, 0.02, 1.9), "long": (0.9, 0.06, 3.6)}[ear]
    tips = [np.array((side * ear_tip[0] * width, ear_tip[1], 0.28 + ear_tip[2] * lift)) for side in (-1, 1)]

    def body(p):
        d = blend(
            ellipsoid(p, (0, 0, 0.28), (width, 0.105, 0.095)), ellipsoid(p, (0, 0.1, 0.1), (0.13, 0.15, 0.16)), 0.08
        )
        muzzle = capsule(p, (0, -0.07, 0.26), (0, -0.08 - snout, 0.245), 0.045, 0.028)
        d = blend(blend(d, muzzle, 0.03), ellipsoid(p, (0, 0.22, 0.02), (0.15, 0.2, 0.16)), 0.08)
        for side, tip in zip((-1, 1), tips, strict=True):
            d = blend(d, capsule(p, (side * 0.6 * width, 0.02, 0.34), tip, 0.022, 0.014), 0.02)
            d = blend(d, capsule(p, (side * 0.08, -0.02, 0.08), (side * 0.07, -0.07, -0.12), 0.045, 0.035), 0.04)
        return d

    vertices, quads = skin(body, (-0.22, -0.32, -0.18), (0.22, 0.45, 0.75), 0.009)
    under = Shader("skin", (0.12, 0.08, 0.06), 0.8)
    turned = place("animal", None)
    surface("body", vertices, quads, under, parent=turned)
    nose_at = np.array((0.0, -0.105 - snout, 0.252))
    eyes_at = [np.array((side * 0.5 * width, -0.074, 0.312)) for side in (-1, 1)]
    count = stage.integer("hairs", 35_000, 60_000)
    roots = sprinkle(vertices, quads, count, rng)
    keep = np.all([np.linalg.norm(roots - at, axis=1) > 0.0175 for at in (*eyes_at, nose_at)], axis=0)
    roots = roots[keep & (roots[:, 2] > -0.13)]
    normal = unit(slope(body, roots, 0.003))
    flow = np.array((0.0, 1.0, -0.5)) + 0.4 * np.sign(roots[:, :1]) * np.eye(3)[0]
    flow = flow - (flow * normal).sum(-1, keepdims=True) * normal
    swirl = Noise(rng)
    whirl = np.stack([swirl(roots * 12.0 + 7.0 * k) for k in range(3)], axis=-1)
    near = np.clip((np.linalg.norm(roots - nose_at, axis=1) - 0.02) / 0.2, 0.12, 1.0)
    length = stage.log_uniform("fur length", 0.022, 0.07) * near * rng.gamma(16.0, 1 / 16.0, len(roots))
    heading = unit(flow) + stage.uniform("upright", 0.25, 0.8) * normal + 0.5 * whirl
    curl = stage.choose("curl", (0.0, 0.0, 0.003))
    path = grow(rng, roots, heading, length, 10 if curl else 7, stage.uniform("gravity", 0.0, 0.4), 0.08, curl)
    path = clump(rng, path, 1800, stage.uniform("clumping", 0.1, 0.85))
    spots = swirl.fractal(roots * stage.log_uniform("spots", 6.0, 30.0), 3)
    stripes = np.sin(roots @ np.array((0.0, 1.0, 0.4)) * 140.0 + 4.0 * spots)
    marks = {"spots": spots > 0.15, "stripes": stripes > 0.3, "belly": normal[:, 2] > -0.15, "plain": spots > 9.0}
    tint = np.clip(marks[stage.choose("markings", tuple(marks))] + rng.normal(0.0, 0.12, len(roots)), 0.0, 1.0)
    taper = 0.00011 * np.linspace(1.0, 0.15, path.shape[1])
    strands(
        "fur",
        path,
        taper * (0.04 / max(0.04 - 0.3 * length.mean(), 0.02)),
        hair_shader(stage, "fur", 0.15, True),
        turned,
        tint,
    )
    whisker = nose_at + rng.normal(0.0, 0.008, (26, 3)) + np.array((0.0, 0.025, -0.008))
    away = np.column_stack([np.sign(rng.normal(size=26)), rng.normal(-0.1, 0.2, 26), rng.normal(0.1, 0.2, 26)])
    strands(
        "whiskers", grow(rng, whisker, away, 0.11, 12, 0.25, 0.02), 0.00016, hair_shader(stage, "whiskers", 0.0), turned
    )
    wet = Shader("nose", tone((0.09, 0.05, 0.045), stage.uniform("nose", 0.2, 2.0)), 0.3, Coat_Weight=0.6)
    wet.bump(wet.add("TexVoronoi", Vector=wet.where, Scale=700.0), -0.0012, 0.5)

    def tip(p):
        under = ellipsoid(p, nose_at - (0, -0.004, 0.008), (0.009, 0.012, 0.009))
        return blend(ellipsoid(p, nose_at, (0.02, 0.015, 0.014)), under, 0.006)

    surface("nose", *skin(tip, nose_at - 0.03, nose_at + 0.03, 0.0022), wet, parent=turned)
    for at in eyes_at:
        eye(stage, at + np.array((0.0, 0.005, 0.0)), 0.0165, (0.35 * np.sign(at[0]), -1.0, 0.05), turned, animal=True)
    if stage.happens("turning", 0.5):
        move(turned, turn=(0.0, 0.0, stage.uniform("turn", -25.0, 25.0)))
    return Subject((0.0, -0.05, 0.27), 0.17, (-5.0, 30.0), (-75.0, 75.0), fill=(0.8, 2.2))


def head(stage: Stage) -> Subject:
    """A head of hair from behind or the side, on a bust."""
    rng = stage.rng

    def skull(p):
        d = blend(
            ellipsoid(p, (0, 0.015, 0.12), (0.075, 0.095, 0.1)),
            ellipsoid(p, (0, -0.03, 0.055), (0.055, 0.065, 0.08)),
            0.04,
        )
        d = blend(d, capsule(p, (0, 0.02, 0.02), (0, 0.04, -0.12), 0.052, 0.06), 0.03)
        d = blend(d, capsule(p, (0, -0.088, 0.085), (0, -0.11, 0.06), 0.008, 0.014), 0.02)
        for side in (-1, 1):
            d = blend(d, ellipsoid(p, (side * 0.078, 0.012, 0.075), (0.01, 0.02, 0.032)), 0.008)
        return blend(d, capsule(p, (-0.15, 0.05, -0.17), (0.15, 0.05, -0.17), 0.06, 0.06), 0.09)

    vertices, quads = skin(skull, (-0.24, -0.14, -0.22), (0.24, 0.16, 0.24), 0.008)
    turned = place("head", None)
    surface("bust", vertices, quads, materials.draw(stage, ("skin", "ceramic", "stone"), 0.4), parent=turned)
    count = stage.integer("hairs", 30_000, 55_000)
    roots = sprinkle(vertices, quads, 3 * count, rng)
    line = 0.075 - 1.1 * (roots[:, 1] - 0.01) + 0.012 * rng.normal(size=len(roots))
    roots = roots[(roots[:, 2] > np.maximum(line, 0.02)) & (np.abs(roots[:, 0]) < 0.074)][:count]
    normal = unit(slope(skull, roots, 0.003))
    style = stage.choose("style", ("long", "curly", "short", "bob", "swept"))
    front = np.clip((0.03 - roots[:, 1:2]) / 0.05, 0.1, 1.0)
    part = front * np.sign(roots[:, :1] - stage.uniform("parting", -0.03, 0.03)) * np.eye(3)[0]
    back = np.eye(3)[1]
    comb = {
        "long": part + 0.5 * back,
        "bob": part + 0.2 * back,
        "curly": normal,
        "short": back,
        "swept": 1.5 * back + 0.6 * UP,
    }[style]
    length = {"long": 0.42, "bob": 0.2, "curly": 0.13, "short": 0.03, "swept": 0.11}[style]
    length = length * stage.uniform("length", 0.75, 1.25) * rng.gamma(30.0, 1 / 30.0, len(roots))
    steps = {"long": 28, "bob": 20, "curly": 40, "short": 7, "swept": 14}[style]
    at, heading = roots, unit(normal * 0.6 + comb)
    stride, path = (length / (steps - 1))[:, None], [roots]
    weight = 0.0 if style in ("short", "curly") else 0.35
    wave = Noise(rng)
    for _ in range(steps - 1):  # combed over the skull: what would go under the skin is pushed out to it
        drift = np.stack([wave(at * 14.0 + 5.0 * k) for k in range(3)], axis=-1)
        heading = unit(heading - weight * UP + 0.12 * drift)
        at = at + stride * heading
        depth = 0.004 + 0.012 * (len(path) / steps) - skull(at)
        at = at + np.maximum(depth, 0.0)[:, None] * unit(slope(skull, at, 0.003))
        path.append(at)
    path = np.stack(path, axis=1)
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    path = clump(rng, path, stage.integer("locks", 60, 900), stage.uniform("clumping", 0.3, 0.9))
    curl = {
        "long": stage.choose("wave", (0.0, 0.006, 0.012)),
        "bob": 0.002,
        "curly": stage.uniform("curl", 0.004, 0.009),
    }.get(style, 0.0)
    if curl:
        side, other = across(unit(path[:, -1] - path[:, 0]))
        own = np.round(2.0 * wave(roots * 60.0)) + 0.5 * wave(roots * 200.0)
        phase = own[:, None, None] * 2.0 + length[:, None, None] * t / curl
        path = path + curl * np.minimum(3.0 * t, 1.0) * (np.cos(phase) * side[:, None] + np.sin(phase) * other[:, None])
    stray = stage.log_uniform("frizz", 0.002, 0.02) * (1.0 + 6.0 * (rng.random((len(roots), 1, 1)) < 0.03))
    path = path + stray * t * np.cumsum(rng.normal(0.0, steps**-0.5, path.shape), axis=1)
    taper = 0.00012 * np.linspace(1.0, 0.5, steps)
    strands(
        "hair",
        path,
        taper,
        hair_shader(stage, dyed=0.25, pattern=True),
        turned,
        np.clip(0.5 + wave(roots * 40.0), 0, 1),
    )
    if stage.happens("turning", 0.5):
        move(turned, turn=(0.0, 0.0, stage.uniform("turn", -20.0, 20.0)))
    return Subject((0.0, 0.03, 0.08), 0.17, (-5.0, 35.0), (40.0, 320.0), fill=(0.6, 1.8))


def carpet(stage: Stage) -> Subject:
    """A deep rug in a pattern, with something small lost on it."""
    rng = stage.rng
    count, pile = stage.integer("yarns", 30_000, 55_000), stage.uniform("pile", 0.012, 0.04)
    x, y = plane((1.2, 1.2), (60, 60))
    noise = Noise(rng)
    base = 0.006 * noise.fractal(np.stack([x, y], axis=-1) * 4.0, 2)
    sheet("backing", np.stack([x, y, base], axis=-1), Shader("backing", (0.1, 0.08, 0.06), 0.9))
    flat = rng.uniform(-0.45, 0.45, (count, 2))
    roots = np.column_stack([flat, 0.006 * noise.fractal(flat * 4.0, 2)])
    swept = np.stack([noise(flat * 7.0), noise(flat * 7.0 + 9.0), 0.0 * flat[:, 0] + 1.0], axis=-1)
    path = grow(
        rng, roots, swept + rng.normal(0.0, 0.15, (count, 3)), pile * rng.uniform(0.8, 1.1, count), 7, 0.1, 0.06
    )
    path = clump(rng, path, 3500, stage.uniform("clumping", 0.2, 0.9))
    shader = Shader("yarn", (0.0, 0.0, 0.0), 0.8, Sheen_Weight=0.4)
    kind = stage.choose("pattern", ("stripes", "medallion", "check", "flecks"))
    u, v = flat.T
    wobble = 0.01 * noise(flat * 30.0)
    star = 45.0 * np.maximum(abs(u), abs(v)) + 3.0 * np.cos(8.0 * np.arctan2(v, u))
    pattern = {
        "stripes": np.sin(40.0 * (u + wobble)) > 0.2,
        "medallion": np.sin(star) > 0.0,
        "check": (np.floor(u * 9.0 + wobble) + np.floor(v * 9.0)) % 2 > 0,
        "flecks": noise.fractal(flat * 40.0, 2) > 0.2,
    }[kind]
    tint = shader.add("Attribute", out="Fac", settings={"attribute_name": "tint"})
    turn = stage.uniform("hue", 0.0, 1.0)
    mixed = shader.colour(tint, hue(turn, 0.6, 0.3), hue(turn + stage.uniform("other hue", 0.2, 0.6), 0.5, 0.12))
    grain = shader.add("HairInfo", out="Random")
    shader.colour(shader.math("MULTIPLY", grain, 0.5), mixed, (0.02, 0.018, 0.015))
    strands("pile", path, 0.0005 * np.array((1.0, 1.0, 1.0, 1.0, 0.9, 0.8, 0.5)), shader, tint=pattern)

    def thing(p):
        return ellipsoid(p, (0.02, 0.0, pile * 0.8), (0.035, 0.024, 0.02))

    surface(
        "pebble",
        *skin(thing, (-0.1, -0.1, -0.1), (0.12, 0.1, 0.12), 0.003),
        materials.draw(stage, ("metal", "wood", "stone"), 0.07),
    )
    return Subject((0.0, 0.0, pile * 0.8), 0.17, (14.0, 60.0), fill=(0.8, 2.0))


def brush(stage: Stage) -> Subject:
    """Paint brushes, broad and fine, with paint in some of the bristles."""
    rng = stage.rng
    for n in range(stage.integer("brushes", 2, 5)):
        wide, long = stage.uniform("width", 0.006, 0.03), stage.uniform("bristles", 0.03, 0.06)
        holder = place("brush", None, at=((n - 1.5) * 0.06 + rng.normal(0.0, 0.01), rng.normal(0.0, 0.02), 0.0),
                       turn=(rng.normal(0.0, 8.0), rng.normal(0.0, 10.0), rng.uniform(-40.0, 40.0)))  # fmt: skip
        count, flatness = int(9000 * wide / 0.03) + 1200, stage.uniform("flatness", 0.3, 1.0)
        angle, reach = rng.uniform(0.0, 2.0 * np.pi, count), wide * np.sqrt(rng.uniform(0.0, 1.0, count))
        roots = np.column_stack([reach * np.cos(angle), flatness * reach * np.sin(angle), 0.0 * angle])
        splay = roots * stage.uniform("splay", 2.0, 12.0) + UP + rng.normal(0.0, 0.03, (count, 3))
        path = grow(
            rng, roots, splay, long * (1.0 - 0.25 * (reach / wide) ** 2) * rng.uniform(0.9, 1.0, count), 12, 0.0, 0.02
        )
        path = clump(rng, path, max(count // 60, 8), stage.uniform("clumping", 0.2, 0.95))
        shader = hair_shader(stage, "bristle", 0.0)
        if stage.happens("painted", 0.6):
            shader = Shader("paint", hue(stage.uniform("hue", 0.0, 1.0), 0.9, 0.5), 0.25, Coat_Weight=0.5)
        strands("bristles", path, 0.00014 * np.linspace(1.0, 0.4, 12), shader, holder)
        t = np.linspace(0.0, 1.0, 24)
        profile = wide * (1.05 - 0.25 * t) * (1.0 + 0.03 * np.sin(60.0 * t) * (t > 0.6) * (t < 0.9))
        handle = wide * (0.8 - 0.35 * t + 0.25 * np.sin(np.pi * t) ** 2)
        for name, radius, low, high, family in (
            ("ferrule", profile, -0.05, 0.004, "metal"),
            ("handle", handle, -0.25, -0.05, "wood"),
        ):
            along = (high + (low - high) * t)[None, :, None] * UP
            tube = limbs(name, along, radius[None], materials.draw(stage, (family,), 0.1), holder, sides=40)
            tube.scale = (1.0, flatness + 0.05, 1.0)
    return Subject((0.01, 0.0, 0.0), 0.075, (-10.0, 40.0), fill=(0.9, 2.0))


def feathers(stage: Stage) -> Subject:
    """Feathers in overlap, barb by barb, plain, barred or eyed."""
    rng = stage.rng
    dye = [hue(stage.uniform("hue", 0.0, 1.0), stage.uniform("saturation", 0.0, 0.9), v) for v in (0.55, 0.1)]
    shader = Shader("barb", dye[0], 0.4, Sheen_Weight=0.3)
    tint = shader.add("Attribute", out="Fac", settings={"attribute_name": "tint"})
    shader.colour(tint, *dye)
    quill = Shader("quill", (0.5, 0.42, 0.3), 0.35)
    marks = stage.choose("markings", ("bars", "eye", "plain", "tips"))
    for n in range(stage.integer("feathers", 3, 9)):
        long, wide = rng.uniform(0.1, 0.18), rng.uniform(0.016, 0.028)
        holder = place("feather", None, at=rng.normal(0.0, 0.02, 3) * (1.0, 1.0, 0.0) + 0.004 * n * UP,
                       turn=(0.0, rng.normal(0.0, 6.0), rng.normal(0.0, 40.0)))  # fmt: skip
        s = np.linspace(0.0, 1.0, 40)
        shaft = np.stack([0.05 * long * np.sin(3.0 * s), long * (s - 0.5), 0.12 * long * (1.0 - s) * s * 4.0], axis=-1)
        limbs("quill", shaft[None], 0.0011 * (1.1 - s)[None], quill, holder, sides=8)
        count = 1900
        at = np.sort(rng.uniform(0.06, 1.0, count))
        side = np.where(np.arange(count) % 2, 1.0, -1.0)
        base = np.stack([np.interp(at, s, shaft[:, k]) for k in range(3)], axis=-1)
        splits = np.round(at * rng.integers(9, 30)) * 2.4
        reach = (
            wide
            * np.sin(np.pi * np.clip(at, 0, 1) ** 0.6 * 0.93 + 0.1) ** 0.5
            * np.where(at < 0.16, rng.uniform(0.3, 1.0, count), 1.0)
        )
        lean = 0.65 + 0.9 * at**3 + 0.06 * np.sin(splits)
        heading = np.column_stack([side * np.cos(lean), np.sin(lean), 0.25 + 0.06 * np.sin(splits)])
        down = np.where(at < 0.16, 0.3, 0.012)[:, None, None]
        path = grow(rng, base, heading, reach, 9, 0.3, 1.0) * down + grow(rng, base, heading, reach, 9, 0.3, 0.0) * (
            1.0 - down
        )
        spots = {
            "bars": np.sin(55.0 * at + side),
            "eye": 0.25 - abs(at - 0.8) * 3.0,
            "plain": at * 0.0 - 1.0,
            "tips": at - 0.75,
        }[marks]
        pigment = np.clip(0.5 + 3.0 * spots + rng.normal(0.0, 0.15, count), 0.0, 1.0)
        strands("barbs", path, 0.00013 * np.linspace(1.0, 0.4, 9), shader, holder, pigment)
    x, y = plane((1.0, 1.0), (40, 40))
    sheet(
        "table",
        np.stack([x, y, 0.0 * x - 0.012], axis=-1),
        materials.draw(stage, ("wood", "stone", "fabric", "leather"), 0.4),
    )
    return Subject((0.0, 0.0, 0.005), 0.075, (25.0, 80.0), fill=(0.8, 2.2))


def eyelashes(stage: Stage) -> Subject:
    """One eye near the lens, with lids, lashes and a brow."""
    lashes(stage, hair_shader)
    return Subject((0.0, -0.012, 0.001), 0.016, (-12.0, 15.0), (-40.0, 40.0), fill=(0.8, 1.8))


KINDS = (animal, head, carpet, brush, feathers, eyelashes)


def build(stage: Stage) -> Subject:
    """One of the kinds."""
    kinds = {kind.__name__: kind for kind in KINDS}
    return kinds[stage.choose("hair", tuple(kinds), (3, 3, 1, 1, 1, 1.5))](stage)
