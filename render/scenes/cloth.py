"""Cloth: curtains, tablecloths, crumpled sheets, washing on a line, flags, knitwear, lace, sequins."""

import bpy
import numpy as np

from render.blender import Shader, boxes, lathe, place
from render.scenes import materials
from render.scenes.fabric import folds, lace_shader, metric, stitches, thick, thread_shader, woven
from render.scenes.shapes import (
    UP,
    Noise,
    hue,
    limbs,
    move,
    plane,
    scatter,
    sheet,
    strands,
    tone,
    turns,
    unit,
)
from render.scenes.stage import Stage, Subject


def curtain(stage: Stage) -> Subject:
    """A curtain that falls in pleats from a rod, at times a sheer one with light behind."""
    noise = Noise(stage.rng)
    s, z = plane((3.0, 2.0), (700, 220))
    z = z + 1.0
    pleat, drift = stage.uniform("pleat", 0.12, 0.3), stage.uniform("drift", 0.02, 0.12)
    phase = 2.0 * np.pi * (s + drift * noise(np.stack([s * 2.0, z * 0.8], axis=-1))) / pleat
    deep = stage.uniform("depth", 0.1, 0.28) * pleat * (1.0 + 0.5 * noise(np.stack([s * 3.0, z * 0.6 + 7.0], axis=-1)))
    y = (
        deep
        * (np.sin(phase) + 0.35 * np.sin(2.0 * phase + 1.5 * noise(np.stack([s, z], axis=-1))))
        * (0.55 + 0.45 * (2.0 - z) / 2.0)
    )
    y = y + 0.003 * noise.fractal(np.stack([s * 9.0, z * 5.0], axis=-1), 3)
    points = np.stack([0.6 * s + 0.12 * deep * np.cos(phase), y, z], axis=-1)
    sheer = stage.choose("sheer", (0.0, 0.7))
    cloth = sheet("curtain", points[::-1], woven(stage, 0.5, sheer), metric(points))
    stitches(points[:, 6], (0.0, -1.0, 0.0), 0.006, thread_shader(stage), cloth)
    steel = materials.draw(stage, ("metal", "wood"), 0.1)
    t = np.linspace(-1.1, 1.1, 12)
    limbs("rod", np.stack([t, 0.0 * t, 2.03 + 0.0 * t], axis=-1)[None], 0.016, steel, sides=24)
    if stage.happens("wind", 0.5):
        move(cloth, (0.03, 0.0, 0.0), (1.5, 0.0, 0.0))
    if sheer:
        boxes(
            "sill", [((-1.2, 0.5, 0.0), (1.2, 0.7, 0.8))], materials.draw(stage, ("wood", "painted"), 1.0), bevel=0.01
        )
    return Subject((0.0, 0.0, stage.uniform("height", 0.5, 1.8)), 0.35, (-10.0, 15.0), (-55.0, 55.0), fill=(0.7, 2.2))


def tablecloth(stage: Stage) -> Subject:
    """A cloth over a table's edge, with a thing or two on it."""
    rng, radius = stage.rng, stage.uniform("table", 0.3, 0.45)
    u, v = plane((1.5, 1.5), (420, 420))
    power = stage.choose("table shape", (2.0, 6.0))
    far = np.maximum((np.abs(u) ** power + np.abs(v) ** power) ** (1.0 / power), 1e-6)
    angle, over = np.arctan2(v, u), np.maximum(far - radius, 0.0)
    count, noise = stage.integer("folds", 7, 14), Noise(rng)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    swing = np.sin(count * (angle + 0.25 * noise(ring * 1.5)) + 3.0 * noise(ring * 2.0))
    flare = 1.0 - np.exp(-over / 0.02)
    out = 0.03 * flare + 0.30 * over * (0.6 + swing) * stage.uniform("fullness", 0.5, 1.0)
    scale = (np.minimum(far, radius) + out) / far
    bend = 0.012 * np.exp(-over / 0.012)
    drop = np.where(over > 0.0, -0.93 * over + bend - 0.012, 0.0)
    creases = 0.004 * folds(rng, u, v, 8, 0.8)
    points = np.stack([u * scale, v * scale, drop + creases], axis=-1)
    cloth = sheet("cloth", points, woven(stage, 0.5), np.stack([u, v], axis=-1))
    thick(cloth, -0.0008)
    for row in (points[:, 8], points[:, -9], points[8], points[-9]):
        middle = unit(row * (1.0, 1.0, 0.0))
        stitches(row + 0.0008 * middle, (0.0, 0.0, 1.0), 0.007, thread_shader(stage), cloth)
    for _ in range(stage.integer("things", 1, 3)):
        at, size = rng.uniform(-0.6, 0.6, 2) * radius, stage.uniform("thing", 0.03, 0.06)
        t = np.linspace(0.0, 1.0, 24)
        pot = size * (0.55 + 0.45 * np.sin(np.pi * (0.1 + rng.uniform(0.5, 1.1) * t)))
        profile = [
            (0.0, 0.0),
            *zip(pot, 2.0 * size * t, strict=True),
            *zip(0.9 * pot[::-1], 2.0 * size * t[::-1] + 0.002, strict=True),
            (0.0, 0.006),
        ]
        lathe(
            "pot",
            profile,
            materials.draw(stage, ("ceramic", "metal", "glass", "wood"), 2.0 * size),
            place("pot", None, at=(*at, 0.004)),
        )
    boxes("floor", [((-6.0, -6.0, -0.8), (6.0, 6.0, -0.75))], materials.draw(stage, ("wood", "stone", "tile"), 2.0))
    return Subject((0.0, -0.8 * radius, -0.05), 0.32, (5.0, 40.0), (-60.0, 60.0), fill=(0.8, 2.0))


