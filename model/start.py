"""What a run begins with: the weights of a checkpoint, of a run, or out of an exported model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from deepupscale.errors import MissingExtraError, ModelError
from deepupscale.model_file import load_model
from deepupscale.model_store import find, is_name
from model import snapshots
from model.checkpoint import load_generator
from model.networks import Generator


def weights_for(network: Generator, start: str) -> dict[str, Tensor]:
    """The weights that a network begins with.

    Args:
        network: That they are for; left as it is.
        start: A ``.safetensors`` checkpoint, the folder of a run, whose last averaged weights are taken, an ``.onnx``
            file of ours in float32, or the name of a model, as in ``default``.

    Returns:
        Name to tensor, float32, on the CPU.

    Raises:
        ModelError: There is no such thing, it cannot be read, or it is of another network or shape.
        MissingExtraError: An exported model needs the package onnx.
    """
    file = file_of(start)
    if file.suffix.lower() == ".onnx":
        return _exported(file, network)
    found = load_generator(file)
    have, want = ((each.kind, each.shape) for each in (found, network))
    if have != want:
        raise ModelError(f"{file}: holds the network {have[0]} {have[1]} where {want[0]} {want[1]} is wanted")
    return found.state_dict()


def file_of(start: str) -> Path:
    """The file that ``start`` means, as :func:`weights_for` takes it; it may not be there.

    Raises:
        ModelError: A model of that name, or a run, that is not there or cannot be read.
    """
    path = Path(start)
    try:
        folder = path.is_dir()
    except OSError as error:
        raise ModelError(f"start {start[:100]}: cannot be read: {error.strerror or error}") from None
    if path.suffix.lower() == ".onnx" or (is_name(start) and not folder and path.suffix.lower() != ".safetensors"):
        return find(start)
    return snapshots.last_weights(path) if folder else path


def _exported(file: Path, network: Generator) -> dict[str, Tensor]:
    """Of an exported graph, whose constants are called as the network's tensors are."""
    if find_spec("onnx") is None:
        raise MissingExtraError(f"start {file}", "onnx", "export")
    import onnx
    from onnx import numpy_helper

    model = load_model(file)
    if model.promise.precision != "f32" or model.promise.outputs[0].residual_over is None:
        raise ModelError(
            f"{file}: is {model.promise.precision if model.promise.precision != 'f32' else 'a self-contained graph'}: "
            "start from the plain f32 file of that model"
        )
    try:
        constants = {each.name: each for each in onnx.load_from_string(model.data).graph.initializer}
    except Exception as error:  # the library's parser raises what it likes
        raise ModelError(f"{file}: is no ONNX graph: {error}") from None
    wanted = network.state_dict()
    found: dict[str, Tensor] = {}
    for name, tensor in wanted.items():
        given = constants.get(name)
        shape = None if given is None else tuple(given.dims)
        if given is None or shape != tuple(tensor.shape):
            raise ModelError(
                f"{file}: {name} is {shape or 'missing'}, the run's network {network.kind} {network.shape} has "
                f"{tuple(tensor.shape)}: set generator to the network of that model"
            )
        weights = torch.from_numpy(numpy_helper.to_array(given).copy())
        if not weights.is_floating_point() or not bool(torch.isfinite(weights).all()):
            raise ModelError(f"{file}: {name} is not of finite floating-point numbers")
        found[name] = weights.float()
    if more := sorted(name for name in constants if name.endswith((".weight", ".bias")) and name not in wanted):
        raise ModelError(
            f"{file}: also holds {more[0]}, which the run's network {network.kind} {network.shape} lacks: "
            "set generator to the network of that model"
        )
    return found
