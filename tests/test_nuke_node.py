"""The node in the GUI: buttons, cancel and resume, knobs, copies, masks, menus, and TVIScale's successor."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")

import nuke_standin
from nuke_standin import Session
from nuke_standin.shots import PATIENCE, PLUGIN, ROOT, Shot, finished, press

if TYPE_CHECKING:
    from deepupscale_nuke.worker import Worker

pytest_plugins = ["nuke_standin.shots"]


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
    session: Session, nuke: Any, shot: Shot, service: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is given the plate only after the main thread went on: a plugin that waits there never ends."""
    nuke.scriptOpen(str(shot.script))
    node = nuke.toNode("DeepUpscale1")
    asked, used, ask = threading.Event(), threading.Event(), service.ask

    def patient(method: str, *rest: Any) -> Any:
        if method == "upscale":
            asked.set()
            assert threading.get_ident() != session.main_thread
            assert used.wait(10), "the main thread waits for the worker"
        return ask(method, *rest)

    monkeypatch.setattr(service, "ask", patient)
    job = press(session, node, "upscale_frame")
    session.pump_until(asked.is_set, PATIENCE)
    for n in range(20):
        assert session.pump() == 0, "nothing is left on the main thread meanwhile"
        nuke.toNode("Read1").sample("rgba.red", 3, n % 16)  # Nuke can be used
    session.press(node["upscale_frame"])
    assert "is being upscaled" in session.messages[-1]
    used.set()
    finished(session, job)
    assert job.error == ""
    assert node["status"].value() == "1 upscaled, 0 unchanged"


def test_buttons_refuse_while_nuke_renders(session: Session, nuke: Any, shot: Shot) -> None:
    nuke.scriptOpen(str(shot.script))
    node, write = nuke.toNode("DeepUpscale1"), nuke.toNode("Write1")
    from deepupscale_nuke import host, panel
    from deepupscale_nuke.cache import Task

    where = host.cache_of(node, host.settings_of(node))
    refused: list[str] = []

    def within() -> None:
        for pressed in (lambda: panel.press(node, "frame"), lambda: host.pull(node, Task(1001, "main"), where)):
            with pytest.raises(RuntimeError, match="Nuke is rendering") as raised:
                pressed()
            refused.append(str(raised.value))

    nuke.addBeforeRender(within)
    session.set(node["bypass"], True)
    nuke.execute(write, 1001, 1001)
    assert len(refused) == 2
    assert panel.running == {}
    assert not where.folder.exists()
    assert session.messages == []


def test_a_render_that_begins_meanwhile_is_waited_for(
    session: Session, nuke: Any, shot: Shot, service: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    nuke.scriptOpen(str(shot.script))
    node = nuke.toNode("DeepUpscale1")
    session.root["frame"].setValue(1001)
    job = press(session, node, "upscale_frame")
    session.executing = True
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        session.pump()
    assert not job.where.folder.exists(), "nothing is pulled within a render"
    ask = service.ask

    def render_begins(method: str, *rest: Any) -> Any:
        answer = ask(method, *rest)
        session.executing = method == "upscale"
        return answer

    monkeypatch.setattr(service, "ask", render_begins)
    session.executing = False
    session.pump_until(lambda: job.where.frames() == [1001], PATIENCE)
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        session.pump()
    assert session.executing
    assert not job.over.is_set()
    assert node["ready"].value() is False, "the node is left alone within a render"
    session.executing = False
    assert finished(session, job).error == ""
    assert node["ready"].value() is True


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
        group["cache_used"].setValue("/frames/without/records")
        events.on_create(group)
        assert (group["deepupscale_version"].value(), group["cache_used"].value()) == (1, "")
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
    session.set(node["model"], "default")
    assert node["model_name"].value() == ""
    session.set(node["model"], "hero")
    nuke.scriptSave(str(tmp_path / "s.nk"))
    monkeypatch.setenv("DEEPUPSCALE_MODELS", "")
    nuke.scriptOpen(str(tmp_path / "s.nk"))
    assert nuke.toNode("DeepUpscale1")["model"].value() == "hero"
    session.menus["Nodes/Transform/DeepUpscale (as Group)"].invoke()
    assert nuke.toNode("DeepUpscale2").Class() == "Group"
    assert session.menus["Nodes/Transform/DeepUpscale"]._rest["icon"] == "DeepUpscale.png"


@pytest.mark.parametrize("tool_set", sorted((PLUGIN / "ToolSets").rglob("*.nk")), ids=lambda p: p.stem)
def test_a_tool_set_upscales_under_its_mask(session: Session, nuke: Any, shot: Shot, tool_set: Path) -> None:
    nuke.scriptOpen(str(shot.script))
    grade, old = nuke.toNode("Grade1"), nuke.toNode("DeepUpscale1")
    settings = {name: old[name].value() for name in ("model_name", "precision", "useGPUIfAvailable")}
    nuke.delete(old)
    node = nuke.nodePaste(str(tool_set))
    assert node.Class() == "DeepUpscale"
    plate, mask = node.input(0), node.input(1)
    assert [(each.Class(), each["label"].value()) for each in (plate, mask)] == [
        ("Dot", "the plate"),
        ("Dot", "the mask"),
    ]
    plate.setInput(0, grade)
    constant = nuke.nodes.Constant(color=0.0, channels="rgba")
    mask.setInput(0, constant)
    for name, value in settings.items():
        session.set(node[name], value)
    session.root["frame"].setValue(1001)
    assert finished(session, press(session, node, "upscale_frame")).error == ""

    def seen() -> list[float]:
        return [node.sample("rgba.green", x, 7) for x in range(6, 40)]

    masked = seen()
    session.set(constant["color"], 1.0)
    full = seen()
    session.set(node["bypass"], True)
    assert masked == seen()
    assert full != masked
