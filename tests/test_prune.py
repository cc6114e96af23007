"""Pruning: what goes, what makes up for it, what stays as it was, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("lmdb")

import torch
from commands import NOTHING_RUN, tree
from safetensors import safe_open
from safetensors.torch import save_file
from stores import Pair, halved, make_store, scene

from deepupscale.cli.app import invoke
from model import snapshots
from model.checkpoint import load_generator, metadata
from model.loader import CONTEXT
from model.networks import Generator, ResidualGenerator, build_generator
from model.prune import gram_matrices, without_channels

WIDTH, BLOCKS, KEPT = 16, 2, 8
SIDE = 2 * CONTEXT + 12  # LR pixels of the pictures here
HIDDEN = [(block, layer) for block in range(BLOCKS) for layer in (0, 1)]  # the convolution that makes the channels


def learnt(**shape: int) -> ResidualGenerator:
    """A network in which every channel says something: positive biases, and no layer that is zero."""
    torch.manual_seed(4)
    network = ResidualGenerator(**{"width": WIDTH, "blocks": BLOCKS, **shape}).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(0.1, 0.3)
        network.tail.weight.normal_(std=0.1)
        for block in range(BLOCKS):
            parts(network, block, 2)[0].mul_(10.0)
    return network


def parts(network: Generator, block: int, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of one convolution; changing them changes the network."""
    state = network.state_dict()
    return state[f"blocks.{block}.convs.{layer}.weight"], state[f"blocks.{block}.convs.{layer}.bias"]


def pictures(count: int = 24) -> torch.Tensor:
    torch.manual_seed(5)
    return torch.rand(count, 3, SIDE, SIDE)


def pruned(network: ResidualGenerator, inner: int = KEPT) -> ResidualGenerator:
    return without_channels(network, gram_matrices(network, pictures()), inner)


def answers(*networks: Generator) -> list[torch.Tensor]:
    """What they make of the same pictures, away from borders: no zero padding reaches it."""
    cut = 2 * networks[0].receptive_radius
    with torch.inference_mode():
        return [network(pictures(2))[..., cut:-cut, cut:-cut] for network in networks]


def some(seed: int) -> tuple[list[int], list[int]]:
    """Half of the inner channels, and the other half; both rising."""
    order = np.random.default_rng(seed).permutation(WIDTH).tolist()
    return sorted(order[:KEPT]), sorted(order[KEPT:])


# ---- what goes


def test_dead_channels_go_and_nothing_else_changes_by_a_bit() -> None:
    network, alive = learnt(), {}
    for number, (block, layer) in enumerate(HIDDEN):
        alive[block, layer], dead = some(number)
        weight, bias = parts(network, block, layer)
        weight[dead[:4]], bias[dead[:4]] = 0.0, -1.0  # never light up
        parts(network, block, layer + 1)[0][:, dead[4:]] = 0.0  # nobody listens
    small = pruned(network)
    for block in range(BLOCKS):
        first, second = alive[block, 0], alive[block, 1]
        for layer, made, taken in ((0, first, None), (1, second, first), (2, None, second)):
            weight, bias = parts(network, block, layer)
            weight, bias = (weight, bias) if made is None else (weight[made], bias[made])
            found = parts(small, block, layer)
            assert torch.equal(found[0], weight if taken is None else weight[:, taken])
            assert torch.equal(found[1], bias)
    torch.testing.assert_close(*answers(small, network), rtol=0, atol=1e-5)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_channels_that_count_stay_and_a_loud_one_that_never_changes_goes(block: int) -> None:
    network, (important, other) = learnt(), some(block)
    weight, bias = parts(network, block, 0)
    taking = parts(network, block, 1)[0]
    taking[:, important] *= 100.0
    weight[other[0]], bias[other[0]] = 0.0, 100.0
    taking[:, other[0]] *= 100.0
    assert torch.equal(parts(pruned(network), block, 0)[0], weight[important])


