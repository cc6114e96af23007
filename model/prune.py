"""Structured pruning: fewer channels inside the blocks of a residual generator, and the others make up for them.

Inside a block two convolutions take channels that nothing else sees. What a channel adds to its convolution's result
varies, over pictures, by

    tr(W_c C_c W_c^T)

with the nine columns W_c of the weights and the covariance C_c of the channel's 3x3 neighbourhood; the channels that
add least go. It is the fluctuation of An et al. (*Fluctuation-based Adaptive Structured Pruning*, AAAI 2024), with the
taps of a neighbourhood together. The weights that stay and the bias are then fitted to the former result by least
squares (He, Zhang and Sun, *Channel Pruning for Accelerating Very Deep Neural Networks*, ICCV 2017), so the mean of
what has gone is in the bias.

The blocks' input and output, the receptive radius and the promise of an export stay as they are. ``deepupscale train``
with ``start`` then learns the rest back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from deepupscale.errors import ModelError, UsageError
from deepupscale.temporary import check_target
from model import snapshots
from model.augment import Augmentation
from model.checkpoint import load_generator, metadata
from model.loader import CONTEXT
from model.networks import Generator, ResidualGenerator
from model.sampling import StorePatches, StoreSampler, split
from model.store import Store
from model.store_format import BEAUTY

MULTIPLE = 8  # channels that are left: what vector units and tensor cores take at once
SIDE = 32  # LR pixels of a patch without its context
PATCHES = 128  # that channels are chosen by
CHECKED = 32  # others that the error is told of
_BATCH = 16
_RIDGE = 1e-3  # of the mean square: holds weights near what they were where pictures do not tell
_SEED = 1
_TAPS = 9


@dataclass(frozen=True)
class Pruned:
    """What was made.

    Attributes:
        out: The file.
        digest: SHA-256 of the checkpoint that it was pruned from.
        shapes: Of the network, before and after.
        parameters: Numbers of them, before and after.
        work: Multiplications for a pixel of the plate, before and after.
        error: Root mean square of what the correction is off by, over that of the correction before.
        seen: Whether that is on pairs that the channels were chosen by, as no other is there.
    """

    out: Path
    digest: str
    shapes: tuple[dict[str, int | float | bool], dict[str, int | float | bool]]
    parameters: tuple[int, int]
    work: tuple[int, int]
    error: float
    seen: bool


def prune(
    checkpoint: Path, out: Path, keep: float, store: Path, held_out: float = 0.1, overwrite: bool = False
) -> Pruned:
    """Prune a checkpoint and write the smaller network.

    The same checkpoint, store and options give the same weights on the same machine and versions.

    Args:
        checkpoint: A ``.safetensors`` file of a residual generator, or the folder of a run, whose last averaged
            weights are taken.
        out: The ``.safetensors`` file to make, whole or not at all.
        keep: Share of the inner channels that stays, above 0 and below 1; rounded to a multiple of 8 channels.
        store: Pairs on whose LR the channels are chosen.
        held_out: Share of the pairs that they are not chosen by.
        overwrite: Replace ``out`` if it exists.

    Raises:
        UsageError: Arguments that cannot be meant.
        ModelError: A checkpoint that cannot be read, or of another kind of network.
        StoreError: The store cannot be read.
        WriteError: ``out`` cannot be written; what was there is untouched.
    """
    if not 0.0 < keep < 1.0:
        raise UsageError(f"--keep {keep:g}: name a share above 0 and below 1")
    try:
        check_target(out, ".safetensors", overwrite)
        file = snapshots.last_weights(checkpoint) if checkpoint.is_dir() else checkpoint
        if out.exists() and file.exists() and out.samefile(file):
            raise UsageError(f"{out}: is the checkpoint itself: name another file")
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be used: {error.strerror or error}") from None
    network = load_generator(file)
    if not isinstance(network, ResidualGenerator) or network.channels != 3:
        raise ModelError(
            f"{file}: holds the network {network.kind} of {network.channels} channels: residual ones of RGB are pruned"
        )
    inner = max(MULTIPLE, MULTIPLE * round(keep * network.inner / MULTIPLE))
    if inner >= network.inner:
        raise UsageError(f"--keep {keep:g}: leaves all {network.inner} channels, in multiples of {MULTIPLE}: name less")
    pairs = Store(store)
    learnt, held = split(pairs, held_out)
    gram = gram_matrices(network, _pictures(pairs, learnt or held, PATCHES))
    if not all(bool(torch.isfinite(each).all()) for block in gram for each in block):
        raise ModelError(f"{file}: makes NaN or Inf of pictures of {store}: it is not pruned")
    small = without_channels(network, gram, inner)
    unseen = _pictures(pairs, held or learnt, CHECKED, _SEED + 1)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    snapshots.write_tensors(out, small.state_dict(), {**metadata(small), "pruned_from": digest})
    return Pruned(
        out, digest, (network.shape, small.shape), (_parameters(network), _parameters(small)),
        (_work(network), _work(small)), _error(network, small, unseen), not (learnt and held),
    )  # fmt: skip


def gram_matrices(network: ResidualGenerator, pictures: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What the second and third convolution of every block take, as sums of products.

    Args:
        network: Float32.
        pictures: (count, 3, height, width) in the compressed range, with ``CONTEXT`` pixels around what counts, so
            that zero padding hardly reaches it: an upscaled frame sees none.

    Returns:
        By block two symmetric matrices, float64, of 9 inner + 1 rows: channel by channel the nine taps of its
        neighbourhood, and a one at the end. Of every second row and column; neighbours tell the same.
    """
    made: dict[nn.Module, Tensor] = {}

    def note(conv: nn.Module, given: tuple[Tensor]) -> None:
        taken = given[0][..., CONTEXT - 1 : 1 - CONTEXT, CONTEXT - 1 : 1 - CONTEXT]
        columns = nn.functional.unfold(taken, 3, stride=2).transpose(0, 1).flatten(1)
        columns = torch.cat((columns, columns.new_ones(1, columns.shape[1]))).double()
        made[conv] = made.get(conv, 0.0) + columns @ columns.T

    blocks = _convolutions(network)
    handles = [conv.register_forward_pre_hook(note) for block in blocks for conv in block[1:]]
    try:
        with torch.inference_mode():
            for batch in pictures.split(_BATCH):
                network(batch)
    finally:
        for handle in handles:
            handle.remove()
    return [(made[second], made[third]) for _, second, third in blocks]


