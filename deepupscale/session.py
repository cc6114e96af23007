"""Sessions: a model compiled by a runtime for a device and a precision, behind one small interface.

OpenVINO runs on CPUs (it has the fastest bf16 and float32 convolutions there), ONNX Runtime on GPUs, and on CPUs as a
reference. Nothing outside this module, ``runtimes`` and ``gpu_session`` knows which of them works.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from deepupscale.devices import PRECISIONS, Precision, cpu_precisions, cuda_devices, cuda_index
from deepupscale.errors import RuntimeUnavailableError
from deepupscale.model_file import ModelFile

log = logging.getLogger(__name__)

Tensor = NDArray[np.float32]
RUNTIMES = ("openvino", "onnxruntime", "tensorrt")


@dataclass(frozen=True)
class Choice:
    """What a session runs on, and why.

    Attributes:
        runtime: ``openvino``, ``onnxruntime`` (CUDA or CPU provider) or ``tensorrt`` (its TensorRT provider).
        device: ``cpu`` or ``cuda:N``.
        precision: ``f32``, ``bf16``, ``f16`` or ``int8``.
        reason: One sentence.
    """

    runtime: str
    device: str
    precision: Precision
    reason: str

    def __str__(self) -> str:
        return f"{self.runtime} on {self.device} in {self.precision}"


class Session(Protocol):
    """A model ready to run."""

    choice: Choice

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph once: float32 tensors in and out by name, shaped (1, channels, height, width).

        Raises:
            InferenceError: The runtime gave up, most often for want of memory.
        """
        ...


def open_session(
    model: ModelFile, device: str = "auto", precision: str = "auto", runtime: str = "auto", threads: int = 0
) -> Session:
    """Compile a model.

    Args:
        model: A loaded model file.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto``, ``f32``, ``bf16``, ``f16`` or ``int8``; the last for quantised graphs, which take no other.
        runtime: ``auto``, ``openvino``, ``onnxruntime`` or ``tensorrt``.
        threads: CPU threads of the runtime; 0 for as many as it thinks good.

    Raises:
        RuntimeUnavailableError: The device, the runtime or the precision is not to be had here.
        ModelError: The runtime cannot use the graph, or its tensors are not those of the promise.
    """
    choice = choose(model, device, precision, runtime)
    log.info("%s: %s", choice, choice.reason)
    if choice.device != "cpu":
        from deepupscale.gpu_session import GpuSession

        return GpuSession(model, choice, threads)
    from deepupscale.runtimes import OnnxRuntimeSession, OpenVinoSession

    make = OpenVinoSession if choice.runtime == "openvino" else OnnxRuntimeSession
    return make(model, choice, threads)


def choose(model: ModelFile, device: str = "auto", precision: str = "auto", runtime: str = "auto") -> Choice:
    """Settle runtime, device and precision; see :func:`open_session`."""
    if precision not in ("auto", *PRECISIONS):
        raise RuntimeUnavailableError(f"unknown precision {precision!r}: use auto, {', '.join(PRECISIONS)}")
    if runtime not in ("auto", *RUNTIMES):
        raise RuntimeUnavailableError(f"unknown runtime {runtime!r}: use auto, {', '.join(RUNTIMES)}")
    _check_graph(model, device, precision, runtime)
    if model.promise.precision == "int8":
        device = "cpu"
    index = cuda_index(device)
    gpus = cuda_devices() if device != "cpu" and runtime != "openvino" else 0
    if index is not None and runtime == "openvino":
        raise RuntimeUnavailableError("OpenVINO runs on cpu here; cuda devices need --runtime onnxruntime")
    if index is not None and index >= gpus:
        raise RuntimeUnavailableError(
            f"no device {device} (CUDA devices seen: {gpus}): use --device cpu, "
            "or pip install 'deepupscale[gpu]' on a GPU machine"
        )
    if index is None and device == "auto" and gpus:
        index = 0
    if index is not None:
        return _choose_cuda(model, index, precision, runtime)
    return _choose_cpu(model, precision, runtime)


