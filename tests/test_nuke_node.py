"""The node in the GUI: buttons, cancel and resume, knobs, copies, masks, menus, and TVIScale's successor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")

import nuke_standin
from nuke_standin import Session
from nuke_standin.shots import PLUGIN, ROOT, Shot

if TYPE_CHECKING:
    from deepupscale_nuke.worker import Worker

pytest_plugins = ["nuke_standin.shots"]
PATIENCE = 40


@pytest.fixture
def session(service: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A GUI session with the plugin and the shared worker."""
    with nuke_standin.gui([PLUGIN]) as running:
        from deepupscale_nuke import host

        monkeypatch.setattr(host, "worker_for", lambda node: service)
        running.root["format"].setValue(running.nuke.Format(24, 16))
        yield running


@pytest.fixture
def nuke(session: Session) -> Any:
    return session.nuke


def press(session: Session, node: Any, button: str) -> Any:
    """Press a button that begins a job; returns the job."""
    from deepupscale_nuke import panel

    session.press(node[button])
    return panel.running.get(node["uuid"].value())


def finished(session: Session, job: Any) -> Any:
    session.pump_until(job.over.is_set, PATIENCE)
    return job


def test_a_range_is_cancelled_half_way_and_goes_on_where_it_was(session: Session, nuke: Any, shot: Shot) -> None:
    shot = Shot(shot.folder / "ten", shot.model, 1001, 1010)
    nuke.scriptOpen(str(shot.script))
    node = nuke.toNode("DeepUpscale1")
    node["frames"].setValue("1001-1010")
    session.cancelled = False
    job = press(session, node, "upscale_range")
    session.pump_until(lambda: len(job.where.frames()) >= 4, PATIENCE)
    session.cancel()
    time.sleep(0.3)  # the job's thread looks at Cancel; nothing is pulled meanwhile, for nobody pumps
    finished(session, job)
    assert node["status"].value() == "stopped: press again to go on"
    first = job.where.frames()
    assert 4 <= len(first) < 10
    assert not [p for p in job.where.folder.iterdir() if p.name.startswith(".")]
    times = {n: t for n, t in shot.times().items() if int(n.split(".")[-2]) in first}
    session.cancelled = False
    job = finished(session, press(session, node, "upscale_range"))
    assert job.error == ""
    assert job.text == f"{10 - len(first)} upscaled, {len(first)} unchanged"
    assert shot.times().items() >= times.items()
    assert shot.results() == shot.by_run()
    assert len(shot.results()) == 10
    assert session.tasks[-1]._progress <= 100
    nuke.execute(nuke.toNode("Write1"), 1001, 1010)
    assert len(list(shot.out.iterdir())) == 10
    assert node.node("Pull")["disable"].value() is True


def test_the_main_thread_is_free_while_the_worker_works(
    session: Session, nuke: Any, shot: Shot, service: Worker
) -> None:
    nuke.scriptOpen(str(shot.script))
    node = nuke.toNode("DeepUpscale1")
    job = press(session, node, "upscale_frame")
    session.pump_until(lambda: bool(job.where.folder.is_dir() and list(job.where.folder.glob("pull.*"))), PATIENCE)
    nuke.toNode("Read1").sample("rgba.red", 3, 3)  # Nuke can be used
    session.press(node["upscale_frame"])
    assert "is being upscaled" in session.messages[-1]
    finished(session, job)
    assert job.error == ""
    assert node["status"].value() == "1 upscaled, 0 unchanged"


def test_buttons_refuse_while_nuke_renders(session: Session, nuke: Any, shot: Shot) -> None:
    nuke.scriptOpen(str(shot.script))
    node = nuke.toNode("DeepUpscale1")
    from deepupscale_nuke import panel

    session.executing = True
    try:
        with pytest.raises(RuntimeError):  # the dialogue itself cannot come up inside a render
            panel.press(node, "frame")
    finally:
        session.executing = False
    assert panel.running == {}


