"""The training script: a few steps on procedural pictures alone, and an exact continuation."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load_file  # noqa: E402

from model.checkpoint import load_generator  # noqa: E402
from model.train_psnr import arguments, learning_rate, train  # noqa: E402


@pytest.fixture(autouse=True)
def keep_torch_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def options(out, *more):
    size = "--patch=16 --batch=2 --procedural=2 --width=8 --blocks=1 --threads=1 --minutes=1000"
    return arguments([f"--out={out}", *size.split(" "), *more])


def test_a_resumed_run_equals_one_that_was_never_stopped(tmp_path):
    assert train(options(tmp_path / "whole", "--steps", "4")).step == 4
    train(options(tmp_path / "slices", "--steps", "2"))
    progress = train(options(tmp_path / "slices", "--steps", "2", "--resume"))
    assert (progress.step, progress.skipped) == (4, 0)
    assert json.loads((tmp_path / "slices" / "state.json").read_text())["step"] == 4
    whole, slices = (load_file(tmp_path / run / "ema.safetensors") for run in ("whole", "slices"))
    assert whole.keys() == slices.keys()
    for name, tensor in whole.items():
        # The rate follows the clock, so two runs differ by microseconds of warm-up.
        torch.testing.assert_close(tensor, slices[name], rtol=1e-2, atol=1e-5)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_checkpoint_says_the_shape_of_its_network(tmp_path):
    train(options(tmp_path, "--steps", "1"))
    assert load_generator(tmp_path / "ema.safetensors").receptive_radius == 6


def test_the_rate_rises_holds_and_ends_at_zero():
    rates = [learning_rate(f, 1.0) for f in (0.0, 0.1, 0.5, 0.75, 1.0, 1.1)]
    assert 0.0 < rates[0] < 0.05
    assert rates[1:3] == [1.0, 1.0]
    assert rates[3:] == [0.5, 0.0, 0.0]
