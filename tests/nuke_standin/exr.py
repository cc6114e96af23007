"""EXR files as Nuke reads and writes them, by Foundry's published reader and writer where they say.

Rows are flipped, the display window is ``(0, 0)-(w - 1, h - 1)``, files are written under another name and renamed.
Channel names beyond ``R G B A Z`` are Nuke's own (inference).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from .format import Format
from .picture import EMPTY, Picture, grown, whole

TO_NUKE = {"R": "rgba.red", "G": "rgba.green", "B": "rgba.blue", "A": "rgba.alpha", "Z": "depth.Z"}
TO_FILE = {v: k for k, v in TO_NUKE.items() if k != "Z"}
LEAVES = {"R": "red", "G": "green", "B": "blue", "A": "alpha"}
COMPRESSIONS = {
    "none": "none",
    "Zip (1 scanline)": "zips",
    "Zip (16 scanlines)": "zip",
    "PIZ Wavelet (32 scanlines)": "piz",
    "RLE": "rle",
    "B44": "b44",
    "B44A": "b44a",
    "DWAA": "dwaa",
    "DWAB": "dwab",
}
OWN = ("PixelAspectRatio", "screenWindow", "worldTo", "oiio:", "exr:", "openexr:", "compression", "name", "DateTime")


def read(path: Path) -> Picture:
    """All parts of a file; a box one pixel larger than the data where data and display windows differ.

    Raises:
        RuntimeError: What cannot be read.
    """
    if not path.is_file():
        raise RuntimeError(f"{path}: No such file or directory")
    file = oiio.ImageInput.open(str(path))
    if file is None:
        raise RuntimeError(f"{path}: {oiio.geterror()}")
    try:
        first = file.spec()
        channels: dict[str, np.ndarray] = {}
        part = 0
        while file.seek_subimage(part, 0):
            spec = file.spec()
            if (spec.x, spec.y, spec.width, spec.height) != (first.x, first.y, first.width, first.height):
                raise RuntimeError(f"{path}: parts with windows of their own, which the stand-in does not read")
            pixels = file.read_image(part, 0, 0, spec.nchannels, oiio.FLOAT)
            if pixels is None:
                raise RuntimeError(f"{path}: {file.geterror()}")
            pixels = np.asarray(pixels, np.float32).reshape(spec.height, spec.width, spec.nchannels)
            for i, name in enumerate(spec.channelnames):
                layer = "" if part == 0 or "." in name else spec.get_string_attribute("name") + "."
                channels.setdefault(_nuke_name(layer + name), np.ascontiguousarray(pixels[::-1, :, i]))
            part += 1
    finally:
        file.close()
    form = Format(first.full_width, first.full_height, first.get_float_attribute("PixelAspectRatio", 1.0))
    left = first.x - first.full_x
    top = first.full_height - (first.y - first.full_y)
    box = (left, top - first.height, left + first.width, top)
    picture = Picture(form, box, channels, _metadata(first, path))
    return picture if box == whole(form) else picture.to(grown(box, 1), edged=True)


def write(path: Path, picture: Picture, half: bool, compression: str, level: float, attributes: dict[str, Any]) -> None:
    """Write a picture whole or not at all; half is a plain cast, so what is above 65504 becomes infinite."""
    box = grown(picture.box, -1) if picture.edged else picture.box
    if box[2] <= box[0] or box[3] <= box[1]:
        box = (0, 0, 1, 1)
    form = picture.format
    names = sorted(picture.channels, key=_order)
    kind = np.float16 if half else np.float32
    spec = oiio.ImageSpec(box[2] - box[0], box[3] - box[1], len(names), oiio.HALF if half else oiio.FLOAT)
    spec.x, spec.y = box[0], form.height() - box[3]
    spec.full_x, spec.full_y, spec.full_width, spec.full_height = 0, 0, form.width(), form.height()
    spec.channelnames = tuple(TO_FILE.get(n, n) for n in names)
    spec.attribute("PixelAspectRatio", form.pixelAspect())
    spec.attribute("DateTime", "")  # Nuke stamps no capDate; the writer would, and each pull would be another file
    packed = COMPRESSIONS[compression]
    spec.attribute("compression", f"{packed}:{level:g}" if packed.startswith("dwa") else packed)
    for name, value in attributes.items():
        spec.attribute(name, value)
    cut = picture.within(box)
    with np.errstate(over="ignore"):
        pixels = np.stack([cut[n][::-1] for n in names], axis=-1).astype(kind)
    temporary = path.with_name(path.name + ".tmp")
    out = oiio.ImageOutput.create("exr")
    assert out is not None
    try:
        if not out.open(str(temporary), spec) or not out.write_image(pixels):
            raise RuntimeError(f"{path}: {out.geterror()}")
        if not out.close():
            raise RuntimeError(f"{path}: {out.geterror()}")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def black(form: Format, metadata: dict[str, Any] | None = None) -> Picture:
    """A picture without pixels."""
    return Picture(form, EMPTY, {n: np.zeros((0, 0), np.float32) for n in TO_FILE}, metadata or {})


def _nuke_name(name: str) -> str:
    if name in TO_NUKE:
        return TO_NUKE[name]
    layer, _, leaf = name.rpartition(".")
    return f"{layer.replace('.', '_')}.{LEAVES.get(leaf, leaf)}" if layer else f"other.{name}"


def _order(name: str) -> tuple[int, str]:
    known = list(TO_FILE)
    return (known.index(name), "") if name in known else (len(known), name)


def _metadata(spec: Any, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        "input/filename": path.as_posix(),
        "input/filereader": "exr",
        "input/width": spec.full_width,
        "input/height": spec.full_height,
        "input/bitsperchannel": "16-bit half float" if spec.format == oiio.HALF else "32-bit float",
    }
    for item in spec.extra_attribs:
        if not item.name.startswith(OWN):
            found[f"exr/{item.name}"] = item.value
    return found
