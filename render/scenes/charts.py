"""Lettering that shines or measures: computer screens, and charts of fine lines, stars and ever smaller letters."""

from __future__ import annotations

import math

import numpy as np

from render.blender import Shader, boxes, mesh
from render.scenes.materials import draw
from render.scenes.materials_soft import glow
from render.scenes.parts import blocks, ring, wires
from render.scenes.patterns import tint
from render.scenes.shapes import move
from render.scenes.stage import Stage, Subject
from render.scenes.words import LATIN, Words, text


def screen(stage: Stage) -> Subject:
    """A monitor full of code, graphs, tables, sliders and thin lines, light on dark or dark on light."""
    words, level = Words(stage.rng), stage.log_uniform("screen", 0.6, 12.0)
    dark = stage.happens("dark mode", 0.7)
    ground, front = ((0.012, 0.014, 0.02), (0.8, 0.85, 0.9)) if dark else ((0.85, 0.86, 0.88), (0.03, 0.03, 0.04))
    accents = [tint(stage, (0.5, 1.0), (0.5, 1.0), (0.0, 1.0)) for _ in range(4)]
    inks = [glow(stage, "ui", colour, level) for colour in (front, *accents)]
    dim = glow(stage, "ui dim", tuple(0.5 * (a + b) for a, b in zip(ground, front)), 0.3 * level)
    boxes("case", [((-0.92, 0.004, -0.54), (0.92, 0.06, 0.54))], draw(stage, ("plastic", "metal"), 1.0), bevel=0.01)
    blocks("glass", [((-0.89, 0.0, -0.5), (0.89, 0.005, 0.5))], glow(stage, "screen", ground, level))
    panes = [
        ((-0.87, -0.47), (-0.3, 0.44)),
        ((-0.28, -0.02), (0.35, 0.44)),
        ((-0.28, -0.47), (0.35, -0.04)),
        ((0.37, -0.47), (0.87, 0.44)),
    ]
    makers = [_code, _graph, _table, _sliders, _waves]
    for k, (low, high) in enumerate(panes):
        (x0, z0), (x1, z1) = low, high
        edge = 0.0012
        frame = [((x0, -0.001, z), (x1, 0, z + edge)) for z in (z0, z1, z1 - 0.03)]
        frame += [((x, -0.001, z0), (x + edge, 0, z1)) for x in (x0, x1)]
        blocks("frame", frame, dim)
        text(words.title(), 0.018, inks[0], None, (x0 + 0.01, -0.002, z1 - 0.022), "sans")
        maker = makers[0] if k == 0 else makers[int(stage.rng.integers(5))]
        maker(stage, words, inks, (x0 + 0.012, z0 + 0.012), (x1 - 0.012, z1 - 0.04))
    menu = "   ".join(
        words.pick(("File", "Edit", "View", "Node", "Render", "Window", "Help", "Tools")) for _ in range(8)
    )
    text(menu, 0.021, inks[0], None, (-0.87, -0.002, 0.463), "sans")
    text(f"{words.number()}  {words.code()}", 0.021, inks[1], None, (0.87, -0.002, 0.463), "mono", "RIGHT")
    blocks("room", [((-6, 2.0, -4), (6, 2.1, 4))], draw(stage, ("concrete", "wood", "fabric", "painted"), 2.0))
    return Subject((0, 0, 0), 0.52, (-10, 15), (-30, 30), (0.9, 2.6))


def _code(stage: Stage, words: Words, inks, low, high) -> None:
    size = stage.log_uniform("code em", 0.011, 0.024)
    z, number = high[1] - size, int(stage.rng.integers(1, 400))
    while z > low[1]:
        indent = int(stage.rng.integers(0, 4))
        name = "_".join(words.sentence().lower().split()[1:3])
        line = f"{words.pick(('let', 'if', 'for', 'return', 'def'))} {name} = {words.number()}"
        x = low[0] + 2.4 * size
        room = int((high[0] - x) / (0.62 * size)) - 2 * indent
        text(f"{number}", size, inks[4], None, (low[0], -0.002, z), "mono")
        text(
            line[:room],
            size,
            inks[int(stage.rng.choice((0, 0, 1, 2)))],
            None,
            (x + 1.2 * size * indent, -0.002, z),
            "mono",
        )
        z, number = z - 1.3 * size, number + 1


