"""Leaves by the thousand: trees, branches near the lens, ferns, meadows, ivy, pines, reeds and a forest's floor."""

import numpy as np

from render.blender import Shader
from render.scenes.leaves import (
    PALETTES,
    bark_shader,
    blade,
    falling,
    flower_model,
    grass,
    ground,
    leaf_model,
    leaf_shader,
    leaves_on,
    litter,
    shoots,
    spread,
)
from render.scenes.shapes import (
    UP,
    Noise,
    hue,
    limbs,
    move,
    plane,
    scatter,
    sheet,
    strands,
    surface,
    tone,
    turns,
    unit,
    weave_quads,
)
from render.scenes.stage import Stage, Subject

OUTDOORS = ("forest", "courtyard", "sunrise", "sunset", "city")


def tree(stage: Stage) -> Subject:
    """A tree or a bush, whole or one crown's edge against the sky."""
    rng, form = stage.rng, stage.choose("form", ("tree", "bush", "weeping", "bare"), (4, 3, 2, 1.5))
    bark = bark_shader(stage, stage.choose("bark", ("oak", "birch"), (2, 1)))
    shape = stage.choose("leaf", ("oval", "heart", "lobed", "toothed", "lance"))
    model = leaf_model(stage, shape, leaf_shader(stage, stage.choose("palette", tuple(PALETTES))))
    tall, feet = (stage.uniform("tall", 3.5, 6.0), 1) if form != "bush" else (stage.uniform("tall", 1.2, 2.0), 14)
    lean = rng.normal(0.0, 0.05 if feet == 1 else 0.4, (feet, 1, 3)) * (1, 1, 0)
    t = np.linspace(0.0, 1.0, 12)[None, :, None]
    sway = np.cumsum(rng.normal(0.0, 0.012, (feet, 12, 3)), axis=1) * (1.0, 1.0, 0.0)
    paths = tall * (t * UP + lean * t + sway) + rng.normal(0.0, 0.08 * (feet > 1), (feet, 1, 3)) * (1, 1, 0)
    thick = tall * (0.035 if feet == 1 else 0.012) * np.broadcast_to(1.0 - 0.8 * t[..., 0], (feet, 12))
    limbs("trunk", paths, thick, bark, sides=16)
    lift = -0.9 if form == "weeping" else stage.uniform("lift", 0.1, 0.7)
    counts = (15, 7, 8) if feet == 1 else (6, 4, 5)
    for each, reach, start in zip(counts, (0.5, 0.5, 0.6), (0.3, 0.2, 0.15), strict=True):
        paths, thick = shoots(rng, paths, thick, each, reach, stage.uniform("spread", 40.0, 60.0), start, lift)
        limbs("branches", paths, thick, bark, sides=6)
    if form != "bare":
        leaves_on(stage, paths, 22, model, stage.uniform("leaf length", 0.06, 0.12) * tall / 4.0, 0.4)
        for fall in rng.uniform(-0.3, 0.3, (3, 3)):
            leaf = model.copy()
            falling(leaf, fall * tall + (0.0, 0.0, 0.6 * tall), 0.08, rng)
    _, height = ground(stage, 24.0, 0.4, "moss", bulge=0.1)
    grass(stage, 14_000, 9.0, height, 0.25, (0.05, 0.09, 0.015))
    near = stage.happens("crown only", 0.6)
    middle = (0.0, 0.0, tall * (0.75 if near else 0.55))
    return Subject(middle, tall * (0.3 if near else 0.55), (2.0, 18.0), fill=(0.8, 1.6), environments=OUTDOORS)


def branch(stage: Stage) -> Subject:
    """A few twigs close to the lens, leaf veins and all, against what lies behind."""
    rng, bark = stage.rng, bark_shader(stage, "oak")
    shape = stage.choose("leaf", ("oval", "heart", "lobed", "toothed", "lance"))
    model = leaf_model(stage, shape, leaf_shader(stage, stage.choose("palette", tuple(PALETTES))))
    t = np.linspace(0.0, 1.0, 10)[None, :, None]
    count = stage.integer("boughs", 4, 8)
    base = rng.uniform(-0.35, 0.35, (count, 1, 3)) + np.array((-0.5, 0.0, 0.05))
    heading = np.array((1.0, 0.0, 0.1)) + rng.normal(0.0, 0.2, (count, 1, 3))
    paths = base + t * heading - 0.15 * t**2 * UP + np.cumsum(rng.normal(0.0, 0.012, (count, 10, 3)), axis=1)
    thick = np.broadcast_to(0.009 * (1.0 - 0.7 * t[..., 0]), (count, 10))
    bough = limbs("bough", paths, thick, bark, sides=10)
    paths, thick = shoots(rng, paths, thick, 9, 0.32, 45.0, 0.1, 0.1)
    limbs("twigs", paths, thick, bark, bough, sides=8)
    leaves_on(
        stage, paths, 11, model, stage.uniform("leaf length", 0.07, 0.12), stage.uniform("droop", 0.2, 1.0), bough
    )
    if stage.happens("wind", 0.5):
        move(bough, (0.0, 0.02, 0.05), (4.0, 3.0, 2.0))
    return Subject((0.05, 0.0, 0.0), 0.4, (-20.0, 25.0), fill=(0.9, 2.0), environments=OUTDOORS)


