"""Training the feature network: it learns, goes on exactly, keeps normals right, and refuses what cannot be."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import tree
from stores import ALBEDO, DEPTH, NORMAL, RGB, make_store

pytest.importorskip("lmdb")

import lmdb
from safetensors import safe_open

from deepupscale.cli.app import app, invoke
from deepupscale.errors import WriteError
from model import snapshots, train_features
from model.aov_validator import aov_fields, truth
from model.checkpoint import load_aov_features
from model.config import FeatureConfig, LossConfig, TrainConfig, WeightsConfig, dump, load
from model.loader import Batch, batches, patches_of
from model.meter import Pace
from model.objective import Objective
from model.pack import PackOptions, pack
from model.steps import Slice, TrainingError
from model.store import Store
from model.train_features import Outcome, feature_config, run_folder

PAIRS = Path(__file__).with_name("pairs")
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "training.md"
TINY: dict[str, Any] = {"steps": 6, "batch": 2, "patch": 32, "width": 4, "levels": 2, "held_out": 0.4, "workers": 0}
GIVEN = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store"
    pack([PAIRS], place, PackOptions(), lambda *_: None)
    return place


def tiny(store: Path, **changes: Any) -> TrainConfig:
    return feature_config(store, **{**TINY, **changes})


def train(config: TrainConfig, out: Path, steps: int | None = None, **options: Any) -> Outcome:
    return train_features.train_features(config, out, Slice(steps), device="cpu", **options)


def weights(out: Path) -> dict[str, dict[str, Any]]:
    """Of the last checkpoint, by group, and of the result."""
    return snapshots.read(snapshots.steps(run_folder(out) / "checkpoints")[-1])[0] | {
        "out": load_aov_features(out).state_dict()
    }


def assert_same(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys() == {"features", "ema", "optimiser", "random", "out"}
    for group, tensors in a.items():
        assert tensors.keys() == b[group].keys()
        for name, tensor in tensors.items():
            assert torch.equal(tensor, b[group][name]), f"{group} {name}"


def metrics(out: Path, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (run_folder(out) / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def test_two_steps_make_a_network_that_the_feature_loss_takes(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "features.safetensors"
    done = train(tiny(store, steps=2), out)
    assert (done.progress.step, done.progress.skipped, done.seen) == (2, 0, False)
    assert load_aov_features(out).shape == {"width": 4, "levels": 2, "channels": 3}
    assert out.stat().st_mode & 0o777 == 0o644
    with safe_open(out, framework="pt") as file:
        said = file.metadata()
    assert (said["dataset"], said["steps"]) == (Store(store).dataset, "2 of 2")
    assert json.loads(said["figures"])["albedo"] == pytest.approx(done.scores.albedo, abs=1e-6)
    assert {path.name for path in out.parent.iterdir()} == {"features.safetensors", "features.run"}

    objective = Objective(LossConfig(feature=FeatureConfig(source="aov", file=out)), None, torch.device("cpu"))
    hr = torch.rand(1, 3, 32, 32)
    sr = (hr + 0.1 * torch.rand_like(hr)).requires_grad_()
    batch = Batch(torch.rand(1, 3, 32, 32), hr, hr, {})
    only = WeightsConfig(fidelity=0.0, colour_shift=0.0, feature=1.0, adversarial=0.0)
    objective.generator(only, sr, batch).value.backward()
    assert sr.grad is not None
    assert sr.grad.abs().sum() > 0.0
    assert objective.generator(only, hr, batch).value.item() == 0.0


def test_some_tens_of_steps_learn_something(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_features, "LOG_EVERY", 1)
    config = tiny(store, steps=80, batch=4, rate=1e-2, width=8)
    config = config.model_copy(update={"precision": "f32", "ema": 0.9})
    told: list[Pace] = []
    done = train(config, tmp_path / "features.safetensors", tell=told.append)
    losses = [pace.figures["loss"] for pace in told]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    assert done.scores.albedo < done.baseline.albedo
    assert done.scores.normal_mean < 0.8 * done.baseline.normal_mean
    line = metrics(tmp_path / "features.safetensors", "validation")[-1]
    assert line["normal median"] == done.scores.normal_median
    assert line["normal median of constants"] == done.baseline.normal_median


@pytest.mark.parametrize("cuts", [(4,), (1, 2, 2)])
def test_slices_end_in_the_very_bits_of_one_run(store: Path, tmp_path: Path, cuts: tuple[int, ...]) -> None:
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    a = train(tiny(store), whole)
    for number, steps in enumerate(cuts):
        assert train(tiny(store), cut, steps, resume=number > 0).progress.step == sum(cuts[: number + 1])
    b = train(tiny(store), cut, resume=True)
    assert (a.progress.step, a.scores) == (b.progress.step, b.scores)
    assert_same(whole, cut)
    assert train(tiny(store), cut, resume=True).scores == a.scores, "nothing is left to do"


def test_sigterm_stops_after_the_step_and_the_rest_is_as_it_would_have_been(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_features, "LOG_EVERY", 3)
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    train(tiny(store), whole)
    before = signal.getsignal(signal.SIGTERM)
    done = train(tiny(store), cut, tell=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert done.progress.step == 3
    assert load_aov_features(cut).shape["width"] == 4
    assert signal.getsignal(signal.SIGTERM) == before
    train(tiny(store), cut, resume=True)
    assert_same(whole, cut)


def test_a_slice_of_no_time_does_one_step_and_keeps_it(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.safetensors"
    assert train_features.train_features(tiny(store), out, Slice(minutes=0.0), device="cpu").progress.step == 1
    assert [path.name for path in snapshots.steps(run_folder(out) / "checkpoints")] == ["step_0000001"]


def test_steps_that_are_not_finite_change_nothing_and_then_end_the_run(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = tmp_path / "features.safetensors", tmp_path / "other.safetensors"
    train(tiny(store), out, steps=2)
    before, real = weights(out), train_features.aov_loss
    monkeypatch.setattr(train_features, "aov_loss", lambda *both: real(*both) * float("nan"))
    done = train(tiny(store), out, steps=2, resume=True)
    assert (done.progress.step, done.progress.skipped) == (4, 2)
    after = weights(out)
    assert all(torch.equal(tensor, after[group][name]) for group in before for name, tensor in before[group].items())
    with pytest.raises(TrainingError, match="3 steps in a row up to 3 were not finite"):
        train(tiny(store).model_copy(update={"nonfinite_steps": 3}), other)
    assert not other.exists()


def planted(folder: Path, side: int = 96, radius: float = 200.0) -> Path:
    """A sphere that fills the picture; sides in LR pixels, the radius in HR pixels. Albedo tells where a pixel was."""

    def level(scale: int) -> dict[str, Any]:
        rows, columns = np.mgrid[0 : side * scale, 0 : side * scale] + 0.5
        right, up = ((place / (side * scale) - 0.5) * 2 * side / radius for place in (columns, side * scale - rows))
        normal = np.stack((right, up, np.sqrt(1.0 - right**2 - up**2)), axis=2)
        albedo = np.stack((right, up, np.zeros_like(up)), axis=2) + 0.5
        rgb = albedo * 0.4
        return {
            "rgb": rgb.astype("<f2"), "N": normal.astype("<f2"), "albedo": albedo.astype("<f2"),
            "Z": np.full((*rows.shape, 1), 7.5, "<f4"),
        }  # fmt: skip

    names = ("a.0001", "b.0001")
    return make_store(folder, [(name, level(1), level(2)) for name in names], (RGB, NORMAL, DEPTH, ALBEDO))


def test_normals_stay_those_of_the_sphere_when_it_is_mirrored_and_colour_leaves_the_labels_alone(
    tmp_path: Path,
) -> None:
    """To the right the normal's x must grow, upwards its y; where the pixels were is read off the albedo."""
    config = tiny(planted(tmp_path / "store"), held_out=0.0, batch=16)
    store = Store(config.data.store)
    fields = aov_fields(store)
    batch = next(batches(patches_of(config, store, [0, 1], fields), 0, 1))
    labels = truth(batch.aovs, fields)
    normal = labels.normal
    across, down = normal.diff(dim=3).mean(dim=(2, 3)), normal.diff(dim=2).mean(dim=(2, 3))
    wanted = torch.full((16,), 1.0 / 200.0)
    torch.testing.assert_close(across[:, 0], wanted, rtol=0.02, atol=0.0)
    torch.testing.assert_close(down[:, 1], -wanted, rtol=0.02, atol=0.0)
    torch.testing.assert_close(across[:, 1], 0.0 * wanted, rtol=0.0, atol=1e-4)

    # Some are mirrored, none is turned, and pictures move with their labels: both x and y keep |albedo - 0.5|.
    ways = {
        tuple(np.round(np.sign(a) * (np.abs(a) > 1e-3)) for a in row)
        for row in labels.albedo.diff(dim=3).mean((2, 3))[:, :2].tolist()
    }
    assert ways == {(1.0, 0.0), (-1.0, 0.0)}
    assert (labels.albedo[:, 1].diff(dim=1).mean((1, 2)) < 0.0).all()
    place = (labels.albedo[:, :2] - 0.5).square().sum(dim=1)
    torch.testing.assert_close(normal[:, :2].square().sum(dim=1), place, rtol=0.0, atol=4e-3)

    # The beauty was 0.4 of the albedo before its exposure: that moved, the labels did not.
    assert batch.hr.mean(dim=(1, 2, 3)).std() > 0.02
    assert labels.albedo.min() >= 0.0
    assert labels.albedo[:, 2].sub(0.5).abs().max() == 0.0
    assert torch.equal(labels.log_depth, torch.full_like(labels.log_depth, np.log(np.float32(7.5))))


