"""Machines seen close: gear trains, control panels, pipework and plated hulls with bolts, grilles, cables and dials."""

from __future__ import annotations

import math

import numpy as np

from render.blender import Shader, boxes, lathe, place
from render.scenes.machine_parts import SHEET, bolts, cables, gauge, gear, greebles, lamps, mesh_sheet, plate
from render.scenes.materials import draw
from render.scenes.materials_soft import glow
from render.scenes.parts import blocks, prism, ring, wires
from render.scenes.patterns import tint
from render.scenes.shapes import move
from render.scenes.stage import Stage, Subject
from render.scenes.words import LATIN, SIGNS, Words, text


def build(stage: Stage) -> Subject:
    """One of the variants, all about a metre wide, on a back plate that faces -y."""
    return VARIANTS[stage.choose("variant", tuple(VARIANTS))](stage)


# ---- variants


def gears(stage: Stage) -> Subject:
    """A train of meshing gears that turn together over the plate."""
    plate(stage)
    pitch = stage.log_uniform("pitch", 0.014, 0.035)
    at, heading, spin, placed = np.array((0.0, 0.0)), 0.0, stage.uniform("spin", -120.0, 120.0), []
    before, phase = 0.0, 0.0
    for k in range(stage.integer("gears", 4, 9)):
        teeth = int(stage.rng.integers(9, 44))
        radius = teeth * pitch / (2 * math.pi)
        for _ in range(60):
            heading = stage.rng.uniform(0.0, 2 * math.pi)
            spot = at + (before + radius) * np.array((math.cos(heading), math.sin(heading))) if k else at
            if all(np.hypot(*(spot - p)) > radius + r + 0.6 * pitch for p, r in placed[:-1]):
                break
        else:
            continue
        if k:
            # Where they touch, a tooth of one lies in a gap of the other: their shares of a tooth there add up to 1.
            share = (heading - phase) * before / pitch
            phase = heading + math.pi - (1.0 - share) * pitch / radius
            spin *= -before / radius
        spot_obj = place("turns", None, at=(spot[0], -0.012, spot[1]), turn=(90, 0, 0))
        axis = place("axis", None, parent=spot_obj, turn=(0, 0, math.degrees(phase)))
        gear(
            stage,
            teeth,
            pitch,
            stage.rng.uniform(0.01, 0.02),
            draw(stage, ("metal", "metal", "metal", "plastic", "painted"), 2 * radius),
            axis,
        )
        move(axis, turn=(0, 0, spin))
        placed.append((spot, radius))
        at, before = spot, radius
    bolts(
        stage, [(x, -0.004, z) for x, z in stage.rng.uniform(-0.6, 0.6, (24, 2))], 0.012, draw(stage, ("metal",), 0.03)
    )
    centre = np.mean([p for p, _ in placed], axis=0)
    words = Words(stage.rng)
    tag = place("tag", None, at=(centre[0] + 0.1, -0.05, centre[1] - 0.1))
    text(words.code(), 0.02, Shader("stamp", (0.02, 0.02, 0.02), 0.5), tag, (0, 0.03, 0), "mono")
    return Subject((centre[0], -0.02, centre[1]), 0.26, (-25, 35), (-50, 50), (0.9, 2.2))


