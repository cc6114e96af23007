"""Crop sheets: one pair's telling places, doubled by every contender, as a PNG that a person looks at.

The places are those where the fixed interpolation misses most of HR, as displayed. Columns are LR with its pixels
repeated, every contender, and HR; all share one exposure and one curve.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from deepupscale.range_compression import RangeCompression
from deepupscale.temporary import whole
from model.metrics import psnr
from render.display import codes, displayed, exposure_of

Float32 = NDArray[np.float32]

CURVE = RangeCompression()
SIDE = 96  # HR pixels
CROPS = 3
ZOOM = 2
GAP, HEAD = 4, 22
GROUND, INK = (24, 24, 24), (220, 220, 220)


def places(hr: Float32, interpolated: Float32, count: int = CROPS, side: int = SIDE) -> list[tuple[int, int]]:
    """Top left corners of the squares where interpolation misses most, worst first, none over another.

    Args:
        hr: (height, width, 3), scene-linear.
        interpolated: The same shape.
        count: At most so many.
        side: Of a square in HR pixels; where a picture is smaller, the one square is the picture.
    """
    exposure = exposure_of(hr)
    missed = np.abs(displayed(hr * exposure) - displayed(interpolated * exposure)).mean(axis=2, dtype=np.float64)
    height, width = missed.shape
    tall, wide = min(side, height), min(side, width)
    sums = np.pad(missed.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    squares = sums[tall:, wide:] - sums[:-tall, wide:] - sums[tall:, :-wide] + sums[:-tall, :-wide]
    found: list[tuple[int, int]] = []
    while len(found) < count and np.isfinite(squares).any():
        y, x = (int(at) for at in np.unravel_index(int(np.argmax(squares)), squares.shape))
        y, x = y // 2 * 2, x // 2 * 2  # LR pixels stay whole
        found.append((y, x))
        squares[max(0, y - tall + 1) : y + tall, max(0, x - wide + 1) : x + wide] = -np.inf
    return found


class CropSheet:
    """Collects one pair's crops, so that whole results need not be kept.

    Args:
        lr: (height, width, 3), scene-linear, finite.
        hr: (2 height, 2 width, 3).
        interpolated: HR's size; what tells where to look.
    """

    def __init__(self, lr: Float32, hr: Float32, interpolated: Float32) -> None:
        self.places = places(hr, interpolated)
        self._exposure = exposure_of(hr)
        self._truth = self._cut(hr)
        self._columns: list[tuple[str, list[Float32]]] = [("LR", self._cut(lr.repeat(2, 0).repeat(2, 1)))]

    def add(self, name: str, sr: Float32) -> None:
        """Add a contender's result."""
        self._columns.append((name, self._cut(sr)))

    def _cut(self, picture: Float32) -> list[Float32]:
        return [picture[y : y + SIDE, x : x + SIDE].copy() for y, x in self.places]

    def save(self, path: Path) -> None:
        """Write the sheet, whole or not at all.

        Raises:
            WriteError: It cannot be written.
        """
        columns = [*self._columns, ("HR", self._truth)]
        tall, wide = (side * ZOOM for side in self._truth[0].shape[:2])
        size = (GAP + len(columns) * (wide + GAP), HEAD + len(self.places) * (tall + HEAD))
        sheet = Image.new("RGB", size, GROUND)
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
        for column, (name, crops) in enumerate(columns):
            x = GAP + column * (wide + GAP)
            _write(draw, font, x, 3, name, wide)
            for row, (crop, truth) in enumerate(zip(crops, self._truth, strict=True)):
                y = HEAD + row * (tall + HEAD)
                shown = Image.fromarray(codes(displayed(crop * self._exposure)))
                sheet.paste(shown.resize((wide, tall), Image.Resampling.NEAREST), (x, y))
                said = f"{psnr(CURVE.compress(crop), CURVE.compress(truth)):.2f} dB"
                if column == len(self._columns):
                    said = f"at {self.places[row][1]}, {self.places[row][0]}"
                _write(draw, font, x, y + tall + 3, said, wide)
        with whole(path) as file:
            sheet.save(file, "PNG")


def _write(
    draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, x: int, y: int, text: str, room: int
) -> None:
    while text and draw.textlength(text, font) > room:
        text = text[:-1]
    draw.text((x, y), text, INK, font)
