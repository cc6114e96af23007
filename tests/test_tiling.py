"""The planner: strips and tiles keep to their budgets, whatever the plate, the network and the machine."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from deepupscale import load_model
from deepupscale.caches import ASSUMED_BYTES, Caches, read_caches
from deepupscale.model_file import ModelFile, weight_shapes
from deepupscale.tiling import ACTIVATION_BYTES, STRIP_BYTES, TYPICAL, Network, Tiling, plan

PLATES = [(1, 1), (3, 500), (2048, 1080), (16384, 8640), (3, 65536), (65536, 3), (65536, 65536)]
NETWORKS = {
    "typical": TYPICAL,
    "tiny": Network(halo=3, widest=8, layers=3, weights=1656),
    "huge": Network(halo=100, widest=1024, layers=200, weights=1_000_000_000),
    "absurd": Network(halo=512, widest=100_000, layers=1, weights=1),
    "int8": Network(halo=27, widest=64, layers=27, weights=930_240, precision="int8"),
}
CACHES = [Caches(1, 1), Caches(2, 34 << 20), Caches(128, 1 << 30)]


def fed_bytes(network: Network, rows: int, columns: int) -> float:
    return (rows + 2 * network.halo) * (columns + 2 * network.halo) * network.pixel_bytes


@pytest.mark.parametrize("size", PLATES, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("channels", [1, 4, 200])
def test_plans_cover_the_part_and_keep_to_their_budgets(size: tuple[int, int], name: str, channels: int) -> None:
    (width, height), network = size, NETWORKS[name]
    for caches in CACHES:
        tiling = plan(width, height, channels, network, caches)
        assert 1 <= tiling.rows <= height
        assert 1 <= tiling.columns <= width
        assert tiling.rows <= 16 or tiling.rows * width * channels * 16 <= STRIP_BYTES
        least = fed_bytes(network, min(height, 16), min(width, 16))
        # A side is an even part of the plate, so the smallest may be longer than the least.
        assert fed_bytes(network, tiling.rows, tiling.columns) <= max(ACTIVATION_BYTES, 4 * least)
        assert not tiling.free


@pytest.mark.parametrize("size", PLATES, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_fits_its_tiles_into_strips_that_were_planned_without_it(size: tuple[int, int], name: str) -> None:
    (width, height), network = size, NETWORKS[name]
    free = plan(width, height, 4)
    fitted = free.fitted(width, network)
    assert free.free
    assert (fitted.rows, fitted.free) == (free.rows, False)
    assert 1 <= fitted.tile_rows <= fitted.rows
    assert 1 <= fitted.columns <= width
    least = fed_bytes(network, min(free.rows, 16), min(width, 16))
    assert fed_bytes(network, fitted.tile_rows, fitted.columns) <= max(ACTIVATION_BYTES, 4 * least)


def test_a_tiling_that_was_asked_for_is_kept() -> None:
    asked = Tiling(16, 20)
    assert asked.fitted(2048, TYPICAL) is asked
    assert plan(2048, 1080, 4).fitted(2048, None) == plan(2048, 1080, 4)


@pytest.mark.parametrize("name", ["typical", "int8", "tiny"])
def test_no_other_tile_within_the_budget_is_modelled_much_faster(name: str) -> None:
    network, caches, (width, height) = NETWORKS[name], CACHES[1], (2048, 1080)

    def seconds(rows: int, columns: int) -> float:
        fed = np.array([(rows + 2 * network.halo) * (columns + 2 * network.halo)], np.float64)
        return float(network.seconds(fed, caches)[0]) * -(-height // rows) * -(-width // columns)

    tiling = plan(width, height, 4, network, caches)
    sides = (64, 135, 180, 256, 270, 360, 512, 540, 683, 1024, 1080, 2048)
    fitting = [s for s in product(sides, sides) if s[0] <= height and fed_bytes(network, *s) <= ACTIVATION_BYTES]
    assert seconds(tiling.rows, tiling.columns) <= 1.05 * min(seconds(*side) for side in fitting)


def test_tiles_shrink_where_a_network_waits_for_memory() -> None:
    waits = Network(halo=5, widest=64, layers=27, weights=27 * 64)  # one multiplication for each value that is moved
    small, large = (plan(4096, 2160, 4, waits, Caches(8, size)) for size in (16 << 20, 4 << 30))
    fed = [(t.rows + 10) * (t.columns + 10) for t in (small, large)]
    assert fed[0] * 2.5 * 64 * 4 <= 1.5 * (16 << 20)
    assert fed[1] > 4 * fed[0]


def test_a_lower_precision_has_room_for_larger_tiles() -> None:
    bf16 = Network(TYPICAL.halo, TYPICAL.widest, TYPICAL.layers, TYPICAL.weights, "bf16")
    full, lower = (plan(4096, 2160, 4, network, CACHES[1]) for network in (TYPICAL, bf16))
    assert lower.rows * lower.columns > full.rows * full.columns


def test_the_default_model_is_what_is_called_typical() -> None:
    found = Network.of(load_model(), "f32")
    assert (found.halo, found.widest, found.layers) == (TYPICAL.halo, TYPICAL.widest, TYPICAL.layers)
    assert found.weights == TYPICAL.weights


def test_the_shapes_of_weights_are_read_and_nonsense_is_none(tiny_model: Path) -> None:
    data = load_model(tiny_model).data
    assert weight_shapes(data) == [(8, 3, 3, 3), (8, 8, 3, 3), (12, 8, 3, 3)]
    assert weight_shapes(b"") == []
    assert weight_shapes(data[: len(data) // 2]) == []
    assert weight_shapes(b"\x3a\x04\x2a\x02\x08\x00") == []  # an initializer with a side of 0
    assert weight_shapes(b"\x3a\x0e\x2a\x0c\x08" + b"\xff" * 9 + b"\x01\x00") == []  # and one of 2**64 - 1


def test_a_graph_without_readable_weights_is_judged_by_its_size(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    bare = Network.of(ModelFile(model.path, model.promise, b"\0" * 3_600_000, ""), "f32")
    assert bare.weights == 900_000
    assert bare.widest > 100
    none = Network.of(ModelFile(model.path, model.promise, b"", ""), "f32")
    assert (none.widest, none.halo) == (TYPICAL.widest, model.promise.halo)


def cache(folder: Path, index: int, level: str, size: str, sharing: str, kind: str = "Unified") -> None:
    at = folder / f"index{index}"
    at.mkdir(parents=True)
    for name, text in (("level", level), ("size", size), ("shared_cpu_list", sharing), ("type", kind)):
        (at / name).write_text(text + "\n", encoding="ascii")


def test_caches_are_added_up_over_the_cores(tmp_path: Path) -> None:
    cache(tmp_path, 0, "1", "48K", "0", "Data")
    cache(tmp_path, 1, "2", "64K", "0", "Instruction")
    cache(tmp_path, 2, "2", "1024K", "0,8")
    cache(tmp_path, 3, "3", "32M", "0-7")
    assert read_caches(tmp_path, 16) == Caches(16, (8 << 20) + (64 << 20))
    assert read_caches(tmp_path, 1) == Caches(1, 33 << 20)


@pytest.mark.parametrize(
    ("size", "sharing"),
    [("", "0"), ("lots", "0"), ("-5K", "0"), ("99999999G", "0"), ("1K", "x"), ("0", "0"), ("1é", "0")],
)
def test_what_the_system_does_not_tell_of_caches_is_assumed(tmp_path: Path, size: str, sharing: str) -> None:
    assert read_caches(tmp_path / "none", 4) == Caches(4, 4 * ASSUMED_BYTES)
    at = tmp_path / "index2"
    at.mkdir()
    for name, text in (("level", "2"), ("size", size), ("shared_cpu_list", sharing), ("type", "Unified")):
        (at / name).write_text(text, encoding="utf-8")
    assert read_caches(tmp_path, 4) == Caches(4, 4 * ASSUMED_BYTES)
