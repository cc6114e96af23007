"""``python -m benchmarks``: time the engine and its network on this machine, in one run."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.command import CommandFailedError, command_contestants
from benchmarks.hotspots import hotspots
from benchmarks.machine import Machine, load_average
from benchmarks.memory import measure, memory_runs
from benchmarks.networks import Networks
from benchmarks.products import matrix_products, yardsticks
from benchmarks.report import Report, hotspot_table, reference_of
from benchmarks.rounds import Contestant, Skipped, interleave
from benchmarks.stages import stage_contestants
from benchmarks.stand_in import tensors_fed
from benchmarks.synthetic_plate import SyntheticPlate
from deepupscale.errors import DeepUpscaleError
from deepupscale.model_file import ModelFile, load_model
from deepupscale.threads import set_threads

_PARTS = ("network", "stages", "command")


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or min(int(match[1]), int(match[2])) < 16:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it as 16384x8640")
    return int(match[1]), int(match[2])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of every contestant (3)")
    parser.add_argument("--size", type=_size, default=(2048, 1080), help="plate (2048x1080)")
    parser.add_argument("--matrix", type=int, default=4096, help="side of the matrix product (4096)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all")
    parser.add_argument("--quick", action="store_true", help="a small plate and one round: a smoke test")
    parser.add_argument("--skip", action="append", choices=_PARTS, default=[], help="leave a part out; repeatable")
    parser.add_argument("--profile", action="store_true", help="also show the engine's own costliest functions")
    parser.add_argument("--memory", action="store_true", help="also measure peak memory on a very large plate (slow)")
    parser.add_argument("--memory-size", type=_size, default=(16384, 8640), help="that plate (16384x8640)")
    parser.add_argument("--memory-precision", action="append", help="auto (default) or f32; repeatable")
    parser.add_argument(
        "--memory-passthrough",
        action="store_true",
        help="that plate without the network, and about 1024 rows of it with the network",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args()
    if options.rounds < 1 or options.matrix < 1 or options.threads < 0:
        parser.error("--rounds and --matrix must be above 0, --threads 0 or more")
    if options.json is not None and not options.json.absolute().parent.is_dir():
        parser.error(f"--json {options.json}: its folder does not exist")
    if options.quick:
        options.rounds, options.size, options.matrix = 1, (320, 180), 1024
    return options


def main() -> None:
    """Measure, print, write."""
    options = _arguments()
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=200)
    began = time.perf_counter()
    machine = Machine.here(options.threads)
    for line in machine.lines():
        console.print(line, highlight=False, markup=False)
    width, height = options.size
    console.print(f"plate     {width}x{height} half RGBA, {options.rounds} rounds\n", highlight=False)
    set_threads(machine.threads)
    contestants: list[Contestant] = []
    networks: list[Contestant] = []
    products: list[Contestant] = []
    memory: list[Contestant] = []
    skipped: list[Skipped] = []
    with tempfile.TemporaryDirectory(prefix="deepupscale-benchmark-") as name, console.status("preparing") as status:
        folder = Path(name)
        model = _own_copy(load_model(), folder)
        if "network" not in options.skip:
            found = _networks(model, width, height, machine.threads)
            networks, skipped = found.contestants, found.skipped
            products, unable = matrix_products(options.matrix, machine.threads)
            skipped += unable
            contestants += [*products, *networks]
            halo = found.fed_pixels / (width * height) - 1.0
            console.print(
                f"network   {model.label}, weights of the model file everywhere; {halo:.1%} of halo\n", highlight=False
            )
        if "stages" not in options.skip:
            contestants += stage_contestants(model, width, height, folder)
        if "command" not in options.skip:
            contestants += command_contestants(model, width, height, folder, machine.threads)
        interleave(contestants, options.rounds, status.update)
        if options.memory:
            wide, tall = options.memory_size
            runs = memory_runs(wide, tall, options.memory_precision or ["auto"], options.memory_passthrough)
            memory = measure(model, runs, folder, machine.threads, lambda text: console.print(text, highlight=False))
        spots = hotspots(model, width, height, folder) if options.profile else []
    report = Report(contestants, reference_of(networks), yardsticks(products), memory, skipped)
    if report.rows:
        console.print(report.table())
    for each in skipped:
        console.print(f"skipped: {each.name}: {each.reason}", highlight=False, markup=False)
    if spots:
        console.print(hotspot_table(spots))
    took = time.perf_counter() - began
    console.print(f"took {took:.0f} s; load at the end {' '.join(map(str, load_average()))}", highlight=False)
    if options.json is not None:
        document = {
            "machine": machine.document(),
            "load_at_end": load_average(),
            "plate": {"width": width, "height": height},
            "rounds": options.rounds,
            **report.document(),
            "hotspots": [asdict(each) for each in spots],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _own_copy(model: ModelFile, folder: Path) -> ModelFile:
    """The model under a path of our own, so that every part of a long run uses the same file."""
    path = folder / "model.onnx"
    path.write_bytes(model.data)
    return dataclasses.replace(model, path=path)


def _networks(model: ModelFile, width: int, height: int, threads: int) -> Networks:
    """The contestants for a plate's colour; the tensors are those that the engine feeds."""
    pixels = SyntheticPlate(width, height).rows(0, height)
    planes = {name: pixels[:, :, i].astype(np.float32) for i, name in enumerate("RGB")}
    return Networks(model, tensors_fed(model, planes), width * height, threads)


if __name__ == "__main__":
    try:
        main()
    except (CommandFailedError, DeepUpscaleError, OSError) as failure:
        sys.exit(f"benchmarks: {failure}")
