"""Printed and painted things that face -y around their parent's origin: posters, pages, slates, number plates."""

from __future__ import annotations

import numpy as np

from render.blender import Shader, boxes, place
from render.scenes.materials import draw
from render.scenes.parts import blocks
from render.scenes.patterns import Surface, shade, tint
from render.scenes.stage import Stage, Subject
from render.scenes.words import LATIN, SCRIPTS, SIGNS, Words, text


def stock(stage: Stage, name: str, colour, size: float) -> Surface:
    """Paper or card with fibres, stains and creases."""
    s = Surface(stage, name, size, colour, 0.85)
    creases = s.step(s.cells(3.0, "DISTANCE_TO_EDGE", where=s.mix(0.1, s.where, s.grain(4.0, 4.0), "ADD")), 0.015, 0.0)
    body = s.mix(s.grain(90.0, 5.0), shade(colour, 0.82), colour)
    s.put(Base_Color=s.mix(s.math("MULTIPLY", creases, 0.35), body, shade(colour, 0.5)))
    s.grime(stage.rng.uniform(0.0, 0.35))
    return s.raise_by(creases, 0.003).raise_by(s.grain(160.0, 3.0), 0.0008).finish()


def picture(stage: Stage, parent, low, high, y: float) -> None:
    """A printed picture of sorts between two corners (x, z): any material flat, or bars and discs."""
    (x0, z0), (x1, z1) = low, high
    if stage.rng.random() < 0.5:
        blocks(
            "picture",
            [((x0, y, z0), (x1, y + 0.0004, z1))],
            draw(stage, ("printed", "stone", "foliage", "soil", "fabric", "skin"), x1 - x0),
            parent,
        )
        return
    blocks(
        "picture",
        [((x0, y, z0), (x1, y + 0.0002, z1))],
        Shader("ground", tint(stage, (0.1, 0.9), (0.1, 0.95)), 0.7),
        parent,
    )
    for _ in range(3):
        count, shader = int(stage.rng.integers(2, 14)), Shader("shape", tint(stage, (0.1, 1.0), (0.05, 0.95)), 0.7)
        y -= 0.0002
        edges = np.sort(stage.rng.uniform(x0, x1, 2 * count)).reshape(-1, 2)
        tops = stage.rng.uniform(z0, z1, count)
        blocks("bars", [((a, y, z0), (b, y + 0.0001, t)) for (a, b), t in zip(edges, tops)], shader, parent)


def tall_poster(stage: Stage, parent, wide: float, high: float) -> None:
    """A film or concert poster: picture, title, names, a billing block, sometimes a foreign script."""
    words, face = Words(stage.rng), LATIN[stage.rng.integers(3)]
    colour = tint(stage, (0.0, 0.9), (0.05, 0.95))
    blocks(
        "poster",
        [((-wide / 2, -0.0005, -high / 2), (wide / 2, 0, high / 2))],
        stock(stage, "poster", colour, high),
        parent,
    )
    picture(stage, parent, (-0.43 * wide, -0.12 * high), (0.43 * wide, 0.36 * high), -0.0015)
    shader = Shader("ink", (0.02, 0.02, 0.02) if sum(colour) > 0.5 else (0.75, 0.73, 0.66), 0.7)
    script = words.pick((face, face, *SCRIPTS))
    said = words.foreign(script) if script in SCRIPTS and script not in LATIN else words.title().upper()
    size = min(1.35 * wide / max(len(said), 4), 0.14 * high)
    text(said, size, shader, parent, (0, -0.003, -0.26 * high), script, "CENTER")
    names = "   ".join(words.name().upper() for _ in range(3))
    text(names, 0.028 * wide, shader, parent, (0, -0.003, 0.42 * high), face, "CENTER")
    billing = "\n".join(f"{words.role()} {words.name()}   {words.role()} {words.name()}".upper() for _ in range(4))
    text(billing, 0.026 * wide, shader, parent, (0, -0.003, -0.34 * high), face, "CENTER")


