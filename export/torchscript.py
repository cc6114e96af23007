"""Checkpoint to TorchScript, for Nuke's own Inference node: ``deepupscale export CHECKPOINT OUT.pt --torchscript``.

CatFileCreator makes a .cat of the file (``docs/nuke-inference.md``). Everything around the network is in it
(:mod:`export.nuke_module`), for that node has no other place for it. Before the file gets its name it is read back and
compared with the engine, and its operations are held against those of PyTorch 1.12, which Nuke 14.0 to 15.0 have.

A TorchScript file tells its format in the record ``version``. PyTorch writes the lowest that its operations ask for
(4, for division), and refuses files above what it knows: 10 for PyTorch 1.12 (``caffe2/serialize/versions.h``).
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepupscale import resample
from deepupscale.errors import ModelError, WriteError
from deepupscale.range_compression import RangeCompression
from deepupscale.resample import Float32
from deepupscale.temporary import check_target, writer
from deepupscale.upscaler import Upscaler
from export.made_plate import made_plate
from export.nuke_module import FILL_REACH, NukeModule
from export.provenance import provenance_of
from model.checkpoint import load_generator
from model.networks import Generator
from model.torch_session import TorchSession, as_model_file

NEWEST_FORMAT = 10  # that PyTorch 1.12 reads
SIZES = ((1, 1), (2, 2), (16, 16), (97, 131), (258, 66))  # height and width of what Nuke would hand over
LARGEST_ERROR = 1e-5  # against the engine in float32, in the compressed range
LARGEST_HALF_ERROR = (
    0.05  # likewise with module and picture in half: rounding stays below, a lost float32 step does not
)

KNOWN_OPS = frozenset(
    f"aten::{name}"
    for name in (
        # tensors
        "abs", "add.Scalar", "add.Tensor", "all", "any", "arange.start", "bitwise_not", "cat", "clamp",
        "conv2d", "copysign.Tensor", "div.Tensor", "exp", "expm1", "flatten.using_ints", "gt.Scalar", "index_select",
        "isfinite", "isnan", "leaky_relu", "leaky_relu_", "log", "log1p", "max_pool2d", "maximum", "minimum",
        "mul.Scalar", "mul.Tensor", "nan_to_num", "narrow", "neg", "pixel_shuffle", "relu", "relu_", "size.int",
        "slice.Tensor", "stack", "sub.Scalar", "sub.Tensor", "to.dtype", "where.self", "zeros_like",
        # numbers and lists
        "Bool.Tensor", "__and__.bool", "__derive_index", "__getitem__.t", "__range_length", "add.int", "append.t",
        "dim", "div.float", "eq.int", "floordiv.int", "len.t", "log.float", "lt.int", "mul.int", "ne.float", "ne.int",
        "neg.int", "remainder.int", "sub.int",
    )
) | frozenset(
    f"prim::{name}"
    for name in (
        "Constant", "GetAttr", "If", "ListConstruct", "Loop", "RaiseException", "device", "dtype", "is_cuda",
        "max.float", "max.int", "min.float", "min.int", "unchecked_cast",
    )
)  # fmt: skip
"""Operations that PyTorch 1.12.1 lists with the arguments that are written here."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file.
        size: Its bytes.
        digest: SHA-256 of the file, hexadecimal.
        version: Its TorchScript format.
        operations: Names of all operations in it.
        error: Largest difference to the engine in float32, in the compressed range.
        half_error: Likewise with the module and the picture in half, on a CPU: of rounding weights, picture and result.
    """

    path: Path
    size: int
    digest: str
    version: int
    operations: tuple[str, ...]
    error: float
    half_error: float


def export_torchscript(source: Path, out: Path, overwrite: bool = False) -> Exported:
    """Write a checkpoint as TorchScript for Nuke's Inference node.

    Args:
        source: A safetensors checkpoint, or the folder of a training run.
        out: The ``.pt`` file to make.
        overwrite: Replace it if it exists.

    Raises:
        UsageError: What is asked for cannot be.
        ModelError: As :func:`to_torchscript`, or the checkpoint cannot be used.
        WriteError: The file cannot be written.
    """
    check_target(out, ".pt", overwrite)
    return to_torchscript(load_generator(provenance_of(source).checkpoint), out)


def to_torchscript(generator: Generator, out: Path) -> Exported:
    """Write a generator as TorchScript for Nuke's Inference node; a file of that name is replaced, or left as it was.

    The module takes a scene-linear plate whose pixels were repeated, (1, 3, h, w), and returns the doubled plate of the
    same shape: see :meth:`export.nuke_module.NukeModule.forward`.

    Args:
        generator: RGB, 2x; left as it is.
        out: The file to write.

    Raises:
        ModelError: Another kind of network, one that cannot be compiled or has an operation that is not known to be in
            PyTorch 1.12, or a result that is not the engine's.
        WriteError: The file cannot be written.
    """
    if (generator.channels, generator.scale) != (3, 2):
        raise ModelError(
            f"{out}: the network takes {generator.channels} channels to {generator.scale}x: only RGB to 2x fits"
        )
    scripted = script(generator, out)
    used = operations(scripted)
    if unknown := sorted(set(used) - KNOWN_OPS):
        raise ModelError(f"{out}: the network uses {', '.join(unknown)}, not known to be in PyTorch 1.12 (Nuke 14)")
    data = serialised(scripted)
    version = format_version(data)
    if version > NEWEST_FORMAT:
        raise ModelError(f"{out}: would be of TorchScript format {version}; PyTorch 1.12 reads up to {NEWEST_FORMAT}")
    temporary = out.with_name(f".{out.name}.writing-{writer()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        error, half_error = verify(generator, temporary, out)
        os.replace(temporary, out)
    except OSError as failure:
        raise WriteError(f"{out}: cannot write the model: {failure.strerror or failure}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return Exported(out, len(data), hashlib.sha256(data).hexdigest(), version, used, error, half_error)


def script(generator: Generator, out: Path) -> torch.jit.ScriptModule:
    """The module, compiled; ``out`` is named in errors.

    Raises:
        ModelError: It cannot be compiled.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit is; Nuke reads nothing else
            scripted = torch.jit.script(NukeModule(generator).eval())
    except (RuntimeError, ValueError, TypeError) as failure:
        raise ModelError(f"{out}: the network {generator.kind} cannot be compiled: {failure}") from None
    assert isinstance(scripted, torch.jit.ScriptModule)
    return scripted