def without_channels(
    network: ResidualGenerator, gram: Sequence[tuple[Tensor, Tensor]], inner: int
) -> ResidualGenerator:
    """The network with fewer inner channels, every block by its own matrices; from the block's end to its start.

    Args:
        network: Left as it is.
        gram: Of :func:`gram_matrices`.
        inner: Channels that stay between the convolutions of a block.
    """
    small = ResidualGenerator(**{**network.shape, "inner": inner}).eval()  # type: ignore[arg-type]
    state = network.state_dict()
    for number, (second, third) in enumerate(gram):
        weights, biases = (
            [state[f"blocks.{number}.convs.{n}.{kind}"] for n in range(3)] for kind in ("weight", "bias")
        )
        kept, weights[2], biases[2] = _fewer(third, weights[2], biases[2], inner)
        kept_before, weights[1], biases[1] = _fewer(second, weights[1][kept], biases[1][kept], inner)
        weights[0], biases[0] = weights[0][kept_before], biases[0][kept_before]
        for n in range(3):
            state[f"blocks.{number}.convs.{n}.weight"] = weights[n].float()
            state[f"blocks.{number}.convs.{n}.bias"] = biases[n].float()
    small.load_state_dict(state)
    return small


def _fewer(gram: Tensor, weight: Tensor, bias: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """A convolution with fewer input channels.

    Returns:
        Which are left, rising; the weight (made, count, 3, 3) and the bias, float64.
    """
    matrix = torch.cat((weight.flatten(1), bias[:, None]), 1).double()
    columns = torch.arange(len(gram) - 1).view(-1, _TAPS)
    mean = gram[-1] / gram[-1, -1]
    covariance = gram / gram[-1, -1] - torch.outer(mean, mean)
    theirs = matrix[:, columns].transpose(0, 1)  # (channel, made, tap)
    fluctuation = ((theirs @ covariance[columns[:, :, None], columns[:, None, :]]) * theirs).sum((1, 2))
    order = fluctuation.argsort(descending=True, stable=True)
    left = order[:count].sort().values
    kept, gone = torch.cat((columns[left].flatten(), torch.tensor([-1]))), columns[order[count:]].flatten()
    ridge = gram.new_full((len(kept),), _RIDGE * float(gram.diagonal()[:-1].mean()) + torch.finfo(gram.dtype).tiny)
    ridge[-1] = 0.0  # a mean is made up for in full
    instead = torch.linalg.solve(gram[kept][:, kept] + ridge.diag(), gram[kept][:, gone])
    matrix = matrix[:, kept] + matrix[:, gone] @ instead.T
    return left, matrix[:, :-1].view(len(matrix), count, 3, 3), matrix[:, -1]


def _convolutions(network: ResidualGenerator) -> list[list[nn.Conv2d]]:
    return [[layer for layer in block.modules() if isinstance(layer, nn.Conv2d)] for block in network.blocks]


def _pictures(store: Store, pairs: Sequence[int], count: int, seed: int = _SEED) -> Tensor:
    """Patches of LR as training sees them: (count, 3, side, side) in the compressed range, with context."""
    patches = StorePatches(StoreSampler(store, SIDE, pairs=pairs), Augmentation(), seed, count, CONTEXT)
    return torch.from_numpy(patches.step(0)[0][BEAUTY]).permute(0, 3, 1, 2)  # channels last in memory


def _error(before: Generator, after: Generator, pictures: Tensor) -> float:
    off = square = 0.0
    cut = before.scale * CONTEXT
    with torch.inference_mode():
        for batch in pictures.split(_BATCH):
            was, now = (network(batch)[..., cut:-cut, cut:-cut].double() for network in (before, after))
            off, square = off + float((now - was).square().sum()), square + float(was.square().sum())
    return (off / square) ** 0.5 if square else 0.0


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _work(network: nn.Module) -> int:
    """Every convolution is of stride 1 on the plate's own pixels, so each weight multiplies once a pixel."""
    return sum(layer.weight.numel() for layer in network.modules() if isinstance(layer, nn.Conv2d))
