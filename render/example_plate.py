"""Render the example plate: a slate, a lens, a bulb and dry grass by a brick wall, in scene-linear EXR.

Needs Blender as a Python module and OpenEXR, in an environment of their own: `pip install "bpy==4.5.*" OpenEXR`.

    python -m render.example_plate OUT.exr --width 480 --height 270 --samples 512 [--seed S]

The scene is always the same; `--seed` changes only Cycles' sampling noise, so that a render at twice the size is a
fair truth for an upscaled one. Lengths are metres, colours scene-linear Rec.709, x right, y away from camera, z up.
"""

import argparse
import math
from pathlib import Path

import bpy
import numpy as np

from render.blender import DATA, Shader, aim, boxes, glass_shader, lathe, light, mesh, place, wire
from render.plate import render_plate

SCENE_SEED = 7
REFERENCE_WIDTH = 480  # pixels: the width at which a bump filter is one pixel wide
PROGRAM = "render/example_plate.py"
CREDIT = "rendered for DeepUpscale, Apache-2.0; environment: Poly Haven via Blender, CC0"


# ---- its shaders


def brick_shader(filter_width: float) -> Shader:
    shader = Shader("brick", (0.0, 0.0, 0.0), 0.85)
    grain, stains = shader.noise(70.0, 8.0), shader.noise(9.0, 4.0)
    island = shader.add("NewGeometry", out="Random Per Island")
    fired = shader.colour(island, (0.21, 0.085, 0.06), (0.075, 0.042, 0.04))
    shader.colour(shader.math("MULTIPLY", stains, grain), fired, (0.55, 0.40, 0.32))
    shader.bump(grain, 0.016, filter_width)
    return shader


def cloth_shader(filter_width: float) -> Shader:
    """A coarse woven check of 5 mm threads."""
    shader = Shader("cloth", (0.0, 0.0, 0.0), 0.9, Sheen_Weight=0.2)
    weave = shader.math("MAXIMUM", shader.math("MULTIPLY", shader.wave("X", 0.005), 0.8), shader.wave("Y", 0.005))
    broad = [shader.math("GREATER_THAN", shader.wave(axis, 0.09), 0.62) for axis in "XY"]
    fine = [shader.math("GREATER_THAN", shader.wave(axis, 0.045), 0.97) for axis in "XY"]
    crossing = shader.math("MULTIPLY", shader.math("ADD", *broad), 0.5)
    check = shader.colour(crossing, (0.26, 0.235, 0.19), (0.014, 0.032, 0.045))
    check = shader.colour(shader.math("MAXIMUM", *fine), check, (0.33, 0.06, 0.025))
    shader.colour(weave, (0.008, 0.008, 0.008), check)
    shader.bump(weave, 0.0025, filter_width)
    return shader


# ---- the set


def build_wall(rng: np.random.Generator, filter_width: float) -> None:
    """A wall of single bricks that ends, toothed, right of centre; beyond it the film is empty."""
    length, height, joint, face, spans = 0.13, 0.036, 0.008, 0.50, []
    for row in range(18):
        end = 0.125 - (length + joint) / 2.0 * (row % 2) + rng.normal(0.0, 0.004)
        for column in range(8):
            x = end - column * (length + joint) + rng.normal(0.0, 0.0012)
            y, z = face + rng.normal(0.0, 0.0025), row * (height + joint) + rng.normal(0.0, 0.001)
            spans.append(((x - length, y, z), (x, y + 0.09, z + height)))
    boxes("bricks", spans, brick_shader(filter_width), bevel=0.004)
    mortar = Shader("mortar", (0.17, 0.155, 0.135), 0.95)
    mortar.bump(mortar.noise(160.0, 4.0), 0.008, filter_width)
    boxes("mortar", [((-1.1, face + 0.008, 0.0), (0.044, face + 0.08, 0.79))], mortar)


