"""Runtimes: OpenVINO and ONNX Runtime, each behind the interface of a session."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from deepupscale.errors import InferenceError, MissingExtraError, ModelError, one_line
from deepupscale.model_file import ModelFile
from deepupscale.openvino_core import openvino_core
from deepupscale.session import Choice, Tensor

_COMPILED_SHAPES = 4  # OpenVINO graphs kept per session, one for each tile shape


def check_tensors(model: ModelFile, inputs: Mapping[str, int | None], outputs: Mapping[str, int | None]) -> None:
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
        self.choice = choice
        self._path = model.path
        try:
            self._graph = openvino_core().read_model(model.data)
        except RuntimeError as error:
            raise ModelError(f"{model.path}: OpenVINO cannot read the graph: {one_line(str(error))[-300:]}") from None
        check_tensors(model, _openvino_channels(self._graph.inputs), _openvino_channels(self._graph.outputs))
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
            request.start_async(dict(inputs), share_inputs=True)  # unlike infer, it can be cancelled
            request.wait()
            results = request.results
        except RuntimeError as error:
            raise InferenceError(f"OpenVINO failed: {one_line(str(error))[-300:]}") from None
        return {next(iter(output.get_names())): value for output, value in results.items()}

    def cancel(self) -> None:
        """Let a run that is under way fail with InferenceError, between two layers; any thread may."""
        for request in list(self._requests.values()):
            request.cancel()

    def _request(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        import openvino as ov

        key = tuple(shapes[name] for name in sorted(shapes))
        if key not in self._requests:
            while len(self._requests) >= _COMPILED_SHAPES:
                del self._requests[next(iter(self._requests))]
            try:
                self._graph.reshape({name: ov.PartialShape(list(shape)) for name, shape in shapes.items()})
                compiled = openvino_core().compile_model(self._graph, "CPU", self._config)
            except RuntimeError as error:
                raise ModelError(
                    f"{self._path}: OpenVINO cannot compile the graph: {one_line(str(error))[-300:]}"
                ) from None
            self._requests[key] = compiled.create_infer_request()
        return self._requests[key]


def int8_gain(clock: Callable[[], float] = time.perf_counter) -> float:
    """How many times as fast OpenVINO computes a stack of 3x3 convolutions of 64 channels here in int8 as in f32."""
    import openvino as ov
    from openvino import opset13

    op, width, tile = cast(Any, opset13), 64, (1, 64, 96, 256)
    kernel = np.random.default_rng(0).uniform(-0.002, 0.002, (width, width, 3, 3)).astype(np.float32)
    levels = {end: op.constant(np.full((1, 1, 1, 1), end, np.float32)) for end in (0.0, 4.0, -0.002, 0.002)}

    def quantised(node: Any, low: float, high: float, count: int) -> Any:
        return op.fake_quantize(node, levels[low], levels[high], levels[low], levels[high], count)

    def stack(in_int8: bool) -> Any:
        node = given = op.parameter(list(tile), np.float32)
        for _ in range(4):
            weights = op.constant(kernel)
            if in_int8:
                node, weights = quantised(node, 0.0, 4.0, 256), quantised(weights, -0.002, 0.002, 255)
            node = op.relu(op.convolution(node, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
        config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        graph = cast(Any, ov).Model([node], [given])
        return openvino_core().compile_model(graph, "CPU", config).create_infer_request()

    requests = {"f32": stack(False), "int8": stack(True)}
    fed = np.random.default_rng(1).uniform(0.0, 2.0, tile).astype(np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in requests}
    for _ in range(6):
        for name, request in requests.items():
            began = clock()
            request.infer([fed])
            seconds[name].append(clock() - began)
    f32, int8 = (min(seconds[name][1:]) for name in ("f32", "int8"))  # the first run warms up
    return f32 / int8 if int8 > 0.0 else 1.0


def _openvino_channels(ports: Any) -> dict[str, int | None]:
    return {
        next(iter(port.get_names()), ""): port.partial_shape[1].get_length()
        if port.partial_shape[1].is_static
        else None
        for port in ports
        if port.partial_shape.rank.is_static and port.partial_shape.rank.get_length() > 1
    }


class OnnxRuntimeSession:
    """ONNX Runtime's CPU provider, the reference; :mod:`deepupscale.gpu_session` has its other providers."""

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
        try:
            self._session: Any = runtime.InferenceSession(model.data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own exception classes are not public
            raise ModelError(f"{model.path}: ONNX Runtime cannot use the graph: {one_line(str(error))[:300]}") from None
        check_tensors(
            model, onnxruntime_channels(self._session.get_inputs()), onnxruntime_channels(self._session.get_outputs())
        )
        self._outputs = [output.name for output in model.promise.outputs]

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        try:
            results = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # the runtime's own exception classes are not public
            raise InferenceError(f"ONNX Runtime failed: {one_line(str(error))[:300]}") from None
        return dict(zip(self._outputs, results, strict=True))


def onnxruntime_channels(ports: Any) -> dict[str, int | None]:
    """Name to channel count of ONNX Runtime's inputs or outputs; None where it is dynamic."""
    return {
        port.name: port.shape[1] if isinstance(port.shape[1], int) else None for port in ports if len(port.shape) > 1
    }
