"""Sources: what is taken from a folder, what is left out and why, and what is an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plates import SHARED, write_plate
from stores import (
    ALBEDO,
    ALPHA,
    DEPTH,
    FORWARD,
    NORMAL,
    RGB,
    aov_planes,
    halved,
    pair_folder,
    record,
    rendered_folder,
    scene,
    write_rgb,
)  # fmt: skip

from deepupscale.errors import UsageError
from deepupscale.plate import Limits
from model.pixel_filters import blackman_harris, box, gaussian, mitchell, reduce_whole
from model.planes import UnfitError
from model.sampling import is_held_out
from model.sources import Loaded, candidates, load, offered, parse_filters

LIMITS = Limits(side=4096)


def load_one(folder: Path, fields=(RGB,), number: int = 0, keep: bool = False, degrade: str = "box") -> Loaded:
    """Survey and load one pair of a folder."""
    found = candidates(folder, degrade)[0][number]
    offered(found, LIMITS)
    return load(found, fields, LIMITS, keep)


def reason(folder: Path, **options) -> str:
    """Why the folder's first pair is left out."""
    with pytest.raises(UnfitError) as caught:
        load_one(folder, **options)
    return str(caught.value)


# --- rendered ---


def test_only_accepted_pairs_of_a_manifest_are_taken(tmp_path: Path) -> None:
    found, left_out = candidates(rendered_folder(tmp_path, ["s.0002", "s.0001"], rejected=["s.0003"]))
    assert [each.name for each in found] == ["s.0001", "s.0002"]
    assert {each.kind for each in found} == {"rendered"}
    assert [(each.name, each.reason) for each in left_out] == [("s.0003", "rejected by render-pairs: shifted")]


def test_a_rendered_pair_comes_with_its_aovs_in_their_types_and_order(tmp_path: Path) -> None:
    candidate = candidates(rendered_folder(tmp_path))[0][0]
    specs = offered(candidate, LIMITS)
    backward = FORWARD.model_copy(update={"name": "backward"})
    assert {spec.name: spec for spec in specs} == {
        spec.name: spec for spec in (RGB, NORMAL, DEPTH, ALBEDO, ALPHA, FORWARD, backward)
    }  # no cryptomatte: ids are not learnt from
    loaded = load_one(tmp_path, specs)
    for planes, (width, height) in ((loaded.lr, (40, 32)), (loaded.hr, (80, 64))):
        written = aov_planes(width, height)
        np.testing.assert_array_equal(planes["N"], np.stack([written[f"N.{c}"] for c in "XYZ"], axis=2))
        np.testing.assert_array_equal(planes["forward"], np.stack([written[f"forward.{c}"] for c in "uv"], axis=2))
        np.testing.assert_array_equal(planes["Z"][:, :, 0], written["Z"])
        assert planes["Z"].max() == np.float32(1e10)
        assert {name: plane.dtype.itemsize for name, plane in planes.items()} == {
            "rgb": 2, "N": 2, "albedo": 2, "alpha": 2, "Z": 4, "forward": 4, "backward": 4,
        }  # fmt: skip
    np.testing.assert_array_equal(loaded.hr["rgb"], scene(80, 64, 0).astype(np.float16))


def rendered_error(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_one(folder)
    return str(caught.value)


@pytest.mark.parametrize("level", ["lr", "hr"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "text", "other"])
def test_a_rendered_file_that_is_missing_or_damaged_is_an_error_that_names_it(
    tmp_path: Path, level: str, damage: str
) -> None:
    file = rendered_folder(tmp_path) / level / "s.0001.exr"
    data = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "other":
        file.write_bytes((tmp_path / level / "s.0002.exr").read_bytes())
    else:
        file.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "text": b"hello"}[damage])
    text = rendered_error(tmp_path)
    assert text.startswith(f"{file}: ")
    assert "render the pair again" in text


def test_damaged_pixels_are_found_without_a_digest(tmp_path: Path) -> None:
    file = rendered_folder(tmp_path, ["a"]) / "hr" / "a.exr"
    (tmp_path / "manifest.jsonl").write_text(record(tmp_path, "a", digest={}))
    file.write_bytes(file.read_bytes()[:-200])
    assert "is damaged or truncated" in rendered_error(tmp_path)


OUTSIDE = ("/etc/passwd", "../outside.exr", "lr/../../outside.exr", "", "a\\..\\b.exr", "link.exr", "below/a.exr")


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_manifest_that_leaves_its_folder_is_refused(tmp_path: Path, path: str) -> None:
    folder = rendered_folder(tmp_path / "pairs", ["a"])
    outside = write_rgb(tmp_path / "outside.exr", scene(40, 32))
    (folder / "link.exr").symlink_to(outside)
    (folder / "below").symlink_to(folder / ".." / "..")
    for level in ("lr", "hr"):
        (folder / "manifest.jsonl").write_text(record(folder, "a", **{level: path}))
        with pytest.raises(UsageError, match=r"manifest\.jsonl: .*(outside its folder|leaves the folder)"):
            candidates(folder)


