"""What cloth is made of: weaves and lace over uv in metres, folds, and seams with their stitches."""

import numpy as np

from render.blender import Shader
from render.scenes.shapes import Noise, hue, limbs, tone
from render.scenes.stage import Stage

# ---- shaders; uv is in metres


def checked(shader: Shader, size: float):
    """Two crossing stripes: 0, half or 1."""
    stripes = [shader.math("GREATER_THAN", shader.wave(axis, size), 0.55) for axis in "XY"]
    return shader.math("MULTIPLY", shader.math("ADD", *stripes), 0.5)


def blots(shader: Shader, size: float, randomness: float):
    """Distance to spots that are size metres apart, in shares of it."""
    return shader.add("TexVoronoi", Vector=shader.where, Scale=1.0 / size, Randomness=randomness)


def ringed(shader: Shader, distance):
    """Rings around spots."""
    return shader.math("GREATER_THAN", shader.math("SINE", shader.math("MULTIPLY", distance, 26.0), 0.0), 0.1)


def flowered(shader: Shader, size: float):
    """Curled leaves, or flowers to a kind eye."""
    swirl = shader.add("TexNoise", Vector=shader.where, Scale=1.0 / size, Detail=2.0, Distortion=2.5)
    return shader.math("GREATER_THAN", swirl, 0.55)


def woven(stage: Stage, span: float, sheer: float = 0.0) -> Shader:
    """A weave over uv for a picture span metres across; sheer: the share of light that passes straight."""
    turn, depth = stage.uniform("dye", 0.0, 1.0), stage.log_uniform("lightness", 0.03, 0.7)
    ground = hue(turn, stage.uniform("saturation", 0.05, 0.9), depth)
    figure = hue(turn + stage.uniform("figure hue", -0.5, 0.5), 0.5, stage.log_uniform("figure lightness", 0.02, 0.7))
    silk = stage.happens("silky", 0.3)
    shader = Shader(
        "cloth", ground, 0.35 if silk else 0.85, Sheen_Weight=0.0 if silk else stage.uniform("sheen", 0.1, 0.6)
    )
    if silk:
        shader.bsdf.inputs["Anisotropic"].default_value = 0.7
    objects, shader.where = shader.where, shader.add("UVMap", out="UV")
    fine = stage.log_uniform("thread", 0.0025, 0.012) * span
    kind = stage.choose("weave", ("plain", "twill", "herringbone", "basket", "rib"))
    warp, weft = shader.wave("X", fine), shader.wave("Y", fine)
    if kind == "herringbone":
        x, y = (shader.add("SeparateXYZ", shader.where, out=axis) for axis in "XY")
        shader.where = shader.add("CombineXYZ", shader.math("PINGPONG", x, 8.0 * fine), y, 0.0)
    diagonal = shader.wave("DIAGONAL", 1.6 * fine)
    shader.where = shader.add("UVMap", out="UV")
    over = shader.math("GREATER_THAN", shader.wave("DIAGONAL", 2.0 * fine), 0.5)
    height = {
        "plain": lambda: shader.math("MAXIMUM", shader.math("MULTIPLY", warp, 0.8), weft),
        "twill": lambda: shader.math("MULTIPLY", diagonal, shader.math("ADD", 0.6, shader.math("MULTIPLY", weft, 0.4))),
        "herringbone": lambda: diagonal,
        "basket": lambda: shader.add("MixRGB", over, warp, weft),
        "rib": lambda: shader.math("POWER", warp, 0.5),
    }[kind]()
    slub = shader.add(
        "TexNoise",
        Vector=shader.add(
            "VectorMath", shader.where, (0.15 / fine, 1.6 / fine, 1.0), settings={"operation": "MULTIPLY"}
        ),
        Scale=1.0,
        Detail=3.0,
    )
    base = shader.colour(shader.add("MapRange", slub, 0.3, 0.75), tone(ground, 0.65), ground)
    size = stage.log_uniform("figure", 0.03, 0.3) * span
    figures = {
        "plain": lambda: None,
        "stripes": lambda: shader.math("GREATER_THAN", shader.wave("X", size), stage.uniform("stripe", 0.3, 0.85)),
        "check": lambda: checked(shader, size),
        "dots": lambda: shader.math("LESS_THAN", blots(shader, size, 0.0), 0.28),
        "paisley": lambda: ringed(shader, blots(shader, 2.0 * size, 1.0)),
        "floral": lambda: flowered(shader, size),
    }
    shape = figures[stage.choose("pattern", tuple(figures), (3, 2, 2, 1, 1, 1))]()
    if shape is not None:
        base = shader.colour(shape, base, figure)
    shade = shader.add("MapRange", height, 0.0, 0.5)
    base = shader.colour(shade, tone(ground, 0.12), base)
    raised = height if shape is None else shader.math("ADD", height, shader.math("MULTIPLY", shape, 0.8))
    shader.bump(raised, 0.5 * fine, 0.5)
    shader.where = objects
    glow = shader.add("BsdfTranslucent", Color=base)
    cloth = shader.add("MixShader", stage.uniform("translucency", 0.05, 0.4), shader.bsdf.outputs[0], glow)
    if sheer:
        gaps = shader.math("MULTIPLY", shader.math("SUBTRACT", 1.0, shade), sheer)
        cloth = shader.add("MixShader", gaps, cloth, shader.add("BsdfTransparent"))
    shader.links.new(cloth, shader.nodes["Material Output"].inputs["Surface"])
    return shader


