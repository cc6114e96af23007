"""Training: both stages, exact resume, slices, several processes, and what stops a run."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import tree

pytest.importorskip("lmdb")

from deepupscale.cli.app import invoke
from deepupscale.errors import ModelError, StoreError, UsageError
from model import snapshots
from model.checkpoint import load_generator
from model.config import PRESETS, TrainConfig, load
from model.objective import Objective
from model.pack import PackOptions, pack
from model.ranks import Ranks
from model.schedule import moment, total_steps
from model.store import Store
from model.train import Slice, TrainingError, train
from model.trainer import Trainer

PAIRS = Path(__file__).with_name("pairs")
TINY = (
    "data.patch=32", "data.batch=2", "data.workers=0", "data.held_out=0.4", "generator.shape={width: 4, blocks: 1}",
    "discriminator={name: unet, shape: {width: 4}}", "pretrain.steps=4", "pretrain.warm_up=2", "validation_crops=2",
    "validate_every=3", "checkpoint_every=3",
)  # fmt: skip
OPPOSED = ("gan.steps=3", "gan.warm_up=1")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store"
    pack([PAIRS], place, PackOptions(), lambda *_: None)
    return place


def tiny(store: Path, *more: str, preset: str = "default") -> TrainConfig:
    opposed = OPPOSED if preset == "default" else ()
    return load(preset, [f"data.store={store}", *TINY, *opposed, *more])


def weights(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    return snapshots.read(snapshots.steps(run / "checkpoints")[-1])[0]


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_same(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for group, tensors in a.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, b[group][name]), f"{group} {name}"


def test_a_run_begins_with_a_checkpoint_s_weights(store: Path, tmp_path: Path) -> None:
    train(tiny(store), tmp_path / "first", Slice(steps=4), device="cpu")
    file = snapshots.steps(tmp_path / "first" / "checkpoints")[-1] / "ema.safetensors"
    begun = weights(tmp_path / "first")["ema"]
    still = ("pretrain.rate=1e-12", "weight_decay=0.0", f"start={file}")  # as good as no step
    train(tiny(store, *still), tmp_path / "second", Slice(steps=1), device="cpu")
    after = weights(tmp_path / "second")
    for name, value in begun.items():
        torch.testing.assert_close(after["generator"][name], value, rtol=0, atol=1e-6)
        torch.testing.assert_close(after["ema"][name], value, rtol=0, atol=1e-6)
    file.unlink()
    assert train(tiny(store, *still), tmp_path / "second", Slice(steps=1), resume=True, device="cpu").step == 2


def test_a_checkpoint_of_another_shape_is_refused(store: Path, tmp_path: Path) -> None:
    train(tiny(store), tmp_path / "first", Slice(steps=1), device="cpu")
    file = snapshots.steps(tmp_path / "first" / "checkpoints")[-1] / "ema.safetensors"
    wider = tiny(store, "generator.shape={width: 8, blocks: 1}", f"start={file}")
    with pytest.raises(ModelError, match=r"ema.safetensors: holds the network residual .*'width': 4.*'width': 8"):
        train(wider, tmp_path / "second", device="cpu")


@pytest.mark.parametrize("module", ["torch", "yaml", "lmdb", "safetensors", "tensorboard"])
def test_a_missing_package_is_named(
    module: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == module else found(name))
    assert invoke(["train", "default"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"deepupscale: error: deepupscale train needs the package {module}: pip install 'deepupscale[train]'"


def test_a_run_goes_on_with_its_dataset_wherever_that_lies(store: Path, tmp_path: Path) -> None:
    train(tiny(store), tmp_path / "run", Slice(steps=3), device="cpu")
    shutil.copytree(store, tmp_path / "moved")
    moved = tiny(tmp_path / "moved", "data.workers=1", "keep=1")
    assert train(moved, tmp_path / "run", Slice(steps=1), resume=True, device="cpu").step == 4
    pack([PAIRS], tmp_path / "other", PackOptions(aovs=()), lambda *_: None)
    before = tree(tmp_path / "run" / "checkpoints")
    with pytest.raises(UsageError, match=r"was begun with dataset [0-9a-f]+, the store now holds"):
        train(tiny(tmp_path / "other"), tmp_path / "run", resume=True, device="cpu")
    assert tree(tmp_path / "run" / "checkpoints") == before


def test_both_stages_run_and_the_folder_is_as_documented(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    progress = train(tiny(store), run, device="cpu")
    assert (progress.step, progress.skipped) == (7, 0)
    assert load(str(run / "config.yaml")) == tiny(store)
    assert json.loads((run / "environment.json").read_text())["dataset"] == Store(store).dataset
    assert [path.name for path in snapshots.steps(run / "checkpoints")] == [f"step_000000{n}" for n in (3, 6, 7)]
    last = [line for line in metrics(run) if line["kind"] == "train"][-1]
    assert {"fidelity", "colour_shift", "feature", "adversarial", "discriminator", "steps/s", "data wait"} <= set(last)
    crops = sorted((run / "validation" / "step_0000003").glob("*.exr"))
    assert len(crops) == 8
    assert {name.rsplit(".", 2)[1] for name in map(str, crops)} == {"lr", "sr", "hr", "error"}
    scores = json.loads((run / "validation" / "step_0000003" / "scores.json").read_text())
    assert all(score["psnr of the base"] > 15.0 for score in scores.values())
    exported = load_generator(snapshots.steps(run / "checkpoints")[-1] / "ema.safetensors")
    assert exported.shape["width"] == 4
    assert list(run.glob("events.out.tfevents*"))


@pytest.mark.parametrize("cuts", [(3,), (1, 2, 1, 2), (5, 1)])
def test_slices_end_in_the_very_bits_of_one_run(store: Path, tmp_path: Path, cuts: tuple[int, ...]) -> None:
    train(tiny(store), tmp_path / "whole", device="cpu")
    for number, steps in enumerate(cuts):
        train(tiny(store), tmp_path / "cut", Slice(steps=steps), resume=number > 0, device="cpu")
    progress = train(tiny(store), tmp_path / "cut", resume=True, device="cpu")
    assert progress.step == 7
    assert_same(tmp_path / "whole", tmp_path / "cut")
    same = [[line for line in metrics(tmp_path / name) if line["kind"] == "validation"] for name in ("whole", "cut")]
    assert same[0] == same[1]


def test_the_number_of_workers_changes_nothing(store: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        train(tiny(store, f"data.workers={workers}"), tmp_path / str(workers), device="cpu")
    assert_same(tmp_path / "0", tmp_path / "2")


@pytest.mark.slow
def test_two_processes_learn_what_one_does(store: Path, tmp_path: Path) -> None:
    given = ["default", "--device", "cpu"]
    for override in (f"data.store={store}", *TINY, *OPPOSED, "precision=f32", "gan=null"):
        given += ["--set", override]
    assert invoke(["train", *given, str(tmp_path / "one")]) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "deepupscale"]
    done = subprocess.run(
        [*command, "train", *given, str(tmp_path / "two")],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (weights(tmp_path / name)["generator"] for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=2e-3, atol=2e-5)


@pytest.mark.skipif(os.name != "posix", reason="signals of a process group")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_stops_after_the_step(store: Path, tmp_path: Path, number: int) -> None:
    given = ["train", "fidelity", str(tmp_path / "run"), "--device", "cpu"]
    for override in (f"data.store={store}", *TINY, "pretrain.steps=100000", "data.workers=1"):
        given += ["--set", override]
    running = subprocess.Popen(
        [sys.executable, "-m", "deepupscale", *given],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120.0
        while not snapshots.steps(tmp_path / "run" / "checkpoints") and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(running.pid, number)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert (running.returncode, said) == (0, "")
    assert snapshots.steps(tmp_path / "run" / "checkpoints")[-1].name > "step_0000003"


def test_a_short_run_learns_something(store: Path, tmp_path: Path) -> None:
    more = ("pretrain.steps=60", "pretrain.rate=3e-3", "validate_every=60", "checkpoint_every=60", "data.batch=4")
    weighed = ("precision=f32", "generator.shape={width: 12, blocks: 1}", "ema=0.9")
    train(tiny(store, *more, *weighed, preset="fidelity"), tmp_path / "run", device="cpu")
    last = [line for line in metrics(tmp_path / "run") if line["kind"] == "validation"][-1]
    assert last["psnr"] > last["psnr of the base"] + 0.1


@pytest.mark.parametrize(("gain", "channels"), [(8.0, 6), (0.0, 3)])
def test_the_opponent_is_shown_the_correction_unless_it_is_not(gain: float, channels: int, store: Path) -> None:
    config = tiny(store, *OPPOSED, f"loss.correction_gain={gain}")
    trainer = Trainer(config, Ranks.join("cpu"))
    assert trainer.opponent is not None
    assert trainer.opponent.state_dict()["head.weight"].shape[1] == channels
    picture, base = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    shown = Objective(config.loss, None, torch.device("cpu")).shown(picture, base)
    assert torch.equal(shown, torch.cat((picture, 8.0 * (picture - base)), 1) if gain else picture)


def test_a_crop_without_edges_leaves_the_mean_of_the_others(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = itertools.cycle((math.nan, 0.5, 0.7))
    monkeypatch.setattr("model.validator.sharpness", lambda *_: next(figures))
    more = ("pretrain.steps=1", "validate_every=1", "validation_crops=3")
    train(tiny(store, *more, preset="fidelity"), tmp_path / "run", device="cpu")
    (last,) = [line for line in metrics(tmp_path / "run") if line["kind"] == "validation"]
    assert last["sharpness"] == pytest.approx(0.6)


@pytest.mark.parametrize("name", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_every_preset_trains_two_steps(name: str, store: Path, tmp_path: Path) -> None:
    """As it is but for its size and where the pairs are; the second stage is entered."""
    more = ("pretrain.steps=1", "data.patch=32", "data.batch=1", "data.workers=0", "validation_crops=0")
    gan = ("gan.steps=1",) if load(name).gan is not None else ()
    config = load(name, [f"data.store={store}", *more, *gan])
    assert train(config, tmp_path / "run", Slice(steps=2), device="cpu").step == total_steps(config)


def test_a_slice_of_no_time_does_one_step_and_keeps_it(store: Path, tmp_path: Path) -> None:
    assert train(tiny(store), tmp_path / "run", Slice(minutes=0.0), device="cpu").step == 1
    assert [path.name for path in snapshots.steps(tmp_path / "run" / "checkpoints")] == ["step_0000001"]


def test_steps_that_are_not_finite_change_nothing_and_then_end_the_run(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny(store), tmp_path / "run", Slice(steps=2), device="cpu")
    before = weights(tmp_path / "run")
    real = Objective.generator

    def broken(self: Objective, *arguments: Any) -> Any:
        total = real(self, *arguments)
        return type(total)(total.value * float("nan"), total.parts)

    monkeypatch.setattr(Objective, "generator", broken)
    progress = train(tiny(store), tmp_path / "run", Slice(steps=2), resume=True, device="cpu")
    assert (progress.step, progress.skipped) == (4, 2)
    after = weights(tmp_path / "run")
    for group in ("generator", "ema", "optimiser"):
        assert all(torch.equal(before[group][name], after[group][name]) for name in before[group])
    with pytest.raises(TrainingError, match="2 steps in a row up to 2 were not finite"):
        train(tiny(store, "nonfinite_steps=2"), tmp_path / "other", device="cpu")


def test_a_run_is_not_mixed_with_another(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny(store), run, Slice(steps=1), device="cpu")
    before = tree(run)
    with pytest.raises(UsageError, match="is not empty: go on with its run by --resume"):
        train(tiny(store), run, device="cpu")
    with pytest.raises(UsageError, match=r"was begun with data.batch 2, now 4 is asked for"):
        train(tiny(store, "data.batch=4"), run, resume=True, device="cpu")
    with pytest.raises(UsageError, match="holds no run to go on with"):
        train(tiny(store), tmp_path / "none", resume=True, device="cpu")
    assert tree(run) == before


@pytest.mark.parametrize(
    ("overrides", "error", "says"),
    [
        (("data.store=nowhere",), StoreError, "nowhere"),
        (("generator.name=transformer",), ModelError, "there is no such network"),
        (("generator.shape={heads: 8}",), ModelError, "takes no 'heads'"),
        (("data.patch=512",), StoreError, "256 LR pixels"),
        (("loss.feature={source: aov, file: gone.safetensors}",), ModelError, "gone.safetensors"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    store: Path, tmp_path: Path, overrides: tuple[str, ...], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        train(tiny(store, *overrides), tmp_path / "run", device="cpu")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rates_follow_from_the_step_alone(store: Path) -> None:
    config = tiny(store, "pretrain.steps=100", "gan.steps=50", "pretrain.warm_up=10", "gan.schedule=onecycle")
    factors = [moment(config, step).factor for step in range(150)]
    assert moment(config, 99).name == "pretrain"
    assert moment(config, 100).name == "gan"
    assert factors[0] == pytest.approx(0.1)
    assert np.argmax(factors[:100]) == 9
    assert factors[99] < 0.001
    assert 100 + np.argmax(factors[100:]) == 115
    constant = tiny(store, "pretrain.schedule=constant", "pretrain.warm_up=0")
    assert [moment(constant, step).factor for step in range(4)] == [1.0] * 4


def test_the_verb_says_its_pace_and_where_the_checkpoints_are(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [part for override in (f"data.store={store}", *TINY, *OPPOSED) for part in ("--set", override)]
    assert invoke(["train", "default", *given, "--for", "5", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "[5/7] gan " in out
    assert "it/s" in out
    assert "waiting for data" in out
    assert out.splitlines()[-1] == "5 steps done; checkpoints in runs/default/checkpoints"
    assert invoke(["train", "default", *given, "--resume", "--device", "cpu"]) == 0
    assert invoke(["train", "defualt"]) == 2
    assert "there is no such file; presets are default" in capsys.readouterr().err
    assert invoke(["train", "default", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "TrainConfig"
