"""The network as an ONNX graph: compressed plate in, residual out, any height and width, everything in one file.

Interpolation, range compression and the addition are the engine's; `full` puts them into a graph where that is asked.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.export import Dim

from deepupscale.errors import ModelError
from deepupscale.promise import METADATA_KEY, Promise
from model.torch_session import INPUT, OUTPUT

OPSET = 20


def export_graph(network: nn.Module) -> onnx.ModelProto:
    """The network as ONNX, opset 20, with dynamic height and width.

    The same weights give the same graph to the byte: what the exporter notes about its own source is left out.

    Args:
        network: (1, 3, h, w) to (1, 3, 2h, 2w), both in the compressed range; set to evaluation.

    Raises:
        ModelError: It cannot be exported.
    """
    sizes = {2: Dim("height", min=1), 3: Dim("width", min=1)}
    try:
        with _quiet():
            program = torch.onnx.export(
                network.eval(),
                (torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(0)),),
                dynamo=True,
                dynamic_shapes=(sizes,),
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"the network cannot be exported to ONNX: {error}") from None
    assert program is not None
    graph = onnx.ModelProto()
    graph.CopyFrom(program.model_proto)
    clean(graph)
    return graph


def clean(model: onnx.ModelProto) -> None:
    """Take out of a graph, in place, what does not compute: names of source files, notes, the exporter's version."""
    model.producer_name, model.producer_version, model.doc_string = "deepupscale", "", ""
    del model.metadata_props[:]
    graph = model.graph
    del graph.value_info[:]  # runtimes infer the shapes between
    graph.name, graph.doc_string = "deepupscale", ""
    del graph.metadata_props[:]
    renamed: dict[str, str] = {}  # torch counts its names through a whole process
    kept = {tensor.name for tensor in graph.output}
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        node.input[:] = [renamed.get(name, name) for name in node.input]
        for at, name in enumerate(node.output):
            if name not in kept:
                node.output[at] = renamed[name] = f"{node.name}.{at}"
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


def with_promise(model: onnx.ModelProto, promise: Promise) -> bytes:
    """The bytes of a file: the graph with its promise as the only metadata."""
    sealed = onnx.ModelProto()
    sealed.CopyFrom(model)
    del sealed.metadata_props[:]
    entry = sealed.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, promise.to_json()
    return sealed.SerializeToString(deterministic=True)


def check_graph(data: bytes, source: str) -> None:
    """Refuse what must not be shipped.

    Args:
        data: An ONNX file.
        source: What to call it in errors.

    Raises:
        ModelError: Not valid by ``onnx.checker`` with shape inference, other metadata than the promise, weights in side
            files, or weights that are not finite.
    """
    try:
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the library's exceptions share no root, and some are of its C++ part
        raise ModelError(f"{source}: is no valid ONNX graph: {error}") from None
    if [entry.key for entry in model.metadata_props] != [METADATA_KEY]:
        raise ModelError(f"{source}: holds other metadata than one promise")
    for weight in tensors(model):
        if weight.data_location == onnx.TensorProto.EXTERNAL or weight.external_data:
            raise ModelError(f"{source}: keeps the tensor {weight.name} in a side file")
        values = numpy_helper.to_array(weight)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise ModelError(f"{source}: the tensor {weight.name} holds NaN or Inf")


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All constant tensors of a graph, those in attributes of its nodes included."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's remarks on packages that it could have used and on its own internals."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
