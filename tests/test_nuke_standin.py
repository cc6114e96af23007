"""The stand-in's pictures: Read, Write and the nodes between them, on small EXR files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")

import nuke_standin
from nuke_standin import Session, StandInError

RGB = ("rgba.red", "rgba.green", "rgba.blue")


@pytest.fixture
def session() -> Iterator[Session]:
    """A terminal session with a format of 8 by 6."""
    with nuke_standin.terminal() as running:
        running.root["format"].setValue(running.nuke.Format(8, 6, 1.0))
        yield running


@pytest.fixture
def nuke(session: Session) -> Any:
    """Its module."""
    return session.nuke


def save(path: Path, pixels: np.ndarray, names: str = "RGB", at: tuple[int, int] = (0, 0), full: Any = None) -> Path:
    """An EXR of ``[h, w, c]`` float32, top row first, its data window at ``at``."""
    h, w = pixels.shape[:2]
    spec = oiio.ImageSpec(w, h, len(names), oiio.FLOAT)
    spec.channelnames = tuple(names)
    spec.x, spec.y = at
    spec.full_x, spec.full_y, spec.full_width, spec.full_height = (0, 0, *(full or (w, h)))
    spec.attribute("PixelAspectRatio", 2.0)
    out = oiio.ImageOutput.create("exr")
    assert out is not None
    assert out.open(str(path), spec)
    assert out.write_image(pixels.astype(np.float32))
    out.close()
    return path


def load(path: Path) -> tuple[Any, np.ndarray]:
    """Header and ``[h, w, c]`` pixels of an EXR."""
    buf = oiio.ImageBuf(str(path))
    assert not buf.has_error
    return buf.spec(), np.asarray(buf.get_pixels(oiio.FLOAT))


@pytest.fixture
def plate(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A plate of 8 by 6 with a different value everywhere, negative and bright ones too."""
    pixels = (np.arange(8 * 6 * 3, dtype=np.float32).reshape(6, 8, 3) - 20) * 1.7
    pixels[0, 0] = 1e5
    return save(tmp_path / "plate.exr", pixels), pixels


def test_a_read_is_y_up_and_keeps_the_pixel_aspect(nuke: Any, plate: Any) -> None:
    path, pixels = plate
    read = nuke.nodes.Read(file=str(path), raw=True)
    assert (read.width(), read.height(), read.pixelAspect()) == (8, 6, 2.0)
    assert read.sample("rgba.red", 0.5, 5.5) == pixels[0, 0, 0]
    assert read.sample("rgba.blue", 7.5, 0.5) == pixels[5, 7, 2]
    assert read.sample("rgba.red", 8.5, 0.5) == 0
    assert read.channels() == sorted(RGB)


def test_a_raw_float_write_gives_the_bits_back(nuke: Any, plate: Any, tmp_path: Path) -> None:
    path, pixels = plate
    read = nuke.nodes.Read(file=str(path), raw=True)
    write = nuke.nodes.Write(inputs=[read], file=str(tmp_path / "out.exr"), raw=True, datatype="32 bit float")
    nuke.execute(write, 1, 1)
    spec, back = load(tmp_path / "out.exr")
    assert np.array_equal(back, pixels)
    assert (spec.full_width, spec.full_height, spec.get_float_attribute("PixelAspectRatio")) == (8, 6, 2.0)
    assert spec.get_string_attribute("nuke/node_hash") == f"{read.opHashes()[0]:016x}"
    assert not list(tmp_path.glob("*.tmp"))


def test_half_is_the_default_and_overflows_to_infinity(nuke: Any, plate: Any, tmp_path: Path) -> None:
    read = nuke.nodes.Read(file=str(plate[0]), raw=True)
    nuke.execute(nuke.nodes.Write(inputs=[read], file=str(tmp_path / "out.exr"), raw=True), 1, 1)
    spec, back = load(tmp_path / "out.exr")
    assert spec.format == oiio.HALF
    assert np.isinf(back[0, 0]).all()
    assert np.isfinite(back[1:]).all()


@pytest.mark.parametrize("forgotten", ["Read", "Write"])
def test_forgetting_raw_on_one_side_changes_the_pixels(nuke: Any, plate: Any, tmp_path: Path, forgotten: str) -> None:
    read = nuke.nodes.Read(file=str(plate[0]), raw=forgotten != "Read")
    write = nuke.nodes.Write(inputs=[read], file=str(tmp_path / "out.exr"), datatype="32 bit float")
    write["raw"].setValue(forgotten != "Write")
    nuke.execute(write, 1, 1)
    assert not np.allclose(load(tmp_path / "out.exr")[1], plate[1], rtol=0.01)


