"""A furnished corner of a room, or a corridor, lit by its window and its lamps."""

from __future__ import annotations

import math

import bpy
import numpy as np

from render.blender import Shader, boxes, lathe, light, place
from render.scenes.books import CARD, book_row
from render.scenes.materials import draw
from render.scenes.materials_soft import glow
from render.scenes.parts import blocks, cluster, wires
from render.scenes.patterns import tint
from render.scenes.prints import tall_poster
from render.scenes.props import PROPS
from render.scenes.shapes import Noise, move, plane, sheet
from render.scenes.stage import Stage, Subject
from render.scenes.words import SIGNS, Words, text

WALLS = ("painted", "printed", "printed", "brick", "wood", "concrete", "fabric", "tile")


def build(stage: Stage) -> Subject:
    """Four walls around the camera; what is to be seen stands at y = 2, the camera nearer to y = 0."""
    if stage.choose("variant", ("room", "corridor"), (3, 1)) == "corridor":
        return _corridor(stage)
    wide, high = stage.uniform("half width", 1.7, 2.6), stage.uniform("ceiling", 2.4, 3.1)
    _shell(stage, wide, -3.0, 2.6, high, side_window=stage.happens("window at the side", 0.5))
    side = stage.choose("lamp side", (-1, 1))
    _shelf(stage, -side * (wide - 0.75), 2.35, high)
    _table(stage, side * 0.35, 1.4)
    _floor_lamp(stage, side * (wide - 0.45), 2.1)
    for _ in range(stage.integer("frames", 1, 4)):
        frame = place("frame", None, at=(stage.rng.uniform(-0.9, 0.9) * wide, 2.57, stage.rng.uniform(1.3, 1.9)))
        _picture(stage, frame)
    _rug(stage)
    _pendant(stage, side * 0.35, 1.4, high)
    return Subject((0.0, 1.5, 0.95), 1.5, (-4.0, 18.0), (-35.0, 35.0), (0.9, 1.9), inside=True, lights=False)


def _shell(stage: Stage, wide: float, front: float, back: float, high: float, side_window: bool) -> None:
    """Floor, ceiling, walls with skirting and panels, and one wall with a window that has blinds or curtains."""
    blocks(
        "floor",
        [((-wide, front, -0.1), (wide, back, 0.0))],
        draw(stage, ("wood", "wood", "tile", "stone", "concrete"), 2.5),
    )
    blocks("ceiling", [((-wide, front, high), (wide, back, high + 0.1))], draw(stage, ("concrete",), 3.0))
    wall = draw(stage, WALLS, 1.6)
    low, sill, head, half = 0.95, 0.85, min(high - 0.3, 2.2), 0.7
    middle = 1.0 if side_window else stage.uniform("window x", -0.5, 0.5)

    def around(a: float, b: float) -> list:
        """A wall from a to b along x with the hole, its face at y = 0."""
        x0, x1 = middle - half, middle + half
        return [
            ((a, 0, 0), (x0, 0.2, high)),
            ((x1, 0, 0), (b, 0.2, high)),
            ((x0, 0, 0), (x1, 0.2, sill)),
            ((x0, 0, head), (x1, 0.2, high)),
        ]

    # The window's wall is built along x; for a side window it is turned so that it closes the room at x = -wide.
    turned = place(
        "window wall", None, at=(-wide, 0, 0) if side_window else (0, back, 0), turn=(0, 0, 90 if side_window else 0)
    )
    blocks("wall", around(front, back) if side_window else around(-wide, wide), wall, turned)
    others = [((wide, front, 0), (wide + 0.1, back, high)), ((-wide, front - 0.1, 0), (wide, front, high))]
    others.append(
        ((-wide, back, 0), (wide, back + 0.1, high)) if side_window else ((-wide - 0.1, front, 0), (-wide, back, high))
    )
    blocks("walls", others, wall)
    trim = draw(stage, ("painted", "wood"), 1.5)
    skirting = [
        ((-wide, back - 0.015, 0), (wide, back, 0.12)),
        ((wide - 0.015, front, 0), (wide, back, 0.12)),
        ((-wide, front, 0), (-wide + 0.015, back, 0.12)),
    ]
    if stage.happens("panelling", 0.5):
        skirting += [
            ((-wide, back - 0.02, low - 0.05), (wide, back, low)),
            ((wide - 0.02, front, low - 0.05), (wide, back, low)),
        ]
        skirting += (
            [((x, back - 0.012, 0.12), (x + 0.05, back, low - 0.05)) for x in np.arange(-wide, wide, 0.35)]
            if side_window
            else []
        )
    boxes("trim", skirting, trim, bevel=0.004)
    _window(stage, turned, middle, half, sill, head, trim)


