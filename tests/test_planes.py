"""Planes: which channels of a file become which field, whatever they are called and wherever they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plates import exr, ids, picture, window, write_parts, write_plate

from deepupscale.fields import Kind
from deepupscale.plate import Limits
from model.planes import UnfitError, read_planes, survey

LIMITS = Limits(side=4096)


def test_fields_are_found_in_parts_and_odd_spellings_and_the_rest_is_left(tmp_path: Path) -> None:
    half = {c: np.full((8, 8), i, np.float16) for i, c in enumerate("xyzw")}
    vectors = {f"{layer}.{axis}": half[axis.lower()] for layer in ("P", "mv") for axis in "XYZ"}
    parts = [
        ({"name": "normal"}, {"N.X": half["x"], "N.Y": half["y"], "N.Z": half["z"]}),
        ({"name": "rgba"}, {"R": half["x"], "G": half["y"], "B": half["z"], "A": half["y"], "id": ids(8, 8)}),
        ({"name": "depth"}, {"Z": np.full((8, 8), 7, np.float32)}),
        ({"name": "aux"}, {"bump.r": half["w"], "bump.g": half["y"], "bump.b": half["z"], **vectors}),
        ({"name": "small"}, {"extra.R": half["x"][:4], "extra.G": half["x"][:4], "extra.B": half["x"][:4]}),
    ]
    framed = [({"displayWindow": window(0, 0, 8, 8), **header}, planes) for header, planes in parts]
    seen = survey(write_parts(tmp_path / "a.exr", framed), LIMITS)
    assert {name: found.spec.kind for name, found in seen.fields.items()} == {
        "rgb": Kind.COLOUR, "alpha": Kind.ALPHA, "N": Kind.UNIT_VECTOR, "depth": Kind.DISTANCE, "bump": Kind.COLOUR,
    }  # fmt: skip
    planes, _ = read_planes(tmp_path / "a.exr", [found.spec for found in seen.fields.values()], LIMITS)
    assert planes["bump"][0, 0].tolist() == [3, 1, 2]
    assert planes["depth"][0, 0].tolist() == [7]


@pytest.mark.parametrize("tiled", [False, True])
def test_pictures_of_more_than_one_strip_are_read_whole(tmp_path: Path, tiled: bool) -> None:
    planes = picture(70, 150, "RGB", seed=3)
    header = {"type": exr.tiledimage, "tiles": exr.TileDescription()} if tiled else {}
    file = write_plate(tmp_path / "a.exr", planes, dataWindow=window(-5, 9, 70, 150), **header)
    spec = survey(file, LIMITS).fields["rgb"].spec
    whole = np.stack([planes[c] for c in "RGB"], axis=2)
    for even, expected in ((False, whole), (True, whole[:, :70])):
        found, clamped = read_planes(file, [spec], LIMITS, even)
        assert found["rgb"].tobytes() == expected.tobytes()
        assert clamped == 0


def test_the_main_layer_is_the_beauty_and_without_one_the_first_of_red_green_and_blue(tmp_path: Path) -> None:
    light = picture(8, 8)
    layers = {f"{layer}.{c}": light[c] for layer in ("diffuse", "albedo") for c in "RGB"}
    seen = survey(write_plate(tmp_path / "a.exr", {**layers, **light}), LIMITS)
    assert seen.fields["rgb"].channels == ("R", "G", "B")
    assert set(seen.fields) == {"rgb", "diffuse", "albedo"}
    seen = survey(write_plate(tmp_path / "b.exr", layers), LIMITS)
    assert seen.fields["rgb"].channels == ("albedo.R", "albedo.G", "albedo.B")


@pytest.mark.parametrize("names", ["Z", "RG", "A"])
def test_a_picture_without_red_green_and_blue_is_refused(tmp_path: Path, names: str) -> None:
    file = write_plate(tmp_path / "a.exr", picture(8, 8, names))
    with pytest.raises(UnfitError, match=r"a\.exr has no layer of red, green and blue"):
        survey(file, LIMITS)


def test_a_field_that_a_file_lacks_is_named(tmp_path: Path) -> None:
    whole = write_plate(tmp_path / "a.exr", {**picture(8, 8), "Z": np.ones((8, 8), np.float32)})
    poor = write_plate(tmp_path / "b.exr", picture(8, 8))
    specs = [found.spec for found in survey(whole, LIMITS).fields.values()]
    with pytest.raises(UnfitError, match=r"b\.exr has no Z like the other pairs"):
        read_planes(poor, specs, LIMITS)
