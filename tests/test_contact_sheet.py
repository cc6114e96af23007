"""Contact sheets of training pairs, and the reading of pairs: what is shown, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from plates import write_parts, write_plate

from deepupscale.errors import DeepUpscaleError, MissingExtraError, PlateError, UsageError, WriteError
from deepupscale.plate import Limits
from model.procedural import procedural_image
from render.contact_sheet import SheetPair, contact_sheet, pairs_of, shown
from render.pair_files import plain_pairs, read_pair, read_rgb
from render.verbs import contact_sheet as verb

Float32 = NDArray[np.float32]
WIDTH, HEIGHT = 48, 32  # of LR


def write_rgb(path: Path, picture: Float32, prefix: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_plate(path, {f"{prefix}{c}": picture[:, :, i].astype(np.float16) for i, c in enumerate("RGB")})


def make_pair(seed: int, width: int = WIDTH, height: int = HEIGHT) -> tuple[Float32, Float32]:
    hr = np.abs(procedural_image(seed, 2 * max(width, height))[: 2 * height, : 2 * width]) + np.float32(0.05)
    return hr.reshape(height, 2, width, 2, 3).mean(axis=(1, 3)), hr


def make_folder(folder: Path, count: int) -> Path:
    for n in range(count):
        lr, hr = make_pair(n)
        write_rgb(folder / "lr" / f"pair{n:02d}.exr", lr)
        write_rgb(folder / "hr" / f"pair{n:02d}.exr", hr)
    return folder


def write_manifest(folder: Path, statuses: list[str], **changes: Any) -> None:
    """As render-pairs writes it."""
    lines = [
        {
            "name": f"pair{n:02d}",
            "status": status,
            "reason": "" if status == "accepted" else "shifted by 0.62 LR pixels (at most 0.15)",
            "lr": f"lr/pair{n:02d}.exr",
            "hr": f"hr/pair{n:02d}.exr",
            "size": [WIDTH, HEIGHT],
            "scene": {"kind": "still_life"},
            "render": {"samples": 8},
            "coherence": {"shift": [0.1, 0.6], "worst_shift": 0.1, "difference": 0.001, "worst_difference": 0.002},
            **changes,
        }
        for n, status in enumerate(statuses)
    ]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- what is shown


def test_a_sheet_has_a_row_of_three_pictures_for_every_pair(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "set", 3)
    one = contact_sheet(pairs_of(folder, limit=1), tmp_path / "one.png", width=96)
    three = contact_sheet(pairs_of(folder), tmp_path / "three.png", width=96)
    assert (one, three) == ([tmp_path / "one.png"], [tmp_path / "three.png"])
    first, all_three = pixels_of(one[0]), pixels_of(three[0])
    assert 3 * 96 < first.shape[1] < 3 * 96 + 60
    assert 64 < first.shape[0] < 64 + 120
    assert all_three.shape[1] > 1.9 * first.shape[1]  # two pairs side by side
    assert all_three.shape[0] > 1.5 * first.shape[0]
    assert listing(tmp_path) == ["one.png", "set", "three.png"]


def test_lr_and_hr_are_toned_alike_and_a_good_pair_differs_nowhere() -> None:
    lr, hr = make_pair(3)
    low, high, difference = shown(lr, hr)
    assert low.shape == high.shape == hr.shape
    assert difference.shape == lr.shape
    assert abs(float(low.mean()) - float(high.mean())) < 0.02
    assert np.abs(difference - 0.5).max() < 0.25


@pytest.mark.parametrize("stops", [-8, 0, 8])
def test_exposure_follows_the_picture(stops: int) -> None:
    lr, hr = make_pair(4)
    gain = np.float32(2.0**stops)
    _, high, _ = shown(lr * gain, hr * gain)
    assert 0.3 < np.median(high) < 0.7
    assert high.min() >= 0.0
    assert high.max() <= 1.0


def test_a_difference_shows_where_it_was_planted(tmp_path: Path) -> None:
    """White where HR is brighter, black where it is darker, in the third picture of the row."""
    lr, hr = (np.full((height, 2 * height, 3), 0.2, np.float32) for height in (64, 128))
    hr[16:48, 32:64] *= 2.0  # top left
    hr[80:112, 192:224] *= 0.5  # bottom right
    write_rgb(tmp_path / "lr" / "x.exr", lr)
    write_rgb(tmp_path / "hr" / "x.exr", hr)
    contact_sheet(pairs_of(tmp_path), tmp_path / "x.png", width=256)
    page = pixels_of(tmp_path / "x.png").astype(float).mean(axis=2)
    columns = np.flatnonzero(np.abs(page[:, 532:] - 127.5).min(axis=0) < 2.0) + 532  # mid-grey is only in the third
    picture = page[:, columns.min() : columns.max() + 1]
    rows = np.flatnonzero((np.abs(picture - 127.5) < 2.0).mean(axis=1) > 0.3)
    picture = picture[rows.min() : rows.max() + 1]
    assert picture.shape == pytest.approx((128, 256), abs=3)
    assert picture[32, 48] > 220
    assert picture[96, 208] < 35
    assert picture[96, 48] == pytest.approx(127.5, abs=2.0)


def test_pages_are_numbered_when_there_are_many_pairs(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "set", 5)
    pages = contact_sheet(pairs_of(folder), tmp_path / "sheet.png", width=64, rows=1)
    assert [page.name for page in pages] == ["sheet.1.png", "sheet.2.png", "sheet.3.png"]
    assert listing(tmp_path) == ["set", "sheet.1.png", "sheet.2.png", "sheet.3.png"]
    assert pixels_of(pages[0]).shape == pixels_of(pages[1]).shape


def test_nan_inf_negatives_and_tiny_pictures_can_be_looked_at(tmp_path: Path) -> None:
    lr, hr = make_pair(1, 8, 6)  # too small to be measured
    hr[0, 0], hr[1, 1], hr[2, 2] = np.nan, np.inf, -5.0
    write_rgb(tmp_path / "lr" / "x.exr", lr)
    write_rgb(tmp_path / "hr" / "x.exr", hr)
    assert pixels_of(contact_sheet(pairs_of(tmp_path), tmp_path / "x.png", width=64)[0]).size > 0


def test_a_very_tall_pair_does_not_make_an_endless_page(tmp_path: Path) -> None:
    lr, hr = np.full((800, 2, 3), 0.2, np.float32), np.full((1600, 4, 3), 0.2, np.float32)
    write_rgb(tmp_path / "lr" / "x.exr", lr)
    write_rgb(tmp_path / "hr" / "x.exr", hr)
    assert pixels_of(contact_sheet(pairs_of(tmp_path), tmp_path / "x.png", width=64)[0]).shape[0] < 300


# ---- which pairs


def test_the_limit_spreads_over_the_set(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 7)
    assert [pair.name for pair in pairs_of(folder, limit=3)] == ["pair00", "pair03", "pair06"]
    assert len(pairs_of(folder, limit=100)) == len(pairs_of(folder)) == 7


def test_a_manifest_says_status_kind_and_samples(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 3)
    write_manifest(folder, ["accepted", "rejected", "accepted"])
    pairs = pairs_of(folder)
    assert [pair.reason for pair in pairs] == ["", "shifted by 0.62 LR pixels (at most 0.15)", ""]
    assert (pairs[0].kind, pairs[0].samples) == ("still_life", "8")
    assert [pair.name for pair in pairs_of(folder, "rejected")] == ["pair01"]
    assert [pair.name for pair in pairs_of(folder, "accepted")] == ["pair00", "pair02"]
    contact_sheet(pairs, folder / "sheet.png", width=64)


def test_strange_values_in_a_manifest_do_not_stop_the_sheet(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 1)
    write_manifest(
        folder, ["rejected"], reason="", scene={"kind": ["a", "\n" * 500]}, coherence={"shift": "no", "edges": None}
    )
    assert contact_sheet(pairs_of(folder), folder / "sheet.png", width=64) == [folder / "sheet.png"]


def test_without_a_manifest_pairs_are_measured(tmp_path: Path) -> None:
    """The verdict's colour tells: green when coherent, red when not."""
    lr, hr = make_pair(2)
    greens: list[bool] = []
    for name, other in (("good", hr), ("bad", hr[:, ::-1])):
        write_rgb(tmp_path / name / "lr" / "x.exr", lr)
        write_rgb(tmp_path / name / "hr" / "x.exr", other)
        page = pixels_of(contact_sheet(pairs_of(tmp_path / name), tmp_path / f"{name}.png", width=96)[0]).astype(int)
        words = page[page.shape[0] - 44 :]
        greens.append(bool(words[:, :, 1].sum() > words[:, :, 0].sum()))
    assert greens == [True, False]


