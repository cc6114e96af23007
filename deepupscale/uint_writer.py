"""Writing files with UINT channels through the OpenEXR module, which keeps one pixel type per channel.

The module writes whole parts only, so such files are held in memory; OpenImageIO, which streams, has one buffer type
per write and would carry 32-bit ids through float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from deepupscale.errors import PlateError, WriteError, one_line
from deepupscale.plate import Box, Rows


def read_headers(path: Path) -> list[dict[str, Any]]:
    """Every part's header as the OpenEXR module spells it.

    Raises:
        PlateError: The module cannot read it (it refuses text that is not UTF-8).
    """
    import OpenEXR  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    try:
        with cast(Any, OpenEXR).File(str(path), header_only=True) as file:
            return [dict(part.header) for part in file.parts]
    except (RuntimeError, ValueError, OSError) as error:
        raise PlateError(f"{path}: its header cannot be carried over: {one_line(str(error))}") from None


def header_for(
    source: Mapping[str, Any], data: Box, display: Box, scale: int, compression: str | None, settings: Mapping[str, str]
) -> dict[str, Any]:
    """A source part's header with new windows; the preview and the chunk count, which no longer fit, are left out."""
    header = {name: value for name, value in source.items() if name not in ("channels", "chunkCount", "preview")}
    header["dataWindow"] = _window(data)
    header["displayWindow"] = _window(display)
    header["lineOrder"] = _module().INCREASING_Y
    if "xDensity" in header:
        header["xDensity"] = float(header["xDensity"]) * scale
    if compression is not None:
        name, _, level = compression.partition(":")
        header["compression"] = _compression(name)
        header.pop("dwaCompressionLevel", None)
        if level and name.startswith("dwa"):
            header["dwaCompressionLevel"] = float(level)
    return {**header, **settings}


def write_file(path: Path, headers: Sequence[dict[str, Any]], channels: Sequence[Mapping[str, Rows]]) -> None:
    """Write whole parts.

    Args:
        path: Where to.
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
        raise WriteError(f"{path}: cannot be written: {one_line(str(error))}") from None


def _module() -> Any:
    import OpenEXR  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    return cast(Any, OpenEXR)


def _compression(name: str) -> Any:
    exr = _module()
    return getattr(exr, "NO_COMPRESSION" if name == "none" else f"{name.upper()}_COMPRESSION")


def _window(box: Box) -> tuple[Any, Any]:
    low = np.array([box.x, box.y], np.int32)
    return low, low + np.array([box.width - 1, box.height - 1], np.int32)
