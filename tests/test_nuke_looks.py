"""What the node shows: masks, mix, premultiplied edges, windows and formats, views, proxy mode, and odd paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")

import nuke_standin
import OpenImageIO as oiio
from nuke_standin.shots import PATIENCE, PLUGIN, Shot, finished, press
from plates import picture, window, write_plate

if TYPE_CHECKING:
    from nuke_standin import Session

pytest_plugins = ["nuke_standin.shots"]
PLACES = [(4.5, 7.5), (21.5, 20.5), (33.5, 11.5), (45.5, 30.5)]


def colours(node: Any, channel: str = "rgba.green", scale: float = 1.0) -> list[float]:
    """The node's picture at a few places."""
    return [node.sample(channel, x * scale, y * scale) for x, y in PLACES]


def opened(session: Session, nuke: Any, shot: Shot, frame: int = 1001) -> Any:
    """The shot's node at a frame."""
    nuke.scriptOpen(str(shot.script))
    session.root["frame"].setValue(frame)
    return nuke.toNode("DeepUpscale1")


def both(session: Session, node: Any, channel: str = "rgba.green") -> tuple[list[float], list[float]]:
    """What is cached, and what bypass shows."""
    cached = colours(node, channel)
    session.set(node["bypass"], True)
    plain = colours(node, channel)
    session.set(node["bypass"], False)
    assert cached != plain
    return cached, plain