def test_a_round_trip_without_raw_comes_back_rounded(nuke: Any, plate: Any, tmp_path: Path) -> None:
    read = nuke.nodes.Read(file=str(plate[0]))
    nuke.execute(nuke.nodes.Write(inputs=[read], file=str(tmp_path / "out.exr"), datatype="32 bit float"), 1, 1)
    assert np.allclose(load(tmp_path / "out.exr")[1], plate[1], rtol=1e-4)


def test_only_channels_that_are_there_and_asked_for_are_written(nuke: Any, tmp_path: Path) -> None:
    path = save(tmp_path / "in.exr", np.ones((6, 8, 5), np.float32), "RGBAZ")
    read = nuke.nodes.Read(file=str(path), raw=True)
    assert read.channels() == ["depth.Z", "rgba.alpha", *sorted(RGB)]
    write = nuke.nodes.Write(inputs=[read], file=str(tmp_path / "out.exr"), raw=True)
    for asked, there in {"rgb": "R G B", "rgba": "R G B A", "all": "R G B A depth.Z", "depth": "depth.Z"}.items():
        write["channels"].setValue(asked)
        nuke.execute(write, 1, 1)
        assert load(tmp_path / "out.exr")[0].channelnames == tuple(there.split())
    write["channels"].setValue("motion")
    with pytest.raises(RuntimeError, match="motion"):
        nuke.execute(write, 1, 1)


def test_overscan_is_padded_by_a_read_and_stripped_by_a_write(nuke: Any, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).random((10, 12, 3), dtype=np.float32)
    path = save(tmp_path / "in.exr", pixels, at=(-2, -1), full=(8, 6))
    read = nuke.nodes.Read(file=str(path), raw=True)
    box = read.bbox()
    assert (box.x(), box.y(), box.w(), box.h()) == (-3, -4, 14, 12)
    assert read.sample("rgba.red", -3, 0) == 0
    assert read.sample("rgba.red", -2, -3) == pixels[9, 0, 0]
    nuke.execute(
        nuke.nodes.Write(inputs=[read], file=str(tmp_path / "out.exr"), raw=True, datatype="32 bit float"), 1, 1
    )
    spec, back = load(tmp_path / "out.exr")
    assert (spec.x, spec.y, spec.width, spec.height) == (-2, -1, 12, 10)
    assert (spec.full_x, spec.full_y, spec.full_width, spec.full_height) == (0, 0, 8, 6)
    assert np.array_equal(back, pixels)


def test_a_data_window_like_the_display_is_not_padded(nuke: Any, plate: Any) -> None:
    box = nuke.nodes.Read(file=str(plate[0]), raw=True).bbox()
    assert (box.x(), box.y(), box.w(), box.h()) == (0, 0, 8, 6)


def test_a_read_shows_what_it_loaded_until_reload(nuke: Any, plate: Any) -> None:
    path, pixels = plate
    read = nuke.nodes.Read(file=str(path), raw=True)
    before = read.sample("rgba.green", 3, 3)
    hashed = read.opHashes()
    save(path, pixels + 1)
    assert read.sample("rgba.green", 3, 3) == before
    assert read.opHashes() == hashed
    read["reload"].execute()
    assert read.sample("rgba.green", 3, 3) == before + 1
    assert read.opHashes() != hashed


def test_a_missing_file_is_missed_until_reload_too(nuke: Any, tmp_path: Path) -> None:
    read = nuke.nodes.Read(file=str(tmp_path / "late.exr"), raw=True)
    assert read.hasError()
    save(tmp_path / "late.exr", np.ones((6, 8, 3), np.float32))
    assert read.hasError()
    read["reload"].execute()
    assert not read.hasError()


def test_missing_frames_go_by_on_error(nuke: Any, tmp_path: Path) -> None:
    save(tmp_path / "a.0003.exr", np.full((6, 8, 3), 3, np.float32))
    read = nuke.nodes.Read(file=str(tmp_path / "a.####.exr"), raw=True, first=1, last=3)
    nuke.frame(2)
    with pytest.raises(RuntimeError, match=r"Read1: .*a\.0002\.exr: No such file"):
        read.sample("rgba.red", 1, 1)
    for how, value in {"black": 0, "nearest frame": 3, "checkerboard": 0}.items():
        read["on_error"].setValue(how)
        assert read.sample("rgba.red", 1, 1) == value
    assert (read.width(), read.height()) == (8, 6)


