"""What is read: credit rolls, titles, signs, pages, neon, screens, test charts, subtitles, slates and number plates.

All of it faces -y and is about a metre high, so that a cap of 14 mm is some five pixels of a picture 640 wide.
"""

from __future__ import annotations

from render.blender import Shader, boxes, place
from render.scenes.charts import chart, screen
from render.scenes.materials import draw
from render.scenes.materials_hard import METALS
from render.scenes.materials_soft import glow
from render.scenes.parts import blocks, cluster, wires
from render.scenes.patterns import Surface, tint
from render.scenes.prints import page, slate, stamped_plates, tall_poster
from render.scenes.props import PROPS
from render.scenes.shapes import move
from render.scenes.stage import Stage, Subject
from render.scenes.words import LATIN, SCRIPTS, SIGNS, Words, text

WALLS = ("brick", "concrete", "painted", "wood", "tile", "metal", "stone")


def build(stage: Stage) -> Subject:
    """One of the variants."""
    return VARIANTS[stage.choose("variant", tuple(VARIANTS), (3, 2, 2, 2, 2, 2, 2, 2, 1, 1))](stage)


def _type(stage: Stage, name: str, colour=(0.8, 0.8, 0.8)) -> Shader:
    """Light that is type, or type that is painted: white as in a title, or brighter than white."""
    if stage.happens("type glows", 0.7):
        return glow(stage, name, colour, stage.log_uniform("type", 0.8, 20.0))
    return Shader(name, colour, 0.6)


def _ground(stage: Stage) -> None:
    """What stands behind titles: true black, a gradient, or a picture of a material out of focus."""
    kind = stage.choose("ground", ("black", "gradient", "picture"), (3, 1, 2))
    if kind == "black":
        shader = Shader("black", (0.0, 0.0, 0.0), 1.0, Specular_IOR_Level=0.0)
    elif kind == "gradient":
        shader = Surface(stage, "gradient", 1.0, (0.0, 0.0, 0.0), 1.0)
        low, high = tint(stage, (0.2, 0.8), (0.02, 0.3)), tint(stage, (0.2, 0.8), (0.2, 0.7))
        up = shader.split(shader.object_space)[2]
        shader.put(Emission_Color=shader.mix(shader.step(up, -1.2, 1.2), low, high), Emission_Strength=1.0)
    else:
        shader = draw(stage, size=3.0)
    blocks("ground", [((-9.0, 0.3, -6.0), (9.0, 0.4, 6.0))], shader)


def credits_roll(stage: Stage) -> Subject:
    """Roles and names in one to three columns that move up; foreign lines and a block of fine print among them."""
    words, roll = Words(stage.rng), place("roll", None)
    size, face = stage.log_uniform("em", 0.02, 0.11), LATIN[stage.rng.integers(3)]
    shader = _type(stage, "credits")
    role = shader if stage.happens("one colour", 0.6) else _type(stage, "roles", tint(stage, (0.3, 0.8), (0.5, 0.95)))
    columns = 1 if size > 0.07 else stage.integer("columns", 1, 3)
    pitch, step = 2.1 / columns, stage.rng.uniform(1.15, 1.6) * size
    for column in range(columns):
        x, z = (column - 0.5 * (columns - 1)) * pitch, 1.0
        while z > -1.0:
            size_now = size
            draw_ = stage.rng.random()
            if draw_ < 0.12:
                z -= 1.2 * step
                text(words.title().upper(), 1.25 * size, role, roll, (x, 0, z), face, "CENTER")
                z -= 0.6 * step
            elif draw_ < 0.2:
                script = words.pick(tuple(SCRIPTS))
                size_now = 1.5 * size if script == "cjk" else size
                text(words.foreign(script), size_now, shader, roll, (x, 0, z), script, "CENTER")
            elif draw_ < 0.27:
                fine = "\n".join(words.lines(5, int(0.8 * pitch / (0.33 * size))))
                text(fine, 0.6 * size, role, roll, (x, 0, z), face, "CENTER")
                z -= 4.0 * 0.6 * size
            else:
                text(words.role(), size, role, roll, (x - 0.25 * size, 0, z), face, "RIGHT")
                text(words.name(), size, shader, roll, (x + 0.25 * size, 0, z), face)
            z -= step
    if stage.happens("rolls", 0.7):
        move(roll, by=(0.0, 0.0, stage.log_uniform("roll", 0.05, 0.6)))
    _ground(stage)
    return _front(0.5, depth_of_field=False)


