"""Sessions: a model compiled by a runtime for a device and a precision, behind one small interface.

OpenVINO runs on CPUs (it has the fastest bf16 and float32 convolutions there), ONNX Runtime on GPUs, and on CPUs as a
reference. Nothing outside this module knows which runtime works.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from deepupscale.errors import ModelError, RuntimeUnavailableError, one_line
from deepupscale.model_file import ModelFile

log = logging.getLogger(__name__)

Tensor = NDArray[np.float32]
Precision = Literal["f32", "bf16", "f16"]
PRECISIONS: tuple[Precision, ...] = ("f32", "bf16", "f16")
RUNTIMES = ("openvino", "onnxruntime", "tensorrt")

_COMPILED_SHAPES = 4  # OpenVINO graphs kept per session, one for each tile shape


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
        """Run the graph once: float32 tensors in and out by name, shaped (1, channels, height, width)."""
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
    opened: Session
    if choice.runtime == "openvino":
        opened = _OpenVinoSession(model, choice, threads)
    else:
        opened = _OnnxRuntimeSession(model, choice, threads)
    return opened


def choose(model: ModelFile, device: str = "auto", precision: str = "auto", runtime: str = "auto") -> Choice:
    """Settle runtime, device and precision; see :func:`open_session`."""
    if precision not in ("auto", *PRECISIONS):
        raise RuntimeUnavailableError(f"unknown precision {precision!r}: use auto, {', '.join(PRECISIONS)}")
    if runtime not in ("auto", *RUNTIMES):
        raise RuntimeUnavailableError(f"unknown runtime {runtime!r}: use auto, {', '.join(RUNTIMES)}")
    index = _cuda_index(device)
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
        reason = f"CUDA device {index} is here; {chosen} is what this model was verified in for {runtime}"
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


def cpu_precisions() -> tuple[Precision, ...]:
    """Precisions that OpenVINO computes natively on this CPU."""
    import openvino as ov

    able = cast(list[str], ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    names: dict[str, Precision] = {"FP32": "f32", "BF16": "bf16", "FP16": "f16"}
    return tuple(names[name] for name in ("FP32", "BF16", "FP16") if name in able)


def cpu_instruction_sets() -> tuple[str, ...]:
    """Vector extensions of this CPU that decide how fast a model runs, as the system names them (Linux only)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ()
    flags = set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())
    wanted = (
        "avx2",
        "avx512f",
        "avx512_vnni",
        "avx512_bf16",
        "avx512_fp16",
        "amx_tile",
        "amx_bf16",
        "amx_fp16",
        "amx_int8",
    )
    return tuple(name for name in wanted if name in flags)


def cuda_devices() -> int:
    """CUDA devices that ONNX Runtime can use here; 0 where its GPU build or a driver is missing."""
    try:
        import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        return 0
    runtime = cast(Any, ort)
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        return 0
    try:
        return sum(1 for d in runtime.get_ep_devices() if d.ep_name == "CUDAExecutionProvider")
    except (AttributeError, RuntimeError) as error:
        log.warning("CUDA devices cannot be counted: %s", one_line(str(error)))
        return 0


def _cuda_index(device: str) -> int | None:
    if device in ("auto", "cpu"):
        return None
    head, _, tail = device.partition(":")
    if head == "cuda" and (tail == "" or (tail.isascii() and tail.isdigit() and len(tail) < 4)):
        return int(tail or 0)
    raise RuntimeUnavailableError(f"unknown device {device!r}: use auto, cpu or cuda:N")


def _check_tensors(model: ModelFile, inputs: Mapping[str, int | None], outputs: Mapping[str, int | None]) -> None:
    """Compare the graph's tensors (name to channel count, None if dynamic) with those of the promise."""
    for said, found, side in ((model.promise.inputs, inputs, "input"), (model.promise.outputs, outputs, "output")):
        if {tensor.name for tensor in said} != set(found):
            raise ModelError(
                f"{model.path}: the promise names other {side}s than the graph: {', '.join(sorted(found)) or 'none'}"
            )
        for tensor in said:
            count = len(tensor.channels) * len(getattr(tensor, "frames", (0,)))
            if found[tensor.name] not in (None, count):
                raise ModelError(
                    f"{model.path}: {side} {tensor.name} has {found[tensor.name]} channels, the promise says {count}"
                )


