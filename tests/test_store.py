"""Stores: what goes in comes out to the bit, from any place, in any process, under one id."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import ALL, DEPTH, NORMAL, RGB, make_store, noise_pair

pytest.importorskip("lmdb")

from deepupscale.errors import StoreError
from deepupscale.fields import Kind
from deepupscale.range_compression import RangeCompression
from deepupscale.resample import pad
from model.baselines import BASELINES
from model.store import Store
from model.store_format import LEVELS, TABLES, Tiles, detail_table, intensity_table

SIZES = ((83, 57), (32, 32), (5, 90), (1, 1), (64, 33))  # LR, about and across tiles of 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    pairs = [noise_pair(f"p{n}", *size, fields=ALL, seed=n) for n, size in enumerate(SIZES)]
    return Store(make_store(tmp_path_factory.mktemp("stores") / "noise", pairs, ALL, tile=64, margin=16))


def test_every_finite_half_comes_back_to_the_bit(tmp_path: Path) -> None:
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    values = np.where(np.isfinite(values), values, np.float16(0)).reshape(256, 256, 1).repeat(3, axis=2)
    low = values[::2, ::2]
    store = Store(make_store(tmp_path / "s", [("all", {"rgb": low}, {"rgb": values})]))
    assert store.plane(0, "hr").tobytes() == values.tobytes()
    assert store.plane(0, "lr").tobytes() == low.tobytes()
    store.verify()


@pytest.mark.parametrize("number", range(len(SIZES)))
@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_every_field_comes_back_to_the_bit_in_its_type(store: Store, number: int, field) -> None:
    _, low, high = noise_pair("", *SIZES[number], fields=ALL, seed=number)
    for level, planes in zip(LEVELS, (low, high), strict=True):
        found = store.plane(number, level, field.name)
        assert found.dtype == (np.float16 if field.dtype == "half" else np.float32)
        assert found.tobytes() == planes[field.name].tobytes()
        assert found.shape == planes[field.name].shape


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_crop_is_what_lies_there_in_the_whole_padded_picture(store: Store, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(SIZES) - 1), "pair")
    width, height = SIZES[number]
    side = data.draw(st.integers(1, min(width, height)), "side")
    y, x = data.draw(st.integers(0, height - side), "y"), data.draw(st.integers(0, width - side), "x")
    context = data.draw(st.integers(0, 40), "context")
    names = data.draw(st.lists(st.sampled_from([f.name for f in ALL]), min_size=1, unique=True), "fields")
    crop = store.crop(number, y, x, side, context, names)
    _, low, high = noise_pair("", width, height, fields=ALL, seed=number)
    assert list(crop.lr) == list(crop.hr) == list(crop.kinds) == names
    for name in names:
        padded = pad(low[name], context, context, context, context)
        expected = padded[y : y + side + 2 * context, x : x + side + 2 * context]
        assert crop.lr[name].tobytes() == expected.tobytes()
        assert crop.hr[name].tobytes() == high[name][2 * y : 2 * (y + side), 2 * x : 2 * (x + side)].tobytes()
        assert crop.lr[name].dtype == low[name].dtype
        assert crop.lr[name].flags.writeable


def spied(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that the store reads from here on."""
    keys: list[str] = []
    read = Store._value

    def note(self, transaction, key, length, entry):
        keys.append(key.decode())
        return read(self, transaction, key, length, entry)

    monkeypatch.setattr(Store, "_value", note)
    return keys


def test_a_field_that_is_not_asked_for_is_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = spied(store, monkeypatch)
    crop = store.crop(0, 3, 3, 4, fields=("Z", "forward"))
    assert crop.kinds == {"Z": Kind.DISTANCE, "forward": Kind.MOTION}
    numbers = {key.split("/")[2] for key in keys}
    assert numbers == {f"{[f.name for f in ALL].index(name):02d}" for name in ("Z", "forward")}


