"""Frame ranges as people type them: ``1001-1010``, ``1-9x2``, ``1,5,10-20``, ``-5--1``."""

from __future__ import annotations

import re

from deepupscale_nuke.errors import SettingsError

_PART = re.compile(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?")
MAX_FRAMES = 1_000_000


def parse_frames(text: str) -> list[int]:
    """The frames, in order, each once.

    Raises:
        SettingsError: It is no frame range.
    """
    found: list[int] = []
    for part in text.replace(" ", ",").split(","):
        if not part:
            continue
        match = _PART.fullmatch(part)
        if not match or (match[3] and not int(match[3])):
            raise SettingsError(f"{part!r} is no frame range: say 1001-1010, 1-9x2 or 1,5,10-20")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first:
            raise SettingsError(f"the frames {part} run backwards: say {last}-{first}")
        if (last - first) // step >= MAX_FRAMES:
            raise SettingsError(f"{part} are more than {MAX_FRAMES} frames")
        found += range(first, last + 1, step)
    if not found:
        raise SettingsError(f"{text!r} names no frame: say 1001-1010, 1-9x2 or 1,5,10-20")
    return list(dict.fromkeys(found))
