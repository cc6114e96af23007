"""What fills a street: road and pavement, shop fronts, cars."""

from __future__ import annotations

import math

import bpy
import numpy as np

from render.blender import Shader, place
from render.scenes.materials import draw
from render.scenes.materials_soft import glow
from render.scenes.parts import blocks, wires
from render.scenes.patterns import Surface, tint
from render.scenes.shapes import move
from render.scenes.stage import Stage
from render.scenes.words import LATIN, SIGNS, Words, text


def ground(stage: Stage, half: float, y_end: float) -> None:
    """A road with marks, gutters and pavements; wet after rain now and then."""
    road = Surface(stage, "asphalt", 4.0, (0.03, 0.03, 0.032), 0.85)
    road.put(
        Base_Color=road.mix(road.step(road.grain(120.0, 4.0), 0.4, 0.65), (0.02, 0.02, 0.021), (0.085, 0.083, 0.08))
    )
    if stage.happens("wet", 0.5):
        puddles = road.step(road.grain(1.2, 5.0), 0.46, 0.56)
        road.put(Roughness=road.span(puddles, 0.7, 0.03))
    road.raise_by(road.grain(140.0, 3.0), 0.0015).finish()
    blocks("road", [((-120, -60, -0.3), (120, y_end + 60, 0.0))], road)
    paint = (
        draw(stage, ("painted",), 2.0) if stage.happens("worn marks", 0.3) else Shader("marks", (0.6, 0.6, 0.56), 0.7)
    )
    marks = [((-0.07, y, 0.0), (0.07, y + 2.0, 0.006)) for y in np.arange(-20, y_end, 5.0)]
    marks += [((x, 4.0, 0.0), (x + 0.5, 7.0, 0.006)) for x in np.arange(-half + 2.6, half - 2.6, 1.0)]
    blocks("marks", marks, paint)
    slabs = draw(stage, ("tile", "stone", "concrete", "brick"), 6.0)
    blocks("pavement", [((s * half - 2.0, -40, -0.1), (s * half + 2.0, y_end, 0.12)) for s in (-1, 1)], slabs)


def shop(stage: Stage, side: int, half: float, y: float, wide: float, night: bool) -> None:
    """A lettered fascia over the pavement, an awning, and a sign that sticks out."""
    words = Words(stage.rng)
    x = side * (half - 0.12)
    colour = tint(stage, (0.0, 0.9), (0.05, 0.8))
    blocks(
        "fascia",
        [((min(x, x + side * 0.2), y + 0.6, 2.9), (max(x, x + side * 0.2), y + wide - 0.6, 3.6))],
        Shader("fascia", colour, 0.4),
    )
    light = sum(colour) < 0.6
    strength = stage.log_uniform("sign", 3.0, 60.0)
    plain = Shader("letters", (0.75, 0.74, 0.7) if light else (0.02, 0.02, 0.02), 0.4)
    letters = glow(stage, "letters", tint(stage, (0.2, 1.0), (0.8, 1.0)), strength) if night else plain
    turn = (90, 0, -90.0 * side)
    text(
        words.pick(SIGNS),
        0.55,
        letters,
        None,
        (x - side * 0.03, y + 0.5 * wide, 3.05),
        LATIN[stage.rng.integers(3)],
        "CENTER",
        0.04,
        turn=turn,
    )
    text(words.sentence(), 0.13, plain, None, (x - side * 0.03, y + 0.5 * wide, 2.93), "sans", "CENTER", turn=turn)
    if stage.rng.random() < 0.7:
        out = x - side * 1.1
        at, z = y + stage.rng.uniform(1.0, wide - 1.0), stage.rng.uniform(4.0, 5.5)
        board = (
            glow(stage, "light box", tint(stage, (0.2, 0.9), (0.7, 1.0)), 0.3 * strength)
            if night
            else draw(stage, ("plastic", "painted", "metal"), 1.0)
        )
        blocks("blade", [((min(x, out), at, z), (max(x, out), at + 0.12, z + 0.75))], board)
        said = words.pick(SIGNS)
        ink = Shader("blade ink", (0.02, 0.02, 0.03), 0.5)
        text(
            said,
            min(0.5, 1.6 / len(said)),
            ink,
            None,
            (0.5 * (x + out), at - 0.01, z + 0.28),
            LATIN[stage.rng.integers(3)],
            "CENTER",
            0.01,
        )


