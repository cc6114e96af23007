"""Export in f16: what is half and what is not, what a GPU would make of it, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("safetensors")
pytest.register_assert_rewrite("exports")

from exports import Graph, Plant, Refused, as_file, set_weight, write_checkpoint  # noqa: E402
from onnx import TensorProto, numpy_helper  # noqa: E402

from deepupscale import load_model, open_session, session  # noqa: E402
from deepupscale.cli.app import invoke  # noqa: E402
from deepupscale.errors import RuntimeUnavailableError  # noqa: E402
from deepupscale.range_compression import RangeCompression  # noqa: E402
from deepupscale.resample import pad  # noqa: E402
from deepupscale.session import choose  # noqa: E402
from deepupscale.upscaler import Upscaler  # noqa: E402
from export import exporter, verify  # noqa: E402
from export.exporter import Asked, export  # noqa: E402
from export.half import half_graph  # noqa: E402
from export.half_session import HalfSession  # noqa: E402
from export.made_plate import made_plate  # noqa: E402
from model.networks import Generator  # noqa: E402

pytest_plugins = ["exports"]  # fixtures

CURVE = RangeCompression()


@pytest.fixture(scope="module")
def half(graph: Graph, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("half") / "half.onnx"
    pictures = verify.made_pictures()[:3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "export_graph", lambda network: copy.deepcopy(graph))
        patch.setattr(verify, "made_pictures", lambda: pictures)
        export(Asked(checkpoint, out, precision="f16"))
    return out


def test_all_but_the_last_layer_is_half(half: Path, small: Generator) -> None:
    graph = onnx.load(half).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    wide = {name for name, kind in types.items() if kind == TensorProto.FLOAT}
    assert wide == {"tail.weight", "tail.bias"}
    assert set(types.values()) == {TensorProto.FLOAT, TensorProto.FLOAT16}
    for tensor in (*graph.input, *graph.output):
        assert tensor.type.tensor_type.elem_type == TensorProto.FLOAT
    trained = dict(small.named_parameters())
    for tensor in graph.initializer:
        wanted = trained[tensor.name].detach()
        np.testing.assert_array_equal(
            numpy_helper.to_array(tensor), (wanted if tensor.name in wide else wanted.half()).numpy()
        )
    operations = [node.op_type for node in graph.node]
    assert operations.count("Cast") == 2
    assert operations[0] == "Cast"


def test_the_promise_says_half_and_how_it_was_verified(half: Path, capsys: pytest.CaptureFixture[str]) -> None:
    promise = load_model(half).promise
    assert (promise.precision, promise.halo) == ("f16", 6)
    found = {(v.runtime, v.precision): v.max_error for v in promise.verified}
    assert set(found) == {
        *(("openvino-cpu", precision) for precision in session.float_precisions()),
        ("onnxruntime-cpu", "f32"),
        ("pytorch-cpu", "f16"),
    }
    assert 1e-5 < found["onnxruntime-cpu", "f32"] < found["pytorch-cpu", "f16"] < 1e-2  # only the last rounds sums
    assert invoke(["info", str(half)]) == 0
    assert "precision   f16 inside the graph\n" in capsys.readouterr().out


def test_the_same_checkpoint_gives_the_same_bytes(half: Path, checkpoint: Path, tmp_path: Path, quick: None) -> None:
    export(Asked(checkpoint, tmp_path / "again.onnx", precision="f16"))
    assert (tmp_path / "again.onnx").read_bytes() == half.read_bytes()


def test_half_arithmetic_is_that_of_pytorch(graph: Graph, small: Generator) -> None:
    """Its own half convolutions are slow on CPUs, but the same."""
    plate = np.random.default_rng(2).random((1, 3, 12, 9), np.float32)
    halves = copy.deepcopy(small).half()
    with torch.inference_mode():
        seen: list[Any] = []
        halves.tail.register_forward_pre_hook(lambda _, given: seen.append(given[0]) or None)  # pyright: ignore
        halves(torch.from_numpy(plate).half())
        truth = small.shuffle(small.tail(seen[0].float())).numpy()  # pyright: ignore
    ours = HalfSession(as_file(half_graph(graph, "a.onnx"), small)).run({"plate": plate})["residual"]
    whole = open_session(as_file(graph, small), "cpu", "f32", "onnxruntime").run({"plate": plate})["residual"]
    rounding = float(np.abs(whole - truth).max())
    assert rounding > 1e-5
    assert float(np.abs(ours - truth).max()) < 0.5 * rounding  # sums in another order round single values elsewhere


def test_a_slow_ramp_stays_smooth(half: Path) -> None:
    model = load_model(half)
    engine = Upscaler(model, HalfSession(model))
    ramp = verify.slow_ramp(engine.margin)
    ours, plain = engine.double_colour(ramp), engine.interpolate_colour(ramp)
    assert float(np.abs(CURVE.compress(ours) - CURVE.compress(plain)).max()) < 1e-5


def test_the_engine_runs_it_on_a_cpu(half: Path, small: Generator, tmp_path: Path) -> None:
    model = load_model(half)
    choice = choose(model, "cpu")
    assert (choice.runtime, choice.device) == ("openvino", "cpu")
    assert choice.precision in ("f32", "bf16", "f16")
    assert "f16" in session.float_precisions() or "an f16 graph gains nothing on CPUs" in choice.reason
    picture = pad(made_plate(30, 40), 9, 9, 9, 9)
    ours = Upscaler(model, open_session(model, "cpu", "f32")).double_colour(picture)
    truth = Upscaler(model, HalfSession(model)).double_colour(picture)
    assert float(np.abs(CURVE.compress(ours) - CURVE.compress(truth)).max()) < 1e-2


@pytest.mark.parametrize("runtime", ["auto", "onnxruntime", "tensorrt"])
def test_a_gpu_computes_it_in_half(half: Path, runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "cuda_devices", lambda: 1)
    model = load_model(half)
    for precision in ("auto", "f16"):
        choice = choose(model, "auto", precision, runtime)
        assert (choice.device, choice.precision) == ("cuda:0", "f16")
    with pytest.raises(RuntimeUnavailableError, match=r"f32 on cuda:0 .* use --precision f16"):
        choose(model, "cuda:0", "f32", runtime)


# ---- refusals


@pytest.mark.parametrize(
    ("factor", "says"), [(1e6, "head.weight holds .*, a half ends at 65504"), (1e-9, "head.weight .* too small for")]
)
def test_weights_that_a_half_cannot_hold_are_refused(
    factor: float, says: str, plant: Plant, refused: Refused, tmp_path: Path, checkpoint: Path
) -> None:
    import re

    plant(lambda graph: set_weight(graph, lambda weights: weights * np.float32(factor), "head.weight"))
    assert re.search(says, refused(checkpoint, tmp_path / "a.onnx", "--precision", "f16"))


def test_sums_that_overflow_are_seen_though_cpu_runtimes_hide_them(
    small: Generator, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same function in float32: everything before the last layer 80,000 times as large."""
    factor = 8e4
    network = copy.deepcopy(small)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name == "head.weight" or (parameter.ndim == 1 and name != "tail.bias"):
                parameter.mul_(factor)
        network.tail.weight.div_(factor)  # pyright: ignore
    pictures = verify.made_pictures()[:3]
    monkeypatch.setattr(verify, "made_pictures", lambda: pictures)
    source = write_checkpoint(tmp_path / "large.safetensors", network)
    line = refused(source, tmp_path / "a.onnx", "--precision", "f16")
    assert "pytorch in f16: at " in line
    assert "the result holds NaN or Inf" in line


def test_an_error_beyond_the_limit_is_refused(
    quick: None, refused: Refused, tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of halves, also where a runtime computes them in float32."""
    monkeypatch.setattr(verify, "HALF_LIMIT", verify.Limit(1e-6, 1e-6))
    line = refused(checkpoint, tmp_path / "a.onnx", "--precision", "f16")
    assert "openvino in f32: at 1x1 the result is" in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--precision", "f16", "--full"), "--full: is for --precision f32"),
        (("--precision", "bf16"), "--precision bf16: use f32, f16, int8 (bf16 is for"),
        (("--precision", "f16", "--calibrate", "store"), "--calibrate store: is for --precision int8, not f16"),
        (("--precision", "int8"), "--precision int8: needs --calibrate STORE"),
    ],
)
def test_what_does_not_go_together_is_refused(
    options: tuple[str, ...], says: str, refused: Refused, tmp_path: Path, checkpoint: Path
) -> None:
    assert says in refused(checkpoint, tmp_path / "a.onnx", *options)
