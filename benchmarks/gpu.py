"""The GPU at work: the network in each way to run it, beside PyTorch and a matrix product, and a sequence of frames.

    python -m benchmarks.gpu [MODEL] [--device cuda:N] [--size 2048x1080] [--rounds N] [--frames N] [--json]

Needs a CUDA device, ``deepupscale[gpu]`` and a PyTorch with CUDA, and no network. Without a device it says so and ends
with 2. Times are wall times around work that ends on the host (a session returns arrays) or with a synchronisation
(PyTorch), in turns within one run; compiling and recording are not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.networks import multiply_adds
from benchmarks.peers import size_of
from benchmarks.rounds import Contestant, Skipped, interleave
from benchmarks.stand_in import tensors_fed
from benchmarks.synthetic_plate import SyntheticPlate
from deepupscale import Engine, Settings
from deepupscale.devices import cuda_devices, cuda_index
from deepupscale.errors import DeepUpscaleError
from deepupscale.gpu_session import GpuSession
from deepupscale.model_file import ModelFile, load_model
from deepupscale.providers import GpuSettings
from deepupscale.session import Tensor, choose

PAPER = "the paper tells 15 s a frame from 2K to 4K on a GPU of 2020: its own figure, on its own machine and network"
_HEADS = ("what", "ms a plate", "least..most", "times the first", "TFLOP/s", "of matmul", "")
_WAYS = {
    "as the engine runs it": GpuSettings(),
    "one tile in flight": GpuSettings(slots=1),
    "three tiles in flight": GpuSettings(slots=3),
    "no CUDA graph": GpuSettings(graphs=False),
    "algorithms timed": GpuSettings(search="EXHAUSTIVE"),
    "channels last": GpuSettings(channels_last=True),
}


class Network:
    """The network on one plate's tiles, in every way that works here.

    Args:
        models: The same weights in one or more precisions.
        device: ``cuda:N``.
        fed: Tensors of all tiles.
        pixels: Pixels of the plate.
    """

    def __init__(self, models: Sequence[ModelFile], device: str, fed: Sequence[Tensor], pixels: int) -> None:
        self.contestants: list[Contestant] = []
        self.skipped: list[Skipped] = []
        self._fed, self._pixels = fed, pixels
        self._flop = 2.0 * multiply_adds(models[0], fed[0].shape) / (fed[0].shape[2] * fed[0].shape[3])
        for model in models:
            precision = model.promise.precision
            for name, settings in _WAYS.items():
                self._session(model, device, "onnxruntime", f"ONNX Runtime {precision}, {name}", settings)
            self._session(model, device, "tensorrt", f"TensorRT {precision}", GpuSettings())
        for precision in ("f16", "f32"):
            for last in (True, False):
                self._torch(models[0], device, precision, last)

    def _session(self, model: ModelFile, device: str, runtime: str, name: str, settings: GpuSettings) -> None:
        precision = model.promise.precision
        feed, take = model.promise.inputs[0].name, model.promise.outputs[0].name
        opened: list[GpuSession] = []

        def warm_up() -> None:
            session = GpuSession(model, choose(model, device, precision, runtime), 0, settings)
            opened.append(session)
            contestant.note = self._difference(session.run({feed: self._fed[0]})[take])
            turn()
            if session.tile_shape is not None:
                contestant.note += f", tiles of {session.tile_shape}{', CUDA graph' if session.replays else ''}"

        def turn() -> None:
            for tensor in self._fed:
                opened[0].run({feed: tensor})

        contestant = self._contestant(name, precision, turn)
        contestant.warm_up = lambda: self._or_skip(contestant, warm_up)

    def _torch(self, model: ModelFile, device: str, precision: str, last: bool) -> None:
        name = f"PyTorch eager {precision}, {'channels-last' if last else 'contiguous'}"
        made: list[Callable[[Tensor], Tensor]] = []

        def warm_up() -> None:
            made.append(torch_on_gpu(model, device, precision, last))
            contestant.note = self._difference(made[0](self._fed[0]))
            turn()

        def turn() -> None:
            for tensor in self._fed:
                made[0](tensor)

        contestant = self._contestant(name, precision, turn)
        contestant.warm_up = lambda: self._or_skip(contestant, warm_up)

    def _contestant(self, name: str, precision: str, turn: Callable[[], None]) -> Contestant:
        contestant = Contestant("network, one plate", name, turn, None, 1, precision)
        contestant.flop = self._flop * sum(tensor.shape[2] * tensor.shape[3] for tensor in self._fed)
        contestant.useful_flop = self._flop * self._pixels
        self.contestants.append(contestant)
        return contestant

    def _or_skip(self, contestant: Contestant, warm_up: Callable[[], None]) -> None:
        """A way that this machine lacks is listed and left out."""
        try:
            warm_up()
        except (ImportError, DeepUpscaleError, RuntimeError) as error:  # PyTorch raises RuntimeError
            self.skipped.append(Skipped(contestant.name, str(error).splitlines()[0]))
            self.contestants.remove(contestant)

    _first: Tensor | None = None

    def _difference(self, answer: Tensor) -> str:
        if self._first is None:
            self._first = answer
            return "differences are to this"
        m = 64  # well inside: at its edges a tile depends on how it was filled up
        error = np.abs(answer - self._first)[..., m:-m, m:-m].max()
        return f"differs by {error:.0e} at most"


def torch_on_gpu(model: ModelFile, device: str, precision: str, channels_last: bool) -> Callable[[Tensor], Tensor]:
    """PyTorch's network on a GPU, weights of the model file; float32 arrays in and out, TF32 off."""
    import torch

    from benchmarks.networks import torch_network

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # tiles are of two or three shapes
    layout = torch.channels_last if channels_last else torch.contiguous_format
    dtype = torch.float16 if precision == "f16" else torch.float32
    network = torch_network(model).to(device=device, dtype=dtype, memory_format=layout)

    def run(tensor: Tensor) -> Tensor:
        with torch.inference_mode():
            given = torch.from_numpy(tensor).to(device).to(dtype).contiguous(memory_format=layout)
            return network(given).float().cpu().numpy()

    return run


