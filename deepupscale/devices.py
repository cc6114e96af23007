"""Devices: what this machine can compute on, and in which precisions."""

from __future__ import annotations

import ctypes
import logging
import os
from pathlib import Path
from typing import Any, Literal, cast

from deepupscale.errors import RuntimeUnavailableError
from deepupscale.openvino_core import openvino_core

log = logging.getLogger(__name__)

Precision = Literal["f32", "bf16", "f16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("f32", "bf16", "f16", "int8")


def cpu_precisions() -> tuple[Precision, ...]:
    """Precisions that OpenVINO computes natively on this CPU; int8 only in graphs that are quantised to it."""
    able = cast(list[str], openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    names: dict[str, Precision] = {"FP32": "f32", "BF16": "bf16", "FP16": "f16", "INT8": "int8"}
    return tuple(precision for name, precision in names.items() if name in able)


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
    built_in = "CUDAExecutionProvider" in cast(Any, ort).get_available_providers()
    return _driver_devices() if built_in else 0


def _driver_devices() -> int:
    """Devices that the CUDA driver counts (CUDA driver API: cuInit, cuDeviceGetCount); 0 without a driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if failed:
        log.warning("the CUDA driver is here but does not start (error %d)", failed)
    return 0 if failed else count.value


def cuda_index(device: str) -> int | None:
    if device in ("auto", "cpu"):
        return None
    head, _, tail = device.partition(":")
    if head == "cuda" and (tail == "" or (tail.isascii() and tail.isdigit() and len(tail) < 4)):
        return int(tail or 0)
    raise RuntimeUnavailableError(f"unknown device {device!r}: use auto, cpu or cuda:N")
