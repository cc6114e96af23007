"""The noise of HR itself: rendered once more by a stand-in for Blender whose noise is known."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import pytest

from benchmarks.render_noise import CEILING, main
from deepupscale.cli.app import invoke
from deepupscale.range_compression import RangeCompression

FAKE = Path(__file__).with_name("fake_blender.py")
NOISE = 0.01  # of the stand-in, as a share of the light


@pytest.fixture(scope="module")
def blender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("bin") / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}"\n')
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def pairs(blender: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered") / "pairs"
    given = ["--scenes", "2", "--size", "96x64", "--samples", "4", "--seed", "1", "--blender", str(blender)]
    assert invoke(["render-pairs", str(folder), *given]) == 0
    return folder


def figures(said: str) -> dict[str, tuple[float, float]]:
    rows = re.findall(r"│ (\S+) +│.*│ +([\d.]+) +│ +([\d.]+) +│", said)
    return {name: (float(two), float(ceiling)) for name, two, ceiling in rows}


def test_two_renders_differ_by_the_noise_of_both(
    pairs: Path, blender: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main([str(pairs), "--blender", str(blender)]) == 0
    found = figures(capsys.readouterr().out)
    assert set(found) == {"scene00000.0012", "scene00001.0012", "mean"}
    curve = RangeCompression()
    low, high = (float(curve.compress(0.18 * (1.0 + sign * NOISE))) for sign in (-1, 1))
    expected = -20.0 * math.log10(math.sqrt(2.0) * (high - low) / 2.0)  # at mid-grey, about which the waves lie
    for two, ceiling in found.values():
        assert two == pytest.approx(expected, abs=3.0)
        assert ceiling - two == pytest.approx(CEILING, abs=0.011)


def test_the_pairs_are_left_alone(pairs: Path, blender: Path) -> None:
    before = {path: path.read_bytes() for path in pairs.rglob("*") if path.is_file()}
    assert main([str(pairs), "--limit", "1", "--blender", str(blender)]) == 0
    assert {path: path.read_bytes() for path in pairs.rglob("*") if path.is_file()} == before


def test_what_the_generator_did_not_make_is_refused(
    pairs: Path, blender: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = (pairs / "manifest.jsonl").read_text()
    (tmp_path / "manifest.jsonl").write_text(told.replace('"kind":', '"sort":'))
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), "--blender", str(blender)])
    assert ended.value.code == 2
    assert "scene00000.0012: is none of the generator" in capsys.readouterr().err


def test_a_blender_that_falls_over_is_reported(
    pairs: Path, blender: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_BLENDER", '{"1": "crash"}')
    with pytest.raises(SystemExit) as ended:
        main([str(pairs), "--blender", str(blender)])
    assert ended.value.code == 2
    assert "scene00001.0012: Blender ended" in capsys.readouterr().err


def test_a_limit_below_nought_is_refused(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(pairs), "--limit", "-1"])
    assert "--limit -1: name a number from 1" in capsys.readouterr().err
