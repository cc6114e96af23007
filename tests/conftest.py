"""What the tests share: a tiny model, an engine on it, the command, and the folder of real plates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepupscale import Engine, Settings, load_model, open_session
from deepupscale.cli.app import invoke
from deepupscale.fields import Kind
from deepupscale.model_file import promise_of
from deepupscale.model_store import ENVIRONMENT
from deepupscale.promise import METADATA_KEY, Input, LogTransfer, Output, Promise, Training, Verification

pytest.register_assert_rewrite("plates")
from commands import FRAME_FAILED, Command, Refuse, RunScript, Said, tree  # noqa: E402 (after the rewriting is asked for)
from plates import SHARED  # noqa: E402

WIDTH, HALO = 8, 3  # three 3x3 convolutions reach three pixels


def tiny_promise(name: str = "tiny") -> Promise:
    """The promise of :func:`write_tiny_model`."""
    colour, curve = ("R", "G", "B"), LogTransfer()
    return Promise(
        task="upscale",
        name=name,
        model_version="1",
        licence="Apache-2.0",
        inputs=(Input(name="plate", field=Kind.COLOUR, channels=colour, transfer=curve, scale=1),),
        outputs=(
            Output(name="residual", field=Kind.COLOUR, channels=colour, transfer=curve, scale=2, residual_over="plate"),
        ),
        halo=HALO,
        training=Training(dataset="none: random weights", code_revision="tests", iterations=0),
        verified=(
            Verification(precision="f32", runtime="reference", max_error=0.0),
            Verification(precision="bf16", runtime="reference", max_error=0.0),
        ),
    )


def write_tiny_model(path: Path, promise: str | None, seed: int = 0) -> Path:
    """An ONNX file of three small convolutions and DepthToSpace; ``promise`` is the JSON to store, None for none."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    nodes, weights, at = [], [], "plate"
    for i, (inside, outside) in enumerate(((3, WIDTH), (WIDTH, WIDTH), (WIDTH, 12))):
        kernel = rng.normal(0.0, 0.6 / np.sqrt(9 * inside), (outside, inside, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{i}"))
        nodes.append(helper.make_node("Conv", [at, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        at = f"c{i}"
        if i < 2:
            nodes.append(helper.make_node("Relu", [at], [f"r{i}"]))
            at = f"r{i}"
    nodes.append(helper.make_node("DepthToSpace", [at], ["residual"], blocksize=2, mode="CRD"))
    plate = helper.make_tensor_value_info("plate", TensorProto.FLOAT, [1, 3, "h", "w"])
    residual = helper.make_tensor_value_info("residual", TensorProto.FLOAT, [1, 3, "h2", "w2"])
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", [plate], [residual], weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    if promise is not None:
        helper.set_model_props(model, {METADATA_KEY: promise})
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Path]:
    """:func:`write_tiny_model`, for tests that want other promises or weights."""
    return write_tiny_model


@pytest.fixture(scope="session")
def promise_json() -> Callable[..., str]:
    """The tiny model's promise as JSON, with fields replaced or added."""
    return lambda **changes: json.dumps({**json.loads(tiny_promise().to_json()), **changes})


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small valid model file."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", tiny_promise().to_json())


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Path]]:
    """Makes folders of these names, and makes them the studio's, in this order; the current folder is another one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def make(*names: str, extra: tuple[str, ...] = ()) -> list[Path]:
        folders = [tmp_path / name for name in names]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        monkeypatch.setenv(ENVIRONMENT, os.pathsep.join([*map(str, folders), *extra]))
        return folders

    make()
    return make


@pytest.fixture
def other_model(tmp_path: Path, make_model: Callable[..., Path], tiny_model: Path) -> Path:
    """Another model than the tiny one, of the same size."""
    return make_model(tmp_path / "other.onnx", promise_of(tiny_model).to_json(), seed=1)


@pytest.fixture(scope="session")
def make_engine(tiny_model: Path) -> Callable[..., Engine]:
    """Engines with the tiny model on the CPU in f32; arguments are those of ``Settings``."""
    model = load_model(tiny_model)
    session = open_session(model, "cpu", "f32", threads=2)
    return lambda **settings: Engine(model, session, Settings(**settings))


@pytest.fixture(scope="session")
def engine(make_engine: Callable[..., Engine]) -> Engine:
    """An engine with the tiny model and default settings."""
    return make_engine()


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of real plates beside the repository; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the real plates are not here: no folder {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def script() -> list[str]:
    """How the installed command is started."""
    return [str(Path(sys.executable).with_name("deepupscale"))]


@pytest.fixture(scope="session")
def run_script(script: list[str]) -> RunScript:
    """Runs the installed command to its end; its output as text."""

    def run(*arguments: object, timeout: float = 120.0, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*script, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False, **options
        )

    return run


@pytest.fixture(params=["in process", "script"])
def command(
    request: pytest.FixtureRequest, run_script: RunScript, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Command:  # fmt: skip
    """The command in both ways, in an empty folder: arguments to exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def script(*arguments: object) -> Said:
        done = run_script(*arguments)
        return done.returncode, done.stdout, done.stderr

    def here(*arguments: object) -> Said:
        capsys.readouterr()
        code = invoke([str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return script if request.param == "script" else here


@pytest.fixture
def run(command: Command, tiny_model: Path) -> Command:
    """``deepupscale run`` with the tiny model on the CPU."""
    fixed = ("--model", tiny_model, "--device", "cpu", "--precision", "f32", "--threads", 1)
    return lambda *arguments: command("run", *fixed, *arguments)


@pytest.fixture
def refuse(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Refuse:
    """Runs the command in ``tmp_path``, checks all that every refusal must hold to, and returns its one line."""
    monkeypatch.chdir(tmp_path)

    def check(code: int, *arguments: object, says: tuple[str, ...] = (), model: Path = tiny_model) -> str:
        given = [str(a) for a in arguments]
        if "--model" not in given:
            given += ["--model", str(model)]
        if "--device" not in given:
            given += ["--device", "cpu"]
        before = tree(tmp_path)
        capsys.readouterr()
        assert invoke(["run", *given]) == code
        out, err = capsys.readouterr()
        lines = (out + err).splitlines()
        assert len(lines) == 1, lines
        assert lines == (out if code == FRAME_FAILED else err).splitlines(), "the line is on the wrong stream"
        assert lines[0].startswith("[1/1] failed " if code == FRAME_FAILED else "deepupscale: error: ")
        assert len(lines[0]) < 1100
        for word in says:
            assert word in lines[0]
        assert tree(tmp_path) == before
        return lines[0]

    return check
