"""Cities of facades: window bays in rows, ledges, roofs with masts, wires, signs, cars; by day or by night."""

from __future__ import annotations

import bpy
import numpy as np

from render.blender import Shader, place
from render.scenes.materials import draw
from render.scenes.materials_soft import glow
from render.scenes.parts import blocks, sag, wires
from render.scenes.patterns import Surface, tint
from render.scenes.stage import Stage, Subject
from render.scenes.street import car_body, ground, shop, traffic
from render.scenes.words import LATIN, SIGNS, Words, text

WALLS = ("brick", "brick", "concrete", "concrete", "stone", "painted", "tile", "metal")
STYLES = ("punched", "ribbon", "curtain", "balconies", "industrial")


def build(stage: Stage) -> Subject:
    """A street between two rows of houses, a square block from the air, or one facade square on."""
    night = stage.happens("night", 0.45)
    view = stage.choose("variant", ("street", "air", "facade"), (3, 2, 2))
    houses = [_house(stage, night, number) for number in range(stage.integer("house designs", 4, 7))]
    if view == "street":
        subject = _street(stage, houses, night)
    elif view == "air":
        subject = _blocks_from_air(stage, houses, night)
    else:
        subject = _facade(stage, houses, night)
    subject.environments = ("night",) if night else ("city", "courtyard", "sunrise", "sunset", "forest")
    subject.lights = False
    if not night and stage.happens("sun", 0.7):
        sun = bpy.data.lights.new("sun", "SUN")
        sun.energy, sun.angle, sun.color = stage.log_uniform("sun", 2.0, 12.0), 0.01, (1.0, 0.9, 0.76)
        turn = (stage.uniform("sun height", 25.0, 70.0), 0.0, stage.uniform("sun turn", -80.0, 80.0))
        place("sun", sun, at=(0, 0, 100), turn=turn)
    return subject


# ---- houses: built once, 12 to 40 m high, front at y = 0 towards -y, standing on z = 0 around x = 0


def _panes(stage: Stage, night: bool) -> Shader:
    """Window glass: mirrors the sky, with curtains behind, or by night a lit room in some; each pane on its own."""
    s = Surface(stage, "panes", 1.0, (0.02, 0.025, 0.03), 0.03, IOR=1.7)
    own = s.add("NewGeometry", out="Random Per Island")
    drapes = s.mix(s.step(s.grain(6.0, 2.0, (1.0, 1.0, 0.05)), 0.45, 0.6), (0.5, 0.47, 0.4), (0.25, 0.23, 0.2))
    s.put(Base_Color=s.mix(s.math("LESS_THAN", own, 0.3), (0.015, 0.02, 0.025), drapes))
    s.raise_by(s.grain(0.6, 2.0), 0.01)
    if night:
        lit = s.math("GREATER_THAN", own, stage.uniform("dark windows", 0.3, 0.85))
        tone = s.add("TexWhiteNoise", W=own, settings={"noise_dimensions": "1D"})
        room = s.mix(s.step(s.grain(1.2, 3.0), 0.35, 0.65), (0.3, 0.3, 0.3), (1.0, 1.0, 1.0))
        colour = s.mix(1.0, room, s.mix(tone, (1.0, 0.6, 0.25), (0.75, 0.85, 1.0)), "MULTIPLY")
        strength = s.math("MULTIPLY", lit, stage.log_uniform("lit windows", 2.0, 30.0))
        s.put(Emission_Color=colour, Emission_Strength=s.math("MULTIPLY", strength, s.span(tone, 0.2, 1.0)))
    return s.finish()


