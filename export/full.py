"""The self-contained graph: scene-linear light in and out, with the engine's steps around the network.

For tools that run ONNX files but know no promise. The steps are those of :class:`deepupscale.upscaler.Upscaler` on a
whole plate whose border pixels are repeated: range compression, cubic interpolation (ONNX ``Resize``, Keys' kernel with
a = -0.5), the network, the bound on its correction, the addition, the inverse curve. All of it is float32 and meant to
stay so: in half, the curve overflows above a scene-linear 13.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deepupscale.fields import Kind
from deepupscale.promise import Input, Output, PlainTransfer
from deepupscale.range_compression import RangeCompression
from export.graph import clean
from model.torch_session import INPUT, OUTPUT

RESULT = "result"
CURVATURE_REACH = 3  # pixels on each side that the bound on the correction looks at: see deepupscale.upscaler
_KERNEL_REACH = 2  # likewise the cubic kernel
_HUGE = 1e20  # light beyond which mu * y might exceed float32: see deepupscale.range_compression
_TO_THE_END = np.iinfo(np.int64).max


def full_tensors() -> tuple[Input, Output]:
    """What the graph takes and returns, as its promise says it; its result is no residual."""
    colour, plain = ("R", "G", "B"), PlainTransfer(kind="none")
    taken = Input(name=INPUT, field=Kind.COLOUR, channels=colour, transfer=plain, scale=1)
    return taken, Output(name=RESULT, field=Kind.COLOUR, channels=colour, transfer=plain, scale=2)


def full_halo(halo: int) -> int:
    """Input pixels that a pixel of the whole graph depends on, for a network of that halo."""
    return max(halo, CURVATURE_REACH)


def full_graph(core: onnx.ModelProto, halo: int, curve: RangeCompression | None = None) -> onnx.ModelProto:
    """Put the engine's steps around a network's graph.

    Args:
        core: (1, 3, h, w) to a residual (1, 3, 2h, 2w), both in the compressed range; left as it is.
        halo: Its measured halo.
        curve: The range compression that it was trained in.

    Returns:
        A graph from (1, 3, height, width) to (1, 3, 2 height, 2 width), scene-linear float32, finite for finite plates.
    """
    curve, margin = curve or RangeCompression(), full_halo(halo)
    steps = _Steps()
    sides = steps.integers("sides", [margin] * 4)
    padded = steps.add("Pad", [INPUT, sides, "", steps.integers("both_axes", [2, 3])], mode="edge")
    compressed = _compress(steps, padded, curve)
    before = len(steps.nodes)
    residual = steps.inner("engine.residual", 2 * margin)
    bound = _bound(steps, steps.inner(compressed, margin - CURVATURE_REACH))
    correction = steps.add("Min", [steps.add("Max", [residual, steps.add("Neg", [bound])]), bound])
    near = steps.inner(compressed, margin - _KERNEL_REACH)
    base = steps.inner(steps.twice_the_size(near, mode="cubic", cubic_coeff_a=-0.5), 2 * _KERNEL_REACH)
    _expand(steps, steps.add("Add", [base, correction]), curve)

    renamed = {INPUT: compressed, OUTPUT: "engine.residual"}
    inside: list[onnx.NodeProto] = []
    for node in core.graph.node:
        twin = onnx.NodeProto()
        twin.CopyFrom(node)
        twin.input[:] = [renamed.get(name, name) for name in node.input]
        twin.output[:] = [renamed.get(name, name) for name in node.output]
        inside.append(twin)
    graph = helper.make_graph(
        [*steps.nodes[:before], *inside, *steps.nodes[before:]],
        "deepupscale",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info(RESULT, TensorProto.FLOAT, [1, 3, "2*height", "2*width"])],
        [*steps.constants, *core.graph.initializer],
    )
    model = helper.make_model(graph, opset_imports=core.opset_import, ir_version=core.ir_version)
    clean(model)
    return model


class _Steps:
    """Nodes and constants of a graph as they come; the names of tensors begin with ``engine.``."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operation: str, inputs: Sequence[str], result: str = "", **attributes: Any) -> str:
        """One node; returns the name of its result."""
        result = result or f"engine.{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [result], **attributes))
        return result

    def number(self, value: float) -> str:
        """A float32 constant."""
        name = f"engine.number_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def integers(self, name: str, values: Sequence[int]) -> str:
        """A vector of whole numbers."""
        name = f"engine.{name}_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def cut(self, tensor: str, rows: tuple[int, int], columns: tuple[int, int]) -> str:
        """Rows and columns from the first to before the second, as Python's slices count; 0 at the end for all."""
        starts, ends = (rows[0], columns[0]), (rows[1] or _TO_THE_END, columns[1] or _TO_THE_END)
        given = [self.integers("starts", starts), self.integers("ends", ends), self.integers("axes", [2, 3])]
        return self.add("Slice", [tensor, *given])

    def inner(self, tensor: str, cut: int) -> str:
        """Without that many pixels on every side."""
        return self.cut(tensor, (cut, -cut), (cut, -cut)) if cut else tensor

    def twice_the_size(self, tensor: str, **how: Any) -> str:
        """``Resize`` by 2."""
        name = f"engine.scales_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array([1.0, 1.0, 2.0, 2.0], np.float32), name))
        return self.add("Resize", [tensor, "", name], **how)


