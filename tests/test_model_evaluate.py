"""Evaluation: whole pictures by tiles, and a table that says what was seen in training."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
oiio = pytest.importorskip("OpenImageIO")

from safetensors.torch import save_file  # noqa: E402

from model import evaluate  # noqa: E402
from model.networks import ResidualGenerator  # noqa: E402
from model.procedural import procedural_image  # noqa: E402
from model.validation import psnr  # noqa: E402


@pytest.fixture
def network():
    torch.manual_seed(5)
    small = ResidualGenerator(width=8, blocks=1)
    torch.nn.init.normal_(small.tail.weight, std=0.1)
    return small


def test_tiles_leave_no_seams(network, monkeypatch):
    plate = np.random.default_rng(0).random((40, 30, 3), np.float32)
    whole = evaluate.upscaled(network, plate)
    monkeypatch.setattr(evaluate, "TILE", 16)
    assert whole.shape == (80, 60, 3)
    np.testing.assert_allclose(evaluate.upscaled(network, plate), whole, rtol=0, atol=1e-5)


def test_psnr_of_a_known_error():
    truth = np.zeros((4, 4, 3), np.float32)
    assert psnr(truth + np.float32(0.1), truth) == pytest.approx(20.0, abs=1e-4)
    assert psnr(truth, truth) == float("inf")


def test_an_untrained_network_scores_as_cubic_and_only_held_out_plates_are_scored(tmp_path, capsys):
    for name in ("ScanLines_StillLife", "Beachball_singlepart.0004", "Street"):
        out = oiio.ImageOutput.create(str(tmp_path / f"{name}.exr"))
        assert out.open(str(tmp_path / f"{name}.exr"), oiio.ImageSpec(65, 64, 3, "float"))
        assert out.write_image(np.ascontiguousarray(np.pad(procedural_image(3, 64), ((0, 0), (0, 1), (0, 0)))))
        out.close()
    checkpoint = tmp_path / "ema.safetensors"
    save_file(ResidualGenerator(width=8, blocks=1).state_dict(), checkpoint, {"width": "8", "blocks": "1"})
    evaluate.main(["--checkpoint", str(checkpoint), "--plates", str(tmp_path), "--crops", str(tmp_path / "crops")])
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert {r["plate"] for r in report["results"]} == {"ScanLines_StillLife.exr", "Beachball_singlepart.0004.exr"}
    assert [r["same_shot"] for r in report["results"]] == [True, True, False, False]
    for result in report["results"]:
        assert result["psnr"]["ours"] == pytest.approx(result["psnr"]["cubic"], abs=1e-6)
        assert (result["width"], result["height"]) == (64, 64)
    assert report["slow_ramp"]["max |residual| bfloat16"] == 0.0
    assert "Beachball_singlepart.0004.exr *" in capsys.readouterr().out
