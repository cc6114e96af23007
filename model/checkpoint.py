"""Checkpoints that others read: averaged weights as safetensors; the metadata name the network and its shape.

    network    the registered name, as "residual"
    shape      JSON of what its constructor takes

Older files have neither, but "width" and "blocks" of a residual generator. Nothing is ever unpickled, and nothing is
built before the file's tensors are known to fit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from deepupscale.errors import ModelError
from model.networks import AovFeatures, Generator, VggFeatures, build_generator

AOV_FEATURES = "aov-features"
_LARGEST_AOV = {"width": 512, "levels": 6, "channels": 16}
_Network = TypeVar("_Network", bound=nn.Module)


def metadata(network: Generator | AovFeatures) -> dict[str, str]:
    """What to write beside a network's weights so that :func:`load_generator` or :func:`load_aov_features` knows it."""
    name = network.kind if isinstance(network, Generator) else AOV_FEATURES
    return {"network": name, "shape": json.dumps(network.shape)}


def load_generator(checkpoint: Path) -> Generator:
    """The generator of an ``ema.safetensors``, ready to evaluate.

    Raises:
        ModelError: No such file, a damaged or foreign one, or one whose weights do not fit what it says it is.
    """
    with _File(checkpoint) as file:
        name, shape = _described(checkpoint, file.metadata)
        return file.fill(lambda: build_generator(name, **shape))


def load_aov_features(checkpoint: Path) -> AovFeatures:
    """The feature network that was trained to guess AOVs, frozen; raises as :func:`load_generator` does."""
    with _File(checkpoint) as file:
        name, shape = _described(checkpoint, file.metadata)
        if name != AOV_FEATURES:
            raise ModelError(f"{checkpoint}: holds the network {name}, not {AOV_FEATURES}")
        for key, value in shape.items():
            if key not in _LARGEST_AOV or type(value) is not int or not 1 <= value <= _LARGEST_AOV[key]:
                raise ModelError(f"{checkpoint}: {key}={value!r} is no shape of the network {AOV_FEATURES}")
        return file.fill(lambda: AovFeatures(**shape)).requires_grad_(False)


def load_vgg(weights: Path, taps: tuple[str, ...] = ("conv5_4",)) -> VggFeatures:
    """VGG19 with the user's weights, frozen; names as in torchvision's ``vgg19``, what follows conv5_4 is left out.

    Raises:
        ModelError: As :func:`load_generator`.
        ValueError: An unknown tap.
    """
    with _File(weights) as file:
        return file.fill(lambda: VggFeatures(taps), ignore="classifier.").requires_grad_(False)


def _described(path: Path, metadata: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    try:
        if "network" in metadata:
            name, shape = metadata["network"], json.loads(metadata["shape"])
        else:
            name, shape = "residual", {key: int(metadata[key]) for key in ("width", "blocks")}
    except (KeyError, ValueError, RecursionError):
        raise ModelError(f"{path}: does not say which network it holds: not a checkpoint of this project") from None
    if not isinstance(shape, dict):
        raise ModelError(f"{path}: the network's shape is no mapping of names to numbers")
    return name, shape


class _File:
    """A safetensors file, its errors ours."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> _File:
        try:
            self.file = safe_open(self.path, framework="pt").__enter__()
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(f"{self.path}: cannot be read as safetensors: {error}") from None
        self.metadata: dict[str, str] = self.file.metadata() or {}
        return self

    def __exit__(self, *_: object) -> None:
        self.file.__exit__(None, None, None)

    def fill(self, build: Callable[[], _Network], ignore: str | None = None) -> _Network:
        """Build the network and give it the file's weights, once they are known to fit."""
        try:
            with torch.device("meta"):
                wanted = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
        except ModelError as error:
            raise ModelError(f"{self.path}: {error}") from None
        names = [name for name in self.file.keys() if ignore is None or not name.startswith(ignore)]  # noqa: SIM118
        found = {name: tuple(self.file.get_slice(name).get_shape()) for name in names}
        if ignore is not None:  # a longer network's later layers
            found = {name: shape for name, shape in found.items() if name in wanted}
        for name in sorted(wanted.keys() | found.keys()):
            if wanted.get(name) != found.get(name):
                raise ModelError(
                    f"{self.path}: tensor {name} is {found.get(name, 'missing')} where the network has "
                    f"{wanted.get(name, 'none')}: the file is not of this network"
                )
        weights: dict[str, Tensor] = {}
        for name in found:
            tensor = self.file.get_tensor(name)
            if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
                raise ModelError(f"{self.path}: tensor {name} is not of finite floating-point numbers")
            weights[name] = tensor.float()
        network = build()
        network.load_state_dict(weights)
        return network.eval()