def crumpled(stage: Stage) -> Subject:
    """A sheet, a shirt's worth of cloth or a silk left in creases."""
    size = stage.uniform("size", 0.4, 1.0)
    x, y = plane((2.0 * size, 2.0 * size), (640, 640))
    height = size * stage.uniform("relief", 0.35, 0.9) * folds(stage.rng, x, y, stage.integer("creases", 14, 40), size)
    points = np.stack([x, y, height], axis=-1)
    uv = np.stack([x, y], axis=-1) + 0.3 * np.stack(np.gradient(height, x[1, 0] - x[0, 0]), axis=-1) * size * 0.1
    cloth = sheet("sheet", points, woven(stage, 0.6 * size), uv)
    across = np.linspace(60, 580, 600)
    middle = np.full(len(across), 320)
    stitches(points[across.astype(int), middle] + 0.001 * size * UP, UP, 0.012 * size, thread_shader(stage), cloth)
    return Subject((0.0, 0.0, 0.06 * size), 0.45 * size, (12.0, 65.0), fill=(0.9, 2.4))


def washing(stage: Stage) -> Subject:
    """Cloths on a line in the wind, pegged."""
    rng, noise = stage.rng, Noise(stage.rng)
    t = np.linspace(-2.5, 2.5, 60)

    def sag(x):
        return 1.8 + 0.03 * x**2

    limbs("line", np.stack([t, 0.0 * t, sag(t)], axis=-1)[None], 0.003, Shader("rope", (0.5, 0.45, 0.36), 0.9), sides=8)
    peg, at = materials.draw(stage, ("wood",), 0.06), -1.3
    for n in range(4):
        wide, tall = rng.uniform(0.35, 0.8), rng.uniform(0.4, 1.1)
        x, d = plane((wide, tall), (220, 220))
        d = tall / 2.0 - d
        spot = np.stack([x * 4.0 + 9.0 * n, d * 2.0], axis=-1)
        hang = 0.06 * d * np.sin(
            2.0 * np.pi * x / wide * rng.uniform(1.0, 2.5) + 2.0 * noise(spot)
        ) + 0.02 * noise.fractal(spot, 4)
        y = (stage.uniform("wind", -0.4, 0.4) * d**1.5 / tall + hang) * np.minimum(d / 0.05, 1.0)
        middle = at + wide / 2.0
        points = np.stack([x + middle, y, sag(x + middle) - d - 0.05 * d * np.cos(6.0 * x / wide)], axis=-1)
        cloth = sheet("cloth", points[::-1], woven(stage, 0.6), metric(points))
        thick(cloth, 0.0012)
        stitches(points[:, -7], (0.0, -1.0, 0.0), 0.007, thread_shader(stage), cloth)
        for side in (-0.48, -0.05, 0.46):
            px = middle + side * wide
            boxes(
                "peg", [((px - 0.006, -0.009, sag(px) - 0.05), (px + 0.006, 0.009, sag(px) + 0.03))], peg, bevel=0.002
            )
        if stage.happens("swing", 0.4):
            move(cloth, (0.0, 0.05, 0.0), (2.0, 0.0, 0.0))
        at += wide + rng.uniform(0.03, 0.12)
    return Subject(
        (0.0, 0.0, 1.45), 0.6, (-15.0, 15.0), fill=(0.7, 1.8), environments=("forest", "courtyard", "sunrise", "city")
    )


