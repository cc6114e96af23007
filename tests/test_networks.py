"""Generators, discriminators and feature networks: sizes, reach, where they start, what spectral norm promises."""

import copy
import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from deepupscale.errors import ModelError  # noqa: E402
from model.networks import (  # noqa: E402
    AovFeatures,
    PatchDiscriminator,
    UNetDiscriminator,
    VggFeatures,
    build_discriminator,
    build_generator,
)
from model.networks.aov_features import Aovs, aov_loss, log_depth  # noqa: E402
from model.networks.discriminator import normed_conv  # noqa: E402

TINY = {
    "residual": {"width": 6, "blocks": 2},
    "hero": {"width": 6, "blocks": 1},
    "prosr": {"width": 6, "units": 2, "layers": 2, "growth": 4, "bottleneck": 2},
    "prosr-small": {"width": 6, "units": 1, "layers": 3, "growth": 4, "bottleneck": 2},
}


def parameters(network) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("scale", [2, 3])
def test_an_output_pixel_depends_on_exactly_the_receptive_radius(name, scale):
    """Positive weights and picture: every ReLU passes and no two paths cancel, so the whole reach shows."""
    network = build_generator(name, **TINY[name], scale=scale).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0 / max(1, parameter[0].numel()) if parameter.dim() == 4 else 0.0)
    radius = network.receptive_radius
    middle = radius + 3
    plate = torch.ones(1, 3, 2 * middle + 1, 2 * middle + 1, dtype=torch.float64, requires_grad=True)
    block = slice(scale * middle, scale * (middle + 1))
    network(plate)[:, :, block, block].sum().backward()
    assert plate.grad is not None
    for touched in (plate.grad.sum(dim=(0, 1, 3)).nonzero(), plate.grad.sum(dim=(0, 1, 2)).nonzero()):
        assert (touched.min().item(), touched.max().item()) == (middle - radius, middle + radius)


@pytest.mark.parametrize(
    ("name", "count", "radius"),
    [("residual", 931_916, 27), ("hero", 4_082_028, 51), ("prosr", 9_470_403, 76), ("prosr-small", 611_971, 28)],
)
def test_the_generators_have_the_stated_size_and_reach(name, count, radius):
    with torch.device("meta"):
        network = build_generator(name)
    assert (parameters(network), network.receptive_radius) == (count, radius)


def test_opponents_and_feature_networks_have_the_stated_size():
    with torch.device("meta"):
        aov, vgg = AovFeatures(), VggFeatures()
        assert parameters(UNetDiscriminator(norm=False)) == 4_376_897
        assert parameters(PatchDiscriminator(norm=False)) == 2_763_841
    assert (parameters(aov), parameters(aov.encoder), parameters(vgg)) == (1_947_079, 1_172_256, 20_024_384)


@pytest.mark.parametrize("name", TINY)
def test_an_untrained_generator_leaves_the_interpolation_as_it_is(name):
    residual = build_generator(name, **TINY[name])(torch.rand(2, 3, 9, 11))
    assert residual.shape == (2, 3, 18, 22)
    assert torch.count_nonzero(residual) == 0


@pytest.mark.parametrize("name", TINY)
def test_a_generator_can_be_built_again_from_its_shape(name):
    network = build_generator(name, **TINY[name])
    again = build_generator(network.kind, **network.shape)
    assert again.shape == network.shape
    again.load_state_dict(network.state_dict())


@pytest.mark.parametrize("name", TINY)
def test_a_generator_runs_channels_last_and_under_bf16(name):
    torch.manual_seed(0)
    network = build_generator(name, **TINY[name])
    torch.nn.init.normal_(network.tail.weight, std=0.1)  # type: ignore[arg-type, union-attr]
    plate = torch.rand(2, 3, 12, 10)
    plain = network(plate)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(last(plate.to(memory_format=torch.channels_last)), plain, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        low = last(plate.to(memory_format=torch.channels_last))
    assert low.dtype == torch.bfloat16
    assert (low.float() - plain).abs().max() < 0.05 * plain.abs().max()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet", {}),
        ("residual", {"depth": 4}),
        ("residual", {"width": 0}),
        ("residual", {"width": 10**9}),
        ("residual", {"width": 8.0}),
        ("residual", {"blocks": True}),
        ("residual", {"blocks": "3"}),
        ("prosr", {"residual": math.nan}),
    ],
)
def test_what_cannot_be_built_is_refused(name, shape):
    with pytest.raises(ModelError, match=name):
        build_generator(name, **shape)