def fern(stage: Stage) -> Subject:
    """Ferns on a mossy forest floor."""
    rng, fronds, angles, sizes = stage.rng, [], [], []
    shader = leaf_shader(stage, stage.choose("palette", ("spring", "summer", "gold"), (2, 2, 1)))
    vertices, uvs, quads = [], [], []
    t = np.linspace(0.05, 0.98, 30)
    for n, s in enumerate(np.repeat(t, 2)):
        points, uv = blade("lance", rng, rows=25, columns=2)
        teeth = 0.35 + 0.65 * np.abs(np.sin(np.linspace(0.0, 11.0 * np.pi, 25)))[:, None]
        points = points * 0.34 * np.sin(np.pi * s**0.55) ** 0.8 * (1.1 - 0.4 * s)
        side = 1.0 if n % 2 else -1.0
        x, y, z = points[..., 0] * teeth * 1.5, points[..., 1], points[..., 2]
        bend = 0.55 * s**2
        vertices.append(np.stack([side * z, y - bend, s + x + 0.25 * z - 0.3 * s**3], axis=-1).reshape(-1, 3))
        quads.append(weave_quads(25, 3) + n * 75)
        uvs.append(uv.reshape(-1, 2))
    model = surface("frond", np.concatenate(vertices), np.concatenate(quads), shader, np.concatenate(uvs))
    s = np.linspace(0.0, 1.0, 20)
    stem = np.stack([0.0 * s, -0.55 * s**2, s - 0.3 * s**3], axis=-1)[None]
    stalk = limbs("stem", stem, 0.006 * (1.1 - s), Shader("stem", (0.08, 0.05, 0.015), 0.5))
    _, height = ground(stage, 6.0, 0.12, "moss")
    for foot in spread(rng, stage.integer("plants", 14, 26), 4.0, height):
        count = rng.integers(7, 12)
        around = 2.0 * np.pi * (np.arange(count) + rng.uniform(0.0, 0.5, count)) / count
        tilt = rng.uniform(0.25, 0.9, count)
        angles.append(np.stack([tilt, 0.0 * tilt, around], axis=-1))
        fronds.append(np.repeat(foot[None], count, axis=0))
        sizes.append(rng.uniform(0.45, 0.8) * rng.uniform(0.6, 1.1, count))
    for part in (model, stalk):
        scatter("fern", part, np.concatenate(fronds), np.concatenate(angles), np.concatenate(sizes))
    litter(stage, 1600, 5.0, height)
    grass(stage, 16_000, 4.5, height, 0.06, (0.05, 0.1, 0.02))
    return Subject((0.0, 0.0, 0.3), 0.9, (6.0, 45.0), fill=(0.8, 1.8), environments=OUTDOORS)


def floor(stage: Stage) -> Subject:
    """The floor of a wood: leaves, sticks, moss and sprouts."""
    _, height = ground(stage, 3.0, 0.08, stage.choose("ground", ("soil", "moss")))
    litter(stage, 5000, 2.6, height)
    grass(stage, stage.integer("grass", 0, 6000), 2.6, height, 0.07, (0.06, 0.12, 0.02))
    return Subject((0.0, 0.0, 0.0), 0.4, (12.0, 65.0), fill=(0.8, 1.6), environments=OUTDOORS)


def meadow(stage: Stage) -> Subject:
    """Grass with flowers, seen from among them."""
    rng = stage.rng
    _, height = ground(stage, 8.0, 0.12, "soil")
    tall = stage.uniform("tall", 0.25, 0.5)
    dry = stage.happens("dry", 0.3)
    grass(stage, 45_000, 5.0, height, tall, (0.2, 0.15, 0.05) if dry else (0.045, 0.1, 0.014))
    for _ in range(stage.integer("species", 1, 4)):
        colour = hue(stage.uniform("hue", -0.35, 0.2), stage.uniform("saturation", 0.2, 1.0), 0.75)
        model = flower_model(stage, colour, int(stage.choose("petals", (5, 8, 13, 21))))
        count = stage.integer("flowers", 60, 300)
        size = stage.uniform("flower", 0.04, 0.09)
        points = spread(rng, count, 4.5, height, clump=0.35) + tall * rng.uniform(0.7, 1.15, (count, 1)) * UP
        pointing = rng.normal(0.0, 0.4, (count, 3)) + np.array((0.0, -0.3, 1.0))
        scatter(
            "flowers", model, points, turns(pointing, rng.uniform(0.0, 6.0, count)), size * rng.uniform(0.7, 1.2, count)
        )
    return Subject((0.0, 0.0, tall * 0.75), 0.45, (4.0, 30.0), fill=(0.8, 1.8), environments=OUTDOORS)


