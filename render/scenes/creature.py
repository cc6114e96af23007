"""Skins: a face, a reptile's head, hands, tentacles, overlapping scales and shells."""

import bpy
import numpy as np

from render.blender import Shader, lathe, place
from render.scenes.faces import face, hand, reptile
from render.scenes.flesh import skin_shader
from render.scenes.shapes import UP, Noise, across, hue, limbs, plane, scatter, sheet, tone, turns, unit
from render.scenes.stage import Stage, Subject
from render.scenes.stones import rock_shader, strew


def tentacles(stage: Stage) -> Subject:
    """Arms with suckers that coil over wet stone."""
    rng, noise = stage.rng, Noise(stage.rng)
    colour = hue(
        stage.uniform("hue", -0.15, 0.75),
        stage.uniform("saturation", 0.4, 0.9),
        stage.log_uniform("lightness", 0.08, 0.4),
    )
    shader = skin_shader(stage, colour, 0.2, 0.9)
    pale = Shader(
        "sucker", tone(np.add(colour, 0.35), 0.8), 0.3, Coat_Weight=0.8, Subsurface_Weight=0.3, Subsurface_Scale=0.004
    )
    pale.bump(pale.noise(6.0, 5.0), 0.05, 0.5)
    cup = [
        (0.0, -0.02),
        (0.16, 0.0),
        (0.2, 0.12),
        (0.34, 0.2),
        (0.46, 0.26),
        (0.52, 0.22),
        (0.5, 0.1),
        (0.38, -0.05),
        (0.34, -0.3),
    ]
    lathe("cup", cup, pale, None, segments=40)
    model, steps = bpy.data.objects["cup"], 260
    s = np.linspace(0.0, 1.0, steps)
    at, way, size = [], [], []
    for n in range(stage.integer("arms", 4, 8)):
        turn, tilt = 2.0 * np.pi * n / 6.0 + rng.normal(0.0, 0.3), rng.uniform(-0.2, 1.1)
        out = np.array((np.cos(turn), np.sin(turn), 0.0))
        lift = unit(np.cos(tilt) * UP + np.sin(tilt) * np.cross(UP, out))
        bend = rng.uniform(0.6, 1.4) + rng.uniform(-3.5, 2.0) * s + rng.uniform(3.0, 9.0) * s**3
        stride = 0.42 / steps
        path = np.cumsum(stride * (np.cos(bend)[:, None] * out + np.sin(bend)[:, None] * lift), axis=0) + 0.02 * out
        path[:, 2] = np.maximum(path[:, 2], -0.06 + 0.06 * s)
        radius = 0.03 * (1.02 - s) ** 0.85
        limbs("arm", path[None], (radius * (1.0 + 0.04 * noise(path * 60.0)))[None], shader, sides=64)
        tangent = unit(np.gradient(path, axis=0))
        binormal = unit(np.cross(out, lift))
        inner = unit(np.cross(binormal, tangent))
        for side in (-0.42, 0.42):
            run, spots = 0.02 + 0.01 * (side > 0), []
            while run < 0.97:
                spots.append(run)
                run += 1.15 * np.interp(run, s, radius) / 0.42 + 0.002
            k = np.clip((np.array(spots) * steps).astype(int), 0, steps - 1)
            facing = unit(np.cos(side) * inner[k] + np.sin(side) * binormal)
            at.append(path[k] + 0.97 * radius[k, None] * facing)
            way.append(facing)
            size.append(1.05 * radius[k] * rng.uniform(0.85, 1.1, len(k)))
    way = np.concatenate(way)
    scatter("suckers", model, np.concatenate(at), turns(way), np.concatenate(size))
    x, y = plane((2.0, 2.0), (300, 300))
    z = 0.06 * noise.fractal(np.stack([x, y], axis=-1) * 4.0, 6) - 0.12
    rock = rock_shader(stage, 0.3)
    rock.bsdf.inputs["Coat Weight"].default_value, rock.bsdf.inputs["Coat Roughness"].default_value = 0.5, 0.2
    sheet("rock", np.stack([x, y, z], axis=-1), rock)
    strew(stage, rock, np.column_stack([rng.uniform(-0.6, 0.6, (400, 2)), np.full(400, -0.11)]), 0.008, 0.08, 0.1)
    return Subject((0.0, 0.0, 0.05), 0.2, (5.0, 50.0), fill=(0.8, 2.4))