def panel(stage: Stage) -> Subject:
    """A desk of instruments: gauges, lamps, switches, knobs, labels, a grille, a small display."""
    plate(stage)
    words, print_ = Words(stage.rng), Shader("print", (0.78, 0.77, 0.72), 0.5)
    slots = [(0.32 * (k % 5 - 2), 0.26 * (k // 5 - 1)) for k in range(15)]
    shader = draw(stage, SHEET, 0.3)
    for x, z in slots:
        low, high = (x - 0.15, z - 0.12), (x + 0.15, z + 0.12)
        boxes(
            "module",
            [((low[0], -0.022, low[1]), (high[0], 0.0, high[1]))],
            shader if stage.rng.random() < 0.7 else draw(stage, SHEET, 0.3),
            bevel=0.002,
        )
        bolts(
            stage,
            [(x + a, -0.022, z + b) for a in (-0.14, 0.14) for b in (-0.11, 0.11)],
            0.004,
            print_ if stage.rng.random() < 0.2 else draw(stage, ("metal",), 0.02),
        )
        kind = stage.choose("module", ("gauge", "lamps", "switches", "knobs", "grille", "display", "plate"))
        if kind == "gauge":
            gauge(stage, (x, -0.022, z), 0.085)
        elif kind == "lamps":
            lamps(stage, low, (high[0], high[1] - 0.02), -0.022, int(stage.rng.integers(8, 30)))
        elif kind == "grille":
            mesh_sheet(stage, (x, -0.022, z), 0.24, 0.18)
        elif kind == "display":
            _display(stage, words, low, high)
        elif kind == "plate":
            text(
                words.pick(SIGNS),
                0.045,
                print_,
                None,
                (x, -0.0228, z + 0.03),
                LATIN[stage.rng.integers(3)],
                "CENTER",
                0.001,
            )
            text("\n".join(words.lines(8, 38)), 0.011, print_, None, (x - 0.125, -0.0228, z + 0.005), "sans")
        else:
            _controls(stage, words, x, z, kind, print_)
        text(words.title(), 0.012, print_, None, (x, -0.0228, high[1] - 0.018), "sans", "CENTER")
    cables(stage, 8, (-0.8, -0.5), (0.8, 0.2))
    return Subject((0, 0, 0), 0.42, (-10, 35), (-45, 45), (0.9, 2.4))


def _controls(stage: Stage, words: Words, x: float, z: float, kind: str, print_: Shader) -> None:
    """Toggle switches or knurled knobs with scales, on a module at (x, z)."""
    metal, cap = draw(stage, ("metal",), 0.03), draw(stage, ("plastic", "metal"), 0.03)
    for k in range(12 if kind == "switches" else 6):
        columns = 6 if kind == "switches" else 3
        a, b = x - 0.12 + 0.24 * (k % columns + 0.5) / columns, z + 0.035 - 0.09 * (k // columns)
        spot = place("control", None, at=(a, -0.022, b), turn=(90, 0, 0))
        if kind == "switches":
            lathe("nut", [(0.009, 0), (0.009, 0.004), (0.005, 0.006), (0.005, 0.009)], metal, spot, segments=24)
            lever = place("lever", None, parent=spot, at=(0, 0, 0.007), turn=(stage.rng.choice((-22, 22)), 0, 0))
            lathe("lever", [(0.002, 0), (0.0035, 0.022), (0.003, 0.026), (0, 0.027)], metal, lever, segments=24)
            text(
                words.pick(("ON", "AUX", "PWR", "RUN", "TEST")),
                0.009,
                print_,
                None,
                (a, -0.0228, b + 0.014),
                "sans",
                "CENTER",
            )
        else:
            turned = place("knob", None, parent=spot, turn=(0, 0, stage.rng.uniform(0, 300)))
            lathe("knob", [(0.019, 0), (0.018, 0.016), (0.016, 0.019), (0, 0.019)], cap, turned, 0.0008)
            blocks("pointer", [((-0.0008, 0.003, 0.019), (0.0008, 0.018, 0.0196))], print_, turned)
            ticks = [
                [(0.022 * math.sin(t), 0.022 * math.cos(t), 0.0003), (0.027 * math.sin(t), 0.027 * math.cos(t), 0.0003)]
                for t in np.linspace(-2.4, 2.4, 21)
            ]
            wires("scale", ticks, 0.0004, print_, spot, sides=0)


def _display(stage: Stage, words: Words, low, high) -> None:
    """A small lit screen with numbers and a trace."""
    ink = glow(
        stage, "display", tint(stage, (0.6, 1.0), (0.9, 1.0), (0.0, 0.6)), stage.log_uniform("display", 2.0, 60.0)
    )
    blocks(
        "display",
        [((low[0] + 0.02, -0.024, low[1] + 0.03), (high[0] - 0.02, -0.02, high[1] - 0.03))],
        Shader("display", (0.004, 0.006, 0.006), 0.05),
    )
    for k in range(4):
        text(words.number(), 0.032, ink, None, (low[0] + 0.03, -0.0245, high[1] - 0.065 - 0.035 * k), "mono")
    x = np.linspace(low[0] + 0.14, high[0] - 0.03, 90)
    z = 0.5 * (low[1] + high[1]) + 0.05 * np.sin(110.0 * x) * stage.rng.uniform(0.2, 1.0, 90)
    wires("trace", [np.stack([x, 0 * x - 0.0247, z], axis=1)], 0.0007, ink, sides=0)


def pipework(stage: Stage) -> Subject:
    """Pipes with bends, flanges and valves in layers over the plate, gauges, cables and a cage."""
    plate(stage)
    for layer in range(stage.integer("pipe layers", 2, 4)):
        shader, metal = draw(stage, ("painted", "metal", "metal", "plastic"), 0.5), draw(stage, ("metal",), 0.1)
        radius, y = stage.rng.uniform(0.012, 0.045), -0.05 - 0.09 * layer
        for k in range(stage.integer("pipes", 2, 4)):
            x, z = stage.rng.uniform(-0.55, 0.55, 2)
            across = stage.rng.random() < 0.5
            a, b, c, d = (-1.6, z), (x, z), (x, z + 0.4 * (-1) ** k), (1.6, z + 0.4 * (-1) ** k)
            corners = (a, b, c, d) if across else tuple((q, p) for p, q in (a, (b[1], b[0]), (c[1], c[0]), d))
            line = _bend([(px, y, pz) for px, pz in corners], 3.0 * radius)
            wires("pipe", [line], radius, shader, sides=6)
            for j in range(4, len(line) - 4, 9):
                _flange(stage, line[j], line[j + 1] - line[j - 1], radius, metal)
        gauge(stage, (stage.rng.uniform(-0.4, 0.4), y - radius, stage.rng.uniform(-0.3, 0.3)), 0.06)
    cables(stage, 16, (-0.8, -0.5), (0.8, 0.5))
    greebles(stage, (-0.8, -0.6), (0.8, 0.6), 60, [draw(stage, SHEET, 0.2) for _ in range(2)])
    return Subject((0, -0.1, 0), 0.42, (-25, 35), (-50, 50), (0.9, 2.2))


def _bend(corners, radius: float) -> np.ndarray:
    """Points of a line through corners, each rounded."""
    corners = np.asarray(corners, float)
    points = [corners[0]]
    for a, b, c in zip(corners[:-2], corners[1:-1], corners[2:]):
        u, v = (a - b) / np.linalg.norm(a - b), (c - b) / np.linalg.norm(c - b)
        points += [b + radius * ((1 - t) ** 2 * u + t**2 * v) for t in np.linspace(0, 1, 12)]
    return np.array([*points, corners[-1]])


def _flange(stage: Stage, at, along, radius: float, shader: Shader) -> None:
    """Two rings bolted together around a pipe."""
    away = np.asarray(along) / np.linalg.norm(along)
    pitch, heading = math.degrees(math.acos(away[2])), math.degrees(math.atan2(away[1], away[0]))
    spot = place("flange", None, at=tuple(at), turn=(0, pitch, heading))
    wide, r = 0.3 * radius, 1.6 * radius
    lathe(
        "flange",
        [
            (radius, -wide),
            (r, -wide),
            (r, -0.04 * radius),
            (0.97 * r, 0),
            (r, 0.04 * radius),
            (r, wide),
            (radius, wide),
        ],
        shader,
        spot,
        segments=64,
    )
    for x, y in ring(1.32 * radius, 8):
        nut = place("nut", None, parent=spot, at=(x, y, wide))
        prism("nut", ring(0.17 * radius, 6), 0.16 * radius, shader, nut)


def hull(stage: Stage) -> Subject:
    """Plating dense with small boxes, vents, meshes, hatches, markings and running lights."""
    plate(stage)
    shaders = [draw(stage, families, 0.2) for families in (SHEET, ("metal",))]
    shaders.append(Shader("dark parts", (0.03, 0.03, 0.033), 0.5, Metallic=0.6))
    for _ in range(5):
        x, z = stage.rng.uniform((-0.7, -0.4), (0.7, 0.4))
        greebles(stage, (x - 0.25, z - 0.14), (x + 0.25, z + 0.14), 110, shaders)
    for x, z in ((-0.45, 0.3), (0.5, -0.25), (0.1, 0.05)):
        mesh_sheet(stage, (x, -0.03, z), stage.rng.uniform(0.15, 0.3), stage.rng.uniform(0.1, 0.2))
    hatch = place(
        "hatch", None, at=(stage.rng.uniform(-0.3, 0.3), -0.01, stage.rng.uniform(-0.2, 0.2)), turn=(90, 0, 0)
    )
    lathe(
        "hatch",
        [(0.16, 0), (0.16, 0.02), (0.15, 0.026), (0.12, 0.026), (0.115, 0.02), (0, 0.024)],
        draw(stage, SHEET, 0.3),
        hatch,
    )
    bolts(
        stage,
        [(0.137 * math.cos(t), 0.137 * math.sin(t), 0.026) for t in np.linspace(0, 6.28, 17)[:-1]],
        0.006,
        draw(stage, ("metal",), 0.02),
        hatch,
        0.0,
    )
    words = Words(stage.rng)
    paint = Shader("markings", tint(stage, (0.0, 1.0), (0.3, 0.95)), 0.6)
    text(words.code(), 0.16, paint, None, (-0.7, -0.0092, -0.45), LATIN[stage.rng.integers(3)])
    text("\n".join(words.lines(5, 40)).upper(), 0.02, paint, None, (0.2, -0.0092, 0.36), "mono")
    lamps(stage, (-0.7, -0.2), (0.7, 0.2), -0.012, 14)
    cables(stage, 10, (-0.8, -0.5), (0.8, 0.5))
    return Subject((0, -0.02, 0), 0.42, (-30, 40), (-55, 55), (0.9, 2.6))


VARIANTS = {"gears": gears, "panel": panel, "pipework": pipework, "hull": hull}
