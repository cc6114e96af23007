"""Sessions: a model compiled by a runtime for a device and a precision, behind one small interface.

OpenVINO runs on CPUs (it has the fastest bf16 and float32 convolutions there), ONNX Runtime on GPUs, and on CPUs as a
reference. Nothing outside this module and ``runtimes`` knows which of them works.
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
        precision: ``f32``, ``bf16`` or ``f16``.
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
        precision: ``auto``, ``f32``, ``bf16`` or ``f16``.
        runtime: ``auto``, ``openvino``, ``onnxruntime`` or ``tensorrt``.
        threads: CPU threads of the runtime; 0 for as many as it thinks good.

    Raises:
        RuntimeUnavailableError: The device, the runtime or the precision is not to be had here.
        ModelError: The runtime cannot use the graph, or its tensors are not those of the promise.
    """
    choice = choose(model, device, precision, runtime)
    log.info("%s: %s", choice, choice.reason)
    from deepupscale.runtimes import OnnxRuntimeSession, OpenVinoSession

    make = OpenVinoSession if choice.runtime == "openvino" else OnnxRuntimeSession
    return make(model, choice, threads)


def choose(model: ModelFile, device: str = "auto", precision: str = "auto", runtime: str = "auto") -> Choice:
    """Settle runtime, device and precision; see :func:`open_session`."""
    if precision not in ("auto", *PRECISIONS):
        raise RuntimeUnavailableError(f"unknown precision {precision!r}: use auto, {', '.join(PRECISIONS)}")
    if runtime not in ("auto", *RUNTIMES):
        raise RuntimeUnavailableError(f"unknown runtime {runtime!r}: use auto, {', '.join(RUNTIMES)}")
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


def _choose_cuda(model: ModelFile, index: int, precision: str, runtime: str) -> Choice:
    tensorrt = runtime == "tensorrt"
    able: tuple[Precision, ...] = ("f32", "f16") if tensorrt else ("f32",)
    if precision == "auto":
        chosen: Precision = "f16" if tensorrt and model.promise.verified_at("f16") else "f32"
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
        return Choice("onnxruntime", "cpu", "f32", "the reference on CPUs, as asked")
    able = cpu_precisions()
    if precision != "auto":
        if precision not in able:
            raise RuntimeUnavailableError(
                f"this CPU does not compute in {precision} (it has {', '.join(able)}): use --precision auto"
            )
        return Choice("openvino", "cpu", precision, "precision as asked")
    if "bf16" in able and model.promise.verified_at("bf16"):
        return Choice("openvino", "cpu", "bf16", "this CPU computes in bf16 and the model was verified in it")
    lack = "the model was not verified in bf16" if "bf16" in able else "this CPU has no bf16 arithmetic"
    return Choice("openvino", "cpu", "f32", lack)
