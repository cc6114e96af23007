"""Our network beside those of open tools, on one plate: time, parameters and operations.

    python -m benchmarks.peers [--size 2048x1080 | --side N] [--skip NAME] [--rounds N] [--threads N] [--json]

The others come from spandrel (``pip install 'deepupscale[peers]'``), with random weights: only time is compared, and
nothing is said of how pictures look. They are run as their tools run them, PyTorch on tiles that overlap by a few
pixels; ours gets the tensors that the engine feeds, halos included. Times are taken in turns within one run, and a
ratio is taken within each round.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.machine import Machine
from benchmarks.networks import multiply_adds, torch_runner
from benchmarks.rounds import Contestant, Skipped, interleave
from benchmarks.stand_in import tensors_fed
from benchmarks.synthetic_plate import SyntheticPlate
from deepupscale.devices import cpu_precisions
from deepupscale.errors import DeepUpscaleError
from deepupscale.model_file import ModelFile, load_model
from deepupscale.openvino_core import openvino_core
from deepupscale.session import Tensor, open_session

SECTION = "peers"
PEERS = ("Compact", "SPAN", "RealPLKSR", "ESRGAN")
_HEADS = ("network", "runs in", "parameters", "MFLOP a pixel", "with overlap", "ms a megapixel", "times ours", "")


class Peers:
    """Contestants on one plate.

    Args:
        model: Ours.
        width: Of the plate.
        height: Likewise.
        tile: Side of the others' tiles.
        overlap: Pixels by which they overlap.
        names: Which of the others.
        threads: CPU threads of every runtime.
        told: Told what comes next.
    """

    def __init__(
        self, model: ModelFile, width: int, height: int, tile: int, overlap: int, names: Sequence[str], threads: int,
        told: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.contestants: list[Contestant] = []
        self.skipped: list[Skipped] = []
        self._rows: dict[str, dict[str, Any]] = {}
        self._pixels, self._threads, self._told = width * height, threads, told
        pixels = SyntheticPlate(width, height).rows(0, height)
        planes = {name: pixels[:, :, i].astype(np.float32) for i, name in enumerate("RGB")}
        self._ours(model, tensors_fed(model, planes))
        picture = np.clip(pixels[:, :, :3].astype(np.float32), 0.0, 1.0).transpose(2, 0, 1)[np.newaxis].copy()
        self._theirs(names, list(overlapping(picture, tile, overlap)))

    def _ours(self, model: ModelFile, fed: Sequence[Tensor]) -> None:
        promise = model.promise
        flop = 2.0 * multiply_adds(model, fed[0].shape) / (fed[0].shape[2] * fed[0].shape[3])

        def session(runtime: str, precision: str) -> Callable[[Tensor], object]:
            opened = open_session(model, "cpu", precision, runtime, self._threads)
            return lambda tensor: opened.run({promise.inputs[0].name: tensor})

        def eager(precision: str) -> Callable[[Tensor], object]:
            return torch_runner(model, precision, True, self._threads)

        best = open_session(model, "cpu", threads=self._threads).choice
        size = _parameters(model)
        ways: list[tuple[str, Callable[[], Callable[[Tensor], object]]]] = [
            (f"{best.runtime} {best.precision}", lambda: session(best.runtime, best.precision)),
            ("PyTorch bf16 autocast, channels-last", lambda: eager("bf16")),
            ("PyTorch f32, channels-last", lambda: eager("f32")),
            ("onnxruntime f32", lambda: session("onnxruntime", "f32")),
        ]
        for runs_in, make in ways:
            self._add("ours", runs_in, size, flop, fed, make)

    def _theirs(self, names: Sequence[str], tiles: Sequence[Tensor]) -> None:
        for name in names:
            try:
                network = peer(name)
            except ImportError as error:
                self.skipped.append(Skipped(name, f"{error}: pip install 'deepupscale[peers]'"))
                continue
            size, flop = sum(each.numel() for each in network.parameters()), flop_per_pixel(network)
            for precision in ("bf16", "f32"):
                runs_in = f"PyTorch {precision}{' autocast' if precision == 'bf16' else ''}"
                if precision not in cpu_precisions():
                    self.skipped.append(Skipped(f"{name}, {runs_in}", f"this CPU does not compute in {precision}"))
                    continue
                low = precision == "bf16"
                self._add(name, runs_in, size, flop, tiles, lambda n=network, b=low: _eager(n, b, self._threads))

    def _add(
        self, network: str, runs_in: str, parameters: int, flop: float, tiles: Sequence[Tensor],
        make: Callable[[], Callable[[Tensor], object]],
    ) -> None:  # fmt: skip
        name = f"{network}, {runs_in}"
        try:
            run = make()
        except (ImportError, DeepUpscaleError) as error:
            self.skipped.append(Skipped(name, str(error)))
            return

        def turn() -> None:
            for tile in tiles:
                run(tile)

        fed = sum(tile.shape[2] * tile.shape[3] for tile in tiles)
        self._rows[name] = {
            "network": network,
            "runs_in": runs_in,
            "parameters": parameters,
            "mflop_per_pixel": flop / 1e6,
            "mflop_per_pixel_with_overlap": flop / 1e6 * fed / self._pixels,
        }
        shapes = {tile.shape: tile for tile in tiles}
        self.contestants.append(Contestant(SECTION, name, turn, lambda: [run(tile) for tile in shapes.values()]))

    def rows(self, rounds: int) -> list[dict[str, Any]]:
        """Measure; JSON-ready rows, ours in its best precision first."""
        interleave(self.contestants, rounds, self._told)
        for contestant in self.contestants:
            row = self._rows[contestant.name]
            ratio = contestant.seconds.over(self.contestants[0].seconds)
            row["ms_per_megapixel"] = 1e3 * contestant.seconds.median / (self._pixels / 1e6)
            row["ratio"], row["ratio_least"], row["ratio_most"] = ratio.median, ratio.least, ratio.most
        return list(self._rows.values())


def overlapping(picture: Tensor, tile: int, overlap: int) -> Iterator[Tensor]:
    """A picture in square tiles, each with ``overlap`` pixels more on every side that is not the picture's edge."""
    height, width = picture.shape[2:]
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            rows = slice(max(0, top - overlap), min(height, top + tile + overlap))
            columns = slice(max(0, left - overlap), min(width, left + tile + overlap))
            yield np.ascontiguousarray(picture[:, :, rows, columns])


