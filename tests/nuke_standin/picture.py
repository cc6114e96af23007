"""Pictures: float32, scene-linear, y up; a bounding box that may be larger or smaller than the format."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .errors import StandInError
from .format import Format

Box = tuple[int, int, int, int]  # x, y, r, t: left, bottom, right, top; right and top exclusive
COLOURS = ("rgba.red", "rgba.green", "rgba.blue")
EMPTY: Box = (0, 0, 0, 0)


@dataclass(frozen=True)
class Picture:
    """What flows between nodes.

    Attributes:
        format: Size and pixel aspect.
        box: Where pixels are; outside they are black.
        channels: Each a ``[height, width]`` float32 array of the box, bottom row first.
        metadata: Names and values.
        edged: Whether the outermost pixels of the box are a black border that a node added; a Write strips it.
    """

    format: Format
    box: Box
    channels: dict[str, np.ndarray]
    metadata: dict[str, Any] = field(default_factory=dict)
    edged: bool = False

    def within(self, box: Box) -> dict[str, np.ndarray]:
        """The channels cut and padded with black to another box."""
        return {name: fit(pixels, self.box, box) for name, pixels in self.channels.items()}

    def at(self, channel: str, x: float, y: float) -> float:
        """One pixel, zero outside the box or where the channel is not there."""
        i, j = math.floor(x) - self.box[0], math.floor(y) - self.box[1]
        pixels = self.channels.get(channel)
        inside = pixels is not None and 0 <= i < pixels.shape[1] and 0 <= j < pixels.shape[0]
        return float(pixels[j, i]) if pixels is not None and inside else 0.0

    def to(self, box: Box, **changes: Any) -> Picture:
        """The picture on another box."""
        return replace(self, box=box, channels=self.within(box), **changes)


def fit(pixels: np.ndarray, have: Box, want: Box) -> np.ndarray:
    """Pixels of one box on another, black where there were none."""
    w, h = max(0, want[2] - want[0]), max(0, want[3] - want[1])
    out = np.zeros((h, w), np.float32)
    x0, y0, x1, y1 = intersection(have, want)
    if x1 > x0 and y1 > y0:
        out[y0 - want[1] : y1 - want[1], x0 - want[0] : x1 - want[0]] = pixels[
            y0 - have[1] : y1 - have[1], x0 - have[0] : x1 - have[0]
        ]
    return out


def intersection(a: Box, b: Box) -> Box:
    """What two boxes share; an empty box where that is nothing."""
    box = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return box if box[2] > box[0] and box[3] > box[1] else EMPTY


def union(a: Box, b: Box) -> Box:
    """The box around two boxes."""
    if EMPTY in {a, b}:
        return b if a == EMPTY else a
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def grown(box: Box, by: int) -> Box:
    """The box with a border, or without one for a negative number."""
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def whole(format_: Format) -> Box:
    """The box of a format."""
    return 0, 0, format_.width(), format_.height()


def chosen(text: str, there: list[str]) -> list[str]:
    """The channels of a picture that a channel knob means."""
    found: list[str] = []
    for word in text.split():
        taken = word.startswith("-")
        names = _meant(word.lstrip("-"), there)
        found = [n for n in found if n not in names] if taken else found + [n for n in names if n not in found]
    return found


def _meant(word: str, there: list[str]) -> list[str]:
    if word == "none":
        return []
    if word == "all":
        return list(there)
    if word == "rgb":
        return [c for c in COLOURS if c in there]
    if word == "alpha":
        word = "rgba.alpha"
    return [c for c in there if c == word or c.startswith(word + ".")]


def decode(x: np.ndarray) -> np.ndarray:
    """The stand-in's curve of a file that is not raw, file to linear: sRGB's, odd around zero and beyond one.

    Nuke would take float files as linear by default; here forgetting ``raw`` changes every pixel, so tests see it.
    """
    a = np.abs(x)
    return (np.sign(x) * np.where(a <= 0.04045, a / 12.92, ((a + 0.055) / 1.055) ** 2.4)).astype(np.float32)


def encode(x: np.ndarray) -> np.ndarray:
    """The inverse of ``decode``."""
    a = np.abs(x)
    return (np.sign(x) * np.where(a <= 0.0031308, a * 12.92, 1.055 * a ** (1 / 2.4) - 0.055)).astype(np.float32)


def curve(name: str) -> bool:
    """Whether a colour space knob converts."""
    if name not in {"default", "linear", "sRGB"}:
        raise StandInError(f"no colour space {name!r}")
    return name != "linear"
