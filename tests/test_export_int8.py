"""Export in int8: what is quantised and what is not, tiles, limits, and what is refused."""

from __future__ import annotations

import contextlib
import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stores import make_store, scene

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("lmdb")
pytest.importorskip("onnxscript")
pytest.importorskip("safetensors")
pytest.importorskip("flip_evaluator")
pytest.register_assert_rewrite("exports")

from exports import Exported, Graph, Refused, as_file, set_weight, write_checkpoint  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from deepupscale import load_model, open_session, session  # noqa: E402
from deepupscale.cli.app import invoke  # noqa: E402
from deepupscale.errors import ModelError, RuntimeUnavailableError  # noqa: E402
from deepupscale.model_file import ModelFile  # noqa: E402
from deepupscale.range_compression import RangeCompression  # noqa: E402
from deepupscale.session import choose  # noqa: E402
from deepupscale.upscaler import Upscaler  # noqa: E402
from export import exporter, verify  # noqa: E402
from export.calibration import CHECKED, PATCHES, SIDE, calibration  # noqa: E402
from export.halo import measure_halo  # noqa: E402
from export.made_plate import made_plate  # noqa: E402
from export.quantise import quantised_graph  # noqa: E402
from model.contenders import double_by_tiles  # noqa: E402
from model.networks import Generator  # noqa: E402
from model.pack import PackOptions, pack  # noqa: E402

pytest_plugins = ["exports"]  # fixtures

CURVE = RangeCompression()
PAIRS = Path(__file__).with_name("pairs")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store"
    pack([PAIRS], place, PackOptions(), lambda *_: None)
    return place


@pytest.fixture(scope="module")
def gentle(small: Generator) -> Generator:
    """The small network with corrections as small as trained ones are."""
    network = copy.deepcopy(small)
    with torch.no_grad():
        network.tail.weight.mul_(0.05)  # pyright: ignore
        network.tail.bias.mul_(0.05)  # pyright: ignore
    return network


@pytest.fixture(scope="module")
def gentle_graph(gentle: Generator, graph: Graph) -> Graph:
    twin = copy.deepcopy(graph)
    for name in ("tail.weight", "tail.bias"):
        set_weight(twin, lambda weights: weights * np.float32(0.05), name)
    return twin


@pytest.fixture(scope="module")
def gentle_checkpoint(gentle: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("gentle") / "ema.safetensors", gentle)


