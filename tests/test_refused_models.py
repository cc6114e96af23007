"""Model files refused: one line that names the file and the reason, the right exit code, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import NOTHING_RUN, Refuse
from plates import write_plate

from deepupscale.cli.app import invoke


def side_file_model(path: Path, promise: str) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((64, 3, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", ["plate", "w"], ["residual"], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node], "side",
        [helper.make_tensor_value_info("plate", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("residual", TensorProto.FLOAT, [1, 64, "h", "w"])], [weight],
    )  # fmt: skip
    model = helper.make_model(graph)
    helper.set_model_props(model, {"deepupscale": promise})
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


MODELS = {
    "missing": "no such model",
    "folder": "no such model",
    "empty": "not an ONNX file",
    "random": "not an ONNX file",
    "cut": "",
    "no promise": "promise",
    "side files": "side files",
    "newer": "update deepupscale",
    "extra field": "Extra inputs",
    "nested extra": "Extra inputs",
    "huge": "larger than",
    "no json": "not valid",
    "list": "not valid",
    "infinite": "not valid",
    "halo": "halo",
    "other task": "task",
    "other tensors": "names other",
}


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_is_not_ours_is_refused(
    case: str, refuse: Refuse, make_model: Callable[..., Path], promise_json: Callable[..., str], tmp_path: Path
) -> None:
    write_plate(Path("plate.exr"))
    model = tmp_path / "some model.onnx"
    whole = promise_json()
    promises = {
        "no promise": None,
        "newer": promise_json(version=2, later="x"),
        "extra field": promise_json(later="x"),
        "nested extra": whole.replace('"kind": "log"', '"kind": "log", "later": 1'),
        "huge": promise_json(licence="x" * (1 << 20)),
        "no json": "{",
        "list": "[]",
        "infinite": whole.replace("5000.0", "1e999"),
        "halo": promise_json(halo=100_000),
        "other task": promise_json(task="normals"),
        "other tensors": whole.replace('"plate"', '"picture"'),
    }
    if case == "folder":
        model.mkdir()
    elif case == "side files":
        side_file_model(model, whole)
    elif case in ("empty", "random"):
        model.write_bytes(np.random.default_rng(0).bytes(0 if case == "empty" else 5000))
    elif case == "cut":
        make_model(model, whole)
        model.write_bytes(model.read_bytes()[:-700])
    elif case != "missing":
        make_model(model, promises[case])
    refuse(NOTHING_RUN, "plate.exr", "out.exr", "--model", model, says=("some model.onnx", MODELS[case]))


@pytest.mark.parametrize("verb", ["info", "doctor"])
def test_other_verbs_refuse_a_foreign_model_in_one_line(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"\0\1\2")
    if verb == "info":
        assert invoke(["info", str(model)]) == NOTHING_RUN
        assert len(capsys.readouterr().err.splitlines()) == 1
    else:
        assert invoke(["doctor", "--model", str(model)]) == 0
        assert "unusable" in capsys.readouterr().out
