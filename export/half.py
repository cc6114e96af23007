"""The network in half precision: half weights and tensors, float32 where that costs nothing and saves the digits.

Guarded are the tensors in and out, which stay float32, and the last convolution with all that follows it: its output is
the correction itself, and its work is one or two per cent of the network's. Every operation of our graphs takes halves
as it takes float32, so the conversion is the weights' and two casts. A weight that a half cannot hold is refused;
ONNX Runtime's own converter would clamp it, and leaves its casts out of order.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deepupscale.errors import ModelError
from export.graph import clean

LARGEST_HALF = float(np.finfo(np.float16).max)
_SMALLEST_NORMAL = float(np.finfo(np.float16).smallest_normal)  # smaller halves lose digits


def half_graph(graph: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """The graph with half tensors inside.

    Args:
        graph: As :func:`export.graph.export_graph` gives it; left as it is.
        source: What to call it in errors.

    Raises:
        ModelError: A weight is too large for half, or all of a tensor's weights are too small.
    """
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    last = max(at for at, node in enumerate(made.graph.node) if node.op_type == "Conv")
    low, guarded = made.graph.node[:last], made.graph.node[last:]
    for tensor in made.graph.initializer:
        if any(tensor.name in node.input for node in low):
            tensor.CopyFrom(_as_half(tensor, source))
    plate = made.graph.input[0].name
    nodes = [helper.make_node("Cast", [plate], ["half"], to=TensorProto.FLOAT16)]
    for node in low:
        node.input[:] = ["half" if name == plate else name for name in node.input]
        nodes.append(node)
    wide: dict[str, str] = {}
    for name in (name for node in low for name in node.output):
        if any(name in node.input for node in guarded):
            wide[name] = f"{name}.wide"
            nodes.append(helper.make_node("Cast", [name], [wide[name]], to=TensorProto.FLOAT))
    for node in guarded:
        node.input[:] = [wide.get(name, name) for name in node.input]
        nodes.append(node)
    ordered = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del made.graph.node[:]
    made.graph.node.extend(ordered)
    clean(made)
    return made


def _as_half(tensor: onnx.TensorProto, source: str) -> onnx.TensorProto:
    """Raises ModelError where a half cannot hold it."""
    weights = numpy_helper.to_array(tensor)
    largest = float(np.abs(weights).max(initial=0.0))
    if largest > LARGEST_HALF:
        raise ModelError(
            f"{source}: {tensor.name} holds {largest:.3g}, a half ends at {LARGEST_HALF:g}: export it by "
            "--precision f32"
        )
    if weights.ndim != 1 and 0.0 < largest < _SMALLEST_NORMAL:  # a bias that vanishes is as good as none
        raise ModelError(
            f"{source}: {tensor.name} holds nothing above {largest:.1e}, too small for half: export it by "
            "--precision f32"
        )
    return numpy_helper.from_array(weights.astype(np.float16), tensor.name)
