"""A strict stand-in for ``onnxruntime`` with a GPU: the few names that the engine uses, and CUDA's rules.

It computes with the real CPU provider, one input to one output. Unknown names, options and shapes raise. Device
memory is a number of pixels. A CUDA graph replays the buffers it was recorded with, whatever is bound later, is
recorded on a thread's third run, and is spoiled by any other thread that touches the device meanwhile.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as real

OUT_OF_MEMORY = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:'c0' "
    "Status Message: core/framework/bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested "
    "buffer of size 285081600"
)
GRAPH_REFUSED = (
    "[ONNXRuntimeError] : 1 : FAIL : This session cannot use the graph capture feature as requested by the user as "
    "all compute graph nodes have not been partitioned to the CUDAExecutionProvider"
)
CAPTURING = "CUDA failure 900: operation not permitted when stream is capturing"
CUDA_OPTIONS = {
    "device_id",
    "arena_extend_strategy",
    "cudnn_conv_algo_search",
    "use_tf32",
    "enable_cuda_graph",
    "prefer_nhwc",
}
TENSORRT_OPTIONS = {
    "device_id",
    "trt_fp16_enable",
    "trt_engine_cache_enable",
    "trt_engine_cache_path",
    "trt_timing_cache_enable",
    "trt_timing_cache_path",
}


class RuntimeException(Exception):  # noqa: N818 - its name there; it is no RuntimeError
    """As ONNX Runtime raises it."""


class FakeGpu(ModuleType):
    """The module.

    Attributes:
        memory: Pixels of a tile that the device has memory for.
        missing: Providers that do not start, and are left out silently.
        failing: Provider to what its start raises.
        refuses: Where graphs fail: ``load``, ``record``, ``replay`` (it is stale), or nowhere.
        opened: Providers with options of every session opened, in order.
        alive: Sessions that are.
        recorded: Threads that recorded a graph.
        allocated: Device buffers ever made.
        tiles: Shapes of the inputs of all runs.
    """

    def __init__(self, memory: int = 1 << 40) -> None:
        super().__init__("onnxruntime")
        self.memory, self.refuses = memory, ""
        self.missing: set[str] = set()
        self.failing: dict[str, str] = {}
        self.opened: list[dict[str, dict[str, str]]] = []
        self.alive: weakref.WeakSet[Any] = weakref.WeakSet()
        self.most_alive = 0
        self.recorded: list[int] = []
        self.allocated = 0
        self.tiles: list[tuple[int, ...]] = []
        self.recording: int | None = None
        self.spoiled = False
        gpu = self
        self.__version__ = "9.9.9"

        class OrtValue(_Value):
            """Device buffers."""

            _gpu = gpu

        class InferenceSession(_Session):
            """Sessions."""

            _gpu = gpu

        self.OrtValue, self.InferenceSession = OrtValue, InferenceSession
        self.SessionOptions, self.RunOptions = _SessionOptions, _RunOptions

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    def touch(self) -> None:
        """What CUDA does when a thread uses the device."""
        if self.recording not in (None, threading.get_ident()):
            self.spoiled = True
            raise RuntimeException(CAPTURING)


class _SessionOptions:
    __slots__ = ("fixed", "intra_op_num_threads", "log_severity_level")

    def __init__(self) -> None:
        self.fixed: dict[str, int] = {}
        self.log_severity_level, self.intra_op_num_threads = 2, 0

    def add_free_dimension_override_by_name(self, name: str, size: int) -> None:
        assert name not in self.fixed
        self.fixed[name] = size


class _RunOptions:
    __slots__ = ("graph",)

    def __init__(self) -> None:
        self.graph = "0"

    def add_run_config_entry(self, key: str, value: str) -> None:
        assert key == "gpu_graph_id"
        self.graph = value


_ADDRESSES = itertools.count(0x7F0000000000, 1 << 20)


class _Value:
    _gpu: FakeGpu

    def __init__(self, data: np.ndarray, device: tuple[str, int]) -> None:
        self._data, self.device, self.address = data, device, next(_ADDRESSES)

    @classmethod
    def ortvalue_from_shape_and_type(
        cls, shape: Sequence[int], element_type: Any, device_type: str = "cpu", device_id: int = 0
    ) -> _Value:
        assert device_type in ("cpu", "cuda"), f"Unsupported device type: {device_type}"
        cls._gpu.touch()
        cls._gpu.allocated += device_type == "cuda"
        return cls(np.full(shape, np.nan, element_type), (device_type, device_id))

    def update_inplace(self, data: np.ndarray) -> None:
        self._gpu.touch()
        if data.shape != self._data.shape or data.dtype != self._data.dtype:
            raise RuntimeError("The input size of numpy arrays does not match the size of the OrtValue.")
        self._data[...] = data

    def numpy(self) -> np.ndarray:
        self._gpu.touch()
        return self._data.copy() if self.device[0] == "cuda" else self._data

    def shape(self) -> list[int]:
        return list(self._data.shape)


class _Binding:
    def __init__(self, session: _Session) -> None:
        self.session, self.bound = session, dict[str, _Value]()

    def _bind(self, ports: Sequence[Any], name: str, value: _Value) -> None:
        port = next((port for port in ports if port.name == name), None)
        if port is None:
            raise RuntimeError(f"Failed to find input name in the mapping: {name}")
        for said, found in zip(port.shape, value.shape(), strict=True):
            assert not isinstance(said, int) or said == found, f"{name}: got {found} expected {said}"
        self.bound[name] = value

    def bind_ortvalue_input(self, name: str, value: _Value) -> None:
        self._bind(self.session.get_inputs(), name, value)

    def bind_ortvalue_output(self, name: str, value: _Value) -> None:
        self._bind(self.session.get_outputs(), name, value)

    def synchronize_inputs(self) -> None:
        self.session._gpu.touch()

    synchronize_outputs = synchronize_inputs


class _Session:
    _gpu: FakeGpu

    def __init__(
        self,
        data: bytes,
        options: _SessionOptions | None = None,
        providers: Sequence[Any] = (),
        enable_fallback: int = 1,
    ) -> None:
        gpu = self._gpu
        gpu.touch()
        wanted = {p: {} for p in providers if isinstance(p, str)}
        wanted |= {p[0]: {str(k): str(v) for k, v in p[1].items()} for p in providers if not isinstance(p, str)}
        for name, given in wanted.items():
            known = {"CUDAExecutionProvider": CUDA_OPTIONS, "TensorrtExecutionProvider": TENSORRT_OPTIONS}
            if unknown := set(given) - known.get(name, set()):
                raise ValueError(f"Unknown provider option: {sorted(unknown)[0]}")
            if name in gpu.failing:
                if enable_fallback:
                    print("*************** EP Error ***************")
                raise RuntimeError(gpu.failing[name])
        gpu.opened.append(wanted)
        self._graphs = wanted.get("CUDAExecutionProvider", {}).get("enable_cuda_graph") == "1"
        if self._graphs and gpu.refuses == "load":
            raise RuntimeException(GRAPH_REFUSED)
        inner = real.SessionOptions()
        inner.intra_op_num_threads, inner.log_severity_level = 1, 3
        for name, size in (options.fixed if options else {}).items():
            inner.add_free_dimension_override_by_name(name, size)
        self._real = real.InferenceSession(data, inner, providers=["CPUExecutionProvider"])
        self._providers = [name for name in wanted if name not in gpu.missing]
        self._threads: dict[int, _ThreadState] = {}
        gpu.alive.add(self)
        gpu.most_alive = max(gpu.most_alive, len(gpu.alive))

    def get_providers(self) -> list[str]:
        return self._providers

    def get_inputs(self) -> Sequence[Any]:
        return self._real.get_inputs()

    def get_outputs(self) -> Sequence[Any]:
        return self._real.get_outputs()

    def io_binding(self) -> _Binding:
        return _Binding(self)

    def run_with_iobinding(self, binding: _Binding, options: _RunOptions | None = None) -> None:
        gpu = self._gpu
        assert binding.session is self
        gpu.touch()
        if not self._graphs or (options is not None and options.graph == "-1"):
            self._compute(binding.bound)
            return
        state = self._threads.setdefault(threading.get_ident(), _ThreadState())
        if state.recorded is not None:
            if gpu.refuses != "replay":
                self._compute(state.recorded)
            return
        state.runs += 1
        if state.runs < 3:
            self._compute(binding.bound)
            return
        if gpu.refuses == "record":
            raise RuntimeException(CAPTURING)
        gpu.recording, gpu.spoiled = threading.get_ident(), False
        try:
            time.sleep(0.02)
            self._compute(binding.bound)
        finally:
            gpu.recording = None
        if gpu.spoiled:
            raise RuntimeException("CUDA failure 901: operation failed due to a previous error during capture")
        gpu.recorded.append(threading.get_ident())
        state.recorded = dict(binding.bound)

    def _compute(self, bound: Mapping[str, _Value]) -> None:
        name, out = self.get_inputs()[0].name, self.get_outputs()[0].name
        fed = bound[name]._data
        self._gpu.tiles.append(fed.shape)
        if fed.shape[2] * fed.shape[3] > self._gpu.memory:
            raise RuntimeException(OUT_OF_MEMORY)
        bound[out]._data[...] = self._real.run([out], {name: fed})[0]


class _ThreadState:
    def __init__(self) -> None:
        self.runs = 0
        self.recorded: dict[str, _Value] | None = None