def test_the_order_of_channels_does_not_matter() -> None:
    network, shuffled = learnt(), learnt()
    for number, (block, layer) in enumerate(HIDDEN):
        order = torch.from_numpy(np.random.default_rng(number).permutation(WIDTH))
        for tensor in parts(shuffled, block, layer):
            tensor.copy_(tensor[order])
        taking = parts(shuffled, block, layer + 1)[0]
        taking.copy_(taking[:, order])
    torch.testing.assert_close(*answers(network, shuffled), rtol=0, atol=1e-4)
    one, other = answers(pruned(network), pruned(shuffled))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


# ---- what makes up for it


def test_the_bias_makes_up_for_a_channel_that_never_changes() -> None:
    network = learnt()
    for number, (block, layer) in enumerate(HIDDEN):
        weight, bias = parts(network, block, layer)
        weight[some(number)[1]] = 0.0
        bias[some(number)[1]] = torch.linspace(0.05, 0.4, WIDTH - KEPT)
    small = pruned(network)
    torch.testing.assert_close(*answers(small, network), rtol=0, atol=2e-4)
    with torch.inference_mode():
        whole = [each(pictures(1)) for each in (small, network)]
    assert (whole[0] - whole[1]).abs().max() > 1e-2  # at borders padding is zero, which no bias can be


def test_the_channels_that_stay_make_up_for_their_like() -> None:
    network = learnt()
    for number, (block, layer) in enumerate(HIDDEN):
        kept, twins = some(number)
        for tensor in parts(network, block, layer):
            tensor[twins] = tensor[kept]
        parts(network, block, layer + 1)[0][:, twins] *= 0.1
    small, before = answers(pruned(network), network)
    for number, (block, layer) in enumerate(HIDDEN):
        parts(network, block, layer + 1)[0][:, some(number)[1]] = 0.0
    (cut,) = answers(network)
    off, plain = (float((each - before).square().mean().sqrt()) for each in (small, cut))
    assert off < 0.5 * plain


# ---- what it is afterwards


def test_a_pruned_network_looks_as_far_and_is_smaller() -> None:
    network = learnt()
    small = pruned(network)
    assert small.receptive_radius == network.receptive_radius
    assert network.shape == {"width": WIDTH, "blocks": BLOCKS, "channels": 3, "scale": 2}
    assert small.shape == {**network.shape, "inner": KEPT}
    assert build_generator("hero", **small.shape).shape == small.shape


def test_the_halo_of_its_export_is_that_of_the_whole_network() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.register_assert_rewrite("exports")
    from exports import as_file

    from export.graph import export_graph
    from export.halo import measure_halo

    small = learnt(inner=KEPT)
    assert measure_halo(as_file(export_graph(small), small), 16) == learnt().receptive_radius


# ---- the command


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def pair(number: int) -> Pair:
        high = scene(128, 96, number)
        low, high = ({"rgb": picture.astype(np.float16)} for picture in (halved(high), high))
        return f"scene{number:05}.0001", low, high

    return make_store(tmp_path_factory.mktemp("data") / "store", [pair(number) for number in range(3)])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    network = learnt()
    save_file(network.state_dict(), tmp_path / "whole.safetensors", metadata(network))
    return tmp_path / "whole.safetensors"