def _house(stage: Stage, night: bool, number: int) -> tuple[list, float, float, float]:
    """A design: its meshes with its width, depth and height in metres, ready to be placed many times."""
    style = stage.choose("style", STYLES)
    rows, columns = int(stage.rng.integers(4, 12)), int(stage.rng.integers(4, 10))
    bay, storey = stage.rng.uniform(2.2, 3.8), stage.rng.uniform(2.9, 3.8)
    wide, high, deep = columns * bay, rows * storey + 1.5, stage.rng.uniform(10.0, 16.0)
    x = -0.5 * wide + bay * (np.arange(columns) + 0.5)
    z = 1.2 + storey * np.arange(rows)
    share = {"punched": (0.45, 0.6), "ribbon": (0.98, 0.5), "curtain": (0.96, 0.94), "balconies": (0.6, 0.7)}
    a, b = (bay, storey) * np.array(share.get(style, (0.8, 0.8))) * (0.5, 1.0)
    wall, frame, trim, glass, rail = [], [], [], [], []
    for zz in z:
        if style != "curtain":
            wall.append(((-wide / 2, 0.25, zz - 1.2), (wide / 2, deep, zz - 1.2 + storey)))  # core
            wall.append(((-wide / 2, 0.0, zz - 1.2), (wide / 2, 0.3, zz)))
            wall.append(((-wide / 2, 0.0, zz + b), (wide / 2, 0.3, zz - 1.2 + storey)))
        else:
            wall.append(((-wide / 2, 0.12, zz - 1.2), (wide / 2, deep, zz - 1.2 + storey)))
            trim.append(((-wide / 2, -0.08, zz - 0.3), (wide / 2, 0.1, zz - 0.1)))
        for xx in x:
            glass.append(((xx - a, 0.1, zz), (xx + a, 0.14, zz + b)))
            glass.append(((xx - a, deep - 0.02, zz), (xx + a, deep + 0.02, zz + b)))
            if style in ("punched", "balconies", "industrial"):
                wall.append(((xx + a, 0.0, zz), (xx - a + bay, 0.3, zz + b)))
                trim.append(((xx - a - 0.1, -0.1, zz - 0.12), (xx + a + 0.1, 0.05, zz)))
            bars = {"industrial": (5, 6), "punched": (2, 3), "balconies": (2, 1), "ribbon": (2, 1)}.get(style, (1, 2))
            uprights = np.linspace(xx - a, xx + a, bars[0] + 1)
            frame += [((u - 0.03, 0.03, zz), (u + 0.03, 0.12, zz + b)) for u in uprights]
            frame += [
                ((xx - a, 0.04, zz + b * k / bars[1] - 0.03), (xx + a, 0.12, zz + b * k / bars[1] + 0.03))
                for k in range(bars[1] + 1)
            ]
            if style == "balconies" and zz > 3.0:
                trim.append(((xx - a - 0.3, -1.1, zz - 0.25), (xx + a + 0.3, 0.1, zz - 0.1)))
                rail.append(((xx - a - 0.3, -1.1, zz + 0.85), (xx + a + 0.3, -1.05, zz + 0.9)))
                steps = np.linspace(xx - a - 0.28, xx + a + 0.28, 14)
                rail += [((r - 0.012, -1.09, zz - 0.1), (r + 0.012, -1.06, zz + 0.85)) for r in steps]
            elif style == "punched" and stage.rng.random() < 0.12:
                rail.append(((xx - 0.4, -0.45, zz - 0.05), (xx + 0.4, 0.1, zz + 0.5)))  # an air conditioner
    wall += [((s * wide / 2 - 0.2, -0.02, high - 1.5), (s * wide / 2 + 0.2, deep, high)) for s in (-1, 1)]
    trim += [
        ((-wide / 2 - 0.3, -0.35, high - 1.5), (wide / 2 + 0.3, 0.3, high - 1.1)),
        ((-wide / 2, -0.1, high - 1.1), (wide / 2, 0.2, high)),
    ]
    _roof(stage, wide, deep, high, trim, rail)
    shaders = (
        draw(stage, WALLS, 14.0 if style != "industrial" else 8.0),
        Shader("frames", tint(stage, (0.0, 0.4), (0.05, 0.9)), 0.5),
        draw(stage, ("concrete", "stone", "painted"), 9.0),
        _panes(stage, night),
        Shader("rails", tint(stage, (0.0, 0.3), (0.05, 0.5)), 0.5, Metallic=0.5),
    )
    parts = []
    for spans, shader in zip((wall, frame, trim, glass, rail), shaders):
        if spans:
            first = blocks(f"house {number}", spans, shader)
            parts.append(first.data)
            bpy.data.objects.remove(first)
    return parts, wide, deep, high


