"""Household things that rest on z = 0 in their parent's space; each function returns (radius of its foot, height)."""

from __future__ import annotations

import math
from collections.abc import Callable

import bpy
import numpy as np

from render.blender import Shader, boxes, lathe, place, wire
from render.scenes.books import Size, books, carton, ink, paper
from render.scenes.dials import clock
from render.scenes.materials import draw
from render.scenes.materials_soft import glow
from render.scenes.parts import ball, bolt, chain, coil, curve_through, ring, vessel, wires
from render.scenes.patterns import METALS, Surface, shade, tint
from render.scenes.stage import Stage
from render.scenes.words import LATIN, Words, text

SHINY = ("metal", "ceramic", "glass", "plastic", "stone", "painted", "wood")


def vase(stage: Stage, parent) -> Size:
    """A turned vase, often with dry twigs."""
    tall, wide = stage.rng.uniform(0.12, 0.3), stage.rng.uniform(0.035, 0.07)
    shares = [stage.rng.uniform(0.5, 0.8), stage.rng.uniform(0.7, 1.0), 1.0, stage.rng.uniform(0.3, 0.8), 0.35, 0.5]
    heights = (0.0, 0.2, stage.rng.uniform(0.4, 0.6), 0.75, 0.9, 1.0)
    vessel("vase", [(wide * r, tall * h) for r, h in zip(shares, heights)], draw(stage, SHINY, 2 * wide), parent)
    if stage.happens("twigs", 0.6):
        lines = []
        for _ in range(stage.integer("twigs", 3, 12)):
            lean, heading = stage.rng.uniform(0.1, 0.6), stage.rng.uniform(0.0, 6.28)
            t = np.linspace(0.0, 1.0, 14)
            out = 0.25 * wide + tall * lean * t**1.5
            up = 0.3 * tall + tall * stage.rng.uniform(0.9, 1.7) * t * (1 - 0.3 * lean * t)
            wobble = 0.006 * stage.rng.normal(size=(14, 3)).cumsum(axis=0) * t[:, None]
            stem = np.stack([out * math.cos(heading), out * math.sin(heading), up], axis=1) + wobble
            lines.append(stem)
            for k in range(5, 14):
                end = stem[k] + tall * 0.12 * stage.rng.normal(size=3)
                lines.append(np.stack([stem[k], 0.5 * (stem[k] + end) + (0, 0, 0.005), end]))
        wires("twigs", lines, 0.0009, draw(stage, ("wood", "foliage"), 0.1), parent)
    return wide, tall


def bottle(stage: Stage, parent) -> Size:
    """A bottle with a printed label, a cap and often a rest of liquid."""
    tall, wide = stage.rng.uniform(0.18, 0.32), stage.rng.uniform(0.028, 0.045)
    neck = wide * stage.rng.uniform(0.3, 0.45)
    shoulder = stage.rng.uniform(0.5, 0.68)
    profile = [
        (0.92 * wide, 0),
        (wide, 0.006),
        (wide, 0.25 * tall),
        (wide, shoulder * tall),
        (0.75 * wide, tall * (shoulder + 0.09)),
    ]
    profile += [(neck, tall * 0.84), (neck, 0.95 * tall), (1.25 * neck, 0.96 * tall), (1.2 * neck, tall)]
    inside = vessel("bottle", profile, draw(stage, ("glass", "glass", "glass", "ceramic", "plastic"), 2 * wide), parent)
    if stage.happens("filled", 0.5):
        liquid(stage, parent, inside, stage.rng.uniform(0.2, 0.6) * tall)
    low, high = 0.12 * tall, (shoulder - 0.08) * tall
    skin = wide + 0.0004
    lathe("label", [(skin, low), (skin, high)], draw(stage, ("printed",), 2 * wide), parent)
    bent_text(stage, Words(stage.rng).title(), skin + 0.0003, 0.62 * (low + high), 0.32 * wide, parent)
    lathe(
        "cap",
        [(1.3 * neck, 0.95 * tall), (1.3 * neck, 1.01 * tall), (0, 1.012 * tall)],
        draw(stage, ("metal", "plastic"), neck),
        parent,
        0.0006,
    )
    return wide, tall


def bent_text(stage: Stage, words: str, radius: float, height: float, size: float, parent) -> None:
    """Lettering around a cylinder, letter by letter, facing -y."""
    shader, face = ink(stage), LATIN[stage.rng.integers(3)]
    for k, letter in enumerate(words[:18]):
        angle = (k - 0.5 * min(len(words), 18)) * 0.68 * size / radius
        at = (radius * math.sin(angle), -radius * math.cos(angle), height)
        text(letter, size, shader, parent, at, face, "CENTER", turn=(90, 0, math.degrees(angle)))


