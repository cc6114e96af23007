"""What a run begins with: checkpoints, runs, exported models, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch
from safetensors.torch import save_file

from deepupscale import model_store
from deepupscale.errors import MissingExtraError, ModelError
from export.exporter import Asked, export
from model.checkpoint import metadata
from model.networks import Generator, ResidualGenerator, build_generator
from model.start import weights_for


def network(seed: int = 3, **shape: int) -> ResidualGenerator:
    torch.manual_seed(seed)
    made = ResidualGenerator(**{"width": 4, "blocks": 1, **shape})
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.01)  # as after training: no two tensors are alike
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one network as ``ema.safetensors``, ``plain.onnx`` and ``whole.onnx``."""
    folder = tmp_path_factory.mktemp("start")
    made = network()
    save_file(made.state_dict(), folder / "ema.safetensors", metadata(made))
    export(Asked(folder / "ema.safetensors", folder / "plain.onnx"))
    export(Asked(folder / "ema.safetensors", folder / "whole.onnx", full=True))
    export(Asked(folder / "ema.safetensors", folder / "half.onnx", precision="f16"))
    return folder


def same(found: dict[str, Any], wanted: Generator) -> bool:
    return found.keys() == wanted.state_dict().keys() and all(
        torch.equal(found[name], tensor) for name, tensor in wanted.state_dict().items()
    )


@pytest.mark.parametrize("file", ["ema.safetensors", "plain.onnx"])
def test_a_checkpoint_and_its_export_give_the_same_weights_to_the_bit(files: Path, file: str) -> None:
    assert same(weights_for(network(seed=4), str(files / file)), network())


def test_a_model_is_found_by_its_name(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(model_store.ENVIRONMENT, str(files))
    assert same(weights_for(network(seed=4), "plain"), network())


def test_the_default_model_can_be_begun_with() -> None:
    ours = build_generator("residual")
    weights = weights_for(ours, "default")
    ours.load_state_dict(weights)
    assert weights["tail.weight"].abs().max() > 0.0


def test_a_run_gives_its_last_averages(files: Path, tmp_path: Path) -> None:
    for step, made in ((2, network(seed=9)), (10, network())):
        place = tmp_path / "run" / "checkpoints" / f"step_{step:07d}"
        place.mkdir(parents=True)
        save_file(made.state_dict(), place / "ema.safetensors", metadata(made))
        (place / "state.json").write_text("{}")
    assert same(weights_for(network(seed=4), str(tmp_path / "run")), network())


@pytest.mark.parametrize(
    ("start", "shape", "says"),
    [
        (
            "plain.onnx",
            {"width": 8},
            r"plain.onnx: head.weight is \(4, 3, 3, 3\), the run's network residual .*'width': 8",
        ),
        ("plain.onnx", {"blocks": 2}, r"plain.onnx: blocks.1.convs.0.weight is missing"),
        ("plain.onnx", {"blocks": 0}, r"plain.onnx: also holds blocks.0.convs.0.bias, which the run's network"),
        ("ema.safetensors", {"width": 8}, r"ema.safetensors: holds the network residual .*'width': 4.*'width': 8"),
        ("whole.onnx", {}, "whole.onnx: is a self-contained graph: start from the plain f32 file"),
        ("half.onnx", {}, "half.onnx: is f16: start from the plain f32 file"),
        ("none.onnx", {}, "none.onnx"),
        ("none.safetensors", {}, "none.safetensors: cannot be read as safetensors"),
        ("", {}, "is a folder without checkpoints"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(files: Path, start: str, shape: dict[str, int], says: str) -> None:
    with pytest.raises(ModelError, match=says) as error:
        weights_for(network(**shape), str(files / start))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["no-such-model", "n" * 300])
def test_a_name_that_nothing_has(name: str) -> None:
    with pytest.raises(ModelError, match=name[:20]):
        weights_for(network(), name)


def test_weights_that_are_not_finite(files: Path, tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(files / "plain.onnx")
    head = next(each for each in model.graph.initializer if each.name == "head.bias")
    values = numpy_helper.to_array(head).copy()
    values[1] = float("nan")
    head.CopyFrom(numpy_helper.from_array(values, "head.bias"))
    onnx.save(model, tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match=r"bad.onnx: head.bias is not of finite"):
        weights_for(network(), str(tmp_path / "bad.onnx"))


def test_without_onnx_it_says_what_to_install(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.start.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="export"):
        weights_for(network(), str(files / "plain.onnx"))
