"""Export: what is written was measured and verified; the halo; the self-contained graph."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import NOTHING_RUN, RunScript
from plates import write_plate

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("safetensors")
pytest.register_assert_rewrite("exports")

from exports import Exported, Graph, Refused, as_file, set_weight, trained, write_checkpoint  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from deepupscale import load_model, open_session  # noqa: E402
from deepupscale.cli.app import invoke  # noqa: E402
from deepupscale.errors import ModelError  # noqa: E402
from deepupscale.range_compression import RangeCompression  # noqa: E402
from deepupscale.resample import Float32, pad  # noqa: E402
from deepupscale.upscaler import Upscaler  # noqa: E402
from export import exporter, verify  # noqa: E402
from export.exporter import Asked, export  # noqa: E402
from export.graph import with_promise  # noqa: E402
from export.halo import KNOWN_OPS, measure_halo  # noqa: E402
from export.made_plate import made_plate  # noqa: E402
from model.networks import Generator, ResidualGenerator  # noqa: E402
from model.torch_session import TorchSession, as_model_file  # noqa: E402

pytest_plugins = ["exports"]  # fixtures

CURVE = RangeCompression()
SIZES = [(1, 1), (8, 8), (97, 131), (33, 257)]  # height, width
HALO = 6  # six 3x3 convolutions


def hdr_picture(height: int, width: int) -> Float32:
    """A made plate with a pixel that is dark and bright at once."""
    picture = made_plate(height, width)
    picture[height // 2, width // 2] = [800.0, -0.3, 500.0]
    return picture


# ---- what is written


def test_the_promise_says_what_the_run_wrote_down(exported: Exported) -> None:
    model = load_model(exported[0])
    promise, training = model.promise, model.promise.training
    assert (promise.name, promise.model_version, promise.licence) == ("first try", "1.2", "Studio")
    assert (training.dataset, training.code_revision, training.iterations) == ("sha256:77aa", "0123456789ab", 1234)
    assert promise.halo == HALO
    errors = {(v.runtime, v.precision): v.max_error for v in promise.verified}
    assert 0.0 < errors["openvino-cpu", "f32"] < 1e-5
    assert 0.0 < errors["onnxruntime-cpu", "f32"] < 1e-5
    assert {precision for _, precision in errors} == set(verify.float_precisions())
    assert f"sha256 {model.digest}" in exported[1]
    assert "unknown" not in exported[1]
    for each in promise.verified:
        assert f"verified {each.precision} by {each.runtime}: largest error" in exported[1]


def test_the_same_checkpoint_gives_the_same_bytes(
    exported: Exported, graph: Graph, run_folder: Path, tmp_path: Path, plant: None
) -> None:
    model = load_model(exported[0])
    assert with_promise(graph, model.promise) == model.data  # exported twice
    again = export(Asked(run_folder, tmp_path / "again.onnx", model_version="1.2", licence="Studio"))  # measured twice
    assert again.model.data == model.data == (tmp_path / "again.onnx").read_bytes()


def test_the_file_holds_the_graph_its_promise_and_nothing_else(exported: Exported) -> None:
    model = onnx.load(exported[0])
    assert [entry.key for entry in model.metadata_props] == ["deepupscale"]
    assert (model.producer_name, model.producer_version, len(model.graph.value_info)) == ("deepupscale", "", 0)
    assert model.opset_import[0].version == 20
    for words in (b"torch", b"site-packages", b".py", b"pkg."):
        assert words not in b"".join(part.SerializeToString() for part in (*model.graph.node, *model.graph.input))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_any_size_gives_what_the_trained_network_gives(
    small: Generator, exported: Exported, size: tuple[int, int], runtime: str
) -> None:
    plate = np.random.default_rng(1).random((1, 3, *size), np.float32)
    with torch.no_grad():
        truth = small(torch.from_numpy(plate)).numpy()
    result = open_session(load_model(exported[0]), "cpu", "f32", runtime).run({"plate": plate})["residual"]
    assert result.shape == (1, 3, 2 * size[0], 2 * size[1])
    np.testing.assert_allclose(result, truth, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("prosr-small", {"width": 6, "units": 1, "layers": 2, "growth": 4, "bottleneck": 2}),
     ("hero", {"width": 8, "blocks": 2})],
)  # fmt: skip
def test_other_networks_are_exported_too(name: str, shape: dict[str, int], tmp_path: Path) -> None:
    network = trained(name, **shape)
    source = write_checkpoint(tmp_path / "ema.safetensors", network)
    done = export(Asked(source, tmp_path / "other.onnx"))
    assert load_model(tmp_path / "other.onnx").promise.halo == network.receptive_radius
    assert done.unknown == ("--name", "--model-version", "--licence", "--dataset", "--revision", "--iterations")
    assert done.model.promise.training.dataset == "unknown"


def test_options_override_what_the_run_says(
    run_folder: Path, tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.onnx").write_text("an older file")
    given = ["--name", "mine", "--dataset", "plates", "--revision", "r2", "--iterations", "9", "--overwrite"]
    assert invoke(["export", str(run_folder), str(tmp_path / "mine.onnx"), *given]) == 0
    promise = load_model(tmp_path / "mine.onnx").promise
    assert (promise.name, promise.licence) == ("mine", "unknown")
    training = promise.training
    assert (training.dataset, training.code_revision, training.iterations) == ("plates", "r2", 9)
    assert "unknown, as the promise says: --model-version, --licence\n" in capsys.readouterr().out


# ---- the halo


@pytest.mark.parametrize("learnt", ["as it is", "nothing", "negative"])
def test_the_halo_is_measured_whatever_was_learnt(learnt: str, graph: Graph, small: Generator) -> None:
    twin = copy.deepcopy(graph)
    for name in [tensor.name for tensor in twin.graph.initializer]:
        set_weight(
            twin, {"as it is": lambda w: w, "nothing": lambda w: w * 0, "negative": lambda w: -abs(w)}[learnt], name
        )
    assert measure_halo(as_file(twin, small), HALO + 3) == HALO == small.receptive_radius


def chain(*operations: str, largest: float = 1.0) -> Graph:
    """A graph of those operations in a row, and a convolution to a doubled picture."""
    nodes, weights, at = [], [], "plate"
    for i, operation in enumerate((*operations, "Conv")):
        outside = 12 if i == len(operations) else 3
        inputs, attributes = [at], dict[str, Any]()
        if operation == "Conv":
            inputs.append(f"w{i}")
            weights.append(numpy_helper.from_array(np.full((outside, 3, 3, 3), largest, np.float32), f"w{i}"))
            attributes["pads"] = [1, 1, 1, 1]
        nodes.append(helper.make_node(operation, inputs, [f"t{i}"], **attributes))
        at = f"t{i}"
    nodes.append(helper.make_node("DepthToSpace", [at], ["residual"], blocksize=2, mode="CRD"))
    plate = helper.make_tensor_value_info("plate", TensorProto.FLOAT, [1, 3, "h", "w"])
    residual = helper.make_tensor_value_info("residual", TensorProto.FLOAT, [1, 3, "h2", "w2"])
    graph = helper.make_graph(nodes, "chain", [plate], [residual], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_a_deep_network_neither_fades_nor_overflows(factor: float, small: Generator) -> None:
    assert measure_halo(as_file(chain(*["Conv", "Relu"] * 70, largest=factor), small), 75) == 71


@pytest.mark.parametrize("operation", ["GlobalAveragePool", "Sigmoid"])
def test_a_graph_that_is_not_understood_is_refused(operation: str, small: Generator) -> None:
    with pytest.raises(ModelError, match=f"the operation {operation} .* known are {', '.join(sorted(KNOWN_OPS))}"):
        measure_halo(as_file(chain("Conv", operation), small), 9)


def test_a_known_operation_in_an_unknown_use_is_refused(small: Generator) -> None:
    graph = chain("Conv", "Relu")
    graph.graph.node[1].CopyFrom(helper.make_node("Mul", ["t0", "t0"], ["t1"], name="square"))
    with pytest.raises(ModelError, match="square: Mul is used in a way"):
        measure_halo(as_file(graph, small), 9)


@pytest.mark.parametrize(
    ("claimed", "says"), [(5, "looks 6 pixels far"), (7, "looks 6 pixels far"), (1, "6 pixels or more")]
)
def test_a_halo_other_than_the_network_claims_is_refused(
    claimed: int, says: str, quick: None, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ResidualGenerator, "receptive_radius", claimed)
    assert says in refused()


# ---- the self-contained graph


@pytest.fixture(scope="module")
def full(graph: Graph, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("full") / "full.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "export_graph", lambda network: copy.deepcopy(graph))
        export(Asked(checkpoint, out, name="whole", full=True))
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_the_full_graph_is_the_engine(full: Path, small: Generator, size: tuple[int, int], runtime: str) -> None:
    picture = hdr_picture(*size)
    assert picture.max() > 500.0
    assert picture.min() < 0.0
    engine = Upscaler(as_model_file(small, full, ""), TorchSession(copy.deepcopy(small), "cpu", "f32"))
    m = engine.margin
    truth = CURVE.compress(engine.double_colour(pad(picture, m, m, m, m)))
    tensor = np.ascontiguousarray(picture.transpose(2, 0, 1))[np.newaxis]
    result = open_session(load_model(full), "cpu", "f32", runtime).run({"plate": tensor})["result"]
    assert result.shape == (1, 3, 2 * size[0], 2 * size[1])
    np.testing.assert_allclose(CURVE.compress(result[0].transpose(1, 2, 0)), truth, rtol=0, atol=1e-5)
    plain = CURVE.compress(engine.interpolate_colour(pad(picture, m, m, m, m)))
    assert size == (1, 1) or float(np.abs(plain - truth).max()) > 1e-2  # the network does something


def test_extremes_survive_the_full_graph(full: Path) -> None:
    plate = np.zeros((1, 3, 4, 4), np.float32)
    plate[0, 0], plate[0, 1] = 1e37, -1e37
    for runtime in ("openvino", "onnxruntime"):
        result = open_session(load_model(full), "cpu", "f32", runtime).run({"plate": plate})["result"]
        np.testing.assert_allclose(result[0, 0], 1e37, rtol=1e-3)
        np.testing.assert_allclose(result[0, 1], -1e37, rtol=1e-3)
        assert (result[0, 2] == 0.0).all()


def test_the_engine_refuses_the_full_graph_and_info_shows_it(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plate = write_plate(tmp_path / "plate.exr")
    assert invoke(["info", str(full)]) == 0
    said = capsys.readouterr().out
    for words in ("whole unknown", "plate: colour R, G, B, transfer none, 1x", "result: colour", "verified    f32"):
        assert words in said
    assert (
        invoke(["run", str(plate), str(tmp_path / "big.exr"), "--model", str(full), "--device", "cpu"]) == NOTHING_RUN
    )
    line = capsys.readouterr().err
    assert line.startswith(f"deepupscale: error: {full}: an upscale model must ")
    assert line.count("\n") == 1
    assert not (tmp_path / "big.exr").exists()


@pytest.mark.parametrize(("allowed", "says"), [(1e-5, "from the trained network's"), (1e9, "a smooth ramp is bent by")])
def test_a_full_graph_without_its_bound_is_refused(
    allowed: float, says: str, quick: None, tmp_path: Path, checkpoint: Path, refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    make = exporter.full_graph

    def unbounded(core: Graph, halo: int) -> Graph:
        graph = make(core, halo)
        graph.graph.initializer.append(numpy_helper.from_array(np.array(1e6, np.float32), "huge"))
        bend = next(node for node in graph.graph.node if node.op_type == "MaxPool")
        next(node for node in graph.graph.node if bend.output[0] in node.input).input[1] = "huge"
        return graph

    monkeypatch.setattr(exporter, "full_graph", unbounded)
    monkeypatch.setitem(verify.LIMITS, "f32", verify.Limit(allowed, allowed))
    assert says in refused(checkpoint, tmp_path / "a.onnx", "--full")


# ---- the verb


def test_the_verb_answers_at_once(run_script: RunScript) -> None:
    done = run_script("export", "--help")
    assert done.returncode == 0
    assert "--model-version" in done.stdout