def _graph(stage: Stage, words: Words, inks, low, high) -> None:
    """Noisy lines over a grid with numbers along the axis."""
    (x0, z0), (x1, z1) = low, high
    grid = [((x0, -0.001, z), (x1, 0, z + 0.0007)) for z in np.linspace(z0, z1, 9)]
    grid += [((x, -0.001, z0), (x + 0.0007, 0, z1)) for x in np.linspace(x0, x1, 13)]
    blocks("grid", grid, inks[4])
    for k in range(3):
        x = np.linspace(x0, x1, 160)
        walk = stage.rng.normal(size=160).cumsum()
        walk = (walk - walk.min()) / (np.ptp(walk) + 1e-6)
        z = z0 + (z1 - z0) * (0.05 + 0.9 * walk)
        wires("line", [np.stack([x, 0 * x - 0.003, z], axis=1)], stage.rng.uniform(0.0005, 0.002), inks[1 + k], sides=0)
    for z in np.linspace(z0, z1, 5)[:-1]:
        text(words.number(), 0.013, inks[0], None, (x0 + 0.003, -0.004, z + 0.003), "mono")


def _table(stage: Stage, words: Words, inks, low, high) -> None:
    size = stage.rng.uniform(0.011, 0.018)
    for row, z in enumerate(np.arange(high[1] - size, low[1], -1.6 * size)):
        for k, x in enumerate(np.linspace(low[0], high[0], 5)[:-1]):
            said = words.number() if k else words.pick(words.sentence().split()[:4])
            text(
                said,
                size,
                inks[(row == 0) or 3 * (stage.rng.random() < 0.1)],
                None,
                (x, -0.002, z),
                "sans" if k == 0 else "mono",
            )
        blocks("rule", [((low[0], -0.001, z - 0.35 * size), (high[0], 0, z - 0.35 * size + 0.0006))], inks[4])


def _sliders(stage: Stage, words: Words, inks, low, high) -> None:
    for z in np.arange(high[1] - 0.03, low[1], -0.042):
        value = stage.rng.random()
        x0, x1 = low[0] + 0.45 * (high[0] - low[0]), high[0]
        text(words.role(), 0.016, inks[0], None, (low[0], -0.002, z), "sans")
        blocks("track", [((x0, -0.001, z + 0.004), (x1, 0, z + 0.006))], inks[4])
        blocks("value", [((x0, -0.0016, z + 0.0035), (x0 + value * (x1 - x0), 0, z + 0.0065))], inks[1])
        blocks(
            "knob",
            [((x0 + value * (x1 - x0) - 0.004, -0.002, z - 0.001), (x0 + value * (x1 - x0) + 0.004, 0, z + 0.011))],
            inks[0],
        )


def _waves(stage: Stage, words: Words, inks, low, high) -> None:
    """Sound as hundreds of thin bars, in tracks, under a play head."""
    tracks = 4
    tall = (high[1] - low[1]) / tracks
    for k in range(tracks):
        z, x = low[1] + (k + 0.5) * tall, np.arange(low[0], high[0], 0.0032)
        loud = 0.45 * tall * np.abs(stage.rng.normal(0.0, 0.4, len(x)) * np.sin(9.0 * x + k)).clip(0.004, 1.0)
        blocks("wave", [((a, -0.001, z - b), (a + 0.0016, 0, z + b)) for a, b in zip(x, loud)], inks[1 + k % 4])
        text(words.title(), 0.013, inks[0], None, (low[0], -0.002, z + 0.36 * tall), "sans")
    at = stage.rng.uniform(low[0], high[0])
    blocks("head", [((at, -0.003, low[1]), (at + 0.0012, 0, high[1]))], inks[0])


def chart(stage: Stage) -> Subject:
    """A board of stars, wedges, gratings, rings and letters from large to tiny, on paper or lit from behind."""
    words, black = Words(stage.rng), Shader("ink", (0.01, 0.01, 0.01), 0.8)
    lit = stage.happens("lit from behind", 0.3)
    white = (
        glow(stage, "light box", (0.9, 0.92, 1.0), stage.log_uniform("light box", 1.0, 20.0))
        if lit
        else draw(stage, ("printed", "plastic", "painted"))
        if stage.happens("coloured", 0.15)
        else Shader("card", (0.78, 0.77, 0.74), 0.8)
    )
    blocks("card", [((-0.9, 0.0, -0.52), (0.9, 0.01, 0.52))], white)
    cells = [(x, z) for z in (0.26, -0.26) for x in (-0.65, -0.22, 0.22, 0.65)]
    makers = [_star, _gratings, _eye_chart, _rings, _patches, _wedge, _eye_chart, _star]
    for (x, z), k in zip(cells, stage.rng.permutation(8)):
        makers[k](stage, words, black, x, z)
        text(
            f"{words.code()}  {words.number()}",
            0.016,
            black,
            None,
            (x - 0.19, -0.001, z - 0.235),
            LATIN[stage.rng.integers(3)],
        )
    ticks = [
        ((x, -0.001, s * 0.505 - 0.006), (x + 0.001, 0, s * 0.505 + 0.006))
        for s in (-1, 1)
        for x in np.linspace(-0.88, 0.88, 177)
    ]
    blocks("ticks", ticks, black)
    blocks("wall", [((-6, 0.6, -4), (6, 0.7, 4))], draw(stage, ("concrete", "fabric", "brick", "wood", "metal"), 2.0))
    return Subject((0, 0, 0), 0.5, (-12, 12), (-25, 25), (0.9, 2.6))