def _window(stage: Stage, parent, middle: float, half: float, sill: float, head: float, trim: Shader) -> None:
    """Frame, bars, what shines in from outside, and blinds, curtains or nothing before it."""
    a, b = middle - half, middle + half
    frame = [((a, -0.02, sill - 0.05), (b, 0.2, sill)), ((a - 0.06, -0.06, sill - 0.08), (b + 0.06, 0.02, sill - 0.04))]
    count = stage.integer("panes", 2, 4)
    frame += [((x - 0.02, 0.08, sill), (x + 0.02, 0.13, head)) for x in np.linspace(a, b, count + 1)]
    frame += [((a, 0.08, z - 0.02), (b, 0.13, z + 0.02)) for z in np.linspace(sill, head, 4)]
    boxes("window frame", frame, trim, parent, 0.004)
    day = stage.log_uniform("outside", 4.0, 60.0)
    outside = glow(stage, "outside", (0.75, 0.87, 1.0), day)
    where = outside.mix(
        outside.step(outside.grain(0.9, 7.0, where=outside.object_space), 0.45, 0.6), (0.2, 0.3, 0.15), (0.8, 0.9, 1.0)
    )
    outside.put(Emission_Color=where)
    blocks("outside", [((a - 2.0, 1.5, -1.0), (b + 2.0, 1.6, head + 2.0))], outside, parent)
    sun = bpy.data.lights.new("sun", "SPOT")
    sun.energy, sun.shadow_soft_size, sun.spot_size, sun.color = 400.0 * day, 0.08, 0.6, (1.0, 0.82, 0.6)
    place("sun", sun, parent=parent, at=(middle + 1.0, 1.45, head + 1.6), turn=(-55.0, 0, 30.0))
    kind = stage.choose("window", ("blind", "curtain", "bare"), (4, 2, 1))
    if kind == "blind":
        tilt, step = stage.uniform("slat tilt", -50.0, 50.0), stage.uniform("slat pitch", 0.018, 0.045)
        c, s = (0.55 * step * f(math.radians(tilt)) for f in (math.cos, math.sin))
        slat = draw(stage, ("metal", "painted", "wood", "plastic"), 0.4)
        points = [
            np.array(((a, 0.03 - c, z - s), (b, 0.03 - c, z - s), (b, 0.03 + c, z + s), (a, 0.03 + c, z + s)))
            for z in np.arange(sill + 0.02, head, step)
        ]
        data = bpy.data.meshes.new("slats")
        data.from_pydata(np.concatenate(points), [], np.arange(4 * len(points)).reshape(-1, 4))
        slats = place("slats", data, slat, parent)
        slats.modifiers.new("thick", "SOLIDIFY").thickness = 0.0012
        cords = [[(x, 0.03, sill), (x, 0.03, head)] for x in (a + 0.15, middle, b - 0.15)]
        wires("cords", cords, 0.0012, Shader("cord", (0.6, 0.58, 0.5), 0.8), parent)
    elif kind == "curtain":
        noise, x, z = Noise(stage.rng), *plane((half * 0.9, head), (160, 30))
        shader = draw(stage, ("fabric",), 0.6)
        for end in (a - 0.1, b + 0.1):
            fold = 0.035 * np.sin(70.0 * x + 3.0 * noise(np.stack([3 * x, z], -1)))
            cloth = sheet("curtain", np.stack([x + end, fold - 0.08, z + 0.55 * head], -1), shader, parent=parent)
            if stage.happens("curtain blows", 0.3):
                move(cloth, by=(0.0, -0.08, 0.0))


