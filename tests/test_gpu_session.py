"""The session on GPUs, on a stand-in for the device and, where the path is the same, on the real CPU provider."""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepupscale import gpu_session, load_model
from deepupscale.cache_folder import ENVIRONMENT, cache_folder
from deepupscale.errors import InferenceError, ModelError, RuntimeUnavailableError
from deepupscale.gpu_session import GpuSession
from deepupscale.model_file import ModelFile
from deepupscale.pieces import Cutter
from deepupscale.providers import GpuSettings, is_out_of_memory, provider_options
from deepupscale.session import Choice, Tensor, open_session
from deepupscale.upscaler import Upscaler

pytest.importorskip("onnxruntime")
from fake_onnxruntime import CAPTURING, OUT_OF_MEMORY, FakeGpu

CPU, GPU = Choice("onnxruntime", "cpu", "f32", "a test"), Choice("onnxruntime", "cuda:0", "f32", "a test")
TENSORRT = Choice("tensorrt", "cuda:0", "f32", "a test")
HALO = 3
LEAST = 48  # the shortest side of a tile at this halo


@pytest.fixture
def model(tiny_model: Path) -> ModelFile:
    return load_model(tiny_model)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    found = FakeGpu()
    monkeypatch.setitem(sys.modules, "onnxruntime", found)
    return found


@pytest.fixture(scope="module")
def reference(tiny_model: Path) -> Callable[[Tensor], Tensor]:
    """ONNX Runtime's CPU provider on the whole tensor."""
    session = open_session(load_model(tiny_model), "cpu", "f32", "onnxruntime")
    return lambda tensor: session.run({"plate": tensor})["residual"]


def tensor(height: int, width: int, seed: int = 0) -> Tensor:
    return np.random.default_rng([seed, height, width]).random((1, 3, height, width), np.float32)


def inside(result: Tensor) -> Tensor:
    """What has its halo around it."""
    return result[..., 2 * HALO : -2 * HALO, 2 * HALO : -2 * HALO]


def run(session: GpuSession, given: Tensor) -> Tensor:
    return session.run({"plate": given})["residual"]


