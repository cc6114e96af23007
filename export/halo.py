"""The halo: how many input pixels around it one output pixel depends on, measured on the graph that is shipped.

A twin of the graph with all weights one, no biases, and a sign after every convolution answers to a single bright pixel
by ones wherever that pixel can reach, and by zeros elsewhere: nothing cancels, overflows or fades, whatever has been
learnt and however deep the network is.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from deepupscale.errors import ModelError
from deepupscale.model_file import ModelFile
from deepupscale.promise import Promise
from deepupscale.session import open_session

_KEEPING = frozenset({"Cast", "DequantizeLinear", "QuantizeLinear"})  # what another type does to a pixel stays there
KNOWN_OPS = frozenset({"Add", "Concat", "Conv", "DepthToSpace", "Identity", "Mul", "Relu"}) | _KEEPING
"""Operations that the twin is made of; ``Mul`` by a constant only, ``Conv`` with strides of 1, constant scales."""


def measure_halo(model: ModelFile, most: int) -> int:
    """Pixels of context on every side that an output pixel depends on.

    Args:
        model: (1, channels, h, w) to (1, channels, 2h, 2w), without range compression inside.
        most: Largest halo that can be told.

    Raises:
        ModelError: The graph has an operation that is not known here, or reaches further than ``most``.
    """
    promise, side = model.promise.model_copy(update={"precision": "f32"}), 2 * most + 3
    plate = np.zeros((1, len(promise.inputs[0].channels), side, side), np.float32)
    plate[:, :, most + 1, most + 1] = 1.0
    twin = ModelFile(model.path, promise, positive_twin(model.data, str(model.path)), model.digest)
    answer = _answer(twin, promise, plate)
    if answer.shape[2:] != (2 * side, 2 * side):
        raise ModelError(f"{model.path}: makes {answer.shape[2:]} of {plate.shape[2:]}: not twice the size")
    touched = np.argwhere(answer[0].max(axis=0) > 0.5) // 2 - (most + 1)
    if not len(touched):
        raise ModelError(f"{model.path}: its result does not depend on the plate")
    halo = int(np.abs(touched).max())
    if halo > most:
        raise ModelError(f"{model.path}: one pixel reaches {halo} pixels or more, {most} was expected at most")
    return halo


def _answer(twin: ModelFile, promise: Promise, plate: np.ndarray) -> np.ndarray:
    return open_session(twin, "cpu", "f32", "onnxruntime").run({promise.inputs[0].name: plate})[promise.outputs[0].name]


def positive_twin(data: bytes, source: str) -> bytes:
    """A float32 ONNX file with ones for weights and factors, zeros for what is added, a sign after every convolution.

    Args:
        data: An ONNX file whose weights are initializers.
        source: What to call it in errors.

    Raises:
        ModelError: An operation that is not in ``KNOWN_OPS``, or one used in a way that is not understood.
    """
    model = onnx.load_from_string(data)
    constants = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    nodes, filled = [], []

    def replace(node: onnx.NodeProto, at: int, value: float) -> None:
        name = f"twin.{len(filled)}"
        filled.append(numpy_helper.from_array(np.full(constants[node.input[at]], value, np.float32), name))
        node.input[at] = name

    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in KNOWN_OPS:
            known = ", ".join(sorted(KNOWN_OPS))
            raise ModelError(
                f"{source}: the halo of a graph with the operation {node.op_type} cannot be measured; known are {known}"
            )
        fixed = [name in constants for name in node.input]
        if not _is_understood(node, fixed):
            raise ModelError(f"{source}: {node.name}: {node.op_type} is used in a way whose halo cannot be measured")
        if node.op_type in _KEEPING:
            if fixed[0]:  # a weight in another type
                constants[node.output[0]] = constants[node.input[0]]
            else:
                nodes.append(helper.make_node("Identity", node.input[:1], node.output))
            continue
        nodes.append(node)
        if node.op_type == "Conv":
            del node.input[2:]
            replace(node, 1, 1.0)
            result, node.output[0] = node.output[0], f"{node.output[0]}.sum"
            nodes.append(helper.make_node("Sign", [node.output[0]], [result]))
        elif True in fixed:
            replace(node, fixed.index(True), 1.0 if node.op_type == "Mul" else 0.0)
    graph = helper.make_graph(nodes, "twin", model.graph.input, model.graph.output, filled)
    twin = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return twin.SerializeToString()


def _is_understood(node: onnx.NodeProto, fixed: list[bool]) -> bool:
    """Whether a known operation takes its weights and its plate where the twin expects them."""
    if node.op_type == "Conv":
        given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        by_hand = given.get("auto_pad", b"NOTSET") == b"NOTSET"
        return fixed[0:2] == [False, True] and by_hand and set(given.get("strides", [1])) == {1}
    if node.op_type in _KEEPING:
        return all(fixed[1:])
    if node.op_type == "Mul":
        return sorted(fixed) == [False, True]
    if node.op_type == "Add":
        return fixed.count(True) <= 1
    return True not in fixed
