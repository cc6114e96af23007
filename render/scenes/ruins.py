"""Things to stand in mist: columns and ruins, a bare wood, a line of posts, and wet ground."""

from itertools import pairwise

import numpy as np

from render.blender import Shader, boxes, lathe, place, wire
from render.scenes import materials
from render.scenes.shapes import UP, Noise, limbs, plane, sheet, strands
from render.scenes.stage import Stage
from render.scenes.stones import rock_shader, strew


def column(stage: Stage, at, tall: float, shader: Shader, broken: bool) -> None:
    """A fluted column on its base; a broken one has no capital."""
    radius, holder = (
        0.075 * tall + 0.08,
        place("column", None, at=at, turn=(*stage.rng.normal(0.0, 1.2, 2), stage.rng.uniform(0.0, 360.0))),
    )
    base = [
        (0.0, 0.0),
        (1.5, 0.0),
        (1.5, 0.25),
        (1.35, 0.3),
        (1.4, 0.42),
        (1.3, 0.5),
        (1.12, 0.52),
        (1.15, 0.62),
        (1.0, 0.7),
    ]
    lathe("base", [(radius * r, radius * h) for r, h in base], shader, holder)
    t = np.linspace(0.0, 1.0, 24)
    shaft = radius * (1.0 - 0.16 * t**1.5)
    lathe(
        "shaft",
        np.stack([shaft, radius * 0.7 + (tall - radius * 0.7) * t], axis=1),
        shader,
        holder,
        knurl=0.13 * radius,
    )
    top = [(0.84, 0.0), (0.9, 0.05), (0.9, 0.12), (0.84, 0.16), (1.2, 0.5), (1.25, 0.55), (1.25, 0.7), (0.0, 0.7)]
    if broken:
        jag = stage.rng.uniform(-0.06, 0.12, 5)
        top = [(0.84, 0.0), (0.7, jag[0]), (0.5, jag[1]), (0.25, jag[2]), (0.0, jag[3])]
    lathe("top", [(radius * r, tall + radius * h) for r, h in top], shader, holder)


def ruins(stage: Stage) -> None:
    """Columns in two rows, some fallen short, with a lintel and rubble."""
    shader, rng = rock_shader(stage, 1.2, stage.choose("ruin", ("limestone", "sandstone", "granite"))), stage.rng
    for n in range(7):
        for side in (-1.5, 1.5):
            broken = rng.random() < 0.45
            column(
                stage,
                (side + rng.normal(0.0, 0.05), 2.2 * n - 3.0, -0.05),
                rng.uniform(0.7, 2.6) if broken else 3.2,
                shader,
                broken,
            )
    spans = [((-2.1, 2.2 * n - 3.4, 3.5), (2.1, 2.2 * n - 2.6, 3.95)) for n in range(7) if rng.random() < 0.3]
    boxes(
        "lintels",
        [*spans, *(((x - 0.4, y - 0.2, -0.1), (x + 0.4, y + 0.25, 0.3)) for x, y in rng.uniform(-3.0, 4.0, (6, 2)))],
        shader,
        bevel=0.03,
    )
    flat = rng.uniform(-5.0, 6.0, (500, 2))
    strew(stage, shader, np.column_stack([flat, np.zeros(500)]), 0.03, 0.5, 0.9)