def _shelf(stage: Stage, x: float, y: float, high: float) -> None:
    """A bookcase with rows of books and a few things."""
    wood, wide, rise = draw(stage, ("wood", "painted", "metal"), 1.5), 0.62, 0.36
    covers = [draw(stage, CARD, 0.25) for _ in range(12)]
    levels = int((high - 0.4) / rise)
    boards = [((x - wide, y - 0.14, k * rise + 0.05), (x + wide, y + 0.15, k * rise + 0.07)) for k in range(levels + 1)]
    posts = [
        ((x + s * wide - 0.012, y - 0.14, 0), (x + s * wide + 0.012, y + 0.15, levels * rise + 0.1)) for s in (-1, 1)
    ]
    boxes("bookcase", [*boards, *posts], wood, bevel=0.0015)
    for level in range(1, levels):
        z, start = level * rise + 0.0705, stage.rng.uniform(0.02, 0.3)
        row = place("row", None, at=(x - wide + start, y - 0.1, z))
        end = book_row(stage, row, stage.rng.uniform(0.35, 0.8), 0.9 * rise, covers) + start
        if end < 2 * wide - 0.3:
            _rest(stage, ("vase", "clock", "carton", "candle", "bottle"), (x - wide + end + 0.16, y, z))


def _rest(stage: Stage, kinds, at) -> None:
    PROPS[stage.choose("thing", kinds)](stage, place("thing", None, at=at))


