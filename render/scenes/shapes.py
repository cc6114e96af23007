"""Shapes that several kinds of scene share: noise, sheets, skins, strands, limbs and scattered copies.

Points are arrays that end in (x, y, z), in metres.
"""

import itertools
import math
from collections.abc import Callable

import bpy
import numpy as np

from render.blender import Shader, place
from render.scenes.stage import SHOT, Stage

UP = np.array((0.0, 0.0, 1.0))


# ---- chance in space


class Noise:
    """Gradient noise over the plane or in space, about in [-1, 1], one cell per unit; each has its own lattice."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.table = rng.permutation(256).astype(np.int32)
        slopes = rng.normal(size=(256, 3)).astype(np.float32)
        self.slopes = slopes / np.linalg.norm(slopes, axis=1, keepdims=True)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        floor = np.floor(points)
        cell, part = floor.astype(np.int32), (points - floor).astype(np.float32)
        ease = part * part * part * (part * (part * 6.0 - 15.0) + 10.0)
        total = np.zeros(points.shape[:-1], np.float32)
        for corner in itertools.product((0, 1), repeat=points.shape[-1]):
            key, weight, slope = 0, 1.0, 0.0
            for axis, step in enumerate(corner):
                key = self.table[(key + cell[..., axis] + step) & 255]
                weight = weight * (ease[..., axis] if step else 1.0 - ease[..., axis])
            for axis, step in enumerate(corner):
                slope = slope + (part[..., axis] - step) * self.slopes[key, axis]
            total += weight * slope
        return 1.6 * total

    def fractal(self, points, octaves: int, gain: float = 0.5, ridged: bool = False) -> np.ndarray:
        """Octaves of noise, each twice as fine and gain as strong; ridged: sharp crests, in [0, about 2]."""
        total, strength = 0.0, 1.0
        for octave in range(octaves):
            layer = self(np.asarray(points, np.float32) * 2.03**octave + 17.3 * octave)
            total = total + strength * ((1.0 - np.abs(layer)) ** 2 if ridged else layer)
            strength *= gain
        return total


def cells(points: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voronoi, one cell per unit: distance to the nearest seed, about that to the border, and a number per cell."""
    axes = points.shape[-1]
    jitter = rng.uniform(0.1, 0.9, (32,) * axes + (axes,)).astype(np.float32)
    tags = rng.uniform(0.0, 1.0, (32,) * axes).astype(np.float32)
    base = np.floor(points).astype(np.int32)
    first = np.full(points.shape[:-1], 9.0, np.float32)
    second, tag = first.copy(), np.zeros_like(first)
    for step in itertools.product((-1, 0, 1), repeat=axes):
        cell = base + np.array(step, np.int32)
        key = tuple(cell[..., k] & 31 for k in range(axes))
        distance = np.linalg.norm(points - cell - jitter[key], axis=-1)
        nearer = distance < first
        second = np.where(nearer, first, np.minimum(second, distance))
        tag, first = np.where(nearer, tags[key], tag), np.where(nearer, distance, first)
    return first, second - first, tag


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors over their length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


# ---- sheets


def surface(name: str, vertices, quads, shader: Shader, uv=None, parent=None, **values):
    """A smooth mesh of quads; uv: one pair per vertex, as they are; values: named numbers per vertex for shaders."""
    vertices, quads = np.asarray(vertices, np.float32).reshape(-1, 3), np.asarray(quads, np.int32).reshape(-1, 4)
    data = bpy.data.meshes.new(name)
    data.vertices.add(len(vertices))
    data.loops.add(quads.size)
    data.polygons.add(len(quads))
    data.vertices.foreach_set("co", vertices.ravel())
    data.loops.foreach_set("vertex_index", quads.ravel())
    data.polygons.foreach_set("loop_start", np.arange(0, quads.size, 4, dtype=np.int32))
    data.update(calc_edges=True)
    if uv is not None:
        pairs = np.asarray(uv, np.float32).reshape(-1, 2)[quads.ravel()]
        data.uv_layers.new(name="UVMap").data.foreach_set("uv", pairs.ravel())
    for key, number in values.items():
        flat = np.broadcast_to(np.asarray(number, np.float32).ravel(), len(vertices))
        data.attributes.new(key, "FLOAT", "POINT").data.foreach_set("value", np.ascontiguousarray(flat))
    data.shade_smooth()
    return place(name, data, shader, parent)


