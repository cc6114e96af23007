"""The benchmark of training: it counts what torch counts, and what it times is the step of a run in every variant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

pytest.importorskip("lmdb")

from benchmarks.training import VARIANTS, Variant, counted, main, middle
from deepupscale.errors import StoreError, UsageError
from model.config import TrainConfig, load
from model.loader import CONTEXT, batches, patches_of
from model.losses import frozen
from model.networks import build_discriminator, build_generator
from model.pack import PackOptions, pack
from model.ranks import Ranks
from model.store import Store

PAIRS = Path(__file__).with_name("pairs")
HERE = Ranks(0, 1, torch.device("cpu"))
TINY = (
    "data.patch=32", "data.batch=2", "generator.shape={width: 4, blocks: 1}",
    "discriminator={name: unet, shape: {width: 4}}", "pretrain.steps=6", "gan.steps=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store"
    pack([PAIRS], place, PackOptions(), lambda *_: None)
    return place


def tiny(store: Path, *more: str) -> TrainConfig:
    return load("default", [f"data.store={store}", *TINY, *more])


def torchs_count(work: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@pytest.mark.parametrize("wanted", [False, True])
def test_a_generators_operations_are_those_that_torch_counts(wanted: bool) -> None:
    network: Any = build_generator("residual", width=6, blocks=2)
    plate = torch.rand(2, 3, 12, 10, requires_grad=wanted)
    with counted() as flop:
        network(plate)
    assert sum(flop) == torchs_count(lambda: network(plate).sum().backward())
    forward = torchs_count(lambda: network(plate.detach()))
    head = 2 * 2 * 12 * 10 * 6 * 3 * 9
    assert sum(flop) == 3 * forward - (0 if wanted else head)  # nobody wants the gradient towards the plate
    with torch.no_grad(), counted() as flop:
        network(plate)
    assert sum(flop) == forward


@pytest.mark.parametrize("still", [False, True])
def test_a_discriminators_operations_are_those_that_torch_counts_frozen_or_not(still: bool) -> None:
    opponent = build_discriminator("unet", width=4, levels=2)
    pictures = torch.rand(2, 3, 24, 20, requires_grad=still)

    def judge() -> None:
        if not still:
            opponent(pictures).logits.sum().backward()
            return
        with frozen(opponent):
            opponent(pictures).logits.sum().backward()

    with counted() as flop:
        judge()
    assert sum(flop) == torchs_count(judge)
    assert len(flop) == 1 + 2 + 2 + 2 + 1


def test_every_variant_does_the_step_of_a_run_in_its_own_layout(store: Path) -> None:
    config = tiny(store)
    made = list(batches(patches_of(config, Store(store)), 0, 1))
    losses: dict[tuple[str, bool], float] = {}
    for precision, last in VARIANTS:
        variant = Variant.of(config, HERE, made, precision, last)
        before = {name: value.clone() for name, value in variant.trainer.ema.items()}
        done = variant.trainer.step(middle(config, "gan"), variant.ready[0])
        assert done.finite
        assert any(not torch.equal(value, before[name]) for name, value in variant.trainer.ema.items())
        assert variant.trainer.opponent is not None
        weights = [*variant.trainer.generator.parameters(), *variant.trainer.opponent.parameters()]
        for tensor in (*(w for w in weights if w.ndim == 4 and w.shape[1] > 1), variant.ready[0].lr):
            assert tensor.is_contiguous(memory_format=torch.channels_last) is last
        losses[precision, last] = float(done.total.value.detach())
    assert losses["f32", True] == pytest.approx(losses["f32", False], rel=1e-5)
    assert losses["bf16", True] == pytest.approx(losses["f32", True], rel=0.05)
    assert losses["bf16", True] != losses["f32", True]


def preset(folder: Path, config: TrainConfig) -> str:
    file = folder / "tiny.yaml"
    file.write_text(config.model_dump_json())  # JSON is YAML
    return str(file)


def test_one_run_has_all_figures(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(store), "--preset", preset(tmp_path, tiny(store)), "--batch", "2", "--patch", "32", "--matrix", "64"]
    given += ["--rounds", "2", "--slice", "3", "--threads", "1", "--device", "cpu", "--stage", "both"]
    main([*given, "--workers", "0", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [row["stage"] for row in found["rows"]] == ["pretrain"] * 4 + ["gan"] * 4
    assert len({row["name"] for row in found["rows"]}) == 4
    for row in found["rows"]:
        first = next(other for other in found["rows"] if other["stage"] == row["stage"])
        assert row["ratio"]["least"] <= row["ratio"]["median"] <= row["ratio"]["most"]
        assert row["flop_a_step"] == first["flop_a_step"] > 0.0
    assert found["rows"][0]["ratio"] == {"median": 1.0, "least": 1.0, "most": 1.0}
    head, rest = 3 * 4 * 9, 4 * 4 * 4 * 9 + 4 * 12 * 9  # multiply-adds of the generator for each LR pixel
    seen = 2 * (16 + 2 * CONTEXT) ** 2
    assert found["rows"][0]["flop_a_step"] == 2 * seen * (2 * head + 3 * rest)
    assert found["rows"][4]["flop_a_step"] > found["rows"][0]["flop_a_step"]
    assert "f32" in {row["precision"] for row in found["products"]}
    for part in found["loader"]:
        assert (part["steps"], part["workers"]) == (3, 0)
        assert 0.0 < part["waiting"] < 1.0
        assert part["first_batch_s"] * part["steps_per_s"] <= 3.0
    assert found["dataset"] == Store(store).dataset

    main([*given, "--workers", "1"])
    out = capsys.readouterr().out
    assert "bf16 autocast, channels-last" in out
    assert "loader    gan, 3 steps, 1 workers: " in out


def test_what_cannot_be_timed_is_refused(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--steps", "0"], ["--rounds", "0"], ["--slice", "1"], ["--threads", "-1"], ["--stage", "all"]):
        with pytest.raises(SystemExit) as ended:
            main([str(store), *wrong])
        assert ended.value.code == 2
    assert "--slice above 1" in capsys.readouterr().err
    with pytest.raises(UsageError, match="fidelity has no such stage"):
        main([str(store), "--preset", "fidelity", "--stage", "gan"])
    with pytest.raises(UsageError, match="there is no such file; presets are"):
        main([str(store), "--preset", "nope"])
    with pytest.raises(UsageError, match=r"data\.patch: Input should be a multiple of 2"):
        main([str(store), "--patch", "191"])
    with pytest.raises(StoreError, match="there is no such store"):
        main([str(tmp_path / "none"), "--device", "cpu"])
    with pytest.raises(StoreError, match="none has 256 LR pixels a side"):
        main([str(store), "--patch", "512", "--device", "cpu"])
