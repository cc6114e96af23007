"""EXR files of this project's own making: planes in, one whole file out, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import OpenEXR
from numpy.typing import NDArray

from deepupscale.errors import WriteError
from deepupscale.temporary import temporary_name

REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)


def write_planes(path: Path, planes: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> None:
    """Write a scanline file, ZIP compressed, scene-linear Rec.709.

    Args:
        path: The file; replaced if it is there.
        planes: Channel name to (height, width), float16 or float32.
        header: More attributes.

    Raises:
        WriteError: It cannot be written; nothing of it is left.
    """
    fixed = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION, "chromaticities": REC709}
    temporary = temporary_name(path)
    try:
        with OpenEXR.File({**fixed, **header}, dict(planes)) as file:
            file.write(str(temporary))
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        raise WriteError(f"{path}: cannot be written: {error}: is the disk full?") from None
    finally:
        temporary.unlink(missing_ok=True)