def weave_quads(rows: int, columns: int, around: bool = False) -> np.ndarray:
    """The quads of a grid of points numbered row by row; around: the last column meets the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    index = np.concatenate([index, index[:, :1]], axis=1) if around else index
    return np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)


def sheet(name: str, points: np.ndarray, shader: Shader, uv=None, parent=None, around: bool = False, **values):
    """A grid of points, (rows, columns, 3), as a mesh; rows along +x and columns along +y face up."""
    quads = weave_quads(*points.shape[:2], around)
    return surface(name, points, quads, shader, uv, parent, **values)


def plane(size: tuple[float, float], counts: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x and y, in metres, of a grid centred on the origin."""
    spans = [np.linspace(-s / 2.0, s / 2.0, n, dtype=np.float32) for s, n in zip(size, counts, strict=True)]
    return tuple(np.meshgrid(*spans, indexing="ij"))


# ---- skins of blended bodies


def ellipsoid(points, centre, radii) -> np.ndarray:
    """About the signed distance to an ellipsoid along the axes."""
    offset, radii = np.asarray(points - np.asarray(centre, np.float32), np.float32), np.asarray(radii, np.float32)
    near = np.linalg.norm(offset / radii, axis=-1)
    return near * (near - 1.0) / np.maximum(np.linalg.norm(offset / radii**2, axis=-1), 1e-6)


def capsule(points, a, b, radius_a: float, radius_b: float) -> np.ndarray:
    """About the signed distance to a rod from a to b with its two radii."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    along = np.clip((points - a) @ (b - a) / max(float((b - a) @ (b - a)), 1e-12), 0.0, 1.0)
    centre = a + along[..., None] * (b - a)
    return np.linalg.norm(points - centre, axis=-1) - (radius_a + along * (radius_b - radius_a))


def blend(a, b, softness: float) -> np.ndarray:
    """The union of two distances, its seam rounded over softness metres; carve with -blend(-a, b, softness)."""
    mix = np.clip(0.5 + 0.5 * (b - a) / softness, 0.0, 1.0)
    return b + (a - b) * mix - softness * mix * (1.0 - mix)


def slope(field: Callable[[np.ndarray], np.ndarray], points: np.ndarray, step: float) -> np.ndarray:
    """The gradient of a field of distances."""
    corners = np.array(((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)), np.float32)
    return sum(c * field(points + step * c)[..., None] for c in corners) / (4.0 * step)


def settle(field: Callable[[np.ndarray], np.ndarray], points: np.ndarray, step: float, rounds: int = 3) -> np.ndarray:
    """Points near a field's zero moved onto it, by up to step metres a round."""
    for _ in range(rounds):
        normal = slope(field, points, 0.2 * step)
        length = np.maximum((normal**2).sum(-1, keepdims=True), 0.05)
        points = points - np.clip(field(points)[:, None] / length, -step, step) * normal
    return points


