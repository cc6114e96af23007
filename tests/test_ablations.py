"""The ablations: each variant changes what it says and nothing else, and the table tells signal from noise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("lmdb")

from benchmarks import ablations
from benchmarks.ablations import AS_IT_IS, VARIANTS, configs, folder_of
from deepupscale.errors import UsageError
from model.pack import PackOptions, pack
from model.run_state import Progress

PAIRS = Path(__file__).with_name("pairs")


def flat(document: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return found


def test_a_variant_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    made = {
        name: flat(config.model_dump(mode="json"))
        for name, config in configs("fidelity", tmp_path, 9, [3, 5], []).items()
    }
    assert len(made) == 2 * len(VARIANTS)
    assert max(map(len, made)) <= 40  # what a table of contenders takes for a name
    base = made[folder_of(AS_IT_IS, 3)]
    assert base["gan"] is None
    changed = {
        variant: {key for key, value in made[folder_of(variant, 3)].items() if value != base[key]} - {"name"}
        for variant in VARIANTS
    }
    assert changed == {
        AS_IT_IS: set(),
        "no colour-shift loss": {"pretrain.weights.colour_shift"},
        "whole colour shift": {"loss.colour_shift.beyond_floor"},
        "whole compressed colour shift": {"loss.colour_shift.beyond_floor", "loss.colour_shift.domain"},
        "no augmentation": {f"data.augmentation.{key}" for key in ("flips", "rotations", "shift", "exposure")},
        "no importance sampling": {"data.importance"},
        "fidelity in linear light": {"loss.domain"},
    }
    other = made[folder_of(AS_IT_IS, 5)]
    assert {key for key, value in other.items() if value != base[key]} == {"name", "seed"}


def test_it_runs_goes_on_and_prints_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pack([PAIRS], tmp_path / "store", PackOptions(), lambda *_: None)
    kept = (AS_IT_IS, "fidelity in linear light")
    monkeypatch.setattr(ablations, "VARIANTS", {name: VARIANTS[name] for name in kept})
    given = [str(tmp_path / "store"), "--pairs", str(PAIRS), "--runs", str(tmp_path / "runs"), "--steps", "3"]
    for change in ("data.patch=32", "data.batch=2", "data.workers=0", "data.held_out=0.4", "pretrain.warm_up=1"):
        given += ["--set", change]
    given += ["--set", "generator.shape={width: 4, blocks: 1}", "--set", "validation_crops=1"]
    ablations.main(given)
    first = capsys.readouterr().out
    assert "[4/4] fidelity-in-linear-light-2: 3 steps, 0 skipped" in first
    (row,) = [line for line in first.splitlines() if line.startswith("| fidelity in linear light |")]
    cells = row.strip("| ").split(" | ")[1:]
    assert len(cells) == len(ablations.SHOWN)
    for cell in cells:
        least, most = map(float, re.findall(r"[+-]\d+\.\d+", cell))
        assert least <= most
    assert "| lanczos3 | " in first
    state = tmp_path / "runs" / "as-the-preset-1" / "checkpoints" / "step_0000003" / "ema.safetensors"
    before = state.stat().st_mtime_ns
    ablations.main(given)
    assert capsys.readouterr().out.splitlines()[-3:] == first.splitlines()[-3:]
    assert state.stat().st_mtime_ns == before  # nothing was trained again


def test_a_wrong_override_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.bach"):
        configs("fidelity", tmp_path, 2, [1], ["data.bach=3"])


def test_a_run_that_was_stopped_stops_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablations, "train", lambda *_: Progress(step=5))
    with pytest.raises(SystemExit, match="goes on"):
        ablations.run_all(configs("fidelity", tmp_path, 9, [1], []), tmp_path, "cpu")
