"""What guesses of AOVs score: errors where there is a truth, beside constants, on pairs that are not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from stores import ALBEDO, DEPTH, RGB, make_store, noise_pair

pytest.importorskip("lmdb")

from deepupscale.errors import StoreError
from model.aov_validator import AovScores, AovValidator, aov_errors, aov_fields
from model.networks import AovFeatures
from model.networks.aov_features import Aovs
from model.pack import PackOptions, pack
from model.sampling import split
from model.store import Store

PAIRS = Path(__file__).with_name("pairs")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store"
    pack([PAIRS], place, PackOptions(), lambda *_: None)
    return place


def test_errors_are_those_of_pixels_that_have_a_truth() -> None:
    def labels(albedo: float, normal: tuple[float, float, float], depth: list[float]) -> Aovs:
        planes = torch.full((1, 3, 1, 4), albedo), torch.tensor(normal)[None, :, None, None].repeat(1, 1, 1, 4)
        return Aovs(*planes, torch.tensor(depth)[None, None, None])

    real = labels(0.5, (0.0, 0.0, 1.0), [1.0, 2.0, 3.0, float("nan")])
    real.normal[..., 3] = 0.0
    real.albedo[..., 0] = torch.nan
    guess = labels(0.25, (0.0, 3.0, 3.0), [11.0, 12.0, 16.0, 999.0])
    guess.normal[0, :, 0, 0] = torch.tensor((0.0, 0.0, 9.0))
    scores = AovScores.of([aov_errors(guess, real)])
    assert scores.albedo == pytest.approx(0.25)
    assert scores.normal_mean == pytest.approx(30.0, abs=0.05)
    assert scores.normal_median == pytest.approx(45.0, abs=0.05)
    assert scores.log_depth == pytest.approx((1.0 + 1.0 + 2.0) / 3.0)  # 10, 10 and 13 are off by 11 in the mean
    empty = Aovs(torch.full((1, 3, 2, 2), torch.nan), torch.zeros(1, 3, 2, 2), torch.full((1, 1, 2, 2), torch.nan))
    assert all(np.isnan(value) for value in AovScores.of([aov_errors(empty, empty)]).figures().values())


def test_the_baseline_is_the_mean_of_the_training_pairs_and_the_crops_are_of_the_others(store: Path) -> None:
    opened = Store(store)
    fields = aov_fields(opened)
    learnt, held = split(opened, 0.4)
    assert learnt
    assert held
    validator = AovValidator(opened, fields, learnt, held, 2, 16)
    means = [opened.plane(n, "hr", fields.albedo).astype(np.float32).mean(axis=(0, 1)) for n in learnt]
    real = opened.plane(held[0], "hr", fields.albedo).astype(np.float32)
    assert not validator.seen
    assert validator.baseline.albedo == pytest.approx(np.abs(real - np.mean(means, axis=0)).mean(), rel=0.2)
    assert AovValidator(opened, fields, [0, 1, 2], [], 2, 16).seen


def test_weights_are_scored_as_given_and_the_network_keeps_its_own(store: Path) -> None:
    opened = Store(store)
    validator = AovValidator(opened, aov_fields(opened), [0, 2], [1], 2, 16)
    torch.manual_seed(0)
    network, other = AovFeatures(4, 2), AovFeatures(4, 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    own, others = (validator.score(network, each.state_dict(), torch.device("cpu")) for each in (network, other))
    assert own != others
    assert others == validator.score(other, other.state_dict(), torch.device("cpu"))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_fields_are_found_by_kind_and_name(tmp_path: Path) -> None:
    vectors = {"kind": "unit-vector", "channels": ("X", "Y", "Z"), "dtype": "half"}
    fields = tuple(
        spec.model_validate({**spec.model_dump(), **changes})
        for spec, changes in (
            (RGB, {}), (DEPTH, {"name": "Depth"}), (RGB, {"name": "Normals", **vectors}), (ALBEDO, {"name": "DiffCol"}),
            (RGB, {"name": "tangent", **vectors}),
        )
    )  # fmt: skip
    fields = (fields[0], *sorted(fields[1:], key=lambda field: field.name))
    found = aov_fields(Store(make_store(tmp_path / "s", [noise_pair("a", 40, 40, fields)], fields)))
    assert found == ("DiffCol", "Normals", "Depth")
    swapped = (RGB, DEPTH.model_copy(update={"name": "N"}), ALBEDO)
    wrong = Store(make_store(tmp_path / "w", [noise_pair("a", 40, 40, swapped)], swapped))
    with pytest.raises(StoreError, match="has no normal and no depth"):
        aov_fields(wrong)
