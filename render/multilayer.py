"""From Blender's multilayer EXR to a file of a pair, in the channel names and senses of this project.

| channels | what | type |
|---|---|---|
| `R` `G` `B` | scene-linear Rec.709; premultiplied where there is alpha | half, or float when asked |
| `A` | coverage; only of renders with transparent film | half, or float when asked |
| `Z` | distance from the camera's plane in scene units, 1e10 where empty; not anti-aliased | float |
| `N.X` `N.Y` `N.Z` | normal in camera space: x right, y up, z towards the camera; its length is the coverage | half |
| `albedo.R` `.G` `.B` | what a surface reflects, 0 to 1; 0 where empty | half |
| `forward.u` `.v` | way to the next frame in this file's pixels: u right, v up | float |
| `backward.u` `.v` | way to the previous frame | float |
| `CryptoObject00.r` ... | cryptomatte of the objects; its manifest is in the header | float |

Blender's Vector holds (previous - current) in X, Y and (current - next) in Z, W. It is zero on the world's background;
there the way follows from the camera's rotation. Blender's normal is in world space. Its albedo holds the light itself
where a ray meets no surface, so that is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray

HALF_MAX = np.float32(65504.0)
EMPTY = 1e9  # a depth beyond this is nothing: Blender writes 1e10

Planes = dict[str, NDArray[Any]]


def read_passes(file: Path) -> tuple[Planes, dict[str, Any]]:
    """Blender's channels by pass and component ("Combined.R"), the view layer's name cut off; and its header."""
    with OpenEXR.File(str(file), separate_channels=True) as opened:
        channels = {name.split(".", 1)[1]: np.array(c.pixels) for name, c in opened.channels().items()}
        return channels, dict(opened.header())


def pair_planes(passes: Planes, views: dict[str, Any], transparent: bool, as_float: bool) -> Planes:
    """The channels of the table above out of Blender's.

    Args:
        passes: What :func:`read_passes` gave; (height, width) float32 each.
        views: The worker's ``views``.
        transparent: Whether the film was, so that alpha says something.
        as_float: Keep colour in 32 bits.
    """
    colour = np.float32 if as_float else np.float16
    planes: Planes = {c: stored(passes[f"Combined.{c}"], colour) for c in ("RGBA" if transparent else "RGB")}
    empty = passes["Depth.Z"] > EMPTY if "Depth.Z" in passes else None
    if empty is not None:
        planes["Z"] = passes["Depth.Z"]
    if "Normal.X" in passes:
        world = np.stack([passes[f"Normal.{axis}"] for axis in "XYZ"], axis=-1)
        camera = world @ np.asarray(views["rotation"], np.float32).T
        planes |= {f"N.{axis}": stored(camera[:, :, i], np.float16) for i, axis in enumerate("XYZ")}
    if "Denoising Albedo.R" in passes:
        for c in "RGB":
            albedo = np.clip(passes[f"Denoising Albedo.{c}"], 0.0, 1.0)
            planes[f"albedo.{c}"] = stored(albedo if empty is None else np.where(empty, 0.0, albedo), np.float16)
    if "Vector.X" in passes:
        planes |= _motion(passes, views["directions"], empty)
    for name in sorted(passes):
        if name.startswith("Crypto"):
            planes[name] = passes[name]
    return planes


def stored(values: NDArray[np.float32], dtype: type) -> NDArray[Any]:
    """Values in the type they are written in; what half cannot hold is clamped to its largest."""
    return np.clip(values, -HALF_MAX, HALF_MAX).astype(dtype) if dtype is np.float16 else values.astype(dtype)


def _motion(passes: Planes, directions: list[Any] | None, empty: NDArray[np.bool_] | None) -> Planes:
    x, y, z, w = (passes[f"Vector.{axis}"] for axis in "XYZW")
    planes: Planes = {"backward.u": x, "backward.v": y, "forward.u": -z, "forward.v": -w}
    if directions is not None and empty is not None and empty.any():
        before, here, after = (np.asarray(m) for m in directions)
        for layer, there in (("backward", before), ("forward", after)):
            way = background_motion(here, there, x.shape)
            for i, axis in enumerate("uv"):
                planes[f"{layer}.{axis}"] = np.where(empty, way[:, :, i], planes[f"{layer}.{axis}"])
    return planes


def background_motion(here: NDArray[Any], there: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Where directions at infinity move between two views.

    Args:
        here: 3x3 from world directions to homogeneous picture coordinates (-1 to 1, y up) of the frame.
        there: The same of the other frame.
        shape: Height and width in pixels.

    Returns:
        (height, width, 2) way in pixels, x right and y up.
    """
    height, width = shape
    x = (np.arange(width) + 0.5) / width * 2.0 - 1.0
    y = 1.0 - (np.arange(height) + 0.5) / height * 2.0
    places = np.stack([*np.meshgrid(x, y), np.ones((height, width))], axis=-1)
    seen = places @ (there @ np.linalg.inv(here)).T
    moved = seen[:, :, :2] / seen[:, :, 2:] - places[:, :, :2]
    return (moved * 0.5 * (width, height)).astype(np.float32)


def pair_header(blender_header: dict[str, Any], software: str) -> dict[str, Any]:
    """What a pair's file says of itself: its maker, and Blender's cryptomatte manifests."""
    header = {name: value for name, value in blender_header.items() if name.startswith("cryptomatte/")}
    for name in [name for name in header if name.endswith("/name")]:
        header[name] = header[name].split(".", 1)[-1]  # without the view layer, as the channels are
    return {"software": software, **header}
