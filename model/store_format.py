"""What a store of training pairs is: its description, how planes are cut into tiles, keys, digests.

A store is a folder with one LMDB file, ``data.mdb``, in which lie

    meta                                 the description, one JSON document (:class:`Description`)
    <slot>/intensity                     the pair's intensity table (:func:`intensity_table`)
    <slot>/detail                        the pair's detail table (:func:`detail_table`)
    <slot>/<lr|hr>/<field>/<row>.<column>    one tile of one field: raw values, (height, width, channels), row by row

with slot, field, row and column as decimal numbers. Values are little-endian and not compressed: light as *linear*
half, which costs 0.05 % at worst where half floats of the compressed range would cost 0.35 %, and leaves the transfer
open. Distances and motion are float32. A field has tiles of its own, so what is not asked for is not read.

A tile is a core of ``tile`` HR pixels a side with ``margin`` more on every side, clipped at the frame; the LR tile is
the same place at half the size. A crop whose HR side is at most 2 * margin - 4 * context, and whose centre lies in the
core, therefore comes from one tile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deepupscale.errors import StoreError
from deepupscale.fields import Kind
from deepupscale.range_compression import RangeCompression
from deepupscale.resample import double, pad
from model import upsample

VERSION = 2
TILE, MARGIN = 512, 128  # HR pixels
SQUARE = 32  # HR pixels a side of the squares that the tables have means of
BEAUTY = "rgb"
DATA_FILE = "data.mdb"
META_KEY = b"meta"
LARGEST_META = 128 << 20  # bytes

Level = Literal["lr", "hr"]
LEVELS: tuple[Level, Level] = ("lr", "hr")
TableName = Literal["intensity", "detail"]
TABLES: tuple[TableName, ...] = ("intensity", "detail")
Plane = NDArray[Any]
Box = tuple[int, int, int, int]  # top, bottom, left, right; bottom and right exclusive

# Kinds that a store holds, with the type of their values: those whose geometry under a flip is known.
DTYPE_OF_KIND: Mapping[Kind, Literal["half", "float"]] = {
    Kind.COLOUR: "half",
    Kind.ALPHA: "half",
    Kind.MASK: "half",
    Kind.UNIT_VECTOR: "half",
    Kind.DISTANCE: "float",
    Kind.MOTION: "float",
}
CHANNELS_OF_KIND: Mapping[Kind, int] = {Kind.UNIT_VECTOR: 3, Kind.MOTION: 2}

_CURVE = RangeCompression()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldSpec(_Strict):
    """One field that every pair of the store has."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. :-]{0,99}$")]
    """``rgb`` for the beauty, ``alpha`` for its alpha, else the layer's name, as in ``N`` or ``forward``."""
    kind: Kind
    """What the values are; one of ``DTYPE_OF_KIND``."""
    channels: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(min_length=1, max_length=8)
    """Components in the order of the last axis: R, G, B; X, Y, Z; u, v."""
    dtype: Literal["half", "float"]
    """Half or float32, little-endian."""

    @model_validator(mode="after")
    def _is_known(self) -> FieldSpec:
        if self.kind not in DTYPE_OF_KIND:
            raise ValueError(f"a store holds no fields of kind {self.kind}")
        if CHANNELS_OF_KIND.get(self.kind, len(self.channels)) != len(self.channels):
            raise ValueError(f"{self.name}: a {self.kind} has {CHANNELS_OF_KIND[self.kind]} channels")
        return self

    @property
    def stored(self) -> np.dtype[Any]:
        """The type as it lies in the file."""
        return np.dtype("<f2" if self.dtype == "half" else "<f4")