def ivy(stage: Stage) -> Subject:
    """Ivy over a wall of rough plaster or bricks."""
    rng = stage.rng
    wall = Shader("wall", (0.3, 0.27, 0.23), 0.95)
    stains = wall.noise(3.0, 8.0)
    if stage.choose("wall", ("brick", "plaster")) == "brick":
        where = wall.add("Mapping", wall.where, Rotation=(np.pi / 2.0, 0.0, 0.0))
        size = {"Scale": 1.0, "Mortar Size": 0.008, "Brick Width": 0.22, "Row Height": 0.07, "Mortar Smooth": 0.3}
        brick = wall.add("TexBrick", Vector=where, **{k.replace(" ", "_"): v for k, v in size.items()}, out="Fac")
        fired = wall.colour(wall.noise(7.0, 3.0), (0.25, 0.09, 0.055), (0.1, 0.05, 0.04))
        wall.colour(brick, fired, (0.3, 0.28, 0.24))
        relief = wall.math("SUBTRACT", wall.math("MULTIPLY", wall.noise(60.0, 6.0), 0.5), brick)
        wall.bump(relief, 0.012, 0.5)
    else:
        wall.colour(wall.add("MapRange", stains, 0.35, 0.65), (0.34, 0.29, 0.22), (0.12, 0.1, 0.085))
        wall.bump(wall.noise(40.0, 9.0), 0.03, 0.5)
    x, z = plane((5.0, 4.0), (150, 120))
    y = 0.02 * Noise(rng).fractal(np.stack([x, z], axis=-1) * 1.5, 4)
    sheet("wall", np.stack([x, y, z], axis=-1), wall)
    model = leaf_model(
        stage,
        stage.choose("leaf", ("heart", "lobed")),
        leaf_shader(stage, stage.choose("palette", ("summer", "autumn", "dusty", "spring"))),
    )
    count, steps = stage.integer("runners", 25, 60), 40
    heading = rng.normal(np.pi / 2.0, 0.5, count)[:, None] + np.cumsum(rng.normal(0.0, 0.16, (count, steps)), axis=1)
    step = rng.uniform(0.03, 0.07, (count, 1))
    feet = rng.normal(0.0, 0.8, count)[:, None]
    paths = np.stack(
        [
            feet + np.cumsum(step * np.cos(heading), axis=1),
            np.full((count, steps), -0.02),
            -1.6 + np.cumsum(step * np.sin(heading), axis=1),
        ],
        axis=-1,
    )
    paths[..., 1] += rng.normal(0.0, 0.006, (count, steps))
    limbs("runners", paths, 0.006 * np.linspace(1.0, 0.3, steps), bark_shader(stage, "oak"), sides=6)
    at = paths.reshape(-1, 3)[rng.integers(0, count * steps, 4500)] + rng.normal(0.0, 0.03, (4500, 3)) * (1.0, 0.3, 1.0)
    at[:, 1] = -0.03 - np.abs(at[:, 1])
    angles = np.stack(
        [rng.normal(np.pi - 0.5, 0.3, 4500), rng.normal(0.0, 0.5, 4500), rng.normal(0.0, 0.4, 4500)], axis=-1
    )
    scatter("ivy", model, at, angles, rng.gamma(6.0, 0.014, 4500))
    return Subject((0.0, -0.05, -0.3), 0.7, (-5.0, 15.0), (-50.0, 50.0), (0.9, 1.7), environments=OUTDOORS)