def scales(stage: Stage) -> Subject:
    """The flank of a fish or a dragon: scale over scale, each with its rings."""
    rng, noise = stage.rng, Noise(stage.rng)
    size = stage.log_uniform("scale", 0.009, 0.03)
    u, v = np.meshgrid(np.linspace(-1.0, 1.0, 25), np.linspace(0.0, 1.0, 25), indexing="ij")
    shape = stage.choose("shape", ("round", "pointed", "keeled"))
    wide = 0.62 * np.sqrt(np.clip(1.0 - np.abs(2.0 * v - 1.0) ** (3.0 if shape == "round" else 1.7), 0.0, 1.0)) + 0.02
    keel = (0.14 * np.exp(-((u / 0.18) ** 2)) * v if shape == "keeled" else 0.0) + 0.12 * (1.0 - u**2) * (1.0 - 0.4 * v)
    points = np.stack([u * wide, -1.3 * v + 0.3, keel - 0.03], axis=-1)
    colours = [hue(stage.uniform("hue", 0.0, 1.0), stage.uniform("saturation", 0.2, 0.9), x) for x in (0.45, 0.1)]
    shader = Shader("scale", colours[0], stage.uniform("gloss", 0.12, 0.4), Coat_Weight=0.5, Thin_Film_IOR=1.4)
    shader.bsdf.inputs["Metallic"].default_value = stage.choose("metallic", (0.0, 0.5, 0.9))
    shader.bsdf.inputs["Thin Film Thickness"].default_value = stage.uniform("film", 0.0, 500.0)
    along = shader.add("SeparateXYZ", shader.add("UVMap", out="UV"), out="Y")
    chance = shader.add("ObjectInfo", out="Random")
    base = shader.colour(chance, *colours)
    shader.colour(shader.add("MapRange", along, 0.45, 1.0), base, tone(colours[1], 0.3))
    off = shader.add("VectorMath", shader.where, out="Value", settings={"operation": "LENGTH"})
    rings = shader.math("SINE", shader.math("MULTIPLY", off, 70.0), 0.0)
    shader.bump(shader.math("ADD", rings, shader.math("MULTIPLY", shader.noise(14.0, 6.0), 3.0)), 0.012, 0.5)
    model = sheet("scale", points[::-1], shader, np.stack([u, v], axis=-1)[::-1])
    rows, columns = int(0.62 / (0.5 * size)), int(0.5 / (0.95 * size))
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    x = (j + 0.5 * (i % 2)) * 0.95 * size - 0.25
    y = i * 0.5 * size - 0.31

    def bulge(a, b):
        return 0.35 * np.sqrt(np.maximum(0.16 - a**2 * 0.6, 0.0)) + 0.03 * noise(np.stack([a, b], axis=-1) * 5.0)

    z, e = bulge(x, y), 0.004
    normal = unit(np.stack([-(bulge(x + e, y) - z) / e, -(bulge(x, y + e) - z) / e, np.ones_like(z)], axis=-1))
    normal = normal + rng.normal(0.0, stage.uniform("ruffled", 0.01, 0.1), normal.shape)
    tipped = unit(normal - 0.28 * np.eye(3)[1]).reshape(-1, 3)
    east = across(tipped)[0]
    spin = np.arctan2(-(np.cross(tipped, east)[:, 0]), east[:, 0])
    at = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    scatter("scales", model, at, turns(tipped, spin), size * rng.uniform(0.95, 1.12, len(at)))
    x, y = plane((0.7, 0.7), (60, 60))
    sheet("flesh", np.stack([x, y, bulge(x, y) - 0.2 * size], axis=-1), Shader("flesh", tone(colours[1], 0.4), 0.5))
    return Subject((0.0, 0.0, 0.14), 0.13, (20.0, 75.0), fill=(0.9, 2.2))


