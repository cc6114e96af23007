"""Passes: a part's fields, doubled strip by strip.

A pass pulls strips from a source (the plate, or the pass before it), keeps only the rows that the next strip's context
needs, and yields doubled strips. Frame borders are padded here once, by repeating the border pixel, so that the border
of a tile and the border of a frame are the same case to everything after. Memory follows the strip, not the plate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepupscale import resample
from deepupscale.errors import CancelledError
from deepupscale.fields import Field, Kind, Method
from deepupscale.tiling import STRIP_BYTES, Tiling, plan
from deepupscale.trace import span
from deepupscale.upscaler import Upscaler, agree_with_alpha

__all__ = [
    "STRIP_BYTES",
    "Cancelled",
    "Counts",
    "DoublingPass",
    "Progress",
    "RowWindow",
    "Strip",
    "Tiling",
    "Watch",
    "effort",
    "filter_data",
    "plan",
]

Strip = dict[str, NDArray[Any]]
"""Field key to (rows, width, channels): float32, or uint32 for UINT channels."""
Progress = Callable[[float], None]
"""Called with the fraction of the frame that is done, 0 to 1, after a tile or a field of it."""
Cancelled = Callable[[], bool]
"""Asked whether the work is still wanted; True stops it."""

_FILL_CONTEXT = 2  # fill_nonfinite looks this far around
_PROGRESS_STEP = 0.005  # a plate of many layers would fill a log


@dataclass
class Counts:
    """What was found on the way, per channel."""

    nonfinite: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, channel: str, count: int) -> None:
        """Note ``count`` values of a channel that were NaN or Inf."""
        if count:
            self.nonfinite[channel] = self.nonfinite.get(channel, 0) + count


@dataclass
class Watch:
    """Follows the work on a frame: says how far it is, and stops it between two fields of a tile.

    Attributes:
        progress: Told of the fraction that is done, which only grows and ends with 1; 200 times a frame at most.
        cancelled: Asked before every field of a tile.
        total: Work of all passes, in the unit of :func:`effort` times pixels.
    """

    progress: Progress | None = None
    cancelled: Cancelled | None = None
    total: int = 0
    _done: int = field(default=0, init=False)
    _told: float = field(default=0.0, init=False)

    def check(self) -> None:
        """Go on only if the work is wanted.

        Raises:
            CancelledError: It is not.
        """
        if self.cancelled is not None and self.cancelled():
            raise CancelledError("cancelled")

    def advance(self, work: int) -> None:
        """Note so much as done."""
        self._done += work
        fraction = self._done / max(self._done, self.total)
        if self.progress is not None and (fraction - self._told >= _PROGRESS_STEP or self._done == self.total):
            self._told = fraction
            self.progress(fraction)


def effort(each: Field) -> int:
    """How much work a pixel of a field is, roughly: a channel that is filtered counts 1, a run of the network 20."""
    runs = 1 if len(each.channels) == 3 else len(each.channels)
    return 20 * runs if each.method is Method.NET else len(each.channels)


class RowWindow:
    """A sliding view on strips that come from above to below."""

    def __init__(self, strips: Iterator[Strip], height: int) -> None:
        self._strips = strips
        self._height = height
        self._held: Strip = {}
        self._top = 0
        self._bottom = 0

    def take(self, top: int, bottom: int) -> Strip:
        """Rows ``top`` to ``bottom`` - 1, the border row repeated outside the part; rows above ``top`` are let go."""
        first, last = max(0, min(top, self._height - 1)), min(bottom, self._height)
        while self._bottom < last:
            self._append(next(self._strips))
        drop = first - self._top
        if drop > 0:
            self._held = {key: rows[drop:] for key, rows in self._held.items()}
            self._top = first
        above, below = first - top, bottom - max(last, first + 1)
        inner = {key: rows[: max(last, first + 1) - first] for key, rows in self._held.items()}
        return {key: resample.pad(rows, above, below, 0, 0) if above or below else rows for key, rows in inner.items()}

    def _append(self, strip: Strip) -> None:
        count = next(iter(strip.values())).shape[0]
        self._held = {k: np.concatenate((self._held[k], rows)) for k, rows in strip.items()} if self._held else strip
        self._bottom += count


class DoublingPass:
    """Doubles all fields of a part.

    Args:
        fields: What to do with which channels; dropped ones left out.
        upscaler: Doubles colour and alpha.
        counts: Where NaN and Inf are counted; None for second passes, which see what the first made.
        watch: What follows the work.
    """

    def __init__(
        self, fields: Sequence[Field], upscaler: Upscaler, counts: Counts | None, watch: Watch | None = None
    ) -> None:
        self._fields = fields
        self._upscaler = upscaler
        self._counts = counts
        self._watch = watch or Watch()
        self._margin = upscaler.margin + _FILL_CONTEXT

    def run(self, strips: Iterator[Strip], width: int, height: int, tiling: Tiling) -> Iterator[Strip]:
        """Doubled strips of a part of this size, of ``tiling.rows`` plate rows each, the last of the rest."""
        tiling = tiling.fitted(width, self._upscaler.network)
        window = RowWindow(strips, height)
        for top in range(0, height, tiling.rows):
            rows = min(tiling.rows, height - top)
            # The last strip is read at full height (its border row repeated), so that the network meets one tile shape.
            taken = window.take(top - self._margin, top + tiling.rows + self._margin)
            doubled = self._double(taken, width, tiling, rows)
            del taken
            yield {key: doubled.pop(key)[: 2 * rows] for key in list(doubled)}  # whoever takes it may let go of it

    def _double(self, taken: Strip, width: int, tiling: Tiling, rows: int) -> Strip:
        size = 2 * tiling.rows, 2 * width
        out = {f.key: resample.empty(*size, len(f.channels), taken[f.key].dtype) for f in self._fields}
        tile_rows, around = tiling.tile_rows or tiling.rows, 2 * self._margin
        for top in range(0, rows, tile_rows):
            bottom = min(top + tile_rows, rows)
            band = {key: _rows(plane, top, top + tile_rows + around) for key, plane in taken.items()}
            for left in range(0, width, tiling.columns):
                right = min(left + tiling.columns, width)
                tile = {
                    key: _columns(plane, left - self._margin, left + tiling.columns + self._margin)
                    for key, plane in band.items()
                }
                done = self._double_tile(tile, (bottom - top, right - left))
                with span("assemble"):
                    for key, plane in done.items():
                        inside = plane[: 2 * (bottom - top), : 2 * (right - left)]
                        out[key][2 * top : 2 * bottom, 2 * left : 2 * right] = inside
        return out

    def _double_tile(self, tile: Mapping[str, NDArray[Any]], inside: tuple[int, int]) -> Strip:
        done: Strip = {}
        filled: Strip = {}
        for each in self._fields:
            self._watch.check()
            plane = tile[each.key]
            if each.method is Method.NEAREST or plane.dtype != np.float32:
                done[each.key] = resample.double_nearest(plane, self._margin)
            elif each.method is Method.NET or each.kind in _INTERPOLATED:
                clean = resample.by_planes(resample.fill_nonfinite(plane))
                filled[each.key] = clean
                done[each.key] = self._interpolate(each, clean)
            else:
                done[each.key] = filter_data(each.kind, plane, self._margin)
            if each.kind is Kind.MOTION:
                done[each.key] = done[each.key] * np.float32(2.0)  # its unit, the pixel, has halved
            self._count(each, plane, inside)
            self._watch.advance(inside[0] * inside[1] * effort(each))
        for each in self._fields:
            if each.alpha and each.alpha in filled and each.key in filled:
                done[each.key] = agree_with_alpha(
                    done[each.key], done[each.alpha], filled[each.key], filled[each.alpha], self._upscaler.margin
                )
        return done

    def _interpolate(self, each: Field, plane: NDArray[Any]) -> NDArray[Any]:
        """Colour, coverage and amounts, once free of NaN and Inf."""
        margin = self._upscaler.margin
        if each.kind is Kind.ALPHA:
            alphas = [plane[:, :, i : i + 1] for i in range(plane.shape[2])]
            if each.method is Method.NET:
                return np.concatenate([self._upscaler.double_alpha(alpha) for alpha in alphas], axis=2)
            return resample.double_bounded(plane, margin)
        if each.method is not Method.NET:
            if each.kind is Kind.COLOUR:
                return self._upscaler.interpolate_colour(plane)
            return resample.double_bounded(plane, margin)
        if plane.shape[2] == 3:
            return self._upscaler.double_colour(plane)
        singles = [self._upscaler.double_colour(plane[:, :, i : i + 1]) for i in range(plane.shape[2])]
        return np.concatenate(singles, axis=2)

    def _count(self, each: Field, plane: NDArray[Any], inside: tuple[int, int]) -> None:
        if self._counts is None or plane.dtype != np.float32:
            return
        m = self._margin
        bad = ~np.isfinite(plane[m : m + inside[0], m : m + inside[1]])
        for i, channel in enumerate(each.channels):
            self._counts.add(channel, int(bad[:, :, i].sum()))


_INTERPOLATED = frozenset({Kind.COLOUR, Kind.ALPHA, Kind.MASK, Kind.DENSITY})


def filter_data(kind: Kind, plane: NDArray[np.float32], margin: int) -> NDArray[np.float32]:
    """The filter of a data field: limited linear reconstruction; unit vectors keep their length."""
    doubled = resample.double_limited(plane, margin)
    if kind is Kind.UNIT_VECTOR and plane.shape[2] == 3:
        with np.errstate(invalid="ignore", over="ignore"):
            length = np.sqrt(np.sum(plane * plane, axis=2, keepdims=True))
        return resample.renormalise(doubled, resample.double_limited(length, margin))
    return doubled


def _rows(plane: NDArray[Any], top: int, bottom: int) -> NDArray[Any]:
    """:func:`_columns`, of rows."""
    return _columns(plane.transpose(1, 0, 2), top, bottom).transpose(1, 0, 2)


def _columns(plane: NDArray[Any], left: int, right: int) -> NDArray[Any]:
    """Columns ``left`` to ``right`` - 1, the border column repeated where they lie outside."""
    width = plane.shape[1]
    first, last = max(0, min(left, width - 1)), min(right, width)
    last = max(last, first + 1)
    inner = plane[:, first:last]
    return resample.pad(inner, 0, 0, first - left, right - last) if first > left or right > last else inner
