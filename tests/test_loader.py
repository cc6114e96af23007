"""Batches: the same patches in any number of workers and processes and after any interruption, laid out as promised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("lmdb")

from deepupscale.range_compression import RangeCompression
from deepupscale.resample import double
from model.augment import Augmentation
from model.loader import CONTEXT, Batch, batches, inner
from model.pack import PackOptions, pack
from model.sampling import StorePatches, StoreSampler
from model.store import Store
from model.upsample import MARGIN, UPSAMPLE

PAIRS = Path(__file__).with_name("pairs")
SIDE = 24  # LR pixels
STILL = Augmentation(flips=False, rotations=False, shift=0.0, exposure=0.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    place = tmp_path_factory.mktemp("store") / "store"
    pack([PAIRS], place, PackOptions(), lambda *_: None)
    return Store(place)


def patches(store: Store, augmentation: Augmentation | None = None, **options: object) -> StorePatches:
    sampler = StoreSampler(store, SIDE)
    given = {"seed": 3, "batch": 4, "context": CONTEXT, **options}
    return StorePatches(sampler, augmentation or Augmentation(), **given)  # type: ignore[arg-type]


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip((one.lr, one.base, one.hr), (other.lr, other.base, other.hr)))


def test_shapes_and_layout_are_those_that_are_promised(store: Store) -> None:
    (batch,) = batches(patches(store, fields=("rgb", "N", "albedo")), 5, 6)
    assert batch.lr.shape == (4, 3, SIDE + 2 * CONTEXT, SIDE + 2 * CONTEXT)
    assert batch.base.shape == batch.hr.shape == (4, 3, 2 * SIDE, 2 * SIDE)
    assert {name: plane.shape for name, plane in batch.aovs.items()} == dict.fromkeys(
        ("N", "albedo"), (4, 3, 2 * SIDE, 2 * SIDE)
    )
    for tensor in (batch.lr, batch.base, batch.hr, *batch.aovs.values()):
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    residual = torch.zeros(4, 3, *(2 * side for side in batch.lr.shape[2:]))
    assert inner(residual).shape == batch.hr.shape


def test_the_base_is_the_fixed_upsample_of_the_stored_picture(store: Store) -> None:
    source = patches(store, STILL)
    (batch,) = batches(source, 0, 1)
    place = source.sampler.draw(np.random.default_rng([3, 0, 0]))
    crop = store.crop(place.pair, place.y, place.x, SIDE, MARGIN)
    compressed = RangeCompression().compress(crop.lr["rgb"])
    np.testing.assert_allclose(
        batch.base[0].permute(1, 2, 0).numpy(), double(compressed, MARGIN, UPSAMPLE), rtol=0.0, atol=1e-6
    )
    # Interpolation is near the truth: both show one place, turned and shifted alike.
    for step in range(4):
        (batch,) = batches(patches(store), step, step + 1)
        assert (batch.base - batch.hr).abs().mean() < 0.35 * (batch.hr - batch.hr.mean()).abs().mean() + 0.01


def test_workers_and_interruptions_change_nothing(store: Store) -> None:
    whole = list(batches(patches(store), 0, 6))
    for workers in (1, 2):
        made = list(batches(patches(store), 2, 6, workers))
        assert len(made) == 4
        assert all(same(one, other) for one, other in zip(whole[2:], made, strict=True))
    assert not same(whole[0], whole[1])


def test_processes_share_a_step_between_them(store: Store) -> None:
    (whole,) = batches(patches(store), 3, 4)
    shares = [next(batches(patches(store), 3, 4, rank=rank, ranks=2)) for rank in (0, 1)]
    for rank, share in enumerate(shares):
        assert torch.equal(share.hr, whole.hr[rank::2])


def test_shares_and_contexts_that_cannot_be_meant_are_refused(store: Store) -> None:
    for ranks, rank in ((3, 0), (2, 2), (2, -1)):
        with pytest.raises(ValueError, match="cannot be shared"):
            next(batches(patches(store), 0, 1, rank=rank, ranks=ranks))
    with pytest.raises(ValueError, match="8 LR pixels of context, not 2"):
        next(batches(patches(store, context=2), 0, 1))