def build_table(rng: np.random.Generator, filter_width: float) -> None:
    """A table under a checked cloth that is not quite flat."""
    x, y = np.meshgrid(np.linspace(-1.0, 1.0, 161), np.linspace(-0.75, 0.66, 121), indexing="ij")
    waves = [np.sin(17.0 * (k + 1) ** 0.5 * (x * np.cos(k) + y * np.sin(k)) + rng.uniform(0.0, 6.0)) for k in range(4)]
    index = np.arange(x.size).reshape(x.shape)
    faces = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    vertices = np.stack([x, y, 0.0007 * sum(waves) - 0.002], axis=-1).reshape(-1, 3)
    mesh("cloth", vertices, faces.tolist(), cloth_shader(filter_width))


def build_slate(steel: Shader) -> None:
    """A clapperboard with lettering from 5.5 to 38.5 mm (em)."""
    mono = bpy.data.fonts.load(str(DATA / "fonts" / "DejaVuSansMono.woff2"))
    board = place("slate", None, at=(0.0, 0.06, 0.0), turn=(-9.0, 0.0, 10.0))
    white = Shader("print", (0.82, 0.81, 0.77), 0.5)
    boxes("board", [((-0.14, 0.0, 0.0), (0.14, 0.01, 0.185))], Shader("slate", (0.01, 0.01, 0.011), 0.4), board, 0.002)
    rules = [((-0.134, -0.0004, z), (0.134, 0.001, z + 0.0011)) for z in (0.138, 0.084, 0.03)]
    rules += [((x, -0.0004, 0.084), (x + 0.0011, 0.001, 0.138)) for x in (-0.045, 0.045)]
    boxes("rules", rules, white, board)
    lettering = [("DEEP UPSCALE", -0.131, 0.149, 0.0385), ("01:00:00:00", -0.131, 0.010, 0.018)]
    for x, label, value in ((-0.131, "ROLL", "A004"), (-0.038, "SCENE", "24B"), (0.052, "TAKE", "2")):
        lettering += [(label, x, 0.127, 0.0085), (value, x, 0.092, 0.036)]
    names = (("DIRECTOR", "Lena Harbour"), ("CAMERA", "Moritz Okafor"), ("COLOUR", "scene-linear, 16-bit half float"))
    for row, (label, value) in enumerate(names):
        lettering += [(label, -0.131, 0.069 - 0.016 * row, 0.0085), (value, -0.075, 0.069 - 0.016 * row, 0.0125)]
    lettering += [("24 FPS   DAY   INT   SYNC", 0.0, 0.0175, 0.0085)]
    lettering += [("FINE PRINT IS WHERE IT SHOWS", 0.0, 0.0075, 0.0055)]
    for words, x, z, size in lettering:
        curve = bpy.data.curves.new(words, "FONT")
        curve.body, curve.size, curve.extrude = words, size, 0.0002
        curve.font = mono if ":" in words else curve.font
        place(words, curve, white, board, (x, -0.0004, z), (90.0, 0.0, 0.0))
    stripes = Shader("stripes", (0.0, 0.0, 0.0), 0.4)
    band = stripes.math("GREATER_THAN", stripes.wave("DIAGONAL", 0.055), 0.5)
    stripes.colour(band, (0.012, 0.012, 0.012), (0.8, 0.79, 0.75))
    boxes("lower stick", [((-0.14, -0.002, 0.187), (0.14, 0.012, 0.212))], stripes, board, 0.0015)
    hinge = place("hinge", None, parent=board, at=(-0.128, 0.0, 0.212), turn=(0.0, -13.0, 0.0))
    boxes("upper stick", [((-0.012, -0.002, 0.002), (0.268, 0.012, 0.027))], stripes, hinge, 0.0015)
    boxes("hinge plate", [((-0.139, -0.004, 0.190), (-0.105, -0.002, 0.209))], steel, board, 0.0008)


