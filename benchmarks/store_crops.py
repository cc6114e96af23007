"""Random crops from a store against the same crops from the EXR files it was packed from.

    python -m benchmarks.store_crops STORE --pairs FOLDER [--crops N] [--rounds N] [--threads N] [--json]

A crop is 192x192 of HR and the 96x96 of LR over it, R, G and B as half. From the EXR files only those channels are
read, and only the rows that are needed; once with every file opened for its crop, as a data loader does that cannot
hold thousands of files open, and once with all files kept open. All take the same crops in turns, in one run, with the
files in the page cache; before anything is timed every contestant's crops are compared with the store's, bit by bit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from rich.console import Console
from rich.table import Table

from benchmarks.rounds import Contestant, Outcome, interleave
from deepupscale.errors import UsageError
from deepupscale.threads import set_threads
from model.sources import candidates
from model.store import Store

SIDE = 96  # LR pixels
STORE = "store"
Files = Mapping[str, tuple[Path, Path]]
Cut = Callable[[int, int, int], tuple[np.ndarray, np.ndarray]]


@dataclass
class ExrCrops:
    """Crops out of EXR files.

    Attributes:
        store: Whose pairs these are.
        files: Pair name to LR and HR file.
        keep_open: Open every file once, or for every crop.
    """

    store: Store
    files: Files
    keep_open: bool
    _open: dict[Path, Any] = field(default_factory=dict)

    def __call__(self, pair: int, y: int, x: int) -> tuple[np.ndarray, np.ndarray]:
        """LR (96, 96, 3) and HR (192, 192, 3), half."""
        low, high = self.files[self.store.pairs[pair].name]
        return self._cut(low, y, x, SIDE), self._cut(high, 2 * y, 2 * x, 2 * SIDE)

    def _cut(self, path: Path, y: int, x: int, side: int) -> np.ndarray:
        file = self._open.get(path)
        if file is None:
            file = oiio.ImageInput.open(str(path))
            if file is None:
                raise UsageError(f"{path}: cannot be opened: {oiio.geterror()}")
            if self.keep_open:
                self._open[path] = file
        spec = file.spec()
        first = min(spec.channelnames.index(name) for name in "RGB")
        last = max(spec.channelnames.index(name) for name in "RGB") + 1
        top, left = spec.y + y, spec.x + x
        if spec.tile_width:
            y0, x0 = y // spec.tile_height * spec.tile_height, x // spec.tile_width * spec.tile_width
            y1 = min(-(-(y + side) // spec.tile_height) * spec.tile_height, spec.height)
            x1 = min(-(-(x + side) // spec.tile_width) * spec.tile_width, spec.width)
            box = (spec.x + x0, spec.x + x1, spec.y + y0, spec.y + y1, 0, 1)
            pixels = file.read_tiles(0, 0, *box, first, last, oiio.HALF)
            rows, columns = slice(y - y0, y - y0 + side), slice(x - x0, x - x0 + side)
        else:
            pixels = file.read_scanlines(0, 0, top, top + side, 0, first, last, oiio.HALF)
            rows, columns = slice(None), slice(left - spec.x, left - spec.x + side)
        if pixels is None:
            raise UsageError(f"{path}: cannot be read: {file.geterror()}")
        order = [spec.channelnames.index(name) - first for name in "RGB"]
        found = np.ascontiguousarray(pixels[rows, columns][:, :, order])
        if not self.keep_open:
            file.close()
        return found


def places(store: Store, seed: int, count: int) -> list[tuple[int, int, int]]:
    """Random crops: pair, row and column in LR pixels."""
    rng = np.random.default_rng(seed)
    fit = [n for n, pair in enumerate(store.pairs) if min(pair.size) >= SIDE]
    if not fit:
        raise UsageError(f"{store.path}: no pair is as large as a crop, {SIDE} LR pixels a side")
    found: list[tuple[int, int, int]] = []
    for _ in range(count):
        pair = fit[int(rng.integers(len(fit)))]
        width, height = store.pairs[pair].size
        found.append((pair, int(rng.integers(height - SIDE + 1)), int(rng.integers(width - SIDE + 1))))
    return found


def contestant(name: str, cut: Cut, store: Store, crops: int) -> Contestant:
    """Times ``crops`` crops a turn; every turn takes others, which are the same for every contestant."""
    turns = iter(range(1, 1 << 30))

    def turn() -> Outcome:
        wanted = places(store, next(turns), crops)
        began = time.perf_counter()
        for place in wanted:
            cut(*place)
        return Outcome((time.perf_counter() - began) / crops)

    return Contestant("crops", name, turn)


def compare(store: Store, files: Files, crops: int, rounds: int, told: Callable[[str], None]) -> dict[str, Any]:
    """Time all, in turns.

    Returns:
        JSON-ready: per contestant crops a second (median, least, most) and how many times the store is faster.

    Raises:
        UsageError: The files are not those of the store.
    """

    def from_store(pair: int, y: int, x: int) -> tuple[np.ndarray, np.ndarray]:
        crop = store.crop(pair, y, x, SIDE)
        return crop.lr["rgb"], crop.hr["rgb"]

    cuts: dict[str, Cut] = {
        STORE: from_store,
        "EXR, opened for each crop": ExrCrops(store, files, False),
        "EXR, kept open": ExrCrops(store, files, True),
    }
    for name, cut in cuts.items():
        for place in places(store, 0, 8):
            if any(a.tobytes() != b.tobytes() for a, b in zip(cut(*place), from_store(*place), strict=True)):
                raise UsageError(f"{name}: {store.pairs[place[0]].name} is not what the store holds")
    contestants = [contestant(name, cut, store, crops) for name, cut in cuts.items()]
    interleave(contestants, rounds, told)
    rows: list[dict[str, Any]] = []
    for each in contestants:
        speeds, times = [1.0 / s for s in each.seconds.values], each.seconds.over(contestants[0].seconds)
        rows.append(
            {
                "name": each.name,
                "crops_per_s": round(1.0 / each.seconds.median, 1),
                "least": round(min(speeds), 1),
                "most": round(max(speeds), 1),
                "store_is_faster": round(times.median, 2),
                "store_is_faster_least": round(times.least, 2),
                "store_is_faster_most": round(times.most, 2),
            }
        )
    return {"dataset": store.dataset, "pairs": len(store), "crops_a_turn": crops, "rounds": rounds, "rows": rows}


def pair_files(store: Store, folder: Path) -> Files:
    """The files of the store's pairs."""
    found = {each.name: (each.lr, each.hr) for each in candidates(folder)[0] if each.lr is not None}
    if missing := [pair.name for pair in store.pairs if pair.name not in found]:
        raise UsageError(f"{folder}: has no LR and HR files of {missing[0]}: name what the store was packed from")
    return {name: (low, high) for name, (low, high) in found.items() if low is not None}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks.store_crops", description="Random crops from a store against EXR files."
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--pairs", type=Path, required=True, help="the folder that the store was packed from")
    parser.add_argument("--crops", type=int, default=50, help="crops a turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1, help="threads that EXRs are decoded with, as in a worker")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    set_threads(options.threads)
    console = Console(stderr=True)
    with Store(options.store) as store:
        files = pair_files(store, options.pairs)
        found = compare(store, files, options.crops, options.rounds, lambda text: console.print(text, highlight=False))
    found["threads"] = options.threads
    if options.json:
        print(json.dumps(found, indent=2))
        return
    table = Table(title=f"{2 * SIDE}x{2 * SIDE} HR crops with their LR, {found['pairs']} pairs")
    for heading in ("from", "crops/s", "least..most", "store is faster", "least..most"):
        table.add_column(heading)
    for row in found["rows"]:
        spread = f"{row['store_is_faster_least']}..{row['store_is_faster_most']}"
        table.add_row(
            row["name"], str(row["crops_per_s"]), f"{row['least']}..{row['most']}", f"{row['store_is_faster']}x", spread
        )
    Console().print(table)


if __name__ == "__main__":
    main()
