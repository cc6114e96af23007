"""From a checkpoint to a doubled plate in every precision that ships, in the README's own words, for both networks."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from plates import pixels

pytest.importorskip("torch")
pytest.importorskip("lmdb")

from exports import trained, write_checkpoint
from stores import halved, scene, write_rgb

from deepupscale.cli.app import invoke
from deepupscale.model_file import load_model
from deepupscale.range_compression import RangeCompression
from model.config import load

ROOT = Path(__file__).resolve().parents[1]
CURVE = RangeCompression()
SHORT = (  # one step of the first stage in place of days; the network is the preset's own
    "gan=null", "pretrain.steps=1", "pretrain.warm_up=0", "pretrain.rate=1e-9", "data.patch=32", "data.batch=1",
    "data.workers=0", "data.held_out=0.4", "validation_crops=1",
)  # fmt: skip
FURTHEST = {"f16": 1e-2, "int8": 1e-1}  # what the export allows, in the compressed range


def commands(mark: str) -> list[list[str]]:
    """The words of each command in README.md's block after ``<!-- MARK -->``."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^<!-- {mark} -->\n```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [shlex.split(line, comments=True) for line in found.splitlines()]


def picture(path: Path) -> np.ndarray:
    """Colour in the compressed range."""
    (planes,) = pixels(path)
    return np.stack([CURVE.compress(planes[name].astype(np.float32)) for name in "RGB"])


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["default", "hero"])
def test_a_network_goes_from_its_checkpoint_to_a_plate_in_every_precision(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("examples").mkdir()
    shutil.copy(ROOT / "examples" / "plate.exr", "examples")
    for seed, name in enumerate("abcd"):
        high = scene(320, 240, seed)
        write_rgb(Path("pairs", "hr", f"{name}.exr"), high)
        write_rgb(Path("pairs", "lr", f"{name}.exr"), halved(high))
    assert invoke(["pack", "pairs", "store"]) == 0
    shape = {name: int(value) for name, value in load(preset).generator.shape.items()}
    start = write_checkpoint(Path("start.safetensors"), trained("residual", 0.0005, **shape))
    made: list[Path] = []
    for words in commands("export"):
        if words[0] == "pip":
            continue
        assert words[0] == "deepupscale"
        if words[1] == "train":
            words[2] = preset
            words += [part for change in (*SHORT, f"start={start}") for part in ("--set", change)]
        assert invoke(words[1:]) == 0, f"{words}: {capfd.readouterr().err}"
        made += [Path(words[3])] if words[1] == "run" else []

    assert {load_model(path).promise.precision for path in Path().glob("*.onnx")} == {"f32", "f16", "int8"}
    assert invoke(["run", "examples/plate.exr", "plain.exr", *(f"--layer={c}=filter" for c in "RGBA")]) == 0
    whole, plain = picture(made[0]), picture(Path("plain.exr"))
    correction = np.sqrt(np.mean((whole - plain) ** 2))
    assert correction > 1e-3
    for path in made[1:]:
        away = picture(path) - whole
        assert np.abs(away).max() <= FURTHEST[path.stem.split("-")[1]] + 5e-2, path  # and what bf16 does to the first
        assert np.sqrt(np.mean(away**2)) < 0.25 * correction, path