def test_what_is_wrong_is_told_in_a_dialogue(session: Session, nuke: Any, shot: Shot) -> None:
    nuke.scriptOpen(str(shot.script))
    node = nuke.toNode("DeepUpscale1")
    for knob, value, said in (
        ("layers", "spec=magic", "layer policy"), ("cache", "relative", "not absolute"),
        ("cache", "/shots/50%done", "frame number"), ("frames", "9-1", "backwards"),
    ):  # fmt: skip
        kept = node[knob].value()
        node[knob].setValue(value)
        session.press(node["upscale_range"])
        assert said in session.messages[-1]
        node[knob].setValue(kept)
    node["model_name"].setValue("/no/such.onnx")
    finished(session, press(session, node, "upscale_frame"))
    assert "/no/such.onnx" in session.messages[-1]


def test_knobs_make_the_node_stale_and_turning_them_back_mends_it(session: Session, nuke: Any, shot: Shot) -> None:
    nuke.scriptOpen(str(shot.script))
    node, write = nuke.toNode("DeepUpscale1"), nuke.toNode("Write1")
    session.root["frame"].setValue(1001)
    with pytest.raises(RuntimeError, match="never upscaled"):
        nuke.execute(write, 1001, 1001)
    with pytest.raises(RuntimeError, match="the cache is missing or stale"):
        node.bbox()
    finished(session, press(session, node, "upscale_frame"))
    assert (node.width(), node.height()) == (48, 32)
    session.set(node["scale"], "4x")
    with pytest.raises(RuntimeError, match="the cache is missing or stale"):
        node.bbox()
    session.set(node["bypass"], True)
    assert (node.width(), node.height()) == (96, 64)
    nuke.execute(write, 1001, 1001)
    session.set(node["bypass"], False)
    session.set(node["scale"], "2x")
    nuke.execute(write, 1001, 1001)
    with pytest.raises(RuntimeError, match="1002"):
        nuke.execute(write, 1002, 1002)


def test_mix_and_mask_weigh_the_cached_frame_against_the_resized_plate(session: Session, nuke: Any, shot: Shot) -> None:
    nuke.scriptOpen(str(shot.script))
    node = nuke.toNode("DeepUpscale1")
    session.root["frame"].setValue(1001)
    finished(session, press(session, node, "upscale_frame"))
    full = [node.sample("rgba.green", x, 7) for x in range(6, 40)]
    session.set(node["bypass"], True)
    plain = [node.sample("rgba.green", x, 7) for x in range(6, 40)]
    session.set(node["bypass"], False)
    assert full != plain
    session.set(node["mix"], 0.5)
    half = [node.sample("rgba.green", x, 7) for x in range(6, 40)]
    assert half == pytest.approx([(a + b) / 2 for a, b in zip(full, plain)], rel=1e-5)
    session.set(node["mix"], 1.0)
    white = nuke.nodes.Constant(color=1.0, channels="rgba")
    node.setInput(1, white)
    session.set(node["maskChannelInput"], "rgba.alpha")
    assert [node.sample("rgba.green", x, 7) for x in range(6, 40)] == full
    session.set(node["invert_mask"], True)
    assert [node.sample("rgba.green", x, 7) for x in range(6, 40)] == plain
    assert node["route"].value() == 2
    assert finished(session, press(session, node, "upscale_frame")).text == "0 upscaled, 1 unchanged"


def test_a_copy_has_a_cache_of_its_own_and_clearing_touches_only_ones_own(
    session: Session, nuke: Any, shot: Shot
) -> None:
    nuke.scriptOpen(str(shot.script))
    node = nuke.toNode("DeepUpscale1")
    session.root["frame"].setValue(1002)
    finished(session, press(session, node, "upscale_frame"))
    node.selectOnly()
    nuke.nodeCopy("%clipboard%")
    copy = nuke.nodePaste("%clipboard%")
    assert copy["uuid"].value() != node["uuid"].value()
    assert copy["read_file"].value() != node["read_file"].value()
    assert (copy["ready"].value(), node["ready"].value()) == (False, True)
    (shot.kept() / "notes.txt").write_text("mine")
    session.answers += [True]
    session.press(node["clear_cache"])
    assert [p.name for p in shot.kept().iterdir()] == ["notes.txt"]
    assert node["ready"].value() is False


