"""File names of sequences: ``%04d``, ``####``, ``%V`` (view) and ``%v`` (its first letter)."""

from __future__ import annotations

import re

from .errors import StandInError

PATTERN = re.compile(r"%0?\d*d|#+")


def expand(text: str, frame: int, view: str) -> str:
    """The file of one frame and view."""
    text = text.replace("%V", view).replace("%v", view[:1])
    name = PATTERN.sub(lambda found: _number(found[0], frame), text)
    if "%" in name:
        raise StandInError(f"the stand-in does not expand {text!r}")
    return name


def _number(pattern: str, frame: int) -> str:
    width = len(pattern) if pattern[0] == "#" else int(pattern[1:-1] or 0)
    return f"{frame:0{width}d}" if width else str(frame)