def peer(name: str) -> Any:
    """A network of an open tool for 2x at its usual size, with random weights.

    Raises:
        ImportError: spandrel is not installed.
    """
    import torch

    torch.manual_seed(0)
    if name == "Compact":
        from spandrel.architectures.Compact import Compact  # pyright: ignore[reportMissingImports]

        made: Any = Compact(upscale=2)
    elif name == "SPAN":
        from spandrel.architectures.SPAN import SPAN  # pyright: ignore[reportMissingImports]

        made = SPAN(num_in_ch=3, num_out_ch=3, upscale=2)
    elif name == "RealPLKSR":
        from spandrel.architectures.PLKSR import RealPLKSR  # pyright: ignore[reportMissingImports]

        made = RealPLKSR(upscaling_factor=2)
    else:
        from spandrel.architectures.ESRGAN import ESRGAN  # pyright: ignore[reportMissingImports]

        made = ESRGAN(scale=2)
    return made.eval()


def flop_per_pixel(network: Any) -> float:
    """Floating-point operations for each input pixel, 2 a multiply-add, as PyTorch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    side = 64
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, side, side))
    return counter.get_total_flops() / side**2


def _eager(network: Any, low: bool, threads: int) -> Callable[[Tensor], object]:
    import torch

    torch.set_num_threads(threads)

    def run(tile: Tensor) -> object:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=low):
            return network(torch.from_numpy(tile)).float().numpy()

    return run


def _parameters(model: ModelFile) -> int:
    """Weights of the graph's convolutions, biases included."""
    import openvino as ov

    graph = openvino_core().read_model(model.data)
    constants = (op for op in graph.get_ops() if op.get_type_name() == "Constant")
    return sum(int(np.prod(op.output(0).shape)) for op in constants if op.output(0).element_type == ov.Type.f32)


def markdown(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The table, line by line."""
    lines = [_HEADS, ("---",) * len(_HEADS), *(_cells(row) for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["network"],
        row["runs_in"],
        f"{row['parameters'] / 1e6:.2f} M",
        f"{row['mflop_per_pixel']:.2f}",
        f"{row['mflop_per_pixel_with_overlap']:.2f}",
        f"{row['ms_per_megapixel']:.0f}",
        f"{row['ratio']:.2f}",
        f"{row['ratio_least']:.2f}..{row['ratio_most']:.2f}",
    )


def size_of(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it as 2048x1080")
    return int(match[1]), int(match[2])


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description="Our network beside those of open tools.")
    parser.add_argument("--size", type=size_of, default=(2048, 1080), help="plate (2048x1080)")
    parser.add_argument("--side", type=int, help="a square plate of so many pixels a side instead")
    parser.add_argument("--tile", type=int, default=512, help="side of the others' tiles (512)")
    parser.add_argument("--overlap", type=int, default=16, help="by which they overlap, in pixels (16)")
    parser.add_argument("--skip", action="append", choices=PEERS, default=[], help="leave one out; repeatable")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    width, height = (options.side, options.side) if options.side else options.size
    if min(options.tile, options.rounds) < 1 or min(options.overlap, options.threads) < 0 or min(width, height) < 16:
        parser.error("--tile and --rounds must be above 0, --overlap and --threads 0 or more, a plate 16 pixels")
    machine = Machine.here(options.threads)
    told: Callable[[str], None] = lambda text: print(text, file=sys.stderr)  # noqa: E731 - it is passed on
    names = [name for name in PEERS if name not in options.skip]
    found = Peers(load_model(), width, height, options.tile, options.overlap, names, machine.threads, told)
    rows = found.rows(options.rounds)
    for each in found.skipped:
        told(f"skipped: {each.name}: {each.reason}")
    if options.json:
        print(json.dumps({"machine": machine.document(), "plate": [width, height], "rows": rows}, indent=2))
    else:
        print("\n".join([*machine.lines(), "", *markdown(rows)]))


if __name__ == "__main__":
    try:
        main()
    except DeepUpscaleError as failure:
        sys.exit(f"benchmarks: {failure}")