def finer(vertices: np.ndarray, quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each quad as four."""
    after = np.roll(quads, -1, axis=1)
    edges = np.sort(np.stack([quads, after], axis=-1).reshape(-1, 2), axis=1)
    unique, edge = np.unique(edges[:, 0].astype(np.int64) * len(vertices) + edges[:, 1], return_inverse=True)
    middles = 0.5 * (vertices[unique // len(vertices)] + vertices[unique % len(vertices)])
    out = len(vertices) + edge.reshape(-1, 4)
    centre = np.broadcast_to(np.arange(len(quads))[:, None] + len(vertices) + len(unique), quads.shape)
    parts = np.stack([quads, out, centre, np.roll(out, 1, axis=1)], axis=-1).reshape(-1, 4)
    return np.concatenate([vertices, middles, vertices[quads].mean(axis=1)]), parts


def skin(field: Callable[[np.ndarray], np.ndarray], low, high, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and quads where a field of distances is zero inside a box, by surface nets, step metres apart."""
    axes = [np.arange(a, b + step, step, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    inside = field(grid) < 0.0
    parts = [inside[tuple(slice(c, c - 1 or None) for c in corner)] for corner in itertools.product((0, 1), repeat=3)]
    mixed = np.any(parts, axis=0) & ~np.all(parts, axis=0)
    number = np.full(inside.shape, -1, np.int32)
    number[:-1, :-1, :-1][mixed] = np.arange(mixed.sum())
    vertices = grid[:-1, :-1, :-1][mixed] + step / 2.0
    vertices = settle(field, vertices, step)
    quads = []
    for axis in range(3):
        b, c = np.eye(3, dtype=int)[(axis + 1) % 3], np.eye(3, dtype=int)[(axis + 2) % 3]
        ends = [np.moveaxis(inside, axis, 0)[part] for part in (slice(None, -1), slice(1, None))]
        crossing = np.moveaxis(np.logical_xor(*ends), 0, axis)
        at = np.argwhere(crossing)
        at = at[(at > 0).sum(1) >= 3 - (at[:, axis] == 0)]
        corners = np.stack([number[tuple((at - move).T)] for move in (b + c, c, 0 * b, b)], axis=1)
        flip = ~inside[tuple(at.T)]
        corners[flip] = corners[flip][:, ::-1]
        quads.append(corners[(corners >= 0).all(axis=1)])
    return vertices, np.concatenate(quads)


def sprinkle(vertices, quads, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points spread evenly by area over quads, (count, 3)."""
    a, b, c, d = (vertices[quads[:, k]] for k in range(4))
    area = np.linalg.norm(np.cross(c - a, d - b), axis=1)
    pick = rng.choice(len(quads), count, p=area / area.sum())
    u, v = rng.uniform(0.0, 1.0, (2, count, 1))
    return (1 - u) * ((1 - v) * a[pick] + v * d[pick]) + u * ((1 - v) * b[pick] + v * c[pick])


# ---- strands and limbs


def strands(name: str, points: np.ndarray, radius, shader: Shader, parent=None, tint=None):
    """Hair curves, (count, steps, 3); radius: metres, as far as (count, steps); tint: a number each for shaders."""
    count, steps, _ = points.shape
    data = bpy.data.hair_curves.new(name)
    data.add_curves([steps] * count)
    data.attributes["position"].data.foreach_set("vector", np.ascontiguousarray(points, np.float32).ravel())
    wide = np.ascontiguousarray(np.broadcast_to(radius, (count, steps)), np.float32).ravel()
    data.attributes.new("radius", "FLOAT", "POINT").data.foreach_set("value", wide)
    if tint is not None:
        data.attributes.new("tint", "FLOAT", "CURVE").data.foreach_set("value", np.asarray(tint, np.float32))
    return place(name, data, shader, parent)


def across(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors square to each direction and to each other."""
    helper = np.where(np.abs(directions[..., 2:]) < 0.9, UP, (1.0, 0.0, 0.0))
    side = unit(np.cross(helper, directions))
    return side, np.cross(directions, side)


def limbs(name: str, paths: np.ndarray, radius, shader: Shader, parent=None, sides: int = 8):
    """Round tubes along paths, (count, steps, 3), as one mesh; uv: metres around and along."""
    count, steps, _ = paths.shape
    radius = np.broadcast_to(radius, (count, steps))[..., None, None]
    tangent = unit(np.gradient(paths, axis=1))
    side = across(unit(paths[:, -1:] - paths[:, :1]))[0]
    side = unit(side - (side * tangent).sum(-1, keepdims=True) * tangent)
    turn = np.arange(sides) * 2.0 * np.pi / sides
    ring = np.cos(turn)[:, None] * side[:, :, None] + np.sin(turn)[:, None] * np.cross(tangent, side)[:, :, None]
    points = paths[:, :, None] + radius * ring
    quads = weave_quads(steps, sides, around=True)[:, ::-1] + (np.arange(count) * steps * sides)[:, None, None]
    along = np.cumsum(np.linalg.norm(np.diff(paths, axis=1, prepend=paths[:, :1]), axis=-1), axis=1)
    uv = np.stack(np.broadcast_arrays(turn * radius[:, :1, :, 0], along[..., None]), axis=-1)
    return surface(name, points, quads, shader, uv, parent)


# ---- copies and motion


def turns(pointing: np.ndarray, spin: np.ndarray | float = 0.0) -> np.ndarray:
    """Euler angles, radians, that turn +z to each direction after a spin about it."""
    pointing = unit(np.asarray(pointing, float))
    x, y = across(pointing)
    spin = np.broadcast_to(spin, pointing.shape[:-1])[..., None]
    x, y = x * np.cos(spin) + y * np.sin(spin), y * np.cos(spin) - x * np.sin(spin)
    pitch = np.arcsin(np.clip(-x[..., 2], -1.0, 1.0))
    return np.stack([np.arctan2(y[..., 2], pointing[..., 2]), pitch, np.arctan2(x[..., 1], x[..., 0])], axis=-1)


def scatter(name: str, model, points, angles, sizes, parent=None):
    """Instances of an object, itself no longer rendered, at points; angles: Euler, radians; sizes: scale factors."""
    data = bpy.data.meshes.new(name)
    data.vertices.add(len(points))
    data.vertices.foreach_set("co", np.asarray(points, np.float32).ravel())
    data.attributes.new("turn", "FLOAT_VECTOR", "POINT").data.foreach_set("vector", np.float32(angles).ravel())
    wide = np.ascontiguousarray(np.broadcast_to(np.float32(sizes), len(points)))
    data.attributes.new("size", "FLOAT", "POINT").data.foreach_set("value", wide)
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    start, end = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    copy, info = (tree.nodes.new(f"GeometryNode{kind}") for kind in ("InstanceOnPoints", "ObjectInfo"))
    info.inputs["Object"].default_value, info.inputs["As Instance"].default_value = model, True
    links = [(start.outputs[0], "Points"), (info.outputs["Geometry"], "Instance")]
    for key, kind, socket in (("turn", "FLOAT_VECTOR", "Rotation"), ("size", "FLOAT", "Scale")):
        read = tree.nodes.new("GeometryNodeInputNamedAttribute")
        read.data_type, read.inputs["Name"].default_value = kind, key
        links.append((read.outputs["Attribute"], socket))
    for source, socket in links:
        tree.links.new(source, copy.inputs[socket])
    tree.links.new(copy.outputs[0], end.inputs[0])
    obj = place(name, data, parent=parent)
    obj.modifiers.new("copies", "NODES").node_group = tree
    model.hide_render = True
    return obj


def move(obj, by=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)) -> None:
    """Key an even move over the shot that passes the present pose half way; by: metres; turn: degrees."""
    place_, angles = np.array(obj.location), np.array(obj.rotation_euler)
    for frame, share in zip(SHOT, (-0.5, 0.5), strict=True):
        obj.location = place_ + share * np.asarray(by)
        obj.rotation_euler = angles + share * np.radians(turn)
        obj.keyframe_insert("location", frame=frame)
        obj.keyframe_insert("rotation_euler", frame=frame)
    for curve in obj.animation_data.action.fcurves:
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"
    obj.location, obj.rotation_euler = place_, angles


def tone(colour, share: float) -> tuple[float, float, float]:
    """A colour, (r, g, b), brighter or darker by a factor."""
    return tuple(float(c) * share for c in colour)


def hue(turn: float, saturation: float, value: float) -> tuple[float, float, float]:
    """A scene-linear colour; turn: 0 red, 1/3 green, 2/3 blue."""
    ramp = [0.5 + 0.5 * math.cos(2.0 * math.pi * (turn - k / 3.0)) for k in range(3)]
    return tuple(value * (1.0 - saturation + saturation * c) for c in ramp)


def daylight(stage: Stage, low: float, high: float, strength: float = 8.0):
    """A sun that looks from a drawn direction, low to high degrees up; strength: watts per square metre."""
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.energy = strength * stage.uniform("sun", 0.6, 1.6)
    warm = stage.uniform("sun warmth", 0.0, 1.0)
    lamp.color = (1.0, 1.0 - 0.28 * warm, 1.0 - 0.58 * warm)
    lamp.angle = math.radians(stage.log_uniform("sun angle", 0.5, 6.0))
    up, around = stage.uniform("sun elevation", low, high), stage.uniform("sun azimuth", -180.0, 180.0)
    return place("sun", lamp, turn=(90.0 - up, 0.0, around))
