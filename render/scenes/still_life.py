"""Things on a table or a shelf, set as for a close shot, before a wall, a curtain or the open room."""

from __future__ import annotations

import math

import numpy as np

from render.blender import Shader, boxes, place
from render.scenes.books import CARD, book_row
from render.scenes.materials import draw
from render.scenes.parts import blocks, cluster, sag, wires
from render.scenes.props import PROPS
from render.scenes.shapes import Noise, move, plane, sheet
from render.scenes.stage import Stage, Subject

MOODS = {
    "kitchen": ("bottle", "drinking glass", "cup", "bowl", "fruit", "cutlery", "vase", "carton", "candle"),
    "desk": ("books", "cup", "pencils", "paper", "clock", "hardware", "coins", "carton", "books"),
    "workbench": ("hardware", "bottle", "carton", "pencils", "clock", "necklace", "cup", "paper"),
    "dresser": ("vase", "candle", "necklace", "books", "bottle", "clock", "coins", "fruit"),
    "anything": tuple(PROPS),
}
FLAT = ("paper", "coins", "hardware", "necklace", "cutlery")


def build(stage: Stage) -> Subject:
    """A cluster of a dozen or so things, tall ones behind; sometimes on a shelf with a row of books."""
    setting = stage.choose("setting", ("table", "shelf"), (3, 1))
    spread = (0.16, 0.12) if setting == "table" else (0.26, 0.04)
    count = stage.integer("count", 7, 20) if setting == "table" else stage.integer("count", 4, 8)
    kinds = MOODS[stage.choose("mood", tuple(MOODS))]
    order = [kind for _ in range(1 + count // len(kinds)) for kind in stage.rng.permutation(kinds)]
    spots = []
    for kind in order[:count]:
        spot = place("thing", None)
        spots.append((spot, kind, *PROPS[kind](stage, spot)))
    places = cluster(stage, [s[2] for s in spots], spread, [s[3] for s in spots])
    for (spot, kind, *_), (x, y) in zip(spots, places):
        spot.location = (x, y, 0.0)
        spot.rotation_euler.z = math.radians(stage.rng.normal(0.0, 12.0 if kind not in FLAT else 60.0))
    if stage.happens("one slides", 0.4):
        spot = spots[int(stage.rng.integers(len(spots)))][0]
        move(spot, by=(*stage.rng.uniform(-0.15, 0.15, 2), 0.0), turn=(0, 0, stage.rng.uniform(-60, 60)))
    reach = max(0.2, float(np.abs(places).max()))
    if setting == "shelf":
        _shelves(stage, reach)
        azimuth = (-40.0, 40.0)
    else:
        _table(stage, reach)
        azimuth = _backdrop(stage, reach)
    stage.notes["things"] = ", ".join(order[:count])
    height = float(np.median([s[3] for s in spots]))
    return Subject((0.0, 0.0, 0.6 * height), 0.75 * reach, (4.0, 42.0), azimuth, (0.9, 2.2))


def _table(stage: Stage, reach: float) -> None:
    """A top of wood, stone or metal with a bevelled edge, often under a cloth with folds."""
    wide, deep = 2.6 * reach + 0.5, 2.2 * reach + 0.3
    top = draw(stage, ("wood", "wood", "stone", "metal", "painted", "tile", "concrete"), 0.8)
    boxes("table", [((-wide, -deep, -0.05), (wide, deep, -0.002))], top, bevel=0.006)
    if stage.happens("cloth", 0.5):
        noise = Noise(stage.rng)
        size = (2 * wide * stage.rng.uniform(0.5, 0.9), 2 * deep * stage.rng.uniform(0.5, 0.9))
        x, y = plane(size, (220, 180))
        away = np.clip(np.hypot(x, y) / reach - 0.9, 0.0, 1.5)
        folds = noise.fractal(np.stack([5.0 * x + 0.6 * noise(np.stack([9 * x, 9 * y], -1)), 2.5 * y], -1), 3)
        z = -0.0016 + 0.012 * away * np.maximum(folds + 0.3, 0.0)
        sheet(
            "cloth", np.stack([x, y, np.minimum(z, 0.02)], -1), draw(stage, ("fabric",), 0.5)
        ).rotation_euler.z = float(stage.rng.normal(0, 0.2))


def _backdrop(stage: Stage, reach: float) -> tuple[float, float]:
    """A wall, a curtain, a blind or nothing behind; returns where the camera may stand, in degrees."""
    kind = stage.choose("backdrop", ("wall", "curtain", "lights", "open"), (3, 2, 1, 3))
    y = 2.2 * reach + 0.3
    if kind == "wall":
        families = ("brick", "concrete", "painted", "wood", "tile", "printed", "stone")
        blocks("wall", [((-6.0, y, -1.0), (6.0, y + 0.1, 3.0))], draw(stage, families, 1.6))
    elif kind == "curtain":
        x, z = plane((8.0, 4.0), (700, 40))
        folds, period = Noise(stage.rng), stage.rng.uniform(0.06, 0.16)
        phase = x / period + 0.8 * folds(np.stack([4.0 * x, 0.5 * z], -1))
        points = np.stack([x, y + 0.25 * period * np.sin(6.28 * phase), z + 1.0], -1)
        sheet("curtain", points[:, ::-1], draw(stage, ("fabric",), 0.7))
    elif kind == "lights":
        _fairy_lights(stage, y)
    return (-180.0, 180.0) if kind == "open" else (-38.0, 38.0)


def _fairy_lights(stage: Stage, y: float) -> None:
    """Strings of small bulbs far behind: discs when out of focus."""
    strength = stage.log_uniform("fairy lights", 20.0, 500.0)
    colours = ((1.0, 0.55, 0.2), (1.0, 0.2, 0.1), (0.2, 0.5, 1.0), (0.3, 1.0, 0.4))[
        : stage.integer("light colours", 1, 4)
    ]
    bulbs = [Shader("bulb", (0, 0, 0), 1.0, Emission_Color=(*c, 1.0), Emission_Strength=strength) for c in colours]
    lines, spans = [], [[] for _ in bulbs]
    for row in range(6):
        line = sag((-2.5, y + 0.3 * row, 0.2 + 0.2 * row), (2.5, y + 0.3 * row, 0.3 + 0.2 * row), 0.15, 60)
        line[:, 1:] += stage.rng.normal(0.0, 0.02, (60, 2))
        lines.append(line)
        for k, point in enumerate(line[:: stage.rng.integers(1, 4)]):
            spans[k % len(bulbs)].append((point - 0.006, point + 0.006))
    for shader, span in zip(bulbs, spans):
        blocks("bulbs", span, shader)
    wires("strings", lines, 0.0015, Shader("flex", (0.01, 0.03, 0.01), 0.5))
    dark = draw(stage, ("fabric", "concrete", "wood"), 2.0)
    blocks("far wall", [((-6.0, y + 2.2, -1.0), (6.0, y + 2.3, 3.0))], dark)


def _shelves(stage: Stage, reach: float) -> None:
    """The board that the things stand on, boards above and below with books, uprights and a back."""
    wood, wide = draw(stage, ("wood", "painted", "metal"), 0.8), reach + 0.4
    rise, back = stage.rng.uniform(0.32, 0.45), 0.22
    boards = [((-wide, -0.16, k * rise - 0.022), (wide, back, k * rise - 0.0015)) for k in (-1, 0, 1, 2)]
    posts = [((x - 0.012, -0.16, -rise), (x + 0.012, back, 2 * rise)) for x in (-wide, wide)]
    boxes("shelves", [*boards, *posts], wood, bevel=0.0015)
    wall = draw(stage, ("painted", "wood", "concrete", "printed", "brick"), 1.0)
    blocks("back", [((-3.0, back, -1.0), (3.0, back + 0.05, 2.0))], wall)
    covers = [draw(stage, CARD, 0.25) for _ in range(14)]
    for level in (-1, 1):
        row = place("row", None, at=(-wide + 0.03, -0.12, level * rise))
        book_row(stage, row, stage.rng.uniform(0.5, 1.9) * wide, 0.9 * rise, covers)
