"""Model files: one self-contained ``.onnx`` with a promise inside.

The promise is read before any runtime sees the file, by walking the outermost fields of the protobuf (ONNX
``ModelProto``: 7 graph, 14 metadata_props; protobuf encoding guide). Nothing of the graph is interpreted here, except
that weights kept in side files are looked for and refused: a model must not name other files to read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from deepupscale.errors import ModelError
from deepupscale.promise import METADATA_KEY, Promise

MAX_MODEL_BYTES = 1 << 30
MAX_PROMISE_BYTES = 1 << 20
MAX_FIELDS = 1 << 20  # walked in search of the promise; a file of a thousand weights has some ten thousand
DEFAULT_MODEL = "default.onnx"

_GRAPH, _METADATA_PROPS = 7, 14
_GRAPH_INITIALIZER, _TENSOR_DIMS, _TENSOR_EXTERNAL_DATA = 5, 1, 13
_LARGEST_SIDE = 1 << 20  # of a weight, to be believed
_LONGEST_HEAD = 20  # bytes: two numbers of ten
_KEY = METADATA_KEY.encode()


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


def load_model(model: str | os.PathLike[str] | None = None) -> ModelFile:
    """Load a model and check its promise.

    Args:
        model: A name of the store, as in ``"hero"``, or an ``.onnx`` file: :mod:`deepupscale.model_store` says what
            is which, a ``Path`` is always a file. None for the default model inside the package.

    Raises:
        ModelError: No model of that name, or two; missing, too large, not ONNX, without a promise, or with one that
            does not fit.
    """
    from deepupscale.model_store import find

    source = find(model)
    with _opened(source) as (file, _):
        data = file.read()
    return ModelFile(source, read_promise(data, str(source)), data, hashlib.sha256(data).hexdigest())


def promise_of(source: Path) -> Promise:
    """The promise of a model file, checked as in loading it, without reading the weights.

    Raises:
        ModelError: See :func:`load_model`.
    """
    with _opened(source) as (file, size):
        return _find_promise(file, size, str(source))


def default_model_path() -> Path:
    """The model that ships inside the package."""
    return Path(str(resources.files("deepupscale").joinpath("models", DEFAULT_MODEL)))


def read_promise(data: bytes, source: str) -> Promise:
    """Find and check the promise inside the bytes of an ONNX file.

    Raises:
        ModelError: See :func:`load_model`.
    """
    return _find_promise(BytesIO(data), len(data), source)


@contextmanager
def _opened(source: Path) -> Generator[tuple[BinaryIO, int]]:
    """A model file and its size in bytes. What goes wrong while it is read becomes an error of ours."""
    try:
        if not source.is_file():
            why = ": it is a folder" if source.is_dir() else ": the link leads nowhere" if source.is_symlink() else ""
            raise ModelError(f"{source}: no such model file{why}")
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_MODEL_BYTES:
                raise ModelError(f"{source}: {size} bytes is more than a model may have ({MAX_MODEL_BYTES})")
            yield file, size
    except OSError as error:
        raise ModelError(f"{source}: cannot read the model: {error.strerror or error}") from None


def _find_promise(file: BinaryIO, size: int, source: str) -> Promise:
    document: bytes | None = None
    has_graph, wire = False, _Wire(file)
    try:
        for number, start, end in wire.fields(0, size):
            if number == _GRAPH:
                has_graph = True
                if _has_side_files(wire, start, end):
                    raise ModelError(f"{source}: keeps weights in side files; export it as one self-contained file")
            elif number == _METADATA_PROPS:
                entry = {n: (at, to) for n, at, to in wire.fields(start, end)}
                at, to = entry.get(1, (0, 0))
                if to - at == len(_KEY) and wire.read(at, to) == _KEY:
                    at, to = entry.get(2, (0, 0))
                    if to - at > MAX_PROMISE_BYTES:
                        raise ModelError(f"{source}: its promise is larger than {MAX_PROMISE_BYTES} bytes")
                    document = wire.read(at, to)
    except _NotProtobufError:
        raise ModelError(f"{source}: not an ONNX file, or a truncated one") from None
    if not has_graph:
        raise ModelError(f"{source}: not an ONNX file, or a truncated one")
    if document is None:
        raise ModelError(
            f"{source}: an ONNX file without a DeepUpscale promise: export it with this project's export step"
        )
    return Promise.from_json(document, source)


def weight_shapes(data: bytes) -> list[tuple[int, ...]]:
    """Shapes of the weights in an ONNX file, as written there; none if they are kept otherwise or cannot be read."""
    wire, shapes = _Wire(BytesIO(data)), list[tuple[int, ...]]()
    try:
        for graph, start, end in wire.fields(0, len(data)):
            for number, at, to in wire.fields(start, end) if graph == _GRAPH else ():
                if number == _GRAPH_INITIALIZER:
                    dims = [wire.read(a, b) for n, a, b in wire.fields(at, to) if n == _TENSOR_DIMS and b - a <= 80]
                    shapes.append(tuple(_varints(b"".join(dims))))
    except _NotProtobufError:
        return []
    return [shape for shape in shapes if all(0 < side <= _LARGEST_SIDE for side in shape)]


def _varints(view: bytes) -> Iterator[int]:
    at = 0
    while at < len(view):
        value, at = _varint(view, at)
        yield value


def _has_side_files(wire: _Wire, start: int, end: int) -> bool:
    return any(
        number == _GRAPH_INITIALIZER and any(n == _TENSOR_EXTERNAL_DATA for n, _, _ in wire.fields(at, to))
        for number, at, to in wire.fields(start, end)
    )


class _NotProtobufError(Exception):
    pass


class _Wire:
    """Protobuf messages, walked where they lie in a file: what nobody asks for is not read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, MAX_FIELDS

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` to ``end``."""
        self._file.seek(start)
        data = self._file.read(end - start)
        if len(data) < end - start:
            raise _NotProtobufError
        return data

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The fields of the message that lies there: number, and where its value starts and ends."""
        at = start
        while at < end:
            head = self.read(at, min(at + _LONGEST_HEAD, end))
            key, used = _varint(head, 0)
            number, wire = key >> 3, key & 7
            if wire == 0:
                length = _varint(head, used)[1] - used
            elif wire == 2:
                length, used = _varint(head, used)
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
            else:
                raise _NotProtobufError
            at += used
            self._left -= 1
            if number == 0 or at + length > end or self._left < 0:
                raise _NotProtobufError
            yield number, at, at + length
            at += length


def _varint(view: bytes, at: int) -> tuple[int, int]:
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
