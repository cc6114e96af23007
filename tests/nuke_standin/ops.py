"""What each image node does to its pictures. Only what node graphs around the plugin need; the rest raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import state
from .colour import blended, boxed, mixed, one
from .errors import StandInError
from .format import Format
from .picture import COLOURS, Box, Picture, chosen, grown, intersection, whole

if TYPE_CHECKING:
    from .nodes import Node

Inputs = list  # of Picture or None


def constant(node: Node, _: Inputs) -> Picture:
    """One colour over the whole format."""
    form = node["format"].value()
    root = state.current().root
    form = form._scaled(root["proxy_scale"].value()) if root.proxy() else form
    names = chosen(node["channels"].value(), [*COLOURS, "rgba.alpha"])
    values = [node["color"].getValue(i) for i in range(4)]
    levels = dict(zip([*COLOURS, "rgba.alpha"], values))
    size = form.height(), form.width()
    return Picture(form, whole(form), {n: np.full(size, levels[n], np.float32) for n in names})


def crop(node: Node, inputs: Inputs) -> Picture:
    """A box cut out; ``reformat`` makes it the format, ``crop`` leaves black around it (with a border of one pixel)."""
    picture = inputs[0]
    if node["softness"].value():
        raise StandInError("a soft Crop")
    root = state.current().root
    by = root["proxy_scale"].value() if root.proxy() else 1.0
    x, y, r, t = (round(v * by) for v in node["box"].value())
    box: Box = (x, y, r, t)
    if r <= x or t <= y:
        raise RuntimeError(f"{node.fullName()}: the box is empty")
    if node["intersect"].value():
        box = intersection(box, picture.box)
    if node["reformat"].value():
        moved = (box[0] - x, box[1] - y, box[2] - x, box[3] - y)
        return Picture(Format(r - x, t - y, picture.format.pixelAspect()), moved, picture.within(box), picture.metadata)
    inside = picture.to(box, edged=False)
    if box == whole(picture.format) or not node["crop"].value():
        return inside
    return inside.to(grown(box, 1), edged=True)


def merge(node: Node, inputs: Inputs) -> Picture:
    """Merge2: B is input 0, A input 1, the mask input 2."""
    b, a, mask = inputs
    if a is None:
        return b
    if node["also_merge"].value() != "none":
        raise StandInError("also_merge")
    box = boxed(node["bbox"].value(), b.box, a.box)
    there = list(dict.fromkeys([*b.channels, *a.channels]))
    from_a, from_b = (chosen(node[k].value(), there) for k in ("Achannels", "Bchannels"))
    alpha_a, alpha_b = (one(p, "rgba.alpha", box) for p in (a, b))
    changed = {}
    for name in chosen(node["output"].value(), there):
        pa = one(a, name, box) if name in from_a else one(None, name, box)
        pb = one(b, name, box) if name in from_b else one(None, name, box)
        changed[name] = merged(node["operation"].value(), pa, pb, alpha_a, alpha_b)
    return mixed(node, b, mask, changed, box)


def merged(how: str, a: np.ndarray, b: np.ndarray, alpha_a: np.ndarray, alpha_b: np.ndarray) -> np.ndarray:
    """A over B and its kin, by Porter and Duff's formulae."""
    table: dict[str, Callable[[], np.ndarray]] = {
        "over": lambda: a + b * (1 - alpha_a),
        "under": lambda: a * (1 - alpha_b) + b,
        "plus": lambda: a + b,
        "minus": lambda: a - b,
        "from": lambda: b - a,
        "multiply": lambda: a * b,
        "min": lambda: np.minimum(a, b),
        "max": lambda: np.maximum(a, b),
        "screen": lambda: np.where((a <= 1) & (b <= 1), a + b - a * b, np.maximum(a, b)),
        "difference": lambda: np.abs(a - b),
        "average": lambda: (a + b) / 2,
        "copy": lambda: a,
        "in": lambda: a * alpha_b,
        "out": lambda: a * (1 - alpha_b),
        "mask": lambda: b * alpha_a,
        "stencil": lambda: b * (1 - alpha_a),
    }
    return table[how]().astype(np.float32)


def dissolve(node: Node, inputs: Inputs) -> Picture:
    """Input 0 towards input 1 by ``which``."""
    first, second, mask = inputs
    if second is None:
        return first
    by = min(max(float(node["which"].value()), 0.0), 1.0)
    box = boxed("union", first.box, second.box)
    there = list(dict.fromkeys([*first.channels, *second.channels]))
    changed = {
        n: (one(first, n, box) * np.float32(1 - by) + one(second, n, box) * np.float32(by))
        for n in chosen(node["channels"].value(), there)
    }
    return mixed(node, first, mask, changed, box)


