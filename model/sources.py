"""Sources: where the pairs of a store come from.

    rendered    a folder that ``deepupscale render-pairs`` has made, with its ``manifest.jsonl``
    pairs       a folder with ``lr/`` and ``hr/`` that hold EXR files of the same names
    degraded    a folder of EXR files, which are HR; LR is made from them by pixel filters in scene-linear light

A rendered pair that is missing or damaged is an error: the folder is not what its manifest says. In the other two
kinds a file that is not fit is left out with its reason.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from deepupscale.errors import PlateError, UsageError, one_line
from deepupscale.plate import Limits
from model.pixel_filters import PixelFilter, blackman_harris, box, gaussian, mitchell, reduce_whole
from model.planes import UnfitError, read_planes, survey
from model.store_format import BEAUTY, FieldSpec, Plane

MANIFEST = "manifest.jsonl"
DEGRADE = "blackman-harris:1.5"
_LONGEST_NAME = 200
_MOST_FILTERS = 16

Kind = Literal["rendered", "pairs", "degraded"]


@dataclass(frozen=True)
class Candidate:
    """A pair that may be packed.

    Attributes:
        name: The pair's name.
        kind: What its source is.
        source: The folder that was named.
        lr: LR's file; None where it is made from HR.
        hr: HR's file.
        size: Width and height of LR in pixels, as the manifest has them; None without one.
        digests: SHA-256 of the files, ``lr`` and ``hr``, as the manifest has them; may be empty.
        group: What kind of scene it shows, as the manifest has it; may be empty.
        reduction: What LR is made with where there is none.
    """

    name: str
    kind: Kind
    source: Path
    lr: Path | None
    hr: Path
    size: tuple[int, int] | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    reduction: PixelFilter | None = None


@dataclass(frozen=True)
class LeftOut:
    """A pair that is not packed, and why."""

    name: str
    source: Path
    reason: str


@dataclass(frozen=True)
class Loaded:
    """A pair, read.

    Attributes:
        lr, hr: Field name to (height, width, channels), linear, in the type they are stored in.
        clamped: Values that were too large for half and became +-65504.
        note: What is worth saying of it; most often nothing.
    """

    lr: dict[str, Plane]
    hr: dict[str, Plane]
    clamped: int
    note: str = ""


def candidates(source: Path, degrade: str = DEGRADE) -> tuple[list[Candidate], list[LeftOut]]:
    """What a folder offers, by name, and what it holds that cannot be packed.

    Args:
        source: The folder.
        degrade: What LR is made with where there is only HR, see :func:`parse_filters`. Each file gives a pair for
            each filter; where there are several, its name is followed by ``@`` and the filter.

    Raises:
        UsageError: No such folder, nothing in it, a manifest that is not to be trusted, or an unknown filter.
    """
    filters = parse_filters(degrade)
    if not source.is_dir():
        what = "is a file, name the folder that holds the pairs" if source.exists() else "there is no such folder"
        raise UsageError(f"{source}: {what}")
    if (source / MANIFEST).exists():
        return _rendered(source)
    folders = [(source / name).is_dir() for name in ("lr", "hr")]
    if all(folders):
        return _side_by_side(source)
    if any(folders):
        raise UsageError(f"{source}: has only one of lr/ and hr/: pairs need both")
    files = _exr_files(source)
    if not files:
        raise UsageError(f"{source}: holds no pairs: no {MANIFEST}, no lr/ and hr/, no EXR files")
    return _named(
        [
            Candidate(f"{file.stem}{tail}", "degraded", source, None, file, reduction=reduction)
            for tail, reduction in filters.items()
            for file in files
        ]
    )


def offered(candidate: Candidate, limits: Limits) -> list[FieldSpec]:
    """The fields that a pair has in both its files, by their headers.

    Raises:
        UsageError: A rendered pair that is missing or damaged.
        UnfitError: The pair is left out.
    """
    with _fate_of(candidate):
        high = survey(candidate.hr, limits)
        if candidate.lr is None:
            return [high.fields[BEAUTY].spec]
        low = survey(candidate.lr, limits)
        if candidate.size not in (None, low.size):
            raise PlateError(f"{candidate.lr}: is {low.size[0]}x{low.size[1]}, its manifest says otherwise")
        _refuse_sizes(low.size, high.size)
        both = high.fields.keys() & low.fields.keys()
        return [high.fields[n].spec for n in sorted(both) if low.fields[n].spec == high.fields[n].spec]


def load(candidate: Candidate, fields: Sequence[FieldSpec], limits: Limits, keep_incoherent: bool) -> Loaded:
    """Read a pair.

    Args:
        candidate: From :func:`candidates`.
        fields: What to read; of degraded ones only the beauty can be had.
        limits: Caps on what a file may claim.
        keep_incoherent: Keep pairs that do not show the same thing at both sizes.

    Raises:
        UsageError: A rendered pair that is missing or damaged.
        UnfitError: The pair is left out.
    """
    with _fate_of(candidate):
        _check_digests(candidate)
        hr, clamped = read_planes(candidate.hr, fields, limits, even=candidate.lr is None)
        if candidate.lr is None:
            # LR is made from HR as it is stored: the store alone tells how they belong together.
            assert candidate.reduction is not None
            lr = {BEAUTY: reduce_whole(hr[BEAUTY].astype(np.float32), candidate.reduction, 2).astype(np.float16)}
            return Loaded(lr, hr, clamped)
        lr, more = read_planes(candidate.lr, fields, limits)
        _refuse_sizes(_size(lr), _size(hr))
        fault = _incoherence(lr[BEAUTY], hr[BEAUTY]) if candidate.kind == "pairs" else ""
        if fault and not keep_incoherent:
            raise UnfitError(f"incoherent: {fault}")
        return Loaded(lr, hr, clamped + more, f"kept though incoherent: {fault}" if fault else "")


def parse_filters(text: str) -> dict[str, PixelFilter]:
    """One pixel filter or several, separated by commas.

    Each is ``box``, ``gaussian[:SIGMA]`` (0.4), ``blackman-harris[:WIDTH]`` (1.5) or ``mitchell``, in LR pixels.

    Returns:
        What follows a picture's name to tell its pairs apart (nothing if there is one filter) to the filter.

    Raises:
        UsageError: Anything else, one filter twice, or more than 16.
    """
    asked = text.split(",")
    if len(set(asked)) < len(asked) or len(asked) > _MOST_FILTERS:
        raise UsageError(f"--degrade {text}: name each filter once, and {_MOST_FILTERS} at most")
    tails = [f"@{each.replace(':', '-')}" if len(asked) > 1 else "" for each in asked]  # for the names of files
    return dict(zip(tails, map(_parse_filter, asked), strict=True))


def _parse_filter(text: str) -> PixelFilter:
    name, colon, number = text.partition(":")
    try:
        value = float(number) if colon else None
    except ValueError:
        value = math.nan
    if name in ("box", "mitchell") and value is None:
        return box() if name == "box" else mitchell()
    if name == "gaussian" and 0.1 <= (value if value is not None else 0.4) <= 0.63:
        return gaussian(value if value is not None else 0.4)
    if name == "blackman-harris" and 0.6 <= (value if value is not None else 1.5) <= 4.0:
        return blackman_harris(value if value is not None else 1.5)
    raise UsageError(
        f"--degrade {text}: write box, mitchell, gaussian[:SIGMA] with 0.1 to 0.63, or blackman-harris[:WIDTH] with "
        "0.6 to 4; several with commas"
    )


def _rendered(source: Path) -> tuple[list[Candidate], list[LeftOut]]:
    from render import manifest

    found: list[Candidate] = []
    left_out: list[LeftOut] = []
    for record in manifest.read(source):
        if record.status != "accepted":
            left_out.append(LeftOut(record.name, source, f"rejected by render-pairs: {one_line(record.reason)}"))
            continue
        lr, hr = (_inside(source, path, record.name) for path in (record.lr, record.hr))
        group = one_line(str(record.scene.get("kind", "")))
        found.append(Candidate(record.name, "rendered", source, lr, hr, record.size, record.digest, group))
    return sorted(found, key=lambda each: each.name), left_out


def _inside(folder: Path, relative: str, name: str) -> Path:
    """The file that a manifest names, which must lie in its folder, links followed."""
    path = folder / relative
    if "\0" in relative or not path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{folder / MANIFEST}: pair {name} names a file outside its folder: {one_line(relative)}")
    return path


def _side_by_side(source: Path) -> tuple[list[Candidate], list[LeftOut]]:
    low, high = ({file.name: file for file in _exr_files(source / name)} for name in ("lr", "hr"))
    if not low and not high:
        raise UsageError(f"{source}: lr/ and hr/ hold no EXR files")
    found, left_out = _named(
        [Candidate(low[name].stem, "pairs", source, low[name], high[name]) for name in sorted(low.keys() & high.keys())]
    )
    for name in sorted(low.keys() ^ high.keys()):
        here, there = ("lr", "hr") if name in low else ("hr", "lr")
        left_out.append(LeftOut(Path(name).stem, source, f"is in {here}/ but not in {there}/"))
    return found, left_out


def _named(found: list[Candidate]) -> tuple[list[Candidate], list[LeftOut]]:
    """Those whose name a store can hold, and the others."""
    good = [each for each in found if len(each.name) <= _LONGEST_NAME and each.name.isprintable()]
    bad = [each for each in found if len(each.name) > _LONGEST_NAME or not each.name.isprintable()]
    reason = f"its name is longer than {_LONGEST_NAME} characters, or not printable"
    return good, [LeftOut(one_line(each.name), each.source, reason) for each in bad]


def _exr_files(folder: Path) -> list[Path]:
    """EXR files of a folder, not below; hidden ones are somebody's unfinished work."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ".exr" and not file.name.startswith("."))