def _table(stage: Stage, x: float, y: float) -> None:
    """A table with turned or plain legs, laid with things, and a chair beside it."""
    wood, top = draw(stage, ("wood", "painted", "metal", "stone"), 1.2), 0.74
    boxes("table top", [((x - 0.6, y - 0.38, top - 0.035), (x + 0.6, y + 0.38, top - 0.001))], wood, bevel=0.005)
    for a, b in ((-0.54, -0.32), (0.54, -0.32), (-0.54, 0.32), (0.54, 0.32)):
        profile = [(0.018, 0), (0.022, 0.1), (0.016, 0.2), (0.03, 0.5), (0.022, 0.6), (0.03, top - 0.04)]
        lathe("leg", profile, wood, place("leg", None, at=(x + a, y + b, 0)), segments=32)
    names = stage.rng.choice(tuple(PROPS), stage.integer("things", 4, 8), False)
    spots = [place("thing", None) for _ in names]
    sizes = [PROPS[name](stage, spot) for name, spot in zip(names, spots)]
    for spot, (a, b) in zip(spots, cluster(stage, [s[0] for s in sizes], (0.18, 0.1), [s[1] for s in sizes])):
        spot.location = (x + a, y + b, top)
    chair = place(
        "chair", None, at=(x + stage.rng.uniform(-0.9, 0.9), y - 0.6, 0), turn=(0, 0, stage.rng.uniform(0, 360))
    )
    seat = draw(stage, ("fabric", "leather", "wood"), 0.45)
    boxes("seat", [((-0.22, -0.22, 0.43), (0.22, 0.22, 0.48))], seat, chair, 0.02)
    bars = [
        ((sx * 0.2 - 0.016, sy * 0.2 - 0.016, 0), (sx * 0.2 + 0.016, sy * 0.2 + 0.016, 0.92 if sy > 0 else 0.43))
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    bars += [((-0.2, 0.19, z), (0.2, 0.21, z + 0.05)) for z in (0.6, 0.72, 0.86)]
    boxes("chair", bars, wood, chair, 0.004)


def _floor_lamp(stage: Stage, x: float, y: float) -> None:
    """A stand, a pleated shade that glows, a bulb."""
    metal = draw(stage, ("metal", "wood"), 0.4)
    spot = place("lamp", None, at=(x, y, 0))
    lathe("stand", [(0, 0), (0.15, 0), (0.15, 0.02), (0.012, 0.035), (0.012, 1.45), (0, 1.45)], metal, spot)
    strength = stage.log_uniform("shade", 3.0, 60.0)
    lathe("shade", [(0.22, 1.35), (0.14, 1.65)], glow(stage, "shade", (1.0, 0.72, 0.42), strength), spot, knurl=0.006)
    lathe("rims", [(0.222, 1.345), (0.226, 1.35), (0.222, 1.355)], metal, spot)
    light("lamp light", "POINT", (x, y, 1.25), 8.0 * strength**0.5, (1.0, 0.7, 0.4), 0.1)


def _pendant(stage: Stage, x: float, y: float, high: float) -> None:
    """Bare bulbs or a metal shade on cords over the table; bright enough to clip any display."""
    metal, strength = draw(stage, ("metal", "painted", "ceramic"), 0.3), stage.log_uniform("bulb", 50.0, 600.0)
    bulb = glow(stage, "bulb", (1.0, 0.66, 0.34), strength)
    for k in range(stage.integer("pendants", 1, 3)):
        spot = place("pendant", None, at=(x + 0.35 * (k - 1), y, stage.rng.uniform(1.45, 1.75)))
        wires("cord", [[(0, 0, 0.1), (0, 0, high)]], 0.003, Shader("cord", (0.02, 0.02, 0.02), 0.7), spot)
        lathe(
            "bulb",
            [(0.03 * math.sin(t), 0.03 * math.cos(t)) for t in np.linspace(math.pi, 0.4, 20)],
            bulb,
            spot,
            segments=32,
        )
        lathe("hood", [(0.13, 0.0), (0.06, 0.09), (0.022, 0.1), (0.022, 0.14), (0, 0.14)], metal, spot)
        light("pendant light", "POINT", (x + 0.35 * (k - 1), y, spot.location.z - 0.06), 14.0, (1.0, 0.7, 0.42), 0.03)
        if stage.happens("swings", 0.25):
            move(spot, by=(stage.rng.uniform(-0.15, 0.15), 0.0, 0.0))


def _picture(stage: Stage, parent) -> None:
    """A poster in a frame."""
    wide, high = stage.rng.uniform(0.3, 0.6), stage.rng.uniform(0.35, 0.7)
    tall_poster(stage, parent, wide, high)
    w, h = 0.5 * wide, 0.5 * high
    bars = [((-w - 0.02, -0.02, s * h - 0.012), (w + 0.02, 0.02, s * h + 0.012)) for s in (-1, 1)]
    bars += [((s * w - 0.012, -0.02, -h), (s * w + 0.012, 0.02, h)) for s in (-1, 1)]
    boxes("frame", bars, draw(stage, ("wood", "metal", "painted"), 0.4), parent, 0.004)


def _rug(stage: Stage) -> None:
    """A rug with a fringe that does not lie quite flat."""
    x, y = plane((2.4, 1.6), (160, 110))
    bumps = 0.004 * (1.0 + Noise(stage.rng).fractal(np.stack([3 * x, 3 * y], -1), 3))
    rug = place("rug", None, at=(0, 1.0, 0), turn=(0, 0, stage.rng.normal(0, 6)))
    sheet("pile", np.stack([x, y, 0.004 + bumps], -1), draw(stage, ("fabric", "fabric", "printed"), 1.2), parent=rug)
    fringe = [
        [(s * 1.2, b, 0.008), (s * (1.2 + 0.04), b + d, 0.004), (s * 1.27, b + 2 * d, 0.002)]
        for s in (-1, 1)
        for b, d in zip(np.arange(-0.79, 0.79, 0.009), stage.rng.normal(0, 0.004, 200))
    ]
    wires("fringe", fringe, 0.0014, Shader("fringe", tint(stage, (0.0, 0.4), (0.4, 0.9)), 0.9), rug, sides=0)


def _corridor(stage: Stage) -> Subject:
    """A long passage with doors, numbers, notices, pipes under the ceiling and rows of tubes, some dead."""
    half, high, end = 1.0, 2.4, 14.0
    words, wall = Words(stage.rng), draw(stage, WALLS, 1.8)
    blocks(
        "floor",
        [((-half, -4, -0.1), (half, end, 0))],
        draw(stage, ("tile", "wood", "stone", "concrete", "fabric"), 2.0),
    )
    blocks("ceiling", [((-half, -4, high), (half, end, high + 0.1))], draw(stage, ("concrete", "tile", "metal"), 2.0))
    sides = [((s * half - 0.1 * (s < 0), -4, 0), (s * half + 0.1 * (s > 0), end, high)) for s in (-1, 1)]
    blocks("walls", [*sides, ((-half, end, 0), (half, end + 0.1, high)), ((-half, -4.1, 0), (half, -4, high))], wall)
    wood, metal = draw(stage, ("wood", "painted", "metal"), 1.5), draw(stage, ("metal",), 0.2)
    doors, frames, handles = [], [], []
    for y in np.arange(-2.0, end - 1.0, 2.4):
        for s in (-1, 1):
            a, b = sorted((s * (half - 0.02), s * half))
            doors.append(((a, y, 0.01), (b, y + 0.9, 2.03)))
            c, d = sorted((s * (half - 0.045), s * half))
            frames += [
                ((c, y - 0.07, 0), (d, y, 2.1)),
                ((c, y + 0.9, 0), (d, y + 0.97, 2.1)),
                ((c, y - 0.07, 2.03), (d, y + 0.97, 2.1)),
            ]
            e, f = sorted((s * (half - 0.08), s * (half - 0.02)))
            handles.append(((e, y + 0.06, 1.0), (f, y + 0.2, 1.02)))
            turn = (90, 0, 90 if s < 0 else -90)
            ink = Shader("number", (0.7, 0.68, 0.6), 0.3, Metallic=0.8)
            text(
                str(stage.rng.integers(100, 999)),
                0.1,
                ink,
                None,
                (s * (half - 0.023), y + 0.45, 1.6),
                "sans",
                "CENTER",
                0.004,
                turn,
            )
            if stage.rng.random() < 0.7:
                spot = place("notice", None, at=(s * (half - 0.003), y + 1.7, 1.5), turn=(0, 0, turn[2]))
                tall_poster(stage, spot, 0.42, 0.6)
    boxes("doors", doors, wood, bevel=0.003)
    boxes("frames", frames, draw(stage, ("painted", "metal", "wood"), 1.5), bevel=0.004)
    boxes("handles", handles, metal, bevel=0.004)
    pipes = [[(x, -4, high - 0.12), (x, end, high - 0.12)] for x in (-0.9, -0.8, 0.85)]
    wires("pipes", pipes, 0.03, draw(stage, ("painted", "metal"), 1.0), sides=5)
    strength = stage.log_uniform("tubes", 8.0, 120.0)
    on, off = glow(stage, "tube", (0.92, 1.0, 0.95), strength), Shader("dead tube", (0.6, 0.6, 0.6), 0.3)
    for k, y in enumerate(np.arange(-3.0, end, 1.8)):
        lit = k % 3 == 0 or stage.rng.random() < 0.6
        wires("tube", [[(-0.1, y, high - 0.06), (-0.1, y + 1.2, high - 0.06)]], 0.014, on if lit else off, sides=3)
        boxes("fitting", [((-0.15, y - 0.03, high - 0.035), (-0.05, y + 1.23, high))], metal, bevel=0.003)
        if lit:
            light(
                "tube light",
                "AREA",
                (-0.1, y + 0.6, high - 0.09),
                1.2 * strength**0.6,
                (0.92, 1.0, 0.95),
                0.3,
                (-0.1, y + 0.6, 0.0),
            )
    sign = glow(stage, "exit", (0.1, 1.0, 0.3), stage.log_uniform("exit", 3.0, 40.0))
    text(words.pick(SIGNS), 0.2, sign, None, (0, 6.0, 2.05), "sans", "CENTER", 0.01)
    cart = place("cart", None, at=(stage.rng.uniform(-0.5, 0.5), stage.rng.uniform(2.0, 4.0), 0.0))
    boxes(
        "crate",
        [((-0.25, -0.25, 0), (0.25, 0.25, 0.5))],
        draw(stage, ("wood", "metal", "plastic", "printed"), 0.5),
        cart,
        0.006,
    )
    _rest(stage, ("bottle", "vase", "carton", "books", "candle"), (cart.location.x, cart.location.y, 0.501))
    return Subject((0.0, 3.0, 1.2), 1.5, (-4.0, 6.0), (-10.0, 10.0), (0.7, 1.4), inside=True, lights=False)