def page(stage: Stage, parent) -> None:
    """Columns of small type under headlines, with rules and a picture; 0.5 m wide."""
    words, face = Words(stage.rng), LATIN[stage.rng.integers(3)]
    kind = stage.choose("page", ("newspaper", "book", "licence"))
    wide, high = (0.5, 0.66) if kind == "newspaper" else (0.4, 0.56)
    boxes(
        "sheet",
        [((-wide / 2, 0, -high / 2), (wide / 2, 0.0015, high / 2))],
        stock(stage, "paper", (0.74, 0.71, 0.62), high),
        parent,
    )
    black = Shader("ink", (0.018, 0.018, 0.02), 0.8)
    size = stage.log_uniform("em", 0.0065, 0.016)
    columns = stage.integer("columns", 2, 4) if kind == "newspaper" else 1
    top, gap = 0.5 * high - 0.04, 0.012
    if kind == "newspaper":
        text(words.title(), 0.062, black, parent, (0, -0.0006, top - 0.02), face, "CENTER")
        text(
            f"{words.number()}     {words.name()}     {words.code()}",
            0.009,
            black,
            parent,
            (0, -0.0006, top - 0.035),
            "plain",
            "CENTER",
        )
        blocks(
            "rules",
            [
                ((-0.46 * wide, -0.0005, z), (0.46 * wide, 0, z + t))
                for z, t in ((top - 0.042, 0.0006), (top - 0.046, 0.0015))
            ],
            black,
            parent,
        )
        text(words.sentence()[:42], 0.024, black, parent, (-0.46 * wide, -0.0006, top - 0.075), face)
        top -= 0.09
    column = (0.92 * wide - (columns - 1) * gap) / columns
    for k in range(columns):
        x, z = -0.46 * wide + k * (column + gap), top
        if columns > 1 and k:
            blocks("rule", [((x - 0.5 * gap, -0.0005, -0.46 * high), (x - 0.5 * gap + 0.0005, 0, top))], black, parent)
        if kind == "newspaper" and k == columns // 2:
            picture(stage, parent, (x, z - 0.14), (x + column, z), -0.0006)
            text(words.sentence()[:40], 0.8 * size, black, parent, (x, -0.0012, z - 0.14 - size), face)
            z -= 0.16
        while z > -0.45 * high + 4 * size:
            rows = min(int(stage.rng.integers(4, 14)), int((z + 0.47 * high) / (1.1 * size)))
            heading = words.title()[: int(column / (0.75 * size))]
            script = words.pick(("cjk", "georgian", "mono", "ethiopic", "thai"))
            text(
                heading if kind != "licence" else words.foreign(script),
                1.3 * size,
                black,
                parent,
                (x, -0.0006, z - size),
                face if kind != "licence" else script,
            )
            z -= 1.5 * size
            body = text(
                "\n".join(words.lines(rows, int(column / (0.5 * size * (1.2 if face == "mono" else 1.0))))),
                size,
                black,
                parent,
                (x, -0.0006, z - size),
                face,
            )
            body.data.space_line = 1.1
            z -= 1.1 * size * rows + 0.8 * size


