"""Sinks: what a part of a result is, and the two ways to put it into a file.

OpenImageIO writes strip by strip. Files with UINT channels, whose ids its single buffer type would break, are gathered
in memory and written with the OpenEXR module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import OpenImageIO as oiio

from deepupscale import uint_writer
from deepupscale.errors import WriteError
from deepupscale.plate import Part, PixelType, Rows, oiio_message

SETTINGS_ATTRIBUTE = "deepupscale/settings"

# What OpenImageIO would write though the plate has it not, or (textureformat) would write the file wrongly for: an
# environment map is written as a plain picture and gets its attribute back with all the others.
_NOT_OF_THE_RESULT = (
    "openexr:chunkCount", "ResolutionUnit", "oiio:RowsPerChunk", "oiio:subimages", "oiio:miplevels",
    "textureformat", "oiio:updirection", "oiio:sampleborder",
)  # fmt: skip


@dataclass(frozen=True)
class OutputPart:
    """One part to write.

    Attributes:
        source: The part it comes from.
        channels: Channels kept, in the source's order.
        scale: 2, 4 or 8.
    """

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
        spec.full_x, spec.full_y = display.x, display.y
        spec.full_width, spec.full_height = display.width, display.height
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
        for name in _NOT_OF_THE_RESULT:
            spec.erase_attribute(name)
        spec.attribute("openexr:lineOrder", "increasingY")
        if compression is not None:
            spec.erase_attribute("openexr:dwaCompressionLevel")
            spec.attribute("compression", compression)
        spec.attribute(SETTINGS_ATTRIBUTE, settings)
        return spec


class Sink(Protocol):
    """Where rows go: parts in order, rows from the top."""

    def write(self, index: int, channels: Sequence[Rows]) -> None:
        """Append rows to a part: one (rows, width) array for each of its channels."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...

    def abandon(self) -> None:
        """Let go of the file, whatever state it is in."""
        ...


def open_sink(path: Path, shown: Path, parts: Sequence[OutputPart], compression: str | None, settings: str) -> Sink:
    """Begin a file.

    Args:
        path: The file to write.
        shown: What messages call it.
        parts: What it will hold.
        compression: Name of an OpenEXR compression, or None for each part's own.
        settings: What is noted of how it was made.

    Raises:
        WriteError: It cannot be created.
    """
    if any("uint" in part.types for part in parts):
        return _MemorySink(path, shown, parts, compression, settings)
    return _StreamSink(path, shown, parts, compression, settings)


def write_picture(path: Path, planes: Mapping[str, Rows]) -> None:
    """Write a picture of our own making: one part, scanlines, zip.

    Args:
        path: The file.
        planes: Channel name to (height, width), float16 in all or float32 in all.

    Raises:
        WriteError: It cannot be written.
    """
    pixels = np.ascontiguousarray(np.stack(list(planes.values()), axis=-1))
    height, width, count = pixels.shape
    spec = oiio.ImageSpec(width, height, count, oiio.HALF if pixels.dtype == np.float16 else oiio.FLOAT)
    spec.channelnames = tuple(planes)
    spec.attribute("compression", "zip")
    file: Any = oiio.ImageOutput.create(str(path))
    if file is None or not (file.open(str(path), spec) and file.write_image(pixels) and file.close()):
        raise WriteError(f"{path}: cannot be written: {oiio_message(file or oiio, path)}")


class _StreamSink:
    """OpenImageIO, a few rows at a time; tiled parts gather rows until a row of tiles is full."""

    def __init__(
        self, path: Path, shown: Path, parts: Sequence[OutputPart], compression: str | None, settings: str
    ) -> None:
        self._path, self._shown = path, shown
        self._specs = [part.spec(compression, settings) for part in parts]
        self._part = self._row = 0
        self._waiting: list[Rows] = []
        self._file: Any = oiio.ImageOutput.create(str(path))
        if self._file is None:
            raise WriteError(f"{shown}: no writer for it: {oiio_message(oiio, path)}")
        self._require(self._file.open(str(path), self._specs), "created")

    def write(self, index: int, channels: Sequence[Rows]) -> None:
        if index != self._part:
            self._require(
                self._file.open(str(self._path), self._specs[index], "AppendSubimage"), f"written (part {index})"
            )
            self._part, self._row, self._waiting = index, 0, []
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
        rows, top = np.ascontiguousarray(rows[:ready]), spec.y + self._row
        if spec.tile_width:
            done = self._file.write_tiles(spec.x, spec.x + spec.width, top, top + ready, 0, 1, rows)
        else:
            done = self._file.write_scanlines(top, top + ready, 0, rows)
        self._require(done, "written")
        self._row += ready

    def close(self) -> None:
        self._require(self._file.close(), "finished")

    def abandon(self) -> None:
        self._file.close()

    def _require(self, done: bool, what: str) -> None:
        if not done:
            raise WriteError(f"{self._shown}: cannot be {what}: {oiio_message(self._file, self._path)}")


class _MemorySink:
    """The OpenEXR module, for files with UINT channels: gathers everything, writes at the end."""

    def __init__(
        self, path: Path, shown: Path, parts: Sequence[OutputPart], compression: str | None, settings: str
    ) -> None:
        self._path, self._shown = path, shown
        self._parts = parts
        self._headers = [uint_writer.header_for(part, compression, settings) for part in parts]
        self._rows: list[list[list[Rows]]] = [[[] for _ in part.channels] for part in parts]

    def write(self, index: int, channels: Sequence[Rows]) -> None:
        for gathered, rows in zip(self._rows[index], channels, strict=True):
            gathered.append(np.ascontiguousarray(rows))

    def close(self) -> None:
        planes = [
            {name: np.concatenate(strips) for name, strips in zip(part.channels, rows, strict=True)}
            for part, rows in zip(self._parts, self._rows, strict=True)
        ]
        uint_writer.write_file(self._path, self._shown, self._headers, planes)

    def abandon(self) -> None:
        self._rows.clear()
