"""The generator: what it can see, where it starts."""

import pytest

torch = pytest.importorskip("torch")

from model.networks import ResidualGenerator  # noqa: E402


def randomised(**shape: int) -> "ResidualGenerator":
    """A network whose last layer is no longer zero, in float64 so that no faint influence is lost."""
    torch.manual_seed(0)
    network = ResidualGenerator(**shape).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return network


def test_an_output_pixel_depends_on_exactly_the_receptive_radius():
    network = randomised(width=6, blocks=2)
    radius, side = network.receptive_radius, 2 * network.receptive_radius + 7
    plate = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    middle = side // 2
    # All four sub-pixels of the middle input pixel.
    network(plate)[:, :, 2 * middle : 2 * middle + 2, 2 * middle : 2 * middle + 2].abs().sum().backward()
    assert plate.grad is not None
    rows = plate.grad.abs().sum(dim=(0, 1, 3)).nonzero().ravel()
    columns = plate.grad.abs().sum(dim=(0, 1, 2)).nonzero().ravel()
    for touched in (rows, columns):
        assert (touched.min().item(), touched.max().item()) == (middle - radius, middle + radius)


def test_the_default_network_has_27_convolutions_and_under_a_million_parameters():
    network = ResidualGenerator()
    assert network.receptive_radius == 27
    assert 0.92e6 < sum(p.numel() for p in network.parameters()) < 0.94e6


def test_an_untrained_network_leaves_the_interpolation_as_it_is():
    residual = ResidualGenerator(width=8, blocks=2)(torch.rand(2, 3, 9, 11))
    assert residual.shape == (2, 3, 18, 22)
    assert torch.count_nonzero(residual) == 0


def test_other_scales_and_channel_counts_have_the_promised_size():
    assert randomised(width=4, blocks=1, channels=1, scale=3)(torch.rand(1, 1, 5, 6).double()).shape == (1, 1, 15, 18)
