"""Providers: ONNX Runtime's execution providers for a choice, their options, and what their errors mean.

Names and meanings of the options are those of ONNX Runtime's CUDA and TensorRT provider documentation.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deepupscale.session import Choice

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
Options = list[tuple[str, dict[str, Any]]]

_OUT_OF_MEMORY = (
    "failed to allocate memory",  # ONNX Runtime's arena, when the device gives no more
    "smaller than requested bytes",  # the same under a memory limit
    "out of memory",  # CUDA error 2, and TensorRT's wording
    "outofmemory",
    "_alloc_failed",  # cuDNN and cuBLAS
    "memoryallocation",  # cudaErrorMemoryAllocation
)


@dataclass(frozen=True)
class GpuSettings:
    """How a GPU is driven; every one of them changes the speed, none the result beyond rounding.

    Attributes:
        search: How cuDNN picks an algorithm for each convolution. ``HEURISTIC`` always picks the same one on the same
            machine; ``EXHAUSTIVE`` times them all, so that two runs may differ in their rounding.
        graphs: Record the launches of a tile once as a CUDA graph and replay them.
        channels_last: Let the provider lay tensors out with channels last.
        slots: Tiles in flight: while one is computed, the next is copied in and the last one out.
    """

    search: Literal["HEURISTIC", "EXHAUSTIVE"] = "HEURISTIC"
    graphs: bool = True
    channels_last: bool = False
    slots: int = 2


def provider_options(choice: Choice, settings: GpuSettings, graphs: bool, cache: Path | None) -> Options:
    """The providers for a choice, the wanted one first, with their options.

    Args:
        choice: What to run on.
        settings: How.
        graphs: Whether a CUDA graph is to be recorded; the session must then be of a fixed shape.
        cache: Where TensorRT keeps what it built for this model, shape and precision; None for nowhere.
    """
    if choice.device == "cpu":
        return [(CPU, {})]
    index = device_index(choice)
    cuda: dict[str, Any] = {
        "device_id": index,
        "cudnn_conv_algo_search": settings.search,
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": 0,  # TF32 keeps 10 bits of a product's factors
    }
    if graphs:
        cuda["enable_cuda_graph"] = 1
    if settings.channels_last:
        cuda["prefer_nhwc"] = 1
    if choice.runtime != "tensorrt":
        return [(CUDA, cuda)]
    tensorrt: dict[str, Any] = {"device_id": index, "trt_fp16_enable": choice.precision == "f16"}
    if cache is not None:
        tensorrt |= {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": str(cache),
        }
    if choice.precision == "f32":
        # TensorRT takes TF32 for float32 unless it is forbidden (NVIDIA's variable for all of its libraries)
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    return [(TENSORRT, tensorrt), (CUDA, cuda)]


def device_index(choice: Choice) -> int:
    """The number in ``cuda:N``; 0 for the CPU."""
    return int(choice.device.partition(":")[2] or 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a runtime's error says that the device has no memory left. Its exception classes do not tell."""
    said = str(error).lower()
    return any(words in said for words in _OUT_OF_MEMORY)