def traffic(stage: Stage, half: float, night: bool) -> None:
    """Cars as rounded hulls with dark glass, wheels, plates and lamps; some drive."""
    for k in range(stage.integer("cars", 3, 9)):
        lane = (-1) ** k
        parked = stage.rng.random() < 0.5
        x = lane * (half - 3.2 if parked else 0.3 * half)
        car = place(
            "car", None, at=(x, float(stage.rng.uniform(0.0, 8.0)) + 7.0 * k, 0.0), turn=(0, 0, 0 if lane > 0 else 180)
        )
        car_body(stage, car, night)
        if not parked:
            move(car, by=(0.0, lane * stage.log_uniform("speed", 1.0, 9.0), 0.0))


def car_body(stage: Stage, car, night: bool) -> None:
    """Four metres long, its tail towards -y."""
    paint, dark = draw(stage, ("car paint",), 4.0), Shader("tyre", (0.015, 0.015, 0.015), 0.7)
    side = ((-2.0, 0.35), (-2.05, 0.75), (-1.9, 0.95), (-1.0, 1.02), (1.3, 0.95), (2.0, 0.72), (2.05, 0.35))
    roof = ((-1.7, 0.95), (-1.2, 1.42), (0.2, 1.45), (1.0, 0.97))
    for outline, wide, shader in ((side, 0.86, paint), (roof, 0.74, Shader("car glass", (0.01, 0.012, 0.014), 0.02))):
        _hull(outline, wide, shader, car)
    _hull(((-1.25, 1.41), (-1.15, 1.46), (0.15, 1.48), (0.3, 1.43)), 0.72, paint, car)
    t = np.linspace(0, 2 * math.pi, 20)
    for x, y in ((-0.82, -1.25), (-0.82, 1.3), (0.82, -1.25), (0.82, 1.3)):
        wires(
            "wheel",
            [np.stack([x + 0 * t, y + 0.26 * np.cos(t), 0.32 + 0.26 * np.sin(t)], axis=1)],
            0.09,
            dark,
            car,
            True,
        )
    red = glow(stage, "tail", (1.0, 0.04, 0.02), 60.0 if night else 4.0)
    white = glow(stage, "head", (1.0, 0.95, 0.85), 500.0 if night else 20.0)
    blocks("tail lamps", [((x, -2.07, 0.7), (x + 0.26, -2.02, 0.82)) for x in (-0.78, 0.52)], red, car)
    blocks("head lamps", [((x, 2.0, 0.6), (x + 0.24, 2.07, 0.7)) for x in (-0.76, 0.52)], white, car)
    blocks("plate", [((-0.26, -2.09, 0.5), (0.26, -2.05, 0.62))], Shader("plate", (0.75, 0.73, 0.6), 0.4), car)
    text(Words(stage.rng).code(), 0.12, dark, car, (0, -2.095, 0.52), "sans", "CENTER")


def _hull(outline, wide: float, shader: Shader, parent) -> None:
    """A side view (y, z) widened to a body with rounded edges."""
    n = len(outline)
    corners = [(x, y, z) for x in (-wide, wide) for y, z in outline]
    faces = [
        tuple(range(n)),
        tuple(range(2 * n - 1, n - 1, -1)),
        *((k, n + k, n + (k + 1) % n, (k + 1) % n) for k in range(n)),
    ]
    data = bpy.data.meshes.new("hull")
    data.from_pydata(corners, [], faces)
    data.shade_smooth()
    modifier = place("hull", data, shader, parent).modifiers.new("bevel", "BEVEL")
    modifier.width, modifier.segments = 0.07, 3
