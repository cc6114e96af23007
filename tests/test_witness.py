"""What the engine wrote, as two independent witnesses see it: the header's bytes, and the OpenEXR module's pixels."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plates import (
    SHARED,
    Planes,
    add_attribute,
    assert_headers_kept,
    assert_pixels_fit,
    corners,
    exr,
    headers,
    ids,
    picture,
    pixels,
    raw_headers,
    window,
    write_parts,
    write_plate,
)

from deepupscale import Engine
from deepupscale.plate_writer import COMPRESSIONS

REAL = sorted((SHARED / "plates").glob("*.exr"))
ALL_KINDS = {
    "timeCode": exr.TimeCode(1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8),
    "keyCode": exr.KeyCode(1, 2, 3, 4, 5, 6, 90),
    "chromaticities": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
    "worldToCamera": np.arange(16, dtype=np.float32).reshape(4, 4) / 3.0,
    "worldToNDC": np.arange(16, dtype=np.float32).reshape(4, 4) * -2.0,
    "m33f": np.arange(9, dtype=np.float32).reshape(3, 3),
    "m33d": np.arange(9, dtype=np.float64).reshape(3, 3) / 7.0,
    "m44d": np.arange(16, dtype=np.float64).reshape(4, 4) / 7.0,
    "strings": ["a", "b c", ""],
    "multiView": ["left", "right"],
    "owner": "Zo\u00eb, \u6771\u4eac",
    "capDate": "2002:06:23 16:00:00",
    "v2i": np.array([1, -2], np.int32),
    "v3i": np.array([1, 2, -3], np.int32),
    "v2f": np.array([1.5, 2.5], np.float32),
    "v3f": np.array([1.5, 2.5, 3.5], np.float32),
    "v2d": np.array([0.1, 0.2], np.float64),
    "v3d": np.array([0.1, 0.2, 0.3], np.float64),
    "box2i": (np.array([0, 1], np.int32), np.array([5, 6], np.int32)),
    "box2f": (np.array([0, 1], np.float32), np.array([2, 3], np.float32)),
    "anInt": -7,
    "aFloat": 1.5,
    "floats": [1.5, 2.5, 3.5, 4.5, 5.5],
    "threeFloats": [1.5, 2.5, 3.5],
    "pixelAspectRatio": 2.0,
    "screenWindowWidth": 0.5,
    "screenWindowCenter": np.array([0.25, -0.5], np.float32),
    "wrapmodes": "clamp",
    "nuke/node_hash": "8b9c",
    "envmap": exr.ENVMAP_LATLONG,
    "cryptomatte/1234567/manifest": '{"hero":"3a2b1c00","tree \\"old\\"":"ffffffff"}',
}
RAW_KINDS = {
    "framesPerSecond": ("rational", struct.pack("<iI", 24000, 1001)),
    "aDouble": ("double", struct.pack("<d", 0.1)),
    "studioData": ("com.studio.thing", bytes(range(40))),
    "oneString": ("stringvector", struct.pack("<i", 3) + b"one"),
    "noStrings": ("stringvector", b""),
    "emptyText": ("string", b""),
    "latin1Text": ("string", b"Zo\xeb"),
}


def upscale(engine: Engine, source: Path) -> Path:
    result = source.parent / "result.exr"
    assert engine.upscale(source, result).status == "done"
    return result


@pytest.mark.shared
@pytest.mark.parametrize("plate", REAL or [None], ids=lambda p: p.stem if p else "absent")
def test_a_real_plate_comes_out_whole(plate: Path | None, shared_folder: Path, engine: Engine, tmp_path: Path) -> None:
    assert plate is not None, f"{shared_folder} has no plates"
    result = tmp_path / "result.exr"
    assert engine.upscale(plate, result).status == "done"
    assert_headers_kept(plate, result)
    assert_pixels_fit(plate, result)


@pytest.mark.parametrize("name", ALL_KINDS)
def test_an_attribute_survives_in_type_and_bytes(name: str, engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr", **{name: ALL_KINDS[name]})
    assert name in raw_headers(source)[0]
    assert_headers_kept(source, upscale(engine, source))


@pytest.mark.parametrize("name", RAW_KINDS)
def test_an_attribute_that_the_module_cannot_write_survives(name: str, engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr")
    add_attribute(source, name, *RAW_KINDS[name])
    assert_headers_kept(source, upscale(engine, source))


@pytest.mark.parametrize("name", ALL_KINDS)
def test_an_attribute_survives_beside_uint_channels(name: str, engine: Engine, tmp_path: Path) -> None:
    planes = {**picture(), "objectId": ids(24, 16)}
    source = write_plate(tmp_path / "plate.exr", planes, **{name: ALL_KINDS[name]})
    assert_headers_kept(source, upscale(engine, source))


@pytest.mark.parametrize("name", RAW_KINDS)
def test_a_rare_attribute_survives_beside_uint_channels(name: str, engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr", {**picture(), "objectId": ids(24, 16)})
    add_attribute(source, name, *RAW_KINDS[name])
    assert_headers_kept(source, upscale(engine, source))


@pytest.mark.parametrize("uint", [False, True], ids=["stream", "uint"])
def test_density_doubles_so_that_the_print_keeps_its_size(uint: bool, engine: Engine, tmp_path: Path) -> None:
    planes = {**picture(), **({"id": ids(24, 16)} if uint else {})}
    source = write_plate(tmp_path / "plate.exr", planes, xDensity=72.0)
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    assert headers(result)[0]["xDensity"] == 144.0


@pytest.mark.parametrize(
    ("data", "display"),
    [
        (window(0, 0, 24, 16), window(0, 0, 24, 16)),
        (window(-5, -3, 24, 16), window(0, 0, 14, 10)),
        (window(7, 11, 24, 16), window(0, 0, 100, 80)),
        (window(-100, -80, 24, 16), window(-120, -90, 60, 50)),
        (window(3, 5, 24, 16), window(1000, 1000, 1, 1)),
        (window(-1, -1, 24, 16), window(-1, -1, 25, 17)),
    ],
    ids=["equal", "overscan", "crop", "negative", "apart", "odd"],
)
def test_windows_double_exactly(data: Any, display: Any, engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr", dataWindow=data, displayWindow=display)
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    assert_pixels_fit(source, result)
    a, b, c, d = corners({"dataWindow": data}, "dataWindow")
    assert corners(headers(result)[0], "dataWindow") == (2 * a, 2 * b, 2 * c + 1, 2 * d + 1)


def multipart(path: Path, with_ids: bool) -> Path:
    beauty = {**picture(30, 20, "RGBA", seed=1)}
    crypto = {f"crypto00.{c}": p for c, p in picture(12, 9, "RGBA", seed=2, dtype=np.float32).items()}
    depth = {"Z": picture(17, 33, "Z", seed=3, dtype=np.float32)["Z"]}
    mixed: Planes = {"mask": picture(8, 8, "R", seed=4)["R"], "Z": picture(8, 8, "Z", dtype=np.float32)["Z"]}
    if with_ids:
        mixed["objectId"] = ids(8, 8)
    return write_parts(
        path,
        [
            ({"name": "zebra", "dataWindow": window(-4, -2, 30, 20), "displayWindow": window(0, 0, 22, 16)}, beauty),
            ({"name": "crypto", "dataWindow": window(3, 2, 12, 9), "displayWindow": window(0, 0, 22, 16),
              "compression": exr.ZIPS_COMPRESSION, "cryptomatte/ab12/name": "crypto00"}, crypto),
            ({"name": "depth", "dataWindow": window(0, 0, 17, 33), "displayWindow": window(0, 0, 22, 16),
              "view": "left", "compression": exr.PIZ_COMPRESSION}, depth),
            ({"name": "alpha", "dataWindow": window(-9, 5, 8, 8), "displayWindow": window(0, 0, 22, 16),
              "view": "right", "comments": "last"}, mixed),
        ],
    )  # fmt: skip


@pytest.mark.parametrize("with_ids", [False, True], ids=["stream", "uint"])
def test_parts_of_other_types_and_windows_keep_their_order(with_ids: bool, engine: Engine, tmp_path: Path) -> None:
    source = multipart(tmp_path / "plate.exr", with_ids)
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    after, before = assert_pixels_fit(source, result), pixels(source)
    for name, plane in before[1].items():
        np.testing.assert_array_equal(after[1][name].view(np.uint32), plane.repeat(2, 0).repeat(2, 1).view(np.uint32))


@pytest.mark.parametrize("with_ids", [False, True], ids=["stream", "uint"])
def test_every_channel_of_every_part_keeps_its_own_level(with_ids: bool, engine: Engine, tmp_path: Path) -> None:
    shapes, level, parts = [(9, 12), (20, 7), (5, 5)], iter(np.arange(1, 99) / 8), []
    for i, shape in enumerate(shapes):
        names = ["R", "G", "B", "A", "diffuse.R", "diffuse.B", "diffuse.G", "Z", "mask", "other.q"]
        planes: Planes = {n: np.full(shape, next(level), np.float32 if n == "Z" else np.float16) for n in names}
        if with_ids:
            planes["id"] = np.full(shape, 0xFFFFFF00 + i, np.uint32)
        parts.append(({"name": f"part{9 - i}", "displayWindow": window(0, 0, 20, 20)}, planes))
    source = write_parts(tmp_path / "plate.exr", parts)
    for (_, planes), after in zip(parts, pixels(upscale(engine, source)), strict=True):
        for name, plane in planes.items():
            np.testing.assert_allclose(after[name], plane.repeat(2, 0).repeat(2, 1), rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("tiled", [False, True], ids=["lines", "tiled"])
def test_ids_above_two_to_the_24_survive_as_blocks_of_four(tiled: bool, engine: Engine, tmp_path: Path) -> None:
    planes = {**picture(40, 30, "RGBA"), "Z": picture(40, 30, "Z", dtype=np.float32)["Z"], "objectId": ids(40, 30)}
    planes["materialId"] = ids(40, 30, seed=1)
    header = {"type": exr.tiledimage, "tiles": tiles(16, 8)} if tiled else {}
    source = write_plate(tmp_path / "plate.exr", planes, **header)
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    after = assert_pixels_fit(source, result)[0]
    for name in ("objectId", "materialId"):
        assert planes[name].max() > 1 << 24
        np.testing.assert_array_equal(after[name], planes[name].repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("components", ["rgba", "RGBA", "XYZW"])
def test_cryptomatte_hashes_survive_bit_for_bit(components: str, engine: Engine, tmp_path: Path) -> None:
    hashes = ids(24, 16, seed=5)
    hashes[(hashes >> 23 & 0xFF) == 0xFF] ^= 1 << 30  # the specification keeps NaN and Inf out
    hashes[(hashes >> 23 & 0xFF) == 0] ^= 1 << 30
    planes = {**picture(), **{f"CryptoObject00.{c}": np.ascontiguousarray(hashes.view(np.float32)) for c in components}}
    manifest = {"cryptomatte/9f2a/name": "CryptoObject", "cryptomatte/9f2a/manifest": '{"a":"01234567"}'}
    source = write_plate(tmp_path / "plate.exr", planes, **manifest)
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    after = pixels(result)[0]
    for c in components:
        np.testing.assert_array_equal(after[f"CryptoObject00.{c}"].view(np.uint32), hashes.repeat(2, 0).repeat(2, 1))


def tiles(width: int, height: int) -> Any:
    description = exr.TileDescription()
    description.xSize, description.ySize = width, height
    return description


@pytest.mark.parametrize("order", [exr.INCREASING_Y, exr.DECREASING_Y, exr.RANDOM_Y], ids=str)
def test_a_tiled_plate_stays_tiled(order: Any, engine: Engine, tmp_path: Path) -> None:
    source = tmp_path / "plate.exr"
    write_plate(source, picture(70, 50), type=exr.tiledimage, tiles=tiles(32, 16), lineOrder=order,
                dataWindow=window(-3, 5, 70, 50))  # fmt: skip
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    assert_pixels_fit(source, result)
    assert (headers(result)[0]["tiles"].xSize, headers(result)[0]["tiles"].ySize) == (32, 16)


def test_a_plate_stored_from_the_bottom_comes_out_upright(engine: Engine, tmp_path: Path) -> None:
    planes = picture(24, 64)
    source = write_plate(tmp_path / "down.exr", planes, lineOrder=exr.DECREASING_Y)
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    down = assert_pixels_fit(source, result)[0]
    engine.upscale(write_plate(tmp_path / "up.exr", planes), tmp_path / "up_2x.exr")
    for name, plane in pixels(tmp_path / "up_2x.exr")[0].items():
        np.testing.assert_array_equal(down[name], plane)


@pytest.mark.parametrize("compression", [None, *COMPRESSIONS, "dwaa:45", "dwab:200", "zip:9"])
@pytest.mark.parametrize("uint", [False, True], ids=["stream", "uint"])
def test_a_compression_is_the_one_that_was_named(
    compression: str | None, uint: bool, make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    planes = {**picture(), **({"id": ids(24, 16)} if uint else {})}
    source = write_plate(tmp_path / "plate.exr", planes, compression=exr.PIZ_COMPRESSION)
    result = upscale(make_engine(compression=compression), source)
    name = "piz" if compression is None else compression.partition(":")[0].replace("none", "no")
    assert headers(result)[0]["compression"] == getattr(exr, f"{name.upper()}_COMPRESSION")
    assert_headers_kept(source, result, "compression", *(["dwaCompressionLevel"] if name.startswith("dwa") else []))
    if uint:
        np.testing.assert_array_equal(pixels(result)[0]["id"], planes["id"].repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("channels", ["R", "A", "Z", "mask", "density", "left.R", "beauty.hero.R"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_part_of_one_channel_comes_out_as_one(channels: str, dtype: Any, engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr", {channels: picture(names="R", dtype=dtype)["R"]})
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    assert_pixels_fit(source, result)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3)], ids=str)
def test_the_smallest_plates_come_out(size: tuple[int, int], engine: Engine, tmp_path: Path) -> None:
    source = write_plate(tmp_path / "plate.exr", {k: np.ones(size, np.float16) for k in "RGBA"})
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    assert_pixels_fit(source, result)


def test_views_in_channel_names_keep_their_order(engine: Engine, tmp_path: Path) -> None:
    planes = {**picture(seed=1), **{f"left.{c}": p for c, p in picture(seed=2).items()}}
    source = write_plate(tmp_path / "plate.exr", planes, multiView=["right", "left"])
    result = upscale(engine, source)
    assert_headers_kept(source, result)
    assert_pixels_fit(source, result)


def test_the_witness_sees_a_damaged_part(tmp_path: Path) -> None:
    source = multipart(tmp_path / "plate.exr", with_ids=False)
    whole = source.read_bytes()
    source.write_bytes(whole[:-40])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((AssertionError, RuntimeError)):
            pixels(source)