def test_a_training_crop_comes_from_one_tile_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    width, height = 600, 460
    low, high = np.zeros((height, width, 3), np.float16), np.zeros((2 * height, 2 * width, 3), np.float16)
    store = Store(make_store(tmp_path / "s", [("p", {"rgb": low}, {"rgb": high})]))
    keys = spied(store, monkeypatch)
    rng = np.random.default_rng(0)
    for _ in range(300):
        y, x = int(rng.integers(height - 96 + 1)), int(rng.integers(width - 96 + 1))
        keys.clear()
        store.crop(0, y, x, 96, context=16)
        assert len(keys) == 2, (y, x, keys)


@pytest.mark.parametrize(
    ("y", "x", "side", "context"),
    [(-1, 0, 4, 0), (0, -1, 4, 0), (54, 0, 4, 0), (0, 80, 4, 0), (0, 0, 0, 0), (0, 0, 4, -1)],
)
def test_a_crop_beside_the_frame_is_refused(store: Store, y: int, x: int, side: int, context: int) -> None:
    with pytest.raises(ValueError, match=r"p0 is 83x57"):
        store.crop(0, y, x, side, context)


def test_a_field_that_is_not_there_is_refused_by_name(store: Store) -> None:
    with pytest.raises(ValueError, match=r"no field shadow: it has rgb, N, Z, albedo, alpha, forward"):
        store.crop(0, 0, 0, 4, fields=("shadow",))


@settings(max_examples=100, deadline=None)
@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    tile=st.sampled_from([32, 64, 100]),
    margin=st.integers(0, 50),
)
def test_cores_cover_the_plane_once(height: int, width: int, tile: int, margin: int) -> None:
    tiles = Tiles(height, width, tile, margin)
    covered = np.zeros((height, width), int)
    for row, column in tiles:
        top, bottom, left, right = tiles.core(row, column)
        covered[top:bottom, left:right] += 1
        rows = max(top - margin, 0), min(bottom + margin, height)
        columns = max(left - margin, 0), min(right + margin, width)
        assert tiles.box(row, column) == (*rows, *columns)
    assert (covered == 1).all()


def test_the_intensity_table_is_the_mean_of_each_square() -> None:
    picture = np.zeros((70, 33, 3), np.float16)
    picture[:32, :32, 1] = 1.0  # T(1) = 0.6
    picture[64:, 32:, 2] = 1.0
    picture[32:48, :32, 0] = 1.0
    table = intensity_table(picture)
    assert table.shape == (3, 2)
    assert table.dtype == np.float16
    np.testing.assert_allclose(table, [[0.6, 0.0], [0.3, 0.0], [0.0, 0.6]], atol=1e-3)


def test_the_detail_table_is_what_interpolation_misses() -> None:
    ramp = np.broadcast_to(np.linspace(0.1, 0.4, 96, dtype=np.float32)[None, :, None], (64, 96, 3)).copy()
    ramp[8, 8] = 8.0  # in the first square alone
    lr = ramp.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
    table = detail_table(lr.astype(np.float16), ramp.astype(np.float16)).astype(np.float64)
    assert table.shape == (2, 3)
    curve = RangeCompression()
    interpolated = curve.compress(BASELINES["bicubic-compressed"](lr.astype(np.float16).astype(np.float32)))
    missed = np.abs(interpolated - curve.compress(ramp.astype(np.float16).astype(np.float32))).mean(axis=2)
    np.testing.assert_allclose(table[0, 0], missed[:32, :32].mean(), rtol=1e-2)
    assert table[0, 0] > 20.0 * np.delete(table.ravel(), 0).max()


# --- processes ---


def cut(arguments: tuple[Store, int]) -> tuple[bytes, str]:
    store, y = arguments
    return store.crop(0, y, 2, 9, 3).hr["rgb"].tobytes(), store.dataset


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_what_their_parent_reads(store: Store, method: str) -> None:
    expected = [cut((store, y)) for y in range(20)]  # the parent has it open before they start
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(cut, [(store, y) for y in range(20)], chunksize=3) == expected
    assert cut((store, 5)) == expected[5]


def inherited_crop(queue, store: Store) -> None:
    """In a forked child, through the very object that the parent had open."""
    found = [cut((store, y)) for y in range(20)]
    opened_here = store._opened()._pid == os.getpid()
    queue.put((found, opened_here))