def liquid(stage: Stage, parent, inside: np.ndarray, level: float) -> None:
    """Fill a vessel's inside up to a level, with a hair's gap to the wall."""
    part = inside[inside[:, 1] < level]
    filled = np.maximum(part - (0.0003, 0.0), 0.0)
    colour = tint(stage, (0.3, 0.95), (0.3, 0.95))
    shader = Shader("liquid", colour, 0.0, IOR=1.33, Transmission_Weight=1.0)
    lathe("liquid", [*filled, (filled[-1][0], level), (0.0, level)], shader, parent, segments=64)


def drinking_glass(stage: Stage, parent) -> Size:
    """A tumbler or a stemmed glass, with a drink or empty."""
    wide, tall = stage.rng.uniform(0.03, 0.042), stage.rng.uniform(0.08, 0.13)
    if stage.happens("stem", 0.5):
        tall *= 1.7
        profile = [
            (wide, 0),
            (0.9 * wide, 0.004),
            (0.12 * wide, 0.02),
            (0.1 * wide, 0.42 * tall),
            (0.6 * wide, 0.5 * tall),
        ]
        profile += [(wide, 0.65 * tall), (1.02 * wide, 0.78 * tall), (0.8 * wide, tall)]
        lathe("foot", [*curve_through(profile[:4]), (0.0, 0.44 * tall)], draw(stage, ("glass",), 2 * wide), parent)
        profile = [(0.1 * wide, 0.44 * tall), *profile[4:]]
    else:
        profile = [(0.8 * wide, 0), (0.82 * wide, 0.004), (0.9 * wide, 0.5 * tall), (wide, tall)]
    inside = vessel("glass", profile, draw(stage, ("glass",), 2 * wide), parent, 0.0015)
    if stage.happens("drink", 0.6):
        liquid(stage, parent, inside, stage.rng.uniform(0.6, 0.85) * tall)
    return wide, tall


def cup(stage: Stage, parent) -> Size:
    """A cup with a handle on a saucer, coffee in it, a spoon beside it."""
    wide, tall = stage.rng.uniform(0.033, 0.045), stage.rng.uniform(0.055, 0.1)
    shader = draw(stage, ("ceramic", "ceramic", "painted", "metal", "plastic"), 2 * wide)
    raised = place("raised", None, parent=parent, at=(0.0, 0.0, 0.006))
    profile = [(0.6 * wide, 0), (0.8 * wide, 0.1 * tall), (0.97 * wide, 0.5 * tall), (wide, tall)]
    inside = vessel("cup", profile, shader, raised)
    liquid(stage, raised, inside, 0.82 * tall)
    turn = stage.rng.uniform(0.0, 6.28)
    arc = [
        (0.85 * wide + 0.6 * wide * math.sin(t), tall * (0.5 - 0.33 * math.cos(t))) for t in np.linspace(0, math.pi, 16)
    ]
    wire("handle", [(r * math.cos(turn), r * math.sin(turn), z) for r, z in arc], 0.09 * wide, shader, raised)
    saucer = [
        (0.9 * wide, 0),
        (1.1 * wide, 0.003),
        (1.8 * wide, 0.012),
        (1.85 * wide, 0.014),
        (1.1 * wide, 0.006),
        (0, 0.006),
    ]
    lathe("saucer", [(0, 0), *saucer], shader, parent)
    return 1.85 * wide, tall


def bowl(stage: Stage, parent) -> Size:
    """A bowl heaped with fruit."""
    wide = stage.rng.uniform(0.08, 0.13)
    tall = wide * stage.rng.uniform(0.4, 0.6)
    profile = [(0.4 * wide, 0), (0.42 * wide, 0.08 * tall), (0.75 * wide, 0.35 * tall), (wide, tall)]
    vessel("bowl", profile, draw(stage, SHINY, 2 * wide), parent)
    size = wide * 0.33
    for k in range(6):
        at = (0.55 * wide * math.cos(k * 1.0472), 0.55 * wide * math.sin(k * 1.0472), 0.45 * tall)
        fruit(stage, place("fruit", None, parent=parent, at=at, turn=tuple(stage.rng.uniform(-30, 30, 3))), size * 0.85)
    fruit(stage, place("fruit", None, parent=parent, at=(0, 0, 0.45 * tall + size)), size)
    return wide, tall + size


