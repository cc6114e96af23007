"""Blender in short: shaders, shapes and lights.

Lengths are metres, colours scene-linear Rec.709, z up.
"""

import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

DATA = Path(bpy.utils.resource_path("LOCAL")) / "datafiles"


# ---- shaders


class Shader:
    """A Principled material and shorthand for its node graph; `inputs` are sockets, with underscores for spaces."""

    def __init__(self, name: str, colour: tuple[float, float, float], roughness: float, **inputs) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.nodes, self.links = self.material.node_tree.nodes, self.material.node_tree.links
        self.bsdf = self.nodes["Principled BSDF"]
        for socket, value in {"Base Color": (*colour, 1.0), "Roughness": roughness, **inputs}.items():
            self.bsdf.inputs[socket.replace("_", " ")].default_value = value
        self.where = self.nodes.new("ShaderNodeTexCoord").outputs["Object"]

    def add(self, kind: str, *values, out: int | str = 0, settings: dict | None = None, **named):
        """Add a node, set or link its inputs by position and by name, and return one of its outputs."""
        node = self.nodes.new(f"ShaderNode{kind}")
        for key, value in (settings or {}).items():
            setattr(node, key, value)
        for key, value in [*enumerate(values), *((k.replace("_", " "), v) for k, v in named.items())]:
            if isinstance(value, bpy.types.NodeSocket):
                self.links.new(value, node.inputs[key])
            else:
                node.inputs[key].default_value = value
        return node.outputs[out]

    def math(self, operation: str, a, b) -> bpy.types.NodeSocket:
        return self.add("Math", a, b, settings={"operation": operation})

    def noise(self, scale: float, detail: float) -> bpy.types.NodeSocket:
        return self.add("TexNoise", Vector=self.where, Scale=scale, Detail=detail, Roughness=0.62)

    def wave(self, direction: str, period: float) -> bpy.types.NodeSocket:
        """A sine in [0, 1] of the given period in metres along "X", "Y" or "DIAGONAL" (x + y + z)."""
        settings = {"bands_direction": direction}
        return self.add("TexWave", out="Fac", settings=settings, Vector=self.where, Scale=math.pi / (10.0 * period))

    def colour(self, factor, a, b) -> bpy.types.NodeSocket:
        """The base colour becomes a where factor is 0 and b where it is 1; returns it for further mixing."""
        mixed = self.add("MixRGB", factor, *((*c, 1.0) if isinstance(c, tuple) else c for c in (a, b)))
        return self.links.new(mixed, self.bsdf.inputs["Base Color"]).from_socket

    def bump(self, height, distance: float, filter_width: float) -> None:
        """Bump by height times distance; its filter in pixels follows the resolution, or 1x and 2x would disagree."""
        bump = self.add("Bump", out="Normal", Height=height, Distance=distance, Filter_Width=filter_width)
        self.links.new(bump, self.bsdf.inputs["Normal"])


def glass_shader(name: str, thin: bool) -> Shader:
    """Glass that light passes to what it shades; a thin one does not refract, so that a filament in it stays sharp."""
    shader = Shader(name, (1.0, 1.0, 1.0), 0.0, IOR=1.5, Transmission_Weight=1.0)
    clear = shader.add("BsdfTransparent", (0.95, 0.97, 0.96, 1.0))
    if thin:
        surface = shader.add("MixShader", shader.add("Fresnel", 1.45), clear, shader.add("BsdfGlossy", Roughness=0.0))
    else:
        path = [shader.add("LightPath", out=f"Is {kind} Ray") for kind in ("Shadow", "Diffuse")]
        surface = shader.add("MixShader", shader.math("MAXIMUM", *path), shader.bsdf.outputs[0], clear)
    shader.links.new(surface, shader.nodes["Material Output"].inputs["Surface"])
    return shader


# ---- shapes and lights


def place(name: str, data, shader: Shader | None = None, parent=None, at=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)):
    """An object of the data (None: an empty) in the scene, in its parent's space; turn: x, y, z in degrees."""
    obj = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(obj)
    obj.parent, obj.location, obj.rotation_euler = parent, at, [math.radians(a) for a in turn]
    if shader:
        data.materials.append(shader.material)
    return obj


def mesh(name: str, vertices, faces, shader: Shader, parent=None):
    """A mesh, shaded smooth except across edges sharper than 35 degrees."""
    data = bpy.data.meshes.new(name)
    data.from_pydata([tuple(v) for v in vertices], [], faces)
    data.shade_smooth()
    data.set_sharp_from_angle(angle=math.radians(35.0))
    return place(name, data, shader, parent)


def boxes(name: str, spans, shader: Shader, parent=None, bevel: float = 0.0) -> None:
    """Boxes in one mesh; spans: pairs of opposite corners, each (x, y, z); bevel: metres."""
    sides = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    faces = [[8 * n + corner for corner in side] for n in range(len(spans)) for side in sides]
    corners = [(x, y, z) for a, b in spans for x in (a[0], b[0]) for y in (a[1], b[1]) for z in (a[2], b[2])]
    modifier = mesh(name, corners, faces, shader, parent).modifiers.new("bevel", "BEVEL")
    modifier.width, modifier.segments = bevel, 3


def lathe(name: str, profile, shader: Shader, parent, knurl: float = 0.0, segments: int = 144) -> None:
    """Revolve profile [(radius, height), ...] about z; knurl: depth of 48 grip ribs."""
    angle = np.arange(segments) * 2.0 * np.pi / segments
    radius, height = np.asarray(profile, dtype=float).T[:, :, None]
    radius = np.maximum(radius - np.where(np.arange(segments) % 3 == 0, knurl, 0.0), 0.0)
    rings = np.stack([radius * np.cos(angle), radius * np.sin(angle), height + 0.0 * radius], axis=-1)
    index = np.arange(radius.size).reshape(radius.shape)
    after = np.roll(index, -1, axis=1)
    faces = np.stack([index[:-1], after[:-1], after[1:], index[1:]], axis=-1).reshape(-1, 4)
    mesh(name, rings.reshape(-1, 3), faces.tolist(), shader, parent)


def wire(name: str, points, radius: float, shader: Shader, parent) -> None:
    """A round wire through points, each (x, y, z)."""
    data = bpy.data.curves.new(name, "CURVE")
    data.dimensions, data.bevel_depth, data.use_fill_caps = "3D", radius, True
    spline = data.splines.new("POLY")
    spline.points.add(len(points) - 1)
    spline.points.foreach_set("co", [value for point in points for value in (*point, 1.0)])
    place(name, data, shader, parent)


def aim(obj, target) -> None:
    """Turn a lamp or a camera to look at target, (x, y, z) in metres."""
    obj.rotation_euler = (Vector(target) - obj.location).to_track_quat("-Z", "Y").to_euler()


def light(name: str, kind: str, at, watts: float, colour, size: float, target=(0.0, 0.0, 0.1)) -> None:
    """A lamp that looks at target and that the camera does not see; size: metres across."""
    lamp = bpy.data.lights.new(name, kind)
    lamp.energy, lamp.color = watts, colour
    setattr(lamp, "size" if kind == "AREA" else "shadow_soft_size", size)
    obj = place(name, lamp, at=at)
    aim(obj, target)
    obj.visible_camera = False