@pytest.mark.parametrize(("height", "width"), [(7, 9), (48, 48), (49, 48), (61, 50), (40, 200), (131, 97)])
@pytest.mark.parametrize("most", [1, LEAST * 64, 1 << 21])
def test_any_cut_and_any_filling_equals_the_whole(
    model: ModelFile,
    reference: Callable[[Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
    height: int,
    width: int,
    most: int,
) -> None:
    monkeypatch.setattr(gpu_session, "_MOST_PIXELS", most)
    session = GpuSession(model, CPU, 1)
    given = tensor(height, width)
    done = run(session, given)
    assert done.shape == (1, 3, 2 * height, 2 * width)
    np.testing.assert_allclose(inside(done), inside(reference(given)), atol=1e-6)
    assert session.tile_shape is not None
    if height >= session.tile_shape.height and width >= session.tile_shape.width:
        np.testing.assert_allclose(done, reference(given), atol=1e-6)  # nothing was filled up


def test_a_tile_is_filled_up_by_repeating_the_border(model: ModelFile, reference: Callable[[Tensor], Tensor]) -> None:
    given = tensor(30, 41)
    filled = np.pad(given, ((0, 0), (0, 0), (0, LEAST - 30), (0, LEAST - 41)), mode="edge")
    done = run(GpuSession(model, CPU, 1), given)
    np.testing.assert_allclose(done, reference(filled)[..., :60, :82], atol=1e-6)


def test_the_engine_sees_no_difference(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_session, "_MOST_PIXELS", 1)
    plane = np.exp(np.random.default_rng(3).normal(size=(150, 90, 3))).astype(np.float32)
    ours = Upscaler(model, GpuSession(model, CPU, 1)).double_colour(plane)
    theirs = Upscaler(model, open_session(model, "cpu", "f32", "onnxruntime")).double_colour(plane)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_results_are_the_callers_own(model: ModelFile) -> None:
    session = GpuSession(model, CPU, 1)
    first = run(session, tensor(48, 48))
    kept = first.copy()
    run(session, tensor(48, 48, seed=1))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("choice", [CPU, GPU])
def test_several_threads_may_run_it_at_once(
    model: ModelFile, reference: Callable[[Tensor], Tensor], gpu: FakeGpu, choice: Choice
) -> None:
    gpu.memory = 80 * 80
    session = GpuSession(model, choice, 1, GpuSettings(slots=3))
    given = [tensor(60 + 13 * (i % 4), 140 - 9 * i, i) for i in range(10)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda each: run(session, each), given))
    for ours, each in zip(done, given, strict=True):
        np.testing.assert_allclose(inside(ours), inside(reference(each)), atol=1e-6)


def test_tiles_of_about_one_size_share_a_shape_and_its_buffers(model: ModelFile, gpu: FakeGpu) -> None:
    session = GpuSession(model, GPU, 0)
    for height, width in ((150, 100), (149, 99), (30, 100), (150, 97), (16, 16)):
        run(session, tensor(height, width))
    assert session.tile_shape is not None
    assert (session.tile_shape.height, session.tile_shape.width) == (160, 112)
    assert {shape[2:] for shape in gpu.tiles} == {(160, 112)}
    assert len(gpu.opened) == 2  # one to look at the graph, one for the shape
    assert gpu.allocated == 2  # one input, one output: a caller that waits needs one slot


def test_a_larger_tensor_gets_a_shape_of_its_own_and_the_old_one_goes_first(model: ModelFile, gpu: FakeGpu) -> None:
    session = GpuSession(model, GPU, 0)
    run(session, tensor(50, 50))
    run(session, tensor(200, 200))
    assert session.tile_shape is not None
    assert session.tile_shape.height == 208
    assert gpu.most_alive == 1


def test_a_shape_that_is_mostly_filling_is_given_up(model: ModelFile, gpu: FakeGpu) -> None:
    session = GpuSession(model, GPU, 0)
    run(session, tensor(200, 200))
    for _ in range(80):
        run(session, tensor(20, 20))
    assert session.tile_shape is not None
    assert session.tile_shape.height == LEAST


def test_want_of_memory_halves_the_tile_never_the_result(
    model: ModelFile, reference: Callable[[Tensor], Tensor], gpu: FakeGpu, caplog: pytest.LogCaptureFixture
) -> None:
    gpu.memory = 70 * 100
    session = GpuSession(model, GPU, 0)
    for seed in range(2):
        given = tensor(150, 210, seed)
        np.testing.assert_allclose(inside(run(session, given)), inside(reference(given)), atol=1e-6)
    assert session.tile_shape is not None
    assert LEAST**2 < session.tile_shape.pixels <= gpu.memory
    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert said == ["cuda:0: out of memory on tiles of 224x160 pixels: going on with smaller ones"]
    assert gpu.most_alive == 1  # the arena of the one that failed is given back first


def test_want_of_memory_for_the_smallest_tile_is_one_clear_error(model: ModelFile, gpu: FakeGpu) -> None:
    gpu.memory = 100
    session = GpuSession(model, GPU, 0)
    with pytest.raises(InferenceError, match=f"out of memory even on tiles of {LEAST}x{LEAST}.*--device cpu"):
        run(session, tensor(150, 210))
    gpu.memory = 1 << 40
    assert run(session, tensor(50, 50)).shape == (1, 3, 100, 100)


@pytest.mark.parametrize(
    "message",
    [
        OUT_OF_MEMORY,
        "AllocateRawInternal Available memory of 34699008 is smaller than requested bytes of 945041920",
        "CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);",
        "CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
        "TensorRT EP execution context enqueue failed: Cuda Error in allocate: 2 (out of memory)",
    ],
)
def test_every_runtimes_word_for_want_of_memory_is_known(message: str) -> None:
    assert is_out_of_memory(Exception(message))


@pytest.mark.parametrize("message", [CAPTURING, "CUDA failure 700: an illegal memory access was encountered", "memory"])
def test_other_failures_are_not_taken_for_it(message: str) -> None:
    assert not is_out_of_memory(Exception(message))


def test_another_failure_is_an_error_and_no_smaller_tile(
    model: ModelFile, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = GpuSession(model, GPU, 0, GpuSettings(graphs=False))

    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")

    monkeypatch.setattr(gpu.InferenceSession, "_compute", fail)
    with pytest.raises(InferenceError, match="CUDA failure 700"):
        run(session, tensor(150, 150))
    assert session.tile_shape is not None
    assert session.tile_shape.height == 160


def test_a_graph_is_recorded_once_a_slot_and_replayed(
    model: ModelFile, reference: Callable[[Tensor], Tensor], gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_session, "_MOST_PIXELS", 60 * 60)
    session = GpuSession(model, GPU, 0, GpuSettings(slots=2))
    for seed in range(3):
        given = tensor(150, 150, seed)
        np.testing.assert_allclose(inside(run(session, given)), inside(reference(given)), atol=1e-6)
    assert session.replays
    assert gpu.opened[-1]["CUDAExecutionProvider"]["enable_cuda_graph"] == "1"
    assert len(set(gpu.recorded)) == len(gpu.recorded) == 2
    assert gpu.allocated == 4


def test_recording_is_not_spoiled_by_another_session(model: ModelFile, gpu: FakeGpu) -> None:
    sessions = [GpuSession(model, GPU, 0, GpuSettings(slots=2)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            list(pool.map(lambda session: run(session, tensor(300, 60)), sessions))
    assert all(session.replays for session in sessions)


@pytest.mark.parametrize("where", ["load", "record", "replay"])
def test_a_graph_that_is_refused_or_wrong_is_done_without(
    model: ModelFile,
    reference: Callable[[Tensor], Tensor],
    gpu: FakeGpu,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    gpu.refuses = where
    session = GpuSession(model, GPU, 0)
    with caplog.at_level(logging.INFO):
        for seed in range(2):
            given = tensor(60, 60, seed)
            np.testing.assert_allclose(inside(run(session, given)), inside(reference(given)), atol=1e-6)
    assert not session.replays
    assert "enable_cuda_graph" not in gpu.opened[-1]["CUDAExecutionProvider"]
    assert sum("no CUDA graph" in each.getMessage() for each in caplog.records) == 1


def test_closing_gives_the_memory_back(model: ModelFile, gpu: FakeGpu) -> None:
    session = GpuSession(model, GPU, 0)
    before = set(threading.enumerate())
    run(session, tensor(60, 60))
    session.close()
    assert not gpu.alive
    assert set(threading.enumerate()) <= before
    assert run(session, tensor(60, 60)).shape == (1, 3, 120, 120)


@pytest.mark.parametrize("choice", [GPU, TENSORRT])
@pytest.mark.parametrize("how", ["missing", "failing"])
def test_a_provider_that_does_not_start_is_no_silent_cpu(
    model: ModelFile, gpu: FakeGpu, capsys: pytest.CaptureFixture[str], choice: Choice, how: str
) -> None:
    name = "TensorrtExecutionProvider" if choice is TENSORRT else "CUDAExecutionProvider"
    if how == "missing":
        gpu.missing.add(name)
    else:
        gpu.failing[name] = "Please install TensorRT libraries"
    with pytest.raises(RuntimeUnavailableError, match=f"cuda:0: ONNX Runtime could not start {name}.*--device cpu"):
        GpuSession(model, choice, 0)
    assert capsys.readouterr().out == ""  # which may be a host's pipe


def test_a_broken_graph_is_the_models_error(model: ModelFile, gpu: FakeGpu) -> None:
    broken = ModelFile(model.path, model.promise, b"no graph", model.digest)
    with pytest.raises(ModelError, match="cannot use the graph"):
        GpuSession(broken, GPU, 0)


def test_a_graph_with_tensors_of_halves_is_refused(model: ModelFile, gpu: FakeGpu) -> None:
    import onnx
    from onnx import TensorProto

    graph = onnx.load_from_string(model.data)
    graph.graph.node.add(op_type="Cast", input=["residual"], output=["half"]).attribute.add(
        name="to", type=onnx.AttributeProto.INT, i=TensorProto.FLOAT16
    )
    graph.graph.node[-2].output[0] = graph.graph.node[-1].input[0] = "wide"
    graph.graph.node[-1].output[0] = "residual"
    graph.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    halves = ModelFile(model.path, model.promise, graph.SerializeToString(), model.digest)
    with pytest.raises(ModelError, match=r"residual is a tensor\(float16\)"):
        GpuSession(halves, GPU, 0)


def test_products_of_float32_stay_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    ((name, cuda),) = provider_options(GPU, GpuSettings(), False, None)
    assert name == "CUDAExecutionProvider"
    assert cuda["use_tf32"] == 0
    provider_options(TENSORRT, GpuSettings(), False, None)
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"  # TensorRT has no option for it
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")


def test_settings_become_the_providers_options(model: ModelFile, gpu: FakeGpu) -> None:
    settings = GpuSettings(search="EXHAUSTIVE", channels_last=True, graphs=False)
    run(GpuSession(model, Choice("onnxruntime", "cuda:3", "f32", ""), 2, settings), tensor(50, 50))
    assert gpu.opened[-1]["CUDAExecutionProvider"] == {
        "device_id": "3",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",
        "prefer_nhwc": "1",
    }


def test_tensorrt_keeps_its_engines_apart_and_for_the_user_alone(
    model: ModelFile, gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))
    folders = set[str]()
    other = ModelFile(model.path, model.promise, model.data, "f" * 64)
    for file, size in ((model, 50), (model, 100), (other, 50)):
        run(GpuSession(file, TENSORRT, 0), tensor(size, size))
        options = gpu.opened[-1]["TensorrtExecutionProvider"]
        assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "True"
        assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"]
        assert options["trt_fp16_enable"] == "False"
        assert "CUDAExecutionProvider" in gpu.opened[-1]  # for what TensorRT cannot do
        folders.add(options["trt_engine_cache_path"])
    assert len(folders) == 3
    assert all(Path(each).is_relative_to(tmp_path / "cache" / "tensorrt") for each in folders)
    assert all(stat.S_IMODE(Path(each).stat().st_mode) == 0o700 for each in folders)


@pytest.mark.parametrize("fault", ["open", "link", "file"])
def test_a_cache_that_others_can_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))
    assert cache_folder("tensorrt") == tmp_path / "cache" / "tensorrt"
    (tmp_path / "cache" / "tensorrt").rmdir()
    if fault == "open":
        (tmp_path / "cache").chmod(0o777)
    elif fault == "link":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "cache" / "tensorrt").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "cache" / "tensorrt").write_text("")
    assert cache_folder("tensorrt") is None
    assert len(caplog.records) == 1
    assert str(tmp_path / "cache") in caplog.text


@pytest.mark.parametrize("multiple", [1, 2, 3, 8])
@pytest.mark.parametrize("halo", [0, 3, 27])
def test_pieces_answer_for_every_pixel_once_and_carry_their_halo(multiple: int, halo: int) -> None:
    cutter = Cutter(halo, multiple)
    for length in range(multiple, 700, 7 * multiple):
        for most in (1, 1 << 14, 1 << 20):
            tile = cutter.shape(length, length, most).height
            at = 0
            for span in cutter.spans(length, tile):
                assert span.start % multiple == 0
                assert span.stop - span.start <= tile
                assert span.keep == at < span.end
                assert span.start == 0 or span.keep - span.start >= halo
                assert span.stop == length or span.stop - span.end >= halo
                at = span.end
            assert at == length