def lace_shader(stage: Stage, span: float) -> Shader:
    """Openwork: a net of threads with rosettes, and nothing between."""
    shader = Shader(
        "lace", tone(hue(stage.uniform("dye", 0.0, 1.0), 0.15, 1.0), stage.choose("lightness", (0.75, 0.02))), 0.8
    )
    shader.where = shader.add("UVMap", out="UV")
    mesh_size, motif = stage.uniform("mesh", 0.012, 0.03) * span, stage.uniform("motif", 0.15, 0.35) * span
    edge = {"feature": "DISTANCE_TO_EDGE"}
    net = shader.add(
        "TexVoronoi",
        Vector=shader.where,
        Scale=1.0 / mesh_size,
        Randomness=stage.uniform("irregular", 0.0, 0.5),
        settings=edge,
    )
    net = shader.math("LESS_THAN", net, 0.11)
    place_ = shader.add("TexVoronoi", Vector=shader.where, Scale=1.0 / motif, Randomness=0.4)
    leafy = shader.add(
        "TexNoise", Vector=shader.where, Scale=3.0 / motif, Detail=1.0, Distortion=stage.uniform("swirl", 0.5, 3.0)
    )
    rings = shader.math("GREATER_THAN", shader.math("SINE", shader.math("MULTIPLY", place_, 24.0), 0.0), 0.35)
    bold = shader.math("MULTIPLY", rings, shader.math("GREATER_THAN", leafy, 0.47))
    outline = shader.math("LESS_THAN", shader.math("ABSOLUTE", shader.math("SUBTRACT", leafy, 0.47), 0.0), 0.012)
    thread = shader.math("MAXIMUM", net, shader.math("MAXIMUM", bold, outline))
    shader.bump(
        shader.math("ADD", shader.math("MULTIPLY", bold, 0.6), shader.wave("DIAGONAL", 0.2 * mesh_size)),
        0.2 * mesh_size,
        0.5,
    )
    mixed = shader.add("MixShader", thread, shader.add("BsdfTransparent"), shader.bsdf.outputs[0])
    shader.links.new(mixed, shader.nodes["Material Output"].inputs["Surface"])
    return shader


# ---- folds and seams


def folds(rng: np.random.Generator, x, y, count: int, size: float) -> np.ndarray:
    """Heights of long creases that cross, fork and fade, in shares of size; x, y in metres."""
    noise, height = Noise(rng), 0.0 * x
    spot = np.stack([x, y], axis=-1) / size
    for k in range(count):
        angle = rng.uniform(0.0, np.pi)
        along, off = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        bent = off / size + 0.5 * noise(spot * 0.7 + 9.0 * k) - rng.uniform(-1.3, 1.3)
        width = rng.uniform(0.03, 0.16)
        fade = np.exp(-((along / size - rng.uniform(-0.6, 0.6)) ** 2) / rng.uniform(0.1, 0.8))
        height = height + rng.uniform(0.3, 1.0) * width * fade * np.exp(-(np.abs(bent / width) ** 1.4))
    return height + 0.02 * noise.fractal(spot * 2.5, 2, ridged=True) + 0.004 * noise.fractal(spot * 14.0, 3)


def stitches(path: np.ndarray, outward, length: float, shader: Shader, parent=None) -> None:
    """A seam's thread along a path, dipping under between stitches; length: metres."""
    run = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    starts = np.arange(0.0, run[-1] - length, 1.5 * length)
    at = starts[:, None] + np.linspace(0.0, length, 6)[None]
    points = np.stack([np.interp(at, run, path[:, k]) for k in range(3)], axis=-1)
    lift = length * (0.16 * np.sin(np.linspace(0.0, np.pi, 6)) - 0.02)[None, :, None]
    limbs("stitches", points + lift * np.asarray(outward), 0.13 * length, shader, parent)


def thick(obj, depth: float) -> None:
    """Give a sheet both its sides; depth: metres."""
    modifier = obj.modifiers.new("thickness", "SOLIDIFY")
    modifier.thickness = depth


def thread_shader(stage: Stage) -> Shader:
    return Shader(
        "thread", hue(stage.uniform("thread hue", 0.0, 1.0), 0.5, stage.log_uniform("thread lightness", 0.05, 0.8)), 0.6
    )


def metric(points: np.ndarray) -> np.ndarray:
    """uv of a grid in metres along its own rows and columns."""
    u = np.cumsum(np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=-1), axis=0).mean(1)
    v = np.cumsum(np.linalg.norm(np.diff(points, axis=1, prepend=points[:, :1]), axis=-1), axis=1).mean(0)
    return np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1)
