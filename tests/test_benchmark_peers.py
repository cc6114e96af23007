"""The benchmarks beside others and on GPUs: what they count, cut and print; their figures are for people."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepupscale import load_model

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
from fake_onnxruntime import FakeGpu  # noqa: E402

from benchmarks import gpu as gpu_benchmark  # noqa: E402 (which need them)
from benchmarks import peers  # noqa: E402
from benchmarks.networks import multiply_adds  # noqa: E402
from benchmarks.rounds import Contestant, Outcome  # noqa: E402


def test_tiles_of_the_others_cover_the_picture_with_their_overlap() -> None:
    picture = np.random.default_rng(0).random((1, 3, 50, 70), np.float32)
    tiles = list(peers.overlapping(picture, 32, 4))
    assert [tile.shape[2:] for tile in tiles] == [(36, 36), (36, 40), (36, 10), (22, 36), (22, 40), (22, 10)]
    np.testing.assert_array_equal(tiles[1], picture[:, :, :36, 28:68])


def test_operations_of_both_counts_agree() -> None:
    from benchmarks.networks import torch_network

    model = load_model()
    ours = 2.0 * multiply_adds(model, (1, 3, 64, 64)) / 64**2
    assert peers.flop_per_pixel(torch_network(model)) == pytest.approx(ours, rel=1e-6)
    assert peers._parameters(model) == sum(each.numel() for each in torch_network(model).parameters())


def test_peers_are_compared_round_by_round(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def small(name: str) -> Any:
        if name == "SPAN":
            raise ImportError("No module named 'spandrel'")
        return torch.nn.Sequential(torch.nn.Conv2d(3, 12, 3, padding=1), torch.nn.PixelShuffle(2))

    monkeypatch.setattr(peers, "peer", small)
    peers.main(["--side", "40", "--tile", "32", "--rounds", "2", "--threads", "1", "--json"])
    said = capsys.readouterr()
    rows = {(row["network"], row["runs_in"]): row for row in json.loads(said.out)["rows"]}
    compact = rows["Compact", "PyTorch f32"]
    assert compact["parameters"] == 3 * 12 * 9 + 12
    assert compact["mflop_per_pixel"] == pytest.approx(2 * 3 * 12 * 9 / 1e6)
    assert compact["mflop_per_pixel_with_overlap"] > compact["mflop_per_pixel"]
    assert next(iter(rows.values()))["ratio"] == 1.0
    assert next(iter(rows.values()))["network"] == "ours"
    assert "skipped: SPAN: No module named 'spandrel': pip install 'deepupscale[peers]'" in said.err


def test_without_a_device_the_gpu_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_benchmark, "cuda_devices", lambda: 0)
    with pytest.raises(SystemExit) as ended:
        gpu_benchmark.main([])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "no device cuda:0" in said.err


def test_the_gpu_benchmark_runs_on_a_stand_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_model: Path
) -> None:
    gpu = FakeGpu()
    gpu.failing["TensorrtExecutionProvider"] = "Please install TensorRT libraries"
    monkeypatch.setitem(sys.modules, "onnxruntime", gpu)
    monkeypatch.setattr(gpu_benchmark, "cuda_devices", lambda: 1)
    monkeypatch.setattr("deepupscale.session.cuda_devices", lambda: 1)
    gpu_benchmark.main([str(tiny_model), "--size", "160x150", "--rounds", "2", "--frames", "2", "--json"])
    found = json.loads(capsys.readouterr().out)
    names = [row["name"] for row in found["rows"]]
    assert names == [f"ONNX Runtime f32, {way}" for way in gpu_benchmark._WAYS]
    assert found["rows"][0]["ratio"] == 1.0
    assert "CUDA graph" in found["rows"][0]["note"]
    assert found["rows"][1]["note"].startswith("differs by 0e+00")
    skipped = {each["name"]: each["reason"] for each in found["skipped"]}
    assert "is no residual network" in skipped["PyTorch eager f16, contiguous"]
    assert "TensorRT f32" in skipped
    assert "matrix product" in skipped
    assert set(found["frames_a_second"]["tiny.onnx"]) == {"engine", "decode", "encode"}


def test_a_share_of_the_product_is_of_the_same_precision_and_round() -> None:
    def timed(name: str, precision: str, flop: float, seconds: tuple[float, ...]) -> Contestant:
        made = Contestant("", name, lambda: None, precision=precision, flop=flop)
        return replace(made, outcomes=[Outcome(each) for each in seconds])

    products = [timed("f16", "f16", 100.0, (1.0, 2.0)), timed("f32", "f32", 100.0, (4.0, 4.0))]
    networks = [timed("half", "f16", 50.0, (1.0, 2.0)), timed("full", "f32", 50.0, (2.0, 4.0))]
    rows = gpu_benchmark.rows_of([*products, *networks], products)
    assert [row.get("of_matmul") for row in rows] == [1.0, 1.0, 0.5, pytest.approx(0.75)]
    assert [row["ratio"] for row in rows[2:]] == [1.0, 2.0]
    assert len(gpu_benchmark.markdown(rows)) == 6
