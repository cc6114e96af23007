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
from fileseq.exceptions import FileSeqException
from fileseq.filesequence import FileSequence

from deepupscale.errors import UsageError

MAX_FRAMES = 1_000_000
_PADDING = re.compile(r"#+|@+|%0?\d*d", re.ASCII)
_RANGE = re.compile(r"-?\d{1,9}(--?\d{1,9}(x\d{1,9})?)?(,-?\d{1,9}(--?\d{1,9}(x\d{1,9})?)?)*", re.ASCII)


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
    pattern = _PADDING.search(Path(source).name)
    if pattern is None:
        if frame_range is not None:
            raise UsageError(f"--frames needs a sequence such as shot.####.exr, not the single plate {source}")
        frames = [Frame(None, Path(source), _single_result(source, result))]
    else:
        frames = _sequence(source, result, frame_range)
    _refuse_overwriting(frames)
    return frames


def _single_result(source: str, result: str) -> Path:
    path = Path(result)
    if _is_folder(result):
        return path / Path(source).name
    if _PADDING.search(path.name):
        raise UsageError(f"the output {result} is a sequence, the input {source} is one plate")
    return _exr(path)


def _sequence(source: str, result: str, frame_range: str | None) -> list[Frame]:
    plates = _parse(source)
    numbers = parse_range(frame_range) if frame_range is not None else _on_disk(source)
    if not numbers:
        raise UsageError(f"{source}: no frame on disk matches")
    if _is_folder(result):
        result = str(Path(result) / Path(source).name)
    elif not _PADDING.search(Path(result).name):
        if len(numbers) > 1:
            raise UsageError(
                f"the output {result} is one file, the input has {len(numbers)} frames: write it as NAME.####.exr"
            )
        return [Frame(numbers[0], Path(plates.frame(numbers[0])), _exr(Path(result)))]
    results = _parse(str(_exr(Path(result))))
    return [Frame(n, Path(plates.frame(n)), Path(results.frame(n))) for n in numbers]


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
    numbers: set[int] = set()
    for piece in compact.split(","):
        match = re.fullmatch(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?", piece)
        first = int(match[1]) if match else 0
        last = int(match[2]) if match and match[2] is not None else first
        step = int(match[3]) if match and match[3] is not None else 1
        if step < 1 or last < first:
            raise UsageError(f"--frames {text}: {piece} holds no frame; ranges go upwards, steps are 1 or more")
        if (last - first) // step + len(numbers) >= MAX_FRAMES:
            raise UsageError(f"--frames {text}: more than {MAX_FRAMES} frames")
        numbers.update(range(first, last + 1, step))
    return sorted(numbers)


def _parse(pattern: str) -> Any:
    """The pattern as a fileseq sequence. ``#`` is one digit (fileseq's own default is four)."""
    try:
        # A range is put in, or fileseq reads some patterns as single files.
        at = _PADDING.search(pattern, len(pattern) - len(Path(pattern).name))
        assert at is not None
        return FileSequence(pattern[: at.start()] + "1" + pattern[at.start() :], pad_style=PAD_STYLE_HASH1)
    except FileSeqException as error:
        raise UsageError(f"{pattern}: not a sequence pattern ({error}); write NAME.####.exr") from None


def _on_disk(pattern: str) -> list[int]:
    folder = Path(pattern).parent
    if not folder.is_dir():
        raise UsageError(f"{pattern}: its folder does not exist")
    try:
        found = FileSequence.findSequenceOnDisk(pattern, strictPadding=True, pad_style=PAD_STYLE_HASH1)
    except FileSeqException:
        return []
    return sorted({int(number) for number in cast(Any, found).frameSet() or ()})


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