def operations(scripted: torch.jit.ScriptModule) -> tuple[str, ...]:
    """Names of all operations of a module, with their overloads, sorted."""
    graph = scripted.inlined_graph  # its nodes live as long as it does
    found: set[str] = set()
    blocks: list[Any] = [graph]
    while blocks:
        for node in blocks.pop().nodes():
            schema = node.schema().partition("(")[0]
            found.add(schema if "::" in schema else node.kind())
            blocks.extend(node.blocks())
    return tuple(sorted(found))


def serialised(scripted: torch.jit.ScriptModule) -> bytes:
    """The file's bytes, without the records that name source files of the machine that exports, or hash such names."""
    buffer, result = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(scripted, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(result, "w") as new:
        for entry in old.infolist():
            if not entry.filename.endswith((".debug_pkl", "/serialization_id")):
                new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry))
    return result.getvalue()


def format_version(data: bytes) -> int:
    """What a TorchScript file says its format is."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return int(archive.read("archive/version"))


def verify(generator: Generator, written: Path, out: Path) -> tuple[float, float]:
    """Compare a file with the engine; ``out`` is named in errors.

    Returns:
        The largest difference in the compressed range, in float32 and in half.

    Raises:
        ModelError: It does not run, or a result is not the engine's, is not finite, or is too far from it in half.
    """
    upscaler = Upscaler(as_model_file(generator, out, ""), TorchSession(copy.deepcopy(generator), "cpu", "f32"))
    curve = RangeCompression()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module, halved = (torch.jit.load(written, map_location="cpu").eval() for _ in range(2))
    ways = (
        (module, torch.float32, np.inf, LARGEST_ERROR),
        (halved.half(), torch.float16, resample.LARGEST_HALF, LARGEST_HALF_ERROR),
    )
    errors: dict[torch.dtype, float] = {torch.float32: 0.0, torch.float16: 0.0}
    for height, width in SIZES:
        clean = made_plate((height + 1) // 2, (width + 1) // 2)
        damaged = clean.copy()
        damaged[:: 1 + height // 4, :: 1 + width // 4] = [np.nan, np.inf, -np.inf]
        for plate in (clean, damaged):
            given = resample.double_nearest(plate, 0)[:height, :width]
            truth = engine_result(upscaler, plate)[:height, :width]
            for each, dtype, most, allowed in ways:
                wanted = curve.compress(np.clip(truth, -most, most))
                try:
                    error = float(np.abs(curve.compress(run(each, given, dtype)) - wanted).max())
                except RuntimeError as failure:
                    raise ModelError(f"{out}: at {width}x{height}, {dtype}, it does not run: {failure}") from None
                if not error <= allowed:  # NaN as well
                    raise ModelError(
                        f"{out}: at {width}x{height}, {dtype}, the result is {error:.1e} from the engine's"
                    )
                errors[dtype] = max(errors[dtype], error)
    return errors[torch.float32], errors[torch.float16]


def run(module: torch.jit.ScriptModule, plate: Float32, dtype: torch.dtype) -> Float32:
    """One plate (height, width, 3), pixels repeated, scene-linear, through a module; float32 of the same shape."""
    with torch.inference_mode():
        result = module(torch.from_numpy(plate.transpose(2, 0, 1).copy())[None].to(dtype))
    return np.ascontiguousarray(result[0].float().numpy().transpose(1, 2, 0))


def engine_result(upscaler: Upscaler, plate: Float32) -> Float32:
    """What the engine makes of a whole plate (height, width, 3), scene-linear, not always finite."""
    context = upscaler.margin + FILL_REACH
    return upscaler.double_colour(resample.fill_nonfinite(resample.pad(plate, context, context, context, context)))