def woods(stage: Stage) -> None:
    """Bare trunks with stubs of branches."""
    rng, count = stage.rng, 70
    bark = Shader("bark", (0.05, 0.04, 0.032), 0.9)
    bark.bump(
        bark.add(
            "TexNoise",
            Vector=bark.add("VectorMath", bark.where, (30.0, 30.0, 5.0), settings={"operation": "MULTIPLY"}),
            Scale=1.0,
            Detail=7.0,
        ),
        0.04,
        0.5,
    )
    t = np.linspace(0.0, 1.0, 24)[None, :, None]
    feet = np.column_stack([rng.uniform(-7.0, 7.0, count), rng.uniform(-3.0, 16.0, count), np.zeros(count)])
    feet = feet[np.hypot(feet[:, 0] / 1.3, feet[:, 1] + 1.5) > 1.4][:, None]
    count = len(feet)
    path = (
        feet
        + 9.0 * t * UP
        + rng.normal(0.0, 0.3, (count, 1, 3)) * t
        + np.cumsum(rng.normal(0.0, 0.025, (count, 24, 3)), axis=1)
    )
    limbs(
        "trunks",
        path,
        rng.uniform(0.07, 0.22, (count, 1)) * (1.0 + 0.9 * np.exp(-20.0 * t[..., 0]) - 0.5 * t[..., 0]),
        bark,
        sides=18,
    )
    starts = path[np.repeat(np.arange(count), 22), rng.integers(3, 24, 22 * count)][:, None]
    way = rng.normal(size=(22 * count, 1, 3)) * (1.0, 1.0, 0.4)
    s = np.linspace(0.0, 1.0, 9)[None, :, None]
    twigs = (
        starts
        + s * way * rng.uniform(0.2, 1.0, (22 * count, 1, 1))
        - 0.25 * s**2 * UP
        + np.cumsum(rng.normal(0, 0.02, (22 * count, 9, 3)), axis=1)
    )
    limbs("branches", twigs, 0.022 * np.linspace(1.0, 0.2, 9), bark, sides=6)


def posts(stage: Stage) -> None:
    """A line of leaning posts with sagging wires, and lamps on some."""
    rng = stage.rng
    wood = materials.draw(stage, ("wood",), 1.0)
    iron = materials.draw(stage, ("metal",), 0.1)
    tops = []
    for n in range(9):
        lean = rng.normal(0.0, 0.12, 2)
        foot, top = (
            np.array((-1.6 + 0.1 * n, 1.9 * n - 3.5, -0.2)),
            np.array((-1.6 + 0.1 * n + lean[0], 1.9 * n - 3.5 + lean[1], 2.3)),
        )
        limbs("post", np.linspace(foot, top, 8)[None], 0.055, wood, sides=14)
        boxes("arm", [tuple(top + np.array(((-0.45, -0.03, -0.2), (0.45, 0.03, -0.12))))], wood, bevel=0.006)
        tops.append(top)
    t = np.linspace(0.0, 1.0, 20)[:, None]
    for a, b in pairwise(tops):
        for x, z in ((-0.42, -0.1), (0.0, 0.02), (0.42, -0.1)):
            wire("wire", a * (1 - t) + b * t + np.array((x, 0.0, z)) - 0.5 * t * (1.0 - t) * UP, 0.006, iron, None)
    strew(
        stage,
        rock_shader(stage, 0.8),
        np.column_stack([rng.uniform(-4.0, 5.0, (400, 2)), np.zeros(400)]),
        0.03,
        0.4,
        0.6,
    )


def wet_ground(stage: Stage) -> None:
    """Earth with grass and puddles."""
    x, y = plane((50.0, 50.0), (300, 300))
    z = 0.12 * Noise(stage.rng).fractal(np.stack([x, y], axis=-1) * 0.35, 6)
    soil = rock_shader(stage, 2.0, "basalt", "soil")
    sheet("ground", np.stack([x, y, z - 0.03], axis=-1), soil)
    boxes("puddles", [((-25.0, -25.0, -0.2), (25.0, 25.0, -0.05))], Shader("puddle", (0.01, 0.01, 0.01), 0.03))
    count, t = 25_000, np.linspace(0.0, 1.0, 6)[None, :, None]
    feet = np.column_stack([stage.rng.uniform(-6.0, 7.0, (count, 2)), np.full(count, -0.05)])[:, None]
    way = stage.rng.normal(0.0, 0.1, (count, 1, 3)) * (1, 1, 0)
    blades = Shader("grass", (0.06, 0.07, 0.02), 0.6)
    strands(
        "grass",
        feet + stage.rng.uniform(0.08, 0.3, (count, 1, 1)) * t * UP + way * t**2,
        0.002 * (1.0 - 0.8 * t[..., 0]),
        blades,
    )