# ---- what is refused


def test_folders_without_pairs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "lr").mkdir(parents=True)
    (tmp_path / "empty" / "hr").mkdir()
    (tmp_path / "none").mkdir()
    listed = make_folder(tmp_path / "listed", 1)
    write_manifest(listed, ["accepted"])
    unlisted = make_folder(tmp_path / "unlisted", 1)
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "manifest.jsonl").write_text("")
    for folder, only, says in (
        (tmp_path / "missing", "all", "not a folder"),
        (tmp_path / "empty", "all", "no pairs"),
        (tmp_path / "none", "all", "no folder lr"),
        (tmp_path / "nobody", "all", "lists no pairs"),
        (listed, "rejected", "lists no rejected pairs"),
        (unlisted, "accepted", "no manifest.jsonl"),
    ):
        with pytest.raises(UsageError, match=says):
            pairs_of(folder, only)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no pairs"):
        contact_sheet([], tmp_path / "x.png")


def test_a_file_without_its_partner_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path, 3)
    (tmp_path / "hr" / "pair01.exr").unlink()
    (tmp_path / "hr" / ".pair01.writing-host-1.exr").write_bytes(b"")  # of a writer still at work: no pair
    with pytest.raises(UsageError, match=r"lr/pair01\.exr has no partner in hr"):
        plain_pairs(tmp_path)


