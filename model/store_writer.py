"""Writing a store of training pairs: whole or not at all.

A store is made in a hidden folder beside its place, read back, and renamed. Until then nothing stands under its name;
a full disk, an error or Ctrl-C removes the folder, and what a killed run has left is swept by the next one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from deepupscale.errors import StoreError, UsageError
from deepupscale.temporary import is_abandoned, writer
from model.store import Store
from model.store_file import import_lmdb, open_store_file
from model.store_format import (
    BEAUTY,
    DATA_FILE,
    LEVELS,
    MARGIN,
    META_KEY,
    TILE,
    Description,
    FieldSpec,
    Level,
    PairEntry,
    Plane,
    Tiles,
    check_fields,
    dataset_id,
    digest,
    table_key,
    tables,
    tile_key,
)

_FIRST_MAP = 256 << 20  # bytes; doubled whenever it is full
_OWN_FILES = frozenset({DATA_FILE, "lock.mdb"})


class StoreWriter:
    """Writes one store, pair after pair. Use as a context manager.

    Leaving it without an exception reads the store back and puts it in place; leaving it with one removes every trace.

    Args:
        path: Where the store shall stand.
        fields: What every pair has: the beauty first, the others by name.
        tile, margin: HR pixels; see :mod:`model.store_format`.
        overwrite: Whether a store that stands there is replaced. It is removed when the new one is whole.

    Raises:
        UsageError: Something stands there already, or it cannot be written there.
        StoreError: Anything that kept the store from being whole.
    """

    def __init__(
        self, path: Path, fields: Sequence[FieldSpec], tile: int = TILE, margin: int = MARGIN, overwrite: bool = False
    ) -> None:
        check_fields(fields)
        self.path = path
        self.fields = tuple(fields)
        self.tile, self.margin = tile, margin
        self.description: Description | None = None
        self._overwrite = overwrite
        self._final = Path(os.path.realpath(path))
        self._folder = self._final.with_name(f".{self._final.name}.writing-{writer()}")
        self._entries: list[PairEntry] = []
        self._seen: set[tuple[str, str, str]] = set()
        self._environment: Any = None

    def __enter__(self) -> StoreWriter:
        lmdb = import_lmdb()
        sweep(self.path)
        check_place(self.path, self._overwrite)
        try:
            self._folder.mkdir()
            # Pages are cleared before use, LMDB's default: a store holds nothing of this process's memory.
            self._environment = lmdb.open(
                str(self._folder), map_size=_FIRST_MAP, mode=0o644, lock=False, sync=False, metasync=False
            )
        except (lmdb.Error, OSError) as error:
            self._discard()
            raise StoreError(f"{self.path}: cannot be written there: {_reason(error)}") from None
        except BaseException:
            self._discard()
            raise
        return self

    def add(
        self,
        name: str,
        folder: str,
        kind: Literal["rendered", "pairs", "degraded"],
        lr: Mapping[str, Plane],
        hr: Mapping[str, Plane],
    ) -> PairEntry | None:
        """Add a pair.

        Args:
            name: Its name; need not be unique.
            folder: Name of the folder it came from.
            kind: Where it came from.
            lr: Field name to (height, width, channels) in the field's type; linear.
            hr: The same at exactly twice the size.

        Returns:
            What the description will say of it; None if the store holds the very same pair already.

        Raises:
            StoreError: It cannot be written.
        """
        height, width = lr[BEAUTY].shape[:2]
        for planes, scale in ((lr, 1), (hr, 2)):
            for field in self.fields:
                expected = (scale * height, scale * width, len(field.channels))
                if planes[field.name].shape != expected:
                    raise ValueError(f"{name}: {field.name} is {planes[field.name].shape}, expected {expected}")
        digests = digest(lr, self.fields), digest(hr, self.fields)
        entry = PairEntry(
            name=name, folder=folder, kind=kind, size=(width, height), slot=len(self._entries), lr=digests[0],
            hr=digests[1],
        )  # fmt: skip
        if entry.order in self._seen:
            return None
        for level, planes in zip(LEVELS, (lr, hr), strict=True):
            tiles = Tiles.of(entry, level, self.tile, self.margin)
            for number, field in enumerate(self.fields):
                self._put_tiles(entry.slot, level, number, tiles, planes[field.name].astype(field.stored, copy=False))
        for table, values in tables(lr[BEAUTY], hr[BEAUTY]).items():
            self._put(table_key(entry.slot, table), values.astype("<f2").tobytes())
        self._seen.add(entry.order)
        self._entries.append(entry)
        return entry

    def _put_tiles(self, slot: int, level: Level, number: int, tiles: Tiles, plane: Plane) -> None:
        for row, column in tiles:
            top, bottom, left, right = tiles.box(row, column)
            values = np.ascontiguousarray(plane[top:bottom, left:right])
            self._put(tile_key(slot, level, number, row, column), values.tobytes())

    def _put(self, key: bytes, value: bytes) -> None:
        lmdb = import_lmdb()
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    transaction.put(key, value)
                return
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            except (lmdb.Error, OSError) as error:
                raise self._not_whole(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._discard()

    def _finish(self) -> None:
        lmdb = import_lmdb()
        if not self._entries:
            raise StoreError(f"{self.path}: no store is made: there is not one pair to put in")
        entries = sorted(self._entries, key=lambda entry: entry.order)
        described = Description(
            dataset=dataset_id(self.fields, entries), tile=self.tile, margin=self.margin, fields=self.fields,
            pairs=tuple(entries),
        )  # fmt: skip
        self._put(META_KEY, described.model_dump_json().encode())
        try:
            self._environment.sync(True)
            self._environment.close()
            self._environment = None
            _sync(self._folder)
            with Store(self._folder) as written:
                written.verify()
            self._publish()
        except (lmdb.Error, OSError) as error:
            raise self._not_whole(error) from None
        except StoreError as error:
            why = str(error).removeprefix(f"{self._folder}: ")
            raise StoreError(f"{self.path}: could not be written whole; is the disk full? ({why})") from None
        self.description = described

    def _publish(self) -> None:
        """Rename. Between the two renames of an overwrite the old store stands under its hidden name only."""
        old = self._final.with_name(f".{self._final.name}.replaced-{writer()}")
        replacing = self._overwrite and self._final.exists()
        if replacing:
            self._final.rename(old)
        try:
            self._folder.rename(self._final)
        except OSError:
            if replacing:
                old.rename(self._final)
            raise
        _sync(self._final.parent)
        if replacing:
            shutil.rmtree(old, ignore_errors=True)

    def _discard(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _not_whole(self, error: Exception) -> StoreError:
        return StoreError(f"{self.path}: could not be written whole; is the disk full? ({_reason(error)})")


def check_place(path: Path, overwrite: bool) -> None:
    """Whether a store may be put there.

    Raises:
        UsageError: It may not.
    """
    if path.is_dir():
        if not overwrite:
            raise UsageError(f"{path}: exists already: name another store, or replace it with --overwrite")
        if not {entry.name for entry in path.iterdir()} <= _OWN_FILES or not _is_store(path):
            raise UsageError(f"{path}: is no store that can be read, and is not replaced: name another place")
    elif path.exists() or path.is_symlink():
        raise UsageError(f"{path}: is a file, a store is a folder: name another place")
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise UsageError(f"{path}: cannot be written there: the folder {path.parent} does not exist")


def _is_store(path: Path) -> bool:
    """Whether a folder holds a store, of whatever version; another program's LMDB is none."""
    try:
        with open_store_file(path).begin() as transaction:
            return b"deepupscale-store" in bytes(transaction.get(META_KEY) or b"")[:64]
    except (StoreError, import_lmdb().Error):
        return False


def sweep(path: Path) -> int:
    """Remove what killed runs have left beside a store's place; a store that one was replacing is put back.

    Returns:
        How many folders were dealt with.
    """
    final = Path(os.path.realpath(path))
    pattern = re.compile(rf"\.{re.escape(final.name)}\.(writing|replaced)-([A-Za-z0-9-]+-\d{{1,10}})")
    dealt = 0
    for found in sorted(final.parent.iterdir()) if final.parent.is_dir() else ():
        match = pattern.fullmatch(found.name)
        if match is None or found.is_symlink() or not found.is_dir():
            continue
        with contextlib.suppress(OSError):  # another process swept it first, or it is not ours to remove
            data = found / DATA_FILE
            being_written = match[1] == "writing" and data.exists()
            touched = data.stat().st_mtime if being_written else found.stat().st_ctime  # renamed, or just made
            if not is_abandoned(match[2], touched):
                continue
            if match[1] == "replaced" and not final.exists():
                found.rename(final)
            else:
                shutil.rmtree(found)
            dealt += 1
    return dealt


def _sync(folder: Path) -> None:
    """Ask the file system to keep a folder's names for good."""
    if os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
