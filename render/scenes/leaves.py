"""What foliage is made of: leaves with veins, bark, flowers, branches of branches, and the ground with its litter."""

import bpy
import numpy as np

from render.blender import Shader
from render.scenes.shapes import (
    UP,
    Noise,
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
from render.scenes.stage import Stage

PALETTES = {  # two colours that leaves lie between, and what light through them is tinted
    "spring": ((0.16, 0.27, 0.03), (0.08, 0.19, 0.025)),
    "summer": ((0.045, 0.115, 0.018), (0.09, 0.16, 0.03)),
    "dusty": ((0.12, 0.15, 0.07), (0.07, 0.1, 0.05)),
    "autumn": ((0.42, 0.13, 0.015), (0.3, 0.03, 0.012)),
    "gold": ((0.5, 0.3, 0.03), (0.2, 0.2, 0.03)),
    "copper": ((0.1, 0.018, 0.02), (0.05, 0.03, 0.02)),
}


# ---- shaders


def leaf_shader(stage: Stage, palette: str, dry: bool = False) -> Shader:
    """A leaf over uv (across in [-1, 1], along in [0, 1]) with veins and blemishes, that light shines through."""
    first, second = PALETTES[palette]
    shader = Shader("leaf", first, stage.uniform("leaf roughness", 0.3, 0.6))
    across, along, _ = (shader.add("SeparateXYZ", shader.add("UVMap", out="UV"), out=axis) for axis in "XYZ")
    off = shader.math("ABSOLUTE", across, 0.0)
    rhythm = shader.math("MULTIPLY", shader.math("SUBTRACT", along, shader.math("MULTIPLY", off, 0.22)), 9.0)
    lateral = shader.math("LESS_THAN", shader.math("PINGPONG", rhythm, 0.5), 0.05)
    vein = shader.math("MAXIMUM", lateral, shader.math("LESS_THAN", off, 0.05))
    chance = shader.add("ObjectInfo", out="Random")
    spots = shader.add("TexNoise", Vector=shader.where, Scale=stage.log_uniform("spots", 30.0, 200.0), Detail=5.0)
    base = shader.colour(chance, first, second)
    blotch = shader.math("GREATER_THAN", spots, 0.5 if dry else 0.66)
    base = shader.colour(shader.math("MULTIPLY", blotch, 0.7), base, (0.16, 0.085, 0.025))
    base = shader.colour(shader.math("MULTIPLY", vein, 0.6), base, tone(np.add(first, 0.1), 1.2))
    shader.bump(vein, 0.0015, 0.5)
    through = shader.add("MixRGB", 0.5, base, (*tone(first, 1.5), 1.0))
    glow = shader.add("BsdfTranslucent", Color=through)
    share = 0.15 if dry else stage.uniform("translucency", 0.35, 0.55)
    mixed = shader.add("MixShader", share, shader.bsdf.outputs[0], glow)
    shader.links.new(mixed, shader.nodes["Material Output"].inputs["Surface"])
    return shader


def bark_shader(stage: Stage, kind: str) -> Shader:
    colours = {"oak": ((0.1, 0.075, 0.055), (0.02, 0.015, 0.012)), "birch": ((0.5, 0.47, 0.42), (0.03, 0.027, 0.025))}
    light, dark = colours[kind]
    shader = Shader("bark", light, 0.9)
    stretch = (60.0, 9.0, 1.0) if kind == "oak" else (12.0, 70.0, 1.0)
    uv = shader.add("VectorMath", shader.add("UVMap", out="UV"), stretch, settings={"operation": "MULTIPLY"})
    ridges = shader.add("TexNoise", Vector=uv, Scale=1.0, Detail=7.0, Roughness=0.7)
    cracks = shader.add("MapRange", ridges, 0.42, 0.62)
    shader.colour(shader.math("SUBTRACT", 1.0, cracks), light, dark)
    shader.bump(ridges, stage.uniform("bark depth", 0.01, 0.03), 0.5)
    return shader


def ground_shader(stage: Stage, kind: str) -> Shader:
    dark, light = {
        "soil": ((0.02, 0.014, 0.01), (0.09, 0.065, 0.045)),
        "moss": ((0.012, 0.02, 0.006), (0.06, 0.08, 0.02)),
    }[kind]
    shader = Shader("ground", dark, 0.95)
    grain = shader.noise(stage.log_uniform("ground grain", 20.0, 90.0), 9.0)
    shader.colour(shader.add("MapRange", grain, 0.35, 0.7), dark, light)
    shader.bump(grain, 0.03, 0.5)
    return shader


# ---- parts


def blade(shape: str, rng: np.random.Generator, rows: int = 18, columns: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Points and uv of a leaf 1 long, from the origin along +z, its face towards -y."""
    v = np.linspace(0.0, 1.0, rows)[:, None]
    u = np.linspace(-1.0, 1.0, columns + 1)[None]
    widths = {
        "oval": 0.27 * np.sin(np.pi * v**0.8) ** 0.75,
        "lance": 0.085 * np.sin(np.pi * v**0.65) ** 0.9,
        "heart": 0.42 * np.sin(np.pi * v**0.42) ** 0.7 * (1.0 - 0.25 * v),
        "lobed": 0.36 * np.sin(np.pi * v**0.9) ** 0.6 * (0.45 + 0.55 * np.abs(np.sin(3.5 * np.pi * v))),
        "toothed": 0.25 * np.sin(np.pi * v**0.75) ** 0.7 * (1.0 - 0.22 * (np.arange(rows)[:, None] % 2)),
    }
    wide = widths[shape] + 0.008
    curl, fold, ripple = rng.uniform(-0.5, 0.9), rng.uniform(0.05, 0.5), rng.uniform(0.0, 0.05)
    x, y = u * wide, fold * wide * np.abs(u) ** 1.3 - 0.35 * curl * v**2 + ripple * u * np.sin(14.0 * v + 2.0 * u)
    points = np.stack([x, -y, v + 0.0 * u - 0.12 * curl * v**3], axis=-1)
    return points, np.stack(np.broadcast_arrays(u, v), axis=-1)


def leaf_model(stage: Stage, shape: str, shader: Shader):
    points, uv = blade(shape, stage.rng)
    return sheet("leaf", points, shader, uv)


def shoots(rng, parents, radii, each: int, reach: float, spread: float, start: float, lift: float, steps: int = 7):
    """The branches of branches: paths and radii; spread: degrees off the parent; lift: towards +z, or - to droop."""
    count, knots, _ = parents.shape
    t = np.sort(rng.uniform(start, 1.0, (count, each)), axis=1)
    at = t * (knots - 1.001)
    low, part = at.astype(int), (at % 1.0)[..., None]
    row = np.arange(count)[:, None]
    base = parents[row, low] * (1.0 - part) + parents[row, low + 1] * part
    along = unit(parents[row, low + 1] - parents[row, low])
    sideways = unit(np.cross(along, rng.normal(size=along.shape)))
    angle = np.radians(rng.normal(spread, 0.2 * spread, t.shape))[..., None]
    heading = along * np.cos(angle) + sideways * np.sin(angle)
    length = np.linalg.norm(np.diff(parents, axis=1), axis=-1).sum(1)[:, None] * reach * (1.15 - 0.6 * t)
    stride = (length * rng.uniform(0.7, 1.2, t.shape) / (steps - 1))[..., None]
    path = [base]
    for _ in range(steps - 1):
        heading = unit(heading + lift / steps * UP + rng.normal(0.0, 0.13, heading.shape))
        path.append(path[-1] + stride * heading)
    thick = np.minimum(radii[row, low] * 0.62, length / 25.0)[..., None] * np.linspace(1.0, 0.35, steps)
    return np.stack(path, axis=2).reshape(-1, steps, 3), thick.reshape(-1, steps)


def leaves_on(stage: Stage, twigs: np.ndarray, each: int, model, length: float, droop: float, parent=None) -> None:
    """Leaves along twigs, turned outwards, to the light and down by their weight; length: metres."""
    rng, count = stage.rng, len(twigs) * each
    at = rng.uniform(0.25, 0.999, (len(twigs), each)) * (twigs.shape[1] - 1)
    low, part, row = at.astype(int), (at % 1.0)[..., None], np.arange(len(twigs))[:, None]
    points = (twigs[row, low] * (1.0 - part) + twigs[row, low + 1] * part).reshape(-1, 3)
    along = unit(twigs[row, low + 1] - twigs[row, low]).reshape(-1, 3)
    pointing = unit(along + 0.8 * rng.normal(size=(count, 3)) * (1.0, 1.0, 0.5)) - droop * UP
    scatter(
        "leaves",
        model,
        points,
        turns(pointing, rng.normal(0.0, 0.7, count)),
        length * rng.gamma(12.0, 1 / 12.0, count),
        parent,
    )


def ground(stage: Stage, size: float, rough: float, kind: str, bulge: float = 0.0):
    """A square of uneven ground; returns its object and a function from (x, y) to its height."""
    noise, scale = Noise(stage.rng), 6.0 / size

    def height(x, y):
        spot = np.stack([x, y], axis=-1) * scale
        return rough * noise.fractal(spot, 5) - bulge * (x**2 + y**2) / size

    x, y = plane((size, size), (240, 240))
    return sheet("ground", np.stack([x, y, height(x, y)], axis=-1), ground_shader(stage, kind)), height


def spread(rng: np.random.Generator, count: int, size: float, height, clump: float = 0.0) -> np.ndarray:
    """Points on the ground; clump: metres of grouping around a few centres, 0 for none."""
    points = rng.uniform(-size / 2.0, size / 2.0, (count, 2))
    if clump:
        points = points[: max(count // 30, 3)][rng.integers(0, max(count // 30, 3), count)]
        points = np.clip(points + rng.normal(0.0, clump, (count, 2)), -size / 2.0, size / 2.0)
    return np.column_stack([points, height(points[:, 0], points[:, 1])])


def grass(stage: Stage, count: int, size: float, height, tall: float, colour, steps: int = 8) -> None:
    """Blades of grass; tall: metres."""
    rng = stage.rng
    feet = spread(rng, count, size, height, clump=0.0)[:, None]
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    heading = rng.uniform(0.0, 2.0 * np.pi, count)
    wind = np.column_stack([np.cos(heading), np.sin(heading), 0.0 * heading])[:, None] + 0.6 * np.eye(3)[0]
    length, lean = tall * rng.gamma(9.0, 1 / 9.0, (count, 1, 1)), rng.gamma(2.0, 0.2, (count, 1, 1))
    points = feet + length * (t * UP + lean * t**2 * wind - 0.4 * lean * t**3 * UP)
    shader = Shader("grass", colour, 0.45)
    shader.colour(shader.add("HairInfo", out="Random"), colour, tone(np.array(colour) * (2.4, 1.5, 1.3), 1.0))
    strands("grass", points, tall * 0.005 * (1.0 - 0.9 * t[..., 0]), shader)


def flower_model(stage: Stage, colour, petals: int):
    """A flower 1 across, on its stem, that looks up from the origin; the stem hangs below."""
    rng, parts, masks, total, uv = stage.rng, [], [], 0, []
    quads = []

    def keep(points, mask):
        nonlocal total
        parts.append(points.reshape(-1, 3))
        masks.append(np.full(points.size // 3, mask))
        uv.append(np.zeros((points.size // 3, 2)))
        quads.append(weave_quads(*points.shape[:2]) + total)
        total += points.size // 3

    for k in range(petals):
        points = blade("oval", rng, rows=8, columns=4)[0] * (stage.rng.uniform(0.5, 0.9), 1.0, 0.5)
        tilt, turn = rng.normal(1.25, 0.12), 2.0 * np.pi * (k + rng.normal(0.0, 0.08)) / petals
        x, y, z = np.moveaxis(points, -1, 0)
        y, z = y * np.cos(tilt) + z * np.sin(tilt), z * np.cos(tilt) - y * np.sin(tilt)
        keep(np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn), z], axis=-1), 0.0)
    angle, ring = np.linspace(0.0, 2.0 * np.pi, 25)[None], np.linspace(0.0, 1.0, 9)[:, None]
    radius = 0.13 * ring * (1.0 + 0.1 * np.sin(12.0 * angle))
    keep(np.stack([radius * np.cos(angle), radius * np.sin(angle), 0.07 * (1.0 - ring**2) + 0.0 * angle], axis=-1), 0.5)
    z = np.linspace(0.0, 1.0, 9)[:, None]
    sway = 0.2 * np.sin(2.5 * z)
    keep(
        np.stack([0.018 * np.cos(angle) + sway, 0.018 * np.sin(angle) + 0.0 * z, -7.0 * z + 0.0 * angle], axis=-1), 1.0
    )
    shader = Shader("flower", colour, 0.5, Sheen_Weight=0.3)
    part = shader.add("Attribute", out="Fac", settings={"attribute_name": "part"})
    petal = shader.colour(shader.add("ObjectInfo", out="Random"), colour, tone(colour, 0.6))
    eye = shader.colour(shader.math("GREATER_THAN", part, 0.25), petal, (0.55, 0.3, 0.02))
    shader.colour(shader.math("GREATER_THAN", part, 0.75), eye, (0.05, 0.1, 0.02))
    shader.bump(shader.noise(60.0, 3.0), 0.02, 0.5)
    return surface("flower", np.concatenate(parts), np.concatenate(quads), shader, part=np.concatenate(masks))


def litter(stage: Stage, count: int, size: float, height) -> None:
    """Fallen leaves and twigs."""
    rng = stage.rng
    shader = leaf_shader(stage, stage.choose("litter", ("autumn", "gold", "copper", "dusty")), dry=True)
    for shape in ("oval", "lobed"):
        points = spread(rng, count // 2, size, height) + rng.uniform(0.005, 0.03, (count // 2, 1)) * UP
        angles = np.stack(
            [rng.normal(1.57, 0.3, count // 2), rng.normal(0.0, 0.3, count // 2), rng.uniform(0.0, 6.3, count // 2)],
            axis=-1,
        )
        scatter("litter", leaf_model(stage, shape, shader), points, angles, rng.uniform(0.05, 0.1, count // 2))
    feet = spread(rng, count // 12, size, height)[:, None] + 0.01 * UP
    bent = np.cumsum(rng.normal(0.0, 0.008, (len(feet), 7, 3)), axis=1) * (1.0, 1.0, 0.3)
    heading = unit(rng.normal(size=(len(feet), 1, 3)) * (1.0, 1.0, 0.1)) * rng.uniform(0.1, 0.4, (len(feet), 1, 1))
    limbs(
        "sticks",
        feet + np.linspace(0.0, 1.0, 7)[None, :, None] * heading + bent,
        0.004,
        bark_shader(stage, "oak"),
        sides=6,
    )


def falling(leaf, at, size: float, rng: np.random.Generator) -> None:
    """One falling leaf, a copy of the model, into the scene."""
    bpy.context.collection.objects.link(leaf)
    leaf.hide_render, leaf.location, leaf.scale = False, at, (size, size, size)
    leaf.rotation_euler = rng.uniform(0.0, 6.0, 3)
    move(leaf, by=(0.5, 0.0, -0.7), turn=rng.uniform(-300.0, 300.0, 3))
