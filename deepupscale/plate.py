"""Reading plates: OpenEXR files through OpenImageIO, strip by strip.

Plates are untrusted. Sizes are capped before anything is allocated for them, and every kind of file that could not be
carried through whole is refused with its reason.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from deepupscale.errors import PlateError, one_line
from deepupscale.exr_header import MAGIC, PartHeader, is_subsampled, read_headers, window
from deepupscale.trace import span

PixelType = Literal["half", "float", "uint"]
Rows = NDArray[Any]

_PIXEL_TYPES: dict[str, PixelType] = {"half": "half", "float": "float", "uint": "uint", "uint32": "uint"}
_READ_BYTES = 16 << 20  # read at once where no pixel is kept
_HALF: Any = oiio.HALF
_WIDE: dict[PixelType, Any] = {"float": oiio.FLOAT, "uint": oiio.UINT}
_FARTHEST = 1 << 27  # doubled three times it still fits the header's 32 bits


@dataclass(frozen=True)
class Limits:
    """Caps on what a plate may claim of itself.

    Attributes:
        side: Largest width or height of a data or display window, in pixels.
        channels: Most channels in a part.
        parts: Most parts in a file.
    """

    side: int = 65536
    channels: int = 1024
    parts: int = 1024

    @classmethod
    def none(cls) -> Limits:
        """No caps of ours, for files that we wrote."""
        return cls(1 << 30, 1 << 30, 1 << 30)


@dataclass(frozen=True)
class Box:
    """A window: origin and size in pixels; EXR's inclusive [a, b] is x = a, width = b - a + 1."""

    x: int
    y: int
    width: int
    height: int

    def scaled(self, factor: int) -> Box:
        """The window on a grid ``factor`` times as fine: inclusive [a, b] becomes [factor a, factor b + factor - 1]."""
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)