@contextmanager
def _fate_of(candidate: Candidate) -> Iterator[None]:
    """A file that cannot be read: an error where a manifest vouches for it, else a reason to leave the pair out."""
    try:
        yield
    except PlateError as error:
        if candidate.kind == "rendered":
            raise UsageError(f"{error}: render the pair again, or remove its line from {MANIFEST}") from None
        raise UnfitError(str(error)) from None
    except MemoryError:
        raise UnfitError("not enough memory for it; a lower --max-side leaves such pairs out at once") from None


def _check_digests(candidate: Candidate) -> None:
    """A file is the one that the manifest is about."""
    for level, path in (("lr", candidate.lr), ("hr", candidate.hr)):
        expected = candidate.digests.get(level)
        if not expected or path is None:
            continue
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise PlateError(f"{path}: cannot be read: {error.strerror or error}") from None
        if found != expected:
            raise PlateError(f"{path}: is not the file that was rendered")


def _size(planes: Mapping[str, Plane]) -> tuple[int, int]:
    height, width = planes[BEAUTY].shape[:2]
    return width, height


def _refuse_sizes(low: tuple[int, int], high: tuple[int, int]) -> None:
    if high != (2 * low[0], 2 * low[1]):
        raise UnfitError(f"sizes are not 1:2: LR is {low[0]}x{low[1]}, HR is {high[0]}x{high[1]}")


def _incoherence(lr: Plane, hr: Plane) -> str:
    from render import coherence

    try:
        return coherence.fault(coherence.measure(lr.astype(np.float32), hr.astype(np.float32)))
    except ValueError as error:
        return str(error)