def title(stage: Stage) -> Subject:
    """A few large raised letters with bevelled edges, standing on a floor before a backdrop."""
    words = Words(stage.rng)
    lines = words.title().upper().split()
    shader = draw(
        stage, ("metal", "metal", "foil", "car paint", "stone", "wood", "glass", "painted", "wax", "ceramic"), 0.3
    )
    for k, line in enumerate(reversed(lines[:4])):
        size = min(0.34, 1.9 / max(len(line), 3))
        letters = text(
            line, size, shader, None, (0, 0, 0.004 + 0.34 * k), LATIN[2 * stage.rng.integers(2)], "CENTER", 0.1 * size
        )
        letters.data.bevel_depth, letters.data.bevel_resolution = 0.012 * size, 2
        if stage.happens("turns", 0.2):
            move(letters, turn=(0, 0, stage.rng.uniform(-20, 20)))
    floor = draw(stage, ("stone", "concrete", "soil", "metal", "wood", "fabric", "tile"), 1.5)
    blocks("floor", [((-6, -3, -0.1), (6, 4, 0.0))], floor)
    if stage.happens("wall", 0.7):
        blocks("wall", [((-6, 1.2, 0.0), (6, 1.3, 5.0))], draw(stage, WALLS, 2.0))
    small = Shader("credit", METALS["steel"], 0.3, Metallic=1.0)
    text(f"a film by {words.name()}", 0.06, small, None, (0, -0.25, 0.0), "sans", "CENTER", 0.01, (75, 0, 0))
    height = 0.34 * len(lines[:4])
    return Subject((0, 0, 0.5 * height), 0.55 * max(height, 0.9), (2, 25), (-35, 35), (0.8, 1.8))