def matrix_product(device: str, side: int, half: bool) -> Contestant:
    """A large product in PyTorch: what the device does at its best."""
    import torch

    dtype = torch.float16 if half else torch.float32
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

    def turn() -> None:
        for _ in range(10):
            torch.matmul(left, right)
        torch.cuda.synchronize(device)

    precision = "f16" if half else "f32"
    product = Contestant("matrix product", f"{precision}, {side} cubed", turn, None, 3, precision)
    product.flop = product.useful_flop = 10 * 2.0 * side**3
    return product


def sequence(model: ModelFile, device: str, width: int, height: int, frames: int) -> dict[str, float]:
    """Frames a second of the engine from EXR to EXR, and of reading and writing alone.

    Returns:
        ``engine``: with the network; ``decode``: plates read; ``encode``: doubled pictures of noise written by
        OpenImageIO, zip. Frames a second.
    """
    import OpenImageIO as oiio

    with tempfile.TemporaryDirectory(prefix="deepupscale-benchmark-") as name:
        folder = Path(name)
        plates = [folder / f"plate.{number:04d}.exr" for number in range(frames + 1)]
        for number, path in enumerate(plates):
            SyntheticPlate(width, height, opaque=True, seed=number).write(path)
        precision = model.promise.precision
        session = GpuSession(model, choose(model, device, precision), 0)
        engine = Engine(model, session, Settings())
        engine.upscale(plates[0], folder / "first.exr")  # compiles
        began = time.perf_counter()
        for path in plates[1:]:
            engine.upscale(path, folder / f"up.{path.name}")
        engine_s = time.perf_counter() - began
        began = time.perf_counter()
        for path in plates[1:]:
            oiio.ImageBuf(str(path)).read(force=True)
        decode_s = time.perf_counter() - began
        big = oiio.ImageBuf(str(folder / "first.exr"))
        big.read(force=True)
        began = time.perf_counter()
        for number in range(frames):
            if not big.write(str(folder / f"encoded.{number}.exr")):
                raise RuntimeError(big.geterror())
        encode_s = time.perf_counter() - began
    return {"engine": frames / engine_s, "decode": frames / decode_s, "encode": frames / encode_s}