def test_the_group_version_is_migrated_and_shows_its_cache_without_the_plugin(
    service: Worker, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = shot.folder / "saved.nk"
    with nuke_standin.gui([PLUGIN]) as running:
        from deepupscale_nuke import events, host

        monkeypatch.setattr(host, "worker_for", lambda node: service)
        nuke: Any = running.nuke
        nuke.scriptOpen(str(shot.script))
        group = nuke.nodePaste(str(ROOT / "gizmos" / "DeepUpscale_group.nk"))
        assert group.Class() == "Group"
        group.setInput(0, nuke.toNode("Grade1"))
        nuke.toNode("Write1").setInput(0, group)
        nuke.delete(nuke.toNode("DeepUpscale1"))
        group["cache"].setValue(str(shot.folder / "cache"))
        group["uuid"].setValue("shot0")
        group["model_name"].setValue(str(shot.model))
        group["precision"].setValue("f32")
        group["useGPUIfAvailable"].setValue(False)
        group["deepupscale_version"].setValue(0)
        events.on_create(group)
        assert group["deepupscale_version"].value() == 1
        running.root["frame"].setValue(1001)
        assert finished(running, press(running, group, "upscale_frame")).error == ""
        wanted = group.sample("rgba.red", 5, 5)
        nuke.scriptSave(str(saved))
    with nuke_standin.terminal() as bare:
        bare.nuke.scriptOpen(str(saved))
        bare.root["frame"].setValue(1001)
        write = bare.nuke.toNode("Write1")
        assert write.input(0).sample("rgba.red", 5, 5) == wanted
        bare.nuke.execute(write, 1001, 1001)
        with pytest.raises(RuntimeError, match="No such file"):
            bare.nuke.execute(write, 1002, 1002)


def test_tviscale_is_replaced_links_and_knobs_carried_over(session: Session, nuke: Any) -> None:
    plate = nuke.nodes.Constant(color=1.0, channels="rgba")
    mask = nuke.nodes.Constant(color=0.5, channels="rgba")
    old = nuke.nodes.TVIScale(inputs=[plate, mask], name="Up", channels="rgb", maskChannelMask="rgba.red", xpos=70)
    control = nuke.nodes.Grade(name="Control", mix=0.25)
    old["mix"].setExpression("Control.mix")
    old["label"].setValue("hero")
    below = nuke.nodes.Grade(inputs=[old])
    merge = nuke.nodes.Merge2(inputs=[plate, old])
    session.menus["Nuke/Edit/Node/Convert TVIScale"].invoke()
    new = nuke.toNode("Up")
    assert new.Class() == "DeepUpscale"
    assert (below.input(0), merge.input(1), merge.input(0)) == (new, new, plate)
    assert (new.input(0), new.input(1)) == (plate, mask)
    assert (new["channels"].value(), new["maskChannelInput"].value(), new["label"].value()) == (
        "rgb", "rgba.red", "hero",
    )  # fmt: skip
    assert new["mix"].value() == 0.25
    control["mix"].setValue(0.75)
    assert new["mix"].value() == 0.75
    assert nuke.allNodes("TVIScale") == []
    assert "1 TVIScale" in session.messages[-1]


def test_menus_models_and_start(session: Session, nuke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hero.onnx").write_bytes(b"")
    monkeypatch.setenv("DEEPUPSCALE_MODELS", str(tmp_path))
    session.menus["Nodes/Transform/DeepUpscale"].invoke()
    node = nuke.toNode("DeepUpscale1")
    assert node["model"].values() == ["default", "hero"]
    session.set(node["model"], "hero")
    assert node["model_name"].value() == "hero"
    nuke.scriptSave(str(tmp_path / "s.nk"))
    monkeypatch.setenv("DEEPUPSCALE_MODELS", "")
    nuke.scriptOpen(str(tmp_path / "s.nk"))
    assert nuke.toNode("DeepUpscale1")["model"].value() == "hero"
    session.menus["Nodes/Transform/DeepUpscale (as Group)"].invoke()
    assert nuke.toNode("DeepUpscale2").Class() == "Group"
    assert session.menus["Nodes/Transform/DeepUpscale"]._rest["icon"] == "DeepUpscale.png"
