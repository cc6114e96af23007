"""All terms at work: steps against an opponent under bf16, as a trainer takes them."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from model.losses import Adversarial, ColourShift, Combine, Fidelity, feature_distance, frozen  # noqa: E402
from model.losses import adversarial as kinds  # noqa: E402
from model.networks import build_discriminator, build_generator  # noqa: E402

KINDS: list[Any] = list(kinds.KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_moves_each_side_by_its_own_loss_alone(kind):
    torch.manual_seed(6)
    network: Any = build_generator("residual", width=4, blocks=1)
    opponent = build_discriminator("unet", width=4, levels=2)
    term, combine = Adversarial(kind), Combine()
    colour, fidelity = ColourShift(sigma=1.0), Fidelity()
    lr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    upsampled = lr.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            ours = upsampled + network(lr).float()
            with frozen(opponent):
                fake, real = opponent(ours), opponent(hr)
        total = combine(
            fidelity=fidelity(ours, hr),
            colour_shift=colour(ours, lr, hr),
            feature=feature_distance(fake.features, real.features),
            adversarial=term.generator(fake.logits, real.logits),
        )
        network.zero_grad()
        total.value.backward()
        assert torch.isfinite(network.tail.weight.grad).all()
        assert network.tail.weight.grad.abs().sum() > 0.0
        assert all(p.grad is None for p in opponent.parameters())
        with torch.no_grad(), frozen(opponent):
            again = feature_distance(opponent(ours).features, opponent(hr).features)
        torch.testing.assert_close(again, total.parts["feature"], rtol=0.05, atol=1e-3)  # the same in float32

        with torch.autocast("cpu", torch.bfloat16):
            fake, real = opponent(ours.detach()), opponent(hr)
        loss = term.discriminator(fake.logits, real.logits)
        before = network.tail.weight.grad.clone()
        loss.backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in opponent.parameters())
        assert torch.equal(network.tail.weight.grad, before)
        opponent.zero_grad(set_to_none=True)
        with torch.no_grad():
            network.tail.weight -= 0.1 * network.tail.weight.grad