class PairEntry(_Strict):
    """One pair."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    folder: Annotated[str, Field(max_length=200)]
    """Name of the folder it came from, without the path to it."""
    kind: Literal["rendered", "pairs", "degraded"]
    """Rendered twice by this project, found as a pair, or made from HR alone."""
    size: tuple[Annotated[int, Field(ge=1, le=65536)], Annotated[int, Field(ge=1, le=65536)]]
    """Width and height of LR in pixels; HR is exactly twice that."""
    slot: int = Field(ge=0, lt=1 << 24)
    """The number in its keys."""
    lr: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of its LR planes (:func:`digest`)."""
    hr: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of its HR planes."""

    @property
    def order(self) -> tuple[str, str, str]:
        """What pairs are sorted by: a pair has the same number in any store of the same content."""
        return self.name, self.lr, self.hr

    def shape(self, level: Level) -> tuple[int, int]:
        """Height and width in pixels of that level."""
        scale = 2 if level == "hr" else 1
        return self.size[1] * scale, self.size[0] * scale


class Description(_Strict):
    """The whole document."""

    format: Literal["deepupscale-store"] = "deepupscale-store"
    version: Literal[2] = VERSION
    dataset: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The dataset's id (:func:`dataset_id`)."""
    tile: int = Field(ge=64, le=4096, multiple_of=2)
    margin: int = Field(ge=0, le=1024, multiple_of=2)
    fields: tuple[FieldSpec, ...] = Field(min_length=1, max_length=64)
    pairs: tuple[PairEntry, ...] = Field(min_length=1, max_length=200_000)

    @model_validator(mode="after")
    def _agrees(self) -> Description:
        check_fields(self.fields)
        if len({pair.slot for pair in self.pairs}) != len(self.pairs):
            raise ValueError("two pairs have the same slot")
        orders = [pair.order for pair in self.pairs]
        if any(a >= b for a, b in pairwise(orders)):
            raise ValueError("the pairs are not in order")
        if self.dataset != dataset_id(self.fields, self.pairs):
            raise ValueError("the dataset id is not that of the pairs")
        return self

    @classmethod
    def from_json(cls, data: bytes, source: object) -> Description:
        """Read a stored document.

        Raises:
            StoreError: Not a store's, another version, or a value out of bounds.
        """
        if len(data) > LARGEST_META:
            raise StoreError(f"{source}: its description is {len(data)} bytes long, the limit is {LARGEST_META}")
        try:
            head = _Head.model_validate_json(data)
            if head.version != VERSION:
                raise StoreError(
                    f"{source}: is a store of version {head.version}, this deepupscale reads {VERSION}: pack it again"
                )
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "document"
            raise StoreError(
                f"{source}: its description is not valid ({where}: {first['msg']}): pack it again"
            ) from None


class _Head(BaseModel):
    """What every version has."""

    format: Literal["deepupscale-store"]
    version: int = Field(ge=1)


def check_fields(fields: Sequence[FieldSpec]) -> None:
    """The beauty first, the others by name, none twice.

    Raises:
        ValueError: Anything else.
    """
    names = [field.name for field in fields]
    if names[:1] != [BEAUTY] or fields[0].kind is not Kind.COLOUR or len(fields[0].channels) != 3:
        raise ValueError(f"the first field is not {BEAUTY}: colour of three channels")
    if any(a >= b for a, b in pairwise(names[1:])) or BEAUTY in names[1:]:
        raise ValueError("the fields are not in order")


def dataset_id(fields: Sequence[FieldSpec], pairs: Sequence[PairEntry]) -> str:
    """SHA-256 over what the store holds: fields, and each pair's name, size and digests, sorted by name and digests.

    Where the pairs came from, the order they were packed in and the size of the tiles do not count.
    """
    content = {
        "format": "deepupscale-store",
        "version": VERSION,
        "fields": [[f.name, f.kind.value, list(f.channels), f.dtype] for f in fields],
        "pairs": [[p.name, *p.size, p.lr, p.hr] for p in sorted(pairs, key=lambda pair: pair.order)],
    }
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def digest(planes: Mapping[str, Plane], fields: Sequence[FieldSpec]) -> str:
    """SHA-256 over one level of a pair: each field's name, type and shape, then its values as they are stored."""
    running = hashlib.sha256()
    for field in fields:
        plane = np.ascontiguousarray(planes[field.name], field.stored)
        running.update(json.dumps([field.name, field.dtype, list(plane.shape)]).encode() + b"\n")
        running.update(memoryview(cast(Any, plane)).cast("B"))
    return running.hexdigest()


