"""The feature term: sources behind one protocol, none of which learns from it."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from deepupscale.range_compression import RangeCompression  # noqa: E402
from model.losses import FeatureLoss, OwnFeatures, Vgg, frozen  # noqa: E402
from model.networks import AovFeatures, VggFeatures, build_discriminator  # noqa: E402


@pytest.fixture(scope="module")
def vgg() -> VggFeatures:
    """Early taps, so that the deep layers are neither filled nor run."""
    torch.manual_seed(0)
    network = VggFeatures(("conv1_2", "conv2_2"))
    network.features = network.features[:9]  # type: ignore[assignment]
    return network


@pytest.fixture(params=["unet", "patch", "aov", "vgg"])
def network(request, vgg):
    torch.manual_seed(1)
    if request.param == "vgg":
        return vgg
    return AovFeatures(4, 3) if request.param == "aov" else build_discriminator(request.param, width=4, levels=2)


def activations(opponent):
    """Of a discriminator that stands still, as the generator's turn takes them."""

    def see(compressed):
        with frozen(opponent):
            return opponent(compressed).features

    return see


def source(network):
    if isinstance(network, VggFeatures):
        return Vgg(network)
    return OwnFeatures(network) if isinstance(network, AovFeatures) else activations(network)


def test_it_is_zero_for_the_truth_and_reaches_the_picture_but_not_the_weights(network):
    loss, truth = FeatureLoss(source(network)), torch.rand(1, 3, 24, 20)
    assert loss(truth, truth).item() == 0.0
    ours, aim = torch.rand(1, 3, 24, 20).requires_grad_(), truth.clone().requires_grad_()
    value = loss(ours, aim)
    assert value.item() > 0.0
    value.backward()
    assert ours.grad is not None
    assert ours.grad.abs().sum() > 0.0
    assert aim.grad is None
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_opponent_stands_still_while_it_is_looked_through_and_learns_afterwards():
    network = build_discriminator("unet", width=4, levels=2)
    network.judge[0].eval()  # type: ignore[operator, index, union-attr]
    next(network.head.parameters()).requires_grad_(False)  # type: ignore[union-attr]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    learning = [parameter.requires_grad for parameter in network.parameters()]
    FeatureLoss(activations(network))(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert modes == [module.training for module in network.modules()]
    assert learning == [parameter.requires_grad for parameter in network.parameters()]
    with pytest.raises(KeyError), frozen(network):
        raise KeyError
    assert modes == [module.training for module in network.modules()]
    assert learning == [parameter.requires_grad for parameter in network.parameters()]
    network(torch.rand(1, 3, 8, 8)).logits.sum().backward()
    assert network.tail.weight.grad is not None  # type: ignore[union-attr]


def test_it_is_finite_at_the_extremes(network):
    light = torch.tensor([0.0, -0.3, -65504.0, 65504.0, 1e-8, 1.0, 1e-3, 300.0])
    truth = RangeCompression().compress(light).repeat(16, 2).expand(1, 3, 16, 16)
    ours = truth.flip(3).clone()
    ours[0, 0, 0, :4] = torch.tensor([100.0, -100.0, 2.0, 1.381])
    ours.requires_grad_()
    value = FeatureLoss(source(network))(ours, truth)
    value.backward()
    assert torch.isfinite(value)
    assert ours.grad is not None
    assert torch.isfinite(ours.grad).all()


def test_it_is_float32_under_autocast_and_frozen_networks_run_in_float32(network):
    loss, ours, truth = FeatureLoss(source(network)), torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    plain = loss(ours, truth)
    with torch.autocast("cpu", torch.bfloat16):
        cast = loss(ours, truth)
    assert cast.dtype == torch.float32
    if isinstance(network, (AovFeatures, VggFeatures)):
        assert cast.item() == plain.item()
    else:
        assert cast.item() == pytest.approx(plain.item(), rel=0.05)


def test_weights_choose_among_the_features():
    def steps(compressed):
        return [compressed, 10.0 * compressed, 100.0 * compressed]

    ours, truth = torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    assert FeatureLoss(steps)(ours, truth).item() == pytest.approx(37.0)
    assert FeatureLoss(steps, [1.0, 3.0, 0.0])(ours, truth).item() == pytest.approx(31.0 / 4.0)
    with pytest.raises(ValueError, match="2 weights for 3"):
        FeatureLoss(steps, [1.0, 1.0])(ours, truth)
    for weights in ([], [0.0], [-1.0, 2.0]):
        with pytest.raises(ValueError, match="feature weights"):
            FeatureLoss(steps, weights)


def test_the_gradient_is_that_of_the_value():
    torch.manual_seed(4)
    network = AovFeatures(2, 2).double()
    loss = FeatureLoss(OwnFeatures(network))
    ours = torch.rand(1, 3, 4, 4, dtype=torch.float64).requires_grad_()
    truth = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, truth), (ours,))


def test_vgg_refuses_taps_that_it_has_not():
    with pytest.raises(ValueError, match="conv6_1"):
        VggFeatures(("conv6_1",))
