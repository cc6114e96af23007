"""``deepupscale draw-pictures``: procedural pictures as EXR files, for ``pack`` to reduce and to store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from deepupscale import __version__
from deepupscale.errors import UsageError, WriteError
from model.procedural import procedural_image
from render.exr_file import write_planes

_LARGEST_HALF = 65504.0


def draw_pictures(out: Path, count: int, size: int, seed: int, told: Callable[[Path, int], None]) -> int:
    """Draw pictures, half RGB scene-linear; those that are there are kept, so a run that ended early goes on.

    Args:
        out: The folder; made if it is not there.
        count: How many.
        size: Side in pixels.
        seed: Same seed and size, same pictures.
        told: Told of each file when it is written, with its number from 1.

    Returns:
        How many were drawn now.

    Raises:
        UsageError: ``out`` is a file.
        WriteError: Something cannot be written; nothing half-written is left.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file, name a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{out}: cannot be made: {error.strerror or error}") from None
    drawn = 0
    for number in range(count):
        path = out / f"drawn_{size}_{seed}_{number:05d}a.exr"  # ends in a letter: each is a picture, not a shot's frame
        if path.exists():
            continue
        picture = np.clip(procedural_image(seed * 1_000_003 + number, size), -_LARGEST_HALF, _LARGEST_HALF)
        planes = {name: np.ascontiguousarray(picture[:, :, i], np.float16) for i, name in enumerate("RGB")}
        write_planes(path, planes, {"software": f"DeepUpscale {__version__} draw-pictures"})
        drawn += 1
        told(path, number + 1)
    return drawn
