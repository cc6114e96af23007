"""Writing plates: what came in goes out, at ``scale`` times the size.

A file is written under a temporary name in the same folder, read back whole, and only then given its final name: a
full disk, a kill or a power cut leaves the final name as it was.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np

from deepupscale.errors import PlateError, UsageError, WriteError
from deepupscale.exr_header import carry_attributes
from deepupscale.plate import Limits, Plate, Rows
from deepupscale.sinks import OutputPart, Sink, open_sink
from deepupscale.temporary import temporary_name
from deepupscale.trace import span

COMPRESSIONS = (
    "none", "rle", "zip", "zips", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab", "htj2k256", "htj2k32", "zstd",
)  # fmt: skip

FAST = "fast"
_FAST_MEANS = "zip:1"  # docs/benchmarks.md says why

_APPEND_BYTES = 32 << 20  # handed to the library at once; it makes a copy
_LARGEST_HALF = 65504.0
_HALF_OVERFLOW = 65520.0  # the least float32 that rounds to infinity in half
_LEVELLED = re.compile(r"(dwaa|dwab|zip|zips):(\d{1,5})")


def check_compression(name: str) -> str:
    """What a compression is called for OpenEXR, levels included (``dwaa:45``); ``fast`` stands for another one.

    Raises:
        UsageError: OpenImageIO would silently write zip.
    """
    if name in COMPRESSIONS or _LEVELLED.fullmatch(name):
        return name
    if name == FAST:
        return _FAST_MEANS
    raise UsageError(
        f"unknown compression {name!r}: use {FAST} or one of {', '.join(COMPRESSIONS)} (dwaa:45, zip:1 set a level)"
    )


@dataclass
class Clamped:
    """Finite values that were too large for half, per channel."""

    counts: dict[str, int] = field(default_factory=dict[str, int])

    def to_half(self, name: str, rows: Rows) -> Rows:
        """float32 to half; finite overflow becomes +-65504 and is counted."""
        size = np.abs(rows)
        if float(size.max(initial=0.0)) >= _HALF_OVERFLOW or np.isnan(size).any():
            over = (size >= _HALF_OVERFLOW) & np.isfinite(rows)
            if count := int(over.sum()):
                self.counts[name] = self.counts.get(name, 0) + count
                rows = np.where(over, np.copysign(np.float32(_LARGEST_HALF), rows), rows)
        with np.errstate(over="ignore"):
            return rows.astype(np.float16)


class PlateWriter:
    """Writes one file, part after part and strip after strip. Use as a context manager.

    Leaving it without an exception verifies the file and puts it in place; leaving it with one removes every trace.

    Args:
        path: The file.
        parts: What it will hold.
        compression: Name of an OpenEXR compression, or None for each part's own.
        settings: What is noted of how it was made.
        check: Called between bands of rows; raises if the file is wanted no more.

    Raises:
        WriteError: Anything that kept the file from being whole.
    """

    def __init__(
        self,
        path: Path,
        parts: Sequence[OutputPart],
        compression: str | None,
        settings: str,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.path = path
        self.parts = parts
        self.clamped = Clamped()
        self._compression = compression
        self._settings = settings
        self._check = check
        self._temporary = temporary_name(path)
        self._scratch = self._temporary.with_suffix(".header.exr")
        self._sink: Sink

    def __enter__(self) -> PlateWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = open_sink(self._temporary, self.path, self.parts, self._compression, self._settings)
        except OSError as error:
            raise WriteError(f"{self.path}: cannot be written: {error.strerror or error}") from None
        except BaseException:
            self._discard()
            raise
        return self

    def write(self, index: int, rows: Mapping[str, Rows]) -> None:
        """Append rows to a part; parts in order, rows from the top.

        Args:
            index: Which of ``parts``.
            rows: Channel name to (rows, width), float32 or uint32.
        """
        self.append(index, self.convert(index, rows))

    def convert(self, index: int, rows: Mapping[str, Rows]) -> list[Rows]:
        """Rows in the pixel types that the file will hold, in its order of channels; see :meth:`write`."""
        part = self.parts[index]
        with span("convert"):
            return [
                self.clamped.to_half(name, rows[name]) if kind == "half" else rows[name]
                for name, kind in zip(part.channels, part.types, strict=True)
            ]

    def append(self, index: int, converted: Sequence[Rows]) -> None:
        """Append what :meth:`convert` made."""
        height, width = converted[0].shape
        fit = _APPEND_BYTES // (width * sum(channel.itemsize for channel in converted))
        band = max(64, fit // 256 * 256)  # no chunk of a file has more than 256 rows, most have 16 or 32
        for top in range(0, height, band):
            if self._check is not None:
                self._check()
            with span("encode", rows=min(band, height - top)):
                self._sink.write(index, [channel[top : top + band] for channel in converted])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._sink.abandon()
            self._discard()
            return
        try:
            with span("encode"):
                self._sink.close()
                carry_attributes([part.source.header for part in self.parts], self._temporary, self._scratch)
            with span("verify"):
                self._verify()
            with span("sync"):
                _sync(self._temporary)
                os.replace(self._temporary, self.path)
                _sync(self.path.parent)
        except PlateError as failure:
            raise self._not_whole(failure) from None
        except OSError as failure:
            raise WriteError(f"{self.path}: cannot be written: {failure.strerror or failure}") from None
        finally:
            self._discard()

    def _verify(self) -> None:
        """Read every pixel back: a full disk can go unnoticed until here."""
        with Plate(self._temporary, Limits.none()) as plate:
            if len(plate.parts) != len(self.parts):
                raise PlateError(f"{len(plate.parts)} parts instead of {len(self.parts)}")
            plate.read_through(self._check)

    def _not_whole(self, error: PlateError) -> WriteError:
        why = str(error).removeprefix(f"{self._temporary}: ")
        return WriteError(f"{self.path}: could not be written whole; is the disk full? ({why})")

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Ask the file system to keep a file or folder for good."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
