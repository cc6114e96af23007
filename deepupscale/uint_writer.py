"""Writing files with UINT channels through the OpenEXR module, which keeps one pixel type per channel.

The module writes whole parts only, so such files are held in memory; OpenImageIO, which streams, has one buffer type
per write and would carry 32-bit ids through float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from deepupscale.errors import WriteError, one_line
from deepupscale.plate import Box, Rows

if TYPE_CHECKING:
    from deepupscale.sinks import OutputPart


def header_for(part: OutputPart, compression: str | None, settings: str) -> dict[str, Any]:
    """What the module must know to write a part; all further metadata is put in afterwards, from the plate itself."""
    exr, spec = _module(), part.spec(compression, settings)
    name, _, level = spec.get_string_attribute("compression").partition(":")
    header: dict[str, Any] = {
        "compression": getattr(exr, "NO_COMPRESSION" if name == "none" else f"{name.upper()}_COMPRESSION"),
        "dataWindow": _window(part.source.data_window.scaled(part.scale)),
        "displayWindow": _window(part.source.display_window.scaled(part.scale)),
        "lineOrder": exr.INCREASING_Y,
        "type": exr.tiledimage if spec.tile_width else exr.scanlineimage,
        "deepupscale/settings": settings,
    }
    if spec.tile_width:
        header["tiles"] = exr.TileDescription()
        header["tiles"].xSize, header["tiles"].ySize = spec.tile_width, spec.tile_height
    if part.source.name:
        header["name"] = part.source.name
    if (density := spec.get_float_attribute("XResolution")) > 0.0:
        header["xDensity"] = density
    if name in ("dwaa", "dwab") and (level or spec.get_float_attribute("openexr:dwaCompressionLevel") > 0.0):
        header["dwaCompressionLevel"] = float(level or spec.get_float_attribute("openexr:dwaCompressionLevel"))
    return header


def write_file(
    path: Path, shown: Path, headers: Sequence[dict[str, Any]], channels: Sequence[Mapping[str, Rows]]
) -> None:
    """Write whole parts.

    Args:
        path: Where to.
        shown: What messages call it.
        headers: One for each part.
        channels: For each part, channel name to (height, width) array of float16, float32 or uint32.

    Raises:
        WriteError: The module's own failures.
    """
    exr = _module()
    try:
        parts = [exr.Part(header, dict(planes)) for header, planes in zip(headers, channels, strict=True)]
        with exr.File(parts) as file:
            file.write(str(path))
    except (RuntimeError, ValueError, OSError, MemoryError) as error:
        raise WriteError(f"{shown}: cannot be written: {one_line(str(error).replace(str(path), shown.name))}") from None


def _module() -> Any:
    import OpenEXR  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    return cast("Any", OpenEXR)


def _window(box: Box) -> tuple[Any, Any]:
    low = np.array([box.x, box.y], np.int32)
    return low, low + np.array([box.width - 1, box.height - 1], np.int32)
