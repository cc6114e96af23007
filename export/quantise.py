"""The network in int8: its convolutions between quantised tensors, all else in float32.

Static quantisation by ONNX Runtime: ``QuantizeLinear`` and ``DequantizeLinear`` around the inputs of every convolution
but the first and the last (which makes the correction itself). Activations have 8 bits between the least and the most
that calibration saw, nothing cut off: percentiles darkened highlights. Weights have their own scale for each output
channel, and 7 bits: two products of 8 by 7 bits fit into the 16 that CPUs without VNNI instructions add them in, which
would otherwise saturate without a word.

What a block adds to, and the sum, stay in float32. Only what a convolution reads is rounded, so errors of one block are
not rounded again by the next: with rounded sums the default network's error is 2.6 times as large.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx

from deepupscale.errors import ModelError
from deepupscale.resample import Float32
from export.graph import clean
from model.torch_session import INPUT


def quantised_graph(graph: onnx.ModelProto, patches: Sequence[Float32], source: str) -> onnx.ModelProto:
    """The graph with quantised convolutions; its tensors in and out stay float32.

    The same graph and patches give the same quantised graph to the byte.

    Args:
        graph: As :func:`export.graph.export_graph` gives it; left as it is.
        patches: To measure ranges on: (1, 3, h, w) each, in the compressed range.
        source: What to call it in errors.

    Raises:
        ModelError: ONNX Runtime cannot quantise it.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(patches)

        def get_next(self) -> dict[str, Float32] | None:
            patch = next(self._left, None)
            return None if patch is None else {INPUT: patch}

    convolutions = [node.name for node in graph.graph.node if node.op_type == "Conv"]
    try:
        with tempfile.TemporaryDirectory(prefix="deepupscale-quantise-") as folder, _quiet():
            file = Path(folder) / "quantised.onnx"
            quantize_static(
                copy.deepcopy(graph),  # its weights are moved to side files
                file,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[convolutions[0], convolutions[-1]],
                calibration_providers=["CPUExecutionProvider"],
                extra_options={
                    "ActivationSymmetric": False,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                    "OpTypesToExcludeOutputQuantization": ["Conv"],
                },
            )
            made = onnx.load(file)
    except Exception as error:  # the library's exceptions share no root, and some are of its C++ part
        raise ModelError(f"{source}: ONNX Runtime cannot quantise the graph: {error}") from None
    _leave_float(made, set(convolutions[1:-1]))
    clean(made)
    return made


def _leave_float(graph: onnx.ModelProto, quantised: set[str]) -> None:
    """Give rounded tensors to the quantised convolutions alone; all others that read them get what was rounded."""
    pairs = ("QuantizeLinear", "DequantizeLinear")
    before = {node.output[0]: node.input[0] for node in graph.graph.node if node.op_type in pairs}
    for node in graph.graph.node:
        if node.name not in quantised and node.op_type not in pairs:
            node.input[:] = [before.get(before.get(name, name), name) for name in node.input]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice to optimise the graph before, which would fuse nothing here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