def blend(cached: list[float], plain: list[float], by: list[float]) -> Any:
    return pytest.approx([p + (c - p) * b for c, p, b in zip(cached, plain, by)], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("scale", ["2x", "4x"])
def test_a_mask_input_limits_the_effect_and_is_injected(scale: str, session: Session, nuke: Any, shot: Shot) -> None:
    node = opened(session, nuke, shot)
    session.set(node["scale"], scale)
    assert finished(session, press(session, node, "upscale_frame")).error == ""
    cached, plain = both(session, node)
    mask = nuke.nodes.Read(file=str(shot.folder / "in.1001.exr"), first=1001, last=1001, raw=True)
    node.setInput(1, mask)
    session.set(node["maskChannelInput"], "rgba.alpha")
    sized = nuke.nodes.Reformat(inputs=[mask], type="scale", scale=int(scale[0]), filter="Cubic", pbb=True)
    matte = [min(max(a, 0.0), 1.0) for a in colours(sized, "rgba.alpha")]
    assert 0.01 < matte[0] < matte[1] < matte[-1]
    assert colours(node) == blend(cached, plain, matte)
    session.set(node["mix"], 0.5)
    assert colours(node) == blend(cached, plain, [m / 2 for m in matte])
    session.set(node["invert_mask"], True)
    assert colours(node) == blend(cached, plain, [(1 - m) / 2 for m in matte])
    session.set(node["inject"], True)
    assert "mask.a" in node.channels()
    assert colours(node, "mask.a") == pytest.approx(matte, rel=1e-4)
    session.set(node["inject"], False)
    assert "mask.a" not in node.channels()


def test_without_a_mask_input_the_mask_is_the_plates_own(session: Session, nuke: Any, shot: Shot) -> None:
    node = opened(session, nuke, shot)
    finished(session, press(session, node, "upscale_frame"))
    cached, plain = both(session, node)
    session.set(node["bypass"], True)
    matte = [min(max(a, 0.0), 1.0) for a in colours(node, "rgba.alpha")]
    session.set(node["bypass"], False)
    session.set(node["maskChannelInput"], "rgba.alpha")
    assert node["route"].value() == 1
    assert colours(node) == blend(cached, plain, matte)
    session.set(node["invert_mask"], True)
    assert colours(node) == blend(cached, plain, [1 - m for m in matte])
    session.set(node["invert_mask"], False)
    session.set(node["mix"], 0.25)
    assert colours(node) == blend(cached, plain, [m / 4 for m in matte])
    session.set(node["maskChannelInput"], "none")
    assert colours(node) == blend(cached, plain, [0.25] * 4)
    session.set(node["mix"], 1.0)
    assert node["route"].value() == 0
    nuke.nodes.Grade(name="Control", mix=1.0)
    node["mix"].getLinkedKnob().setExpression("Control.mix")
    session.set(node["inject"], True)
    assert node["route"].value() == 1, "what is 1 at this frame may be less at another"


def test_colour_is_divided_before_the_pull_and_multiplied_after(session: Session, nuke: Any, shot: Shot) -> None:
    node = opened(session, nuke, shot)
    session.set(node["unpremult"], "rgba.alpha")
    job = finished(session, press(session, node, "upscale_frame"))
    assert job.error == ""
    pulled = oiio.ImageBuf(str(job.where.folder / "pull.main.1001.exr"))
    above, at = nuke.toNode("Grade1"), (17.5, 9.5)
    plate, alpha = (above.sample(f"rgba.{c}", *at) for c in ("green", "alpha"))
    assert 0.1 < alpha < 0.9
    row = 15 - int(at[1])  # files run from the top
    assert pulled.getpixel(int(at[0]), row)[1] == pytest.approx(plate / alpha, rel=1e-5)
    back = node.node("Back")
    assert colours(node) == pytest.approx([c * a for c, a in zip(colours(back), colours(back, "rgba.alpha"))], rel=1e-5)
    assert colours(node, "rgba.alpha") == colours(back, "rgba.alpha")


@pytest.mark.parametrize(
    ("data", "wanted"),
    [((-2, -2, 28, 20), (-4, -4, 52, 36)), ((5, 3, 10, 8), (10, 10, 30, 26)), ((0, 0, 24, 16), (0, 0, 48, 32))],
    ids=["overscan", "cropped", "whole"],
)
def test_windows_and_pixel_aspect_are_doubled_alike_with_and_without_the_cache(
    data: tuple[int, int, int, int], wanted: tuple[int, int, int, int], session: Session, nuke: Any, shot: Shot
) -> None:
    """Node coordinates run from below: the display is 32 high, so a box of y 3 to 11 from the top is 5 to 13."""
    write_plate(
        shot.folder / "in.1001.exr", picture(data[2], data[3], "RGBA"), dataWindow=window(*data),
        displayWindow=window(0, 0, 24, 16), pixelAspectRatio=2.0,
    )  # fmt: skip
    node = opened(session, nuke, shot)
    job = finished(session, press(session, node, "upscale_frame"))
    assert job.error == ""
    x, y, right, top = wanted
    file = oiio.ImageBuf(str(job.where.folder / "up.main.1001.exr")).spec()
    assert (file.x, 32 - file.y - file.height, file.x + file.width, 32 - file.y) == wanted
    for bypass in (False, True):
        session.set(node["bypass"], bypass)
        found = node.bbox()
        low = (found.x(), found.y())
        high = (found.x() + found.w(), found.y() + found.h())
        edge = 0 if (data[2], data[3]) == (24, 16) else 2  # Nuke's border of black around a box, doubled by a Reformat
        assert all(0 <= a - b <= edge for a, b in zip((x, y), low)), (bypass, low)
        assert all(0 <= b - a <= edge for a, b in zip((right, top), high)), (bypass, high)
        assert (node.width(), node.height(), node.format().pixelAspect()) == (48, 32, 2.0)


def test_all_layers_are_pulled_unless_the_channels_knob_says_less(session: Session, nuke: Any, shot: Shot) -> None:
    planes = picture(24, 16, "RGBA") | {f"spec.{c}": plane for c, plane in picture(24, 16, "RGB", seed=3).items()}
    write_plate(shot.folder / "in.1001.exr", planes)
    node = opened(session, nuke, shot)

    def names(job: Any) -> set[str]:
        return set(oiio.ImageBuf(str(job.where.folder / "up.main.1001.exr")).spec().channelnames)

    first = finished(session, press(session, node, "upscale_frame"))
    assert names(first) == {*"RGBA", "spec.red", "spec.green", "spec.blue"}  # as Nuke names them
    assert colours(node, "spec.green") != colours(node)
    session.set(node["channels"], "rgb")
    second = finished(session, press(session, node, "upscale_frame"))
    assert names(second) == {*"RGB"}
    assert second.where.folder != first.where.folder


def test_a_row_of_the_plate_stays_where_it_is(session: Session, nuke: Any, shot: Shot) -> None:
    bright = picture(24, 16, "RGBA")
    for plane in bright.values():
        plane[:] = 0.1
        plane[:4, :8] = 0.9  # the upper left corner
    write_plate(shot.folder / "in.1001.exr", bright)
    node = opened(session, nuke, shot)
    finished(session, press(session, node, "upscale_frame"))
    for bypass in (False, True):
        session.set(node["bypass"], bypass)
        upper, lower, right = (node.sample("rgba.alpha", x, y) for x, y in ((6.5, 28.5), (6.5, 3.5), (40.5, 28.5)))
        assert upper > 0.6
        assert max(lower, right) < 0.4


def test_proxy_mode_is_off_for_the_pull_alone_and_nothing_is_left_changed(
    session: Session, nuke: Any, shot: Shot
) -> None:
    node = opened(session, nuke, shot)
    pull = node.node("Pull")
    session.root.setProxy(True)

    def left_alone() -> None:
        assert session.root.proxy() is True
        assert (pull["disable"].value(), pull["file"].value()) == (True, "")
        assert not nuke.Undo.disabled()

    job = finished(session, press(session, node, "upscale_frame"))
    assert job.error == ""
    spec = oiio.ImageBuf(str(job.where.folder / "pull.main.1001.exr")).spec()
    assert (spec.width, spec.height, str(spec.format)) == (24, 16, "float")
    left_alone()
    nuke.toNode("Read1")["file"].setValue("/no/such.%04d.exr")
    job = finished(session, press(session, node, "upscale_frame"))
    assert "/no/such.1001.exr" in session.messages[-1]
    assert "1 of 1 frames failed" in node["status"].value()
    left_alone()
    session.root.setProxy(False)
    assert session.root.proxy() is False
    finished(session, press(session, node, "upscale_frame"))
    assert session.root.proxy() is False


def test_all_views_of_a_frame_are_upscaled_from_their_own_plates(session: Session, nuke: Any, shot: Shot) -> None:
    for view, seed in (("left", 1), ("right", 2)):
        write_plate(shot.folder / f"{view}.1001.exr", picture(24, 16, "RGBA", seed=seed))
    text = shot.script.read_text().replace("in.%04d.exr", "%V.%04d.exr")
    shot.script.write_text(text.replace("Root {", 'Root {\n views "left #ff0000\\nright #00ff00"'))
    node = opened(session, nuke, shot)
    assert finished(session, press(session, node, "upscale_frame")).text == "2 upscaled, 0 unchanged"
    found = shot.results()
    assert set(found) == {"up.left.1001.exr", "up.right.1001.exr"}
    assert found == shot.by_run()
    assert found["up.left.1001.exr"] != found["up.right.1001.exr"]
    nuke.execute(nuke.toNode("Write1"), 1001, 1001)
    assert sorted(p.name for p in shot.out.iterdir()) == ["out.left.1001.exr", "out.right.1001.exr"]
    (shot.kept() / "up.right.1001.exr").unlink()
    with pytest.raises(RuntimeError, match=r"up\.right\.1001\.exr: is not there"):
        nuke.execute(nuke.toNode("Write1"), 1001, 1001)


def test_negative_frames_and_odd_paths_come_back_after_saving(
    session: Session, nuke: Any, tmp_path: Path, tiny_model: Path
) -> None:
    shot = Shot(tmp_path / "a [exec touch x] \"b\" 'c' $HOME {d} é", tiny_model, -2, -1)
    node = opened(session, nuke, shot, -2)
    node["cache"].setValue(str(shot.folder / "kept [here] $x"))
    job = finished(session, press(session, node, "upscale_range"))
    assert (job.error, job.where.frames()) == ("", [-2, -1])
    assert job.where.folder.parent.parent.name == "kept [here] $x"
    wanted = colours(node)
    saved = shot.folder / "saved.nk"
    nuke.scriptSave(str(saved))
    nuke.scriptClear()
    nuke.scriptOpen(str(saved))
    node = nuke.toNode("DeepUpscale1")
    assert node["status"].value() == "upscaled, frames -2--1"
    session.root["frame"].setValue(-2)
    assert colours(node) == wanted
    nuke.execute(nuke.toNode("Write1"), -2, -1)
    assert sorted(p.name for p in shot.out.iterdir()) == ["out.main.-001.exr", "out.main.-002.exr"]
    assert not Path("x").exists()


def test_a_copy_does_not_go_on_in_the_folder_that_the_first_one_keeps_to(
    session: Session, nuke: Any, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPUPSCALE_CACHE", str(shot.folder / "first"))
    node = opened(session, nuke, shot)
    node["cache"].setValue("")
    finished(session, press(session, node, "upscale_frame"))
    monkeypatch.setenv("DEEPUPSCALE_CACHE", str(shot.folder / "second"))
    assert node["cache_used"].value() == str(shot.folder / "first" / "shot0")
    nuke.execute(nuke.toNode("Write1"), 1001, 1001)
    node.selectOnly()
    nuke.nodeCopy("%clipboard%")
    copy = nuke.nodePaste("%clipboard%")
    assert (copy["cache_used"].value(), copy["ready"].value()) == ("", False)
    assert copy["read_file"].value().startswith(str(shot.folder / "second" / copy["uuid"].value()))


def test_a_node_that_is_deleted_meanwhile_ends_its_job_quietly(session: Session, nuke: Any, shot: Shot) -> None:
    node = opened(session, nuke, shot)
    job = press(session, node, "upscale_range")
    session.pump_until(lambda: bool(job.where.frames()), PATIENCE)
    nuke.delete(node)
    finished(session, job)
    from deepupscale_nuke import panel

    assert panel.running == {}


def test_a_new_node_may_use_the_gpu_and_asks_before_it_clears(session: Session, nuke: Any, shot: Shot) -> None:
    assert nuke.createNode("DeepUpscale")["useGPUIfAvailable"].value() is True
    node = opened(session, nuke, shot)
    finished(session, press(session, node, "upscale_frame"))
    session.answers += [False]
    session.press(node["clear_cache"])
    assert str(shot.kept().parent) in session.messages[-1]
    assert len(shot.results()) == 1


def test_a_terminal_that_presses_a_button_waits_and_gets_what_is_wrong_raised(shot: Shot, service: Any) -> None:
    with nuke_standin.terminal([PLUGIN]) as running:
        from deepupscale_nuke import host, panel

        host.worker_for = lambda node: service  # type: ignore[assignment]
        running.nuke.scriptOpen(str(shot.script))
        node = running.nuke.toNode("DeepUpscale1")
        node["frames"].setValue("1002")
        panel.press(node, "range")
        assert list(shot.results()) == ["up.main.1002.exr"]
        assert node["status"].value() == "1 upscaled, 0 unchanged"
        running.nuke.toNode("Read1")["file"].setValue("/no/such.%04d.exr")
        with pytest.raises(RuntimeError, match=r"1 of 1 frames failed.*such\.1002"):
            panel.press(node, "range")
        assert panel.running == {}
