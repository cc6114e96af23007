"""Pieces: how a tensor is cut into tiles of one fixed shape, and how small that shape may become.

A runtime that compiles for one shape, or replays what it recorded, wants every tile alike. A tensor that is smaller is
filled up by repeating its border; one that is larger is cut into pieces that overlap by the halo. What depends on
the filling, or on a cut, is left out, so joined pieces equal the whole wherever the tensor has its halo around it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

_SIDE_STEP = 16  # tile sides are multiples of this: rows of tensors stay aligned
_LEAST_INSIDE = 32  # a tile keeps at least so many pixels between its halos


@dataclass(frozen=True)
class Span:
    """A piece along one axis, in plate pixels.

    Attributes:
        start: Where its tile begins.
        stop: Where what it reads ends; the tile may reach beyond the tensor.
        keep: The first pixel that it answers for.
        end: The one after the last.
    """

    start: int
    stop: int
    keep: int
    end: int


@dataclass(frozen=True)
class TileShape:
    """Height and width of the tiles, in plate pixels."""

    height: int
    width: int

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Cutter:
    """Cuts for one model.

    Attributes:
        halo: Pixels of context that the promise states.
        multiple: What the sides of the graph's input must be multiples of.
    """

    halo: int
    multiple: int

    @property
    def _step(self) -> int:
        return math.lcm(_SIDE_STEP, self.multiple)

    @property
    def least(self) -> int:
        """The shortest side that a tile may have."""
        return self._up(2 * (self.halo + self.multiple) + _LEAST_INSIDE)

    def _up(self, length: int) -> int:
        return -(-length // self._step) * self._step

    def shape(self, height: int, width: int, most: int) -> TileShape:
        """The tile for tensors of this size: the whole of it, halved along its longer side until it is small enough.

        Args:
            height: Plate pixels, context included.
            width: Likewise.
            most: Pixels that a tile may have; kept to unless the shortest sides are reached.
        """
        sides = [max(self.least, self._up(height)), max(self.least, self._up(width))]
        while sides[0] * sides[1] > most and max(sides) > self.least:
            longer = 0 if sides[0] >= sides[1] else 1
            half = max(self.least, self._up(-(-sides[longer] // 2) + self.halo))
            sides[longer] = half if half < sides[longer] else self.least
        return TileShape(*sides)

    def spans(self, length: int, tile: int) -> Iterator[Span]:
        """Pieces along one axis, in order; together they answer for every pixel once.

        The last tile ends where the tensor does, so a tensor that fills a tile is never filled up.

        Args:
            length: Of the tensor; a multiple of ``multiple``.
            tile: A side that :meth:`shape` gave.
        """
        keep = 0
        while keep < length:
            start = max(0, (keep - self.halo) // self.multiple * self.multiple)
            start = max(0, min(start, length - tile))
            stop = min(start + tile, length)
            end = length if stop == length else stop - self.halo
            yield Span(start, stop, keep, end)
            keep = end
