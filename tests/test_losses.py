"""The loss terms: zero where they must be, known values, gradients, float32 whatever the networks run in."""

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from deepupscale.range_compression import RangeCompression  # noqa: E402
from model.losses import (  # noqa: E402
    Adversarial,
    ColourShift,
    Combine,
    Fidelity,
    HdrFlipLoss,
    adversarial,
    checkerboard,
    ms_ssim,
    r1,
)
from model.losses.total import PAPER_WEIGHTS  # noqa: E402
from model.losses.transfer import to_display  # noqa: E402

CURVE = RangeCompression()
KINDS: list[Any] = list(adversarial.KINDS)
NORMS: list[Any] = ["l1", "l2", "charbonnier"]
FILTERS: list[Any] = ["box", "gaussian"]
FIDELITIES: list[Any] = [(kind, domain) for kind in NORMS for domain in ("compressed", "linear")]
SHIFTS: list[Any] = [(filter_, domain) for filter_ in FILTERS for domain in ("compressed", "linear")]


def fine_grain(*size, dtype=torch.float32):
    """A picture in the compressed range with detail at every pixel."""
    return torch.rand(*size, dtype=dtype, generator=torch.Generator().manual_seed(1))


def doubled(lr):
    return lr.repeat_interleave(2, 2).repeat_interleave(2, 3)


def whole_shift(filter_, sigma, domain):
    """The term as in the paper, on two pictures of one size, the second of which is reduced."""
    term = ColourShift(filter_, sigma, domain, beyond_floor=False)
    return lambda ours, truth: term(ours, truth[:, :, ::2, ::2], truth)


def extremes():
    """Compressed values of light that plates do hold, and of what an untrained network may put out."""
    light = torch.tensor([0.0, -0.0, -1e-6, -0.3, -65504.0, 65504.0, 1e-8, 1.0])
    row = torch.cat((CURVE.compress(light), torch.tensor([-100.0, 100.0, 65504.0, -65504.0])))
    return row.repeat(12, 1).expand(1, 3, 12, 12).contiguous()


@pytest.mark.parametrize(("kind", "domain"), FIDELITIES)
def test_fidelity_is_zero_for_the_truth_and_only_for_it(kind, domain):
    term, truth = Fidelity(kind, domain), fine_grain(2, 3, 5, 4)
    assert term(truth, truth).item() == 0.0
    assert term(truth + 0.1, truth).item() > 1e-4


def test_fidelity_has_its_known_values():
    truth = torch.zeros(1, 3, 2, 2)
    assert Fidelity("l1")(truth + 0.5, truth).item() == pytest.approx(0.5)
    assert Fidelity("l2")(truth + 0.5, truth).item() == pytest.approx(0.25)
    assert Fidelity("charbonnier")(truth + 0.5, truth).item() == pytest.approx(math.hypot(0.5, 1e-3) - 1e-3)
    assert Fidelity("l1", "linear")(truth + 0.6, truth).item() == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize(("kind", "domain"), FIDELITIES)
def test_fidelity_has_finite_values_and_gradients_at_the_extremes(kind, domain):
    ours = extremes().requires_grad_()
    loss = Fidelity(kind, domain)(ours, extremes().flip(3))
    loss.backward()
    assert torch.isfinite(loss)
    assert ours.grad is not None
    assert torch.isfinite(ours.grad).all()


def test_pictures_of_unequal_shape_are_refused_not_broadcast():
    for term in (Fidelity("l1"), Fidelity("l2"), Fidelity("charbonnier"), ms_ssim, HdrFlipLoss()):
        with pytest.raises(ValueError, match="differ in shape"):
            term(torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16))
    with pytest.raises(ValueError, match="2 times the size"):
        ColourShift().whole(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError, match="2 times the size"):
        ColourShift().whole(torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 8, 8))


