"""The way from a studio's renders to its model, as docs/studio.md tells it: every command is run, in order."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from plates import write_plate

pytest.importorskip("torch")
pytest.importorskip("lmdb")

from deepupscale.cli.app import invoke
from deepupscale.model_file import load_model

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "studio.md"
SMALLER = (  # what makes a minute of days; all else is as on the page
    "start=null", "data.patch=32", "data.batch=2", "data.workers=0", "data.held_out=0.4", "validation_crops=2",
    "pretrain.steps=3", "pretrain.warm_up=1", "generator.shape={width: 32, blocks: 1}",
)  # fmt: skip


def blocks(kind: str) -> list[str]:
    """What stands in the page's blocks of a kind, from top to bottom."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    return [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]


def test_the_configuration_on_the_page_is_one_and_begins_with_what_fits() -> None:
    from model.config import TrainConfig
    from model.networks import build_generator
    from model.start import weights_for

    (text,) = blocks("yaml")
    config = TrainConfig.model_validate(yaml.safe_load(text))
    assert config.start is not None
    weights_for(build_generator(config.generator.name, **config.generator.shape), config.start)


def test_every_command_on_the_page_works_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for side in ("lr", "hr"):
        shutil.copytree(ROOT / "tests" / "pairs" / side, tmp_path / "renders" / side)
    (tmp_path / "studio.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    rng = np.random.default_rng(1)
    write_plate(tmp_path / "plate.exr", {name: rng.random((12, 16), np.float32) for name in "RGB"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("export.calibration.PATCHES", 24)  # the pairs of a test hold few places
    done: list[str] = []
    for words in commands():
        if words[0] == "export":
            name, value = words[1].split("=", 1)
            monkeypatch.setenv(name, value.replace("$PWD", str(Path.cwd())))
        elif words[0] == "mkdir":
            Path(words[1]).mkdir()
        elif words[0] == "deepupscale":
            given = [word if word != "0.1" else "0.4" for word in words[1:]]
            if given[0] == "train":
                given += [part for change in SMALLER for part in ("--set", change)]
            assert invoke(given) == 0, f"{words}: {capfd.readouterr().err}"
            done.append(given[0])
        else:
            assert words[:2] == ["pip", "install"], words
    assert set(done) == {
        "contact-sheet", "pack", "train", "evaluate", "export", "prune", "models", "info", "run",
    }  # fmt: skip
    assert load_model("studio").promise.name == "studio"
    assert {path.name for path in Path("models").iterdir()} == {"studio.onnx", "studio-int8.onnx", "studio-f16.onnx"}
    assert load_model("studio-int8").promise.precision == "int8"
    assert (tmp_path / "up" / "plate.exr").is_file()