def test_a_size_that_the_manifest_has_otherwise_is_an_error(tmp_path: Path) -> None:
    rendered_folder(tmp_path, ["a"])
    (tmp_path / "manifest.jsonl").write_text(record(tmp_path, "a", size=[41, 32]))
    assert "is 40x32, its manifest says otherwise" in rendered_error(tmp_path)


# --- pairs ---


def test_a_studio_folder_is_paired_by_names(tmp_path: Path) -> None:
    pair_folder(tmp_path, ["b", "a"])
    write_rgb(tmp_path / "lr" / "alone.exr", scene(40, 32))
    write_rgb(tmp_path / "hr" / "lone.exr", scene(40, 32))
    write_rgb(tmp_path / "hr" / ".a.writing-host-1.exr", scene(40, 32))
    found, left_out = candidates(tmp_path)
    assert [(each.name, each.kind) for each in found] == [("a", "pairs"), ("b", "pairs")]
    assert [(each.name, each.reason) for each in left_out] == [
        ("alone", "is in lr/ but not in hr/"), ("lone", "is in hr/ but not in lr/"),
    ]  # fmt: skip
    loaded = load_one(tmp_path, number=1)
    np.testing.assert_array_equal(loaded.hr["rgb"], scene(80, 64, 0).astype(np.float16))
    assert loaded.note == ""


@pytest.mark.parametrize("size", [(79, 64), (80, 63), (40, 32), (160, 128), (81, 64)])
def test_sizes_that_are_not_one_to_two_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    pair_folder(tmp_path, ["a"])
    write_rgb(tmp_path / "hr" / "a.exr", scene(*size))
    assert reason(tmp_path) == f"sizes are not 1:2: LR is 40x32, HR is {size[0]}x{size[1]}"