def slate(stage: Stage) -> Subject:
    """A clapperboard with its fields, chalk smears and hazard sticks, held before a wall."""
    words, board = Words(stage.rng), place("board", None, turn=(0, stage.rng.normal(0, 4), 0))
    dark = stage.happens("black board", 0.6)
    ground, mark = ((0.012, 0.012, 0.013), (0.8, 0.79, 0.75)) if dark else ((0.78, 0.77, 0.74), (0.012, 0.012, 0.02))
    face = Surface(stage, "board", 0.8, ground, 0.35)
    face.put(Base_Color=face.mix(face.math("MULTIPLY", face.scratches(30.0, 0.05), 0.25), ground, (0.4, 0.4, 0.4)))
    boxes("board", [((-0.42, 0.0, -0.3), (0.42, 0.02, 0.3))], face, board, 0.004)
    white = Shader("print", mark, 0.6)
    rules = [((-0.4, -0.001, z), (0.4, 0.001, z + 0.003)) for z in (-0.2, -0.08, 0.08, 0.2)]
    rules += [((x, -0.001, -0.08), (x + 0.003, 0.001, 0.08)) for x in (-0.14, 0.13)]
    blocks("rules", rules, white, board)
    text(words.title().upper()[:18], 0.085, white, board, (-0.39, -0.001, 0.222), LATIN[stage.rng.integers(3)])
    for k, (label, value) in enumerate(
        (
            ("ROLL", words.code()[:4]),
            ("SCENE", f"{words.rng.integers(1, 120)}B"),
            ("TAKE", f"{words.rng.integers(1, 30)}"),
        )
    ):
        x = (-0.39, -0.125, 0.145)[k]
        text(label, 0.024, white, board, (x, -0.001, 0.056), "sans")
        text(value, 0.1, white, board, (x, -0.001, -0.055), "plain")
    for k, label in enumerate(("DIRECTOR", "CAMERA", "DATE")):
        text(label, 0.02, white, board, (-0.39, -0.001, 0.16 - 0.036 * k), "sans")
        text(words.name() if k < 2 else words.number(), 0.034, white, board, (-0.22, -0.001, 0.16 - 0.036 * k), "plain")
    text("\n".join(words.lines(4, 80)), 0.018, white, board, (-0.39, -0.001, -0.105), "mono")
    text(words.number() + "   24 FPS   MOS   INT   DAY", 0.044, white, board, (-0.39, -0.001, -0.26), "mono")
    sticks = Surface(stage, "sticks", 0.1, (0.0, 0.0, 0.0), 0.4)
    band = sticks.math(
        "GREATER_THAN",
        sticks.add(
            "TexWave", out="Fac", settings={"bands_direction": "DIAGONAL"}, Vector=sticks.object_space, Scale=2.2
        ),
        0.5,
    )
    sticks.put(Base_Color=sticks.mix(band, (0.012, 0.012, 0.012), (0.8, 0.79, 0.75)))
    hinge = place("hinge", None, parent=board, at=(-0.4, 0, 0.38), turn=(0, stage.rng.uniform(-25, 0), 0))
    boxes("lower stick", [((-0.42, -0.004, 0.31), (0.42, 0.024, 0.37))], sticks, board, 0.003)
    boxes("upper stick", [((-0.02, -0.004, 0.0), (0.82, 0.024, 0.06))], sticks, hinge, 0.003)
    blocks(
        "wall",
        [((-6, 1.0, -4), (6, 1.1, 4))],
        draw(stage, ("brick", "fabric", "painted", "wood", "concrete", "foliage"), 2.0),
    )
    return Subject((0, 0, 0.05), 0.48, (-8, 12), (-25, 25), (0.9, 1.8))


def stamped_plates(stage: Stage) -> Subject:
    """Number plates, dials' labels and warning plates with raised type on riveted sheet."""
    words = Words(stage.rng)
    blocks("panel", [((-4, 0, -3), (4, 0.1, 3))], draw(stage, ("metal", "car paint", "painted", "plastic"), 1.0))
    for row in range(5):
        x = -1.5
        while x < 1.3:
            wide, high = stage.rng.uniform(0.34, 0.56), stage.rng.uniform(0.12, 0.2)
            plate = place(
                "plate", None, at=(x + 0.5 * wide, -0.003, 0.25 * (row - 2)), turn=(0, stage.rng.normal(0, 0.7), 0)
            )
            x += wide + 0.03
            ground = tint(stage, (0.0, 0.9), (0.1, 0.95))
            shader = stock(stage, "enamel", ground, wide) if stage.rng.random() < 0.6 else draw(stage, ("metal",), wide)
            boxes("plate", [((-0.5 * wide, -0.003, -0.5 * high), (0.5 * wide, 0, 0.5 * high))], shader, plate, 0.001)
            dark = Shader("type", (0.01, 0.01, 0.012) if sum(ground) > 0.4 else (0.85, 0.84, 0.8), 0.35)
            frame = [
                ((-0.48 * wide, -0.005, z), (0.48 * wide, -0.003, z + 0.003))
                for z in (-0.46 * high, 0.46 * high - 0.003)
            ]
            blocks("frame", frame, dark, plate)
            said = words.code() if stage.rng.random() < 0.6 else words.pick(SIGNS)
            size = min(0.85 * high, 1.5 * wide / len(said))
            raised = text(
                said, size, dark, plate, (0, -0.004, -0.3 * size), LATIN[stage.rng.integers(3)], "CENTER", 0.004
            )
            raised.data.bevel_depth = 0.0008
            text(words.sentence(), 0.014, dark, plate, (0, -0.004, -0.42 * high), "sans", "CENTER", 0.001)
            rivets = [
                ((cx - 0.004, -0.007, cz - 0.004), (cx + 0.004, -0.003, cz + 0.004))
                for cx in (-0.46 * wide, 0.45 * wide)
                for cz in (-0.4 * high, 0.38 * high)
            ]
            boxes("rivets", rivets, Shader("rivet", (0.5, 0.5, 0.5), 0.3, Metallic=1.0), plate, 0.0015)
    return Subject((0, 0, 0), 0.45, (-15, 20), (-40, 40), (0.9, 2.2))