def test_a_store_that_was_open_before_a_fork_serves_both_sides(store: Store) -> None:
    expected = [cut((store, y)) for y in range(20)]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=inherited_crop, args=(queue, store)) for _ in range(2)]
    for child in children:
        child.start()
    assert [queue.get(timeout=30) for _ in children] == [(expected, True), (expected, True)]
    assert [cut((store, y)) for y in range(20)] == expected
    for child in children:
        child.join(30)
        assert child.exitcode == 0


def test_a_store_is_pickled_as_its_path(store: Store) -> None:
    data = pickle.dumps(store)
    assert len(data) < 1000
    again = pickle.loads(data)  # noqa: S301  our own bytes
    assert cut((again, 7)) == cut((store, 7))


def test_threads_share_a_store(store: Store) -> None:
    expected = [cut((store, y)) for y in range(20)]
    found: list[list[tuple[bytes, str]]] = []
    fresh = pickle.loads(pickle.dumps(store))  # noqa: S301  opened by whichever thread is first
    threads = [threading.Thread(target=lambda: found.append([cut((fresh, y)) for y in range(20)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_a_closed_store_opens_itself_again(store: Store) -> None:
    expected = cut((store, 1))
    with Store(store.path) as again:
        assert cut((again, 1)) == expected
    assert cut((again, 1)) == expected


def test_a_store_that_was_replaced_under_its_workers_is_an_error(tmp_path: Path) -> None:
    store = Store(make_store(tmp_path / "s", [noise_pair("a", 8, 8)]))
    sent = pickle.dumps(store)
    make_store(tmp_path / "s", [noise_pair("a", 8, 8, seed=1)], overwrite=True)
    with pytest.raises(StoreError, match="replaced by another dataset"):
        pickle.loads(sent).crop(0, 0, 0, 4)  # noqa: S301  our own bytes
    assert store.crop(0, 0, 0, 8).lr["rgb"].tobytes() == noise_pair("a", 8, 8)[1]["rgb"].tobytes()  # still the old one


# --- the id ---


def test_the_id_depends_on_the_content_alone(tmp_path: Path) -> None:
    pairs = [noise_pair(name, 40, 20, (RGB, DEPTH), seed) for seed, name in enumerate("abc")]
    fields = (RGB, DEPTH)
    first = Store(make_store(tmp_path / "1", pairs, fields))
    second = Store(make_store(tmp_path / "2", pairs[::-1], fields, tile=64, margin=2))
    assert first.dataset == second.dataset
    assert [pair.name for pair in second.pairs] == ["a", "b", "c"]
    for number in range(3):
        assert first.plane(number, "hr", "Z").tobytes() == second.plane(number, "hr", "Z").tobytes()
        for name in TABLES:
            assert first.table(number, name).tobytes() == second.table(number, name).tobytes()


def test_whatever_changes_the_content_changes_the_id(tmp_path: Path) -> None:
    def dataset(change, fields=(RGB, DEPTH)) -> str:
        pairs = [noise_pair(name, 40, 20, (RGB, NORMAL, DEPTH), seed) for seed, name in enumerate("ab")]
        change(pairs)
        return Store(make_store(tmp_path / str(len(list(tmp_path.iterdir()))), pairs, fields)).dataset

    def next_half(level: int):
        def change(pairs):
            plane = pairs[1][level]["rgb"]
            plane.view(np.uint16)[11, 13, 2] ^= 1  # the last bit of one value

        return change

    def rename(pairs):
        pairs[0] = ("c", *pairs[0][1:])

    def negative_zero(pairs):
        pairs[0][2]["Z"].view(np.uint32)[3, 4, 0] ^= 1 << 31

    changed = [
        dataset(change) for change in (next_half(1), next_half(2), rename, negative_zero, lambda pairs: pairs.pop())
    ]
    ids = [dataset(lambda pairs: None), dataset(lambda pairs: None, (RGB,)), dataset(lambda pairs: None, (RGB, NORMAL))]
    assert len({*changed, *ids}) == len(changed) + len(ids)
    assert dataset(lambda pairs: None) == ids[0]