@dataclass(frozen=True)
class Part:
    """One part of a plate.

    Attributes:
        index: Place in the file, from 0.
        name: Its name, or empty.
        channels: Full channel names.
        types: Pixel type of each channel.
        data_window: Where there are pixels.
        display_window: The frame.
        spec: OpenImageIO's description, with the metadata it understands.
        header: All metadata, as it lies in the file.
    """

    index: int
    name: str
    channels: tuple[str, ...]
    types: tuple[PixelType, ...]
    data_window: Box
    display_window: Box
    spec: oiio.ImageSpec
    header: PartHeader

    @property
    def uint_channels(self) -> frozenset[str]:
        """Channels of pixel type UINT."""
        return frozenset(c for c, t in zip(self.channels, self.types, strict=True) if t == "uint")

    @property
    def cryptomatte_layers(self) -> frozenset[str]:
        """Layer names that the metadata declares as cryptomatte (Cryptomatte specification 1.2)."""
        names = (a for a in self.spec.extra_attribs if a.name.startswith("cryptomatte/") and a.name.endswith("/name"))
        return frozenset(str(a.value) for a in names)

    def band(self, size: int) -> int:
        """Rows of which all channels take up to ``size`` bytes in memory, in whole chunks of the file, at least one."""
        chunk = self.spec.tile_height if self.spec.tile_width else self.spec.get_int_attribute("oiio:RowsPerChunk", 1)
        rows = size // (4 * self.data_window.width * len(self.channels))
        return max(1, rows // max(1, chunk)) * max(1, chunk)

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"part {self.index}" + (f" ({one_line(self.name)})" if self.name else "")


class Plate:
    """An open plate. Use as a context manager.

    Raises:
        PlateError: Missing, unreadable, or of a kind that is refused.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self._limits = limits or Limits()
        _refuse_other_files(path)
        self._headers = read_headers(path, self._limits.parts).parts
        self._refuse_bad_claims()
        _lift_library_limits()
        found = oiio.ImageInput.open(str(path))
        if found is None:
            raise PlateError(f"{path}: cannot be opened as OpenEXR: {oiio_message(oiio, path)}")
        self._file = found
        try:
            self.parts = self._read_parts()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Plate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _read_parts(self) -> tuple[Part, ...]:
        parts: list[Part] = []
        while self._file.seek_subimage(len(parts), 0):
            if len(parts) >= self._limits.parts:
                raise PlateError(f"{self.path}: more than {self._limits.parts} parts")
            part = self._part(len(parts))
            if self._file.seek_subimage(len(parts), 1):
                raise PlateError(
                    f"{self.path}: {part.label} is mip-mapped, a texture and no plate: write out its largest level"
                )
            parts.append(part)
        reason = oiio_message(self._file, self.path)  # seeking past the last part leaves a message behind
        if len(parts) != len(self._headers):
            raise PlateError(f"{self.path}: only {len(parts)} of {len(self._headers)} parts can be read: {reason}")
        return tuple(parts)

    def _refuse_bad_claims(self) -> None:
        """What is wrong with the headers, before a decoder sees the file: names, subsampling, sizes."""
        for index, header in enumerate(self._headers):
            for name in (b"channels", b"name", b"view"):
                if name in header and not _is_utf8(header[name].value):
                    raise PlateError(f"{self.path}: part {index} has names that are not UTF-8 text ({name.decode()})")
            if is_subsampled(header):
                raise PlateError(
                    f"{self.path}: part {index} has subsampled channels (a luminance-chroma picture): convert it to RGB"
                )
            for name in (b"dataWindow", b"displayWindow"):
                if (box := window(header, name)) is None:
                    raise PlateError(f"{self.path}: its header is damaged: part {index} has no {name.decode()}")
                x0, y0, x1, y1 = box
                width, height = x1 - x0 + 1, y1 - y0 + 1
                if width < 1 or height < 1:
                    raise PlateError(f"{self.path}: part {index} has an empty {name.decode()}")
                if max(width, height) > self._limits.side:
                    raise PlateError(
                        f"{self.path}: part {index} claims {width} x {height} pixels, "
                        f"the limit is {self._limits.side} a side (--max-side)"
                    )
                if max(abs(corner) for corner in box) > _FARTHEST:
                    raise PlateError(f"{self.path}: part {index} has a window at {x0}, {y0}, too far out to be doubled")

    def _part(self, index: int) -> Part:
        spec = oiio.ImageSpec(self._file.spec())
        channels = tuple(str(c) for c in cast(Any, spec).channelnames)
        name = str(spec.getattribute("name") or "")
        label = f"part {index}" + (f" ({one_line(name)})" if name else "")
        if spec.deep:
            raise PlateError(f"{self.path}: {label} holds deep data: flatten it first (DeepToImage)")
        if spec.depth > 1 or spec.tile_depth > 1:
            raise PlateError(f"{self.path}: {label} is a volume, no picture")
        data = Box(spec.x, spec.y, spec.width, spec.height)
        display = Box(spec.full_x, spec.full_y, spec.full_width, spec.full_height)
        if not 0 < len(channels) <= self._limits.channels:
            raise PlateError(f"{self.path}: {label} has {len(channels)} channels, the limit is {self._limits.channels}")
        if len(set(channels)) != len(channels):
            raise PlateError(f"{self.path}: {label} has two channels of the same name")
        formats = [str(f) for f in cast(Any, spec).channelformats] or [str(spec.format)] * len(channels)
        if any(f not in _PIXEL_TYPES for f in formats):
            raise PlateError(f"{self.path}: {label} has a pixel type that OpenEXR does not know")
        types: tuple[PixelType, ...] = tuple(_PIXEL_TYPES[f] for f in formats)
        return Part(index, name, channels, types, data, display, spec, self._headers[index])

    def strips(self, part: Part, rows: int) -> Iterator[dict[str, Rows]]:
        """Read a part from top to bottom.

        Args:
            part: One of ``parts``.
            rows: Rows a strip; the last may hold fewer, and tiled parts round up to whole tiles.

        Yields:
            Channel name to (rows, width) array: float32, or uint32 for UINT channels.

        Raises:
            PlateError: Missing or damaged pixels.
        """
        height, tile = part.data_window.height, part.spec.tile_height if part.spec.tile_width else 0
        step = -(-rows // tile) * tile if tile else rows
        for top in range(0, height, step):
            yield self._read(part, top, min(top + step, height))

    def read_through(self, check: Callable[[], None] | None = None) -> None:
        """Read every pixel and keep none.

        Args:
            check: Called between bands of rows; raises if the work is wanted no more.

        Raises:
            PlateError: Missing or damaged pixels.
        """
        for part in self.parts:
            height, step = part.data_window.height, part.band(_READ_BYTES)
            for top in range(0, height, step):
                if check is not None:
                    check()
                for first, last, kind in _runs(part.types):
                    native = set(part.types[first:last]) == {"half"}
                    self._read_run(part, top, min(top + step, height), first, last, _HALF if native else _WIDE[kind])

    def _read(self, part: Part, top: int, bottom: int) -> dict[str, Rows]:
        strip: dict[str, Rows] = {}
        with span("decode", rows=bottom - top):
            for first, last, kind in _runs(part.types):
                pixels = self._read_run(part, top, bottom, first, last, _WIDE[kind])
                for i, name in enumerate(part.channels[first:last]):
                    strip[name] = pixels[:, :, i]
        return strip

    def _read_run(self, part: Part, top: int, bottom: int, first: int, last: int, kind: Any) -> Rows:
        box, spec = part.data_window, part.spec
        y0, y1 = box.y + top, box.y + bottom
        pixels: Any
        if spec.tile_width:
            pixels = self._file.read_tiles(part.index, 0, box.x, box.x + box.width, y0, y1, 0, 1, first, last, kind)
        else:
            pixels = self._file.read_scanlines(part.index, 0, y0, y1, 0, first, last, kind)
        if pixels is None:
            raise PlateError(
                f"{self.path}: {part.label} is damaged or truncated at rows {y0} to {y1 - 1}: "
                f"{oiio_message(self._file, self.path)}"
            )
        return np.asarray(pixels).reshape(bottom - top, box.width, last - first)


def _refuse_other_files(path: Path) -> None:
    """Files that are missing, empty or no OpenEXR never reach a decoder."""
    try:
        if path.is_dir():
            raise PlateError(
                f"{path}: is a folder, not a plate: name a file or a sequence such as {path.name}/shot.####.exr"
            )
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except FileNotFoundError:
        raise PlateError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise PlateError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not head:
        raise PlateError(f"{path}: is empty")
    if head != MAGIC:
        raise PlateError(f"{path}: is not an OpenEXR file; plates are .exr")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _runs(types: tuple[PixelType, ...]) -> list[tuple[int, int, PixelType]]:
    """Stretches of channels that one read call can take: (first, last, type), where half and float go together."""
    runs: list[tuple[int, int, PixelType]] = []
    for i, kind in enumerate(types):
        wide: PixelType = "uint" if kind == "uint" else "float"
        if runs and runs[-1][2] == wide:
            runs[-1] = (runs[-1][0], i + 1, wide)
        else:
            runs.append((i, i + 1, wide))
    return runs


def oiio_message(source: Any, path: Path) -> str:
    """OpenImageIO's last message on one line, without the path and advice that ours repeat."""
    try:
        text = str(source.geterror())
    except UnicodeDecodeError:
        return "its header holds text that is not UTF-8"
    for noise in (f"EXR Error ({path}): ", f'"{path}"', str(path)):
        text = text.replace(noise, "")
    text = one_line(text).removesuffix(".")
    return text or "no reason given by the reader"


@functools.cache
def _lift_library_limits() -> None:
    """OpenImageIO's own caps count whole pictures in memory; we hold strips, and ours are checked before it opens."""
    for name in ("limits:imagesize_MB", "limits:resolution", "limits:channels"):
        oiio.attribute(name, 1 << 24)
