"""Reformat: target format, scale and shift, and the resampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import OpenImageIO as oiio

from . import state
from .errors import StandInError
from .format import Format
from .picture import Picture

if TYPE_CHECKING:
    from .nodes import Node

Placing = tuple[Format, float, float, float, float]  # format, scale x and y, shift x and y
SAME = {"Impulse", "Nearest"}
KIN = {"Cubic": "cubic", "Keys": "catmull-rom", "Mitchell": "mitchell", "Lanczos4": "lanczos3", "Lanczos6": "lanczos3"}


def target(node: Node, have: Format) -> Placing:
    """Where a Reformat puts a picture."""
    if any(node[k].value() for k in ("flip", "flop", "turn", "clamp", "black_outside")):
        raise StandInError("flip, flop, turn, clamp and black_outside of Reformat")
    root = state.current().root
    proxy = root["proxy_scale"].value() if root.proxy() else 1.0
    how = node["type"].value()
    if how == "scale":
        by = float(node["scale"].value())
        return have._scaled(by), by, by, 0.0, 0.0
    if how == "to box":
        w, h = node["box_width"].value(), node["box_height"].value()
        if not node["box_fixed"].value():
            h = max(1, round(have.height() * w / have.width()))
        want = Format(round(w * proxy), round(h * proxy), have.pixelAspect())
    else:
        want = node["format"].value()._scaled(proxy)
    x, y = want.width() / have.width(), want.height() / have.height()
    mode = node["resize"].value()
    if mode != "distort":
        x = y = {"none": 1.0, "width": x, "height": y, "fit": min(x, y), "fill": max(x, y)}[mode]
    if not node["center"].value():
        return want, x, y, 0.0, 0.0
    return want, x, y, (want.width() - have.width() * x) / 2, (want.height() - have.height() * y) / 2


def resize(node: Node, picture: Picture, form: Format, sx: float, sy: float, dx: float, dy: float) -> Picture:
    """The picture scaled about its corner, then moved by whole pixels; nothing is clipped, as with ``pbb`` on."""
    kept = picture.to((picture.box[0] + 1, picture.box[1] + 1, picture.box[2] - 1, picture.box[3] - 1), edged=False)
    picture = kept if picture.edged else picture
    x, y, r, t = picture.box
    box = (round(x * sx), round(y * sy), round(r * sx), round(t * sy))
    size = box[2] - box[0], box[3] - box[1]
    filtered = node["filter"].value()
    if (sx, sy) == (1.0, 1.0):
        channels = picture.channels
    elif filtered in SAME:
        columns = [min(int((i + 0.5) * (r - x) / size[0]), r - x - 1) for i in range(size[0])]
        rows = [min(int((j + 0.5) * (t - y) / size[1]), t - y - 1) for j in range(size[1])]
        channels = {n: p[np.ix_(rows, columns)] for n, p in picture.channels.items()}
    elif filtered in KIN:
        channels = {n: _filtered(p, size, KIN[filtered]) for n, p in picture.channels.items()}
    else:
        raise StandInError(f"the filter {filtered} of Reformat")
    by = round(dx), round(dy)
    box = (box[0] + by[0], box[1] + by[1], box[2] + by[0], box[3] + by[1])
    return Picture(form, box, channels, picture.metadata)


def _filtered(pixels: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
    small = oiio.ImageBuf(np.ascontiguousarray(pixels[..., None]))
    roi = oiio.ROI(0, size[0], 0, size[1], 0, 1, 0, 1)
    large = oiio.ImageBufAlgo.resize(small, filtername=name, roi=roi)
    return np.asarray(large.get_pixels(oiio.FLOAT), np.float32)[..., 0]