def _compress(steps: _Steps, linear: str, curve: RangeCompression) -> str:
    """See :meth:`RangeCompression.compress`; ONNX has no log1p, whose digits near zero are of no use in this range."""
    size = steps.add("Abs", [linear])
    near = steps.add("Add", [steps.add("Mul", [size, steps.number(curve.mu)]), steps.number(1.0)])
    far = steps.add("Add", [steps.add("Log", [size]), steps.number(math.log(curve.mu))])
    is_far = steps.add("Greater", [size, steps.number(_HUGE)])
    log = steps.add("Where", [is_far, far, steps.add("Log", [near])])
    return steps.add("Mul", [steps.add("Mul", [log, steps.number(curve.gain)]), steps.add("Sign", [linear])])


def _expand(steps: _Steps, compressed: str, curve: RangeCompression) -> str:
    """:meth:`RangeCompression.expand`, held to the largest float32."""
    log = steps.add("Mul", [steps.add("Abs", [compressed]), steps.number(1.0 / curve.gain)])
    above = steps.add("Sub", [steps.add("Exp", [log]), steps.number(1.0)])
    near = steps.add("Mul", [above, steps.number(1.0 / curve.mu)])
    far = steps.add("Exp", [steps.add("Sub", [log, steps.number(math.log(curve.mu))])])
    is_far = steps.add("Greater", [log, steps.number(math.log1p(curve.mu * _HUGE))])
    size = steps.add("Where", [is_far, far, near])
    held = steps.add("Min", [size, steps.number(float(np.finfo(np.float32).max))])
    return steps.add("Mul", [held, steps.add("Sign", [compressed])], RESULT)


def _bound(steps: _Steps, plane: str) -> str:
    """Half of :func:`deepupscale.resample.local_curvature` of radius 2, doubled; takes three pixels of context."""
    twice = steps.add("Mul", [steps.inner(plane, 1), steps.number(2.0)])
    below, above = steps.cut(plane, (2, 0), (1, -1)), steps.cut(plane, (0, -2), (1, -1))
    right, left = steps.cut(plane, (1, -1), (2, 0)), steps.cut(plane, (1, -1), (0, -2))
    down = steps.add("Abs", [steps.add("Sub", [steps.add("Add", [below, above]), twice])])
    across = steps.add("Abs", [steps.add("Sub", [steps.add("Add", [right, left]), twice])])
    bend = steps.add("MaxPool", [steps.add("Max", [down, across])], kernel_shape=[5, 5], strides=[1, 1])
    half = steps.add("Mul", [bend, steps.number(0.5)])
    return steps.twice_the_size(half, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
