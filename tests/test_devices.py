"""Devices: counted by the driver, named by index, picked with a reason."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deepupscale import devices, load_model, open_session, session
from deepupscale.errors import RuntimeUnavailableError
from deepupscale.session import choose


def pretend(monkeypatch: pytest.MonkeyPatch, count: int, error: int = 0) -> None:
    """A machine whose ONNX Runtime has CUDA and whose driver counts ``count`` devices, or fails."""

    def device_count(place: Any) -> int:
        place._obj.value = count
        return error

    runtime = SimpleNamespace(get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    driver = SimpleNamespace(cuInit=lambda flags: 0, cuDeviceGetCount=device_count)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)


def test_no_device_is_seen_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(name)

    pretend(monkeypatch, 1)
    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert devices.cuda_devices() == 0


def test_no_device_is_seen_when_the_driver_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 1, error=999)
    assert devices.cuda_devices() == 0


def test_auto_takes_a_cuda_device_and_says_so(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    pretend(monkeypatch, 2)
    choice = choose(load_model(tiny_model))
    assert (choice.runtime, choice.device, choice.precision) == ("onnxruntime", "cuda:0", "f32")
    assert "CUDA device 0" in choice.reason
    assert choose(load_model(tiny_model), "cuda:1").device == "cuda:1"
    assert choose(load_model(tiny_model), "cpu").device == "cpu"


@pytest.mark.parametrize("device", ["cuda:2", "cuda:99"])
def test_a_device_beyond_those_counted_is_refused(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, device: str
) -> None:
    pretend(monkeypatch, 2)
    with pytest.raises(RuntimeUnavailableError, match="CUDA devices seen: 2"):
        choose(load_model(tiny_model), device)


@pytest.mark.parametrize("runtime", ["onnxruntime", "tensorrt"])
def test_a_provider_that_does_not_start_is_no_silent_cpu(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, runtime: str
) -> None:
    if "CUDAExecutionProvider" in pytest.importorskip("onnxruntime").get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    monkeypatch.setattr(session, "cuda_devices", lambda: 1)
    with pytest.raises(RuntimeUnavailableError, match="could not start"):
        open_session(load_model(tiny_model), "cuda:0", "f32", runtime)
