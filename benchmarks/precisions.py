"""Every precision of a model against its f32 file, on real plates: errors and speed in one table.

    python -m benchmarks.precisions MODEL... --plates PLATE... [--side N] [--rounds N] [--threads N] [--json]

One of the models is the f32 file, the others were exported from the same weights. Each is run in every precision that
this CPU computes it in, through the engine's own steps around the network, on the first RGB layer of every plate;
halves, which CPUs do not compute in, by PyTorch with every result rounded. Errors are in the compressed range. Times
are taken in turns within one run, over all plates; a ratio is taken within each round.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rounds import Contestant, interleave
from deepupscale.errors import DeepUpscaleError, UsageError
from deepupscale.model_file import ModelFile, load_model
from deepupscale.range_compression import RangeCompression
from deepupscale.resample import Float32, fill_nonfinite, pad
from deepupscale.session import float_precisions, open_session
from deepupscale.upscaler import Upscaler
from export.half_session import HalfSession
from export.verify import FLIP_LIMIT, FULL_RAMP_LIMIT, HALF_LIMIT, LIMITS, Limit, slow_ramp
from model.contenders import double_by_tiles
from model.perceptual import hdr_flip
from render.pair_files import read_rgb

_CURVE = RangeCompression()
_HEADS = ("file", "computed in", "MiB", "largest", "mean", "HDR-FLIP", "ramp", "limits", "ms a plate", "times f32", "")


@dataclass(frozen=True)
class Way:
    """A file in a precision.

    Attributes:
        file: Its name.
        computed: Runtime and precision.
        mebibytes: Size of the file.
        upscaler: Runs it.
        limit: What its error may be; None for another network, which pairs that hold the truth have to judge.
        timed: Whether its time means anything.
    """

    file: str
    computed: str
    mebibytes: float
    upscaler: Upscaler
    limit: Limit | None
    timed: bool


def ways(models: Sequence[ModelFile], pruned: Sequence[ModelFile], threads: int) -> list[Way]:
    """All files in all their precisions, the f32 file in f32 first, pruned networks last.

    Raises:
        UsageError: Not exactly one f32 file, or files whose halo or training differ.
    """
    plain = [model for model in models if model.promise.precision == "f32"]
    if len(plain) != 1:
        raise UsageError(f"name one f32 file to compare with, and files of the same weights: got {len(plain)}")
    found: list[Way] = []
    for model in (plain[0], *(model for model in models if model is not plain[0]), *pruned):
        graph, other = model.promise.precision, model in pruned
        promise, reference = model.promise, plain[0].promise
        if not other and (promise.halo, promise.training) != (reference.halo, reference.training):
            raise UsageError(f"{model.path}: is no export of what {plain[0].path} is one of")
        size = len(model.data) / 2**20
        if graph == "f16":
            rounded = Upscaler(model, HalfSession(model))
            found.append(Way(model.path.name, "pytorch f16", size, rounded, None if other else HALF_LIMIT, False))
            continue
        for precision in float_precisions() if graph == "f32" else (graph,):
            session = open_session(model, "cpu", precision, threads=threads)
            able = Upscaler(model, session)
            name = f"{session.choice.runtime} {precision}"
            found.append(Way(model.path.name, name, size, able, None if other else LIMITS[precision], True))
    return found


def first_layer(path: Path, side: int) -> Float32:
    """The first RGB layer of a plate, scene-linear, finite; its centre of that many pixels a side at most, 0 for all.

    Raises:
        PlateError: It has none, or cannot be read.
    """
    plane = fill_nonfinite(pad(read_rgb(path), 2, 2, 2, 2))
    if side:
        top, left = (max(0, length - side) // 2 for length in plane.shape[:2])
        plane = plane[top : top + side, left : left + side]
    return np.ascontiguousarray(plane)


def compare(found: Sequence[Way], plates: Sequence[Float32], rounds: int, told: Callable[[str], None]) -> list[Any]:
    """Errors of every way against the first, then times.

    Returns:
        JSON-ready rows.
    """
    truths = [double_by_tiles(found[0].upscaler, plate) for plate in plates]
    rows: list[dict[str, Any]] = []
    for way in found:
        told(f"errors: {way.file}, {way.computed}")
        results = [double_by_tiles(way.upscaler, plate) for plate in plates]
        pairs = list(zip(results, truths, strict=True))
        errors = [np.abs(_CURVE.compress(ours) - _CURVE.compress(truth)) for ours, truth in pairs]
        largest = max(float(error.max()) for error in errors)
        mean = sum(float(error.sum(dtype=np.float64)) for error in errors) / sum(error.size for error in errors)
        flip = max(hdr_flip(truth, ours).mean for ours, truth in pairs)
        ramp = _ramp(way.upscaler)
        passed = ramp <= FULL_RAMP_LIMIT
        if way.limit is not None:
            passed = passed and largest <= way.limit.largest and flip <= FLIP_LIMIT
        rows.append(
            {
                "file": way.file,
                "computed": way.computed,
                "mebibytes": way.mebibytes,
                "largest": largest,
                "largest_allowed": way.limit and way.limit.largest,
                "mean": mean,
                "flip": flip,
                "flip_allowed": way.limit and FLIP_LIMIT,
                "ramp": ramp,
                "ramp_allowed": FULL_RAMP_LIMIT,
                "passed": passed,
            }
        )
    timed = [(row, _contestant(way, plates)) for row, way in zip(rows, found, strict=True) if way.timed]
    interleave([contestant for _, contestant in timed], rounds, told)
    for row, contestant in timed if rounds else []:
        speed = timed[0][1].seconds.over(contestant.seconds)
        row["ms"] = 1000.0 * contestant.seconds.median / len(plates)
        row["speed"], row["speed_least"], row["speed_most"] = speed.median, speed.least, speed.most
    return rows


def _contestant(way: Way, plates: Sequence[Float32]) -> Contestant:
    def turn() -> None:
        for plate in plates:
            double_by_tiles(way.upscaler, plate)

    return Contestant("precisions", f"{way.file}, {way.computed}", turn, lambda: None)  # compiled for the errors


def _ramp(upscaler: Upscaler) -> float:
    """What is left of a correction on the slow ramp, compressed range."""
    ramp = slow_ramp(upscaler.margin)
    ours, plain = upscaler.double_colour(ramp), upscaler.interpolate_colour(ramp)
    return float(np.abs(_CURVE.compress(ours) - _CURVE.compress(plain)).max())


def markdown(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The table, line by line."""
    lines = [_HEADS, ("---",) * len(_HEADS), *(_cells(row) for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    errors = tuple(f"{row[name]:.1e}" for name in ("largest", "mean", "flip", "ramp"))
    allowed = (row[name] for name in ("largest_allowed", "flip_allowed", "ramp_allowed"))
    limits = " ".join("-" if limit is None else f"{limit:.0e}" for limit in allowed)
    times = (
        (f"{row['ms']:.0f}", f"{row['speed']:.2f} ({row['speed_least']:.2f}..{row['speed_most']:.2f})")
        if "ms" in row
        else ("", "")
    )
    verdict = "passes" if row["passed"] else "FAILS"
    return (row["file"], row["computed"], f"{row['mebibytes']:.2f}", *errors, limits, *times, verdict)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print; exits with 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(prog="benchmarks.precisions", description="Precisions of a model on real plates.")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="the f32 file, and others of its weights")
    parser.add_argument("--pruned", type=Path, nargs="+", default=[], metavar="MODEL", help="networks made smaller")
    parser.add_argument("--plates", type=Path, nargs="+", required=True, metavar="PLATE")
    parser.add_argument("--side", type=int, default=0, help="take the centre of so many pixels a side (0: the whole)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3); 0 for errors alone")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    if min(options.side, options.rounds, options.threads) < 0:
        parser.error("--side, --rounds and --threads must not be negative")
    models, pruned = ([load_model(path) for path in paths] for paths in (options.models, options.pruned))
    found = ways(models, pruned, options.threads)
    plates = [first_layer(path, options.side) for path in options.plates]
    rows = compare(found, plates, options.rounds, lambda text: print(text, file=sys.stderr))
    if options.json:
        print(json.dumps({"plates": [path.name for path in options.plates], "rows": rows}, indent=2))
    else:
        print("\n".join(markdown(rows)))
    if not all(row["passed"] for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except DeepUpscaleError as failure:
        sys.exit(f"benchmarks: {failure}")
