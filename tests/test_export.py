"""Export: the halo is measured, sizes are dynamic, the file is self-contained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from deepupscale import load_model, open_session  # noqa: E402
from export.to_onnx import measure_halo  # noqa: E402
from model.networks import ResidualGenerator  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def small() -> ResidualGenerator:
    torch.manual_seed(3)
    network = ResidualGenerator(width=8, blocks=1)
    torch.nn.init.normal_(network.tail.weight, std=0.05)
    return network.eval()


@pytest.fixture(scope="module")
def exported(small: ResidualGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network through the command, as a TD would export it."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("export")
    save_file(small.state_dict(), folder / "ema.safetensors", {"width": "8", "blocks": "1"})
    words = ["--name", "small", "--model-version", "1", "--dataset", "none", "--revision", "tests", "--iterations", "7"]
    command = [
        sys.executable,
        "-m",
        "export.to_onnx",
        str(folder / "ema.safetensors"),
        str(folder / "small.onnx"),
        *words,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["ema.safetensors", "small.onnx"]
    return folder / "small.onnx"


@pytest.mark.parametrize(("blocks", "halo"), [(1, 6), (2, 9)])
def test_the_halo_is_measured(blocks: int, halo: int) -> None:
    network = ResidualGenerator(width=4, blocks=blocks)
    assert measure_halo(network, largest=16) == halo == network.receptive_radius


def test_a_halo_that_cannot_be_measured_is_not_promised() -> None:
    with pytest.raises(ValueError, match="cannot be promised"):
        measure_halo(ResidualGenerator(width=4, blocks=2), largest=8)


def test_the_promise_says_what_was_exported(exported: Path) -> None:
    promise = load_model(exported).promise
    assert (promise.name, promise.halo, promise.training.iterations) == ("small", 6, 7)
    errors = {(v.runtime, v.precision): v.max_error for v in promise.verified}
    assert errors["openvino-cpu", "f32"] < 1e-5
    assert errors["onnxruntime-cpu", "f32"] < 1e-5


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (97, 131), (33, 257)])
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_any_size_gives_what_the_trained_network_gives(
    small: ResidualGenerator, exported: Path, size: tuple[int, int], runtime: str
) -> None:
    plate = np.random.default_rng(1).random((1, 3, *size), np.float32)
    with torch.no_grad():
        truth = small(torch.from_numpy(plate)).numpy()
    result = open_session(load_model(exported), "cpu", "f32", runtime).run({"plate": plate})["residual"]
    assert result.shape == (1, 3, 2 * size[0], 2 * size[1])
    np.testing.assert_allclose(result, truth, atol=2e-6)
