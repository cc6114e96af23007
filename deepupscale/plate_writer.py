"""Writing plates: what came in goes out, at ``scale`` times the size.

A file is written under a temporary name in the same folder, read back whole, and only then given its final name: a
full disk, a kill or a power cut leaves the final name as it was. OpenImageIO writes strip by strip; files with UINT
channels, whose ids its single buffer type would break, are gathered in memory and written with the OpenEXR module.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import OpenImageIO as oiio

from deepupscale import uint_writer
from deepupscale.errors import PlateError, UsageError, WriteError
from deepupscale.plate import Part, PixelType, Plate, Rows, oiio_message

COMPRESSIONS = (
    "none", "rle", "zip", "zips", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab", "htj2k256", "htj2k32", "zstd",
)  # fmt: skip
SETTINGS_ATTRIBUTE = "deepupscale/settings"

_LARGEST_HALF = 65504.0
_HALF_OVERFLOW = 65520.0  # the least float32 that rounds to infinity in half
_LEVELLED = re.compile(r"(dwaa|dwab|zip|zips):(\d{1,5})")
_LOST_OWNER_AFTER_S = 24 * 3600.0


def check_compression(name: str) -> str:
    """The name if OpenEXR knows it (``dwaa:45`` style levels included).

    Raises:
        UsageError: OpenImageIO would silently write zip.
    """
    if name in COMPRESSIONS or _LEVELLED.fullmatch(name):
        return name
    raise UsageError(f"unknown compression {name!r}: use one of {', '.join(COMPRESSIONS)} (dwaa:45 sets a level)")


@dataclass(frozen=True)
class OutputPart:
    """One part to write.

    Attributes:
        path: The plate it comes from.
        source: The part it comes from.
        channels: Channels kept, in the source's order.
        scale: 2, 4 or 8.
    """

    path: Path
    source: Part
    channels: tuple[str, ...]
    scale: int

    @property
    def types(self) -> tuple[PixelType, ...]:
        """Pixel type of each kept channel."""
        kinds = dict(zip(self.source.channels, self.source.types, strict=True))
        return tuple(kinds[name] for name in self.channels)

    def spec(self, compression: str | None, settings: str) -> oiio.ImageSpec:
        """OpenImageIO's description of the result: the source's, with doubled windows."""
        spec = oiio.ImageSpec(self.source.spec)
        data, display = self.source.data_window.scaled(self.scale), self.source.display_window.scaled(self.scale)
        spec.x, spec.y, spec.width, spec.height = data.x, data.y, data.width, data.height
        spec.full_x, spec.full_y, spec.full_width, spec.full_height = (
            display.x,
            display.y,
            display.width,
            display.height,
        )
        kinds = self.types
        spec.nchannels = len(self.channels)
        spec.channelnames = self.channels
        spec.format = oiio.HALF if set(kinds) == {"half"} else oiio.FLOAT
        spec.channelformats = (
            tuple(oiio.HALF if kind == "half" else oiio.FLOAT for kind in kinds) if len(set(kinds)) > 1 else ()
        )
        present = {attribute.name for attribute in spec.extra_attribs}
        if "DateTime" not in present:
            spec.attribute("DateTime", "")  # else the writer stamps capDate with now, and reruns differ
        if "XResolution" in present:
            density = spec.get_float_attribute("XResolution")
            spec.attribute("XResolution", density * self.scale)
            spec.attribute("YResolution", spec.get_float_attribute("YResolution") * self.scale)
        for name in ("openexr:chunkCount", "ResolutionUnit", "oiio:RowsPerChunk", "oiio:subimages", "oiio:miplevels"):
            spec.erase_attribute(name)
        spec.attribute("openexr:lineOrder", "increasingY")
        if compression is not None:
            spec.erase_attribute("openexr:dwaCompressionLevel")
            spec.attribute("compression", compression)
        spec.attribute(SETTINGS_ATTRIBUTE, settings)
        return spec


@dataclass
class Clamped:
    """Finite values that were too large for half, per channel."""

    counts: dict[str, int] = field(default_factory=dict[str, int])

    def to_half(self, name: str, rows: Rows) -> Rows:
        """float32 to half; finite overflow becomes +-65504 and is counted."""
        over = np.isfinite(rows) & (np.abs(rows) >= _HALF_OVERFLOW)
        if over.any():
            self.counts[name] = self.counts.get(name, 0) + int(over.sum())
            rows = np.where(over, np.copysign(np.float32(_LARGEST_HALF), rows), rows)
        with np.errstate(over="ignore"):
            return rows.astype(np.float16)


class PlateWriter:
    """Writes one file, part after part and strip after strip. Use as a context manager.

    Leaving it without an exception verifies the file and puts it in place; leaving it with one removes every trace.

    Raises:
        WriteError: Anything that kept the file from being whole.
    """

    def __init__(self, path: Path, parts: Sequence[OutputPart], compression: str | None, settings: str) -> None:
        self.path = path
        self.parts = parts
        self.clamped = Clamped()
        self._temporary = temporary_name(path)
        uint = any("uint" in part.types for part in parts)
        make = _MemorySink if uint else _StreamSink
        self._sink: _Sink = make(parts, compression, settings)

    def __enter__(self) -> PlateWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._sink.open(self._temporary)
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
        part = self.parts[index]
        kinds = part.types
        converted = [
            self.clamped.to_half(name, rows[name]) if kind == "half" else rows[name]
            for name, kind in zip(part.channels, kinds, strict=True)
        ]
        self._sink.write(index, converted)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            with contextlib.suppress(WriteError):
                self._sink.close()
            self._discard()
            return
        try:
            self._sink.close()
            self._verify()
            _sync(self._temporary)
            os.replace(self._temporary, self.path)
            _sync(self.path.parent)
        except OSError as failure:
            raise WriteError(f"{self.path}: cannot be written: {failure.strerror or failure}") from None
        finally:
            self._discard()

    def _verify(self) -> None:
        """Read every pixel back: a full disk can go unnoticed until here."""
        try:
            with Plate(self._temporary) as plate:
                if len(plate.parts) != len(self.parts):
                    raise WriteError(
                        f"{self.path}: came out with {len(plate.parts)} parts instead of {len(self.parts)}"
                    )
                for part in plate.parts:
                    for _ in plate.strips(part, 256):
                        pass
        except PlateError as error:
            why = str(error).partition(": ")[2]
            raise WriteError(f"{self.path}: could not be written whole; is the disk full? ({why})") from None

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)


class _Sink:
    """Where rows go."""

    def open(self, path: Path) -> None:
        raise NotImplementedError

    def write(self, index: int, channels: Sequence[Rows]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class _StreamSink(_Sink):
    """OpenImageIO, a few rows at a time; tiled parts gather rows until a row of tiles is full."""

    def __init__(self, parts: Sequence[OutputPart], compression: str | None, settings: str) -> None:
        self._specs = [part.spec(compression, settings) for part in parts]
        self._file: Any = None
        self._path = Path()
        self._part = -1
        self._row = 0
        self._waiting: list[Rows] = []

    def open(self, path: Path) -> None:
        self._path = path
        self._file = oiio.ImageOutput.create(str(path))
        if self._file is None:
            raise WriteError(f"{path}: no writer: {oiio_message(oiio, path)}")
        if not self._file.open(str(path), self._specs):
            raise WriteError(f"{path}: cannot be created: {oiio_message(self._file, path)}")

    def write(self, index: int, channels: Sequence[Rows]) -> None:
        if index != self._part:
            self._next_part(index)
        spec = self._specs[index]
        self._waiting.append(np.stack(channels, axis=-1))
        waiting = sum(rows.shape[0] for rows in self._waiting)
        ready = waiting
        if spec.tile_width and self._row + waiting < spec.height:
            ready -= waiting % spec.tile_height
        if not ready:
            return
        rows = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting = [rows[ready:]] if ready < waiting else []
        rows = np.ascontiguousarray(rows[:ready])
        top = spec.y + self._row
        if spec.tile_width:
            done = self._file.write_tiles(spec.x, spec.x + spec.width, top, top + ready, 0, 1, rows)
        else:
            done = self._file.write_scanlines(top, top + ready, 0, rows)
        if not done:
            raise WriteError(f"{self._path}: cannot be written: {oiio_message(self._file, self._path)}")
        self._row += ready

    def _next_part(self, index: int) -> None:
        if index > 0 and not self._file.open(str(self._path), self._specs[index], "AppendSubimage"):
            raise WriteError(f"{self._path}: part {index} cannot be begun: {oiio_message(self._file, self._path)}")
        self._part, self._row, self._waiting = index, 0, []

    def close(self) -> None:
        if self._file is not None and not self._file.close():
            raise WriteError(f"{self._path}: cannot be finished: {oiio_message(self._file, self._path)}")


class _MemorySink(_Sink):
    """The OpenEXR module, for files with UINT channels: gathers everything, writes at the end."""

    def __init__(self, parts: Sequence[OutputPart], compression: str | None, settings: str) -> None:
        self._parts = parts
        self._compression = compression
        self._settings = {SETTINGS_ATTRIBUTE: settings}
        self._headers = uint_writer.read_headers(parts[0].path)
        self._rows: list[list[list[Rows]]] = [[[] for _ in part.channels] for part in parts]
        self._path = Path()

    def open(self, path: Path) -> None:
        self._path = path

    def write(self, index: int, channels: Sequence[Rows]) -> None:
        for gathered, rows in zip(self._rows[index], channels, strict=True):
            gathered.append(np.ascontiguousarray(rows))

    def close(self) -> None:
        headers = [
            uint_writer.header_for(
                self._headers[part.source.index],
                part.source.data_window.scaled(part.scale),
                part.source.display_window.scaled(part.scale),
                part.scale,
                self._compression,
                self._settings,
            )
            for part in self._parts
        ]
        planes = [
            {name: np.concatenate(strips) for name, strips in zip(part.channels, rows, strict=True)}
            for part, rows in zip(self._parts, self._rows, strict=True)
        ]
        uint_writer.write_file(self._path, headers, planes)


def temporary_name(path: Path) -> Path:
    """A hidden name beside the final one that tells who writes it; it ends in .exr, or no writer would be found."""
    host = re.sub(r"[^A-Za-z0-9-]", "", socket.gethostname())[:32] or "host"
    return path.with_name(f".{path.stem}.writing-{host}-{os.getpid()}.exr")


def sweep_stale(folder: Path) -> int:
    """Remove temporary files whose writer is gone: a dead process of this host, or any host's after a day.

    Returns:
        How many were removed.
    """
    host = temporary_name(Path("x.exr")).name.removeprefix(".x.writing-").rpartition("-")[0]
    removed = 0
    for found in folder.glob(".*.writing-*-*.exr"):
        match = re.fullmatch(r"\..*\.writing-([A-Za-z0-9-]+)-(\d{1,10})\.exr", found.name)
        if match is None or found.is_symlink():
            continue
        try:
            old = time.time() - found.stat().st_mtime > _LOST_OWNER_AFTER_S
            if old or (match[1] == host and not _alive(int(match[2]))):
                found.unlink()
                removed += 1
        except OSError:
            continue  # another process swept it first, or it is not ours to remove
    return removed


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync(path: Path) -> None:
    """Ask the file system to keep a file or folder for good."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