def test_unknown_kinds_are_refused():
    for build in (
        lambda: Fidelity("l3"),  # type: ignore[arg-type]
        lambda: Fidelity("l1", "log"),  # type: ignore[arg-type]
        lambda: ColourShift("median"),  # type: ignore[arg-type]
        lambda: ColourShift(domain="log"),  # type: ignore[arg-type]
        lambda: ColourShift(sigma=0.0),
        lambda: Adversarial("wgan"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=r"fidelity|colour shift|adversarial"):
            build()


@pytest.mark.parametrize(("filter_", "domain"), SHIFTS)
def test_colour_shift_is_zero_for_the_very_input_and_catches_a_tint(filter_, domain):
    term, lr = ColourShift(filter_, 1.0, domain), fine_grain(1, 3, 12, 10)
    assert term.whole(doubled(lr), lr) == pytest.approx(0.0, abs=2e-6)
    tint = torch.tensor([0.03, 0.0, -0.03]).view(1, 3, 1, 1)
    assert term.whole(doubled(lr) + tint, lr) == pytest.approx(0.02, abs=1e-4)  # a tint of T is one of T in both


@pytest.mark.parametrize("filter_", ["box", "gaussian"])
def test_colour_shift_ignores_fine_detail_that_keeps_the_mean(filter_):
    lr = torch.full((1, 3, 12, 10), 0.5)
    checks = torch.tensor([[0.1, -0.1], [-0.1, 0.1]]).repeat(12, 10)
    compressed = ColourShift(filter_, domain="compressed")
    assert compressed.whole(doubled(lr) + checks, lr) == pytest.approx(0.0, abs=1e-6)
    light = CURVE.expand(doubled(lr)) * (1.0 + 5.0 * checks)
    kept = CURVE.compress(light)  # the same energy: no shift in linear light, one in the compressed range
    assert ColourShift(filter_).whole(kept, lr) == pytest.approx(0.0, abs=2e-6)
    assert compressed.whole(kept, lr) > 1e-3


@pytest.mark.parametrize("filter_", ["box", "gaussian"])
def test_noise_of_the_input_weighs_less_under_a_wider_low_pass(filter_):
    lr = torch.full((1, 3, 32, 32), 0.5)
    noisy = lr + 0.1 * (fine_grain(1, 3, 32, 32) - 0.5)
    falls: list[Any] = [("compressed", 1.5), ("linear", 1.1)]
    for domain, fall in falls:  # noise of T is in linear light a little light, too
        shifts = [ColourShift(filter_, sigma, domain).whole(doubled(lr), noisy) for sigma in (0.6, 1.5, 4.0)]
        assert shifts[0] > fall * shifts[1] > fall**2 * shifts[2]


def test_the_floor_is_what_the_true_picture_would_pay():
    lr = fine_grain(1, 3, 8, 8).requires_grad_()
    term = ColourShift()
    assert term.whole(doubled(lr), lr) == pytest.approx(0.0, abs=1e-6)
    assert term.whole(doubled(lr) + 0.04, lr) == pytest.approx(0.04, abs=1e-5)


@pytest.mark.parametrize(("filter_", "domain"), SHIFTS)
def test_only_what_goes_beyond_the_pairs_own_shift_counts(filter_, domain):
    term, paper = ColourShift(filter_, 1.0, domain), ColourShift(filter_, 1.0, domain, beyond_floor=False)
    lr = fine_grain(1, 3, 12, 10)
    hr = doubled(lr) + 0.04
    for tint, extra in ((0.04, 0.0), (0.0, 0.0), (-0.03, 0.0), (0.07, 0.03), (-0.06, 0.02)):
        assert term(doubled(lr) + tint, lr, hr).item() == pytest.approx(extra, abs=1e-4)
        assert paper(doubled(lr) + tint, lr, hr).item() == pytest.approx(abs(tint), abs=1e-4)
    left = torch.cat((hr[..., :10], doubled(lr)[..., 10:]), -1)  # what is allowed on one side is not on the other
    right = torch.cat((doubled(lr)[..., :10], hr[..., 10:]), -1)
    assert term(left, lr, left).item() == 0.0
    assert term(right, lr, left).item() > 0.015


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 5.0])
def test_box_and_gaussian_have_the_spread_that_they_are_named_for(sigma):
    for filter_, tolerance in zip(FILTERS, (0.35, 0.04 + 0.02 * sigma)):
        weights = ColourShift(filter_, sigma).weights
        offset = torch.arange(weights.numel()) - weights.numel() // 2
        assert weights.numel() % 2 == 1
        assert weights.sum().item() == pytest.approx(1.0)
        assert (weights * offset**2).sum().sqrt().item() == pytest.approx(sigma, abs=tolerance)