def fruit(stage: Stage, parent, radius: float = 0.0) -> Size:
    """An apple, a lemon, a plum: skin with specks, a dent, a stalk."""
    radius = radius or stage.rng.uniform(0.02, 0.04)
    skin, blush = tint(stage, (0.6, 0.95), (0.4, 0.85), (0.0, 0.3)), tint(stage, (0.6, 0.95), (0.3, 0.7), (0.0, 0.12))
    s = Surface(stage, "fruit", 2 * radius, skin, 0.3, Subsurface_Weight=0.15, Subsurface_Scale=0.1 * radius)
    body = s.mix(s.step(s.grain(2.5, 4.0, (2.0, 2.0, 0.5)), 0.35, 0.65), skin, blush)
    streaks = s.step(s.grain(25.0, 3.0, (1.0, 1.0, 0.1)), 0.5, 0.7)
    body = s.mix(s.math("MULTIPLY", streaks, 0.5), body, shade(skin, 1.6))
    s.put(Base_Color=s.mix(s.step(s.cells(26.0), 0.13, 0.08), body, shade(skin, 0.3)))
    s.raise_by(s.cells(40.0), 0.004).finish()
    squash, dent = stage.rng.uniform(0.85, 1.2), stage.rng.uniform(0.0, 0.35)
    ball("fruit", radius, s, parent, squash, dent)
    top = 2.0 * squash * radius
    stalk = [(0, 0, top * (1 - 0.5 * dent)), (0.002, 0.001, top * (1.0 - 0.2 * dent)), (0.006, 0.002, top * 1.1)]
    wire("stalk", stalk, 0.04 * radius, Shader("stalk", (0.05, 0.03, 0.015), 0.8), parent)
    return radius, top


def candle(stage: Stage, parent) -> Size:
    """A burning candle: the flame is among the picture's highest values."""
    wide, tall = stage.rng.uniform(0.01, 0.035), stage.rng.uniform(0.05, 0.2)
    lathe(
        "candle",
        [(0, 0), (wide, 0), (wide, tall), (0.9 * wide, tall + 0.002), (0.3 * wide, tall - 0.004), (0, tall - 0.004)],
        draw(stage, ("wax",), 2 * wide),
        parent,
    )
    wire(
        "wick",
        [(0, 0, tall - 0.004), (0, 0, tall + 0.006), (0.001, 0, tall + 0.01)],
        0.0006,
        Shader("wick", (0.01, 0.01, 0.01), 1.0),
        parent,
    )
    if stage.happens("lit", 0.75):
        flame = glow(stage, "flame", (1.0, 0.52, 0.16), stage.log_uniform("flame", 20.0, 400.0))
        t = np.linspace(0.0, 1.0, 20)
        lathe(
            "flame",
            np.stack([0.0048 * np.sin(np.pi * t**0.7) ** 0.9, tall + 0.004 + 0.024 * t], axis=1),
            flame,
            parent,
            segments=24,
        )
    lathe(
        "holder",
        [
            (0, 0),
            (1.8 * wide, 0),
            (2.1 * wide, 0.008),
            (2 * wide, 0.008),
            (1.7 * wide, 0.003),
            (1.05 * wide, 0.003),
            (1.05 * wide, 0.014),
            (0, 0.003),
        ],
        draw(stage, ("metal", "ceramic"), 4 * wide),
        parent,
    )
    return 2.1 * wide, tall


def coins(stage: Stage, parent) -> Size:
    """A stack of coins and some that lie around, stamped with numbers."""
    words, z = Words(stage.rng), 0.0
    shaders = [Shader("coin", METALS[k], 0.25, Metallic=1.0) for k in ("copper", "brass", "steel")]
    for k in range(stage.integer("coins", 5, 14)):
        radius, shader = stage.rng.uniform(0.009, 0.013), shaders[k % 3]
        near = (stage.rng.normal(0, 0.001), stage.rng.normal(0, 0.001), z)
        heading = stage.rng.uniform(0, 6.28)
        at = near if k < 6 else (0.034 * math.cos(k), 0.034 * math.sin(k), 0.0)
        coin = place("coin", None, parent=parent, at=at, turn=(0, 0, math.degrees(heading)))
        rim = [(0, 0), (radius, 0), (radius, 0.0018), (0.9 * radius, 0.0018), (0.88 * radius, 0.0014), (0, 0.0014)]
        lathe("coin", rim, shader, coin, 0.0002)
        text(
            str(words.rng.choice((1, 2, 5, 10, 20, 50))),
            radius,
            shader,
            coin,
            (0, -0.35 * radius, 0.0015),
            "plain",
            "CENTER",
            0.0008,
            (0, 0, 0),
        )
        z += 0.0019 if k < 6 else 0.0
    return 0.046, 0.012


