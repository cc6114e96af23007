"""Blocks: the few rectangles of a tile that hold all of its pixels that are worth running the network for.

A block is computed with the halo around it, as a tile is, so what it gives equals what the whole tile would give. Its
halo is lost work, and every new size is compiled once: blocks have few sizes, and pixels that lie close share one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIDES = (64, 128, 256)  # pixels; with the whole tile no more sizes than a session keeps compiled
_CELL = 8  # pixels a side: the grain at which blocks are sought
_OVERHEAD = 2000  # fed pixels that a call of a session costs about as much as
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Block:
    """A rectangle of pixels."""

    top: int
    left: int
    rows: int
    columns: int

    @property
    def inside(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.top + self.rows), slice(self.left, self.left + self.columns)

    @property
    def doubled(self) -> tuple[slice, slice]:
        """The same on the doubled tile."""
        return slice(2 * self.top, 2 * (self.top + self.rows)), slice(2 * self.left, 2 * (self.left + self.columns))

    def with_context(self, margin: int) -> tuple[slice, slice]:
        """Its rows and columns with ``margin`` pixels around, on a tile that carries as many itself."""
        down = slice(self.top, self.top + self.rows + 2 * margin)
        return down, slice(self.left, self.left + self.columns + 2 * margin)


def blocks_for_network(wanted: Mask, halo: int) -> list[Block]:
    """Blocks of few sizes that together hold every wanted pixel, chosen so that little is computed.

    Args:
        wanted: (height, width), True for the pixels to be computed.
        halo: Pixels of context that are computed around every block.

    Returns:
        None to many; they may overlap. The whole tile, where that costs no more.
    """
    height, width = wanted.shape
    sizes = sorted({(min(side, height), min(side, width)) for side in _SIDES} | {(height, width)})
    return _cover(_in_cells(wanted), (0, 0), (height, width), sizes, halo)[1]


def _cover(
    cells: Mask, at: tuple[int, int], tile: tuple[int, int], sizes: list[tuple[int, int]], halo: int
) -> tuple[int, list[Block]]:
    """Fed pixels and blocks for a part of the cells that begins ``at`` a cell: one block, or two parts' blocks."""
    spans = [_span(_along(cells, axis)) for axis in (0, 1)]
    if not spans[0]:
        return 0, []
    (y0, y1), (x0, x1) = (span[0] for span in spans)
    cells, at = cells[y0:y1, x0:x1], (at[0] + y0, at[1] + x0)
    ends = [min((a + n) * _CELL, most) for a, n, most in zip(at, cells.shape, tile, strict=True)]
    needs = [end - a * _CELL for end, a in zip(ends, at, strict=True)]
    rows, columns = next(size for size in sizes if size[0] >= needs[0] and size[1] >= needs[1])
    top, left = (
        max(0, min(a * _CELL - (side - need) // 2, most - side))
        for a, side, need, most in zip(at, (rows, columns), needs, tile, strict=True)
    )
    one = ((rows + 2 * halo) * (columns + 2 * halo) + _OVERHEAD, [Block(top, left, rows, columns)])
    if (rows, columns) == sizes[0] or max(cells.shape) == 1:
        return one
    axis = 0 if needs[0] > needs[1] else 1
    cut = _gap(_along(cells, axis))
    if axis == 0:
        parts = (cells[:cut], at), (cells[cut:], (at[0] + cut, at[1]))
    else:
        parts = (cells[:, :cut], at), (cells[:, cut:], (at[0], at[1] + cut))
    (first, firsts), (second, seconds) = (_cover(part, where, tile, sizes, halo) for part, where in parts)
    return (first + second, firsts + seconds) if first + second < one[0] else one


def blocks_around(wanted: Mask) -> Iterator[Block]:
    """Blocks that hold every wanted pixel once, for work that needs no halo: runs of cells, row of cells by row.

    Args:
        wanted: (height, width), True for the pixels that matter.
    """
    height, width = wanted.shape
    side = _SIDES[0]
    for top in range(0, height, side):
        rows = min(side, height - top)
        for first, last in _span_each(_along(_in_cells(wanted[top : top + rows]), 1)):
            yield Block(top, first * _CELL, rows, min(last * _CELL, width) - first * _CELL)


def _in_cells(wanted: Mask) -> Mask:
    """Whether any pixel of a cell is wanted."""
    height, width = wanted.shape
    whole = np.pad(wanted, ((0, -height % _CELL), (0, -width % _CELL)))
    cells = whole.reshape(whole.shape[0] // _CELL, _CELL, whole.shape[1] // _CELL, _CELL)
    return np.asarray(cells.any(axis=(1, 3)), np.bool_)


def _along(cells: Mask, axis: int) -> Mask:
    """Whether there is any True at each place of an axis."""
    return np.asarray(cells.any(axis=1 - axis), np.bool_)


def _span(line: Mask) -> list[tuple[int, int]]:
    """First and one past the last that is True; empty if none is."""
    at = np.flatnonzero(line)
    return [(int(at[0]), int(at[-1]) + 1)] if at.size else []


def _span_each(line: Mask) -> list[tuple[int, int]]:
    """Every run of True: first and one past the last."""
    edges = np.flatnonzero(np.diff(line, prepend=False, append=False))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _gap(line: Mask) -> int:
    """Where to cut a line whose ends are True: behind its widest run of False, or in its middle."""
    gaps = _span_each(~line)
    return max(gaps, key=lambda gap: gap[1] - gap[0])[1] if gaps else line.size // 2