@pytest.mark.parametrize(("filter_", "domain"), SHIFTS)
def test_colour_shift_is_finite_at_the_extremes(filter_, domain):
    ours = extremes().requires_grad_()
    loss = ColourShift(filter_, domain=domain)(ours, extremes()[:, :, ::2, ::2], extremes().flip(2))
    loss.backward()
    assert torch.isfinite(loss)
    assert ours.grad is not None
    assert torch.isfinite(ours.grad).all()


FAKE, REAL = torch.tensor([0.0, 2.0]), torch.tensor([3.0, -1.0])  # both with mean 1


def soft(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("kind", "generator", "discriminator"),
    [
        ("vanilla", (soft(0) + soft(-2)) / 2, (soft(-3) + soft(1)) / 2 + (soft(0) + soft(2)) / 2),
        ("lsgan", 0.5, 0.5 * ((4 + 4) / 2 + (0 + 4) / 2)),
        ("hinge", -1.0, (0 + 2) / 2 + (1 + 3) / 2),
        # Against the other's mean: fake -1, 1; real 2, -2.
        ("ralsgan", 0.5 * ((4 + 0) / 2 + (9 + 1) / 2), 0.5 * ((1 + 9) / 2 + (0 + 4) / 2)),
        (
            "rasgan",
            0.5 * ((soft(1) + soft(-1)) / 2 + (soft(2) + soft(-2)) / 2),
            0.5 * ((soft(-2) + soft(2)) / 2 + (soft(-1) + soft(1)) / 2),
        ),
    ],
)
def test_adversarial_terms_have_their_known_values(kind, generator, discriminator):
    term = Adversarial(kind)
    assert term.generator(FAKE, REAL).item() == pytest.approx(generator, rel=1e-6)
    assert term.discriminator(FAKE, REAL).item() == pytest.approx(discriminator, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_better_fake_pays_less_and_a_better_judge_too(kind):
    term = Adversarial(kind)
    assert term.generator(FAKE + 0.5, REAL) < term.generator(FAKE, REAL) or kind == "lsgan"
    assert term.discriminator(FAKE - 0.5, REAL + 0.5) < term.discriminator(FAKE, REAL)
    fake, real = FAKE.clone().requires_grad_(), REAL.clone().requires_grad_()
    term.generator(fake, real).backward()
    assert real.grad is None
    assert fake.grad is not None


@pytest.mark.parametrize("kind", KINDS)
def test_adversarial_terms_are_finite_for_logits_beyond_reason(kind):
    fake = torch.tensor([65504.0, -65504.0, 0.0]).requires_grad_()
    for loss in (Adversarial(kind).generator(fake, -fake), Adversarial(kind).discriminator(fake, -fake.detach())):
        (gradient,) = torch.autograd.grad(loss, fake)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_relativistic_terms_need_the_truth():
    assert Adversarial("rasgan").relativistic
    with pytest.raises(ValueError, match="give its logits"):
        Adversarial("rasgan").generator(FAKE)
    assert Adversarial("lsgan").generator(FAKE).item() == pytest.approx(0.5)


def test_r1_is_the_squared_slope_and_can_be_learnt_from():
    slope = torch.tensor(3.0, requires_grad=True)
    pictures = torch.rand(2, 3, 4, 4).requires_grad_()
    penalty = r1(slope * pictures.mean(dim=(1, 2, 3)), pictures)
    assert penalty.item() == pytest.approx(9.0 / 48.0)
    penalty.backward()
    assert slope.grad is not None
    assert slope.grad.item() == pytest.approx(6.0 / 48.0)


def test_checkerboard_has_its_known_values():
    truth = fine_grain(2, 3, 40, 36)
    brighter = truth.clone()
    brighter[:, :, ::2, ::2] += 0.04
    assert checkerboard(truth, truth).item() == 0.0
    assert checkerboard(brighter, truth).item() == pytest.approx(0.375 * 0.04, rel=1e-4)
    assert checkerboard(truth + 0.3, truth).item() == pytest.approx(0.0, abs=1e-6)


def test_checkerboard_counts_a_pattern_and_not_noise():
    truth = torch.zeros(1, 3, 128, 128)
    noise = 0.01 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(2))
    striped = noise.clone()
    striped[:, :, ::2] += 0.005
    assert checkerboard(striped, truth) > 1.5 * checkerboard(noise, truth)
    assert (striped - truth).abs().mean() < 1.1 * (noise - truth).abs().mean()


