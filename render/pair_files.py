"""The files of a pair: their colour as arrays, and the pairs of a plain folder. EXRs are untrusted: see `Plate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepupscale.errors import PlateError, UsageError
from deepupscale.plate import Limits, Part, Plate

Float32 = NDArray[np.float32]

MOST_PIXELS = 1 << 26  # 8192 x 8192; whole pictures are held in memory, 12 bytes a pixel
_STRIP_BYTES = 64 << 20


def read_rgb(path: Path, limits: Limits | None = None) -> Float32:
    """The first RGB layer of an EXR, its data window only; a layer without a name goes before others.

    Args:
        path: The file.
        limits: Caps on what it may claim of itself. Besides, a part may hold ``MOST_PIXELS``.

    Returns:
        (height, width, 3) float32, scene-linear as stored; may hold NaN and Inf.

    Raises:
        PlateError: Missing, damaged, of a kind that is refused, too large, or without red, green and blue.
    """
    with Plate(path, limits) as plate:
        part, names = _first_rgb(path, plate.parts)
        width, height = part.data_window.width, part.data_window.height
        if width * height > MOST_PIXELS:
            raise PlateError(f"{path}: {width} x {height} pixels are too many for a training pair: cut it into parts")
        rgb = np.empty((height, width, 3), np.float32)
        top = 0
        for strip in plate.strips(part, max(32, _STRIP_BYTES // (4 * width * len(part.channels)))):
            rows = next(iter(strip.values())).shape[0]
            for channel, name in enumerate(names):
                rgb[top : top + rows, :, channel] = strip[name]
            top += rows
    return rgb


def read_pair(lr: Path, hr: Path, limits: Limits | None = None) -> tuple[Float32, Float32]:
    """Both pictures of a pair; see :func:`read_rgb`.

    Returns:
        (height, width, 3) and (2 height, 2 width, 3).

    Raises:
        PlateError: Also where HR is not twice the size of LR.
    """
    small, large = read_rgb(lr, limits), read_rgb(hr, limits)
    height, width = small.shape[:2]
    if large.shape[:2] != (2 * height, 2 * width):
        raise PlateError(
            f"{hr}: is {large.shape[1]} x {large.shape[0]} pixels, not twice the {width} x {height} of {lr}"
        )
    return small, large


def plain_pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """Name, LR and HR file of every pair in a folder that holds `lr/NAME.exr` and `hr/NAME.exr`, by name.

    Raises:
        UsageError: No such folders, none of the files in them, or one without its partner.
    """
    found: list[dict[str, Path]] = []
    for side in ("lr", "hr"):
        inside = folder / side
        if not inside.is_dir():
            raise UsageError(f"{folder}: there is no folder {side} in it: pairs are lr/NAME.exr and hr/NAME.exr")
        files = sorted(file for file in inside.iterdir() if file.suffix == ".exr" and not file.name.startswith("."))
        found.append({file.stem: file for file in files})
    lr, hr = found
    if not lr and not hr:
        raise UsageError(f"{folder}: holds no pairs: lr and hr are empty")
    if alone := sorted(lr.keys() ^ hr.keys()):
        side, other = ("lr", "hr") if alone[0] in lr else ("hr", "lr")
        more = f", and {len(alone) - 1} more without a partner" if len(alone) > 1 else ""
        raise UsageError(f"{folder}: {side}/{alone[0]}.exr has no partner in {other}{more}")
    return [(name, lr[name], hr[name]) for name in sorted(lr)]


def _first_rgb(path: Path, parts: tuple[Part, ...]) -> tuple[Part, list[str]]:
    layers: list[tuple[bool, Part, list[str]]] = []
    for part in parts:
        for red in part.channels:
            prefix = red.removesuffix("R")
            names = [prefix + colour for colour in "RGB"]
            if red.endswith("R") and prefix[-1:] in ("", ".") and set(names) <= set(part.channels):
                layers.append((bool(prefix), part, names))
    if not layers:
        raise PlateError(f"{path}: has no red, green and blue")
    _, part, names = min(layers, key=lambda layer: layer[0])
    if part.uint_channels & set(names):
        raise PlateError(f"{path}: {part.label} holds its colour as whole numbers, not as light")
    return part, names