def signs(stage: Stage) -> Subject:
    """A wall of overlapping posters and boards, worn, with a pipe and wires across it."""
    words = Words(stage.rng)
    blocks("wall", [((-5, 0, -4), (5, 0.2, 4))], draw(stage, WALLS, 1.6))
    spots = [(0.42 * (k % 5 - 2), 0.5 * (k // 5 - 1)) for k in range(15)]
    for layer, (x, z) in enumerate(spots):
        board = place(
            "board",
            None,
            at=(x + stage.rng.normal(0, 0.04), -0.002 - 0.0012 * layer, z + stage.rng.normal(0, 0.05)),
            turn=(0, stage.rng.normal(0, 2.0), 0),
        )
        if stage.rng.random() < 0.55:
            tall_poster(stage, board, stage.rng.uniform(0.32, 0.44), stage.rng.uniform(0.42, 0.6))
        else:
            wide, high = stage.rng.uniform(0.3, 0.5), stage.rng.uniform(0.1, 0.24)
            thick = stage.rng.uniform(0.003, 0.03)
            boxes(
                "plate",
                [((-wide / 2, -thick, -high / 2), (wide / 2, 0, high / 2))],
                draw(stage, ("painted", "metal", "plastic", "wood", "ceramic"), wide),
                board,
                0.002,
            )
            big = words.pick(SIGNS)
            size = min(1.45 * wide / max(len(big), 3), 0.7 * high)
            shader = Shader("paint", tint(stage, (0.0, 0.9), (0.05, 0.95)), 0.4)
            text(
                big,
                size,
                shader,
                board,
                (0, -thick - 0.001, -0.25 * size),
                LATIN[stage.rng.integers(3)],
                "CENTER",
                0.002,
            )
            text(words.sentence(), 0.09 * high, shader, board, (0, -thick - 0.001, -0.42 * high), "plain", "CENTER")
    cables = [[(-4, -0.03, z), (0.2, -0.03, z + 0.02), (4, -0.03, z - 0.05)] for z in stage.rng.uniform(-0.7, 0.7, 3)]
    wires("cables", cables, 0.004, Shader("cable", (0.02, 0.02, 0.02), 0.5), sides=3)
    return Subject((0, 0, 0), 0.55, (-12, 15), (-45, 45), (0.9, 2.2))


def printed_page(stage: Stage) -> Subject:
    """A newspaper or a book page, held flat or lying on a desk with something on it."""
    sheet = place("sheet", None)
    page(stage, sheet)
    if stage.happens("lies", 0.5):
        sheet.rotation_euler.x = -1.5708
        blocks("desk", [((-3, -3, -0.1), (3, 3, -0.001))], draw(stage, ("wood", "leather", "stone", "fabric"), 1.0))
        sizes, spots = [], []
        for kind in stage.rng.choice(("cup", "coins", "pencils", "hardware", "necklace", "drinking glass"), 2, False):
            spots.append(place("on it", None))
            sizes.append(PROPS[kind](stage, spots[-1])[0])
        for spot, (x, y) in zip(spots, cluster(stage, sizes, (0.2, 0.3))):
            spot.location = (x, y, 0.003)
        return Subject((0, 0, 0), 0.3, (25, 85), (-25, 25), (0.8, 2.4))
    blocks("behind", [((-3, 0.05, -3), (3, 0.1, 3))], draw(stage, WALLS, 1.0))
    return Subject((0, 0, 0), 0.35, (-10, 20), (-25, 25), (0.8, 2.4))


def neon(stage: Stage) -> Subject:
    """Glowing tubes along the outlines of letters, with their holders and cables, on a wall at night."""
    words = Words(stage.rng)
    blocks("wall", [((-5, 0.05, -4), (5, 0.2, 4))], draw(stage, ("brick", "concrete", "metal", "tile", "wood"), 1.5))
    strength = stage.log_uniform("neon", 10.0, 300.0)
    for k in range(stage.integer("neon lines", 1, 3)):
        colour = tint(stage, (0.7, 1.0), (0.9, 1.0), hue=(0.0, 1.0))
        said = words.pick(SIGNS)
        size = min(0.4, 1.8 / len(said))
        tube = text(said, size, glow(stage, "neon", colour, strength), None, (0, 0, 0.3 - 0.42 * k), "plain", "CENTER")
        tube.data.fill_mode, tube.data.bevel_depth, tube.data.bevel_resolution = "NONE", 0.0045, 2
        tube.data.resolution_u = 8
        posts = [
            ((x, 0.0, 0.3 - 0.42 * k), (x + 0.006, 0.05, 0.306 - 0.42 * k)) for x in stage.rng.uniform(-0.8, 0.8, 10)
        ]
        blocks("posts", posts, Shader("posts", (0.02, 0.02, 0.02), 0.4))
    paint = Shader("paint", (0.6, 0.58, 0.5), 0.7)
    text(words.sentence(), 0.05, paint, None, (0, 0.049, 0.62), LATIN[stage.rng.integers(3)], "CENTER")
    cables = [[(x, 0.04, 0.2), (x + 0.1, 0.03, -0.4), (x + 0.05, 0.045, -2)] for x in stage.rng.uniform(-0.8, 0.8, 4)]
    wires("cables", cables, 0.005, Shader("cable", (0.01, 0.01, 0.01), 0.5), sides=2)
    return Subject((0, 0, 0.1), 0.55, (-15, 15), (-40, 40), (0.9, 2.0), environments=("night",), lights=False)


def subtitles(stage: Stage) -> Subject:
    """A shot of things on a table, soft behind, and sharp lines of speech laid over it."""
    words, kinds = Words(stage.rng), tuple(PROPS)
    spots, sizes = [], []
    for kind in stage.rng.choice(kinds, 9, False):
        spots.append(place("thing", None))
        sizes.append(PROPS[kind](stage, spots[-1]))
    for spot, (x, y) in zip(spots, cluster(stage, [s[0] for s in sizes], (0.25, 0.12), [s[1] for s in sizes])):
        spot.location, spot.scale = (3.2 * x, 1.5 + 3.2 * y, -0.32), (3.2, 3.2, 3.2)
    blocks("table", [((-4, 0.1, -0.4), (4, 3.0, -0.322))], draw(stage, ("wood", "stone", "fabric"), 2.0))
    blocks("wall", [((-6, 3.0, -2), (6, 3.1, 4))], draw(stage, WALLS, 2.5))
    size, shader, face = stage.log_uniform("em", 0.04, 0.09), _type(stage, "speech"), LATIN[stage.rng.integers(3)]
    said = words.lines(stage.integer("speech lines", 1, 2), int(1.4 / (0.5 * size)))
    edge = Shader("edge", (0.0, 0.0, 0.0), 1.0)
    for k, line in enumerate(said):
        at = (0.0, 0.0, -0.3 - 1.2 * size * k)
        text(line, size, shader, None, at, face, "CENTER")
        rim = text(line, size, edge, None, (0.0, 0.002, at[2]), face, "CENTER")
        rim.data.offset = 0.03 * size
    text(words.number(), 0.6 * size, shader, None, (-0.75, 0.0, 0.42), "mono")
    text(words.pick(SIGNS), 0.8 * size, shader, None, (0.72, 0.0, 0.42), face, "RIGHT")
    return _front(0.5)


def _front(radius: float, depth_of_field: bool = True) -> Subject:
    """To be filmed from straight before it."""
    return Subject((0, 0, 0), radius, (-2, 3), (-4, 4), (0.9, 1.4), depth_of_field=depth_of_field)


VARIANTS = {
    "credits": credits_roll,
    "title": title,
    "signs": signs,
    "page": printed_page,
    "neon": neon,
    "screen": screen,
    "chart": chart,
    "subtitles": subtitles,
    "slate": slate,
    "number plates": stamped_plates,
}