def _disc(name: str, x: float, z: float, outline, faces, shader: Shader):
    return mesh(name, [(x + a, -0.001, z + b) for a, b in outline], faces, shader)


def _star(stage: Stage, words: Words, shader: Shader, x: float, z: float) -> None:
    """A Siemens star, which may turn."""
    count = stage.integer("spokes", 18, 90)
    points = [(0.0, 0.0), *ring(0.19, 2 * count)]
    star = _disc("star", 0.0, 0.0, points, [(0, 1 + 2 * k, 2 + 2 * k) for k in range(count)], shader)
    star.location = (x, 0.0, z)
    if stage.happens("star turns", 0.3):
        move(star, turn=(0.0, stage.rng.uniform(-90, 90), 0.0))


def _gratings(stage: Stage, words: Words, shader: Shader, x: float, z: float) -> None:
    """Groups of upright and level bars, each group finer by the fourth root of two."""
    width, at, spans = 0.012, x - 0.19, []
    while at < x + 0.17 and width > 0.0006:
        spans += [((at + 2 * k * width, -0.001, z), (at + (2 * k + 1) * width, 0, z + 0.18)) for k in range(3)]
        spans += [
            ((at, -0.001, z - 0.02 - (2 * k + 1) * width), (at + 5 * width, 0, z - 0.02 - 2 * k * width))
            for k in range(8)
            if (2 * k + 1) * width < 0.16
        ]
        at, width = at + 7.5 * width, width * 0.84
    blocks("grating", spans, shader)


def _eye_chart(stage: Stage, words: Words, shader: Shader, x: float, z: float) -> None:
    size, top, face = 0.085, z + 0.2, LATIN[stage.rng.integers(3)]
    while size > 0.005 and top > z - 0.2:
        top -= 0.85 * size
        said = " ".join(words.pick("CDEFHKLNOPRSTVZ") for _ in range(min(9, int(0.38 / (1.1 * size)))))
        text(said, size, shader, None, (x, -0.001, top), face, "CENTER")
        top, size = top - 0.3 * size, size * 0.74


def _rings(stage: Stage, words: Words, shader: Shader, x: float, z: float) -> None:
    """A zone plate of sharp rings: ever thinner outwards."""
    turn = np.linspace(0.0, 2.0 * np.pi, 97)[:-1]
    count = stage.integer("zones", 12, 40)
    for k in range(count):
        radii = 0.19 * np.sqrt((2 * k + np.array((0.0, 1.0))) / (2 * count))
        points = [(r * math.cos(t), r * math.sin(t)) for r in radii for t in turn]
        faces = [(j, (j + 1) % 96, 96 + (j + 1) % 96, 96 + j) for j in range(96)]
        _disc("zone", x, z, points, faces, shader)


def _patches(stage: Stage, words: Words, shader: Shader, x: float, z: float) -> None:
    """Colour and grey patches with gaps, as on a colour chart."""
    for k in range(24):
        colour = (0.9 * 0.7 ** (k - 18),) * 3 if k >= 18 else tint(stage, (0.3, 1.0), (0.3, 0.9), (0.0, 1.0))
        a, b = x - 0.19 + 0.065 * (k % 6), z + 0.13 - 0.09 * (k // 6)
        blocks("patch", [((a, -0.001, b - 0.04), (a + 0.055, 0, b + 0.04))], Shader("patch", colour, 0.8))


def _wedge(stage: Stage, words: Words, shader: Shader, x: float, z: float) -> None:
    """Nine lines that run together, and a slanted edge."""
    points, faces = [], []
    for k in range(9):
        left, right = x - 0.18 + 0.022 * 2 * k, x - 0.05 + 0.0014 * 2 * k
        points += [(left - x, 0.19), (left - x + 0.022, 0.19), (right - x + 0.0014, -0.05), (right - x, -0.05)]
        faces.append(tuple(range(4 * k, 4 * k + 4)))
    _disc("wedge", x, z, points, faces, shader)
    _disc("edge", x, z, [(-0.1, -0.2), (0.12, -0.2), (0.13, -0.09), (-0.09, -0.07)], [(0, 1, 2, 3)], shader)
