"""Parts of machines: bolts, gears, riveted plates, greebles, perforated and woven sheet, gauges, cables, lamps."""

from __future__ import annotations

import itertools
import math

import numpy as np

from render.blender import Shader, boxes, lathe, place
from render.scenes.dials import dial
from render.scenes.materials import draw
from render.scenes.materials_soft import glow
from render.scenes.parts import blocks, bolt, coil, curve_through, prism, ring, sag, wires
from render.scenes.shapes import move
from render.scenes.stage import Stage
from render.scenes.words import Words, text

SHEET = ("metal", "metal", "painted", "painted", "plastic", "car paint")


def bolts(stage: Stage, spots, size: float, shader: Shader, parent=None, tip: float = 90.0) -> None:
    """Bolt heads on washers at (x, y, z), facing -y, or along z if tip is 0; one in eight stands out."""
    for k, at in enumerate(spots):
        turned = place("bolt", None, parent=parent, at=at, turn=(tip, 0, 0 if tip else stage.rng.uniform(0, 60)))
        if k % 8 == 7:
            bolt(shader, turned, size, 4.0 * size)
        else:
            lathe("washer", [(1.3 * size, 0), (1.3 * size, 0.15 * size), (0, 0.15 * size)], shader, turned, segments=32)
            prism("head", ring(0.95 * size, 6), 0.7 * size, shader, turned, (0, 0, 0.1 * size), bevel=0.06 * size)


def gear(stage: Stage, teeth: int, pitch: float, thick: float, shader: Shader, parent) -> float:
    """A spoked gear about z; pitch: metres of arc per tooth; returns the radius at which it meshes."""
    radius, t = teeth * pitch / (2.0 * math.pi), np.arange(4 * teeth)
    angle = 2.0 * math.pi * (t // 4 + np.array((0.0, 0.2, 0.3, 0.5))[t % 4]) / teeth
    reach = radius + pitch * np.array((-0.28, 0.26, 0.26, -0.28))[t % 4]
    outline = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)
    hub, rim, spokes = max(0.22 * radius, 0.014), radius - 0.75 * pitch, int(stage.rng.integers(3, 8))
    holes = [ring(0.45 * hub, 24)]
    if rim - hub > 0.03:
        for k in range(spokes):
            a = 2 * math.pi * (k + np.linspace(0.14, 0.86, 10)) / spokes
            inner, outer = 1.35 * hub, 0.92 * rim
            arc = [(outer * math.cos(x), outer * math.sin(x)) for x in a]
            holes.append(arc + [(inner * math.cos(x), inner * math.sin(x)) for x in a[::-1]])
    prism("gear", outline, thick, shader, parent, bevel=0.0008, holes=holes)
    axle = [
        (0, -0.02),
        (0.45 * hub, -0.02),
        (0.45 * hub, thick + 0.012),
        (0.35 * hub, thick + 0.016),
        (0, thick + 0.016),
    ]
    lathe("axle", axle, draw(stage, ("metal",), 0.03), parent, segments=48)
    collar = [(1.1 * hub, thick), (1.1 * hub, thick + 0.004), (0.9 * hub, thick + 0.006), (0.45 * hub, thick + 0.006)]
    lathe("collar", collar, shader, parent, segments=64)
    return radius


def plate(stage: Stage, parent=None, y: float = 0.0) -> None:
    """The back plate: large sheets with seams, rows of rivets, grime."""
    shader, spans, rivets = draw(stage, (*SHEET, "concrete"), 0.9), [], []
    xs, zs = (np.sort(np.concatenate([stage.rng.uniform(-1, 1, 4), (-2.2, 2.2)])) for _ in range(2))
    for a, b in itertools.pairwise(xs):
        for c, d in itertools.pairwise(zs):
            lift = stage.rng.uniform(0.0, 0.008)
            spans.append(((a + 0.001, y - lift, c + 0.001), (b - 0.001, y + 0.03, d - 0.001)))
            edge = np.arange(a + 0.02, b - 0.015, 0.03)
            rivets += [
                ((x - 0.003, y - lift - 0.003, z - 0.003), (x + 0.003, y - lift, z + 0.003))
                for x in edge
                for z in (c + 0.012, d - 0.012)
            ]
    boxes("plates", spans, shader, parent, 0.0012)
    boxes("rivets", rivets, draw(stage, ("metal",), 0.1), parent, 0.0011)


def greebles(stage: Stage, low, high, count: int, shaders: list[Shader]) -> None:
    """Boxes in boxes in the given materials, dense and ordered along the axes, with vents and pins."""
    groups = [[] for _ in shaders]
    for _ in range(count):
        x, z = stage.rng.uniform(low, high)
        a, b = np.exp(stage.rng.normal(-4.2, 0.7, 2))
        depth, group = stage.rng.uniform(0.004, 0.035), groups[int(stage.rng.integers(len(shaders)))]
        group.append(((x - a, -depth, z - b), (x + a, 0.0, z + b)))
        if stage.rng.random() < 0.3:
            slots = z - 0.8 * b + 1.6 * b * np.arange(7) / 7.0
            group += [((x - 0.8 * a, -depth - 0.002, c), (x + 0.8 * a, -depth, c + 0.114 * b)) for c in slots]
    for group, shader in zip(groups, shaders):
        if group:
            boxes("greebles", group, shader, bevel=0.0007)