@pytest.mark.parametrize("shape", [(1, 3, 7, 8), (1, 3, 8, 7), (1, 3, 0, 8), (3, 8, 8)])
def test_checkerboard_refuses_odd_sides(shape):
    with pytest.raises(ValueError, match="even sides"):
        checkerboard(torch.zeros(shape), torch.zeros(shape))


def test_ms_ssim_is_zero_for_the_truth_and_grows_with_noise():
    truth = fine_grain(1, 3, 48, 44)
    losses = [ms_ssim(truth + amount * torch.randn_like(truth), truth).item() for amount in (0.0, 0.1, 0.4)]
    assert losses[0] == pytest.approx(0.0, abs=1e-5)
    assert losses[0] < losses[1] < losses[2] <= 1.0
    ours = extremes().requires_grad_()
    ms_ssim(ours, extremes().flip(3)).backward()
    assert ours.grad is not None
    assert torch.isfinite(ours.grad).all()
    with pytest.raises(ValueError, match="at least 11"):
        ms_ssim(torch.zeros(1, 3, 10, 30), torch.zeros(1, 3, 10, 30))


@pytest.mark.parametrize(
    "term",
    [
        *(lambda a, b, kind=kind: Fidelity(kind)(a, b) for kind in NORMS),
        *(lambda a, b, f=f: whole_shift(f, 0.7, "compressed")(a, b) for f in FILTERS),
        *(lambda a, b, kind=kind: Adversarial(kind).generator(a, b) for kind in KINDS),
        *(lambda a, b, kind=kind: Adversarial(kind).discriminator(a, b) for kind in KINDS),
        checkerboard,
    ],
)
def test_gradients_are_those_of_the_values(term):
    a = fine_grain(1, 2, 4, 4, dtype=torch.float64).requires_grad_()
    other = 1.3 * a.detach().flip(3) - 0.2
    assert torch.autograd.gradcheck(lambda x: term(x, other), (a,))


def test_the_gradients_of_ms_ssim_are_those_of_its_values():
    a = fine_grain(1, 1, 22, 12, dtype=torch.float64).requires_grad_()
    other = (a.detach() + 0.2 * fine_grain(1, 1, 22, 12, dtype=torch.float64).flip(3)).clone()
    assert torch.autograd.gradcheck(lambda x: ms_ssim(x, other), (a,), nondet_tol=0.0)