def test_the_file_says_what_it_is_and_is_the_same_again(store: Path, checkpoint: Path, tmp_path: Path) -> None:
    snapshots.write(tmp_path / "run" / "checkpoints", 5, {"ema": learnt().state_dict()}, {}, metadata(learnt()))
    last = snapshots.last_weights(tmp_path / "run")
    last.write_bytes(checkpoint.read_bytes())
    for source, out in ((checkpoint, "a"), (tmp_path / "run", "b")):
        given = ["prune", source, tmp_path / f"{out}.safetensors", "--keep", 0.5, "--store", store]
        assert invoke([*map(str, given)]) == 0
    one, other = (load_generator(tmp_path / f"{name}.safetensors") for name in "ab")
    assert one.shape == {**learnt().shape, "inner": KEPT}
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())
    with safe_open(tmp_path / "b.safetensors", framework="pt") as file:
        said = file.metadata()
    assert said["pruned_from"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert (said["network"], json.loads(said["shape"])) == ("residual", one.shape)


def test_the_last_line_is_the_command_that_fine_tunes(
    store: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("tensorboard", "yaml"):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "a name.safetensors"
    out.write_bytes(b"another")
    assert invoke(["prune", str(checkpoint), str(out), "--keep", "0.5", "--store", str(store), "--overwrite"]) == 0
    size, error, line = capsys.readouterr().out.splitlines()
    assert f"{KEPT} of {WIDTH} channels inside each block" in size
    assert "% off what it was, on " in error
    deepupscale, *given = shlex.split(line.removeprefix("fine-tune it: "))
    assert deepupscale == "deepupscale"
    tiny = ("data.patch=32", "data.batch=1", "data.workers=0", "pretrain.steps=2", "validation_crops=0")
    assert invoke([*given, *(word for setting in tiny for word in ("--set", setting)), "--device", "cpu"]) == 0
    tuned = load_generator(snapshots.last_weights(tmp_path / "runs" / "pruned"))
    assert tuned.shape == load_generator(out).shape
    for name, tensor in load_generator(out).state_dict().items():
        torch.testing.assert_close(tuned.state_dict()[name], tensor, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--keep", "0"), "--keep 0: name a share above 0 and below 1"),
        (("--keep", "1"), "--keep 1: name a share above 0 and below 1"),
        (("--keep", "nan"), "--keep nan: name a share above 0 and below 1"),
        (("--keep", "0.9"), "--keep 0.9: leaves all 16 channels, in multiples of 8: name less"),
        (("--store", "nowhere"), "nowhere"),
    ],
)
def test_options_that_cannot_be_meant(
    options: tuple[str, str], says: str, store: Path, checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(capfd, checkpoint, checkpoint.with_name("out.safetensors"), says, store, options)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("whole.safetensors", "exists: replace it by --overwrite, or name another file"),
        ("out.onnx", "name a file that ends in .safetensors"),
        ("no/out.safetensors", "make it first"),
        ("n" * 300 + ".safetensors", "cannot be written: "),
    ],
)
def test_a_file_that_cannot_be_made(
    name: str, says: str, store: Path, checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(capfd, checkpoint, checkpoint.parent / name, says, store)


def test_the_checkpoint_is_not_replaced_by_what_is_pruned_from_it(
    store: Path, checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(capfd, checkpoint, checkpoint, "is the checkpoint itself: name another file", store, ("--overwrite",))


@pytest.mark.parametrize("case", ["another network", "grey", "cut short", "missing", "empty folder", "overflowing"])
def test_a_checkpoint_that_cannot_be_pruned(
    case: str, store: Path, checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    says = {
        "another network": "holds the network prosr of 3 channels: residual ones of RGB are pruned",
        "grey": "holds the network residual of 1 channels: residual ones of RGB are pruned",
        "cut short": "cannot be read as safetensors",
        "missing": "cannot be read as safetensors",
        "empty folder": "is a folder without checkpoints",
        "overflowing": "makes NaN or Inf of pictures of ",
    }[case]
    network: Generator = learnt(channels=1) if case == "grey" else learnt()
    if case == "another network":
        network = build_generator("prosr", width=6, units=1, layers=2, growth=4, bottleneck=2)
    if case == "overflowing":
        for layer in (0, 1):
            parts(network, 0, layer)[0].mul_(1e25)
    save_file(network.state_dict(), checkpoint, metadata(network))
    if case == "cut short":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    if case in ("missing", "empty folder"):
        checkpoint.unlink()
    if case == "empty folder":
        checkpoint.mkdir()
    refused(capfd, checkpoint, checkpoint.with_name("out.safetensors"), says, store)


def refused(
    capfd: pytest.CaptureFixture[str], checkpoint: Path, out: Path, says: str, store: Path, more: tuple[str, ...] = ()
) -> None:
    """One line that says why, exit code 2, and nothing on disk has changed."""
    before = tree(checkpoint.parent)
    capfd.readouterr()
    given = ["prune", str(checkpoint), str(out), "--keep", "0.5", "--store", str(store)]
    assert invoke([*given, *more]) == NOTHING_RUN  # of an option that is given twice the last counts
    said = capfd.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith("deepupscale: error: ")
    assert says in said.err
    assert tree(checkpoint.parent) == before
