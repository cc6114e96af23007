"""The LMDB file of a store, opened for reading: once in a process, anew after a fork, never beyond its end.

The environment is opened without locks. That is safe here for the one reason that a store is never written after it
was published: it is made under another name and renamed. LMDB allows an environment to be open once in a process, so
all readers of one file share it; and one that was opened before a fork is not used after it.

LMDB maps the file and trusts it: a page beyond its end kills the process with a bus error. So the two meta pages are
looked at first (``struct MDB_meta`` of LMDB 0.9), and a file that is shorter than it says is refused. What lies in the
other pages is not checked by LMDB: open stores only of people whose code you would run.
"""

from __future__ import annotations

import os
import struct
import threading
import weakref
from pathlib import Path
from typing import Any

from deepupscale.errors import MissingExtraError, StoreError
from model.store_format import DATA_FILE

_MAGIC, _DATA_VERSION = 0xBEEFC0DE, 1
_META_PAGE, _PAGE_HEADER = 0x08, struct.Struct("<QHHHH")  # number, padding, flags, lower, upper
_META = struct.Struct("<IIQQ48s48sQQ")  # magic, version, address, map size, two databases, last page, transaction
_PAGE_SIZES = frozenset(1 << bits for bits in range(9, 17))


def import_lmdb() -> Any:
    """The package.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import lmdb
    except ImportError:
        raise MissingExtraError("deepupscale pack", "lmdb", "data") from None
    return lmdb


class StoreFile:
    """The open file. Readers hold it; when the last lets go of it, it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = 0
        self._environment: Any = None
        self._open()

    def begin(self) -> Any:
        """A transaction that hands out the file's own memory; use as a context manager. Threads each take their own."""
        if self._pid != os.getpid():
            with _lock:
                if self._pid != os.getpid():
                    self._open()
        return self._environment.begin(buffers=True)

    def entries(self) -> int:
        """How many keys there are."""
        with self.begin() as transaction:
            return int(transaction.stat()["entries"])

    def _open(self) -> None:
        lmdb = import_lmdb()
        if self._environment is not None:
            self._environment.close()  # the parent's: this closes only our copies of its descriptor and its map
            self._environment = None
        _refuse_short_file(self.path)
        try:
            self._environment = lmdb.open(
                str(self.path), readonly=True, lock=False, readahead=False, create=False, max_spare_txns=16
            )
        except (lmdb.Error, OSError) as error:
            raise StoreError(f"{self.path}: cannot be opened as a store: {error}") from None
        self._pid = os.getpid()


_lock = threading.Lock()
_open_files: weakref.WeakValueDictionary[tuple[int, int], StoreFile] = weakref.WeakValueDictionary()


def open_store_file(path: Path) -> StoreFile:
    """The store's file, shared with every other reader in this process.

    Raises:
        StoreError: There is no store, or its file is foreign or cut short.
        MissingExtraError: LMDB is not installed.
    """
    import_lmdb()
    if not path.is_dir():
        if path.exists():
            raise StoreError(f"{path}: is a file, a store is a folder: name what deepupscale pack has made")
        raise StoreError(f"{path}: there is no such store: make it with deepupscale pack")
    try:
        found = (path / DATA_FILE).stat()
    except OSError as error:
        raise StoreError(f"{path}: is not a store ({DATA_FILE}: {error.strerror or error})") from None
    with _lock:
        key = (found.st_dev, found.st_ino)
        file = _open_files.get(key)
        if file is None:
            file = _open_files[key] = StoreFile(path)
        return file


def _forget_lock() -> None:
    """A lock that another thread held at the fork would stay locked in the child."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


def _refuse_short_file(folder: Path) -> None:
    """Look at both meta pages: what they claim must be in the file."""
    path = folder / DATA_FILE
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            page_size, last = _meta(file.read(_PAGE_HEADER.size + _META.size), folder)
            file.seek(page_size)
            other_size, other_last = _meta(file.read(_PAGE_HEADER.size + _META.size), folder)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from None
    needed = (max(last, other_last) + 1) * page_size
    if other_size != page_size:
        raise StoreError(f"{folder}: is damaged: its two headers disagree about the size of a page")
    if size < needed:
        raise StoreError(f"{folder}: is cut short: {DATA_FILE} has {size} of {needed} bytes; copy or pack it again")


def _meta(data: bytes, folder: Path) -> tuple[int, int]:
    """Page size and last page of a meta page."""
    if len(data) < _PAGE_HEADER.size + _META.size:
        raise StoreError(f"{folder}: is not a store, or cut short: {DATA_FILE} ends in its header")
    flags = _PAGE_HEADER.unpack_from(data)[2]
    magic, version, _, _, free, _, last, _ = _META.unpack_from(data, _PAGE_HEADER.size)
    page_size = int.from_bytes(free[:4], "little")
    if not flags & _META_PAGE or magic != _MAGIC or version != _DATA_VERSION or page_size not in _PAGE_SIZES:
        raise StoreError(f"{folder}: is not a store: {DATA_FILE} is not an LMDB file of this kind of machine")
    if last >= 1 << 48:
        raise StoreError(f"{folder}: is damaged: {DATA_FILE} claims {last} pages")
    return page_size, last
