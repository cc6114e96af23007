"""Sampling: places come as often as documented, and the same ones in any worker and after any interruption."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
from stores import ALL, RGB, make_store, noise_pair

pytest.importorskip("lmdb")

from deepupscale.errors import StoreError
from deepupscale.range_compression import RangeCompression
from model.augment import Augmentation
from model.baselines import BASELINES
from model.sampling import Place, StorePatches, StoreSampler, split
from model.store import Store

CURVE = RangeCompression()


def lit_pair(name: str, width: int, height: int, lights: dict[tuple[int, int], float], ground: float = 0.0):
    """A pair of even ground, with squares of 16 LR pixels (row, column) of another light."""
    low = np.full((height, width, 3), ground, np.float16)
    for (row, column), value in lights.items():
        low[16 * row : 16 * (row + 1), 16 * column : 16 * (column + 1)] = value
    return name, {"rgb": low}, {"rgb": low.repeat(2, axis=0).repeat(2, axis=1)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    pairs = [
        lit_pair("a", 64, 48, {(1, 2): 50.0}, ground=0.001),
        lit_pair("b", 40, 20, {(0, 0): 1.0, (1, 2): 4.0}),  # blocks cut by the frame
        lit_pair("c", 8, 100, {}, ground=1000.0),  # too narrow for the squares below
        lit_pair("d", 32, 32, {(0, 0): -5.0}),  # negative light
    ]
    return Store(make_store(tmp_path_factory.mktemp("stores") / "lit", pairs, tile=64, margin=16))


def expected(store: Store, importance: float, detail: float) -> list[np.ndarray]:
    """The documented probability, worked out from the pixels."""
    areas, lights, details = [], [], []
    for number in (0, 1, 3):
        hr = store.plane(number, "hr").astype(np.float32)
        bright = np.maximum(CURVE.compress(hr.max(axis=2)), 0.0)
        plain = BASELINES["bicubic-compressed"](store.plane(number, "lr").astype(np.float32))
        missed = np.abs(CURVE.compress(plain) - CURVE.compress(hr)).mean(axis=2)
        rows, columns = range(0, bright.shape[0], 32), range(0, bright.shape[1], 32)
        for picture, sums in ((np.ones_like(bright), areas), (bright, lights), (missed, details)):
            sums.append(np.array([[picture[y : y + 32, x : x + 32].sum() for x in columns] for y in rows]))
    ways = ((importance, lights), (detail, details), (1.0 - importance - detail, areas))
    parts = [[share * block / sum(each.sum() for each in way) for block in way] for share, way in ways]
    return [np.sum(each, axis=0) for each in zip(*parts, strict=True)]


SHARES = [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 1.0), (0.2, 0.5)]


@pytest.mark.parametrize(("importance", "detail"), SHARES)
def test_the_probability_of_a_block_is_the_documented_mixture(store: Store, importance: float, detail: float) -> None:
    sampler = StoreSampler(store, 12, importance, detail)
    assert sampler.left_out == 1
    for number, block in zip((0, 1, 3), expected(store, importance, detail), strict=True):
        np.testing.assert_allclose(sampler.probability(number), block, rtol=2e-3, atol=2e-7)
    assert not sampler.probability(2).any()
    assert sum(sampler.probability(n).sum() for n in range(4)) == pytest.approx(1.0)


@pytest.mark.parametrize(("importance", "detail"), SHARES)
def test_blocks_are_drawn_as_often_as_their_probability_says(store: Store, importance: float, detail: float) -> None:
    """Squares of one pixel: the place is the centre, so its block is known. Chi-squared over all blocks."""
    sampler = StoreSampler(store, 1, importance, detail)
    rng, count = np.random.default_rng(7), 20_000
    seen = [np.zeros(sampler.probability(n).shape) for n in range(4)]
    for _ in range(count):
        place = sampler.draw(rng)
        seen[place.pair][place.y // 16, place.x // 16] += 1
    found, wanted = (
        np.concatenate([x.ravel() for x in blocks]) for blocks in (seen, [sampler.probability(n) for n in range(4)])
    )
    assert not found[wanted == 0.0].any()
    found, wanted = found[wanted > 0.0], count * wanted[wanted > 0.0]
    freedom = len(found) - 1
    assert ((found - wanted) ** 2 / wanted).sum() < freedom + 4.0 * np.sqrt(2.0 * freedom)


def test_centres_are_uniform_within_a_block_and_squares_stay_in_the_frame(store: Store) -> None:
    sampler, rng = StoreSampler(store, 12, 1.0), np.random.default_rng(3)
    inside = []
    for _ in range(6000):
        place = sampler.draw(rng)
        width, height = store.pairs[place.pair].size
        assert 0 <= place.y <= height - 12
        assert 0 <= place.x <= width - 12
        if place.pair == 0 and 16 <= place.y + 6 < 32 and 32 <= place.x + 6 < 48:
            inside.append((place.y + 6 - 16, place.x + 6 - 32))
    assert len(inside) > 1500
    for axis in np.array(inside).T:
        assert np.bincount(axis, minlength=16) / len(inside) == pytest.approx([1 / 16] * 16, abs=0.02)


def test_a_square_as_large_as_the_pair_has_one_place(store: Store) -> None:
    sampler, rng = StoreSampler(store, 48), np.random.default_rng(0)
    assert sampler.left_out == 3
    for _ in range(50):
        place = sampler.draw(rng)
        assert (place.pair, place.y) == (0, 0)
        assert 0 <= place.x <= 16


def test_a_dataset_that_is_black_throughout_is_drawn_by_area(tmp_path: Path) -> None:
    pairs = [lit_pair("a", 32, 32, {}), lit_pair("b", 32, 64, {}, ground=-1.0)]
    sampler = StoreSampler(Store(make_store(tmp_path / "s", pairs)), 8, importance=0.6, detail=0.4)
    assert sampler.probability(0).sum() == pytest.approx(1 / 3)
    places = [sampler.draw(np.random.default_rng(n)).pair for n in range(600)]
    assert np.mean(places) == pytest.approx(2 / 3, abs=0.06)


def test_squares_that_fit_nowhere_and_settings_that_cannot_be_meant_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="of 4 pairs none has 65 LR pixels"):
        StoreSampler(store, 65)
    for side, importance, detail in ((0, 0.5, 0.0), (8, -0.1, 0.0), (8, 1.1, 0.0), (8, 0.5, -0.1), (8, 0.6, 0.5)):
        with pytest.raises(ValueError, match="importance"):
            StoreSampler(store, side, importance, detail)


# --- patches ---


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> StorePatches:
    fields = [field for field in ALL if field.name != "alpha"]
    pairs = [noise_pair(f"p{n}", 50 + n, 40, fields, seed=n) for n in range(3)]
    store = Store(make_store(tmp_path_factory.mktemp("stores") / "noise", pairs, fields, tile=64, margin=16))
    names = [field.name for field in fields]
    return StorePatches(StoreSampler(store, 12), Augmentation(permute=0.3), seed=5, batch=4, context=2, fields=names)


def fingerprint(patches: StorePatches, number: int) -> list[bytes]:
    lr, hr = patches[number]
    return [plane.tobytes() for planes in (lr, hr) for plane in planes.values()]


def test_patches_have_the_documented_shapes_and_ranges(patches: StorePatches) -> None:
    lr, hr = patches[0]
    assert {name: plane.shape for name, plane in lr.items()} == {
        "rgb": (16, 16, 3), "N": (16, 16, 3), "Z": (16, 16, 1), "albedo": (16, 16, 3), "forward": (16, 16, 2),
    }  # fmt: skip
    assert {plane.shape[:2] for plane in hr.values()} == {(24, 24)}
    assert {plane.dtype for planes in (lr, hr) for plane in planes.values()} == {np.dtype(np.float32)}
    assert np.abs(hr["rgb"]).max() <= CURVE.compress(4.0 * 65504.0) + 0.01


def test_a_patch_is_its_place_augmented_and_no_two_are_alike(patches: StorePatches) -> None:
    rng = np.random.default_rng([5, 2, 3])
    place, store = patches.sampler.draw(rng), patches.sampler.store
    assert isinstance(place, Place)
    crop = store.crop(place.pair, place.y, place.x, 12, 2, patches.fields)
    lr, hr = patches.augmentation.draw(rng).apply(crop.lr, crop.hr, crop.kinds)
    assert [plane.tobytes() for planes in (lr, hr) for plane in planes.values()] == fingerprint(patches, 2 * 4 + 3)
    assert len({fingerprint(patches, number)[0] for number in range(40)}) == 40


def test_a_step_stacks_its_own_patches_and_a_later_start_makes_the_same(patches: StorePatches) -> None:
    lr, hr = patches.step(3)
    assert lr["rgb"].shape == (4, 16, 16, 3)
    fresh = pickle.loads(pickle.dumps(patches))  # noqa: S301  a run that goes on at step 3
    for index in range(4):
        np.testing.assert_array_equal(lr["rgb"][index], fresh[12 + index][0]["rgb"])
        np.testing.assert_array_equal(hr["Z"][index], fresh[12 + index][1]["Z"])


def test_another_seed_makes_other_patches(patches: StorePatches) -> None:
    other = StorePatches(patches.sampler, patches.augmentation, 6, 4, 2, patches.fields)
    assert not {fingerprint(patches, n)[0] for n in range(12)} & {fingerprint(other, n)[0] for n in range(12)}


_shared: list[StorePatches] = []


def take(patches: StorePatches) -> None:
    _shared[:] = [patches]


def worker(number: int) -> list[bytes]:
    return fingerprint(_shared[0], number)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_any_worker_makes_the_same_patch(patches: StorePatches, method: str) -> None:
    wanted = [fingerprint(patches, number) for number in range(16)]
    with multiprocessing.get_context(method).Pool(2, take, (patches,)) as pool:
        assert pool.map(worker, range(16), chunksize=1) == wanted
        assert pool.map(worker, range(16), chunksize=5) == wanted


def test_a_torch_loader_takes_patches_as_they_are(patches: StorePatches) -> None:
    data = pytest.importorskip("torch.utils.data")
    numbers = range(8, 16)  # steps 2 and 3
    loader = data.DataLoader(patches, batch_size=4, sampler=numbers, num_workers=2)
    batches = [lr["rgb"].numpy() for lr, _ in loader]
    for step, batch in zip((2, 3), batches, strict=True):
        np.testing.assert_array_equal(batch, patches.step(step)[0]["rgb"])


def test_without_a_choice_of_fields_the_beauty_is_read(store: Store) -> None:
    patch = StorePatches(StoreSampler(store, 12), Augmentation(), 1, 1)[0]
    assert list(patch[0]) == [RGB.name]


def test_only_the_pairs_that_are_asked_for_are_drawn(store: Store) -> None:
    sampler, rng = StoreSampler(store, 12, pairs=[3, 1, 1, 2]), np.random.default_rng(0)
    assert {sampler.draw(rng).pair for _ in range(200)} == {1, 3}
    assert sampler.left_out == 1
    assert sum(sampler.probability(pair).sum() for pair in range(4)) == pytest.approx(1.0)
    assert sampler.probability(0).sum() == 0.0
    with pytest.raises(StoreError, match="of 0 pairs none"):
        StoreSampler(store, 12, pairs=[])


def test_what_is_held_out_follows_from_the_names_alone(tmp_path: Path) -> None:
    names = [f"scene{scene:05d}.{frame:04d}" for scene in range(200) for frame in (1, 2)]
    tiny = [noise_pair(name, 4, 4) for name in names]
    whole = Store(make_store(tmp_path / "whole", tiny))
    kept, held = split(whole, 0.2)
    assert sorted([*kept, *held]) == list(range(400))
    assert 50 < len(held) < 110
    held_names = {whole.pairs[number].name for number in held}
    assert {name[:-1] + "1" for name in held_names} | {name[:-1] + "2" for name in held_names} == held_names
    part = Store(make_store(tmp_path / "part", tiny[100:160]))
    assert {part.pairs[number].name for number in split(part, 0.2)[1]} == held_names & set(names[100:160])
    assert split(whole, 0.0)[1] == []
    assert split(whole, 1.0)[0] == []
