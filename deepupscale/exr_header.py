"""Headers of OpenEXR files as their bytes lie in the file (OpenEXR file layout, "Header" and "Attribute layout").

OpenImageIO carries almost every attribute, but not all: types it does not know, empty strings, vectors it takes for
another type, environment maps. This module reads attributes without understanding them, and puts those of a plate into
the header of its result, so that what comes in comes out to the byte. It also tells what a file claims of its size
before a decoder sees it.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deepupscale.errors import PlateError

MAGIC = b"\x76\x2f\x31\x01"
_MULTIPART, _LONG_NAMES = 0x1000, 0x400
_LONGEST_NAME = 255
_MOST_BYTES = 64 << 20

# What describes a result's own pixels: taken from the result. Everything else comes from the plate.
OWN = frozenset(
    {
        "channels", "chunkCount", "compression", "dataWindow", "deepupscale/settings", "displayWindow",
        "dwaCompressionLevel", "lineOrder", "preview", "tiles", "type", "xDensity",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Attribute:
    """A header attribute: the name of its type and its bytes."""

    kind: bytes
    value: bytes


PartHeader = dict[bytes, Attribute]


@dataclass(frozen=True)
class Headers:
    """All headers of a file.

    Attributes:
        flags: The version field.
        parts: Attributes by name, for each part.
        end: Where the headers end and the table of chunk offsets begins, in bytes.
    """

    flags: int
    parts: list[PartHeader]
    end: int


def read_headers(path: Path, most_parts: int = 1 << 20) -> Headers:
    """Read every header of a file.

    Raises:
        PlateError: It is cut short, or no OpenEXR file.
    """
    try:
        with path.open("rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size, most_parts)
    except OSError as error:
        raise PlateError(f"{path}: cannot be read: {error.strerror or error}") from None
    except _DamagedError as error:
        raise PlateError(f"{path}: its header is damaged: {error}") from None


def window(header: PartHeader, name: bytes) -> tuple[int, int, int, int] | None:
    """A window attribute as (x0, y0, x1, y1), inclusive; None if it is not there or no box2i."""
    found = header.get(name)
    return struct.unpack("<4i", found.value) if found and found.kind == b"box2i" and len(found.value) == 16 else None


def is_subsampled(header: PartHeader) -> bool:
    """Whether some channel has fewer samples than the part has pixels (``chlist``: name, type, pLinear, samplings)."""
    data = header[b"channels"].value if b"channels" in header else b""
    at = 0
    while (end := data.find(b"\0", at)) > at and end + 17 <= len(data):
        if data[end + 9 : end + 17] != struct.pack("<ii", 1, 1):
            return True
        at = end + 17
    return False


def carry_attributes(sources: Sequence[PartHeader], path: Path, scratch: Path) -> None:
    """Give a result the attributes of the plate it came from, except those that describe its own pixels.

    The file is left alone if it has them already; else it is written anew with its chunk offsets moved along.

    Args:
        sources: The plate's header for each part of the result.
        path: The result; replaced.
        scratch: A file name beside it to write to first.

    Raises:
        PlateError: The result's own header is damaged.
        OSError: The new file cannot be written.
    """
    found = read_headers(path)
    wanted = [_merged(source, own) for source, own in zip(sources, found.parts, strict=True)]
    if wanted == found.parts:
        return
    flags = found.flags
    if any(len(name) > 31 for part in wanted for name in part):
        flags |= _LONG_NAMES
    head = MAGIC + struct.pack("<I", flags) + b"".join(_packed(part) for part in wanted)
    head += b"\0" if flags & _MULTIPART else b""
    try:
        with path.open("rb") as old, scratch.open("xb") as new:
            old.seek(found.end)
            new.write(head)
            _move_offsets(old, new, found.end, len(head) - found.end)
            shutil.copyfileobj(old, new, 16 << 20)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _merged(source: Mapping[bytes, Attribute], own: Mapping[bytes, Attribute]) -> PartHeader:
    kept = {name: attribute for name, attribute in own.items() if name.decode("latin-1") in OWN}
    return kept | {name: attribute for name, attribute in source.items() if name.decode("latin-1") not in OWN}


def _packed(part: PartHeader) -> bytes:
    fields = (name + b"\0" + a.kind + b"\0" + struct.pack("<i", len(a.value)) + a.value for name, a in part.items())
    return b"".join(fields) + b"\0"


def _move_offsets(old: BinaryIO, new: BinaryIO, start: int, by: int) -> None:
    """Copy the table of chunk offsets, every entry moved; it ends where the first chunk begins."""
    first, at = 1 << 63, start
    while at < first:
        (offset,) = struct.unpack("<Q", old.read(8))
        first = min(first, offset)
        new.write(struct.pack("<Q", offset + by))
        at += 8


class _DamagedError(Exception):
    pass


def _read(file: BinaryIO, size: int, most_parts: int) -> Headers:
    if file.read(4) != MAGIC:
        raise _DamagedError("it does not begin as OpenEXR files do")
    (flags,) = struct.unpack("<I", _exactly(file, 4))
    parts: list[PartHeader] = []
    while True:
        part = _read_part(file, size)
        if not part and flags & _MULTIPART and parts:
            break
        parts.append(part)
        if not flags & _MULTIPART:
            break
        if len(parts) > most_parts:
            raise _DamagedError(f"more than {most_parts} parts")
    return Headers(flags, parts, file.tell())


def _read_part(file: BinaryIO, size: int) -> PartHeader:
    part: PartHeader = {}
    while name := _text(file):
        kind = _text(file)
        (length,) = struct.unpack("<i", _exactly(file, 4))
        if length < 0 or file.tell() + length > min(size, _MOST_BYTES):
            raise _DamagedError(f"an attribute claims {length} bytes")
        part[name] = Attribute(kind, _exactly(file, length))
    return part


def _text(file: BinaryIO) -> bytes:
    """A zero-terminated name."""
    text = bytearray()
    while (byte := _exactly(file, 1)) != b"\0":
        text += byte
        if len(text) > _LONGEST_NAME:
            raise _DamagedError("a name has no end")
    return bytes(text)


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise _DamagedError("it is cut short")
    return data