def rows_of(contestants: Sequence[Contestant], products: Sequence[Contestant]) -> list[dict[str, Any]]:
    """JSON-ready figures; shares are taken within each round."""
    rows: list[dict[str, Any]] = []
    yardsticks = {product.precision: product for product in products}
    networks = [each for each in contestants if each not in products]
    for each in contestants:
        reference = networks[0] if each in networks else each
        ratio = each.seconds.over(reference.seconds).median
        row: dict[str, Any] = {"name": each.name, "note": each.note, "ratio": ratio}
        row |= {f"ms_{key}": 1e3 * getattr(each.seconds, key) for key in ("median", "least", "most")}
        row["tflops"] = each.flop / each.seconds.median / 1e12
        product = yardsticks.get(each.precision)
        if product is not None:
            row["of_matmul"] = product.seconds.over(each.seconds).median * each.flop / product.flop
        rows.append(row)
    return rows


def markdown(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The table, line by line."""
    lines = [_HEADS, ("---",) * len(_HEADS)]
    for row in rows:
        lines.append(
            (
                row["name"],
                f"{row['ms_median']:.2f}",
                f"{row['ms_least']:.2f}..{row['ms_most']:.2f}",
                f"{row['ratio']:.2f}",
                f"{row['tflops']:.1f}",
                f"{row['of_matmul']:.0%}" if "of_matmul" in row else "",
                row["note"],
            )
        )
    return [f"| {' | '.join(cells)} |" for cells in lines]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print; exits with 2 without a CUDA device."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description="The network and the engine on a GPU.")
    parser.add_argument("models", type=Path, nargs="*", metavar="MODEL", help="an f32 file, an f16 one (the default)")
    parser.add_argument("--device", default="cuda:0", help="cuda:N (cuda:0)")
    parser.add_argument("--size", type=size_of, default=(2048, 1080), help="plate (2048x1080)")
    parser.add_argument("--matrix", type=int, default=8192, help="side of the matrix product (8192)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (5)")
    parser.add_argument("--frames", type=int, default=24, help="frames of the sequence (24); 0 for none")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    if min(options.matrix, options.rounds) < 1 or options.frames < 0:
        parser.error("--matrix and --rounds must be above 0, --frames 0 or more")
    index = cuda_index(options.device)
    if index is None or index >= cuda_devices():
        print(
            f"benchmarks: no device {options.device} that ONNX Runtime can use: run it on a machine with a GPU and "
            "deepupscale[gpu]",
            file=sys.stderr,
        )
        sys.exit(2)
    told: Callable[[str], None] = lambda text: print(text, file=sys.stderr)  # noqa: E731 - it is passed on
    models = [load_model(path) for path in options.models] or [load_model()]
    device, (width, height) = f"cuda:{index}", options.size
    pixels = SyntheticPlate(width, height, opaque=True).rows(0, height)
    planes = {name: pixels[:, :, i].astype(np.float32) for i, name in enumerate("RGB")}
    found = Network(models, device, tensors_fed(models[0], planes), width * height)
    try:
        products = [matrix_product(device, options.matrix, half) for half in (True, False)]
    except (ImportError, RuntimeError, AssertionError) as error:  # AssertionError: a PyTorch without CUDA
        products = []
        found.skipped.append(Skipped("matrix product", str(error).splitlines()[0]))
    for contestant in list(found.contestants):
        told(f"warming up: {contestant.name}")
        if contestant.warm_up is not None:
            contestant.warm_up()
    ready = [*products, *(replace(each, warm_up=lambda: None) for each in found.contestants)]
    interleave(ready, options.rounds, told)
    rows = rows_of(ready, ready[: len(products)])
    frames = {model.path.name: sequence(model, device, width, height, options.frames) for model in models} if (
        options.frames
    ) else {}  # fmt: skip
    if options.json:
        skipped = [asdict(each) for each in found.skipped]
        print(json.dumps({"rows": rows, "frames_a_second": frames, "skipped": skipped, "paper": PAPER}, indent=2))
        return
    print("\n".join(markdown(rows)))
    for name, speeds in frames.items():
        said = ", ".join(f"{key} {value:.2f}" for key, value in speeds.items())
        print(f"\n{name}: frames a second over {options.frames} frames of {width}x{height}: {said}")
    print(f"\n{PAPER}")
    for each in found.skipped:
        print(f"skipped: {each.name}: {each.reason}")


if __name__ == "__main__":
    try:
        main()
    except DeepUpscaleError as failure:
        sys.exit(f"benchmarks: {failure}")
