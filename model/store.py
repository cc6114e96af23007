"""Reading a store of training pairs: crops by pair and place, and a check of every value.

The format is described in :mod:`model.store_format`. A store can be handed to worker processes, forked or spawned:
it is pickled as its path, and opened anew by whoever uses it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepupscale.errors import StoreError
from deepupscale.fields import Kind
from model.store_file import StoreFile, open_store_file
from model.store_format import (
    BEAUTY,
    LEVELS,
    META_KEY,
    Box,
    Description,
    FieldSpec,
    Level,
    PairEntry,
    Plane,
    TableName,
    Tiles,
    digest,
    table_key,
    table_shape,
    tables,
    tile_key,
)


@dataclass(frozen=True)
class Crop:
    """The same place of one pair at both levels.

    Attributes:
        lr: Field name to (side + 2 context, side + 2 context, channels); beyond the frame its border is repeated.
        hr: Field name to (2 side, 2 side, channels): what lies under LR without its context.
        kinds: Field name to kind.

    Arrays are as stored, linear: float16, or float32 for distances and motion. They are copies and may be written to.
    """

    lr: dict[str, Plane]
    hr: dict[str, Plane]
    kinds: dict[str, Kind]


class Store:
    """A store, open for reading. May be used as a context manager, by several threads, and in worker processes.

    Args:
        path: The folder that ``deepupscale pack`` has made.

    Raises:
        StoreError: Not a store, another version, cut short, or a description that does not hold together.
        MissingExtraError: LMDB is not installed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file: StoreFile | None = None
        self._known: Description | None = None
        self._expected: str | None = None
        _ = self.description

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "expected": self.dataset}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self._expected = state["path"], state["expected"]
        self._file, self._known = None, None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; using the store again opens it again."""
        self._file = None

    @property
    def description(self) -> Description:
        """What the store says of itself."""
        if self._known is None:
            with self._begin() as transaction:
                data = transaction.get(META_KEY)
                if data is None:
                    raise StoreError(f"{self.path}: is not a store of training pairs: it has no description")
                known = Description.from_json(bytes(data), self.path)
            if self._expected not in (None, known.dataset):
                raise StoreError(f"{self.path}: has been replaced by another dataset while it was in use")
            self._known = known
        return self._known

    @property
    def dataset(self) -> str:
        """The dataset's id, a SHA-256."""
        return self.description.dataset

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        """What every pair has, the beauty first."""
        return self.description.fields

    @property
    def pairs(self) -> tuple[PairEntry, ...]:
        """All pairs, by name; a pair's number is its place here."""
        return self.description.pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def crop(self, pair: int, y: int, x: int, side: int, context: int = 0, fields: Sequence[str] = (BEAUTY,)) -> Crop:
        """Cut one square out of a pair.

        A crop that lies in one tile is read from it alone; a larger one is put together from the cores it touches.

        Args:
            pair: Number of the pair.
            y, x: Top left corner in LR pixels, inside the frame as the whole square must be.
            side: LR pixels.
            context: LR pixels more on every side, of LR only; the frame's border is repeated beyond it.
            fields: Names of fields.

        Raises:
            ValueError: A place outside the frame, or a field that the store does not have.
            StoreError: A value is missing or cut short, or a pixel is NaN or Inf.
        """
        entry = self.pairs[pair]
        width, height = entry.size
        if side < 1 or context < 0 or not (0 <= y <= height - side and 0 <= x <= width - side):
            raise ValueError(
                f"no square of {side} pixels at row {y}, column {x}, with {context} of context: "
                f"{entry.name} is {width}x{height}"
            )
        numbers = {name: self._number(name) for name in fields}
        around = (y - context, y + side + context, x - context, x + side + context)
        under = (2 * y, 2 * (y + side), 2 * x, 2 * (x + side))
        with self._begin() as transaction:
            lr = {name: self._cut(transaction, entry, "lr", number, around) for name, number in numbers.items()}
            hr = {name: self._cut(transaction, entry, "hr", number, under) for name, number in numbers.items()}
        for name in fields:
            if not (_is_finite(lr[name]) and _is_finite(hr[name])):
                raise StoreError(
                    f"{self.path}: {entry.name} holds NaN or Inf in {name}: pack it again, which leaves such pairs out"
                )
        return Crop(lr, hr, {name: self.fields[number].kind for name, number in numbers.items()})

    def plane(self, pair: int, level: Level, field: str = BEAUTY) -> Plane:
        """A whole field, (height, width, channels) as stored."""
        entry = self.pairs[pair]
        height, width = entry.shape(level)
        with self._begin() as transaction:
            return self._assembled(transaction, entry, level, self._number(field), (0, height, 0, width))

    def table(self, pair: int, name: TableName) -> NDArray[np.float16]:
        """A table of the pair, row by row in squares of 32 HR pixels: see :mod:`model.store_format`."""
        entry = self.pairs[pair]
        shape = table_shape(entry)
        with self._begin() as transaction:
            data = self._value(transaction, table_key(entry.slot, name), 2 * shape[0] * shape[1], entry)
            table = np.frombuffer(data, "<f2").reshape(shape).astype(np.float16)
        if not np.isfinite(table).all():
            raise StoreError(f"{self.path}: the {name} table of {entry.name} is damaged: pack it again")
        return table

    def verify(self, told: Callable[[str], None] | None = None) -> None:
        """Read every value: digests, what the tiles repeat of their neighbours, tables, nothing left over.

        Holds one pair in memory.

        Args:
            told: Told the name of each pair before it is read.

        Raises:
            StoreError: The first thing that is wrong.
        """
        description = self.description
        keys = 1
        for number, entry in enumerate(self.pairs):
            if told is not None:
                told(entry.name)
            colour: dict[Level, Plane] = {}
            for level in LEVELS:
                planes = {field.name: self.plane(number, level, field.name) for field in self.fields}
                if digest(planes, self.fields) != (entry.lr if level == "lr" else entry.hr):
                    raise StoreError(
                        f"{self.path}: the {level.upper()} pixels of {entry.name} are damaged: pack it again"
                    )
                colour[level] = planes[BEAUTY]
                tiles = Tiles.of(entry, level, description.tile, description.margin)
                for index, field in enumerate(self.fields):
                    self._verify_tiles(entry, level, index, tiles, planes[field.name])
                keys += tiles.rows * tiles.columns * len(self.fields)
            # Tables are no part of the digest: another machine's logarithm may round its last bit otherwise.
            for name, expected in tables(colour["lr"], colour["hr"]).items():
                if not np.allclose(self.table(number, name), expected, rtol=2e-3, atol=1e-6):
                    raise StoreError(f"{self.path}: the {name} table of {entry.name} is damaged: pack it again")
                keys += 1
        if self._opened().entries() != keys:
            raise StoreError(f"{self.path}: holds {self._opened().entries()} values where its description knows {keys}")

    def _verify_tiles(self, entry: PairEntry, level: Level, number: int, tiles: Tiles, plane: Plane) -> None:
        with self._begin() as transaction:
            for row, column in tiles:
                top, bottom, left, right = tiles.box(row, column)
                tile = self._tile(transaction, entry, level, number, tiles, row, column)
                if tile.tobytes() != plane[top:bottom, left:right].tobytes():
                    raise StoreError(
                        f"{self.path}: the margin of a tile of {entry.name} is damaged ({level}, row {row}, "
                        f"column {column}): pack it again"
                    )

    def _number(self, name: str) -> int:
        for number, field in enumerate(self.fields):
            if field.name == name:
                return number
        raise ValueError(f"{self.path} has no field {name}: it has {', '.join(field.name for field in self.fields)}")

    def _cut(self, transaction: Any, entry: PairEntry, level: Level, number: int, box: Box) -> Plane:
        """A box that may reach beyond the frame; a copy."""
        height, width = entry.shape(level)
        top, bottom, left, right = box
        inside = (max(top, 0), min(bottom, height), max(left, 0), min(right, width))
        tiles = Tiles.of(entry, level, self.description.tile, self.description.margin)
        row, column = (inside[0] + inside[1]) // 2 // tiles.tile, (inside[2] + inside[3]) // 2 // tiles.tile
        held = tiles.box(row, column)
        if held[0] <= inside[0] and inside[1] <= held[1] and held[2] <= inside[2] and inside[3] <= held[3]:
            tile = self._tile(transaction, entry, level, number, tiles, row, column)
            found = tile[inside[0] - held[0] : inside[1] - held[0], inside[2] - held[2] : inside[3] - held[2]]
        else:
            found = self._assembled(transaction, entry, level, number, inside)
        beyond = ((inside[0] - top, bottom - inside[1]), (inside[2] - left, right - inside[3]), (0, 0))
        if any(side for pair in beyond for side in pair):
            return np.pad(found, beyond, mode="edge")
        return np.array(found, found.dtype.newbyteorder("="), order="C")

    def _assembled(self, transaction: Any, entry: PairEntry, level: Level, number: int, box: Box) -> Plane:
        """A box inside the frame, out of the cores of all tiles it touches."""
        top, bottom, left, right = box
        field = self.fields[number]
        tiles = Tiles.of(entry, level, self.description.tile, self.description.margin)
        plane = np.empty((bottom - top, right - left, len(field.channels)), field.stored.newbyteorder("="))
        for row in range(top // tiles.tile, (bottom - 1) // tiles.tile + 1):
            for column in range(left // tiles.tile, (right - 1) // tiles.tile + 1):
                core, held = tiles.core(row, column), tiles.box(row, column)
                y0, y1, x0, x1 = max(core[0], top), min(core[1], bottom), max(core[2], left), min(core[3], right)
                tile = self._tile(transaction, entry, level, number, tiles, row, column)
                plane[y0 - top : y1 - top, x0 - left : x1 - left] = tile[
                    y0 - held[0] : y1 - held[0], x0 - held[2] : x1 - held[2]
                ]
        return plane

    def _tile(
        self, transaction: Any, entry: PairEntry, level: Level, number: int, tiles: Tiles, row: int, column: int
    ) -> Plane:
        """One tile: a view of the file's memory, valid while the transaction lives."""
        field = self.fields[number]
        top, bottom, left, right = tiles.box(row, column)
        shape = (bottom - top, right - left, len(field.channels))
        length = field.stored.itemsize * shape[0] * shape[1] * shape[2]
        data = self._value(transaction, tile_key(entry.slot, level, number, row, column), length, entry)
        return np.frombuffer(data, field.stored).reshape(shape)

    def _value(self, transaction: Any, key: bytes, length: int, entry: PairEntry) -> memoryview:
        data = transaction.get(key)
        if data is None or len(data) != length:
            what = "is missing" if data is None else f"has {len(data)} of {length} bytes"
            raise StoreError(f"{self.path}: is damaged: {key.decode()} of {entry.name} {what}: pack it again")
        return data

    @contextlib.contextmanager
    def _begin(self) -> Any:
        """A transaction; LMDB's complaints become ours."""
        from model.store_file import import_lmdb

        try:
            with self._opened().begin() as transaction:
                yield transaction
        except import_lmdb().Error as error:
            raise StoreError(f"{self.path}: is damaged: {error}") from None

    def _opened(self) -> StoreFile:
        if self._file is None:
            self._file = open_store_file(self.path)
        return self._file


def _is_finite(plane: Plane) -> bool:
    """Whether no value is NaN or Inf, by their bits: for half that is twenty times as fast as by numpy's isfinite."""
    bits = plane.view(plane.dtype.str.replace("f", "u"))
    magnitude, infinity = (0x7FFF, 0x7C00) if plane.dtype.itemsize == 2 else (0x7FFFFFFF, 0x7F800000)
    return int((bits & magnitude).max()) < infinity
