"""A scene rendered by Cycles and written as a plate.

Needs Blender as a Python module and OpenEXR, in an environment of their own: `pip install "bpy==4.5.*" OpenEXR`.
"""

import tempfile
from fractions import Fraction
from pathlib import Path

import bpy
import numpy as np
import OpenEXR

from render.cycles import Render, render
from render.exr_file import write_planes
from render.multilayer import read_passes


def round_mantissa(values: np.ndarray, bits: int) -> np.ndarray:
    """Positive float32 values rounded to `bits` of mantissa, so that they pack; 1e10 (empty in Blender) is kept.

    At 14 bits the error is at most 31 micrometres between 1 and 2 metres.
    """
    drop = 23 - bits
    rounded = (values.view(np.uint32) + np.uint32(1 << (drop - 1))) >> drop << drop
    return np.where(values < 1e9, rounded.astype(np.uint32).view(np.float32), values)


def write_plate(multilayer: Path, plate: Path, program: str, credit: str) -> None:
    """Blender's channels as R,G,B,A (half, premultiplied), Z (float, metres), N.X,N.Y,N.Z (half, unit length).

    program: the file that built the scene, for the header's `software`; credit: licence and sources, its `comments`.
    """
    passes, _ = read_passes(multilayer)
    alpha = passes["Combined.A"].astype(np.float16)
    covered = alpha > 0.0  # the denoiser leaves a little colour where the film is empty
    normal = np.stack([passes[f"Normal.{axis}"] for axis in "XYZ"])
    normal *= covered / np.maximum(np.linalg.norm(normal, axis=0), 1e-12)
    channels = {"A": alpha} | {c: (passes[f"Combined.{c}"] * covered).astype(np.float16) for c in "RGB"}
    channels |= {f"N.{axis}": n.astype(np.float16) for axis, n in zip("XYZ", normal, strict=True)}
    channels["Z"] = round_mantissa(passes["Depth.Z"], bits=14)
    header = {
        "framesPerSecond": Fraction(24, 1),
        "timeCode": OpenEXR.TimeCode(1, 0, 0, 0, *[0] * 14),
        "software": f"DeepUpscale {program}, Blender {bpy.app.version_string}",
        "owner": "DeepUpscale",
        "comments": credit,
    }
    write_planes(plate, channels, header)


def render_plate(plate: Path, width: int, height: int, samples: int, seed: int, program: str, credit: str) -> None:
    """Render bpy's scene over an empty film, denoised, to a plate; see `write_plate`."""
    scene = bpy.context.scene
    scene.cycles.max_bounces, scene.cycles.sample_clamp_indirect, scene.cycles.caustics_refractive = 10, 20.0, False
    with tempfile.TemporaryDirectory() as folder:
        multilayer = Path(folder) / "multilayer.exr"
        render(scene, Render(multilayer, width, height, 1, samples, seed, True, ("depth", "normal"), transparent=True))
        write_plate(multilayer, plate, program, credit)