def _check_graph(model: ModelFile, device: str, precision: str, runtime: str) -> None:
    """Refuse what a quantised graph cannot do, and int8 of a graph that is none."""
    quantised = model.promise.precision == "int8"
    if quantised and precision not in ("auto", "int8"):
        raise RuntimeUnavailableError(
            f"{model.path}: is quantised and computes in int8 only, not {precision}: "
            "use --precision auto, or this model's f32 file"
        )
    if not quantised and precision == "int8":
        raise RuntimeUnavailableError(
            f"{model.path}: is an {model.promise.precision} graph: for int8 use a file that was exported with "
            "--precision int8"
        )
    if quantised and (cuda_index(device) is not None or runtime == "tensorrt"):
        raise RuntimeUnavailableError(
            f"{model.path}: is quantised for CPUs: use --device cpu, or this model's f32 or f16 file on a GPU"
        )


def _choose_cuda(model: ModelFile, index: int, precision: str, runtime: str) -> Choice:
    tensorrt = runtime == "tensorrt"
    able: tuple[Precision, ...] = ("f32", "f16") if tensorrt else ("f32",)
    if model.promise.precision == "f16":
        able = ("f16",)  # its tensors are halves: there is nothing else to compute in
    chosen: Precision
    if precision == "auto" and able == ("f16",):
        chosen, reason = "f16", f"CUDA device {index} is here; the graph is an f16 one"
    elif precision == "auto":
        chosen = "f16" if tensorrt and model.promise.verified_at("f16") else "f32"
        why = "in which the model was verified" if chosen == "f16" else "for no lower precision is verified there"
        reason = f"CUDA device {index} is here; {chosen}, {why}"
    elif precision in able:
        chosen, reason = cast("Precision", precision), "as asked"
    else:
        raise RuntimeUnavailableError(
            f"{precision} on cuda:{index} is not to be had with this model: use --precision {' or '.join(able)}"
        )
    return Choice("tensorrt" if tensorrt else "onnxruntime", f"cuda:{index}", chosen, reason)


def _choose_cpu(model: ModelFile, precision: str, runtime: str) -> Choice:
    if runtime == "tensorrt":
        raise RuntimeUnavailableError("TensorRT needs a CUDA device: use --runtime openvino")
    if runtime == "onnxruntime":
        if precision in ("bf16", "f16"):
            raise RuntimeUnavailableError(
                f"ONNX Runtime's CPU provider computes in f32 only, not {precision}: use --runtime openvino"
            )
        chosen: Precision = "int8" if model.promise.precision == "int8" else "f32"
        return Choice("onnxruntime", "cpu", chosen, "the reference on CPUs, as asked")
    if model.promise.precision == "int8":
        return Choice("openvino", "cpu", "int8", "the graph is quantised to int8 but for its first and last layer")
    able = float_precisions()
    if precision != "auto":
        if precision not in able:
            raise RuntimeUnavailableError(
                f"this CPU does not compute in {precision} (it has {', '.join(able)}): use --precision auto"
            )
        return Choice("openvino", "cpu", precision, "precision as asked")
    note = "; an f16 graph gains nothing on CPUs" if model.promise.precision == "f16" and "f16" not in able else ""
    if "bf16" in able and model.promise.verified_at("bf16"):
        return Choice("openvino", "cpu", "bf16", f"this CPU computes in bf16 and the model was verified in it{note}")
    lack = "the model was not verified in bf16" if "bf16" in able else "this CPU has no bf16 arithmetic"
    return Choice("openvino", "cpu", "f32", lack + note)


def float_precisions() -> tuple[Precision, ...]:
    """Precisions that OpenVINO computes in here on a graph that is not quantised."""
    return tuple(precision for precision in cpu_precisions() if precision != "int8")