@pytest.mark.parametrize("level", ["lr", "hr"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pair_with_nan_or_inf_is_refused(tmp_path: Path, level: str, value: float) -> None:
    pair_folder(tmp_path, ["a"])
    picture = scene(80, 64) if level == "hr" else halved(scene(80, 64))
    picture[-1, -1, 2] = value
    write_rgb(tmp_path / level / "a.exr", picture)
    assert reason(tmp_path) == "a.exr holds NaN or Inf in B"


def test_nan_in_an_aov_counts_only_where_it_is_asked_for(tmp_path: Path) -> None:
    pair_folder(tmp_path, ["a"], aovs=True)
    aovs = aov_planes(80, 64)
    aovs["Z"][5, 5] = np.nan
    write_rgb(tmp_path / "hr" / "a.exr", scene(80, 64), aovs)
    assert load_one(tmp_path).clamped == 0
    assert reason(tmp_path, fields=(RGB, DEPTH)) == "a.exr holds NaN or Inf in Z"


def test_a_damaged_file_of_a_studio_is_a_reason_not_the_end(tmp_path: Path) -> None:
    file = pair_folder(tmp_path, ["a"]) / "lr" / "a.exr"
    file.write_bytes(file.read_bytes()[:-100])
    assert reason(tmp_path).startswith(f"{file}: part 0 is damaged or truncated at rows")


def test_an_incoherent_pair_is_refused_unless_it_is_kept(tmp_path: Path) -> None:
    pair_folder(tmp_path, ["a"])
    write_rgb(tmp_path / "lr" / "a.exr", halved(np.roll(scene(80, 64), 8, axis=1)))
    assert (text := reason(tmp_path)).startswith("incoherent: ")
    assert len(text) > len("incoherent: ")
    assert load_one(tmp_path, keep=True).note == "kept though " + text


def test_a_pair_too_small_to_be_measured_is_refused_as_such(tmp_path: Path) -> None:
    write_rgb(tmp_path / "hr" / "a.exr", scene(16, 16))
    write_rgb(tmp_path / "lr" / "a.exr", halved(scene(16, 16)))
    assert "at least 16" in reason(tmp_path)


def test_values_too_large_for_half_are_clamped_and_counted(tmp_path: Path) -> None:
    pair_folder(tmp_path, ["a"])
    hot = scene(80, 64)
    hot[3, 4], hot[5, 6, 0], hot[7, 8, 1] = 1e6, -1e6, 65504.0
    write_plate(tmp_path / "hr" / "a.exr", {c: np.ascontiguousarray(hot[:, :, i]) for i, c in enumerate("RGB")})
    loaded = load_one(tmp_path, keep=True)
    assert loaded.clamped == 4
    assert loaded.hr["rgb"][3, 4].tolist() == [65504.0] * 3
    assert loaded.hr["rgb"][5, 6, 0] == -65504.0
    assert np.isfinite(loaded.hr["rgb"]).all()


# --- degraded ---


@pytest.mark.parametrize(
    ("text", "made_by"),
    [("blackman-harris", blackman_harris()), ("blackman-harris:1.2", blackman_harris(1.2)), ("box", box()),
     ("gaussian", gaussian(0.4)), ("gaussian:0.5", gaussian(0.5)), ("mitchell", mitchell())],
)  # fmt: skip
@pytest.mark.parametrize("size", [(40, 32), (41, 33)])
def test_a_photograph_is_reduced_in_linear_light_by_the_filter_asked_for(tmp_path: Path, text, made_by, size) -> None:
    picture = scene(*size)
    write_rgb(tmp_path / "photo.exr", picture * 100.0)
    loaded = load_one(tmp_path, degrade=text)
    even = (picture * 100.0).astype(np.float16)[: size[1] // 2 * 2, : size[0] // 2 * 2]
    np.testing.assert_array_equal(loaded.hr["rgb"], even)
    expected = reduce_whole(even.astype(np.float32), made_by, 2).astype(np.float16)
    np.testing.assert_array_equal(loaded.lr["rgb"], expected)
    assert loaded.lr["rgb"].shape == (16, 20, 3)


def test_degraded_pairs_have_no_aovs_and_one_pixel_cannot_be_halved(tmp_path: Path) -> None:
    write_rgb(tmp_path / "b.exr", scene(40, 32), aov_planes(40, 32))
    assert offered(candidates(tmp_path)[0][0], LIMITS) == [RGB]
    write_rgb(tmp_path / "a.exr", scene(1, 9))
    assert reason(tmp_path) == "a.exr is 1x9: too small to halve"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bicubic",
        "box:1",
        "gaussian:",
        "gaussian:x",
        "gaussian:nan",
        "gaussian:9",
        "blackman-harris:1e9",
        "box,",
        "box,box",
        "mitchell:2",
        ",".join(f"gaussian:0.{n}" for n in range(20, 40)),
    ],
)
def test_an_unknown_filter_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--degrade"):
        parse_filters(text)


def test_several_filters_make_a_pair_each_of_every_picture_and_they_are_held_out_together(tmp_path: Path) -> None:
    for number in range(8):
        write_rgb(tmp_path / f"photo{'abcdefgh'[number]}.exr", scene(40, 32, number))
    found, left_out = candidates(tmp_path, "box,gaussian:0.5")
    assert not left_out
    assert [each.name for each in found[::8]] == ["photoa@box", "photoa@gaussian-0.5"]
    assert len(found) == 16
    loaded = [load(each, (RGB,), LIMITS, False) for each in found[::8]]
    for each, made_by in zip(loaded, (box(), gaussian(0.5)), strict=True):
        expected = reduce_whole(scene(40, 32, 0), made_by, 2).astype(np.float16)
        np.testing.assert_array_equal(each.lr["rgb"], expected)
    held = {share: [is_held_out(each.name, share) for each in found] for share in (0.2, 0.5, 0.8)}
    assert all(sides[:8] == sides[8:] for sides in held.values())
    assert len({tuple(sides) for sides in held.values()}) > 1


# --- folders and files ---


def test_folders_that_hold_no_pairs_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("empty", "half/lr", "both/lr", "both/hr"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    expected = {"none": "no such folder", "file": "is a file", "empty": "holds no pairs"}
    expected |= {"half": "only one of", "both": "no EXR"}
    for name, words in expected.items():
        with pytest.raises(UsageError, match=words) as caught:
            candidates(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_a_name_that_no_store_can_hold_is_left_out(tmp_path: Path) -> None:
    for name in ("n" * 201, "line\nbreak", "good"):
        write_rgb(tmp_path / f"{name}.exr", scene(8, 8))
    found, left_out = candidates(tmp_path)
    assert [each.name for each in found] == ["good"]
    assert all("\n" not in each.name for each in left_out)
    assert len(left_out) == 2


def test_the_limit_on_a_side_is_asked_of_the_header(tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.exr", scene(40, 32))
    with pytest.raises(UnfitError, match=r"the limit is 39 a side"):
        offered(candidates(tmp_path)[0][0], Limits(side=39))


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["damaged", "refused", "plates"])
def test_real_and_damaged_plates_are_loaded_or_left_out(shared_folder: Path, folder: str) -> None:
    found, _ = candidates(SHARED / folder)
    fates = []
    for candidate in found:
        try:
            offered(candidate, LIMITS)
            fates.append(load(candidate, (RGB,), LIMITS, False).hr["rgb"].size > 0)
        except UnfitError as error:
            fates.append(str(error))
    assert all(fates)
    assert (True in fates) == (folder == "plates")
