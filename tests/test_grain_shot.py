"""The static shot with grain: what its frames hold, and that an evaluation takes them for one shot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from plates import pixels, write_plate

from benchmarks.grain_shot import grain, main
from deepupscale.cli.app import invoke

FRAMES = 3


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    level = np.full((160, 180), 0.5, np.float16)
    level[:, 90:] = 4.0
    plate = write_plate(tmp_path / "plate.exr", dict.fromkeys("RGB", level))
    assert main([str(plate), str(tmp_path / "shot"), "--frames", str(FRAMES), "--grain", "0.04", "--side", "128"]) == 0
    return tmp_path / "shot"


def test_grain_has_no_mean_and_a_deviation_of_one() -> None:
    noise = grain((256, 256, 3), np.random.default_rng(0))
    assert abs(float(noise.mean())) < 0.02
    assert float(noise.std()) == pytest.approx(1.0, abs=0.02)


def test_every_frame_has_grain_of_its_own_that_lr_shares(shot: Path) -> None:
    high = [pixels(path)[0] for path in sorted((shot / "hr").iterdir())]
    low = [pixels(path)[0] for path in sorted((shot / "lr").iterdir())]
    assert len(high) == len(low) == FRAMES
    first, second = (each["G"].astype(np.float32) for each in high[:2])
    assert first.shape == (128, 128)
    assert float((first / np.where(first > 1.5, 4.0, 0.5)).std()) == pytest.approx(0.04, rel=0.1)
    assert float(np.corrcoef(first[:, :60].ravel(), second[:, :60].ravel())[0, 1]) < 0.1
    reduced = first.reshape(64, 2, 64, 2).mean(axis=(1, 3))[8:-8, 4:26]
    assert float(np.corrcoef(reduced.ravel(), low[0]["G"].astype(np.float32)[8:-8, 4:26].ravel())[0, 1]) > 0.8
    assert not high[0]["backward.u"].any()


def test_an_evaluation_measures_its_shimmer(shot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["evaluate", "--pairs", str(shot), "--model", "none", "--baseline", "lanczos3", "--report"]
    assert invoke([*given, str(tmp_path / "report")]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert "shimmer" in json.dumps(report)
    capsys.readouterr()


def test_what_is_there_is_kept(shot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in shot.rglob("*.exr")}
    assert main([str(shot / "hr" / "shot.0001.exr"), str(shot)]) == 2
    assert "holds pairs already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in shot.rglob("*.exr")} == before
