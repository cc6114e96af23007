"""The configuration of training: presets, overrides, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from deepupscale.errors import UsageError
from model.augment import Augmentation
from model.config import PRESETS, AugmentationConfig, TrainConfig, WeightsConfig, dump, load, schema

NAMES = sorted(path.stem for path in PRESETS.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_loads_by_its_name_and_by_its_path(name: str) -> None:
    assert load(name) == load(str(PRESETS / f"{name}.yaml"))
    assert load(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_dumped_configuration_loads_as_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(dump(load(name)))
    assert load(str(tmp_path / "config.yaml")) == load(name)


def test_the_defaults_are_those_of_the_paper() -> None:
    stage = load("paper").gan
    assert stage is not None
    assert stage.weights == WeightsConfig()
    weights = stage.weights
    assert (weights.fidelity, weights.colour_shift, weights.feature, weights.adversarial) == (1.0, 5.0, 0.1, 0.0005)
    for name in NAMES:
        assert (load(name).data.patch, load(name).data.batch) == (192, 20)


def test_overrides_reach_any_depth_and_are_written_as_in_yaml() -> None:
    given = ["data.batch=8", "seed=7", "data.augmentation.flips=false", "generator.shape={width: 8, blocks: 2}"]
    config = load("default", [*given, "pretrain.rate=1e-3"])
    assert (config.data.batch, config.seed, config.data.augmentation.flips) == (8, 7, False)
    assert config.generator.shape == {"width": 8, "blocks": 2}
    assert config.pretrain.rate == 1e-3
    assert load("default", ["gan=null"]).gan is None


def test_augmentation_here_is_that_of_the_data() -> None:
    assert AugmentationConfig().model_dump() == vars(Augmentation())


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["data.bacth=8"], "data.bacth: Extra inputs are not permitted"),
        (["steps=5"], "steps: Extra inputs"),
        (["data.batch=many"], "data.batch: Input should be a valid integer"),
        (["data.patch=191"], "data.patch: Input should be a multiple of 2"),
        (["pretrain.rate=-1"], "pretrain.rate: Input should be greater than 0"),
        (["pretrain.rate=.nan"], "pretrain.rate: Input should be"),
        (["version=2"], "version: Input should be 1"),
        (["loss.fidelity=l3"], "loss.fidelity: Input should be 'l1', 'l2' or 'charbonnier'"),
        (["loss.feature.source=vgg"], "loss.feature: Value error, source vgg needs a file"),
        (["loss.feature.file=vgg.safetensors"], "source discriminator takes no file"),
        (["pretrain.weights.adversarial=1"], "pretrain.weights.adversarial must be 0"),
        (["pretrain.weights.feature=1"], "pretrain.weights.feature must be 0"),
        (["name=../up"], "name: String should match"),
        (["generator.name=os.system"], "generator.name: String should match"),
        (["data.batch"], "--set data.batch: write NAME=VALUE"),
        (["=3"], "--set =3: write NAME=VALUE"),
        (["seed.low=3"], "--set seed.low=3"),
        (["seed={"], "--set seed={: the value is no YAML"),
        (["data.batch=0", "data.patch=3"], "(and 1 more)"),
    ],
)
def test_what_cannot_be_meant_is_one_line_that_names_it(overrides: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("default", ["seed=1", *overrides])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "there is no such file; presets are default"),
        ("a: [", "is no YAML"),
        ("- 1", "is no mapping"),
        ("", "is no mapping"),
        ("!!python/object/apply:os.system ['touch ran']", "is no YAML"),
        ("\x00", "is no YAML"),
        ("[" * 100_000, "is no YAML"),
        ("#" * (1 << 21), "is larger than 1024 KiB"),
        ("name: x", "data: Field required (and 1 more)"),
    ],
)
def test_files_that_are_no_configuration(text: str | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(str(file))
    assert says in str(caught.value)
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < 1100
    assert not Path("ran").exists()


def test_aliases_do_not_grow_without_bound(tmp_path: Path) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" if n else "l0: &l0 [1, 1]" for n in range(40)]
    (tmp_path / "bomb.yaml").write_text("\n".join(levels))
    with pytest.raises(UsageError):
        load(str(tmp_path / "bomb.yaml"))


def test_the_schema_knows_every_value() -> None:
    text = json.dumps(schema())
    assert "adversarial" in text
    assert schema()["additionalProperties"] is False
    assert set(TrainConfig.model_fields) == set(schema()["properties"])
    assert yaml.safe_load(dump(load("default")))["pretrain"]["steps"] == 60000