def flag(stage: Stage) -> Subject:
    """A flag or a banner that flies from its pole, frayed at the free end."""
    rng, noise = stage.rng, Noise(stage.rng)
    wide, tall = 1.5, stage.uniform("tall", 0.7, 1.0)
    x, z = plane((wide, tall), (420, 280))
    x = x + wide / 2.0
    waves = stage.uniform("waves", 0.3, 0.7)
    phase = 2.0 * np.pi * (x - 0.3 * z) / waves + 1.5 * noise(np.stack([x * 1.5, z * 1.5], axis=-1))
    y = (
        stage.uniform("billow", 0.04, 0.12)
        * np.minimum(x / 0.4, 1.0)
        * (np.sin(phase) + 0.3 * np.sin(2.3 * phase + 4.0 * z))
    )
    y = y + 0.01 * noise.fractal(np.stack([x * 6.0, z * 6.0], axis=-1), 3)
    droop = stage.uniform("droop", 0.0, 0.3)
    points = np.stack([x * (1.0 - 0.15 * droop) + 0.3 * y * np.cos(phase), y, z - droop * x**1.5 * 0.5], axis=-1)
    holder = place("flag", None)
    sheet("flag", points, woven(stage, 0.8), np.stack([x, z], axis=-1), holder)
    for row in (6, -7):
        stitches(points[:, row], (0.0, -1.0, 0.0), 0.008, thread_shader(stage), holder)
    count = 900
    ends = points[-1, rng.integers(0, 280, count)]
    t = np.linspace(0.0, 1.0, 8)[None, :, None]
    fray = ends[:, None] + 0.05 * rng.gamma(2.0, 0.5, (count, 1, 1)) * t * (
        np.eye(3)[0] + rng.normal(0.0, 0.35, (count, 1, 3))
    )
    strands("fray", fray - 0.02 * t**2 * UP, 0.0004, Shader("fray", (0.5, 0.45, 0.38), 0.8), holder)
    pole = np.linspace(-3.0, 0.7, 12)
    limbs(
        "pole",
        np.stack([0.0 * pole - 0.03, 0.0 * pole, pole], axis=-1)[None],
        0.025,
        materials.draw(stage, ("metal", "wood"), 0.1),
        sides=24,
    )
    if stage.happens("swing", 0.7):
        move(holder, turn=(0.0, stage.uniform("lift", -6.0, 6.0), stage.uniform("turn", -14.0, 14.0)))
    return Subject(
        (0.7, 0.0, -0.05),
        0.55,
        (-25.0, 15.0),
        (-50.0, 50.0),
        fill=(0.7, 1.7),
        environments=("sunrise", "sunset", "city", "courtyard"),
    )