def build_lens(steel: Shader, brass: Shader) -> None:
    """A cine lens on its side, front element towards the camera."""
    lens = place("lens", None, at=(0.215, -0.03, 0.0405), turn=(88.0, 0.0, -28.0))
    black = Shader("anodised", (0.016, 0.016, 0.018), 0.3, Metallic=0.6)
    glass = Shader("coated", (0.004, 0.002, 0.008), 0.02, IOR=2.2, Specular_Tint=(0.55, 0.4, 1.0, 1.0))
    hood = [(0.029, 0.040), (0.031, 0.054), (0.039, 0.060), (0.0415, 0.060), (0.042, 0.058), (0.042, 0.045)]
    lathe("hood", [*hood, (0.040, 0.044)], black, lens)
    lathe("ring", [(0.040, 0.044), (0.041, 0.0435), (0.041, 0.0405), (0.040, 0.040)], brass, lens)
    lathe("focus grip", [(0.038, 0.040), (0.041, 0.039), (0.041, 0.016), (0.038, 0.015)], black, lens, 0.0022)
    lathe("barrel", [(0.038, 0.015), (0.039, 0.014), (0.039, 0.006), (0.036, 0.005)], steel, lens)
    lathe("iris grip", [(0.036, 0.005), (0.0385, 0.004), (0.0385, -0.010), (0.034, -0.011)], black, lens, 0.0018)
    lathe("mount", [(0.034, -0.011), (0.034, -0.03), (0.028, -0.034), (0.0, -0.034)], steel, lens)
    dome = [(0.0315 * math.sin(t), 0.030 + 0.021 * math.cos(t)) for t in np.linspace(1.2, 0.0, 24)]
    lathe("element", dome, glass, lens)


def build_bulb(brass: Shader) -> None:
    """A bare filament bulb on a cord: the emitter, several hundred in the picture's units."""
    bulb = place("bulb", None, at=(-0.225, 0.16, 0.298))
    glow = Shader("filament", (0.0, 0.0, 0.0), 1.0, Emission_Color=(1.0, 0.5, 0.19, 1.0), Emission_Strength=900.0)
    t = np.linspace(0.0, 1.0, 48)
    pear = 0.013 * np.sqrt(1.0 - t**8) + 0.0205 * np.sin(np.pi * t**1.5) ** 1.3
    lathe("envelope", np.stack([pear, -0.1 * t], axis=1), glass_shader("thin glass", thin=True), bulb)
    thread = [(0.0135 + 0.0012 * (k % 2), 0.003 * k) for k in range(8)]
    lathe("cap", [(0.0, -0.001), (0.0135, -0.001), *thread, (0.019, 0.022), (0.019, 0.06), (0.0, 0.06)], brass, bulb)
    loops = [(0.009 * math.cos(k * 0.785), 0.009 * math.sin(k * 0.785), -0.03 - 0.045 * (k % 2)) for k in range(9)]
    wire("filament", loops, 0.0006, glow, bulb)
    wire("stem", [(0.0, 0.0, 0.0), (0.0, 0.0, -0.03)], 0.003, Shader("stem", (0.5, 0.5, 0.5), 0.2), bulb)
    light("bulb light", "POINT", (-0.225, 0.16, 0.245), 3.0, (1.0, 0.56, 0.24), 0.02)


def build_grass(rng: np.random.Generator, count: int = 420, steps: int = 14) -> None:
    """A stoneware pot of dry feather grass, its strands against the empty film."""
    pot = place("pot", None, at=(0.275, 0.16, 0.0))
    outer = [(0.0, 0.0), (0.036, 0.0), (0.043, 0.006), (0.052, 0.05), (0.05, 0.085), (0.046, 0.092)]
    stoneware = Shader("stoneware", (0.05, 0.085, 0.085), 0.25, Coat_Weight=0.6)
    lathe("pot", [*outer, (0.043, 0.09), (0.044, 0.07), (0.0, 0.07)], stoneware, pot)
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    heading = rng.uniform(0.0, 2.0 * np.pi, (count, 1))
    out = np.stack([np.cos(heading), np.sin(heading), 0.0 * heading], axis=-1)
    foot = 0.035 * np.sqrt(rng.uniform(0.0, 1.0, (count, 1, 1)))
    tall, lean = rng.uniform(0.10, 0.235, (count, 1, 1)), rng.gamma(2.0, 0.035, (count, 1, 1))
    sway = rng.normal(0.0, 0.006, (count, 1, 3)) * np.sin(4.0 * t + rng.uniform(0.0, 6.0, (count, 1, 1)))
    rise = 0.06 + tall * t - 0.45 * lean * t**3
    points = out * (foot + lean * t**2.2) + rise * np.array((0.0, 0.0, 1.0)) + sway * t
    radius = np.broadcast_to(0.00055 * (1.0 - 0.85 * t[..., 0]), (count, steps))
    strands = bpy.data.hair_curves.new("grass")
    strands.add_curves([steps] * count)
    strands.attributes["position"].data.foreach_set("vector", points.astype(np.float32).ravel())
    strands.attributes.new("radius", "FLOAT", "POINT").data.foreach_set("value", radius.astype(np.float32).ravel())
    straw = Shader("straw", (0.0, 0.0, 0.0), 0.5)
    straw.colour(straw.add("HairInfo", out="Random"), (0.62, 0.45, 0.2), (0.24, 0.26, 0.08))
    place("grass", strands, straw, pot)