def test_the_verb_says_its_pace_what_it_scores_and_where_things_are(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["train-features", str(store), "f.safetensors", *GIVEN, "--device=cpu"]
    assert invoke([*given, "--minutes=0"]) == 0
    out = capsys.readouterr().out
    assert "1 of 6 steps done; checkpoints in f.run/checkpoints" in out
    assert invoke([*given, "--resume"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("[6/6] features ")
    assert "it/s" in out[0]
    assert "waiting for data" in out[0]
    assert "left: loss " in out[0]
    assert re.match(r"\[6/6\] validation: albedo L1 \d\.\d+, normal \d+\.\d degrees off", out[1])
    assert out[2] == "6 of 6 steps done; checkpoints in f.run/checkpoints"
    assert out[3].startswith("f.safetensors: on held-out pairs: albedo L1 ")
    assert "(constants: albedo L1 " in out[3]


Prepare = Callable[[Path], None]


def nothing(_: Path) -> None:
    """As it is."""


def file(name: str) -> Prepare:
    def write(folder: Path) -> None:
        (folder / name).write_text("mine")

    return write


def foreign_run(folder: Path) -> None:
    (folder / "f.run").mkdir()
    (folder / "f.run" / "letters.txt").write_text("mine")


def another_run(folder: Path) -> None:
    foreign_run(folder)
    (folder / "f.run" / "config.yaml").write_text(dump(load("default", ["data.store=nowhere"])))


def begun(folder: Path) -> None:
    foreign_run(folder)
    file("f.run/config.yaml")(folder)


@pytest.mark.parametrize(
    ("prepare", "given", "says"),
    [
        (nothing, ["f.pt"], "f.pt: is no .safetensors file: name one, as in features.safetensors"),
        (lambda folder: (folder / "f.safetensors").mkdir(), [], "f.safetensors: is a folder: name a .safetensors file"),
        (file("f.safetensors"), [], "f.safetensors: exists: --overwrite replaces it, --resume goes on with its run"),
        (begun, [], "f.run: is not empty: --resume goes on with its run, --overwrite begins anew"),
        (foreign_run, ["--overwrite"], "f.run: is no run of train-features, so it is not removed: name another file"),
        (another_run, ["--overwrite"], "f.run: is no run of train-features, so it is not removed"),
        (another_run, ["--resume"], "f.run: was begun with "),
        (nothing, ["--resume"], "f.run: holds no run to go on with: leave out --resume"),
        (nothing, ["--resume", "--overwrite"], "--resume goes on, --overwrite begins anew: use one of them"),
        (nothing, ["--device=tpu"], "--device tpu: use auto, cpu or cuda"),
        (nothing, ["--patch=33"], "--patch 33: Input should be a multiple of 2"),
        (nothing, ["--rate=0"], "--rate 0.0: Input should be greater than 0"),
        (nothing, ["--levels=7"], "--levels"),
        (nothing, ["--patch=512"], "none has 256 LR pixels a side"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    prepare: Prepare, given: list[str], says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    before = tree(tmp_path)
    out = [] if given and not given[0].startswith("--") else ["f.safetensors"]
    assert invoke(["train-features", str(store), *GIVEN, "--device=cpu", *out, *given]) == 2
    assert_one_line(capsys, says)
    assert tree(tmp_path) == before


def assert_one_line(capsys: pytest.CaptureFixture[str], *says: str) -> None:
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("deepupscale: error: ")
    for words in says:
        assert words in err


def test_a_store_without_the_labels_says_which_and_how_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack([PAIRS], tmp_path / "store", PackOptions(aovs=("Z",)), lambda *_: None)
    assert invoke(["train-features", str(tmp_path / "store"), str(tmp_path / "f.safetensors"), *GIVEN]) == 2
    wanted = "has no albedo and no normal (fields: rgb, Z)"
    ways = "render-pairs --aovs albedo,normal,depth", "pack --aovs albedo,N,Z"
    assert_one_line(capsys, str(tmp_path / "store"), wanted, *ways)
    assert not (tmp_path / "f.run").exists()


def test_a_store_that_is_not_there_or_of_another_version_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "f.safetensors")
    assert invoke(["train-features", str(tmp_path / "gone"), out]) == 2
    assert_one_line(capsys, "gone: there is no such store: make it with deepupscale pack")
    later = planted(tmp_path / "later", side=32)
    with lmdb.open(str(later), map_size=1 << 28, lock=False) as environment, environment.begin(write=True) as edited:
        edited.put(b"meta", json.dumps({**json.loads(edited.get(b"meta") or b""), "version": 3}).encode())
    assert invoke(["train-features", str(later), out]) == 2
    assert_one_line(capsys, "is a store of version 3, this deepupscale reads 2: pack it again")


@pytest.mark.parametrize("package", ["lmdb", "safetensors", "tensorboard", "torch", "yaml"])
def test_a_missing_package_is_named(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert invoke(["train-features", str(store), str(tmp_path / "f.safetensors")]) == 2
    assert_one_line(capsys, f"deepupscale train-features needs the package {package}: pip install 'deepupscale[train]'")


def test_one_process_is_enough(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert invoke(["train-features", str(store), str(tmp_path / "f.safetensors"), *GIVEN]) == 2
    assert_one_line(capsys, "runs in one process: start it without torchrun")


def test_a_run_is_not_mixed_with_another_and_begins_anew_when_asked(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "f.safetensors"
    given = ["train-features", str(store), str(out), *GIVEN, "--device=cpu"]
    train(tiny(store), out, steps=2)
    before = tree(tmp_path)
    assert invoke([*given, "--resume", "--batch=3"]) == 2
    assert_one_line(capsys, "was begun with data.batch 2, now 3 is asked for")
    assert invoke([*given, "--overwrite", "--patch=512"]) == 2
    assert tree(tmp_path) == before, "a refusal removes nothing"
    (tmp_path / "f.txt").write_text("mine")
    assert train(tiny(store, steps=1, seed=2), out, overwrite=True).progress.step == 1
    assert [path.name for path in snapshots.steps(run_folder(out) / "checkpoints")] == ["step_0000001"]
    assert (tmp_path / "f.txt").read_text() == "mine"


def test_a_result_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "f.safetensors"
    snapshots.write_tensors(out, {"a": torch.ones(3)})
    before = tree(tmp_path)

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots, "_finish", full)
    with pytest.raises(WriteError, match=r"f\.safetensors: cannot be written: .*is the disk full\?"):
        snapshots.write_tensors(out, {"a": torch.zeros(3)})
    assert tree(tmp_path) == before


def test_every_option_is_in_the_documents() -> None:
    import typer.main

    text = DOCUMENT.read_text(encoding="utf-8")
    section = text[text.index("## Feature network") : text.index("## Pruning")]
    command = typer.main.get_command(app).commands["train-features"]  # pyright: ignore[reportAttributeAccessIssue]
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert options <= set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))
    defaults = dict(re.findall(r"^\| `(--[a-z-]+) [A-Z]+` \| .*\(([0-9.]+)\)", section, re.MULTILINE))
    assert {p.opts[0]: p.default for p in command.params if p.opts[0] in defaults} == {
        option: pytest.approx(float(value)) for option, value in defaults.items()
    }
    assert len(defaults) == 9
