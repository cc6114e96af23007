"""Cycles for pairs: what is asked of a render, and what must follow the resolution for 1x and 2x to show one scene.

The two renders of a pair are independent pictures: only the resolution and the sampling seed differ. What is measured
in pixels is doubled for the second, so that both see the same surfaces; what is measured in scene units is left alone.

| quantity | in the 2x render | why |
|---|---|---|
| `Filter Width` of Bump nodes | doubled | it is in pixels: left alone, normals differ by 4.5 degrees |
| dicing rate | doubled | pixels a micropolygon: both dice to one mesh |
| `Size` of Wireframe nodes in pixels | doubled | lines keep their width in the picture |
| Freestyle line thickness | doubled where absolute | the same |
| pixel filter | left alone (1.5 pixels) | a 2x render has it on its own pixels: that is the detail to learn |
| volume step rate, hair radius and subdivision | left alone | scene units |
| texture filter | left alone | Cycles reads textures point by point, without mip levels, whatever the resolution |
| motion blur shutter and steps, depth of field | left alone | frames, f-stops and metres |
| light tree, light threshold, clamping, bounces | left alone | what they leave out must be the same light in both |
| adaptive sampling | off in both | it would stop at other pixels in each |
| sampling seed | different | or the network would learn to copy one render's noise pattern from the other |
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy


class DeviceError(Exception):
    """A device that Blender does not have here, in one line."""


@dataclass(frozen=True)
class Render:
    """One picture to be rendered.

    Attributes:
        path: The multilayer EXR to write, 32-bit float.
        width: Pixels.
        height: Pixels.
        factor: 1 or 2: the size against the LR render of the pair.
        samples: Paths a pixel.
        seed: Of the sampling noise.
        denoise: Whether OpenImageDenoise cleans the picture.
        passes: Of "depth", "normal", "albedo", "motion", "cryptomatte".
        transparent: Whether the film is empty where no object is.
        threads: CPU threads; 0 for all.
        device: "cpu", or what the GPUs are spoken to with: "cuda", "optix", "hip", "oneapi", "metal".
        layered: A multilayer EXR, or one of the plain picture that Blender itself can read back.
    """

    path: Path
    width: int
    height: int
    factor: int
    samples: int
    seed: int
    denoise: bool
    passes: tuple[str, ...] = ()
    transparent: bool = False
    threads: int = 0
    device: str = "cpu"
    layered: bool = True


def render(scene: bpy.types.Scene, asked: Render) -> None:
    """Render the scene's current frame to a multilayer EXR; the scene is left with its own pixel-sized quantities."""
    _ask(scene, asked)
    with pixels_scaled(scene, asked.factor):
        bpy.ops.render.render(write_still=True, scene=scene.name)
    if not asked.path.is_file() or asked.path.stat().st_size == 0:
        raise OSError(f"Blender wrote no {asked.path}: is the disk full?")


def _ask(scene: bpy.types.Scene, asked: Render) -> None:
    settings, cycles, image = scene.render, scene.cycles, scene.render.image_settings
    settings.engine, settings.film_transparent = "CYCLES", asked.transparent
    settings.resolution_x, settings.resolution_y, settings.resolution_percentage = asked.width, asked.height, 100
    settings.use_border = settings.use_compositing = settings.use_sequencer = settings.use_multiview = False
    settings.use_stamp, settings.use_overwrite, settings.use_placeholder = False, True, False
    settings.threads_mode, settings.threads = ("FIXED", asked.threads) if asked.threads else ("AUTO", settings.threads)
    settings.filepath, settings.use_file_extension = str(asked.path), False
    image.file_format = "OPEN_EXR_MULTILAYER" if asked.layered else "OPEN_EXR"
    image.color_depth, image.exr_codec = "32", "NONE"
    image.color_mode = "RGBA"
    cycles.device = cycles_device(asked.device)
    cycles.samples, cycles.seed, cycles.use_animated_seed = asked.samples, asked.seed, False
    cycles.use_adaptive_sampling, cycles.time_limit = False, 0.0
    cycles.use_denoising, cycles.denoiser = asked.denoise, "OPENIMAGEDENOISE"
    cycles.denoising_input_passes, cycles.denoising_prefilter = "RGB_ALBEDO_NORMAL", "ACCURATE"
    for layer in scene.view_layers:
        layer.use_pass_combined = True
        layer.use_pass_z, layer.use_pass_normal = "depth" in asked.passes, "normal" in asked.passes
        layer.use_pass_vector = "motion" in asked.passes
        layer.use_pass_cryptomatte_object = "cryptomatte" in asked.passes
        layer.use_pass_cryptomatte_material = layer.use_pass_cryptomatte_asset = False
        layer.cycles.denoising_store_passes = "albedo" in asked.passes


def cycles_device(name: str) -> str:
    """Cycles' word for the device, after its GPUs were switched on.

    Raises:
        DeviceError: There is none of that kind.
    """
    if name == "cpu":
        return "CPU"
    preferences = bpy.context.preferences.addons["cycles"].preferences
    try:
        preferences.compute_device_type = name.upper()
    except TypeError:
        raise DeviceError(f"this Blender has no {name}") from None
    preferences.refresh_devices()
    found = [device for device in preferences.devices if device.type == name.upper()]
    if not found:
        raise DeviceError(f"Blender finds no {name} device on this machine")
    for device in preferences.devices:
        device.use = device in found
    return "GPU"


@contextlib.contextmanager
def pixels_scaled(scene: bpy.types.Scene, factor: int) -> Iterator[None]:
    """Multiply what is measured in pixels by the factor for a while; see the module's table."""
    changed: list[tuple[object, str, float]] = []
    if factor != 1:
        for owner, name in _in_pixels(scene):
            before = getattr(owner, name)
            setattr(owner, name, before * factor)
            changed.append((owner, name, before))
    try:
        yield
    finally:
        for owner, name, before in reversed(changed):
            setattr(owner, name, before)


def _in_pixels(scene: bpy.types.Scene) -> list[tuple[object, str]]:
    """Everything measured in pixels, as (owner, attribute)."""
    found: list[tuple[object, str]] = [(scene.cycles, "dicing_rate"), (scene.cycles, "preview_dicing_rate")]
    trees = [tree for tree in bpy.data.node_groups if tree.bl_idname == "ShaderNodeTree"]
    owners = (*bpy.data.materials, *bpy.data.worlds, *bpy.data.lights)
    trees += [owner.node_tree for owner in owners if owner.use_nodes and owner.node_tree]
    for tree in trees:
        for node in tree.nodes:
            if node.bl_idname == "ShaderNodeBump" and not node.inputs["Filter Width"].is_linked:
                found.append((node.inputs["Filter Width"], "default_value"))
            if node.bl_idname == "ShaderNodeWireframe" and node.use_pixel_size and not node.inputs["Size"].is_linked:
                found.append((node.inputs["Size"], "default_value"))
    if scene.render.use_freestyle and scene.render.line_thickness_mode == "ABSOLUTE":
        found.append((scene.render, "line_thickness"))
    return found
