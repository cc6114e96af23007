"""Export a trained generator: ``python -m export.to_onnx CHECKPOINT OUT.onnx --name NAME ...``.

The graph holds the network alone (compressed plate in, residual out, any height and width); interpolation, range
compression and the addition are the engine's. What the promise says is measured here: the halo by a gradient, and the
error of each precision against the trained network in float32.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.export import Dim

from deepupscale.devices import Precision, cpu_precisions
from deepupscale.model_file import ModelFile, load_model
from deepupscale.promise import METADATA_KEY, Metric, Promise, Training, Verification
from deepupscale.range_compression import RangeCompression
from deepupscale.session import open_session
from model.checkpoint import load_generator
from model.networks import Generator
from model.procedural import procedural_image
from model.torch_session import INPUT, OUTPUT, TorchSession, upscale_tensors

OPSET = 20


def measure_halo(network: nn.Module, largest: int = 128) -> int:
    """Input pixels on each side that an output pixel depends on.

    The network is copied with positive weights and no bias and fed a positive picture, so that every ReLU passes and
    no two paths cancel: the gradient of the four output pixels in the middle then covers the whole receptive field,
    whatever has been learnt.

    Args:
        network: (1, 3, h, w) to (1, 3, 2h, 2w).
        largest: Largest radius that can be told.
    """
    positive = copy.deepcopy(network).double()
    with torch.no_grad():
        for name, parameter in positive.named_parameters():
            parameter.fill_(0.0 if name.endswith("bias") else parameter.shape[0] / parameter.numel())
    side = 2 * largest + 1
    plate = torch.ones(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    result = positive(plate)
    result[:, :, 2 * largest : 2 * largest + 2, 2 * largest : 2 * largest + 2].sum().backward()
    assert plate.grad is not None
    touched = plate.grad[0].abs().sum(dim=0).nonzero()
    halo = int((touched - largest).abs().max())
    if halo >= largest:
        raise ValueError(
            f"the network reaches {halo} pixels or more, beyond what is measured: its halo cannot be promised"
        )
    return halo


def export_graph(network: nn.Module) -> onnx.ModelProto:
    """The network as ONNX with dynamic height and width."""
    network = network.eval()
    sizes = {2: Dim("height", min=1), 3: Dim("width", min=1)}
    program = torch.onnx.export(
        network,
        (torch.rand(1, 3, 64, 80),),
        dynamo=True,
        dynamic_shapes=(sizes,),
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        verbose=False,
    )
    assert program is not None
    graph = program.model_proto
    del graph.metadata_props[:]
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(graph, full_check=True)
    return graph


def with_promise(graph: onnx.ModelProto, promise: Promise) -> bytes:
    """The file's bytes."""
    sealed = onnx.ModelProto()
    sealed.CopyFrom(graph)
    sealed.producer_name = "deepupscale"
    entry = sealed.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, promise.to_json()
    return sealed.SerializeToString(deterministic=True)


def verify(network: nn.Module, path: Path) -> list[Verification]:
    """Largest error of each precision that can run here against the trained network in float32, on made pictures."""
    curve = RangeCompression()
    pictures = [procedural_image(seed, 131) for seed in range(8)]
    plates = [np.ascontiguousarray(curve.compress(p).transpose(2, 0, 1))[np.newaxis] for p in pictures]
    with torch.no_grad():
        truths = [network(torch.from_numpy(plate)).numpy() for plate in plates]
    model: ModelFile = load_model(path)
    found: list[Verification] = []
    able: tuple[tuple[str, tuple[Precision, ...]], ...] = (("openvino", cpu_precisions()), ("onnxruntime", ("f32",)))
    for runtime, precisions in able:
        for precision in precisions:
            session = open_session(model, "cpu", precision, runtime)
            errors = [
                np.abs(session.run({INPUT: plate})[OUTPUT] - truth).max()
                for plate, truth in zip(plates, truths, strict=True)
            ]
            found.append(Verification(precision=precision, runtime=f"{runtime}-cpu", max_error=float(max(errors))))
    return found


def slow_ramp(network: Generator) -> dict[str, float]:
    """Largest |residual| on a grey ramp from 0.1 to 1.0 over 2000 pixels, by precision: what could show as bands."""
    row = np.linspace(0.1, 1.0, 2000, dtype=np.float32)
    ramp = RangeCompression().compress(np.broadcast_to(row, (1, 3, 80, 2000)).copy())
    cut = 2 * network.receptive_radius
    found: dict[str, float] = {}
    for precision in ("f32", "bf16"):
        residual = TorchSession(network, "cpu", precision).run({INPUT: ramp})[OUTPUT]
        found[precision] = float(np.abs(residual[:, :, cut:-cut, cut:-cut]).max())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint", type=Path, help="weights as safetensors, with their JSON description beside them")
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--model-version", required=True)
    parser.add_argument("--licence", default="Apache-2.0")
    parser.add_argument("--dataset", required=True, help="what was learnt from")
    parser.add_argument("--revision", required=True, help="revision of the training code")
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--metrics", type=Path, help="JSON list of {name, value, unit, pairs}")
    options = parser.parse_args()

    network = load_generator(options.checkpoint)
    graph = export_graph(network)
    metrics = json.loads(options.metrics.read_text()) if options.metrics else []
    taken, returned = upscale_tensors()
    promise = Promise(
        task="upscale",
        name=options.name,
        model_version=options.model_version,
        licence=options.licence,
        inputs=(taken,),
        outputs=(returned,),
        halo=measure_halo(network),
        training=Training(
            dataset=options.dataset,
            code_revision=options.revision,
            iterations=options.iterations,
            metrics=tuple(Metric.model_validate(metric) for metric in metrics),
        ),
    )
    temporary = options.out.with_name(f".{options.out.name}.tmp")
    temporary.write_bytes(with_promise(graph, promise))
    verified = verify(network, temporary)
    temporary.write_bytes(with_promise(graph, promise.model_copy(update={"verified": tuple(verified)})))
    load_model(temporary)
    os.replace(temporary, options.out)
    print(f"{options.out}: {options.out.stat().st_size} bytes, halo {promise.halo}")
    for each in verified:
        print(f"  {each.runtime} {each.precision}: largest error {each.max_error:.2e} in the compressed range")
    for precision, largest in slow_ramp(network).items():
        print(f"  largest residual on a slow ramp in {precision}: {largest:.2e}")


if __name__ == "__main__":
    main()
