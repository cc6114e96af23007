"""The promise: written and read by one class, strict, and room for later tasks."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepupscale import load_model
from deepupscale.errors import MissingExtraError, ModelError
from deepupscale.fields import Kind
from deepupscale.model_file import default_model_path, read_promise
from deepupscale.promise import Input, LogTransfer, Output, PlainTransfer, Promise, Training
from deepupscale.session import open_session
from deepupscale.upscaler import Upscaler

MakeJson = Callable[..., str]
MakeModel = Callable[..., Path]
NOBODY = Training(dataset="none", code_revision="tests", iterations=0)


def test_what_is_written_is_what_is_read(tiny_model: Path) -> None:
    promise = load_model(tiny_model).promise
    assert Promise.from_json(promise.to_json(), "memory") == promise


def test_a_promise_says_what_the_graph_computes_in(promise_json: MakeJson) -> None:
    """That of float32 reads and is written as before there were others."""
    plain = Promise.from_json(promise_json(), "memory")
    assert plain.precision == "f32"
    assert "precision" not in json.loads(plain.to_json())
    for precision in ("f16", "int8"):
        promise = Promise.from_json(promise_json(precision=precision), "memory")
        assert promise.precision == precision
        assert Promise.from_json(promise.to_json(), "memory") == promise


def test_the_default_model_is_found_and_its_provenance_is_real() -> None:
    model = load_model()
    assert model.path == default_model_path()
    assert model.promise.halo == 27
    assert model.promise.training.iterations > 1000
    assert model.promise.training.metrics
    assert model.promise.verified_at("bf16")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "update deepupscale"),
        ({"colour": "blue"}, "colour"),
        ({"format": "other"}, "format"),
        ({"halo": -1}, "halo"),
        ({"halo": 1 << 40}, "halo"),
        ({"task": "paint"}, "task"),
        ({"precision": "bf16"}, "precision"),
        ({"inputs": []}, "inputs"),
    ],
)
def test_a_promise_that_does_not_fit_is_refused_with_the_field(
    promise_json: MakeJson, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        Promise.from_json(promise_json(**changes), "some.onnx")
    assert str(caught.value).startswith("some.onnx: ")
    assert "\n" not in str(caught.value)


def test_a_residual_must_match_what_it_is_over(promise_json: MakeJson) -> None:
    document = json.loads(promise_json())
    document["outputs"][0]["residual_over"] = "albedo"
    with pytest.raises(ModelError, match="residual over albedo"):
        Promise.from_json(json.dumps(document), "some.onnx")


def test_later_tasks_can_be_promised_today() -> None:
    colour, log = ("R", "G", "B"), LogTransfer()
    temporal = Promise(
        task="supersample",
        name="temporal",
        model_version="1",
        licence="Apache-2.0",
        inputs=(
            Input(name="plate", field=Kind.COLOUR, channels=colour, transfer=log, scale=1, frames=(-2, -1, 0, 1, 2)),
            Input(name="motion", field=Kind.MOTION, channels=("x", "y"), transfer=PlainTransfer(kind="none"), scale=1),
            Input(
                name="depth", field=Kind.DISTANCE, channels=("Z",), transfer=PlainTransfer(kind="disparity"), scale=1
            ),
            Input(
                name="normal",
                field=Kind.UNIT_VECTOR,
                channels=("x", "y", "z"),
                transfer=PlainTransfer(kind="unit-vector"),
                scale=2,
                optional=True,
            ),
        ),
        outputs=(
            Output(name="residual", field=Kind.COLOUR, channels=colour, transfer=log, scale=2, residual_over="plate"),
        ),
        halo=40,
        training=NOBODY,
    )
    smoke = Promise(
        task="volume",
        name="smoke",
        model_version="1",
        licence="Apache-2.0",
        rank=3,
        inputs=(
            Input(name="d", field=Kind.DENSITY, channels=("density",), transfer=PlainTransfer(kind="none"), scale=1),
        ),
        outputs=(
            Output(name="o", field=Kind.DENSITY, channels=("density",), transfer=PlainTransfer(kind="none"), scale=4),
        ),
        halo=9,
        training=NOBODY,
    )
    for promise in (temporal, smoke):
        assert Promise.from_json(promise.to_json(), "memory") == promise
    assert smoke.rank == 3


def test_a_model_for_another_task_is_refused_by_name(
    tmp_path: Path, make_model: MakeModel, promise_json: MakeJson
) -> None:
    model = load_model(make_model(tmp_path / "m.onnx", promise_json(task="normals")))
    with pytest.raises(ModelError, match="task normals"):
        Upscaler(model, open_session(model, "cpu", "f32"))


def test_a_graph_that_differs_from_its_promise_is_refused(
    tmp_path: Path, make_model: MakeModel, promise_json: MakeJson
) -> None:
    document = json.loads(promise_json())
    document["inputs"][0]["name"] = document["outputs"][0]["residual_over"] = "picture"
    model = load_model(make_model(tmp_path / "m.onnx", json.dumps(document)))
    for runtime in ("openvino", "onnxruntime"):
        with pytest.raises(ModelError, match="other inputs than the graph"):
            open_session(model, "cpu", "f32", runtime)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        read_promise(data, "some.onnx")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_model_is_refused_or_keeps_its_promise(tiny_model: Path, data: st.DataObject) -> None:
    whole = tiny_model.read_bytes()
    at, value = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for damaged in (whole[:at] + bytes([value]) + whole[at + 1 :], whole[:cut]):
        with contextlib.suppress(ModelError):
            assert isinstance(read_promise(damaged, "some.onnx"), Promise)


def test_a_runtime_that_is_not_installed_says_what_mends_it(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'deepupscale\[gpu\]'"):
        open_session(load_model(tiny_model), "cpu", "f32", "onnxruntime")