def knit(stage: Stage) -> Subject:
    """Knitwear, loop by loop, with its fuzz."""
    rng, noise = stage.rng, Noise(stage.rng)
    columns, rows, steps = 54, 46, 14
    gauge = 0.006
    t = np.arange(columns * steps + 1) / steps
    x = gauge * (t[None] + 0.24 * np.sin(4.0 * np.pi * t)[None]) + np.zeros((rows, 1))
    y = gauge * (0.82 * np.arange(rows)[:, None] - 0.62 * np.cos(2.0 * np.pi * t)[None])
    rib = stage.choose("rib", (0, 2, 4))
    purl = np.where((np.floor(t) // rib) % 2, -1.0, 1.0) if rib else np.ones_like(t)
    z = gauge * 0.24 * purl * np.cos(4.0 * np.pi * t) + (gauge * 0.5 * np.sin(np.pi * t / rib) if rib else 0.0)
    path = np.stack([x, y, np.broadcast_to(z, x.shape)], axis=-1) - gauge * np.array((columns / 2.0, 0.41 * rows, 0.0))
    path = path + gauge * 0.06 * np.stack([noise(path[..., :2] * 150.0 + 7.0 * k) for k in range(3)], axis=-1)
    path[..., 2] += 0.1 * stage.uniform("relief", 0.3, 1.2) * folds(rng, path[..., 0] * 4.0, path[..., 1] * 4.0, 9, 0.8)
    colours = [
        hue(
            stage.uniform("dye", 0.0, 1.0),
            stage.uniform("saturation", 0.0, 0.8),
            stage.log_uniform("lightness", 0.05, 0.7),
        )
        for _ in range(3)
    ]
    band = stage.choose("bands", (1, 4, 9))
    for k, colour in enumerate(colours):
        mine = (np.arange(rows) // band) % 3 == k if band > 1 else np.full(rows, k == 0)
        if not mine.any():
            continue
        yarn = Shader("yarn", colour, 0.9, Sheen_Weight=0.5)
        yarn.where = yarn.add("UVMap", out="UV")
        ply = yarn.wave("DIAGONAL", 0.0017)
        yarn.colour(ply, tone(colour, 0.35), colour)
        yarn.bump(ply, 0.0012, 0.5)
        limbs("yarn", path[mine], gauge * 0.26, yarn, sides=10)
        feet = path[mine].reshape(-1, 3)[rng.integers(0, path[mine].size // 3, 9000)]
        out = unit(rng.normal(size=(9000, 3)) + 0.4 * UP)
        t8 = np.linspace(0.0, 1.0, 8)[None, :, None]
        fuzz = feet[:, None] + gauge * (0.2 + 0.6 * rng.gamma(2.0, 0.5, (9000, 1, 1)) * t8) * out[:, None]
        fuzz = fuzz + gauge * 0.25 * t8 * np.cumsum(rng.normal(0.0, 0.35, fuzz.shape), axis=1)
        strands("fuzz", fuzz, 0.00002, Shader("fuzz", tone(colour, 1.1), 0.7))
    return Subject((0.0, 0.0, 0.01), 0.08, (15.0, 70.0), fill=(0.9, 2.2))


def lace(stage: Stage) -> Subject:
    """Lace in loose folds over another cloth."""
    x, y = plane((0.8, 0.8), (400, 400))
    under = 0.25 * folds(stage.rng, x, y, 8, 0.5)
    sheet("under", np.stack([x, y, 0.3 * under - 0.004], axis=-1), woven(stage, 0.2), np.stack([x, y], axis=-1))
    over = np.maximum(0.55 * folds(stage.rng, x, y, 16, 0.4), 0.3 * under + 0.001)
    sheet("lace", np.stack([x, y, over], axis=-1), lace_shader(stage, 0.25), np.stack([x, y], axis=-1))
    return Subject((0.0, 0.0, 0.02), 0.13, (20.0, 75.0), fill=(0.9, 2.2))


def sequins(stage: Stage) -> Subject:
    """Sequins in rows on draped cloth, each a little askew."""
    rng, size = stage.rng, stage.uniform("sequin", 0.005, 0.012)
    x, y = plane((0.7, 0.7), (360, 360))
    height = 0.3 * folds(rng, x, y, 12, 0.5)
    cloth = np.stack([x, y, height], axis=-1)
    sheet("cloth", cloth, woven(stage, 0.2), np.stack([x, y], axis=-1))
    t = np.linspace(0.0, 1.0, 5)
    profile = [(0.09, 0.0), *zip(0.1 + 0.4 * t, 0.09 * t**2, strict=True), (0.49, 0.1), (0.1, 0.02), (0.09, 0.0)]
    colour = hue(stage.uniform("hue", 0.0, 1.0), stage.uniform("saturation", 0.0, 0.8), 0.7)
    gloss = Shader("sequin", colour, 0.12, Metallic=1.0,
                   Thin_Film_Thickness=stage.uniform("film", 0.0, 600.0), Thin_Film_IOR=1.5)  # fmt: skip
    lathe("sequin", profile, gloss, None, segments=20)
    count = int(0.6 / (0.8 * size))
    u, v = plane((0.6, 0.6), (count, count))
    v = v + 0.4 * size * (np.arange(count) % 2)[:, None]
    shape = stage.choose("rows", ("all", "bands", "swirl"))
    swirl = np.sin(np.hypot(u, v) * 60.0 + 3.0 * np.arctan2(v, u))
    keep = {"all": u < 9.0, "bands": np.sin(u * 70.0) > -0.2, "swirl": swirl > -0.1}[shape]
    grid = [np.clip(((k + 0.35) / 0.7 * 359).astype(int), 0, 358) for k in (u, v)]
    slope = [np.gradient(height, 0.7 / 359, axis=k)[*grid] for k in (0, 1)]
    normal = unit(np.stack([-slope[0], -slope[1], np.ones_like(u)], axis=-1)) + rng.normal(0.0, 0.13, (*u.shape, 3))
    normal = normal + 0.35 * np.eye(3)[1]
    at = np.stack([u, v, height[*grid] + 0.2 * size], axis=-1)
    scatter("sequins", bpy.data.objects["sequin"], at[keep], turns(normal[keep]), size * 1.15)
    return Subject((0.0, 0.0, 0.03), 0.13, (20.0, 70.0), fill=(0.9, 2.2))


KINDS = (curtain, tablecloth, crumpled, washing, flag, knit, lace, sequins)


def build(stage: Stage) -> Subject:
    """One of the kinds."""
    kinds = {kind.__name__: kind for kind in KINDS}
    return kinds[stage.choose("cloth", tuple(kinds))](stage)
