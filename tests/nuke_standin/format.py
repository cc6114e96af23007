# ruff: noqa: N802, N803 (names are Nuke's)
"""Formats, boxes and frame ranges: whole numbers, y up, right and top exclusive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .errors import StandInError


class Format:
    """A picture's size and pixel aspect, ``nuke.Format``."""

    def __init__(self, width: int, height: int, pixelAspect: float = 1.0) -> None:
        self._size = (int(width), int(height), float(pixelAspect))
        self._name = ""
        if min(self._size) <= 0:
            raise ValueError(f"a format of {width}x{height}, pixel aspect {pixelAspect}")

    def width(self) -> int:
        """Pixels across."""
        return self._size[0]

    def height(self) -> int:
        """Pixels up."""
        return self._size[1]

    def pixelAspect(self) -> float:
        """Width of a pixel over its height."""
        return self._size[2]

    def name(self) -> str:
        """The name it is known by, or nothing."""
        return self._name

    def setName(self, name: str) -> None:
        """Give it a name."""
        self._name = name

    def x(self) -> int:
        """Left edge, zero."""
        return 0

    def y(self) -> int:
        """Bottom edge, zero."""
        return 0

    def r(self) -> int:
        """Right edge, exclusive."""
        return self._size[0]

    def t(self) -> int:
        """Top edge, exclusive."""
        return self._size[1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Format) and self._size == other._size

    def __hash__(self) -> int:
        return hash(self._size)

    def __repr__(self) -> str:
        return f"<Format {self._text()}>"

    def _text(self) -> str:
        w, h, pa = self._size
        return f"{w} {h} 0 0 {w} {h} {pa:g}" + (f" {self._name}" if self._name else "")

    def _scaled(self, by: float) -> Format:
        return Format(max(1, round(self._size[0] * by)), max(1, round(self._size[1] * by)), self._size[2])


def read_format(text: str) -> Format:
    """A format from ``w h [x y r t] aspect [name]``, as scripts write it."""
    words = text.split()
    numbers: list[float] = []
    for word in words[:7]:
        try:
            numbers.append(float(word))
        except ValueError:
            break
    name = " ".join(words[len(numbers) :])
    if len(numbers) not in {2, 3, 7} or (len(numbers) == 7 and numbers[2:6] != [0, 0, numbers[0], numbers[1]]):
        raise StandInError(f"the stand-in cannot read the format {text!r}")
    found = Format(int(numbers[0]), int(numbers[1]), numbers[-1] if len(numbers) > 2 else 1.0)
    found.setName(name)
    return found


class Info:
    """What ``Node.bbox()`` returns: corner and size of a box. The stubs know x, y, w and h."""

    def __init__(self, box: tuple[int, int, int, int]) -> None:
        self._box = box

    def x(self) -> int:
        """Left edge."""
        return self._box[0]

    def y(self) -> int:
        """Bottom edge."""
        return self._box[1]

    def w(self) -> int:
        """Width."""
        return self._box[2] - self._box[0]

    def h(self) -> int:
        """Height."""
        return self._box[3] - self._box[1]


class FrameRange:
    """Frames from first to last by an increment: ``nuke.FrameRange(1, 10, 2)`` or ``nuke.FrameRange("1-10x2")``."""

    def __init__(self, *args: Any) -> None:
        if len(args) == 1 and isinstance(args[0], str):
            self._first, self._last, self._step = _range(args[0])
        elif len(args) in {2, 3} and all(isinstance(a, int) for a in args):
            self._first, self._last, self._step = (*args, 1)[:3]
        else:
            raise TypeError(f"not a frame range: {args}")
        if self._step < 1 or self._last < self._first:
            raise ValueError(f"not a frame range: {args}")

    def first(self) -> int:
        """First frame."""
        return self._first

    def last(self) -> int:
        """Last frame."""
        return self._last

    def increment(self) -> int:
        """Step between frames."""
        return self._step

    def frames(self) -> int:
        """How many frames there are."""
        return len(range(self._first, self._last + 1, self._step))

    def minFrame(self) -> int:
        """Smallest frame."""
        return self._first

    def maxFrame(self) -> int:
        """Largest frame."""
        return range(self._first, self._last + 1, self._step)[-1]

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._first, self._last + 1, self._step))

    def __str__(self) -> str:
        tail = f"x{self._step}" if self._step > 1 else ""
        return str(self._first) if self._first == self._last else f"{self._first}-{self._last}{tail}"


class FrameRanges:
    """Several frame ranges: ``nuke.FrameRanges("1-5 8")``, a list of ranges, or nothing."""

    def __init__(self, *args: Any) -> None:
        self._ranges: list[FrameRange] = []
        for arg in args:
            parts = (
                arg.replace(",", " ").split() if isinstance(arg, str) else [arg] if not isinstance(arg, list) else arg
            )
            for part in parts:
                self.add(FrameRange(part) if isinstance(part, str) else part)

    def add(self, r: FrameRange) -> None:
        """Append a range."""
        if not isinstance(r, FrameRange):
            raise TypeError(f"not a frame range: {r!r}")
        self._ranges.append(r)

    def size(self) -> int:
        """How many ranges there are."""
        return len(self._ranges)

    def minFrame(self) -> int:
        """Smallest frame of all."""
        return min(r.minFrame() for r in self._ranges)

    def maxFrame(self) -> int:
        """Largest frame of all."""
        return max(r.maxFrame() for r in self._ranges)

    def toFrameList(self) -> list[int]:
        """Every frame in order."""
        return [f for r in self._ranges for f in r]

    def __iter__(self) -> Iterator[FrameRange]:
        return iter(self._ranges)

    def __str__(self) -> str:
        return " ".join(str(r) for r in self._ranges)


def _range(text: str) -> tuple[int, int, int]:
    import re

    found = re.fullmatch(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?", text)
    if not found:
        raise ValueError(f"not a frame range: {text!r}")
    first, last, step = found.groups()
    return int(first), int(last or first), int(step or 1)


def read_range(text: str) -> FrameRanges:
    """Frame ranges of the command line: ``1``, ``1-5``, ``1-9x2``, ``1,5`` (from 1 to 5) or ``1,9,2``."""
    words = text.split(",")
    if len(words) > 1:
        return FrameRanges([FrameRange(*(int(w) for w in words))])
    return FrameRanges(text)