def keymix(node: Node, inputs: Inputs) -> Picture:
    """B (input 0) where the mask (input 2) is black, A (input 1) where it is white."""
    b, a, mask = inputs
    if a is None:
        return b
    box = boxed(node["bbox"].value(), b.box, a.box)
    there = list(dict.fromkeys([*b.channels, *a.channels]))
    changed = {n: one(a, n, box) for n in chosen(node["channels"].value(), there)}
    amount: Any = float(node["mix"].value())
    if mask is not None and node["maskChannel"].value() != "none":
        matte = np.clip(one(mask, node["maskChannel"].value(), box), 0.0, 1.0)
        amount = amount * (1 - matte if node["invertMask"].value() else matte)
    return blended(b, changed, amount, box)


def channel_merge(node: Node, inputs: Inputs) -> Picture:
    """One channel of A (input 1) and one of B (input 0) into one."""
    b, a = inputs
    box = boxed(node["bbox"].value(), b.box, a.box)
    pa, pb = one(a, node["A"].value(), box), one(b, node["B"].value(), box)
    how = node["operation"].value()
    made = pa + pb - pa * pb if how == "union" else merged(how, pa, pb, pa, pb)
    name = "rgba.alpha" if node["output"].value() == "alpha" else node["output"].value()
    return blended(b, {name: made.astype(np.float32)}, float(node["mix"].value()), box)


def copy(node: Node, inputs: Inputs) -> Picture:
    """Channels of A (input 1) put into B (input 0)."""
    b, a = inputs
    box = boxed(node["bbox"].value(), b.box, a.box)
    changed = {n: one(a, n, box) for n in chosen(node["channels"].value(), list(a.channels))}
    for i in range(4):
        source, target = node[f"from{i}"].value(), node[f"to{i}"].value()
        if "none" not in {source, target}:
            changed[target] = one(a, source, box)
    return blended(b, changed, float(node["mix"].value()), box)


def premult(node: Node, inputs: Inputs) -> Picture:
    """Colour times alpha."""
    return _by_alpha(node, inputs[0], lambda p, alpha: p * alpha)


def unpremult(node: Node, inputs: Inputs) -> Picture:
    """Colour over alpha; where alpha is zero colour stays."""
    return _by_alpha(node, inputs[0], lambda p, alpha: np.divide(p, alpha, out=p.copy(), where=alpha != 0))


def _by_alpha(node: Node, picture: Picture, how: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Picture:
    if node["invert"].value():
        raise StandInError("invert of Premult and Unpremult")
    alpha = picture.channels.get("rgba.alpha" if node["alpha"].value() == "alpha" else node["alpha"].value())
    if alpha is None:
        return picture
    names = [n for n in chosen(node["channels"].value(), list(picture.channels)) if n != node["alpha"].value()]
    return replace(picture, channels={**picture.channels, **{n: how(picture.channels[n], alpha) for n in names}})


def grade(node: Node, inputs: Inputs) -> Picture:
    """Foundry's documented grade: ``(A x + B) ** (1 / gamma)``, then the clamps."""
    picture, mask = inputs
    if node["reverse"].value() or node["unpremult"].value() != "none":
        raise StandInError("reverse and unpremult of Grade")
    changed = {}
    for name in chosen(node["channels"].value(), list(picture.channels)):
        i = [*COLOURS, "rgba.alpha"].index(name) if name in {*COLOURS, "rgba.alpha"} else 0
        get = {
            k: node[k].getValue(i) for k in ("blackpoint", "whitepoint", "black", "white", "multiply", "add", "gamma")
        }
        slope = get["multiply"] * (get["white"] - get["black"]) / (get["whitepoint"] - get["blackpoint"])
        x = picture.channels[name] * np.float32(slope) + np.float32(
            get["add"] + get["black"] - slope * get["blackpoint"]
        )
        if get["gamma"] != 1:
            x = np.where(x > 0, np.abs(x) ** np.float32(1 / get["gamma"]), x)
        x = np.maximum(x, 0) if node["black_clamp"].value() else x
        x = np.minimum(x, 1) if node["white_clamp"].value() else x
        changed[name] = x.astype(np.float32)
    return mixed(node, picture, mask, changed, picture.box)


def reformat(node: Node, inputs: Inputs) -> Picture:
    """Another format. Impulse and nearest repeat pixels exactly; other filters are OpenImageIO's nearest kin."""
    from .resize import resize, target

    return resize(node, inputs[0], *target(node, inputs[0].format))


OPS: dict[str, Callable[[Node, Inputs], Picture]] = {
    "Constant": constant,
    "Crop": crop,
    "Merge2": merge,
    "Dissolve": dissolve,
    "Keymix": keymix,
    "ChannelMerge": channel_merge,
    "Copy": copy,
    "Premult": premult,
    "Unpremult": unpremult,
    "Grade": grade,
    "Reformat": reformat,
}