@pytest.fixture(scope="module")
def quantised(
    gentle_graph: Graph, gentle_checkpoint: Path, store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    """The small network in int8, through the command, and what it said."""
    out, said = tmp_path_factory.mktemp("int8") / "small.int8.onnx", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(exporter, "export_graph", lambda network: copy.deepcopy(gentle_graph))
        given = [str(gentle_checkpoint), str(out), "--precision", "int8", "--calibrate", str(store)]
        assert invoke(["export", *given]) == 0
    return out, said.getvalue()


@pytest.fixture
def model(quantised: Exported) -> ModelFile:
    return load_model(quantised[0])


def test_all_convolutions_but_the_first_and_the_last_are_quantised(quantised: Exported) -> None:
    graph = onnx.load(quantised[0]).graph
    made_by = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    for node in (convolutions[0], convolutions[-1]):
        assert constants[node.input[1]].dtype == np.float32
    for node in convolutions[1:-1]:
        for name, kind, zero in ((node.input[0], np.uint8, None), (node.input[1], np.int8, 0)):
            back = made_by[name]
            assert back.op_type == "DequantizeLinear"
            assert constants[back.input[2]].dtype == kind
            assert zero is None or not constants[back.input[2]].any()
        weights, scales = (constants[name] for name in made_by[node.input[1]].input[:2])
        assert int(np.abs(weights.astype(int)).max()) in (63, 64)  # 7 bits
        assert scales.shape == (weights.shape[0],)
        assert constants[node.input[2]].dtype == np.float32  # biases
    for node in graph.node:
        if node.op_type == "Add":  # what is added was not rounded
            assert all(made_by[name].op_type in ("Conv", "Add") for name in node.input)
    for tensor in (*graph.input, *graph.output):
        assert tensor.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_promise_says_int8_and_how_it_was_verified(
    quantised: Exported, model: ModelFile, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promise = model.promise
    assert (promise.precision, promise.halo) == ("int8", 6)
    assert [(v.runtime, v.precision) for v in promise.verified] == [
        ("openvino-cpu", "int8"),
        ("onnxruntime-cpu", "int8"),
    ]
    assert all(1e-5 < v.max_error < verify.LIMITS["int8"].largest for v in promise.verified)
    assert "HDR-FLIP" in quantised[1]
    assert f"calibrated on patches of dataset {calibration(store).dataset}\n" in quantised[1]
    assert invoke(["info", str(model.path)]) == 0
    assert "precision   int8 inside the graph\n" in capsys.readouterr().out


def test_the_same_checkpoint_and_store_give_the_same_bytes(graph: Graph, store: Path) -> None:
    first, second = (
        quantised_graph(graph, calibration(store).patches, "a.onnx").SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert first == second


def test_openvino_computes_it_in_integers(model: ModelFile) -> None:
    import openvino as ov

    runtime: Any = open_session(model, "cpu")
    runtime.run({"plate": np.zeros((1, 3, 32, 32), np.float32)})
    compiled = next(iter(runtime._requests.values())).get_compiled_model()
    assert isinstance(compiled, ov.CompiledModel)
    kinds = [
        operation.get_rt_info()["primitiveType"].astype(str)
        for operation in compiled.get_runtime_model().get_ops()
        if operation.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    assert len(kinds) == 6
    assert sum(kind.endswith("I8") for kind in kinds) == 4


def test_tiles_are_exact(model: ModelFile) -> None:
    """Scales are constants, so a pixel is the same wherever the tile is cut."""
    engine = Upscaler(model, open_session(model, "cpu"))
    picture = made_plate(70, 90)
    whole = double_by_tiles(engine, picture, 128)
    for side in (16, 33):
        tiled = double_by_tiles(engine, picture, side)
        np.testing.assert_allclose(CURVE.compress(tiled), CURVE.compress(whole), rtol=0, atol=1e-6)


def test_a_slow_ramp_stays_smooth(model: ModelFile) -> None:
    engine = Upscaler(model, open_session(model, "cpu"))
    ramp = verify.slow_ramp(engine.margin)
    residual = open_session(model, "cpu").run({"plate": CURVE.compress(ramp).transpose(2, 0, 1)[None].copy()})
    m = 2 * engine.margin
    inner = residual["residual"][:, :, m:-m, m:-m]
    assert float(np.abs(np.diff(inner, 2, axis=3)).max()) > 1e-5  # steps there are
    ours, plain = engine.double_colour(ramp), engine.interpolate_colour(ramp)
    assert float(np.abs(CURVE.compress(ours) - CURVE.compress(plain)).max()) < 1e-5


# ---- the choice


def test_int8_is_chosen_and_nothing_else_can_be(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    for precision in ("auto", "int8"):
        choice = choose(model, "auto", precision)
        assert (choice.runtime, choice.device, choice.precision) == ("openvino", "cpu", "int8")
        assert "quantised to int8" in choice.reason
    assert choose(model, "cpu", "auto", "onnxruntime").precision == "int8"
    for precision in ("f32", "bf16", "f16"):
        with pytest.raises(RuntimeUnavailableError, match=f"computes in int8 only, not {precision}: use .* f32 file"):
            choose(model, "cpu", precision)
    monkeypatch.setattr(session, "cuda_devices", lambda: 1)
    assert choose(model).device == "cpu"
    for device, runtime in (("cuda:0", "auto"), ("auto", "tensorrt")):
        with pytest.raises(RuntimeUnavailableError, match="is quantised for CPUs: use --device cpu"):
            choose(model, device, "auto", runtime)


def test_a_float_graph_cannot_run_in_int8(tiny_model: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match="is an f32 graph: for int8 use a file that was exported with"):
        choose(load_model(tiny_model), "cpu", "int8")


# ---- calibration


def test_patches_are_drawn_by_light_and_never_twice(store: Path) -> None:
    drawn, again = calibration(store), calibration(store)
    assert (len(drawn.patches), len(drawn.others)) == (PATCHES, CHECKED)
    for first, second in zip((*drawn.patches, *drawn.others), (*again.patches, *again.others), strict=True):
        np.testing.assert_array_equal(first, second)
    assert {patch.shape for patch in drawn.patches} == {(1, 3, SIDE, SIDE)}
    plain = [CURVE.expand(patch[0].transpose(1, 2, 0)) for patch in drawn.patches[::2]]
    for other in drawn.others:
        assert other.shape == (SIDE, SIDE, 3)
        assert all(float(np.abs(other - patch).max()) > 1e-3 for patch in plain)
    lights = [float(CURVE.expand(patch).max()) for patch in drawn.patches[1::2]]
    assert max(lights) > 100.0
    assert min(lights) >= 0.5


def test_a_store_that_cannot_be_calibrated_on_is_refused(tmp_path: Path, checkpoint: Path, refused: Refused) -> None:
    high = scene(2 * SIDE + 4, 2 * SIDE + 4).astype(np.float16)
    make_store(tmp_path / "small", [("a", {"rgb": high[::2, ::2]}, {"rgb": high})])
    make_store(tmp_path / "smaller", [("a", {"rgb": high[:64:2, ::2]}, {"rgb": high[:64]})])
    says = {
        "small": f"fewer than {PATCHES} different patches and {CHECKED} others that are lit",
        "smaller": f"none has {SIDE} LR pixels",
        "missing": "there is no such store",
    }
    for name, words in says.items():
        given = ["--precision", "int8", "--calibrate", tmp_path / name]
        assert words in refused(checkpoint, tmp_path / "a.onnx", *given)


# ---- planted faults


def quieter(graph: Graph, factor: float) -> Graph:
    """With all ranges of activations so much smaller: what is brighter is cut off."""
    steps = {node.input[1] for node in graph.graph.node if node.op_type == "QuantizeLinear"}
    for tensor in graph.graph.initializer:
        if tensor.name in steps:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))
    return graph


@pytest.mark.parametrize(
    ("limit", "factor", "says"),
    [
        (verify.LIMITS["int8"], 0.2, r"openvino in int8: the results are .* from the trained network's"),
        (verify.Limit(1e9, 1e9), 0.2, "on patches of the store: HDR-FLIP is"),
        (verify.Limit(1e9, 1e-3), 1.0, r"in int8: the results are .* \(root mean square\)"),
    ],
    ids=["error", "flip", "share"],
)
def test_a_badly_calibrated_file_is_not_written(
    limit: verify.Limit, factor: float, says: str, gentle_graph: Graph, quick: None, store: Path, refused: Refused,
    gentle_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import re

    monkeypatch.setattr(exporter, "quantised_graph", lambda *given: quieter(quantised_graph(*given), factor))
    monkeypatch.setattr(exporter, "export_graph", lambda network: copy.deepcopy(gentle_graph))
    monkeypatch.setitem(verify.LIMITS, "int8", limit)
    line = refused(gentle_checkpoint, tmp_path / "a.onnx", "--precision", "int8", "--calibrate", store)
    assert re.search(says, line), line


def test_the_halo_of_a_graph_whose_scales_follow_the_plate_is_not_measured(graph: Graph, small: Generator) -> None:
    twin = copy.deepcopy(graph)
    plate = twin.graph.input[0].name
    rounding = helper.make_node("QuantizeLinear", [plate, plate], ["codes"], name="rounding")
    for node in twin.graph.node:
        node.input[:] = ["codes" if name == plate else name for name in node.input]
    twin.graph.node.insert(0, rounding)
    with pytest.raises(ModelError, match="rounding: QuantizeLinear is used in a way whose halo cannot be measured"):
        measure_halo(as_file(twin, small), 9)