@dataclass(frozen=True)
class Tiles:
    """How one level of one pair is cut. All numbers are pixels of that level.

    Attributes:
        height, width: The plane.
        tile: Side of the cores.
        margin: What a tile has beyond its core, inside the plane.
    """

    height: int
    width: int
    tile: int
    margin: int

    @classmethod
    def of(cls, pair: PairEntry, level: Level, tile: int, margin: int) -> Tiles:
        """The tiles of a pair; ``tile`` and ``margin`` in HR pixels, as the description has them."""
        scale = 1 if level == "hr" else 2
        return cls(*pair.shape(level), tile // scale, margin // scale)

    @property
    def rows(self) -> int:
        return -(-self.height // self.tile)

    @property
    def columns(self) -> int:
        return -(-self.width // self.tile)

    def core(self, row: int, column: int) -> Box:
        """The part of the plane that is this tile's alone."""
        top, left = row * self.tile, column * self.tile
        return top, min(top + self.tile, self.height), left, min(left + self.tile, self.width)

    def box(self, row: int, column: int) -> Box:
        """The part of the plane that the tile holds."""
        top, bottom, left, right = self.core(row, column)
        return (
            max(top - self.margin, 0),
            min(bottom + self.margin, self.height),
            max(left - self.margin, 0),
            min(right + self.margin, self.width),
        )

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Row and column of every tile."""
        return ((row, column) for row in range(self.rows) for column in range(self.columns))


def tile_key(slot: int, level: Level, field: int, row: int, column: int) -> bytes:
    """Key of one tile; ``field`` counts from 0 in the description's order."""
    return f"{slot:08d}/{level}/{field:02d}/{row:04d}.{column:04d}".encode()


def table_key(slot: int, table: TableName) -> bytes:
    """Key of a table of a pair."""
    return f"{slot:08d}/{table}".encode()


def table_shape(pair: PairEntry) -> tuple[int, int]:
    """Rows and columns of a pair's tables; squares at the bottom and right may be cut off by the frame."""
    height, width = pair.shape("hr")
    return -(-height // SQUARE), -(-width // SQUARE)


def intensity_table(hr: Plane) -> NDArray[np.float16]:
    """Mean compressed intensity, T(max(R, G, B)), in squares of 32 HR pixels.

    Args:
        hr: (height, width, 3), scene-linear, finite.

    Returns:
        (ceil(height / 32), ceil(width / 32)) half.
    """
    return _means(_CURVE.compress(hr.max(axis=2)))


def detail_table(lr: Plane, hr: Plane) -> NDArray[np.float16]:
    """What cubic interpolation of LR misses of HR: mean absolute difference in the compressed range, over squares.

    Args:
        lr: (height, width, 3), scene-linear; what is not finite counts as 0.
        hr: The same at twice the size.

    Returns:
        As :func:`intensity_table`.
    """
    context = upsample.MARGIN
    low, high = (
        _CURVE.compress(np.nan_to_num(plane.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)) for plane in (lr, hr)
    )
    padded = pad(low, context, context, context, context)
    missed = np.abs(double(padded, context, upsample.UPSAMPLE) - high)
    return _means(missed.mean(axis=2))


def tables(lr: Plane, hr: Plane) -> dict[TableName, NDArray[np.float16]]:
    """All tables of a pair, by name."""
    return {"intensity": intensity_table(hr), "detail": detail_table(lr, hr)}


def _means(values: Plane) -> NDArray[np.float16]:
    """Mean over squares of 32 pixels."""
    down, across = range(0, values.shape[0], SQUARE), range(0, values.shape[1], SQUARE)
    sums = np.add.reduceat(np.add.reduceat(values.astype(np.float64), down, axis=0), across, axis=1)
    areas = np.outer(*(np.diff([*starts, end]) for starts, end in zip((down, across), values.shape, strict=True)))
    return (sums / areas).astype(np.float16)