def test_frames_outside_the_range_hold_loop_bounce_or_are_black(nuke: Any, tmp_path: Path) -> None:
    for f in (1, 2, 3):
        save(tmp_path / f"a.{f}.exr", np.full((6, 8, 3), f, np.float32))
    read = nuke.nodes.Read(file=str(tmp_path / "a.%d.exr"), raw=True, first=1, last=3)
    seen = {}
    for how in read["after"].values():
        read["after"].setValue(how)
        seen[how] = [read.sample("rgba.red", 1, 1, frame=f) for f in (3, 4, 5)]
    assert seen == {"hold": [3, 3, 3], "loop": [3, 1, 2], "bounce": [3, 2, 1], "black": [3, 0, 0]}
    assert nuke.nodes.Read(file=str(tmp_path / "a.%d.exr"), raw=True).sample("rgba.red", 1, 1, frame=3) == 1


def test_proxy_mode_scales_reads_and_renders(nuke: Any, session: Session, plate: Any, tmp_path: Path) -> None:
    read = nuke.nodes.Read(file=str(plate[0]), raw=True)
    write = nuke.nodes.Write(inputs=[read], file=str(tmp_path / "out.exr"), raw=True)
    session.root.setProxy(True)
    assert (read.width(), read.height()) == (4, 3)
    nuke.execute(write, 1, 1)
    assert load(tmp_path / "out.exr")[0].full_width == 4
    session.root.setProxy(False)
    nuke.execute(write, 1, 1)
    assert load(tmp_path / "out.exr")[0].full_width == 8


def test_grade_is_foundrys_formula_and_its_black_clamp_is_on_by_default(nuke: Any, plate: Any) -> None:
    path, pixels = plate
    read = nuke.nodes.Read(file=str(path), raw=True)
    grade = nuke.nodes.Grade(inputs=[read], multiply=2, add=[1, 2, 3, 0], black_clamp=False)
    assert grade.sample("rgba.blue", 2, 4) == pytest.approx(pixels[1, 2, 2] * 2 + 3)
    assert grade.sample("rgba.red", 1, 5) < 0
    grade["black_clamp"].setValue(True)
    assert grade.sample("rgba.red", 1, 5) == 0
    for knob, value in {"blackpoint": 0.5, "whitepoint": 2.5, "white": 3, "gamma": 2}.items():
        grade[knob].setValue(value)
    x = float(pixels[5, 7, 0])
    assert grade.sample("rgba.red", 7, 0) == pytest.approx(np.sqrt(3 * x - 1.5 + 1), rel=1e-5)


def constant(nuke: Any, *rgba: float) -> Any:
    return nuke.nodes.Constant(color=list(rgba), channels="rgba", format=nuke.Format(8, 6))


def values(node: Any, x: int = 1, y: int = 1) -> list[float]:
    return [round(node.sample(c, x, y), 5) for c in (*RGB, "rgba.alpha")]


@pytest.mark.parametrize(
    ("how", "red"),
    [("over", 0.5 + 4 * 0.75), ("under", 0.5 * 0.5 + 4), ("plus", 4.5), ("minus", -3.5), ("from", 3.5), ("copy", 0.5),
     ("multiply", 2), ("min", 0.5), ("max", 4), ("difference", 3.5), ("average", 2.25), ("in", 0.25), ("out", 0.25),
     ("mask", 1), ("stencil", 3), ("screen", 4)],
)  # fmt: skip
def test_merge_is_porter_and_duff_with_b_first(nuke: Any, how: str, red: float) -> None:
    merge = nuke.nodes.Merge2(inputs=[constant(nuke, 4, 0, 0, 0.5), constant(nuke, 0.5, 0, 0, 0.25)], operation=how)
    assert merge.sample("rgba.red", 1, 1) == red