def test_a_missing_or_damaged_file_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "set", 2)
    write_manifest(folder, ["accepted", "accepted"])
    (folder / "hr" / "pair01.exr").unlink()
    with pytest.raises(PlateError, match=r"pair01\.exr: no such file"):
        contact_sheet(pairs_of(folder), tmp_path / "sheet.png")
    (folder / "hr" / "pair01.exr").write_bytes((folder / "hr" / "pair00.exr").read_bytes()[:700])
    with pytest.raises(PlateError, match=r"pair01\.exr"):
        contact_sheet(pairs_of(folder), tmp_path / "sheet.png")
    assert listing(tmp_path) == ["set"]


def test_outputs_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    pairs = pairs_of(make_folder(tmp_path / "set", 3))
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "many.2.png").mkdir()
    for out, says in (
        ("folder.png", "is a folder"),
        ("sheet.jpg", "a .png file"),
        ("no/sheet.png", "there is no folder"),
    ):
        with pytest.raises(UsageError, match=says):
            contact_sheet(pairs, tmp_path / out)
    with pytest.raises(UsageError, match=r"many\.2\.png: is a folder"):
        contact_sheet(pairs, tmp_path / "many.png", rows=1)
    with pytest.raises(UsageError, match="--width 7: 32 to 4096"):
        contact_sheet(pairs, tmp_path / "x.png", width=7)
    assert listing(tmp_path) == ["folder.png", "many.2.png", "set"]


def test_when_a_page_cannot_be_written_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = pairs_of(make_folder(tmp_path / "set", 1))
    (tmp_path / "sheet.png").write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(WriteError, match="No space left on device"):
        contact_sheet(pairs, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes() == b"old"
    assert listing(tmp_path) == ["set", "sheet.png"]


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match="pillow"):
        contact_sheet([SheetPair("x", tmp_path / "a", tmp_path / "b")], tmp_path / "x.png")