def _roof(stage: Stage, wide: float, deep: float, high: float, trim: list, rail: list) -> None:
    """Plant rooms, ducts, masts, aerials and a railing."""
    for _ in range(int(stage.rng.integers(2, 7))):
        x, y = stage.rng.uniform(-0.38, 0.38) * wide, stage.rng.uniform(0.15, 0.85) * deep
        a, b, c = stage.rng.uniform(0.5, 2.2, 3)
        trim.append(((x - a, y - b, high - 1.0), (x + a, y + b, high + c)))
        rail += [((x - a, y - b - 0.02, high + c * k / 9), (x + a, y - b, high + c * k / 9 + 0.05)) for k in range(9)]
    for _ in range(int(stage.rng.integers(1, 6))):
        x, y, tall = (
            stage.rng.uniform(-0.45, 0.45) * wide,
            stage.rng.uniform(0.05, 0.9) * deep,
            stage.rng.uniform(2.0, 6.0),
        )
        rail.append(((x - 0.03, y - 0.03, high - 1.0), (x + 0.03, y + 0.03, high + tall)))
        rungs = [(0.7 - 0.07 * k, high + tall - 0.22 * k) for k in range(6)]
        rail += [((x - r, y - 0.015, z), (x + r, y + 0.015, z + 0.03)) for r, z in rungs]
    if stage.rng.random() < 0.5:
        rail += [((-wide / 2, 0.3, high + h), (wide / 2, 0.34, high + h + 0.04)) for h in (0.45, 0.95)]
        rail += [((x, 0.3, high - 0.5), (x + 0.04, 0.34, high + 0.95)) for x in np.arange(-wide / 2, wide / 2, 1.2)]


def _put(house, at, turn: float = 0.0) -> None:
    spot = place("house", None, at=at, turn=(0, 0, turn))
    for data in house[0]:
        place("part", data, parent=spot)


# ---- settings


def _street(stage: Stage, houses: list, night: bool) -> Subject:
    """Looking along y between two rows: pavements, lamps, wires, cars, signs."""
    half, y_end = stage.uniform("half width", 5.0, 9.0), 90.0
    for side in (-1, 1):
        y = -60.0
        while y < y_end:
            house = houses[int(stage.rng.integers(len(houses)))]
            _put(house, (side * (half + stage.rng.uniform(0.0, 0.5)), y + 0.5 * house[1], 0.12), -90.0 * side)
            shop(stage, side, half, y, house[1], night)
            y += house[1] + 0.05
    house = houses[0]
    for x in (-1.5, -0.5, 0.5, 1.5):
        _put(house, (x * house[1], y_end + 4.0, 0.0))
    ground(stage, half, y_end)
    poles = []
    for side in (-1, 1):
        for y in np.arange(-56.0, y_end, 16.0):
            poles += [((side * (half - 1.2) - 0.06, y - 0.06, 0), (side * (half - 1.2) + 0.06, y + 0.06, 6.5))]
    steel = draw(stage, ("metal", "painted"), 3.0)
    blocks("poles", poles, steel)
    lines = [
        sag((-half + 1.2, y, 6.4), (half - 1.2, y + d, 6.4), 0.3)
        for y in np.arange(-56.0, y_end, 16.0)
        for d in (-0.3, 0, 5)
    ]
    lines += [
        sag((x, y, 6.5), (x, y + 16.0, 6.5), 0.5)
        for y in np.arange(-56.0, y_end, 16.0)
        for x in (1.2 - half, half - 1.2, -0.8, 0.8)
    ]
    wires("wires", lines, 0.012, Shader("wire", (0.01, 0.01, 0.01), 0.6))
    lamps = [((-0.15, y - 0.15, 5.9), (0.15, y + 0.15, 6.0)) for y in np.arange(-56.0, y_end, 16.0)]
    lamp = glow(stage, "lamps", (1.0, 0.62, 0.3), stage.log_uniform("street lamps", 80.0, 600.0)) if night else steel
    blocks("lamps", lamps, lamp)
    if night:
        for y in np.arange(-8.0, 60.0, 16.0):
            bulb = bpy.data.lights.new("street lamp", "POINT")
            bulb.energy, bulb.color, bulb.shadow_soft_size = 900.0, (1.0, 0.62, 0.3), 0.15
            place("street lamp", bulb, at=(0, y, 5.7))
    traffic(stage, half, night)
    return Subject((0.0, 16.0, 5.0), 11.0, (-3.0, 8.0), (-7.0, 7.0), (1.6, 3.0))