def pine(stage: Stage) -> Subject:
    """Twigs of pine or fir with their needles, at times under snow."""
    rng, t = stage.rng, np.linspace(0.0, 1.0, 12)[None, :, None]
    count = stage.integer("boughs", 4, 8)
    base = rng.uniform(-0.3, 0.3, (count, 1, 3)) + np.array((-0.6, 0.0, 0.1))
    heading = np.array((1.2, 0.0, -0.1)) + rng.normal(0.0, 0.25, (count, 1, 3))
    paths = base + t * heading + 0.12 * t**2 * UP
    thick = np.broadcast_to(0.01 * (1.0 - 0.7 * t[..., 0]), (count, 12))
    bark = bark_shader(stage, "oak")
    limbs("bough", paths, thick, bark)
    twigs, thin = shoots(rng, paths, thick, 12, 0.32, 50.0, 0.1, 0.3)
    limbs("twigs", twigs, thin, bark, sides=6)
    length, each = stage.uniform("needle", 0.018, 0.07), stage.integer("needles", 350, 600)
    at = rng.uniform(0.0, 0.999, (len(twigs), each)) * 6
    low, part, row = at.astype(int), (at % 1.0)[..., None], np.arange(len(twigs))[:, None]
    feet = (twigs[row, low] * (1.0 - part) + twigs[row, low + 1] * part).reshape(-1, 1, 3)
    along = unit(twigs[row, low + 1] - twigs[row, low]).reshape(-1, 3)
    out = unit(unit(np.cross(along, rng.normal(size=along.shape))) + 0.7 * along)[:, None]
    s = np.linspace(0.0, 1.0, 4)[None, :, None]
    needles = feet + length * rng.gamma(20.0, 0.05, (len(feet), 1, 1)) * (s * out + 0.12 * s**2 * UP)
    dark = stage.choose("needles colour", ("green", "blue", "dry"), (4, 2, 1))
    colour = {"green": (0.03, 0.085, 0.02), "blue": (0.06, 0.12, 0.11), "dry": (0.25, 0.11, 0.03)}[dark]
    shader = Shader("needle", colour, 0.35)
    shader.colour(shader.add("HairInfo", out="Random"), tone(colour, 0.6), tone(colour, 1.6))
    if stage.happens("snow", 0.3):
        snowy = shader.add("SeparateXYZ", shader.add("NewGeometry", out="Normal"), out="Z")
        shader.colour(shader.math("GREATER_THAN", snowy, 0.35), colour, (0.8, 0.83, 0.88))
    strands("needles", needles, 0.0007 * np.array((1.0, 1.0, 0.8, 0.2)), shader)
    return Subject((0.1, 0.0, 0.0), 0.35, (-15.0, 30.0), fill=(0.9, 2.0), environments=OUTDOORS)


def reeds(stage: Stage) -> Subject:
    """Reeds that stand in still or rippled water."""
    rng = stage.rng
    water = Shader("water", (0.01, 0.014, 0.012), stage.uniform("water roughness", 0.01, 0.08), IOR=1.33)
    water.bump(
        water.noise(stage.uniform("ripples", 2.0, 9.0), 4.0), stage.log_uniform("ripple height", 0.003, 0.04), 0.5
    )
    x, y = plane((30.0, 30.0), (8, 8))
    sheet("water", np.stack([x, y, 0.0 * x], axis=-1), water)
    height = np.vectorize(lambda a, b: -0.05)
    count = stage.integer("blades", 250, 700)
    feet = spread(rng, count, 4.5, height, clump=0.2)
    shader = leaf_shader(stage, stage.choose("palette", ("summer", "dusty", "gold")))
    points, uv = blade("lance", rng, rows=24, columns=2)
    bend = points[..., 2] ** 2.5
    points = np.stack([points[..., 0] * 0.14, points[..., 1] * 0.3 - 0.3 * bend, points[..., 2] - 0.15 * bend], axis=-1)
    model = sheet("reed", points, shader, uv)
    angles = np.stack(
        [rng.normal(0.0, 0.12, count), rng.normal(0.0, 0.12, count), rng.uniform(0.0, 6.3, count)], axis=-1
    )
    scatter("reeds", model, feet, angles, rng.gamma(12.0, 0.1, count))
    stems = spread(rng, 120, 4.0, height, clump=0.3)[:, None]
    t = np.linspace(0.0, 1.0, 10)[None, :, None]
    tall = rng.uniform(0.9, 1.7, (120, 1, 1))
    paths = stems + tall * t * UP + rng.normal(0.0, 0.12, (120, 1, 3)) * (1, 1, 0) * t**2
    limbs("stalks", paths, 0.005, Shader("stalk", (0.16, 0.14, 0.05), 0.5), sides=6)
    cob = Shader("cob", (0.06, 0.03, 0.012), 0.95)
    cob.bump(cob.noise(400.0, 2.0), 0.004, 0.5)
    limbs("cobs", paths[:, 7:9] + (paths[:, 8:9] - paths[:, 7:8]) * 0.3, 0.014, cob, sides=12)
    return Subject((0.0, 0.0, 0.5), 0.9, (6.0, 30.0), fill=(0.5, 1.1), environments=OUTDOORS)


KINDS = (tree, branch, fern, floor, meadow, ivy, pine, reeds)


def build(stage: Stage) -> Subject:
    """One of the kinds."""
    return dict(zip(names := [k.__name__ for k in KINDS], KINDS, strict=True))[stage.choose("foliage", names)](stage)
