"""Tiled equals whole: with the halo kept, no result depends on how a plate is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepupscale import load_model, open_session
from deepupscale.fields import Field, Method, fields_of
from deepupscale.passes import Counts, DoublingPass, RowWindow, Strip, Tiling
from deepupscale.tiling import Network, plan
from deepupscale.upscaler import Upscaler

CHANNELS = ("R", "G", "B", "A", "Z", "N.X", "N.Y", "N.Z", "forward.u", "forward.v", "id", "whitebar.mask")
SIZES = [(1, 1), (3, 500), (500, 3), (97, 131), (61, 64), (128, 96)]


def upscaler_of(path: Path | None, precision: str = "f32") -> Upscaler:
    model = load_model(path)
    return Upscaler(model, open_session(model, "cpu", precision, threads=2))


def plate(height: int, width: int, fields: list[Field]) -> Strip:
    """Every kind of field with edges, highlights, negatives, holes and NaN."""
    rng = np.random.default_rng([height, width])
    planes: Strip = {}
    for each in fields:
        light = rng.lognormal(-1.0, 1.5, (height, width, len(each.channels))).astype(np.float32)
        light *= np.where(rng.random((height, width, 1)) < 0.1, -0.1, 1.0).astype(np.float32)
        light[rng.random((height, width)) < 0.003] = np.nan
        light[rng.random((height, width)) < 0.003] = np.inf
        if each.channels == ("A",):
            light = np.clip(np.round(light * 4) / 4, 0.0, 1.0)
        planes[each.key] = light
    return planes


def run(upscaler: Upscaler, planes: Strip, fields: list[Field], tiling: Tiling, pieces: int = 1000) -> Strip:
    height, width = next(iter(planes.values())).shape[:2]
    strips = ({key: plane[top : top + pieces] for key, plane in planes.items()} for top in range(0, height, pieces))
    done = list(DoublingPass(fields, upscaler, Counts()).run(strips, width, height, tiling))
    return {key: np.concatenate([strip[key] for strip in done]) for key in planes}


def assert_same(tiled: Strip, whole: Strip) -> None:
    """Equal to 1e-6 in the compressed range for colour, to the bit for everything else."""
    for key, expected in whole.items():
        if key in ("R", "A"):
            np.testing.assert_allclose(tiled[key], expected, rtol=1.5e-5, atol=1e-6, err_msg=key)
        else:
            np.testing.assert_array_equal(tiled[key], expected, err_msg=key)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("tiling", [Tiling(16, 16), Tiling(7, 33), Tiling(50, 1000), Tiling(50, 40, 13)])
def test_tiled_equals_whole_at_awkward_sizes(tiny_model: Path, height: int, width: int, tiling: Tiling) -> None:
    fields = fields_of(CHANNELS)
    upscaler = upscaler_of(tiny_model)
    planes = plate(height, width, fields)
    whole = run(upscaler, planes, fields, Tiling(height, width))
    assert whole["R"].shape == (2 * height, 2 * width, 3)
    assert_same(run(upscaler, planes, fields, tiling, pieces=5), whole)


@pytest.mark.parametrize(("height", "width"), [(97, 131), (3, 500), (1, 1)])
def test_the_default_model_tiles_exactly_in_the_compressed_range(height: int, width: int) -> None:
    upscaler = upscaler_of(None)
    rng = np.random.default_rng(5)
    planes: Strip = {"R": rng.lognormal(-1.0, 1.5, (height, width, 3)).astype(np.float32)}
    fields = fields_of(("R", "G", "B"))
    curve = load_model().promise.inputs[0].transfer.range_compression()  # pyright: ignore[reportAttributeAccessIssue]
    whole = curve.compress(run(upscaler, planes, fields, Tiling(height, width))["R"])
    tiled = curve.compress(run(upscaler, planes, fields, Tiling(40, 48))["R"])
    assert np.abs(tiled - whole).max() <= 1e-6


def test_strips_come_in_the_rows_of_the_plan_whatever_the_network_makes_of_them(tiny_model: Path) -> None:
    fields = fields_of(("R", "G", "B"))
    upscaler = upscaler_of(tiny_model)
    upscaler.network = Network(halo=3, widest=100_000, layers=3, weights=1000)  # has room for 300 fed pixels or so
    planes = plate(61, 64, fields)
    tiling = plan(64, 61, 3)
    assert tiling.fitted(64, upscaler.network).tile_rows < tiling.rows
    whole = run(upscaler, planes, fields, Tiling(61, 64))
    strips = list(DoublingPass(fields, upscaler, None).run(iter([planes]), 64, 61, tiling))
    assert [strip["R"].shape[0] for strip in strips] == [2 * tiling.rows] * (61 // tiling.rows)
    assert_same({"R": np.concatenate([strip["R"] for strip in strips])}, whole)


def test_too_small_a_halo_would_be_seen() -> None:
    fields = fields_of(("R", "G", "B"))
    upscaler = upscaler_of(None)
    planes = plate(97, 131, fields)
    whole = run(upscaler, planes, fields, Tiling(97, 131))
    upscaler.margin = 8  # the default network reaches 27
    tiled = run(upscaler, planes, fields, Tiling(32, 32))
    assert np.abs(tiled["R"] / whole["R"] - 1.0).max() > 1e-3


def test_passes_chain_and_motion_grows_with_each(tiny_model: Path) -> None:
    upscaler = upscaler_of(tiny_model)
    fields = fields_of(("forward.u", "forward.v", "Z"))
    planes: Strip = {"forward.u": np.full((9, 11, 2), 3.0, np.float32), "Z": np.full((9, 11, 1), 7.0, np.float32)}
    first = DoublingPass(fields, upscaler, Counts()).run(iter([planes]), 11, 9, Tiling(4, 5))
    done = list(DoublingPass(fields, upscaler, None).run(first, 22, 18, Tiling(8, 7)))
    motion = np.concatenate([strip["forward.u"] for strip in done])
    assert motion.shape == (36, 44, 2)
    assert (motion == 12.0).all()
    assert (np.concatenate([strip["Z"] for strip in done]) == 7.0).all()


def test_a_window_repeats_border_rows_and_lets_go_of_old_ones() -> None:
    strips = iter([{"a": np.arange(i, i + 3, dtype=np.float32).reshape(3, 1, 1)} for i in (0, 3, 6)])
    window = RowWindow(strips, 9)
    assert window.take(-2, 4)["a"].ravel().tolist() == [0, 0, 0, 1, 2, 3]
    assert window.take(2, 7)["a"].ravel().tolist() == [2, 3, 4, 5, 6]
    assert window.take(7, 12)["a"].ravel().tolist() == [7, 8, 8, 8, 8]


def test_ids_pass_as_integers(tiny_model: Path) -> None:
    fields = fields_of(("id",), uint_channels=("id",))
    assert fields[0].method is Method.NEAREST
    ids = np.arange(35, dtype=np.uint32).reshape(5, 7, 1) + 4_000_000_000
    done = run(upscaler_of(tiny_model), {"id": ids}, fields, Tiling(2, 3))
    assert done["id"].dtype == np.uint32
    np.testing.assert_array_equal(done["id"], ids.repeat(2, axis=0).repeat(2, axis=1))
