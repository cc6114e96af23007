"""Shapes that things are put together from: vessels, blocks, coils, bolts, chains; and how things are set out."""

from __future__ import annotations

import math

import bpy
import numpy as np

from render.blender import Shader, lathe, place
from render.scenes.stage import Stage

SIDES = np.array(((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)))


def blocks(name: str, spans, shader: Shader | None, parent=None, at=(0.0, 0.0, 0.0)):
    """Sharp boxes by the thousand in one mesh; spans: (count, 2, 3), opposite corners in metres."""
    low, high = np.moveaxis(np.asarray(spans, float), 1, 0)
    pick = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], bool)
    corners = np.where(pick, high[:, None], low[:, None]).reshape(-1, 3)
    faces = (8 * np.arange(len(low))[:, None, None] + SIDES).reshape(-1, 4)
    data = bpy.data.meshes.new(name)
    data.from_pydata(corners, [], faces)
    return place(name, data, shader, parent, at)


def curve_through(points, steps: int = 8) -> np.ndarray:
    """A smooth line through points, (count, n), with steps points between each two (Catmull and Rom)."""
    p = np.asarray(points, float)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    a, b, c, d = (p[k : len(p) - 3 + k, None] for k in range(4))
    line = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([line.reshape(-1, p.shape[1]), p[-2:-1]])


def vessel(name: str, profile, shader: Shader, parent, wall: float = 0.003, segments: int = 96) -> np.ndarray:
    """Turn a smooth hollow thing from its outer profile, [(radius, height), ...] upwards; returns its inside."""
    outer = np.maximum(curve_through(profile), (1e-4, 0.0))
    inner = np.stack([np.maximum(outer[:, 0] - wall, 1e-4), np.maximum(outer[:, 1], wall + outer[0, 1])], axis=1)
    foot, floor = [(0.0, outer[0, 1])], [(0.0, wall + outer[0, 1])]
    lathe(name, np.concatenate([foot, outer, inner[::-1], floor]), shader, parent, segments=segments)
    return np.concatenate([floor, inner])


def ball(name: str, radius: float, shader: Shader, parent, squash: float = 1.0, dent: float = 0.0) -> None:
    """A ball that rests on z = 0; squash: height over width; dent: depth of the hollows at its poles, as on fruit."""
    t = np.linspace(math.pi, 0.0, 33)
    round_ = np.sin(t) * (1.0 + 0.1 * dent)
    tall = 1.0 + np.cos(t) - dent * np.exp(-((round_ / 0.3) ** 2)) * np.sign(np.cos(t))
    lathe(name, np.stack([radius * round_, squash * radius * tall], axis=1), shader, parent, segments=48)


def coil(radius: float, height: float, rounds: float, steps: int = 24) -> np.ndarray:
    """Points of a helix about z."""
    t = np.linspace(0.0, 1.0, int(rounds * steps))
    turn = 2.0 * np.pi * rounds * t
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height * t], axis=1)


def sag(a, b, slack: float, steps: int = 16) -> np.ndarray:
    """Points of a cable that hangs from a to b; slack: metres in the middle."""
    t = np.linspace(0.0, 1.0, steps)[:, None]
    return (1 - t) * np.asarray(a, float) + t * np.asarray(b, float) - 4.0 * slack * t * (1 - t) * np.array((0, 0, 1))


def prism(
    name: str, outline, depth: float, shader: Shader, parent=None, at=(0, 0, 0), turn=(0, 0, 0), bevel=0.0, holes=()
):
    """An outline [(x, y), ...] with holes raised along z by depth metres, its edges bevelled."""
    curve = bpy.data.curves.new(name, "CURVE")
    curve.dimensions, curve.fill_mode, curve.extrude = "2D", "BOTH", 0.5 * depth - bevel
    curve.bevel_depth, curve.bevel_resolution, curve.offset = bevel, 1, -bevel
    for ring in (outline, *holes):
        spline = curve.splines.new("POLY")
        spline.points.add(len(ring) - 1)
        spline.points.foreach_set("co", [v for x, y in ring for v in (x, y, 0.0, 1.0)])
        spline.use_cyclic_u = True
    return place(name, curve, shader, parent, (at[0], at[1], at[2] + 0.5 * depth), turn)


def ring(radius: float, count: int, phase: float = 0.0) -> list[tuple[float, float]]:
    """Points on a circle; six make a nut."""
    return [
        (radius * math.cos(2 * math.pi * k / count + phase), radius * math.sin(2 * math.pi * k / count + phase))
        for k in range(count)
    ]


def bolt(shader: Shader, parent, size: float, length: float) -> None:
    """A hexagon bolt that stands on its head; size: metres across the thread."""
    prism("head", ring(0.95 * size, 6), 0.65 * size, shader, parent, bevel=0.05 * size)
    pitch = 0.16 * size
    turns = int((length - 0.65 * size) / pitch)
    thread = [(0.5 * size - 0.09 * size * (k % 2), 0.65 * size + 0.5 * pitch * k) for k in range(2 * turns)]
    lathe("thread", [*thread, (0.0, thread[-1][1] + 0.3 * pitch)], shader, parent, segments=32)


def wires(name: str, lines, radius: float, shader: Shader, parent=None, closed: bool = False, sides: int = 1):
    """Many round wires in one curve; sides: fineness of their section."""
    data = bpy.data.curves.new(name, "CURVE")
    data.dimensions, data.bevel_depth, data.bevel_resolution, data.use_fill_caps = "3D", radius, sides, True
    for line in lines:
        spline = data.splines.new("POLY")
        spline.points.add(len(line) - 1)
        spline.points.foreach_set("co", [value for point in line for value in (*point, 1.0)])
        spline.use_cyclic_u = closed
    return place(name, data, shader, parent)


def chain(points, shader: Shader, parent, size: float) -> None:
    """Links along points, each square to the next; size: metres from link to link."""
    line = np.asarray(points, float)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    stops = np.arange(0.0, along[-1], size)
    centres = np.stack([np.interp(stops, along, line[:, k]) for k in range(3)], axis=1)
    way = np.gradient(centres, axis=0)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    side = np.cross(way, (0.03, 0.04, 1.0))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    side[1::2] = np.cross(way, side)[1::2]
    t = np.linspace(0.0, 2.0 * np.pi, 20, endpoint=False)[:, None]
    ovals = [c + size * (0.72 * np.cos(t) * w + 0.42 * np.sin(t) * s) for c, w, s in zip(centres, way, side)]
    wires("chain", ovals, 0.14 * size, shader, parent, closed=True)


def cluster(stage: Stage, radii, spread: tuple[float, float], tall=None) -> list[tuple[float, float]]:
    """Places (x, y) of discs that do not overlap, close together; tall ones to the back (+y)."""
    rank = np.argsort(np.argsort(tall)) / max(len(radii) - 1, 1) if tall is not None else np.full(len(radii), 0.5)
    placed: list[tuple[float, float, float]] = []
    spots: dict[int, tuple[float, float]] = {}
    for index in np.argsort(radii)[::-1]:
        radius, wish = radii[index], (rank[index] - 0.5) * 1.5 * spread[1]
        for attempt in range(400):
            loose = 0.35 + attempt / 200.0
            x, y = stage.rng.normal(0.0, loose * spread[0]), wish + stage.rng.normal(0.0, 0.5 * loose * spread[1])
            if all((x - a) ** 2 + (y - b) ** 2 > (1.02 * (radius + r)) ** 2 for a, b, r in placed):
                break
        placed.append((x, y, radius))
        spots[int(index)] = (float(x), float(y))
    return [spots[k] for k in range(len(radii))]