def hardware(stage: Stage, parent) -> Size:
    """Bolts, a nut-like ring, a spring and a washer, lying about."""
    shader = draw(stage, ("metal",), 0.03)
    for k, (x, y) in enumerate(ring(0.03, 5, stage.rng.uniform(0, 6))):
        size = stage.rng.uniform(0.006, 0.011)
        if k == 0:
            radius = 1.2 * size
            lying = place(
                "lying", None, parent=parent, at=(x, y, radius + 0.0008), turn=(90, 0, stage.rng.uniform(0, 360))
            )
            wire("spring", coil(radius, 0.045, stage.rng.integers(8, 16)), 0.0008, shader, lying)
            continue
        lies = stage.rng.random() < 0.6
        at, turn = ((x, y, 0.83 * size), (90, 30, stage.rng.uniform(0, 360))) if lies else ((x, y, 0), (0, 0, 0))
        bolt(shader, place("bolt", None, parent=parent, at=at, turn=turn), size, stage.rng.uniform(0.02, 0.045))
    return 0.065, 0.04


def necklace(stage: Stage, parent) -> Size:
    """A chain that lies in loops."""
    t = np.linspace(0.0, 2.0 * np.pi, 60)
    wobble = sum(stage.rng.normal(0, 0.4 / k) * np.sin(k * t + stage.rng.uniform(0, 6)) for k in (2, 3, 5))
    line = np.stack([(0.05 + 0.012 * wobble) * np.cos(t), (0.045 + 0.012 * wobble) * np.sin(t), 0.0015 + 0 * t], axis=1)
    chain(line, draw(stage, ("metal",), 0.01), parent, stage.rng.uniform(0.004, 0.008))
    return 0.07, 0.004


def pencils(stage: Stage, parent) -> Size:
    """A pot of pencils, brushes and rulers."""
    wide, tall = stage.rng.uniform(0.03, 0.04), stage.rng.uniform(0.08, 0.11)
    vessel("pot", [(0.95 * wide, 0), (wide, 0.01), (wide, tall)], draw(stage, SHINY, 2 * wide), parent)
    for k in range(stage.integer("pencils", 4, 11)):
        heading, long = 0.9 * k, stage.rng.uniform(0.14, 0.19)
        lean = math.degrees(math.atan(1.3 * wide / tall))
        pose = (0.0, lean * stage.rng.uniform(0.6, 0.95), math.degrees(heading))
        at = (-0.55 * wide * math.cos(heading), -0.55 * wide * math.sin(heading), 0.006)
        pencil = place("pencil", None, parent=parent, at=at, turn=pose)
        colour = tint(stage, (0.5, 1.0), (0.2, 0.9))
        lathe(
            "shaft",
            [(0, 0), (0.0035, 0), (0.0035, long)],
            Shader("lacquer", colour, 0.25, Coat_Weight=0.5),
            pencil,
            segments=6,
        )
        lathe(
            "cone",
            [(0.0035, long), (0.0011, long + 0.014)],
            Shader("cut wood", (0.6, 0.42, 0.25), 0.7),
            pencil,
            segments=24,
        )
        lathe(
            "lead",
            [(0.0011, long + 0.014), (0, long + 0.019)],
            Shader("lead", shade(colour, 0.5), 0.4),
            pencil,
            segments=12,
        )
    return wide, 0.17


def cutlery(stage: Stage, parent) -> Size:
    """A fork and a knife side by side."""
    shader = Shader("cutlery", METALS["steel"], stage.rng.uniform(0.08, 0.25), Metallic=1.0)
    turned = place("cutlery", None, parent=parent, turn=(0, 0, stage.rng.uniform(-60, 60)))
    tines = [[(x, 0.05, 0.006), (x, 0.075, 0.001), (x * 0.9, 0.1, 0.005)] for x in (-0.009, -0.003, 0.003, 0.009)]
    wires("tines", [curve_through(t) for t in tines], 0.0013, shader, turned, sides=2)
    boxes("palm", [((-0.0105, 0.03, 0.005), (0.0105, 0.052, 0.0075))], shader, turned, 0.001)
    wires(
        "grip",
        [curve_through([(0, 0.035, 0.006), (0, 0.0, 0.008), (0, -0.09, 0.003)])],
        0.0028,
        shader,
        turned,
        sides=3,
    )
    boxes("blade", [((0.032, 0.0, 0.003), (0.05, 0.1, 0.0042))], shader, turned, 0.0006)
    boxes(
        "handle",
        [((0.034, -0.09, 0.0005), (0.046, 0.002, 0.0085))],
        draw(stage, ("wood", "plastic", "metal"), 0.1),
        turned,
        0.003,
    )
    return 0.09, 0.009


PROPS: dict[str, Callable[[Stage, bpy.types.Object], Size]] = {
    f.__name__.replace("_", " "): f
    for f in (vase, bottle, drinking_glass, cup, bowl, fruit, books, carton, candle, coins, hardware, necklace)
} | {f.__name__: f for f in (pencils, clock, paper, cutlery)}
