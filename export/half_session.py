"""Half arithmetic on a CPU, honestly: every result of a half operation is rounded to half.

ONNX Runtime's CPU provider and OpenVINO widen the halves of a graph to float32 and compute in that, so neither shows
what a GPU makes of it. Here each operation takes its half operands, sums in float32 as GPUs do, and rounds. PyTorch's
own half convolutions on CPUs give the same to the last bit of a half, at a twentieth of the speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor
from torch.nn import functional

from deepupscale import session
from deepupscale.model_file import ModelFile
from deepupscale.session import Choice

Attributes = Mapping[str, Any]
RUNTIME = "pytorch"


def _conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    dilations, group = tuple(attributes.get("dilations", (1, 1))), attributes.get("group", 1)
    return functional.conv2d(functional.pad(x, (left, right, top, bottom)), weight, bias, 1, 0, dilations, group)


def _depth_to_space(attributes: Attributes, x: Tensor) -> Tensor:
    assert attributes["mode"] == b"CRD"  # what torch exports a PixelShuffle as
    return functional.pixel_shuffle(x, attributes["blocksize"])


_OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda _, a, b: a + b,
    "Concat": lambda attributes, *parts: torch.cat(parts, attributes["axis"]),
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "Identity": lambda _, x: x,
    "Mul": lambda _, a, b: a * b,
    "Relu": lambda _, x: torch.relu(x),
}  # those of export.halo, which refuses all others before


class HalfSession:
    """Runs an f16 graph, see :class:`deepupscale.session.Session`.

    Args:
        model: Its graph consists of what :mod:`export.halo` knows.
    """

    def __init__(self, model: ModelFile) -> None:
        graph = onnx.load_from_string(model.data).graph
        self.choice = Choice(RUNTIME, "cpu", "f16", "every result of a half operation is rounded to half")
        self._nodes = [
            (node, {each.name: helper.get_attribute_value(each) for each in node.attribute}) for node in graph.node
        ]
        self._constants = {
            tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer
        }
        self._outputs = [output.name for output in graph.output]

    def run(self, inputs: Mapping[str, session.Tensor]) -> dict[str, session.Tensor]:
        """See :class:`deepupscale.session.Session`."""
        known = self._constants | {name: torch.from_numpy(given) for name, given in inputs.items()}
        with torch.inference_mode():
            for node, attributes in self._nodes:
                given = [known[name] for name in node.input if name]
                if node.op_type == "Cast":
                    half = attributes["to"] == onnx.TensorProto.FLOAT16
                    result = given[0]
                else:
                    half = any(tensor.dtype == torch.float16 for tensor in given)
                    result = _OPERATIONS[node.op_type](attributes, *(tensor.float() for tensor in given))
                known[node.output[0]] = result.to(torch.float16 if half else torch.float32)
        return {name: known[name].numpy() for name in self._outputs}
