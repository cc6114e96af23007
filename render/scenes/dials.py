"""Faces with marks and hands: clocks, and the dials of gauges."""

from __future__ import annotations

import math

import bpy

from render.blender import Shader, lathe, place
from render.scenes.books import Size
from render.scenes.materials import draw
from render.scenes.parts import blocks
from render.scenes.stage import Stage
from render.scenes.words import Words, text


def clock(stage: Stage, parent) -> Size:
    """A standing dial: minute marks, numerals, hands."""
    radius = stage.rng.uniform(0.04, 0.08)
    case = place("clock", None, parent=parent, at=(0, 0.02, radius), turn=(90, 0, stage.rng.uniform(-25, 25)))
    profile = [
        (0, -0.02),
        (0.9 * radius, -0.02),
        (radius, 0.0),
        (radius, 0.02),
        (0.93 * radius, 0.022),
        (0.9 * radius, 0.012),
        (0, 0.012),
    ]
    lathe("case", profile, draw(stage, ("metal", "painted", "wood", "plastic"), 2 * radius), case)
    dial(stage, case, 0.88 * radius, 0.0125)
    return radius, 2 * radius


def dial(stage: Stage, parent, radius: float, height: float, whole: bool = True) -> bpy.types.Object:
    """A face with marks and numerals that looks along z, and its hand, which is returned."""
    light = stage.happens("light dial", 0.6)
    face, print_ = ((0.75, 0.73, 0.66), (0.01, 0.01, 0.012)) if light else ((0.012, 0.012, 0.014), (0.8, 0.8, 0.75))
    lathe("dial", [(radius, height), (0, height)], Shader("dial", face, 0.5), parent, segments=64)
    printed = Shader("print", print_, 0.5)
    count, start, sweep = (60, 0.0, 360.0) if whole else (50, -135.0, 270.0)
    for k in range(count + (not whole)):
        long = 0.12 if k % 5 == 0 else 0.06
        mark = place("mark", None, parent=parent, turn=(0, 0, -(start + sweep * k / count)))
        z = height + 0.0002
        blocks(
            "mark",
            [((-0.006 * radius, (0.94 - long) * radius, z), (0.006 * radius, 0.94 * radius, z + 0.0002))],
            printed,
            mark,
        )
        if k % 5 == 0 and not (whole and k == 60):
            angle = math.radians(start + sweep * k / count)
            at = (0.7 * radius * math.sin(angle), 0.7 * radius * math.cos(angle) - 0.06 * radius, z)
            words = str(k // 5 or 12) if whole else str(2 * k)
            text(words, 0.17 * radius, printed, parent, at, "sans", "CENTER", 0.0002, (0, 0, 0))
    text(
        Words(stage.rng).pick(("QUARTZ", "BAR", "x1000", "kPa", "AMPERES", "No 4117")),
        0.1 * radius,
        printed,
        parent,
        (0, 0.25 * radius, height + 0.0003),
        "plain",
        "CENTER",
        0,
        (0, 0, 0),
    )
    hand = place("hand", None, parent=parent, turn=(0, 0, stage.rng.uniform(-130, 130)))
    red = Shader("hand", (0.5, 0.02, 0.01) if stage.happens("red hand", 0.4) else print_, 0.3)
    blocks(
        "hand",
        [((-0.014 * radius, -0.2 * radius, height + 0.001), (0.014 * radius, 0.86 * radius, height + 0.0016))],
        red,
        hand,
    )
    if whole:
        short = place("hour", None, parent=parent, turn=(0, 0, stage.rng.uniform(0, 360)))
        blocks(
            "hour",
            [((-0.025 * radius, -0.1 * radius, height + 0.002), (0.025 * radius, 0.55 * radius, height + 0.0026))],
            red,
            short,
        )
    return hand