class _OpenVinoSession:
    """OpenVINO on the CPU. A graph of fixed shape is compiled for each tile shape and the last few are kept."""

    def __init__(self, model: ModelFile, choice: Choice, threads: int) -> None:
        import openvino as ov

        self.choice = choice
        self._path = model.path
        self._core = cast(Any, ov.Core())
        try:
            self._graph = self._core.read_model(model.data)
        except RuntimeError as error:
            raise ModelError(f"{model.path}: OpenVINO cannot read the graph: {one_line(str(error))[-300:]}") from None
        _check_tensors(model, _openvino_channels(self._graph.inputs), _openvino_channels(self._graph.outputs))
        self._config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": choice.precision,
            "EXECUTION_MODE_HINT": "ACCURACY" if choice.precision == "f32" else "PERFORMANCE",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads > 0:
            self._config["INFERENCE_NUM_THREADS"] = threads
        self._requests: dict[tuple[tuple[int, ...], ...], Any] = {}

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        request = self._request({name: tensor.shape for name, tensor in inputs.items()})
        results = request.infer(dict(inputs), share_inputs=True)
        return {next(iter(output.get_names())): value for output, value in results.items()}

    def _request(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        import openvino as ov

        key = tuple(shapes[name] for name in sorted(shapes))
        if key not in self._requests:
            while len(self._requests) >= _COMPILED_SHAPES:
                del self._requests[next(iter(self._requests))]
            try:
                self._graph.reshape({name: ov.PartialShape(list(shape)) for name, shape in shapes.items()})
                compiled = self._core.compile_model(self._graph, "CPU", self._config)
            except RuntimeError as error:
                raise ModelError(
                    f"{self._path}: OpenVINO cannot compile the graph: {one_line(str(error))[-300:]}"
                ) from None
            self._requests[key] = compiled.create_infer_request()
        return self._requests[key]


def _openvino_channels(ports: Any) -> dict[str, int | None]:
    return {
        next(iter(port.get_names()), ""): port.partial_shape[1].get_length()
        if port.partial_shape[1].is_static
        else None
        for port in ports
        if port.partial_shape.rank.is_static and port.partial_shape.rank.get_length() > 1
    }


class _OnnxRuntimeSession:
    """ONNX Runtime on CUDA devices, or its CPU provider as a reference."""

    def __init__(self, model: ModelFile, choice: Choice, threads: int) -> None:
        try:
            import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]
        except ImportError:
            raise RuntimeUnavailableError(
                "ONNX Runtime is not installed: pip install 'deepupscale[gpu]' (or onnxruntime for its CPU provider)"
            ) from None
        self.choice = choice
        runtime = cast(Any, ort)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if threads > 0:
            options.intra_op_num_threads = threads
        providers = _providers(choice)
        try:
            self._session: Any = runtime.InferenceSession(model.data, options, providers=providers)
        except Exception as error:  # the runtime's own exception classes are not public
            raise ModelError(f"{model.path}: ONNX Runtime cannot use the graph: {one_line(str(error))[:300]}") from None
        _check_tensors(
            model, _onnxruntime_channels(self._session.get_inputs()), _onnxruntime_channels(self._session.get_outputs())
        )
        self._outputs = [output.name for output in model.promise.outputs]

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))


def _providers(choice: Choice) -> list[Any]:
    """ONNX Runtime's execution providers for a choice, with their options."""
    if choice.device == "cpu":
        return ["CPUExecutionProvider"]
    device_id = int(choice.device.partition(":")[2])
    # Heuristic algorithm search keeps a new tile shape cheap; TF32 would cost 13 bits of every product.
    cuda = {
        "device_id": device_id,
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",
    }
    providers: list[Any] = [("CUDAExecutionProvider", cuda)]
    if choice.runtime == "tensorrt":
        providers.insert(
            0, ("TensorrtExecutionProvider", {"device_id": device_id, "trt_fp16_enable": choice.precision == "f16"})
        )
    return providers


def _onnxruntime_channels(ports: Any) -> dict[str, int | None]:
    return {
        port.name: port.shape[1] if isinstance(port.shape[1], int) else None for port in ports if len(port.shape) > 1
    }
