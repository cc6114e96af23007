"""Runtimes: OpenVINO and ONNX Runtime, each behind the interface of a session."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, cast

from deepupscale.errors import InferenceError, MissingExtraError, ModelError, RuntimeUnavailableError, one_line
from deepupscale.model_file import ModelFile
from deepupscale.session import Choice, Tensor

_COMPILED_SHAPES = 4  # OpenVINO graphs kept per session, one for each tile shape


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


class OpenVinoSession:
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
        lower = choice.precision in ("bf16", "f16")  # of an int8 graph the rest stays float32: bf16 doubles the error
        self._config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": choice.precision if lower else "f32",
            "EXECUTION_MODE_HINT": "PERFORMANCE" if lower else "ACCURACY",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads > 0:
            self._config["INFERENCE_NUM_THREADS"] = threads
        self._requests: dict[tuple[tuple[int, ...], ...], Any] = {}

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        request = self._request({name: tensor.shape for name, tensor in inputs.items()})
        try:
            results = request.infer(dict(inputs), share_inputs=True)
        except RuntimeError as error:
            raise InferenceError(f"OpenVINO failed: {one_line(str(error))[-300:]}") from None
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


class OnnxRuntimeSession:
    """ONNX Runtime on CUDA devices, or its CPU provider as a reference."""

    def __init__(self, model: ModelFile, choice: Choice, threads: int) -> None:
        try:
            import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]
        except ImportError:
            raise MissingExtraError(f"--runtime {choice.runtime}", "onnxruntime", "gpu") from None
        self.choice = choice
        runtime = cast(Any, ort)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if threads > 0:
            options.intra_op_num_threads = threads
        providers = _providers(choice)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a provider that does not start is looked for below
                self._session: Any = runtime.InferenceSession(model.data, options, providers=providers)
        except Exception as error:  # the runtime's own exception classes are not public
            raise ModelError(f"{model.path}: ONNX Runtime cannot use the graph: {one_line(str(error))[:300]}") from None
        name = providers[0][0]
        if name not in self._session.get_providers():  # else it would silently compute on the CPU
            raise RuntimeUnavailableError(
                f"{choice.device}: ONNX Runtime could not start {name}; are its CUDA and cuDNN libraries installed? "
                "Use --device cpu to go on without"
            )
        _check_tensors(
            model, _onnxruntime_channels(self._session.get_inputs()), _onnxruntime_channels(self._session.get_outputs())
        )
        self._outputs = [output.name for output in model.promise.outputs]

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        try:
            results = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # the runtime's own exception classes are not public
            raise InferenceError(f"ONNX Runtime failed: {one_line(str(error))[:300]}") from None
        return dict(zip(self._outputs, results, strict=True))


def _providers(choice: Choice) -> list[tuple[str, dict[str, Any]]]:
    """ONNX Runtime's execution providers for a choice, the wanted one first, with their options."""
    if choice.device == "cpu":
        return [("CPUExecutionProvider", {})]
    device_id = int(choice.device.partition(":")[2])
    # Heuristic algorithm search keeps a new tile shape cheap; TF32 would cost 13 bits of every product.
    cuda: dict[str, Any] = {
        "device_id": device_id,
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",
    }
    providers = [("CUDAExecutionProvider", cuda)]
    if choice.runtime == "tensorrt":
        providers.insert(
            0, ("TensorrtExecutionProvider", {"device_id": device_id, "trt_fp16_enable": choice.precision == "f16"})
        )
    return providers


def _onnxruntime_channels(ports: Any) -> dict[str, int | None]:
    return {
        port.name: port.shape[1] if isinstance(port.shape[1], int) else None for port in ports if len(port.shape) > 1
    }
