"""Model files: one self-contained ``.onnx`` with a promise inside.

The promise is read before any runtime sees the file, by walking the outermost fields of the protobuf (ONNX
``ModelProto``: 7 graph, 14 metadata_props; protobuf encoding guide). Nothing of the graph is interpreted here, except
that weights kept in side files are looked for and refused: a model must not name other files to read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from deepupscale.errors import ModelError
from deepupscale.promise import METADATA_KEY, Promise

MAX_MODEL_BYTES = 1 << 30
MAX_PROMISE_BYTES = 1 << 20
DEFAULT_MODEL = "default.onnx"

_GRAPH, _METADATA_PROPS = 7, 14
_GRAPH_INITIALIZER, _TENSOR_EXTERNAL_DATA = 5, 13


@dataclass(frozen=True)
class ModelFile:
    """A model as loaded: its promise and the bytes a runtime compiles.

    Attributes:
        path: Where it came from.
        promise: What it says of itself.
        data: The whole file.
        digest: SHA-256 of the file, hexadecimal.
    """

    path: Path
    promise: Promise
    data: bytes = field(repr=False)
    digest: str

    @property
    def label(self) -> str:
        """Name, version and the digest's head, as logs and written plates show it."""
        return f"{self.promise.name} {self.promise.model_version} ({self.digest[:12]})"


def load_model(path: str | os.PathLike[str] | None = None) -> ModelFile:
    """Load a model file and check its promise.

    Args:
        path: An ``.onnx`` file; None for the default model inside the package.

    Raises:
        ModelError: Missing, too large, not ONNX, without a promise, or with one that does not fit.
    """
    source = Path(path) if path is not None else default_model_path()
    try:
        if not source.is_file():
            raise ModelError(f"{source}: no such model file")
        size = source.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise ModelError(f"{source}: {size} bytes is more than a model may have ({MAX_MODEL_BYTES})")
        data = source.read_bytes()
    except OSError as error:
        raise ModelError(f"{source}: cannot read the model: {error.strerror or error}") from None
    return ModelFile(source, read_promise(data, str(source)), data, hashlib.sha256(data).hexdigest())


def default_model_path() -> Path:
    """The model that ships inside the package."""
    return Path(str(resources.files("deepupscale").joinpath("models", DEFAULT_MODEL)))


def read_promise(data: bytes, source: str) -> Promise:
    """Find and check the promise inside the bytes of an ONNX file.

    Raises:
        ModelError: See :func:`load_model`.
    """
    document: bytes | None = None
    has_graph = False
    try:
        for number, value in _fields(memoryview(data)):
            if number == _GRAPH:
                has_graph = True
                if _has_side_files(value):
                    raise ModelError(f"{source}: keeps weights in side files; export it as one self-contained file")
            elif number == _METADATA_PROPS:
                entry = {n: bytes(v) for n, v in _fields(value)}
                if entry.get(1) == METADATA_KEY.encode():
                    document = entry.get(2, b"")
    except _NotProtobufError:
        raise ModelError(f"{source}: not an ONNX file, or a truncated one") from None
    if not has_graph:
        raise ModelError(f"{source}: not an ONNX file, or a truncated one")
    if document is None:
        raise ModelError(
            f"{source}: an ONNX file without a DeepUpscale promise: export it with this project's export step"
        )
    if len(document) > MAX_PROMISE_BYTES:
        raise ModelError(f"{source}: its promise is larger than {MAX_PROMISE_BYTES} bytes")
    return Promise.from_json(document, source)


def _has_side_files(graph: memoryview) -> bool:
    return any(
        number == _GRAPH_INITIALIZER and any(n == _TENSOR_EXTERNAL_DATA for n, _ in _fields(tensor))
        for number, tensor in _fields(graph)
    )


class _NotProtobufError(Exception):
    pass


def _fields(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of one protobuf message: (number, bytes), empty for those that are not length-delimited."""
    at, end = 0, len(view)
    while at < end:
        key, at = _varint(view, at)
        number, wire = key >> 3, key & 7
        value = view[0:0]
        if wire == 0:
            _, at = _varint(view, at)
        elif wire == 2:
            length, at = _varint(view, at)
            value = view[at : at + length]
            at += length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise _NotProtobufError
        if number == 0 or at > end:
            raise _NotProtobufError
        yield number, value


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            break
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _NotProtobufError