def _blocks_from_air(stage: Stage, houses: list, night: bool) -> Subject:
    """A grid of streets with blocks of houses of all heights."""
    ground(stage, 4.0, 200.0)
    pitch = max(h[1] for h in houses) + stage.uniform("street width", 6.0, 14.0)
    for row in range(-4, 5):
        for column in range(-4, 5):
            house = houses[int(stage.rng.integers(len(houses)))]
            at = (column * pitch, row * 34.0, 0.1 - stage.rng.uniform(0.0, 0.5) * (stage.rng.random() < 0.3) * house[3])
            _put(house, at, 180.0 * (stage.rng.random() < 0.5))
            other = houses[int(stage.rng.integers(len(houses)))]
            _put(other, (at[0], at[1] + 17.0 + stage.rng.uniform(-1, 1), 0.1), float(stage.rng.choice((0.0, 180.0))))
    steel = Shader("mast", (0.35, 0.05, 0.03), 0.5)
    masts = [sag((x, y, 0.0), (x, y, z), 0.0, 2) for x, y, z in stage.rng.uniform((-60, -60, 40), (60, 60, 75), (5, 3))]
    wires("masts", masts, 0.05, steel)
    for mast in masts:
        red = glow(stage, "beacon", (1.0, 0.03, 0.02), 200.0 if night else 20.0)
        blocks("beacon", [(mast[-1] - 0.25, mast[-1] + 0.25)], red)
    for k in range(30):
        street = (int(stage.rng.integers(-4, 4)) + 0.5) * pitch
        car = place(
            "car",
            None,
            at=(street + 1.8 * (-1) ** k, float(stage.rng.uniform(-120, 120)), 0.0),
            turn=(0, 0, 180.0 * (k % 2)),
        )
        if k < 8:
            car_body(stage, car, night)
            models = [child.data for child in car.children if child.type == "MESH"]
        else:
            for data in models:
                place("car part", data, parent=car)
    return Subject((0.0, 0.0, 12.0), 36.0, (14.0, 60.0), (-60.0, 60.0), (0.9, 2.0), depth_of_field=False)


def _facade(stage: Stage, houses: list, night: bool) -> Subject:
    """Two or three fronts side by side with hanging cables, a fire stair and a large sign."""
    x, widths = 0.0, []
    for house in houses[:3]:
        _put(house, (x + 0.5 * house[1], stage.rng.uniform(0.0, 0.6), 0.0))
        x += house[1]
        widths.append(x)
    ground(stage, 60.0, 4.0)
    iron = Shader("stair", tint(stage, (0.0, 0.5), (0.05, 0.4)), 0.5, Metallic=0.5)
    low, middle = min(h[3] for h in houses[:3]), 0.5 * x
    spans = []
    for k in range(int(low / 3.4)):
        z, a = 3.4 * (k + 1), widths[0] - 2.5
        spans += [((a, -1.4, z), (a + 5.0, -0.1, z + 0.06)), ((a, -1.42, z + 0.95), (a + 5.0, -1.38, z + 1.0))]
        spans += [((a + 0.14 * j, -1.41, z), (a + 0.14 * j + 0.02, -1.39, z + 0.95)) for j in range(36)]
        flight = 1 if k % 2 else -1
        treads = [(a + 2.5 + flight * (0.22 * j - 1.6), z + 0.28 * j) for j in range(12)]
        spans += [((u - 0.12, -1.3, v), (u + 0.12, -0.5, v + 0.03)) for u, v in treads]
    blocks("fire stair", spans, iron)
    lines = [
        sag(
            (stage.rng.uniform(0, x), -0.2, stage.rng.uniform(2, low)),
            (stage.rng.uniform(0, x), -2.5, stage.rng.uniform(2, low)),
            0.8,
            24,
        )
        for _ in range(9)
    ]
    wires("cables", lines, 0.014, Shader("cable", (0.012, 0.012, 0.012), 0.6))
    words = Words(stage.rng)
    letters = (
        glow(stage, "roof sign", tint(stage, (0.4, 1.0), (0.9, 1.0)), stage.log_uniform("roof sign", 5.0, 120.0))
        if night
        else draw(stage, ("painted", "metal", "plastic"), 2.0)
    )
    text(words.pick(SIGNS), 2.4, letters, None, (middle, -0.6, 0.62 * low), LATIN[stage.rng.integers(3)], "CENTER", 0.2)
    for k in range(5):
        text(words.sentence(), 0.35, letters, None, (middle, -0.4, 0.62 * low - 0.7 - 0.5 * k), "sans", "CENTER", 0.02)
    return Subject((middle, 0.0, 0.5 * low), 0.42 * low, (-25.0, 12.0), (-45.0, 45.0), (0.9, 2.0))
