"""The stand-in's sessions: callbacks, renders, threads, panels, menus, start-up files and the launchers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")

import nuke_standin
from nuke_standin import Session, StandInError

TESTS = Path(__file__).resolve().parents[1]
BUSY = "I'm already executing something else"


@pytest.fixture
def session() -> Iterator[Session]:
    """A GUI session."""
    with nuke_standin.gui() as running:
        running.root["format"].setValue(running.nuke.Format(4, 4))
        yield running


@pytest.fixture
def nuke(session: Session) -> Any:
    """Its module."""
    return session.nuke


def render_node(nuke: Any, folder: Path, name: str = "a.%04d.exr", **knobs: Any) -> Any:
    picture = nuke.nodes.Constant(color=1.0, channels="rgba")
    return nuke.nodes.Write(inputs=[picture], file=f"{folder}/{name}", raw=True, **knobs)


def test_a_render_tells_its_callbacks_in_order_knob_code_first(nuke: Any, session: Session, tmp_path: Path) -> None:
    said: list[str] = []
    nuke.told = said
    write = render_node(nuke, tmp_path)
    for event in ("beforeRender", "beforeFrameRender", "afterFrameRender", "afterRender"):
        write[event].setValue(f"nuke.told.append('{event} knob %d' % nuke.frame())")
        add = getattr(nuke, f"add{event[0].upper()}{event[1:]}")
        add(lambda e=event: said.append(f"{e} any"))
        add(lambda e=event: said.append(f"{e} {nuke.thisNode().name()}"), nodeClass="Write")
        add(lambda: said.append("never"), nodeClass="Read")
    nuke.execute(write, 5, 6)
    per = ["{} knob {}", "{} Write1", "{} any"]
    wanted = [text.format("beforeRender", 1) for text in per]
    for f in (5, 6):
        wanted += [text.format(e, f) for e in ("beforeFrameRender", "afterFrameRender") for text in per]
    assert said == wanted + [text.format("afterRender", 1) for text in per]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.0005.exr", "a.0006.exr"]
    assert not nuke.executing()


@pytest.mark.parametrize("event", ["beforeRender", "beforeFrameRender", "afterFrameRender", "afterRender"])
def test_what_a_render_callback_raises_aborts_the_render(nuke: Any, tmp_path: Path, event: str) -> None:
    write = render_node(nuke, tmp_path)
    write[event].setValue("raise RuntimeError('stale')")
    with pytest.raises(RuntimeError, match="stale"):
        nuke.execute(write, 1, 2)
    assert len(list(tmp_path.iterdir())) == {"beforeRender": 0, "beforeFrameRender": 0, "afterFrameRender": 1}.get(
        event, 2
    )
    assert not nuke.executing()


def test_a_failed_frame_has_no_after_frame_render_and_cont_goes_on(nuke: Any, tmp_path: Path) -> None:
    said: list[int] = []
    read = nuke.nodes.Read(file=f"{tmp_path}/in.%d.exr", raw=True, first=1, last=2)
    nuke.execute(render_node(nuke, tmp_path, "in.%d.exr"), 2, 2)
    write = nuke.nodes.Write(inputs=[read], file=f"{tmp_path}/out.%d.exr", raw=True)
    nuke.addAfterFrameRender(lambda: said.append(nuke.frame()))
    with pytest.raises(RuntimeError, match=r"Write2: Read1: .*in\.1\.exr"):
        nuke.execute(write, 1, 2)
    assert said == []
    nuke.execute(write, 1, 2, continueOnError=True)
    assert said == [2]
    assert not (tmp_path / "out.1.exr").exists()


def test_nothing_is_executed_made_or_asked_inside_a_render(nuke: Any, tmp_path: Path) -> None:
    other = render_node(nuke, tmp_path, "other.exr")
    read = nuke.nodes.Read()
    for wrong in (
        lambda: nuke.execute(other, 1, 1),
        lambda: nuke.createNode("Dot"),
        lambda: nuke.message("hello"),
        read["reload"].execute,
    ):
        seen: list[bool] = []

        def callback(wrong: Any = wrong, seen: list[bool] = seen) -> None:
            seen.append(nuke.executing())
            wrong()

        nuke.addBeforeRender(callback)
        with pytest.raises(RuntimeError, match=BUSY):
            nuke.execute(render_node(nuke, tmp_path), 1, 1)
        nuke.removeBeforeRender(callback)
        assert seen == [True]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StandInError, match="no BeforeRender callback"):
        nuke.removeBeforeRender(len)


def test_a_knob_changed_handler_can_neither_execute_nor_reload(nuke: Any, session: Session, tmp_path: Path) -> None:
    write = render_node(nuke, tmp_path)
    nuke.nodes.Read()
    write.showControlPanel()
    for code in ("nuke.execute(nuke.thisNode(), 1, 1)", "nuke.toNode('Read1')['reload'].execute()"):
        write["knobChanged"]._read(code)
        with pytest.raises(RuntimeError, match=BUSY):
            session.set(write["first"], 3)
    assert not nuke.executing()


def test_knob_changed_needs_an_open_panel_and_does_not_go_in_circles(nuke: Any, session: Session) -> None:
    said: list[str] = []
    node = nuke.nodes.Grade(inputs=[nuke.nodes.Constant()])

    def changed() -> None:
        said.append(nuke.thisKnob().name())
        node["gamma"].setValue(2)

    nuke.addKnobChanged(changed, node=node)
    nuke.addKnobChanged(lambda: said.append("other"), nodeClass="Read")
    node["multiply"].setValue(2)
    node.setInput(0, None)
    assert said == []
    node.showControlPanel()
    session.set(node["multiply"], 3)
    node.setInput(0, nuke.toNode("Constant1"))
    assert said == ["showPanel", "multiply", "inputChange"]
    node.hideControlPanel()
    node["multiply"].setValue(4)
    assert len(said) == 3


def test_a_disabled_write_and_a_node_that_renders_nothing_are_refused(nuke: Any, tmp_path: Path) -> None:
    write = render_node(nuke, tmp_path, disable=True)
    with pytest.raises(RuntimeError, match="is disabled"):
        nuke.execute(write, 1, 1)
    with pytest.raises(RuntimeError, match="cannot be executed"):
        nuke.execute("Constant1", 1, 1)


def test_execute_multiple_goes_by_frame_and_render_order(nuke: Any, tmp_path: Path) -> None:
    said: list[str] = []
    late, early = (render_node(nuke, tmp_path, f"{n}.%d.exr", render_order=n) for n in (2, 1))
    nuke.addBeforeFrameRender(lambda: said.append(f"{nuke.thisNode().name()} {nuke.frame()}"))
    nuke.executeMultiple((late, early), ([1, 3, 2],), ["main"])
    assert said == ["Write2 1", "Write1 1", "Write2 3", "Write1 3"]
    nuke.executeMultiple([early], nuke.FrameRanges("7"), ["main"])
    assert said[-1] == "Write2 7"


def test_views_are_rendered_each_to_its_file(nuke: Any, tmp_path: Path) -> None:
    nuke.addView("right")
    nuke.execute(render_node(nuke, tmp_path, "%V.%v.exr"), 1, 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["main.m.exr", "right.r.exr"]
    assert nuke.toNode("Write1")["file"].evaluate(view="right") == f"{tmp_path}/right.r.exr"
    with pytest.raises(StandInError, match="%V"):
        nuke.execute(render_node(nuke, tmp_path, "one.exr"), 1, 1)
    with pytest.raises(RuntimeError, match="no view 'left'"):
        nuke.execute("Write1", 1, 1, 1, ["left"])


def test_a_stopped_render_says_cancelled(nuke: Any, session: Session, tmp_path: Path) -> None:
    write = render_node(nuke, tmp_path)
    nuke.addAfterFrameRender(session.cancel)
    with pytest.raises(RuntimeError, match=r"^Cancelled"):
        nuke.execute(write, 1, 3)
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_are_made_only_when_asked(nuke: Any, tmp_path: Path) -> None:
    write = render_node(nuke, tmp_path / "deep")
    with pytest.raises(RuntimeError, match="folder is not there"):
        nuke.execute(write, 1, 1)
    write["create_directories"].setValue(True)
    nuke.execute(write, 1, 1)
    assert (tmp_path / "deep" / "a.0001.exr").is_file()


def test_other_threads_reach_nuke_only_through_the_queue(nuke: Any, session: Session) -> None:
    node = nuke.nodes.Constant()
    found: list[Any] = []

    def work() -> None:
        for wrong in (lambda: node["first"].setValue(3), lambda: nuke.toNode("Constant1"), nuke.nodes.Dot):
            try:
                wrong()
            except StandInError as error:
                found.append("main thread" in str(error))
        nuke.executeInMainThread(node["first"].setValue, args=(5,))
        found.append(nuke.executeInMainThreadWithResult(node["first"].value))
        try:
            nuke.executeInMainThreadWithResult(int, args=("x",))
        except ValueError:
            found.append("raised")

    thread = threading.Thread(target=work)
    thread.start()
    session.pump_until(lambda: not thread.is_alive())
    assert found == [True, True, True, 5, "raised"]
    for call in (nuke.executeInMainThread, nuke.executeInMainThreadWithResult):
        with pytest.raises(StandInError, match="hangs"):
            call(len, args=("",))


def test_tasks_messages_and_answers(nuke: Any, session: Session) -> None:
    task = nuke.ProgressTask("Upscaling")
    task.setProgress(50)
    assert not task.isCancelled()
    session.cancel()
    assert task.isCancelled()
    with pytest.raises(TypeError):
        task.setProgress(0.5)
    session.answers += [False]
    assert nuke.ask("Sure?") is False
    nuke.message("Done")
    assert session.messages == ["Sure?", "Done"]
    with pytest.raises(StandInError, match="nobody answers"):
        nuke.ask("Sure?")


def test_a_terminal_has_no_user() -> None:
    with nuke_standin.terminal() as session:
        nuke = session.nuke
        assert nuke.GUI is nuke.INTERACTIVE is nuke.env["gui"] is False
        for wrong in (
            lambda: nuke.message("x"),
            lambda: nuke.ask("x"),
            lambda: nuke.menu("Nodes"),
            lambda: nuke.executeInMainThread(len, ("",)),
            lambda: nuke.nodes.Dot().showControlPanel(),
            session.pump,
            session.idle,
        ):
            with pytest.raises(StandInError):
                wrong()
        threading.Thread(target=lambda: None).start()


def test_update_ui_and_autolabel_come_in_idle_moments(nuke: Any, session: Session) -> None:
    said: list[str] = []
    nuke.nodes.Dot()
    nuke.addAutolabel(lambda: said.append("autolabel"), nodeClass="Dot")
    nuke.addUpdateUI(lambda: said.append("updateUI"), nodeClass="Dot")
    assert said == []
    session.idle()
    assert said == ["updateUI", "autolabel"]


def test_a_button_runs_python_in_its_group_and_may_render(nuke: Any, session: Session, tmp_path: Path) -> None:
    group = nuke.nodes.Group()
    with group:
        render_node(nuke, tmp_path)
    group.addKnob(nuke.PyScript_Knob("go", "Go", "nuke.execute(nuke.toNode('Write1'), 1, 1)"))
    session.press(group["go"])
    assert (tmp_path / "a.0001.exr").is_file()
    assert nuke.toNode("Write1") is None
    assert nuke.toNode("Group1.Write1").fullName() == "Group1.Write1"


def plugin(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_init_runs_in_every_session_and_menu_in_the_gui_alone(tmp_path: Path) -> None:
    plugin(tmp_path / "inner", ourtool="import nuke\nversion = nuke.NUKE_VERSION_MAJOR\n")
    init = "import nuke\nnuke.pluginAddPath('../inner')\nimport ourtool\nnuke.knobDefault('Read.raw', 'true')\n"
    menu = "import nuke\nnuke.menu('Nodes').addCommand('Deep/Up', \"nuke.createNode('Dot')\", icon='up.png')\n"
    folder = plugin(tmp_path / "outer", init=init, menu=menu)
    with nuke_standin.gui([folder], version="14.0v2") as session:
        assert sys.modules["ourtool"].version == 14
        assert session.nuke.pluginPath() == [str(tmp_path / "inner"), str(folder)]
        session.menus["Nodes/Deep/Up"].invoke()
        assert [n.Class() for n in session.nuke.allNodes()] == ["Dot"]
        assert session.nuke.nodes.Read()["raw"].value() is True
    assert not {"nuke", "ourtool"} & set(sys.modules)
    with nuke_standin.terminal([folder]) as session:
        assert "ourtool" in sys.modules
        assert session.menus == {}


def launch(folder: Path, *args: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "NUKE_PATH": str(folder)}
    command = [sys.executable, "-m", "nuke_standin", *map(str, args)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_terminal_launcher_runs_python_and_renders_nothing(tmp_path: Path) -> None:
    folder = plugin(tmp_path / "plugin", init="import nuke\nprint('init', nuke.GUI)", menu="raise SystemError('menu')")
    script = tmp_path / "job.py"
    script.write_text("import nuke, sys\nprint(sys.argv[1:], nuke.rawArgs[1:])\nsys.exit(int(sys.argv[1]))\n")
    done = launch(folder, "-t", script, 3, "1,5")
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines() == ["init False", f"['3'] ['-t', '{script}', '3', '1,5']"]
    script.write_text("import nuke\nnuke.noSuchThing()\n")
    failed = launch(folder, "-t", script)
    assert failed.returncode == 1
    assert "ERROR: the stand-in has no nuke.noSuchThing" in failed.stderr


def test_the_render_launcher_renders_every_active_write(nuke: Any, session: Session, tmp_path: Path) -> None:
    render_node(nuke, tmp_path, "outer.%d.exr")
    render_node(nuke, tmp_path, "never.%d.exr", disable=True)
    with nuke.nodes.Group():
        render_node(nuke, tmp_path, "inner.%d.exr")
    nuke.scriptSave(str(tmp_path / "a.nk"))
    done = launch(tmp_path, "-x", "-F", "1-3x2", "-V", "2", tmp_path / "a.nk")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.glob("*.exr")) == [
        "inner.1.exr",
        "inner.3.exr",
        "outer.1.exr",
        "outer.3.exr",
    ]
    done = launch(tmp_path, "-x", "-X", "Write1", tmp_path / "a.nk", "7,8")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("outer.[78].exr"))) == 2
    assert len(list(tmp_path.glob("inner.*.exr"))) == 2
    assert launch(tmp_path, "-x", "-X", "Write9", tmp_path / "a.nk").returncode == 1