# ---- reading a pair's files


def test_rgb_is_read_exactly_from_any_layout(tmp_path: Path) -> None:
    picture = procedural_image(1, 32)[:20].astype(np.float16).astype(np.float32)
    planes = {c: picture[:, :, i].astype(np.float16) for i, c in enumerate("RGB")}
    layered = {f"diffuse.{c}": np.zeros_like(plane) for c, plane in planes.items()}
    np.testing.assert_array_equal(read_rgb(write_plate(tmp_path / "plain.exr", planes)), picture)
    both = write_plate(tmp_path / "layers.exr", {**layered, **planes, "Z": planes["R"].astype(np.float32)})
    np.testing.assert_array_equal(read_rgb(both), picture)
    named = {f"view.{c}": plane for c, plane in planes.items()}
    np.testing.assert_array_equal(read_rgb(write_plate(tmp_path / "named.exr", {**named, "A": planes["R"]})), picture)
    parts = [({"name": "data"}, {"Z": planes["R"]}), ({"name": "beauty"}, planes)]
    np.testing.assert_array_equal(read_rgb(write_parts(tmp_path / "parts.exr", parts)), picture)


def test_files_that_are_no_picture_of_light_are_refused(tmp_path: Path) -> None:
    zeros = np.zeros((16, 16), np.float16)
    depth = write_plate(tmp_path / "depth.exr", {"Z": zeros, "BAR": zeros, "BAG": zeros, "BAB": zeros})
    with pytest.raises(PlateError, match="no red, green and blue"):
        read_rgb(depth)
    ids = write_plate(tmp_path / "ids.exr", {c: np.zeros((16, 16), np.uint32) for c in "RGB"})
    with pytest.raises(PlateError, match="whole numbers"):
        read_rgb(ids)
    large = write_plate(tmp_path / "large.exr", dict.fromkeys("RGB", zeros))
    with pytest.raises(PlateError, match="the limit is 8 a side"):
        read_rgb(large, Limits(side=8))


def test_too_many_pixels_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("render.pair_files.MOST_PIXELS", 255)
    with pytest.raises(PlateError, match="too many for a training pair"):
        read_rgb(write_plate(tmp_path / "x.exr", dict.fromkeys("RGB", np.zeros((16, 16), np.float16))))


def test_hr_that_is_not_twice_the_size_is_refused(tmp_path: Path) -> None:
    lr, hr = make_pair(0)
    small, large = write_rgb(tmp_path / "lr.exr", lr), write_rgb(tmp_path / "hr.exr", hr[:-2])
    with pytest.raises(PlateError, match="not twice the 48 x 32"):
        read_pair(small, large)
    np.testing.assert_allclose(read_pair(small, write_rgb(tmp_path / "hr.exr", hr))[1], hr, rtol=1e-3)


# ---- the verb


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the verb as the command line would; its exit code and output."""
    app = typer.Typer(add_completion=False)
    app.command()(verb)

    def run(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        try:
            code = app([str(a) for a in arguments], standalone_mode=False)
        except DeepUpscaleError as error:
            return error.exit_code, str(error)
        return code or 0, capsys.readouterr().out

    return run


def test_the_verb_writes_and_says_so(tmp_path: Path, said: Any) -> None:
    folder = make_folder(tmp_path / "set", 3)
    write_manifest(folder, ["accepted", "rejected", "accepted"])
    out = tmp_path / "sheet.png"
    assert said(folder, out, "--limit", 2, "--width", 64) == (0, f"wrote {out}\n")
    assert said(folder, out, "--only", "rejected", "--width", 64)[0] == 0
    assert said(folder, out, "--only", "some") == (2, "--only some: use all, accepted or rejected")
    assert said(tmp_path / "nowhere", out)[0] == 2