@pytest.mark.parametrize("kind", ["Merge2", "Dissolve", "Keymix", "Grade"])
def test_masks_and_mix_let_through_what_they_say(nuke: Any, kind: str) -> None:
    below, above, mask = constant(nuke, 1, 1, 1, 1), constant(nuke, 3, 3, 3, 1), constant(nuke, 0, 0, 0, 0.25)
    inputs = [below, mask] if kind == "Grade" else [below, above, mask]
    settings = {"Merge2": {"operation": "copy"}, "Dissolve": {"which": 1}, "Keymix": {}, "Grade": {"multiply": 3}}
    node = nuke.nodes.__getattr__(kind)(inputs=inputs, **settings[kind])
    assert values(node)[0] == 1.5
    node["mix"].setValue(0.5)
    assert values(node)[0] == 1.25
    node["mix"].setValue(1)
    node["invertMask" if kind == "Keymix" else "invert_mask"].setValue(True)
    assert values(node)[0] == 2.5
    node.setInput(len(inputs) - 1, None)
    assert values(node)[0] == 3
    if kind != "Keymix":
        node["maskChannelInput"].setValue("rgba.alpha")
        assert values(node)[0] == 1  # the base's alpha is one everywhere, inverted


def test_copy_channel_merge_premult_and_unpremult(nuke: Any) -> None:
    b, a = constant(nuke, 2, 4, 6, 0.5), constant(nuke, 9, 8, 7, 0.25)
    assert values(nuke.nodes.Copy(inputs=[b, a])) == [2, 4, 6, 0.25]
    assert values(nuke.nodes.Copy(inputs=[b, a], from0="rgba.red", to0="rgba.alpha")) == [2, 4, 6, 9]
    assert values(nuke.nodes.Copy(inputs=[b, a], from0="none", channels="rgb")) == [9, 8, 7, 0.5]
    assert values(nuke.nodes.ChannelMerge(inputs=[b, a], operation="multiply")) == [2, 4, 6, 0.125]
    assert values(nuke.nodes.Premult(inputs=[b])) == [1, 2, 3, 0.5]
    assert values(nuke.nodes.Unpremult(inputs=[b])) == [4, 8, 12, 0.5]
    assert values(nuke.nodes.Unpremult(inputs=[constant(nuke, 2, 2, 2, 0)])) == [2, 2, 2, 0]


def test_dissolve_weighs_and_unites_boxes(nuke: Any) -> None:
    small = nuke.nodes.Crop(inputs=[constant(nuke, 1, 1, 1, 1)], box=[2, 2, 4, 4], crop=False)
    node = nuke.nodes.Dissolve(inputs=[small, constant(nuke, 3, 3, 3, 1)], which=0.25)
    assert values(node, 2, 2)[0] == 1.5
    assert values(node, 0, 0)[0] == 0.75
    assert (node.bbox().w(), node.bbox().h()) == (8, 6)


def test_crop_borders_reformats_and_is_written_without_its_border(nuke: Any, plate: Any, tmp_path: Path) -> None:
    read = nuke.nodes.Read(file=str(plate[0]), raw=True)
    crop = nuke.nodes.Crop(inputs=[read], box=[1, 2, 5, 4])
    assert (crop.bbox().x(), crop.bbox().y(), crop.bbox().w(), crop.bbox().h()) == (0, 1, 6, 4)
    assert crop.sample("rgba.red", 1, 2) == plate[1][3, 1, 0]
    assert crop.sample("rgba.red", 0, 2) == 0
    nuke.execute(nuke.nodes.Write(inputs=[crop], file=str(tmp_path / "out.exr"), raw=True), 1, 1)
    spec, _ = load(tmp_path / "out.exr")
    assert (spec.x, spec.y, spec.width, spec.height, spec.full_width) == (1, 2, 4, 2, 8)
    crop["reformat"].setValue(True)
    assert (crop.width(), crop.height(), crop.sample("rgba.red", 0, 0)) == (4, 2, plate[1][3, 1, 0])


def test_reformat_scales_box_and_format(nuke: Any, plate: Any) -> None:
    read = nuke.nodes.Read(file=str(plate[0]), raw=True)
    twice = nuke.nodes.Reformat(inputs=[read], type="scale", scale=2, filter="Impulse")
    assert (twice.width(), twice.height(), twice.pixelAspect(), twice.bbox().w()) == (16, 12, 2, 16)
    assert {twice.sample("rgba.green", x, y) for x in (6, 7) for y in (4, 5)} == {float(plate[1][3, 3, 1])}
    boxed = nuke.nodes.Reformat(inputs=[read], type="to box", box_width=10, box_height=8, box_fixed=True, resize="none")
    assert (boxed.width(), boxed.height(), boxed.bbox().x(), boxed.bbox().y()) == (10, 8, 1, 1)
    smooth = nuke.nodes.Reformat(inputs=[constant(nuke, 3, 3, 3, 1)], type="scale", scale=2)
    assert values(smooth, 8, 6)[0] == pytest.approx(3, abs=1e-4)