def shells(stage: Stage) -> Subject:
    """Spiral shells, ribbed and banded, on sand."""
    rng, noise = stage.rng, Noise(stage.rng)
    for n in range(stage.integer("shells", 2, 5)):
        whorls, grow_by = stage.uniform("whorls", 3.5, 7.0), stage.uniform("growth", 1.5, 2.3)
        s, a = np.meshgrid(np.linspace(0.0, 1.0, 620), np.arange(90) * 2.0 * np.pi / 90, indexing="ij")
        turn = 2.0 * np.pi * whorls * s
        scale = grow_by ** (whorls * (s - 1.0))
        ribs = (
            1.0
            + stage.uniform("ribs", 0.0, 0.12) * np.sin(stage.integer("rib count", 8, 22) * turn)
            + 0.012 * np.sin(stage.integer("threads", 10, 40) * a)
        )
        spire, tube = stage.uniform("spire", 0.3, 2.6), 0.46
        wide = scale * tube * ribs * (1.0 + 0.01 * noise.fractal(np.stack([turn, 2.0 * a], axis=-1), 3))
        out = scale * 0.52 + wide * np.cos(a)
        points = 0.035 * np.stack(
            [out * np.cos(turn), out * np.sin(turn), -scale * spire + spire * 0.5 + wide * np.sin(a)], axis=-1
        )
        colours = [
            hue(stage.uniform("hue", -0.05, 0.18), stage.uniform("saturation", 0.1, 0.7), x) for x in (0.7, 0.22)
        ]
        shader = Shader(
            "shell", colours[0], stage.uniform("gloss", 0.15, 0.6), Coat_Weight=stage.choose("wet", (0.0, 0.8))
        )
        shader.where = shader.add("UVMap", out="UV")
        flames = shader.add(
            "TexWave",
            out="Fac",
            Vector=shader.where,
            Scale=stage.uniform("flames", 0.3, 1.2),
            Distortion=stage.uniform("zigzag", 2.0, 12.0),
            Detail=3.0,
        )
        base = shader.colour(shader.add("MapRange", flames, 0.4, 0.6), *colours)
        bands = shader.math("GREATER_THAN", shader.wave("Y", stage.uniform("band", 0.6, 2.0)), 0.8)
        shader.colour(shader.math("MULTIPLY", bands, 0.7), base, tone(colours[1], 0.5))
        shader.bump(shader.noise(14.0, 6.0), 0.002, 0.5)
        size = stage.uniform("size", 0.5, 1.3)
        holder = place(
            "shell",
            None,
            at=(0.075 * (n - 1.5) + rng.normal(0.0, 0.01), rng.uniform(-0.04, 0.07), 0.014 * size),
            turn=(rng.uniform(60.0, 110.0), rng.uniform(-30.0, 30.0), rng.uniform(0.0, 360.0)),
        )
        holder.scale = (size, size, size)
        sheet("shell", points[:, ::-1], shader, np.stack([turn, a], axis=-1)[:, ::-1], holder, around=True)
    x, y = plane((1.2, 1.2), (500, 500))
    z = 0.012 * noise.fractal(np.stack([x, y], axis=-1) * 7.0, 5) + 0.004 * np.sin(
        60.0 * (y + 0.05 * noise(np.stack([x, y], axis=-1) * 4.0))
    )
    colour = stage.choose("sand", ((0.5, 0.4, 0.28), (0.62, 0.56, 0.48), (0.3, 0.2, 0.13), (0.07, 0.065, 0.06)))
    sand = Shader("sand", colour, 0.9)
    grain = sand.add("TexVoronoi", Vector=sand.where, Scale=900.0, out="Color")
    sand.colour(sand.add("SeparateXYZ", grain), tone(colour, 0.45), tone(colour, 1.4))
    sand.bump(sand.add("SeparateXYZ", grain, out="Y"), 0.0012, 0.5)
    sheet("sand", np.stack([x, y, z - 0.012], axis=-1), sand)
    strew(
        stage,
        rock_shader(stage, 0.8, "limestone", "grains"),
        np.column_stack([rng.uniform(-0.3, 0.3, (6000, 2)), rng.uniform(-0.014, -0.008, 6000)]),
        0.0008,
        0.014,
        0.4,
    )
    return Subject((0.0, 0.01, 0.015), 0.1, (12.0, 60.0), fill=(0.8, 2.0))


KINDS = (face, reptile, hand, tentacles, scales, shells)


def build(stage: Stage) -> Subject:
    """One of the kinds."""
    kinds = {kind.__name__: kind for kind in KINDS}
    return kinds[stage.choose("creature", tuple(kinds), (2, 2, 1, 1.5, 1, 1))](stage)