def build_scene(filter_width: float) -> None:
    """The whole set with its lights and camera; filter_width: of bump, in pixels."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    rng = np.random.default_rng(SCENE_SEED)
    steel = Shader("steel", (0.62, 0.62, 0.64), 0.18, Metallic=1.0)
    brass = Shader("brass", (0.85, 0.56, 0.22), 0.18, Metallic=1.0)
    build_wall(rng, filter_width)
    build_table(rng, filter_width)
    build_slate(steel)
    build_lens(steel, brass)
    build_bulb(brass)
    build_grass(rng)
    can = [(0.0, 0.0), (0.075, 0.0), (0.076, 0.001), (0.076, 0.011), (0.078, 0.0115), (0.078, 0.021), (0.077, 0.022)]
    can += [(0.072, 0.022), (0.070, 0.0205), (0.050, 0.0205), (0.048, 0.0225), (0.022, 0.0225), (0.0, 0.021)]
    for n, at in enumerate(((-0.262, 0.13, 0.0), (-0.256, 0.124, 0.0225))):
        lathe(f"film can {n}", can, steel, place("can", None, at=at))
    sphere = [(0.036 * math.sin(t), 0.036 * math.cos(t)) for t in np.linspace(math.pi, 0.0, 49)]
    lathe("ball", sphere, glass_shader("crystal", thin=False), place("ball", None, at=(-0.19, -0.14, 0.036)))
    light("key", "AREA", (-0.95, -0.75, 0.85), 13.0, (1.0, 0.93, 0.84), 0.3)
    light("rim", "AREA", (0.9, 0.75, 0.7), 22.0, (0.72, 0.86, 1.0), 0.25)

    world = bpy.data.worlds.new("interior")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    environment = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    environment.image = bpy.data.images.load(str(DATA / "studiolights" / "world" / "interior.exr"))
    world.node_tree.links.new(environment.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = 0.14
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_width = 65.0, 36.0
    camera.dof.use_dof, camera.dof.focus_distance, camera.dof.aperture_fstop = True, 1.2, 5.0
    viewer = place("camera", camera, at=(0.03, -1.15, 0.27))
    aim(viewer, (0.03, 0.0, 0.135))
    bpy.context.scene.world, bpy.context.scene.camera = world, viewer


# ---- the command


def main() -> None:
    """Parse the command line, build, render and write."""
    parser = argparse.ArgumentParser(description="Render the example plate.")
    parser.add_argument("out", type=Path, help="the EXR to write")
    parser.add_argument("--width", type=int, default=480, help="pixels")
    parser.add_argument("--height", type=int, default=270, help="pixels")
    parser.add_argument("--samples", type=int, default=512, help="paths per pixel")
    parser.add_argument("--seed", type=int, default=0, help="of Cycles' sampling; the scene has its own")
    args = parser.parse_args()
    build_scene(filter_width=args.width / REFERENCE_WIDTH)
    render_plate(args.out, args.width, args.height, args.samples, args.seed, PROGRAM, CREDIT)


if __name__ == "__main__":
    main()