def test_switch_looks_only_at_what_it_lets_through_and_assert_tells_its_message(nuke: Any, tmp_path: Path) -> None:
    missing = nuke.nodes.Read(file=str(tmp_path / "none.exr"))
    switch = nuke.nodes.Switch(inputs=[missing, constant(nuke, 5, 0, 0, 1)], which=1)
    assert values(switch)[0] == 5
    switch["which"].setValue(0)
    assert switch.hasError()
    assert missing.treeHasError()
    check = nuke.nodes.Assert(inputs=[constant(nuke, 5, 0, 0, 1)], expression=1, message="stale")
    assert values(nuke.nodes.Dot(inputs=[nuke.nodes.NoOp(inputs=[check])]))[0] == 5
    check["expression"].setValue(0)
    with pytest.raises(RuntimeError, match="Assert1: stale"):
        values(check)


def test_a_disabled_node_passes_its_first_input(nuke: Any) -> None:
    grade = nuke.nodes.Grade(inputs=[constant(nuke, 1, 1, 1, 1)], multiply=3)
    grade["disable"].setValue(True)
    assert values(grade)[0] == 1


def test_what_is_not_connected_is_an_error(nuke: Any) -> None:
    with pytest.raises(RuntimeError, match="Grade1: input 0 is not connected"):
        nuke.nodes.Grade().sample("rgba.red", 0, 0)


def test_the_hash_follows_knobs_and_paths(nuke: Any, plate: Any) -> None:
    read = nuke.nodes.Read(file=str(plate[0]), raw=True)
    grade = nuke.nodes.Grade(inputs=[read])
    hashes = [grade.opHashes()[0]]
    for change in (
        lambda: grade["multiply"].setValue(2),
        lambda: read["raw"].setValue(False),
        lambda: read["file"].setValue(str(plate[0]) + "x"),
        lambda: grade["disable"].setValue(True),
        lambda: nuke.frame(7),
    ):
        change()
        hashes.append(grade.opHashes()[0])
    assert len(set(hashes)) == len(hashes)
    grade["label"].setValue("only a label")
    assert grade.opHashes()[0] == hashes[-1]


def test_metadata_comes_from_the_file_and_goes_where_the_write_says(nuke: Any, plate: Any, tmp_path: Path) -> None:
    read = nuke.nodes.Read(file=str(plate[0]), raw=True)
    write = nuke.nodes.Write(inputs=[read], file=str(tmp_path / "out.exr"), raw=True)
    nuke.execute(write, 1, 1)
    again = nuke.nodes.Read(file=str(tmp_path / "out.exr"), raw=True)
    assert again.metadata("input/filename") == (tmp_path / "out.exr").as_posix()
    assert again.metadata("exr/nuke/node_hash") == f"{read.opHashes()[0]:016x}"
    assert again.metadata("nothing") is None
    write["write_hash"].setValue(False)
    write["metadata"].setValue("no metadata")
    nuke.execute(write, 1, 1)
    again["reload"].execute()
    assert not [k for k in again.metadata() if "nuke" in k]


def test_unknown_things_raise(nuke: Any) -> None:
    read = nuke.nodes.Read()
    for wrong in (
        nuke.nodes.Blur,
        lambda: nuke.noSuchThing,
        lambda: read.noSuchThing,
        lambda: read["on_error"].setValue("ignore"),
        lambda: read["file"].setFlag(0x2),
        lambda: read["on_error"].setExpression("a + 1"),
        lambda: read["file"].setValue("[exec ls]") and read["file"].evaluate(),
        lambda: read.sample("rgba.red", 1, 1, 2, 2),
        lambda: nuke.execute(nuke.nodes.Write(inputs=[constant(nuke, 1, 1, 1, 1)], file="a.exr", autocrop=True), 1, 1),
    ):
        with pytest.raises(StandInError):
            wrong()
    with pytest.raises(NameError, match="nosuchknob"):
        read["nosuchknob"]
    assert read.knob("nosuchknob") is None
    assert nuke.toNode("Nothing") is None
