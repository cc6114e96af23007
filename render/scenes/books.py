"""Things with print on them: books on end and in stacks, cartons, pages."""

from __future__ import annotations

import math

from render.blender import Shader, boxes, place
from render.scenes.materials import draw
from render.scenes.parts import blocks
from render.scenes.patterns import METALS, Surface, tint
from render.scenes.stage import Stage
from render.scenes.words import LATIN, SIGNS, Words, text

Size = tuple[float, float]  # radius of the foot, height
CARD = ("printed", "printed", "leather", "fabric", "painted", "plastic")


def ink(stage: Stage) -> Shader:
    """What lettering is printed or stamped in."""
    kind = stage.choose("ink", ("black", "white", "gold", "colour"))
    if kind == "gold":
        return Shader("gilding", METALS["gold"], 0.25, Metallic=1.0)
    plain = {"black": (0.01, 0.01, 0.01), "white": (0.8, 0.79, 0.76), "colour": tint(stage, (0.6, 1.0), (0.2, 0.9))}
    return Shader("ink", plain[kind], 0.5)


def book(stage: Stage, parent, thick: float, tall: float, deep: float, cover: Shader) -> None:
    """A book that lies flat, its spine with lettering towards -y: covers, rounded spine, edge of pages."""
    board = 0.0025
    x, words = 0.5 * tall, Words(stage.rng)
    boxes("covers", [((-x, 0, z), (x, deep, z + board)) for z in (0.0, thick - board)], cover, parent, 0.0006)
    boxes("spine", [((-x, -0.003, 0.0), (x, 0.0015, thick))], cover, parent, min(0.0025, 0.2 * thick))
    paper = Surface(stage, "pages", thick, (0.7, 0.64, 0.52), 0.9)
    paper.put(
        Base_Color=paper.mix(
            paper.grain(stage.rng.uniform(30, 70), 2.0, (0.02, 0.02, 1.0)), (0.3, 0.25, 0.18), (0.85, 0.8, 0.68)
        )
    )
    blocks("pages", [((-x + 0.004, 0.0, board), (x - 0.004, deep - 0.004, thick - board))], paper, parent)
    size, face, print_ = min(0.55 * thick, 0.02), LATIN[stage.rng.integers(3)], ink(stage)
    z = 0.5 * thick - 0.33 * size
    text(words.title()[: int(tall * 1.1 / size)], size, print_, parent, (-0.45 * tall, -0.0035, z), face, depth=0.0004)
    text(words.name().split()[-1], 0.6 * size, print_, parent, (0.47 * tall, -0.0035, z), face, "RIGHT", depth=0.0004)
    blocks(
        "rules",
        [((k * tall, -0.0034, 0.15 * thick), (k * tall + 0.001, -0.002, 0.85 * thick)) for k in (-0.48, -0.475, 0.48)],
        print_,
        parent,
    )


def books(stage: Stage, parent) -> Size:
    """A stack that lies a little askew."""
    height, turn = 0.0, stage.rng.uniform(-30.0, 30.0)
    for _ in range(stage.integer("books", 2, 6)):
        thick, tall, deep = (
            stage.rng.uniform(0.012, 0.045),
            stage.rng.uniform(0.17, 0.25),
            stage.rng.uniform(0.11, 0.17),
        )
        stack = place("stack", None, parent=parent, at=(0, 0, height), turn=(0, 0, turn + stage.rng.normal(0.0, 7.0)))
        book(
            stage,
            place("book", None, parent=stack, at=(0.0, -0.5 * deep, 0.0)),
            thick,
            tall,
            deep,
            draw(stage, CARD, tall),
        )
        height += thick + 0.0003
    return 0.105, height


def book_row(stage: Stage, parent, wide: float, tall: float, covers: list[Shader]) -> float:
    """Books on end from x = 0 on, spines to -y; returns the width that they take."""
    x = 0.0
    while x < wide - 0.05:
        thick, high, deep = (
            stage.rng.uniform(0.01, 0.045),
            stage.rng.uniform(0.6, 0.95) * tall,
            stage.rng.uniform(0.1, 0.17),
        )
        spot = place("upright", None, parent=parent, at=(x, stage.rng.uniform(0, 0.015), 0.5 * high), turn=(0, 90, 0))
        book(stage, spot, thick, high, deep, covers[int(stage.rng.integers(len(covers)))])
        x += thick + 0.0008
    return x


def carton(stage: Stage, parent) -> Size:
    """A printed box or a tin with lettering on its front."""
    wide, deep, tall = stage.rng.uniform(0.05, 0.14), stage.rng.uniform(0.04, 0.1), stage.rng.uniform(0.05, 0.2)
    turned = place("turned", None, parent=parent, turn=(0, 0, stage.rng.uniform(-40, 40)))
    shader = draw(stage, ("printed", "painted", "metal", "wood", "plastic", "leather"), max(wide, tall))
    boxes("carton", [((-0.5 * wide, -0.5 * deep, 0), (0.5 * wide, 0.5 * deep, tall))], shader, turned, 0.0015)
    words, print_, y = Words(stage.rng), ink(stage), -0.5 * deep - 0.0004
    big, face = words.pick(SIGNS), LATIN[stage.rng.integers(3)]
    text(big, 1.5 * wide / max(len(big), 4), print_, turned, (0, y, 0.7 * tall), face, "CENTER", 0.0003)
    small = wide * 0.052
    for k, line in enumerate(words.lines(int(0.4 * tall / (1.3 * small)), 26)):
        text(line, small, print_, turned, (-0.43 * wide, y, 0.55 * tall - 1.3 * small * k), face)
    return 0.5 * math.hypot(wide, deep), tall


def paper(stage: Stage, parent) -> Size:
    """A page of print or a letter, flat on the table."""
    words, x = Words(stage.rng), 0.07
    turned = place("page", None, parent=parent, turn=(0, 0, stage.rng.uniform(-50, 50)))
    blocks(
        "page",
        [((-x, -0.1, 0.0002), (x, 0.1, 0.0006))],
        draw(stage, ("printed",), 0.6) if stage.happens("map", 0.2) else Shader("paper", (0.75, 0.72, 0.64), 0.9),
        turned,
    )
    black, face = Shader("ink", (0.015, 0.015, 0.02), 0.7), LATIN[stage.rng.integers(3)]
    text(words.title(), 0.012, black, turned, (-0.06, 0.08, 0.0008), face, turn=(0, 0, 0))
    body = text("\n".join(words.lines(24, 46)), 0.0052, black, turned, (-0.06, 0.066, 0.0008), face, turn=(0, 0, 0))
    body.data.space_line = 1.05
    return 0.08, 0.001