def mesh_sheet(stage: Stage, at, wide: float, high: float, parent=None) -> None:
    """Perforated sheet or woven wire, facing -y, over a dark hollow."""
    frame = draw(stage, ("metal", "painted"), wide)
    x, y, z = at
    w, h = 0.5 * wide, 0.5 * high
    sides = [((x - w, y - 0.008, z + s * h - 0.008), (x + w, y, z + s * h + 0.008)) for s in (-1, 1)]
    sides += [((x + s * w - 0.008, y - 0.008, z - h), (x + s * w + 0.008, y, z + h)) for s in (-1, 1)]
    boxes("frame", sides, frame, parent, 0.001)
    blocks(
        "hollow",
        [((x - w, y - 0.0005, z - h), (x + w, y, z + h))],
        Shader("hollow", (0.004, 0.004, 0.004), 1.0),
        parent,
    )
    step = stage.rng.uniform(0.006, 0.018)
    if stage.happens("perforated", 0.5):
        spots = [
            (i * step + 0.5 * step * (j % 2), j * step * 0.87)
            for i in range(int(wide / step))
            for j in range(int(high / step / 0.87))
        ]
        holes = [
            [(a + 0.6 * step - w + px, b + 0.6 * step - h + pz) for px, pz in ring(0.34 * step, 10)]
            for a, b in spots
            if a < wide - 1.3 * step and b < high - 1.2 * step
        ]
        outline = ((-w, -h), (w, -h), (w, h), (-w, h))
        prism("perforated", outline, 0.0012, frame, parent, (x, y - 0.004, z), (90, 0, 0), holes=holes)
    else:
        t = np.linspace(0.0, 1.0, int(max(wide, high) / step) * 4)
        over = [0.12 * step * np.cos(np.pi * span * t / step) for span in (wide, high)]
        lines = [
            np.stack([x - w + wide * t, y - 0.004 + (-1) ** k * over[0], z - h + 0 * t + k * step], axis=1)
            for k in range(1, int(high / step))
        ]
        lines += [
            np.stack([x - w + 0 * t + k * step, y - 0.004 - (-1) ** k * over[1], z - h + high * t], axis=1)
            for k in range(1, int(wide / step))
        ]
        wires("woven", lines, 0.11 * step, frame, parent, sides=0)


def gauge(stage: Stage, at, radius: float, parent=None) -> None:
    """A pressure gauge whose needle may swing."""
    case = place("gauge", None, parent=parent, at=at, turn=(90, 0, 0))
    profile = [
        (radius, 0),
        (1.08 * radius, 0.006),
        (1.08 * radius, 0.03),
        (0.95 * radius, 0.033),
        (0.93 * radius, 0.02),
        (0, 0.02),
    ]
    lathe("case", profile, draw(stage, ("metal", "painted", "plastic"), 2 * radius), case)
    hand = dial(stage, case, 0.92 * radius, 0.0205, whole=False)
    if stage.happens("needle swings", 0.5):
        move(hand, turn=(0, 0, stage.rng.uniform(-60, 60)))


def cables(stage: Stage, count: int, low, high, parent=None) -> None:
    """Bundles in a few colours that sag between clamps before the plate, and a corrugated hose."""
    (x0, z0), (x1, z1) = low, high
    inward = np.array((0.0, 0.09, 0.0))
    for _ in range(4):
        shader, lines = draw(stage, ("plastic", "fabric", "metal"), 0.1), []
        for _ in range(max(count // 4, 1)):
            a, b = stage.rng.uniform((x0, -0.09, z0), (x1, -0.03, z1), (2, 3))
            middle = 0.5 * (a + b) + stage.rng.normal(0, (0.05, 0.02, 0.05)) - (0, 0.03, 0.08)
            lines.append(curve_through([a + inward, a, middle, b, b + inward], 12))
        wires("cables", lines, stage.rng.uniform(0.002, 0.008), shader, parent, sides=2)
    hose = sag((x0, -0.07, z1), (x1, -0.07, z0 + 0.3 * (z1 - z0)), 0.12, 60)
    wires("hose", [hose], 0.012, draw(stage, ("plastic", "leather"), 0.1), parent, sides=3)
    ribs = [
        np.stack(
            [c[0] + 0 * coil(0.0125, 0, 1)[:, 0], c[1] + coil(0.0125, 0, 1)[:, 0], c[2] + coil(0.0125, 0, 1)[:, 1]],
            axis=1,
        )
        for c in hose
    ]
    wires("ribs", ribs, 0.0022, draw(stage, ("metal",), 0.05), parent, closed=True)


def lamps(stage: Stage, low, high, y: float, count: int, parent=None) -> None:
    """Rows of small indicator lights with labels."""
    words, strength = Words(stage.rng), stage.log_uniform("indicators", 5.0, 400.0)
    colours = ((1.0, 0.05, 0.02), (0.05, 1.0, 0.1), (1.0, 0.5, 0.05), (0.1, 0.3, 1.0))
    lit = [glow(stage, "lamp", c, strength) for c in colours]
    off, print_ = Shader("off", (0.08, 0.02, 0.02), 0.2), Shader("print", (0.75, 0.74, 0.7), 0.5)
    columns = max(int(math.sqrt(count * (high[0] - low[0]) / (high[1] - low[1]))), 1)
    for k in range(count):
        x = low[0] + (k % columns + 0.5) * (high[0] - low[0]) / columns
        z = high[1] - (k // columns + 0.5) * (high[1] - low[1]) * columns / count
        shader = lit[k % 4] if stage.rng.random() < 0.5 else off
        spot = place("lamp", None, parent=parent, at=(x, y, z), turn=(90, 0, 0))
        lathe("lens", [(0.005, 0), (0.005, 0.003), (0.0035, 0.006), (0, 0.007)], shader, spot, segments=20)
        lathe(
            "bezel",
            [(0.0075, 0), (0.007, 0.003), (0.005, 0.003)],
            Shader("bezel", (0.6, 0.6, 0.6), 0.2, Metallic=1.0),
            spot,
            segments=24,
        )
        text(words.code()[:4], 0.008, print_, parent, (x, y - 0.0006, z - 0.017), "sans", "CENTER")