@pytest.mark.parametrize(("name", "size"), [("unet", (22, 19)), ("patch", (3, 2))])
def test_a_discriminator_gives_logits_and_features_of_any_size(name, size):
    network = build_discriminator(name, width=4, levels=2 if name == "unet" else 3)
    height, width = (22, 19) if name == "unet" else (40, 32)
    verdict = network(torch.randn(2, 3, height, width))
    assert verdict.logits.shape == (2, 1, *(size if name == "unet" else verdict.logits.shape[2:]))
    assert len(verdict.features) >= 4
    with torch.autocast("cpu", torch.bfloat16):
        low = network(torch.randn(2, 3, height, width))
    assert low.logits.dtype == torch.bfloat16
    low.logits.float().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_a_unet_refuses_pictures_smaller_than_its_coarsest_pixel():
    with pytest.raises(ValueError, match="at least 8 pixels"):
        UNetDiscriminator(width=2)(torch.zeros(1, 3, 7, 30))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("name", ["unet", "patch"])
def test_spectral_norm_bounds_every_convolution_after_a_violent_step(name, autocast):
    torch.manual_seed(2)
    network = build_discriminator(name, width=4, levels=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(3.0 * torch.randn_like(parameter))
        for _ in range(60):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                network(torch.rand(1, 3, 16, 16))
    network.eval()
    normed: list[Any] = [
        m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and hasattr(m, "parametrizations")
    ]
    assert len(normed) == (6 if name == "unet" else 2)
    for conv in normed:
        largest = torch.linalg.matrix_norm(conv.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1.0, abs=5e-3)
        # The convolution as an operator, by power iteration.
        size = (1, conv.in_channels, 16, 16)
        picture, gain = torch.randn(size), 0.0
        for _ in range(40):
            picture = (picture / picture.norm()).requires_grad_()
            (again,) = torch.autograd.grad(0.5 * conv(picture).square().sum(), picture)
            gain, picture = math.sqrt(again.norm().item()), again.detach()
        assert 0.0 < gain <= 1.01 * math.ceil(conv.kernel_size[0] / conv.stride[0])


def test_the_norm_is_found_outside_autocast():
    class Probe(torch.nn.Module):
        def forward(self, weight):
            seen.append(torch.is_autocast_enabled("cpu"))
            return weight

    conv: Any = normed_conv(3, 4, 3, 1, norm=True)
    seen: list[bool] = []
    torch.nn.utils.parametrize.register_parametrization(conv, "weight", Probe())
    seen.clear()
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(torch.rand(1, 3, 6, 6)).dtype == torch.bfloat16
    assert seen == [False]


def test_without_spectral_norm_nothing_is_bounded():
    network = build_discriminator("unet", width=4, levels=2, norm=False)
    assert not any(hasattr(module, "parametrizations") for module in network.modules())


def test_aov_features_learn_from_their_labels():
    torch.manual_seed(3)
    network = AovFeatures(width=4, levels=3)
    beauty = torch.rand(2, 3, 21, 18)
    assert [f.shape[1:] for f in network.features(beauty)] == [(4, 21, 18), (8, 10, 9), (16, 5, 4)]
    normal = torch.nn.functional.normalize(beauty - 0.5, dim=1)
    truth = Aovs(beauty.clone(), normal, log_depth(beauty[:, :1] + 1.0))
    adam = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = aov_loss(network(beauty), truth)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_the_aov_loss_is_zero_for_the_truth_and_for_a_depth_of_another_scale_and_leaves_background_out():
    torch.manual_seed(4)
    distance = torch.rand(2, 1, 6, 5) + 0.5
    distance[0, 0, 0] = torch.inf
    distance[1, 0, 1, 1] = 1e10
    truth = Aovs(
        torch.rand(2, 3, 6, 5), torch.nn.functional.normalize(torch.randn(2, 3, 6, 5), dim=1), log_depth(distance)
    )
    truth.normal[:, :, 0] = 0.0
    known = torch.nan_to_num(truth.log_depth, nan=7.0)
    guess = Aovs(truth.albedo.clone(), 4.0 * truth.normal, (known + 3.0).requires_grad_())
    loss = aov_loss(guess, truth)
    assert loss.item() == pytest.approx(0.0, abs=1e-5)
    assert aov_loss(Aovs(guess.albedo + 0.5, guess.normal, guess.log_depth), truth).item() == pytest.approx(
        0.5, abs=1e-5
    )
    loss.backward()
    assert guess.log_depth.grad is not None
    assert torch.isfinite(guess.log_depth.grad).all()
    nothing = Aovs(*(torch.full_like(part, torch.nan) for part in truth))
    assert aov_loss(guess, nothing).item() == 0.0
