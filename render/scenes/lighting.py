"""Light for a scene: an environment or a sky, and lamps where the builder set none."""

from __future__ import annotations

import math

import bpy
from mathutils import Vector

from render.blender import DATA, aim, place
from render.scenes.stage import Stage, Subject

ENVIRONMENTS = ("city", "courtyard", "forest", "interior", "night", "studio", "sunrise", "sunset")


def light_scene(stage: Stage, subject: Subject) -> None:
    """A world, and lamps as the subject allows."""
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    background = scene.world.node_tree.nodes["Background"]
    if subject.inside:
        background.inputs["Color"].default_value = (0.5, 0.7, 1.0, 1.0)
        background.inputs["Strength"].default_value = stage.log_uniform("daylight", 0.5, 8.0)
    else:
        kinds = ("environment", "sky", "studio")
        weights = (6.0, 0.0, 0.0) if subject.environments else (6.0, 2.0, 2.0)
        kind = stage.choose("world", kinds, weights)
        {"environment": _environment, "sky": _sky, "studio": _studio}[kind](stage, subject, background)
        if subject.lights and (kind == "studio" or stage.happens("lamps", 0.5)):
            _lamps(stage, subject)


def _environment(stage: Stage, subject: Subject, background: bpy.types.Node) -> None:
    """One of the bundled CC0 panoramas, turned about z."""
    name = stage.choose("environment", subject.environments or ENVIRONMENTS)
    nodes, links = bpy.context.scene.world.node_tree.nodes, bpy.context.scene.world.node_tree.links
    texture, turn = nodes.new("ShaderNodeTexEnvironment"), nodes.new("ShaderNodeMapping")
    texture.image = bpy.data.images.load(str(DATA / "studiolights" / "world" / f"{name}.exr"), check_existing=True)
    turn.inputs["Rotation"].default_value[2] = math.radians(stage.uniform("environment turn", -180.0, 180.0))
    links.new(nodes.new("ShaderNodeTexCoord").outputs["Generated"], turn.inputs["Vector"])
    links.new(turn.outputs["Vector"], texture.inputs["Vector"])
    links.new(texture.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = stage.log_uniform("environment strength", 0.5, 1.5)


def _sky(stage: Stage, subject: Subject, background: bpy.types.Node) -> None:
    """A physical sky (Nishita) with its sun, from dawn to noon."""
    world = bpy.context.scene.world.node_tree
    sky = world.nodes.new("ShaderNodeTexSky")
    sky.sky_type, sky.sun_disc = "NISHITA", True
    sky.sun_elevation = math.radians(stage.uniform("sun elevation", 2.0, 60.0))
    sky.sun_rotation = math.radians(stage.uniform("sun azimuth", 0.0, 360.0))
    sky.sun_size, sky.sun_intensity = math.radians(stage.log_uniform("sun size", 0.5, 4.0)), 0.4
    sky.dust_density, sky.air_density = stage.uniform("dust", 0.0, 5.0), stage.uniform("air", 0.7, 1.6)
    world.links.new(sky.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = 0.15


def _studio(stage: Stage, subject: Subject, background: bpy.types.Node) -> None:
    """A plain backdrop, dark or light, that leaves the work to the lamps."""
    shade = stage.log_uniform("backdrop", 0.002, 0.5)
    tint = [stage.rng.uniform(0.8, 1.2) for _ in range(3)]
    background.inputs["Color"].default_value = (*(shade * t for t in tint), 1.0)


def _lamps(stage: Stage, subject: Subject) -> None:
    """A key, and more often than not a rim or a fill; their power follows the square of the distance."""
    count = stage.integer("lamp count", 1, 3)
    for number in range(count):
        kind = stage.choose("lamp", ("AREA", "SPOT", "POINT", "SUN"), (5.0, 2.0, 1.0, 2.0))
        away = subject.radius * stage.uniform("lamp distance", 2.0, 5.0)
        azimuth = math.radians(stage.uniform("lamp azimuth", -180.0, 180.0))
        elevation = math.radians(stage.uniform("lamp elevation", 10.0, 75.0))
        lamp = bpy.data.lights.new(f"lamp {number}", kind)
        lamp.color = colour_of(stage.log_uniform("lamp kelvin", 2200.0, 9000.0))
        share = 1.0 if number == 0 else stage.log_uniform("lamp share", 0.1, 1.0)
        size = away * stage.log_uniform("lamp size", 0.03, 0.6)
        if kind == "SUN":
            lamp.energy, lamp.angle = 4.0 * share, math.radians(stage.log_uniform("lamp angle", 0.5, 8.0))
        else:
            lamp.energy = 60.0 * share * away**2
            setattr(lamp, "size" if kind == "AREA" else "shadow_soft_size", size if kind == "AREA" else size / 3.0)
        if kind == "SPOT":
            lamp.spot_size, lamp.spot_blend = 2.6 * math.atan(subject.radius / away), stage.uniform("spot blend", 0, 1)
        direction = Vector((math.cos(elevation) * math.sin(azimuth), -math.cos(elevation) * math.cos(azimuth),
                            math.sin(elevation)))  # fmt: skip
        obj = place(f"lamp {number}", lamp, at=tuple(Vector(subject.centre) + away * direction))
        aim(obj, subject.centre)
        obj.visible_camera = False


def colour_of(kelvin: float) -> tuple[float, float, float]:
    """Linear Rec.709 of a black body, its largest component 1, from Planck's law at 610, 550 and 465 nm.

    Three wavelengths stand for the three primaries: close enough for a lamp, and 6500 K is made white.
    """

    def emitted(nanometres: float, temperature: float) -> float:
        return 1.0 / (nanometres**5 * math.expm1(1.4388e7 / (nanometres * temperature)))

    rgb = [emitted(n, kelvin) / emitted(n, 6500.0) for n in (610.0, 550.0, 465.0)]
    return tuple(c / max(rgb) for c in rgb)
