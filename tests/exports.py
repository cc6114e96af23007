"""What the tests of exporting share: a small trained network, its run, its files, and the verb when it refuses."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import NOTHING_RUN, tree
from onnx import numpy_helper
from safetensors.torch import save_file

from deepupscale.cli.app import invoke
from deepupscale.model_file import ModelFile
from export import exporter, verify
from export.graph import export_graph, with_promise
from model import config, snapshots
from model.checkpoint import metadata
from model.networks import Generator, build_generator
from model.torch_session import as_model_file

Graph = Any  # onnx.ModelProto
Spoil = Callable[[Graph], None]
Plant = Callable[[Spoil], None]
Refused = Callable[..., str]
Exported = tuple[Path, str]  # a file, and what the command said of it


def trained(name: str, tail: float = 0.05, **shape: int) -> Generator:
    """A network with weights and biases that do something."""
    torch.manual_seed(3)
    network = build_generator(name, **shape)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=0.02)
    torch.nn.init.normal_(network.tail.weight, std=tail)  # pyright: ignore
    return network.eval()


def write_checkpoint(path: Path, network: Generator) -> Path:
    save_file(network.state_dict(), path, metadata(network))
    return path


@pytest.fixture(scope="session")
def small() -> Generator:
    return trained("residual", width=8, blocks=1)


@pytest.fixture(scope="session")
def graph(small: Generator) -> Graph:
    return export_graph(copy.deepcopy(small))


@pytest.fixture(scope="session")
def run_folder(small: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training run leaves, two checkpoints of it."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    other = {"ema": {name: torch.zeros_like(value) for name, value in small.state_dict().items()}}
    snapshots.write(folder / "checkpoints", 400, other, {}, metadata(small))
    snapshots.write(folder / "checkpoints", 1234, {"ema": small.state_dict()}, {}, metadata(small))
    asked = config.load("default", ["name=first try"])
    (folder / "config.yaml").write_text(config.dump(asked))
    (folder / "environment.json").write_text(json.dumps({"dataset": "sha256:77aa", "revision": "0123456789ab"}))
    return folder


@pytest.fixture(scope="session")
def checkpoint(small: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("bare") / "ema.safetensors", small)


@pytest.fixture(scope="session")
def exported(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The run through the command, as a TD would export it, and what it said."""
    out, said = tmp_path_factory.mktemp("export") / "small.onnx", io.StringIO()
    with contextlib.redirect_stdout(said):
        assert invoke(["export", str(run_folder), str(out), "--model-version", "1.2", "--licence", "Studio"]) == 0
    assert [path.name for path in out.parent.iterdir()] == ["small.onnx"]
    return out, said.getvalue()


@pytest.fixture
def plant(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """The small network's graph without exporting it anew; given a function, spoilt by that."""

    def use(spoil: Spoil) -> None:
        def spoilt(_: Generator) -> Graph:
            twin = copy.deepcopy(graph)
            spoil(twin)
            return twin

        monkeypatch.setattr(exporter, "export_graph", spoilt)

    use(lambda graph: None)
    return use


@pytest.fixture
def quick(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise, and small pictures are enough to verify it."""
    pictures = verify.made_pictures()[:3]
    monkeypatch.setattr(verify, "made_pictures", lambda: pictures)


@pytest.fixture
def refused(tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the verb, checks what every refusal must hold to, and returns its one line."""

    def check(source: Path = checkpoint, out: Path = tmp_path / "new.onnx", *options: object) -> str:
        before = tree(tmp_path)
        capsys.readouterr()
        assert invoke(["export", str(source), str(out), *map(str, options)]) == NOTHING_RUN
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("deepupscale: error: ")
        assert said.err.count("\n") == 1
        assert tree(tmp_path) == before
        return said.err

    return check


def as_file(graph: Graph, network: Generator) -> ModelFile:
    promise = as_model_file(network, Path("a.onnx"), "").promise
    return ModelFile(Path("a.onnx"), promise, with_promise(graph, promise), "")


def weight(graph: Graph, name: str = "tail.weight") -> Any:
    return next(tensor for tensor in graph.graph.initializer if tensor.name == name)


def set_weight(graph: Graph, change: Callable[[Any], Any], name: str = "tail.weight") -> None:
    tensor = weight(graph, name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), name))
