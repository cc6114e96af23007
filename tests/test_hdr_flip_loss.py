"""HDR-FLIP as a loss: golden figures, the package's own exposures, gradients, and both optional terms in a run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

pytest.importorskip("lmdb")

from deepupscale.errors import UsageError
from deepupscale.range_compression import RangeCompression
from model import snapshots
from model.config import TrainConfig, WeightsConfig, load
from model.losses import PAPER_WEIGHTS, HdrFlipLoss, ms_ssim
from model.losses.hdr_flip import DARKEST, exposures
from model.pack import PackOptions, pack
from model.perceptual import hdr_flip
from model.train import train

CURVE = RangeCompression()
MANY = 99  # exposures, more than any picture asks for
PAIRS = Path(__file__).with_name("pairs")
Float32 = NDArray[np.float32]
Made = tuple[Float32, Float32]


def ramp(size: int = 40) -> Float32:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(size)
    return np.stack([2.0 * x, 2.0 * y, x * y + 0.1], -1).astype(np.float32) + np.float32(0.01)


def blocks() -> Float32:
    y, x = np.mgrid[0:12, 0:10]
    stops = np.stack([2.0 * np.sin(1.7 * x * (y + 1) + c) for c in range(3)], -1)
    return np.exp2(stops).astype(np.float32).repeat(4, 0).repeat(4, 1)


def fireflies() -> Float32:
    picture = ramp()
    picture[5, 5], picture[30, 12] = 300.0, (0.0, 90.0, 0.0)
    return picture


def square() -> Float32:
    picture = np.full((32, 32, 3), 0.02, np.float32)
    picture[10:20, 10:20] = 2.0
    return picture


def noisy(picture: Float32) -> Float32:
    waves = np.sin(12.9 * np.arange(picture.size)).reshape(picture.shape)
    return picture * (1.0 + 0.1 * waves).astype(np.float32)


PICTURES: dict[str, Callable[[], Made]] = {  # the truth and what is held against it, scene-linear
    "a tint": lambda: (ramp(), ramp() * np.array([1.1, 1.0, 0.9])),
    "a shift": lambda: (blocks(), np.roll(blocks(), 1, 1)),
    "noise": lambda: (blocks(), noisy(blocks())),
    "fireflies lost": lambda: (fireflies(), ramp()),
    "fireflies added": lambda: (ramp(), fireflies()),
    "an edge moved": lambda: (square(), np.roll(square(), 2, 0)),
    "a night": lambda: (ramp() * 1e-3, ramp() * 1e-3 + 1e-4),
    "a noon": lambda: (ramp() * 3000.0, ramp() * 2800.0),
    "smaller than the filters": lambda: (blocks()[:6, :5], blocks()[:6, :5] * 1.2),
    "negatives": lambda: (ramp() - 0.3, ramp() - 0.25),
}

GOLDEN = {  # means by flip-evaluator 1.7
    "a tint": 0.141965,
    "a shift": 0.294888,
    "noise": 0.016261,
    "fireflies lost": 0.021855,
    "fireflies added": 0.007285,
    "an edge moved": 0.117773,
    "a night": 0.332046,
    "a noon": 0.100250,
    "smaller than the filters": 0.139853,
    "negatives": 0.280401,
}


def made(name: str) -> tuple[Float32, Float32]:
    truth, ours = PICTURES[name]()
    return np.ascontiguousarray(truth, np.float32), np.ascontiguousarray(ours, np.float32)


def tensor(picture: Float32) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous()


def compressed(picture: Float32) -> Tensor:
    return CURVE.compress(tensor(picture))


def fine_grain(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*size, dtype=dtype, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", PICTURES)
def test_it_agrees_with_the_figures_of_the_published_package(name: str) -> None:
    truth, ours = made(name)
    found = HdrFlipLoss(most_exposures=MANY)(compressed(ours), compressed(truth))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(GOLDEN[name], abs=2e-4)


@pytest.mark.parametrize("name", PICTURES)
def test_it_agrees_with_the_package_that_is_installed(name: str) -> None:
    pytest.importorskip("flip_evaluator")
    truth, ours = made(name)
    assert hdr_flip(truth, ours).mean == pytest.approx(GOLDEN[name], abs=2e-5)


@pytest.mark.parametrize("name", PICTURES)
def test_each_pixel_and_the_exposures_are_those_of_the_package(name: str) -> None:
    flip = pytest.importorskip("flip_evaluator")
    truth, ours = (np.maximum(picture, 0.0) for picture in made(name))
    wanted, _, chosen = flip.evaluate(truth, ours, "HDR", applyMagma=False, parameters={})
    start, step, (count,) = exposures(tensor(truth), MANY)
    flat = chosen["startExposure"] == chosen["stopExposure"]  # the package takes the same exposure twice
    assert count == (1 if flat else chosen["numExposures"])
    assert start.item() == pytest.approx(chosen["startExposure"], abs=2e-3)
    assert (start + (count - 1) * step).item() == pytest.approx(chosen["stopExposure"], abs=2e-3)
    found = HdrFlipLoss(most_exposures=MANY).errors(tensor(ours), tensor(truth))[0]
    np.testing.assert_allclose(found.numpy(), wanted[..., 0], atol=0.002)


def test_fewer_exposures_are_spread_over_the_same_range_and_lose_little() -> None:
    truth, ours = made("fireflies lost")
    start, step, counts = exposures(tensor(truth), MANY)
    first, wider, capped = exposures(tensor(truth), 4)
    assert (counts, capped) == ([9], [4])
    assert first.item() == start.item()
    assert (3 * wider).item() == pytest.approx((8 * step).item(), rel=1e-6)
    errors = [HdrFlipLoss(most_exposures=most)(compressed(ours), compressed(truth)).item() for most in (MANY, 7, 4)]
    assert errors[1] == pytest.approx(errors[0], rel=0.02)
    assert errors[2] == pytest.approx(errors[0], rel=0.1)


def test_the_dark_is_not_lifted_without_end() -> None:
    lamp = torch.zeros(1, 3, 16, 16)
    lamp[..., :4] = 1.0
    start, step, (count,) = exposures(lamp, MANY)
    assert count == 14
    assert (start + 13 * step).item() == pytest.approx(start.item() + 14.0)  # from 1 to DARKEST
    for light in (0.0, -1.0, 0.9 * DARKEST):
        start, step, counts = exposures(torch.full((1, 3, 4, 4), light), MANY)
        assert (start.item(), step.item(), counts) == (0.0, 0.0, [1])
    assert exposures(torch.full((1, 3, 4, 4), 0.5), MANY)[2] == [1]  # flat: all would be the same


@pytest.mark.parametrize("name", PICTURES)
def test_equal_pictures_have_no_error_and_no_gradient(name: str) -> None:
    truth = compressed(made(name)[0])
    ours = truth.clone().requires_grad_()
    loss = HdrFlipLoss()(ours, truth)
    loss.backward()
    assert ours.grad is not None
    assert loss.item() == pytest.approx(0.0, abs=1e-7)
    assert ours.grad.abs().max().item() < 1e-3


def test_errors_are_from_none_to_all() -> None:
    black, white, loss = torch.zeros(1, 3, 12, 12), torch.full((1, 3, 12, 12), 0.9), HdrFlipLoss()
    assert 0.9 < loss(white, black).item() <= 1.0
    assert 0.0 < loss(torch.full_like(black, 0.1), torch.full_like(black, 0.11)).item() < 0.1


def test_what_is_seen_from_afar_is_seen_less() -> None:
    truth, ours = (compressed(picture) for picture in made("noise"))
    near, far = (HdrFlipLoss(degrees)(ours, truth).item() for degrees in (20.0, 120.0))
    assert near > 1.3 * far


EXTREMES = torch.cat(
    (
        CURVE.compress(torch.tensor([0.0, -0.0, -1e-6, -0.3, -65504.0, 65504.0, 1e-8, 500.0, 1.0])),
        torch.tensor([-100.0, 100.0, 65504.0]),
    )
).expand(1, 3, 12, 12)


BLACK, BRIGHT = torch.zeros(1, 3, 12, 12), torch.full((1, 3, 12, 12), 1.381)


@pytest.mark.parametrize("truth", [EXTREMES, EXTREMES + 1e-6, EXTREMES.flip(3), EXTREMES.mT, BLACK, BRIGHT])
@pytest.mark.parametrize("ours", [EXTREMES, BLACK, BRIGHT])
def test_values_and_gradients_are_finite_at_the_extremes(ours: Tensor, truth: Tensor) -> None:
    ours = ours.clone().requires_grad_()
    loss = HdrFlipLoss()(ours, truth.contiguous())
    loss.backward()
    assert ours.grad is not None
    assert 0.0 <= loss.item() <= 1.0
    assert torch.isfinite(ours.grad).all()


@pytest.mark.parametrize("name", ["a tint", "a shift", "noise", "a night", "a noon", "smaller than the filters"])
def test_there_is_a_gradient_where_pictures_differ_and_going_down_it_helps(name: str) -> None:
    truth, ours = (compressed(picture) for picture in made(name))
    loss, given = HdrFlipLoss(), ours.clone().requires_grad_()
    before = loss(given, truth)
    (gradient,) = torch.autograd.grad(before, given)
    differs = (ours - truth).abs() > 1e-3
    assert (gradient[differs] != 0.0).float().mean().item() > 0.9
    after = loss(ours - 1e-3 * gradient / gradient.norm(), truth)
    assert after.item() < before.item() - 1e-4


def test_a_tinted_picture_learns_to_be_the_truth() -> None:
    truth, ours = (compressed(picture) for picture in made("a tint"))
    ours.requires_grad_()
    loss, distance = HdrFlipLoss(), (ours - truth).abs().mean().item()
    first, adam = loss(ours, truth).item(), torch.optim.Adam([ours], lr=3e-4)
    for _ in range(25):
        adam.zero_grad()
        loss(ours, truth).backward()
        adam.step()
    assert loss(ours, truth).item() < 0.5 * first
    assert (ours - truth).abs().mean().item() < 0.8 * distance


def test_light_that_is_clipped_at_every_exposure_has_no_gradient_of_its_own() -> None:
    truth, ours = (compressed(picture) for picture in made("fireflies added"))
    ours.requires_grad_()
    HdrFlipLoss()(ours, truth).backward()
    assert ours.grad is not None
    assert ours.grad[0, :, 5, 5].tolist() == [0.0, 0.0, 0.0]
    assert ours.grad[0, :, 5, 7].abs().min().item() > 0.0


def test_the_gradient_stays_where_the_eye_sees_the_error() -> None:
    truth = compressed(ramp(64))
    ours = truth.clone()
    ours[..., :8, :8] += 0.05
    ours.requires_grad_()
    HdrFlipLoss()(ours, truth).backward()
    assert ours.grad is not None
    assert ours.grad[..., :8, :8].abs().min().item() > 0.0
    assert ours.grad[..., 30:, 30:].abs().max().item() < 1e-7


def test_the_gradient_is_that_of_the_values() -> None:
    truth = 0.05 + fine_grain(1, 3, 4, 5, dtype=torch.float64)
    ours = (1.3 * truth.flip(3) + 0.2).requires_grad_()
    term = HdrFlipLoss(most_exposures=3)
    assert torch.autograd.gradcheck(lambda x: term.errors(x, truth), (ours,), atol=1e-6)


def test_each_picture_of_a_batch_has_its_own_exposures() -> None:
    names = ("a tint", "fireflies lost", "a night", "a noon")
    truth, ours = (torch.cat([compressed(made(name)[i]) for name in names]) for i in (0, 1))
    loss = HdrFlipLoss(most_exposures=MANY)
    alone = [loss(ours[i : i + 1], truth[i : i + 1]).item() for i in range(4)]
    assert max(alone) > 2.0 * min(alone)
    assert sorted(exposures(CURVE.expand(truth), MANY)[2]) == [2, 2, 2, 9]
    for order in ([0, 1, 2, 3], [1, 3, 0, 2]):
        found = loss.errors(CURVE.expand(ours[order]), CURVE.expand(truth[order])).mean((1, 2))
        assert found.tolist() == pytest.approx([alone[i] for i in order], abs=1e-6)
    assert loss(ours, truth).item() == pytest.approx(math.fsum(alone) / 4.0, abs=1e-6)

    together, single = ours.clone().requires_grad_(), ours[1:2].clone().requires_grad_()
    loss(together, truth).backward()
    loss(single, truth[1:2]).backward()
    assert together.grad is not None
    assert single.grad is not None
    torch.testing.assert_close(4.0 * together.grad[1:2], single.grad, rtol=1e-3, atol=1e-7)


def test_value_and_gradient_are_float32_under_autocast() -> None:
    truth, ours = (compressed(picture) for picture in made("a tint"))
    loss, plain, cast = HdrFlipLoss(), ours.clone().requires_grad_(), ours.clone().requires_grad_()
    loss(plain, truth).backward()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(cast, truth)
    value.backward()  # where the exposures are computed anew
    assert value.dtype == torch.float32
    assert plain.grad is not None
    assert cast.grad is not None
    assert torch.equal(plain.grad, cast.grad)


def test_pictures_and_settings_that_cannot_be_are_refused() -> None:
    loss, picture = HdrFlipLoss(), torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match="differ in shape"):
        loss(picture, picture[:, :1])
    for wrong in (picture[:, :1], picture[0]):
        with pytest.raises(ValueError, match="red, green and blue"):
            loss(wrong, wrong)
    for degrees, most in ((0.0, 7), (math.nan, 7), (math.inf, 7), (67.0, 1)):
        with pytest.raises(ValueError, match="pixels per degree"):
            HdrFlipLoss(degrees, most)


def test_the_optional_terms_are_off_and_the_paper_has_its_four() -> None:
    weights = WeightsConfig().model_dump()
    assert weights == {**PAPER_WEIGHTS, "checkerboard": 0.0, "ms_ssim": 0.0, "hdr_flip": 0.0}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["pretrain.weights.hdr_flip=-1"], "pretrain.weights.hdr_flip: Input should be greater than or equal to 0"),
        (["pretrain.weights.flip=1"], "pretrain.weights.flip: Extra inputs are not permitted"),
        (["pretrain.weights.ms_ssim=0.1", "data.patch=10"], "data.patch: Input should be greater than or equal to 32"),
        (["pretrain.weights={fidelity: 0, colour_shift: 0, feature: 0, adversarial: 0}"], "one weight must be above 0"),
    ],
)
def test_weights_and_patches_that_cannot_be_are_one_line_at_the_start(overrides: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("default", overrides)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_smallest_patch_that_a_run_may_have_bears_ms_ssim() -> None:
    side = load("default", ["data.patch=32"]).data.patch
    truth = fine_grain(1, 3, side, side)
    assert 0.0 < ms_ssim(truth.flip(3), truth).item() <= 1.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store"
    pack([PAIRS], place, PackOptions(), lambda *_: None)
    return place


def two_steps(store: Path, *more: str) -> TrainConfig:
    tiny = (
        f"data.store={store}", "data.patch=32", "data.batch=2", "data.workers=0", "validation_crops=0",
        "generator.shape={width: 4, blocks: 1}", "discriminator={name: unet, shape: {width: 4}}",
        "pretrain.steps=1", "gan.steps=1",
    )  # fmt: skip
    return load("default", [*tiny, *more])


def test_a_run_learns_from_the_optional_terms_in_both_stages(store: Path, tmp_path: Path) -> None:
    stages = ("pretrain", "gan")
    both = [f"{stage}.weights.{name}=0.5" for stage in stages for name in ("checkerboard", "ms_ssim", "hdr_flip")]
    ends: dict[str, dict[str, Tensor]] = {}
    for name, more in (("with", both), ("without", [])):
        progress = train(two_steps(store, *more), tmp_path / name, device="cpu")
        assert (progress.step, progress.skipped) == (2, 0)
        ends[name] = snapshots.read(snapshots.steps(tmp_path / name / "checkpoints")[-1])[0]["generator"]
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        figures = [line for line in lines if line["kind"] == "train"][-1]
        assert ({"checkerboard", "ms_ssim", "hdr_flip"} <= set(figures)) == (name == "with")
        if name == "with":
            parts = {term: figures[term] for term in WeightsConfig.model_fields}
            stage = two_steps(store, *more).gan
            assert stage is not None
            weights = stage.weights.model_dump()
            assert (weights["ms_ssim"], weights["hdr_flip"]) == (0.5, 0.5)
            assert 0.0 < parts["hdr_flip"] < 1.0
            assert 0.0 < parts["ms_ssim"] < 1.0
            assert figures["total"] == pytest.approx(math.fsum(weights[t] * v for t, v in parts.items()), rel=1e-4)
    assert any(not torch.equal(ends["with"][key], ends["without"][key]) for key in ends["with"])