@pytest.mark.parametrize("make", [lambda: Fidelity("l1", "linear"), lambda: whole_shift("gaussian", 0.7, "linear")])
def test_gradients_through_linear_light_are_those_of_the_values(make):
    term, ours, truth = make(), 0.3 + 0.4 * fine_grain(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.2)
    ours.requires_grad_()
    term(ours, truth).backward()
    assert ours.grad is not None
    along = fine_grain(1, 1, 4, 4).flip(2)
    with torch.no_grad():
        slope = (term(ours + 2e-3 * along, truth) - term(ours - 2e-3 * along, truth)).item() / 4e-3
    assert (ours.grad * along).sum().item() == pytest.approx(slope, rel=5e-3)


@pytest.mark.parametrize(
    "term",
    [
        *(lambda a, b, p=p: Fidelity(*p)(a, b) for p in FIDELITIES),
        *(lambda a, b, p=p: whole_shift(p[0], 1.0, p[1])(a, b) for p in SHIFTS),
        *(lambda a, b, k=k: Adversarial(k).generator(a, b) for k in KINDS),
        *(lambda a, b, k=k: Adversarial(k).discriminator(a, b) for k in KINDS),
        checkerboard,
        ms_ssim,
        HdrFlipLoss(),
    ],
)
def test_terms_are_float32_under_autocast(term):
    a, b = fine_grain(1, 3, 16, 12), fine_grain(1, 3, 16, 12).flip(3)
    plain = term(a, b)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.mm(torch.eye(2), torch.eye(2)).dtype == torch.bfloat16
        cast = term(a, b)
        low = term(a.bfloat16(), b.bfloat16())
    assert cast.dtype == low.dtype == torch.float32
    assert cast.item() == plain.item()
    assert low.item() == term(a.bfloat16().float(), b.bfloat16().float()).item()


def test_the_display_picture_lies_between_black_and_white():
    shown = to_display(extremes())
    assert shown.min() == 0.0
    assert 0.99 < shown.max() <= 1.0
    assert to_display(CURVE.compress(torch.tensor([0.18 / 0.82]))).item() == pytest.approx(0.4614, abs=1e-3)


def test_the_total_is_the_weighted_sum_and_names_its_parts():
    terms = {name: torch.tensor(value, requires_grad=True) for name, value in zip(PAPER_WEIGHTS, (1.0, 2.0, 3.0, 4.0))}
    total = Combine()(**terms)
    assert total.value.item() == pytest.approx(1.0 + 10.0 + 0.3 + 0.002)
    assert total.floats() == pytest.approx(
        {"fidelity": 1.0, "colour_shift": 2.0, "feature": 3.0, "adversarial": 4.0, "total": 11.302}
    )
    total.value.backward()
    assert [t.grad.item() for t in terms.values() if t.grad is not None] == pytest.approx([1.0, 5.0, 0.1, 0.0005])
    assert not any(part.requires_grad for part in total.parts.values())


def test_a_term_of_weight_zero_is_reported_without_a_gradient_and_may_be_left_out():
    combine = Combine({"fidelity": 1.0, "feature": 0.0})
    assert (combine.wants("fidelity"), combine.wants("feature"), combine.wants("ms_ssim")) == (True, False, False)
    assert combine(fidelity=torch.tensor(2.0)).floats() == {"fidelity": 2.0, "total": 2.0}
    # Not even a NaN comes through a weight of zero.
    assert combine(fidelity=torch.tensor(2.0), feature=torch.tensor(math.nan)).value.item() == 2.0


def test_terms_and_weights_that_do_not_meet_are_refused():
    with pytest.raises(ValueError, match=r"weights without a term: \['feature'\]"):
        Combine({"fidelity": 1.0, "feature": 0.1})(fidelity=torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"without a weight: \['colour'\]"):
        Combine({"fidelity": 1.0})(fidelity=torch.tensor(1.0), colour=torch.tensor(1.0))
    for weights in ({}, {"fidelity": 0.0}, {"fidelity": -1.0}, {"fidelity": math.nan}):
        with pytest.raises(ValueError, match="loss weights"):
            Combine(weights)
