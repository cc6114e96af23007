"""Packing: sources of pairs into one store, one pair in memory at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deepupscale.errors import StoreError, UsageError, one_line
from deepupscale.plate import Limits
from model.planes import UnfitError
from model.sources import DEGRADE, Candidate, LeftOut, candidates, load, offered
from model.store_file import import_lmdb
from model.store_format import BEAUTY, DATA_FILE, MARGIN, TILE, FieldSpec
from model.store_writer import StoreWriter, check_place


@dataclass(frozen=True)
class PackOptions:
    """How to pack.

    Attributes:
        aovs: Names of the fields to pack beside the beauty; None for all that every pair has.
        tile, margin: HR pixels, both even: side of a tile's core, and what it holds beyond it on every side.
        degrade: What LR is made with where a source has only HR; see :func:`model.sources.parse_filters`.
        keep_incoherent: Keep pairs that do not show the same thing at both sizes.
        overwrite: Replace a store that stands there.
        max_side: Largest width or height that a file may claim, in pixels.
    """

    aovs: tuple[str, ...] | None = None
    tile: int = TILE
    margin: int = MARGIN
    degrade: str = DEGRADE
    keep_incoherent: bool = False
    overwrite: bool = False
    max_side: int = 16384


@dataclass(frozen=True)
class PairReport:
    """What became of one pair.

    Attributes:
        name: Its name.
        source: The folder it is from, as it was named.
        status: Whether it is in the store.
        size: Width and height of HR in pixels; None where it was left out.
        message: Why it was left out, or what is worth saying of it.
        clamped: Values that were too large for half and became +-65504.
    """

    name: str
    source: Path
    status: Literal["packed", "left out"]
    size: tuple[int, int] | None = None
    message: str = ""
    clamped: int = 0


@dataclass(frozen=True)
class PackReport:
    """What a pack did.

    Attributes:
        store: Where the store stands.
        dataset: The dataset's id.
        fields: Names of the fields.
        uncommon: Fields that some pairs have and others lack, and that are therefore not packed.
        pairs: One report a pair, in the order they were dealt with.
        bytes: Size on disk.
        seconds: Wall time.
    """

    store: Path
    dataset: str
    fields: tuple[str, ...]
    uncommon: tuple[str, ...]
    pairs: tuple[PairReport, ...]
    bytes: int
    seconds: float

    def count(self, status: str) -> int:
        """Pairs of that status."""
        return sum(pair.status == status for pair in self.pairs)

    def document(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return {
            "store": str(self.store),
            "dataset": self.dataset,
            "fields": list(self.fields),
            "uncommon": list(self.uncommon),
            "packed": self.count("packed"),
            "left_out": self.count("left out"),
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "pairs": [
                {
                    "name": pair.name, "source": str(pair.source), "status": pair.status,
                    "size": list(pair.size) if pair.size else None, "message": pair.message, "clamped": pair.clamped,
                }
                for pair in self.pairs
            ],
        }  # fmt: skip


Told = Callable[[PairReport, int, int], None]


def pack(
    sources: Sequence[Path], store: Path, options: PackOptions | None = None, told: Told | None = None
) -> PackReport:
    """Make a store.

    The same pairs give the same dataset id and the same values, in whatever order their folders are named.

    Args:
        sources: Folders; see :mod:`model.sources`.
        store: The folder to make.
        options: How.
        told: Told of each pair when it is done, with its number from 1 and the number of all.

    Raises:
        UsageError: Sources, options or place that cannot be meant, or a rendered pair that is missing or damaged.
        StoreError: No pair is fit, or the store cannot be written. Nothing is left behind.
        MissingExtraError: LMDB is not installed.
    """
    began = time.perf_counter()
    options = options or PackOptions()
    import_lmdb()
    _check(options)
    check_place(store, options.overwrite)
    limits = Limits(side=options.max_side)
    found, left_out = _found(sources, options.degrade)
    surveyed = _surveyed(found, limits, left_out)
    fields, uncommon = _fields([specs for _, specs in surveyed], options.aovs)
    total, reports = len(surveyed) + len(left_out), list[PairReport]()

    def tell(report: PairReport) -> None:
        reports.append(report)
        if told is not None:
            told(report, len(reports), total)

    for each in left_out:
        tell(_omission(each))
    with StoreWriter(store, fields, options.tile, options.margin, options.overwrite) as writer:
        for candidate, _ in surveyed:
            tell(_packed(writer, candidate, fields, limits, options.keep_incoherent))
        if all(report.status != "packed" for report in reports):
            raise StoreError(f"{store}: no store is made: none of {total} pairs is fit, as in: {_first(reports)}")
    assert writer.description is not None
    return PackReport(
        store, writer.description.dataset, tuple(field.name for field in fields), uncommon, tuple(reports),
        (store / DATA_FILE).stat().st_size, time.perf_counter() - began,
    )  # fmt: skip


def _check(options: PackOptions) -> None:
    if not (64 <= options.tile <= 4096 and options.tile % 2 == 0):
        raise UsageError(f"--tile {options.tile}: must be even and within 64 and 4096")
    if not (0 <= options.margin <= 1024 and options.margin % 2 == 0):
        raise UsageError(f"--margin {options.margin}: must be even and within 0 and 1024")


def _found(sources: Sequence[Path], degrade: str) -> tuple[list[Candidate], list[LeftOut]]:
    """All pairs, in an order that does not depend on that of the sources."""
    found: list[Candidate] = []
    left_out: list[LeftOut] = []
    for source in sources:
        offers, refused = candidates(source, degrade)
        found += offers
        left_out += refused
    found.sort(key=lambda each: (each.name, each.kind, each.source.resolve().name, str(each.hr)))
    left_out.sort(key=lambda each: (each.name, str(each.source)))
    return found, left_out


def _surveyed(
    found: Sequence[Candidate], limits: Limits, left_out: list[LeftOut]
) -> list[tuple[Candidate, list[FieldSpec]]]:
    """Pairs with their fields, by their headers; those that are not fit go to ``left_out``."""
    surveyed: list[tuple[Candidate, list[FieldSpec]]] = []
    for candidate in found:
        try:
            surveyed.append((candidate, offered(candidate, limits)))
        except UnfitError as error:
            left_out.append(LeftOut(candidate.name, candidate.source, one_line(str(error))))
    return surveyed


def _fields(
    offers: Sequence[Sequence[FieldSpec]], aovs: tuple[str, ...] | None
) -> tuple[tuple[FieldSpec, ...], tuple[str, ...]]:
    """The fields to pack, and the names of those that only some pairs have."""
    known: dict[FieldSpec, int] = {}
    for specs in offers:
        for spec in specs:
            known[spec] = known.get(spec, 0) + 1
    beauty = FieldSpec.model_validate({"name": BEAUTY, "kind": "colour", "channels": ("R", "G", "B"), "dtype": "half"})
    others = {spec: count for spec, count in known.items() if spec.name != BEAUTY}
    if aovs is None:
        chosen = [spec for spec, count in others.items() if count == len(offers)]
    else:
        chosen = []
        for name in dict.fromkeys(name for name in aovs if name != BEAUTY):
            spec = max((spec for spec in others if spec.name == name), key=lambda spec: others[spec], default=None)
            if spec is None:
                names = ", ".join(sorted({spec.name for spec in others})) or "none"
                raise UsageError(f"--aovs {name}: no pair has it; there is {names}")
            chosen.append(spec)
    uncommon = {spec.name for spec in others} - {spec.name for spec in chosen} if aovs is None else set[str]()
    return (beauty, *sorted(chosen, key=lambda spec: spec.name)), tuple(sorted(uncommon))


def _packed(
    writer: StoreWriter,
    candidate: Candidate,
    fields: Sequence[FieldSpec],
    limits: Limits,
    keep: bool,
) -> PairReport:
    """One pair into the store, or why not."""
    try:
        loaded = load(candidate, fields, limits, keep)
    except UnfitError as error:
        return _omission(LeftOut(candidate.name, candidate.source, one_line(str(error))))
    folder = candidate.source.resolve().name
    folder = (one_line(folder) if folder.isprintable() else "")[:200]
    entry = writer.add(candidate.name, folder, candidate.kind, loaded.lr, loaded.hr)
    if entry is None:
        return _omission(LeftOut(candidate.name, candidate.source, "the same pair is in the store already"))
    size = (2 * entry.size[0], 2 * entry.size[1])
    return PairReport(candidate.name, candidate.source, "packed", size, loaded.note, loaded.clamped)


def _omission(left_out: LeftOut) -> PairReport:
    return PairReport(left_out.name, left_out.source, "left out", message=left_out.reason)


def _first(reports: Sequence[PairReport]) -> str:
    return f"{reports[0].name}: {reports[0].message}" if reports else "there is none"
