"""Synthetic plates: seeded scene-linear HDR pictures with edges, made row by row at any size.

A patchwork of slanted hard edges over seven stops, grain, and small highlights far above 1. Alpha is 1 except for one
soft-edged hole of coverage in every cell of 512 x 512 pixels (about 5 % of the frame), and colour is premultiplied.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

CHANNELS = ("R", "G", "B", "A")
_CELL = 512
_HOLE_RADIUS, _HOLE_EDGE = 64.0, 3.0
_HIGHLIGHT_RADIUS = 6.0


class SyntheticPlate:
    """A picture that is computed where it is asked for.

    Args:
        width: Columns.
        height: Rows.
        opaque: Alpha 1 everywhere.
        seed: Equal seeds, equal pictures.
    """

    def __init__(self, width: int, height: int, opaque: bool = False, seed: int = 7) -> None:
        self.width, self.height, self._opaque = width, height, opaque
        rng = np.random.default_rng(seed)
        self._palette = np.exp2(rng.uniform(-5.0, 2.0, (64, 64, 3))).astype(np.float32)
        self._grain = (1.0 + 0.1 * rng.standard_normal((_CELL, _CELL, 3))).astype(np.float32)
        self._light = np.float32(rng.uniform(100.0, 1000.0))

    def rows(self, top: int, bottom: int) -> NDArray[np.float16]:
        """Rows ``top`` to ``bottom`` - 1: (rows, width, 4) half, premultiplied RGBA, scene-linear."""
        y, x = np.arange(top, bottom)[:, np.newaxis], np.arange(self.width)[np.newaxis]
        out = np.empty((bottom - top, self.width, 4), np.float32)
        out[:, :, :3] = self._palette[(3 * x + y) // 200 % 64, (3 * y - x) // 160 % 64]
        out[:, :, :3] *= self._grain[y % _CELL, x % _CELL]
        out[_distance(x, y, 384, 128) < _HIGHLIGHT_RADIUS, :3] = self._light
        if self._opaque:
            out[:, :, 3] = 1.0
        else:
            out[:, :, 3] = np.clip((_distance(x, y, 128, 128) - _HOLE_RADIUS) / _HOLE_EDGE, 0.0, 1.0)
            out[:, :, :3] *= out[:, :, 3:]
        return out.astype(np.float16)

    def strips(self, rows: int) -> Iterator[NDArray[np.float16]]:
        """The picture from top to bottom."""
        for top in range(0, self.height, rows):
            yield self.rows(top, min(top + rows, self.height))

    def write(self, path: Path, compression: str = "zip", rows: int = 256) -> None:
        """Write the picture as half RGBA, a strip at a time.

        Raises:
            OSError: OpenImageIO could not write it.
        """
        write_half(path, self.width, self.height, self.strips(rows), compression)


def write_half(path: Path, width: int, height: int, strips: Iterator[NDArray[np.float16]], compression: str) -> None:
    """Encode half RGBA strips with OpenImageIO alone.

    Raises:
        OSError: OpenImageIO could not write it.
    """
    spec = oiio.ImageSpec(width, height, len(CHANNELS), oiio.HALF)
    spec.channelnames = CHANNELS
    spec.attribute("compression", compression)
    file = oiio.ImageOutput.create(str(path))
    if file is None or not file.open(str(path), spec):
        raise OSError(f"{path}: cannot be created: {file.geterror() if file else oiio.geterror()}")
    top = 0
    for strip in strips:
        if not file.write_scanlines(top, top + strip.shape[0], 0, strip):
            raise OSError(f"{path}: cannot be written: {file.geterror()}")
        top += strip.shape[0]
    if not file.close():
        raise OSError(f"{path}: cannot be finished: {file.geterror()}")


def _distance(x: NDArray[np.int64], y: NDArray[np.int64], centre_x: int, centre_y: int) -> NDArray[np.float32]:
    """Pixels from a point of each cell."""
    dx, dy = (x % _CELL - centre_x).astype(np.float32), (y % _CELL - centre_y).astype(np.float32)
    return np.sqrt(dx * dx + dy * dy)
