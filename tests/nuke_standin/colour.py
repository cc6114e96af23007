"""Masks and blends that several nodes share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .errors import StandInError
from .picture import Box, Picture, fit, intersection, union

if TYPE_CHECKING:
    from .nodes import Node


def one(pictured: Picture | None, channel: str, box: Box) -> np.ndarray:
    """One channel of a picture on a box; black where it is not there."""
    pixels = pictured.channels.get("rgba.alpha" if channel == "alpha" else channel) if pictured else None
    if pictured is None or pixels is None:
        return fit(np.zeros((0, 0), np.float32), (0, 0, 0, 0), box)
    return fit(pixels, pictured.box, box)


def boxed(how: str, b: Box, a: Box) -> Box:
    """The box of two inputs, as a ``bbox`` knob chooses it."""
    return {"union": union(a, b), "intersection": intersection(a, b), "A": a, "B": b}[how]


def mixed(node: Node, base: Picture, mask: Picture | None, changed: dict[str, np.ndarray], box: Box) -> Picture:
    """The base with channels replaced, as far as the node's mask and mix let through.

    A mask input counts by ``maskChannelMask``; without one, ``maskChannelInput`` names a channel of the base. It is
    injected as it was before it is turned inside out (inference).
    """
    if node["fringe"].value():
        raise StandInError("fringe of masks")
    which = node["maskChannelMask" if mask else "maskChannelInput"].value()
    amount: np.ndarray | float = float(node["mix"].value())
    if which != "none":
        matte = np.clip(one(mask or base, which, box), 0.0, 1.0)
        amount = amount * (1 - matte if node["invert_mask"].value() else matte)
        if node["inject"].value():
            base = replace(base, channels={**base.channels, "mask.a": fit(matte, box, base.box)})
    return blended(base, changed, amount, box)


def blended(base: Picture, changed: dict[str, np.ndarray], amount: np.ndarray | float, box: Box) -> Picture:
    """The base on a box, each changed channel weighed against the one that was there."""
    out = base.within(box)
    for name, pixels in changed.items():
        kept = out.get(name, np.zeros_like(pixels))
        if isinstance(amount, float) and amount in {0.0, 1.0}:
            out[name] = pixels if amount else kept
        else:
            out[name] = (kept + (pixels - kept) * amount).astype(np.float32)
    return Picture(base.format, box, out, base.metadata, base.edged and box == base.box)
