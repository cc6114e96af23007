"""Frames: which files a run reads and writes.

A pattern is ``shot.####.exr`` (one ``#`` a digit) or ``shot.%04d.exr``; a range is ``1001-1100``, ``1001-1100x2`` or
``1,5,10-20``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fileseq.constants import PAD_STYLE_HASH1
from fileseq.exceptions import FileSeqException, MaxSizeException
from fileseq.filesequence import FileSequence
from fileseq.frameset import FrameSet
from fileseq.utils import pad

from deepupscale.errors import UsageError

MAX_FRAMES = 1_000_000
_PADDING = re.compile(r"#+|%0?\d*d", re.ASCII)
_RANGE = re.compile(r"-?\d{1,9}(--?\d{1,9}(x\d{1,9})?)?(,-?\d{1,9}(--?\d{1,9}(x\d{1,9})?)?)*", re.ASCII)


@dataclass(frozen=True)
class Pattern:
    """A sequence's name around its frame number.

    Attributes:
        head: Folder and name before the number.
        width: Digits that the number is padded to.
        tail: Name after the number.
    """

    head: str
    width: int
    tail: str

    @classmethod
    def of(cls, text: str) -> Pattern | None:
        """The pattern in a path's last component (the last one there), or None for a single file."""
        start = len(text) - len(Path(text).name)
        found = list(_PADDING.finditer(text, start))
        if not found:
            return None
        width = cast("int", cast("Any", FileSequence).getPaddingNum(found[-1][0], PAD_STYLE_HASH1))
        return cls(text[: found[-1].start()], width, text[found[-1].end() :])

    def frame(self, number: int) -> Path:
        """The file of a frame."""
        return Path(f"{self.head}{pad(str(number), self.width)}{self.tail}")

    def on_disk(self) -> list[int]:
        """Numbers of the frames that exist, sorted."""
        folder, name = Path(self.head + "x").parent, Path(self.head + "x").name[:-1]
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
        match = re.compile(re.escape(name) + r"(-?\d{1,9})" + re.escape(self.tail), re.ASCII)
        found = (match.fullmatch(entry.name) for entry in os.scandir(folder))
        return sorted(int(m[1]) for m in found if m and self.frame(int(m[1])).name == m[0])


@dataclass(frozen=True)
class Frame:
    """One job: which plate becomes which result.

    Attributes:
        number: Frame number, or None for a single plate.
        source: Plate to read; it may not exist.
        result: File to write.
    """

    number: int | None
    source: Path
    result: Path


def plan_frames(source: str, result: str, frame_range: str | None = None) -> list[Frame]:
    """Pair plates with results.

    Args:
        source: A plate, or a pattern.
        result: A file, a pattern, or a folder (which keeps the plates' names).
        frame_range: Frames to do; None for all that are on disk. Frames named here and not on disk are kept, to be
            reported as missing.

    Raises:
        UsageError: Nothing matches, a range that cannot be meant, or a result that would overwrite a plate.
    """
    for text, what in ((source, "input"), (result, "output")):
        if not text or "\0" in text:
            raise UsageError(f"the {what} path is empty or holds a zero byte")
    pattern = None if Path(source).is_file() else Pattern.of(source)
    if pattern is not None:
        frames = _sequence(source, pattern, result, frame_range)
    elif frame_range is not None:
        raise UsageError(f"--frames needs a sequence such as shot.####.exr, not the single plate {source}")
    else:
        frames = [Frame(None, Path(source), _single_result(source, result))]
    _refuse_overwriting(frames)
    return frames


def _single_result(source: str, result: str) -> Path:
    path = Path(result)
    if _is_folder(result):
        return path / Path(source).name
    if Pattern.of(result):
        raise UsageError(f"the output {result} is a sequence, the input {source} is one plate")
    return _exr(path)


def _sequence(source: str, plates: Pattern, result: str, frame_range: str | None) -> list[Frame]:
    numbers = parse_range(frame_range) if frame_range is not None else plates.on_disk()
    if not numbers:
        raise UsageError(f"{source}: no frame on disk matches")
    if _is_folder(result):
        return [Frame(n, plates.frame(n), Path(result) / plates.frame(n).name) for n in numbers]
    results = Pattern.of(str(_exr(Path(result))))
    if results is not None:
        return [Frame(n, plates.frame(n), results.frame(n)) for n in numbers]
    if len(numbers) > 1:
        raise UsageError(f"the output {result} is one file, the input has {len(numbers)} frames: name it NAME.####.exr")
    return [Frame(numbers[0], plates.frame(numbers[0]), Path(result))]


def parse_range(text: str) -> list[int]:
    """Frame numbers of a range, sorted, each once.

    Raises:
        UsageError: Not a range, ``:`` in it, or more than a million frames.
    """
    compact = "".join(text.split())
    if ":" in compact:
        raise UsageError(
            f"--frames {text}: ':' means every Nth frame to some schedulers and all frames, staggered, to others; "
            "write 1001-1100x2"
        )
    if not _RANGE.fullmatch(compact):
        raise UsageError(f"--frames {text}: not a frame range; write 1001-1100, 1001-1100x2 or 1,5,10-20")
    try:
        numbers = sorted(int(cast("Any", number)) for number in FrameSet(compact))
    except (FileSeqException, MaxSizeException):
        numbers = []
    if not numbers or len(numbers) > MAX_FRAMES:
        raise UsageError(f"--frames {text}: holds no frame, or more than {MAX_FRAMES}")
    return numbers


def _is_folder(result: str) -> bool:
    return result.endswith(("/", os.sep)) or Path(result).is_dir()


def _exr(path: Path) -> Path:
    if path.suffix.lower() != ".exr":
        raise UsageError(
            f"{path}: only .exr holds scene-linear light, all layers and windows; name the output NAME.exr"
        )
    return path


def _refuse_overwriting(frames: Sequence[Frame]) -> None:
    sources = {os.path.realpath(frame.source): frame for frame in frames}
    results: set[str] = set()
    for frame in frames:
        real = os.path.realpath(frame.result)
        if real in sources or (frame.result.exists() and frame.source.exists() and frame.source.samefile(frame.result)):
            raise UsageError(
                f"{frame.result}: the output would overwrite an input plate; write to another name or folder"
            )
        if real in results:
            raise UsageError(f"{frame.result}: two frames would be written to it")
        results.add(real)
