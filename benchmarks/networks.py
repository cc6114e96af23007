"""Networks: the default model's graph on each runtime.

Every network gets the very tensors that the engine feeds for the plate and must give the same answer: the warm-up
compares the first tile with ONNX Runtime in f32.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.rounds import Contestant, Skipped
from deepupscale.devices import cpu_precisions
from deepupscale.errors import DeepUpscaleError, ModelError
from deepupscale.model_file import ModelFile
from deepupscale.openvino_core import openvino_core
from deepupscale.session import Tensor, open_session

SECTION = "network, one plate"
Runner = Callable[[Tensor], Tensor]


class Networks:
    """Contestants of one model and one plate.

    Args:
        model: The model.
        fed: Tensors of all tiles of the plate.
        pixels: Pixels of the plate, without halos.
        threads: CPU threads of every runtime.
    """

    def __init__(self, model: ModelFile, fed: Sequence[Tensor], pixels: int, threads: int) -> None:
        self.contestants: list[Contestant] = []
        self.skipped: list[Skipped] = []
        self._model, self._fed, self._threads = model, fed, threads
        self._flop_per_pixel = 2.0 * multiply_adds(model, fed[0].shape) / (fed[0].shape[2] * fed[0].shape[3])
        self._pixels = pixels
        self._reference: Tensor | None = None
        able = cpu_precisions()
        self._add("ONNX Runtime CPU f32", "f32", lambda: self._engine_session("onnxruntime", "f32"))
        for precision in ("bf16", "f32"):
            self._add(f"OpenVINO {precision}", precision, lambda p=precision: self._engine_session("openvino", p))
        for precision, last in (("f32", False), ("f32", True), ("bf16", False), ("bf16", True)):
            name = f"PyTorch eager {precision}{' autocast' if precision == 'bf16' else ''}, "
            name += "channels-last" if last else "contiguous"
            if precision in able:
                self._add(name, precision, lambda p=precision, c=last: torch_runner(model, p, c, threads))
            else:
                self.skipped.append(Skipped(name, f"this CPU does not compute in {precision}"))

    @property
    def fed_pixels(self) -> int:
        """Pixels of all tiles, halos included."""
        return sum(tensor.shape[2] * tensor.shape[3] for tensor in self._fed)

    def _add(self, name: str, precision: str, make: Callable[[], Runner]) -> None:
        try:
            runner = make()
        except (ImportError, DeepUpscaleError) as error:
            self.skipped.append(Skipped(name, str(error)))
            return

        def turn() -> None:
            for tensor in self._fed:
                runner(tensor)

        contestant = Contestant(SECTION, name, turn, None, 1, precision)
        contestant.flop = self._flop_per_pixel * self.fed_pixels
        contestant.useful_flop = self._flop_per_pixel * self._pixels
        contestant.warm_up = lambda: self._warm_up(contestant, runner)
        self.contestants.append(contestant)

    def _warm_up(self, contestant: Contestant, runner: Runner) -> None:
        """Compile for every tile shape, and compare the first tile."""
        first = runner(self._fed[0]).copy()
        for tensor in {tensor.shape: tensor for tensor in self._fed[1:]}.values():
            if tensor.shape != self._fed[0].shape:
                runner(tensor)
        if self._reference is None:
            self._reference = first
            contestant.note = "reference for differences"
        else:
            contestant.note = f"differs by {np.abs(first - self._reference).max():.0e} at most"

    def _engine_session(self, runtime: str, precision: str) -> Runner:
        """A session as the engine opens it."""
        session = open_session(self._model, "cpu", precision, runtime, self._threads)
        name, out = self._model.promise.inputs[0].name, self._model.promise.outputs[0].name
        return lambda tensor: session.run({name: tensor})[out]


def multiply_adds(model: ModelFile, shape: tuple[int, ...]) -> int:
    """Multiply-adds of the graph's convolutions for an input of this shape."""
    import openvino as ov

    graph = openvino_core().read_model(model.data)
    graph.reshape(ov.PartialShape(list(shape)))
    total = 0
    for op in graph.get_ops():
        if op.get_type_name() == "Convolution":
            total += int(np.prod(op.output(0).shape)) * int(np.prod(op.input_value(1).shape[1:]))
    return total


def torch_network(model: ModelFile) -> Any:
    """PyTorch's network with the weights of the model file.

    Raises:
        ImportError: PyTorch or onnx is not installed.
        ModelError: The model is of another kind.
    """
    import onnx
    import torch
    from onnx import numpy_helper

    from model.networks import ResidualGenerator

    weights = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()).float()
        for tensor in onnx.load(io.BytesIO(model.data)).graph.initializer
    }
    numbers = [int(name.split(".")[1]) for name in weights if name.startswith("blocks.")]
    if not numbers or "head.weight" not in weights:
        raise ModelError(f"{model.path}: is no residual network, PyTorch's twin of which is timed here")
    blocks = 1 + max(numbers)
    network: Any = ResidualGenerator(weights["head.weight"].shape[0], blocks)
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.eval()


def torch_runner(model: ModelFile, precision: str, channels_last: bool, threads: int) -> Runner:
    """:func:`torch_network` on the CPU; float32 arrays in and out.

    Raises:
        ImportError: PyTorch or onnx is not installed.
    """
    import torch

    torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = torch_network(model).to(memory_format=layout)

    def run(tensor: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return network(torch.from_numpy(tensor).contiguous(memory_format=layout)).float().numpy()

    return run
