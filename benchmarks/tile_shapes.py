"""Tile shapes: what a useful pixel costs in tiles of different shapes, halos included.

    python -m benchmarks.tile_shapes --model model.onnx --model model.int8.onnx

Every shape of every model and precision takes its turn in every round, beside large matrix products by the same library
and ONNX Runtime in f32. The table marks the cheapest shape and the one that the engine picks for the plate.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine
from benchmarks.networks import multiply_adds
from benchmarks.products import matrix_products, yardsticks
from benchmarks.rounds import Contestant, Outcome, interleave
from deepupscale.caches import caches_here
from deepupscale.devices import Precision
from deepupscale.errors import DeepUpscaleError
from deepupscale.model_file import ModelFile, load_model
from deepupscale.openvino_core import openvino_core
from deepupscale.session import float_precisions
from deepupscale.tiling import ACTIVATION_BYTES, Network, plan

SHAPES = "64x64,128x128,192x192,256x256,384x384,512x512,768x768,1024x1024,64x1024,128x1024,256x1024,540x683"
_LEAST_PIXELS = 200_000  # fed in a turn, so that short ones can be timed
Shape = tuple[int, int]


@dataclass(frozen=True)
class Kind:
    """What is timed: a model, what it is computed in, and how.

    Attributes:
        way: ``openvino`` as the engine runs it, ``dynamic`` shapes, ``streams`` (as many requests at once as threads,
            each on one), or ``onnxruntime``.
    """

    model: ModelFile
    precision: Precision
    way: str = "openvino"

    @property
    def label(self) -> str:
        """What it is called in the table."""
        return f"{self.model.path.name} {self.precision} {self.way}"


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    kind: Kind
    shape: Shape
    timed: Contestant
    picked: bool

    @property
    def fed(self) -> int:
        """Pixels of a tile with its halo."""
        halo = 2 * self.kind.model.promise.halo
        return (self.shape[0] + halo) * (self.shape[1] + halo)

    def useful_ms(self, seconds: float) -> float:
        """Milliseconds a million pixels of the plate."""
        return 1e9 * seconds / (self.shape[0] * self.shape[1])


def shapes_of(text: str) -> list[Shape]:
    """Rows and columns of ``64x64,128x1024``."""
    found = [re.fullmatch(r"(\d{1,5})x(\d{1,5})", part) for part in text.split(",")]
    shapes = [(int(match[1]), int(match[2])) for match in found if match]
    if len(shapes) < len(found) or any(0 in shape for shape in shapes):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of shapes: write rows and columns as 64x64,128x1024")
    return shapes


def runner(kind: Kind, shape: Shape, threads: int) -> tuple[Callable[[], None], int]:
    """What runs a tile, or several at once, and how many."""
    halo, multiple = 2 * kind.model.promise.halo, kind.model.promise.multiple
    height, width = (-(-(side + halo) // multiple) * multiple for side in shape)
    tile = np.random.default_rng(1).uniform(0.1, 0.9, (1, 3, height, width)).astype(np.float32)
    if kind.way == "onnxruntime":
        import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

        library = cast(Any, ort)
        options = library.SessionOptions()
        options.intra_op_num_threads = threads
        session = library.InferenceSession(kind.model.data, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {kind.model.promise.inputs[0].name: tile}), 1
    import openvino

    ov: Any = openvino  # its own type hints name two classes Model
    graph = openvino_core().read_model(kind.model.data)
    if kind.way != "dynamic":
        graph.reshape(ov.PartialShape(list(tile.shape)))
    lower = kind.precision == "bf16"
    config = {
        "INFERENCE_PRECISION_HINT": "bf16" if lower else "f32",
        "EXECUTION_MODE_HINT": "PERFORMANCE" if lower else "ACCURACY",
        "INFERENCE_NUM_THREADS": threads,
        **({"NUM_STREAMS": threads} if kind.way == "streams" else {"PERFORMANCE_HINT": "LATENCY"}),
    }
    compiled = openvino_core().compile_model(graph, "CPU", config)
    requests = [compiled.create_infer_request() for _ in range(threads if kind.way == "streams" else 1)]

    def turn() -> None:
        for request in requests:
            request.start_async([tile], share_inputs=True)
        for request in requests:
            request.wait()

    return turn, len(requests)


def contestant(kind: Kind, shape: Shape, threads: int, clock: Callable[[], float]) -> Contestant:
    """Seconds of one tile of this shape; compiled and warm."""
    halo = 2 * kind.model.promise.halo
    pixels = (shape[0] + halo) * (shape[1] + halo)
    run, tiles = runner(kind, shape, threads)
    times = max(1, round(_LEAST_PIXELS / (pixels * tiles)))

    def turn() -> Outcome:
        began = clock()
        for _ in range(times):
            run()
        return Outcome((clock() - began) / (times * tiles))

    rows, columns = shape[0] + halo, shape[1] + halo
    flop = 2.0 * multiply_adds(kind.model, (1, 3, rows, columns))
    return Contestant("tile", f"{kind.label} {shape[0]}x{shape[1]}", turn, precision=kind.precision, flop=flop)


def entries(
    kinds: Sequence[Kind], shapes: Sequence[Shape], plate: Shape, threads: int, clock: Callable[[], float]
) -> list[Entry]:
    """A line for every kind and shape, the engine's pick among them; what outgrows the engine's memory is left out."""
    found: list[Entry] = []
    for kind in kinds:
        network = Network.of(kind.model, kind.precision)
        tiling = plan(plate[1], plate[0], 4, network)
        picked = (tiling.rows, tiling.columns)
        halo = 2 * network.halo
        for shape in dict.fromkeys([*shapes, picked]):
            if (shape[0] + halo) * (shape[1] + halo) * network.pixel_bytes <= 2 * ACTIVATION_BYTES:
                found.append(Entry(kind, shape, contestant(kind, shape, threads, clock), shape == picked))
    return found


def table(found: Sequence[Entry], products: dict[str, Contestant]) -> Table:
    """Cheapest and picked shapes are marked."""
    shown = Table(title="what a useful pixel costs")
    for name in ("model", "rows x columns", "halo", "ms/useful Mpx", "least..most", "ms/fed Mpx", "of matmul", ""):
        shown.add_column(name, justify="left" if name in ("model", "") else "right")
    for kind in dict.fromkeys(entry.kind.label for entry in found):
        mine = [entry for entry in found if entry.kind.label == kind]
        costs = [entry.useful_ms(entry.timed.seconds.median) for entry in mine]
        best = min(costs)
        for entry, cost in zip(mine, costs, strict=True):
            seconds, product = entry.timed.seconds, products.get(entry.timed.precision)
            rate = (entry.timed.flop / seconds.median) / (product.flop / product.seconds.median) if product else None
            notes = [note for note, holds in (("cheapest", cost == best), ("picked", entry.picked)) if holds]
            shown.add_row(
                kind,
                f"{entry.shape[0]}x{entry.shape[1]}",
                f"{entry.fed / (entry.shape[0] * entry.shape[1]) - 1.0:.0%}",
                f"{cost:.0f}",
                f"{entry.useful_ms(seconds.least):.0f}..{entry.useful_ms(seconds.most):.0f}",
                f"{1e9 * seconds.median / entry.fed:.0f}",
                "" if rate is None else f"{rate:.0%}",
                ", ".join(notes) + (f" (+{cost / best - 1.0:.1%})" if entry.picked else ""),
            )
    return shown


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tile_shapes", description=__doc__)
    parser.add_argument("--model", type=Path, action="append", help="a model file; repeatable (the default model)")
    parser.add_argument("--precision", choices=("f32", "bf16", "int8"), action="append", help="only this; repeatable")
    parser.add_argument("--shapes", type=shapes_of, default=shapes_of(SHAPES), help=f"rows x columns ({SHAPES})")
    parser.add_argument("--ways", default="openvino", help="of openvino,dynamic,streams,onnxruntime (openvino)")
    parser.add_argument("--plate", type=shapes_of, default=[(1080, 2048)], help="rows x columns (1080x2048)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all")
    parser.add_argument("--matrix", type=int, default=2048, help="side of the matrix products (2048); 0 for none")
    parser.add_argument("--cpu-time", action="store_true", help="count the process's CPU time: for busy machines")
    options = parser.parse_args()
    unknown = set(options.ways.split(",")) - {"openvino", "dynamic", "streams", "onnxruntime"}
    if unknown:
        parser.error(f"--ways {unknown.pop()}: use openvino, dynamic, streams or onnxruntime")
    if options.rounds < 1 or options.threads < 0 or options.matrix < 0:
        parser.error("--rounds must be above 0, --threads and --matrix 0 or more")
    return options


def _kinds(options: argparse.Namespace) -> list[Kind]:
    found: list[Kind] = []
    for path in options.model or [None]:
        model = load_model(path)
        able: Sequence[Precision] = ("int8",) if model.promise.precision == "int8" else float_precisions()
        for precision in able:
            if precision in (options.precision or able):
                ways = [way for way in options.ways.split(",") if way != "onnxruntime" or precision == "f32"]
                found += [Kind(model, precision, way) for way in ways]
    return found


def main() -> None:
    """Measure and print."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 160)
    machine = Machine.here(options.threads)
    for line in machine.lines():
        console.print(line, highlight=False, markup=False)
    console.print(f"caches    {caches_here().bytes >> 20} MiB of second and third level\n", highlight=False)
    clock = time.process_time if options.cpu_time else time.perf_counter
    found = entries(_kinds(options), options.shapes, options.plate[0], machine.threads, clock)
    products = matrix_products(options.matrix, machine.threads)[0] if options.matrix else []
    products = [_clocked(each, clock) for each in products if each.name.startswith("OpenVINO")]
    interleave([*products, *(entry.timed for entry in found)], options.rounds, lambda _: None)
    console.print(table(found, yardsticks(products)))


def _clocked(product: Contestant, clock: Callable[[], float]) -> Contestant:
    """A matrix product by the same clock as the tiles."""
    work = product.turn

    def turn() -> Outcome:
        began = clock()
        work()
        return Outcome(clock() - began)

    product.turn = turn
    return product


if __name__ == "__main__":
    try:
        main()
    except (DeepUpscaleError, ImportError, OSError) as failure:
        sys.exit(f"benchmarks: {failure}")
