"""Export refuses: planted faults, damaged checkpoints and reports, places that cannot be written; nothing is left."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import tree

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("safetensors")
pytest.register_assert_rewrite("exports")

from exports import Exported, Graph, Plant, Refused, Spoil, set_weight, weight, write_checkpoint  # noqa: E402

from deepupscale import load_model, open_session  # noqa: E402
from deepupscale.errors import ModelError  # noqa: E402
from deepupscale.model_file import ModelFile  # noqa: E402
from export import exporter, verify  # noqa: E402
from export.exporter import Asked, export  # noqa: E402
from export.provenance import Provenance, provenance_of  # noqa: E402
from model.contenders import Contender  # noqa: E402
from model.evaluate import Evaluation, Options, Result  # noqa: E402
from model.evaluation_report import document  # noqa: E402
from model.networks import Generator, build_generator  # noqa: E402

pytest_plugins = ["exports"]  # fixtures


# ---- figures of an evaluation


def write_report(folder: Path, digest: str, done: int = 1) -> Path:
    """What `deepupscale evaluate` writes, of two contenders."""
    run = lambda lr: lr  # noqa: E731
    contenders = [
        Contender("bicubic", "baseline", run),
        Contender("mine", "model", run, "runs/first", digest, "torch on cpu in f32"),
    ]
    scores = {"bicubic": {"psnr": 30.0, "drift": 9.0}, "mine": {"psnr": 35.5, "drift": 0.25, "shimmer": float("nan")}}
    results = [Result(f"pair{i}", "", "degraded", (64, 64), 0.1, 0.1, scores) for i in range(done)]
    sources = [Path("/studio/secret/photographs")]
    evaluation = Evaluation(contenders, sources, Options("box", held_out=0.2), 3, results)
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(document(evaluation)))
    return folder


@pytest.mark.parametrize("name", [".", "report.json"])
def test_figures_of_the_checkpoint_go_into_the_promise(
    name: str, checkpoint: Path, tmp_path: Path, quick: None
) -> None:
    folder = write_report(tmp_path / "report", hashlib.sha256(checkpoint.read_bytes()).hexdigest())
    export(Asked(checkpoint, tmp_path / "a.onnx", report=folder / name))
    metrics = load_model(tmp_path / "a.onnx").promise.training.metrics
    assert [(m.name, m.value, m.unit) for m in metrics] == [("psnr", 35.5, "dB"), ("drift", 0.25, "%")]
    for metric in metrics:
        assert metric.pairs == "1 of 3 pairs of photographs, held out 0.2, LR by box; run by torch on cpu in f32"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda text: text.replace('"version": 1', '"version": 2'),
            "is no report of deepupscale evaluate of version 1",
        ),
        (lambda text: text[:-9], "cannot be read as a report"),
        (lambda text: text.replace('"means"', '"medians"'), "is damaged"),
        (lambda text: text.replace("35.5", '"35,5"'), "is damaged"),
        (lambda text: "[]", "is no report"),
    ],
)
def test_a_report_that_cannot_be_read_is_refused(
    spoil: Callable[[str], str], says: str, checkpoint: Path, tmp_path: Path, refused: Refused
) -> None:
    file = write_report(tmp_path / "report", hashlib.sha256(checkpoint.read_bytes()).hexdigest()) / "report.json"
    file.write_text(spoil(file.read_text()))
    line = refused(checkpoint, tmp_path / "a.onnx", "--report", file)
    assert says in line
    assert str(file) in line


def test_a_report_of_other_models_is_refused(tmp_path: Path, checkpoint: Path, refused: Refused) -> None:
    assert "measures other models" in refused(
        checkpoint, tmp_path / "a.onnx", "--report", write_report(tmp_path / "other", "0" * 64)
    )
    own = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    none = write_report(tmp_path / "none", own, done=0)
    assert "holds no figure" in refused(checkpoint, tmp_path / "a.onnx", "--report", none)
    assert "cannot be read" in refused(checkpoint, tmp_path / "a.onnx", "--report", tmp_path / "missing")


# ---- planted faults


def nudge(values: Any) -> Any:
    values[3, 2, 1, 1] += 0.01
    return values


def poison(values: Any) -> Any:
    values[3, 2, 1, 1] = np.nan
    return values


def shuffle(graph: Graph) -> None:
    next(a for a in graph.graph.node[-1].attribute if a.name == "mode").s = b"DCR"


def move_out(graph: Graph) -> None:
    tensor = weight(graph)
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")
    tensor.ClearField("raw_data")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda graph: set_weight(graph, nudge), "from the trained network's"),
        (lambda graph: set_weight(graph, poison), "tail.weight holds NaN or Inf"),
        (lambda graph: set_weight(graph, lambda w: w * np.float32(1.001)), "from the trained network's"),
        (shuffle, "from the trained network's"),
        (move_out, "valid|side file"),
        (lambda graph: graph.graph.node.pop(), "is no valid ONNX graph"),
    ],
    ids=["weight", "nan", "scale", "order", "side file", "cut"],
)
@pytest.mark.parametrize("full", [False, True], ids=["core", "full"])
def test_a_graph_that_is_not_the_network_is_never_written(
    spoil: Spoil, says: str, full: bool, quick: None, plant: Plant, refused: Refused, tmp_path: Path,
    checkpoint: Path,
) -> None:  # fmt: skip
    plant(spoil)
    line = refused(checkpoint, tmp_path / "a.onnx", *["--full"] * full)
    assert any(word in line for word in says.split("|"))
    assert "a.onnx" in line


def test_a_low_precision_may_round_but_not_lose_the_correction(
    exported: Exported, small: Generator, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rounding:
        factor = 1.02

        def __init__(self, model: ModelFile, device: str, precision: str, runtime: str) -> None:
            self._session, self._low = open_session(model, device, "f32", runtime), precision == "bf16"

        def run(self, inputs: Any) -> Any:
            return {n: v * (Rounding.factor if self._low else 1.0) for n, v in self._session.run(inputs).items()}

    monkeypatch.setattr(verify, "float_precisions", lambda: ("f32", "bf16"))
    monkeypatch.setattr(verify, "open_session", Rounding)
    model = load_model(exported[0])
    assert [check.precision for check in verify.verify(small, model)] == ["f32", "bf16", "f32"]
    for factor in (0.8, 1.2, 0.0, np.nan):
        Rounding.factor = factor
        with pytest.raises(ModelError, match=r"openvino in bf16: .*(trained network's|NaN)"):
            verify.verify(small, model)


def test_a_checkpoint_that_is_none_is_refused(tmp_path: Path, checkpoint: Path, refused: Refused) -> None:
    whole = checkpoint.read_bytes()
    (tmp_path / "old.pt").write_bytes(pickle.dumps({"weights": [1.0]}))
    assert "name a .safetensors file" in refused(tmp_path / "old.pt")
    (tmp_path / "old.pt").rename(tmp_path / "renamed.safetensors")
    assert "cannot be read as safetensors" in refused(tmp_path / "renamed.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(whole[:-5])
    assert "cannot be read as safetensors" in refused(tmp_path / "cut.safetensors")
    (tmp_path / "nan.safetensors").write_bytes(whole[:-4] + np.float32(np.nan).tobytes())
    assert "is not of finite" in refused(tmp_path / "nan.safetensors")
    write_checkpoint(tmp_path / "grey.safetensors", build_generator("residual", width=4, blocks=1, channels=1))
    assert "only RGB to 2x" in refused(tmp_path / "grey.safetensors")
    (tmp_path / "empty").mkdir()
    assert "without checkpoints" in refused(tmp_path / "empty")
    assert "cannot be read" in refused(tmp_path / "missing.safetensors")


def test_a_run_whose_papers_are_damaged_is_refused(run_folder: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").symlink_to(run_folder / "checkpoints")
    for name, text in (("environment.json", "{"), ("environment.json", "[]"), ("config.yaml", "a: [")):
        (tmp_path / "run" / name).write_text(text)
        assert name in refused(tmp_path / "run")
        (tmp_path / "run" / name).unlink()
    last = run_folder / "checkpoints" / "step_0001234" / "ema.safetensors"
    known = provenance_of(tmp_path / "run")  # that has no papers but its checkpoints
    assert known == Provenance(tmp_path / "run" / last.relative_to(run_folder), iterations=1234)


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path, checkpoint: Path, refused: Refused) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "there.onnx").write_text("somebody's")
    places = {"folder.onnx": "is a folder", "there.onnx": "exists: replace it by --overwrite", "model.bin": "ends in",
              "no/where.onnx": "there is no folder", "x" * 300 + ".onnx": "ile name too long"}  # fmt: skip
    for name, says in places.items():
        assert says in refused(checkpoint, tmp_path / name)
    assert "is a folder" in refused(checkpoint, tmp_path / "folder.onnx", "--overwrite")


@pytest.mark.parametrize(("option", "value"), [("--name", ""), ("--licence", "x" * 201), ("--model-version", "1" * 41)])
def test_what_a_promise_cannot_say_is_refused(
    option: str, value: str, tmp_path: Path, checkpoint: Path, refused: Refused
) -> None:
    assert f"{option}: " in refused(checkpoint, tmp_path / "a.onnx", option, value)


@contextlib.contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Writes beyond so many bytes a file fail, as on a full disk."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("fault", ["full disk", "damaged", "interrupted"])
def test_what_cannot_be_written_whole_is_not_there(
    fault: str, tmp_path: Path, checkpoint: Path, quick: None, refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The older file of that name stays as it was."""
    write, sync = exporter._write, exporter.os.fsync  # pyright: ignore[reportPrivateUsage]
    (tmp_path / "a.onnx").write_text("an older one")

    def starved(model: ModelFile) -> None:
        with no_more_than(1000):
            write(model)

    def flip(handle: int) -> None:
        sync(handle)
        found = next(path for path in tmp_path.glob(".*") if path.is_file())
        found.write_bytes(found.read_bytes().replace(b"1.2", b"1.3").replace(b"tail", b"tali"))

    def stop(handle: int) -> None:
        raise KeyboardInterrupt

    if fault == "full disk":
        monkeypatch.setattr(exporter, "_write", starved)
        assert "is the disk full?" in refused(checkpoint, tmp_path / "a.onnx", "--overwrite")
    elif fault == "damaged":
        monkeypatch.setattr(exporter.os, "fsync", flip)
        assert "read back" in refused(checkpoint, tmp_path / "a.onnx", "--overwrite")
    else:
        monkeypatch.setattr(exporter.os, "fsync", stop)
        with pytest.raises(KeyboardInterrupt):
            export(Asked(checkpoint, tmp_path / "a.onnx", overwrite=True))
    assert tree(tmp_path) == {"a.onnx": b"an older one"}
