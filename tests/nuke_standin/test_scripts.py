"""The stand-in's scripts: reading and writing ``.nk``, gizmos, user knobs, escapes, expressions, copies and undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")

import nuke_standin
from nuke_standin import Session, StandInError

GIZMO = r"""#! /usr/local/Nuke
version 15.1 v3
Gizmo {
 onCreate "nuke.said.append('gizmo ' + nuke.thisNode().name())"
 addUserKnob {20 Tool l "The tool"}
 addUserKnob {4 mode l Mode M {fast "very good"}}
 mode "very good"
 addUserKnob {6 on +STARTLINE}
 on true
 addUserKnob {7 strength R 0 2}
 strength 0.5
 addUserKnob {41 file l File T Read1.file}
 addUserKnob {1 uuid +INVISIBLE}
 addUserKnob {22 go l Go T "nuke.said.append(nuke.thisKnob().name())"}
}
 Input {
  inputs 0
  name Image
 }
 Read {
  inputs 0
  name Read1
  raw true
  onCreate "nuke.said.append('inner ' + nuke.thisNode().fullName())"
 }
 Input {
  inputs 0
  name Mask
  number 1
 }
 Switch {
  inputs 2
  which {{parent.on}}
  name Switch1
 }
 Output {
  name Output1
 }
end_group
"""


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A GUI session that knows one gizmo; ``nuke.said`` collects what callbacks say."""
    (tmp_path / "Tool.gizmo").write_text(GIZMO)
    with nuke_standin.gui([tmp_path]) as running:
        running.nuke.said = []  # type: ignore[attr-defined]
        running.root["format"].setValue(running.nuke.Format(4, 4))
        yield running


@pytest.fixture
def nuke(session: Session) -> Any:
    """Its module."""
    return session.nuke


def again(nuke: Any, folder: Path) -> str:
    """Save the script and open it again; returns its text."""
    path = folder / "saved.nk"
    nuke.scriptSave(str(path))
    nuke.scriptOpen(str(path))
    return path.read_text()


NASTY = ['say "hi"', "a\\b", "[exec ls]", "{open", "shut}", "$HOME", "two\nlines", "", "tab\there", "é ü", "a;b", "#no"]


@pytest.mark.parametrize("text", NASTY)
def test_text_survives_saving_and_opening(nuke: Any, tmp_path: Path, text: str) -> None:
    node = nuke.nodes.NoOp()
    node["label"].setValue(text)
    node.addKnob(nuke.String_Knob("note", text or "l", text))
    node.addKnob(nuke.PyScript_Knob("go", "Go", text))
    again(nuke, tmp_path)
    found = nuke.toNode("NoOp1")
    assert found is not node
    assert [found[k].value() for k in ("label", "note", "go")] == [text] * 3
    assert found["note"].label() == (text or "l")


def test_every_user_knob_survives_saving_and_opening(nuke: Any, tmp_path: Path) -> None:
    group = nuke.nodes.Group()
    with group:
        nuke.nodes.Read(file="/a.exr")
    made = [
        nuke.Tab_Knob("tab", "A tab"), nuke.Tab_Knob("fold", "Fold", 1), nuke.Tab_Knob("end", "", -1),
        nuke.String_Knob("text", "Text", "words"), nuke.File_Knob("path", "Path"), nuke.Int_Knob("count", "Count"),
        nuke.Double_Knob("mix", "Mix"), nuke.Boolean_Knob("on", "On", True), nuke.Text_Knob("words", "", "hello"),
        nuke.Enumeration_Knob("mode", "Mode", ["a", "b c"]), nuke.Pulldown_Knob("menu", "Menu", {"Go now": "go()"}),
        nuke.ChannelMask_Knob("channels", "Channels"), nuke.Channel_Knob("matte", "Matte"), nuke.PythonKnob("code"),
        nuke.Link_Knob("file", "File"), nuke.ColorChip_Knob("chip"), nuke.BBox_Knob("box"),
    ]  # fmt: skip
    for knob in made:
        group.addKnob(knob)
    group["path"].setValue("/b.%04d.exr")
    group["count"].setValue(3)
    group["mix"].setRange(0, 5)
    group["mix"].setValue(4.5)
    group["mode"].setValue("b c")
    group["channels"].setValue("rgb -rgba.red")
    group["matte"].setValue("rgba.alpha")
    group["box"].setValue([1, 2, 3, 4])
    group["chip"].setValue(0xFF0000FF)
    group["text"].setTooltip("Tip [of] it")
    group["text"].setFlag(nuke.INVISIBLE)
    group["file"].makeLink("Read1", "file")
    again(nuke, tmp_path)
    found = nuke.toNode("Group1")
    assert [(k.Class(), k.label()) for k in found.allKnobs() if k._user] == [(k.Class(), k.label()) for k in made]
    expected = {
        "text": "words", "path": "/b.%04d.exr", "count": 3, "mix": 4.5, "on": True, "mode": "b c", "file": "/a.exr",
        "channels": "rgb -rgba.red", "matte": "rgba.alpha", "box": [1, 2, 3, 4], "chip": 0xFF0000FF,
    }  # fmt: skip
    assert {k: found[k].value() for k in expected} == expected
    assert (found["mix"].max(), found["text"].tooltip(), found["text"].visible()) == (5, "Tip [of] it", False)
    assert (found["menu"].itemName(0), found["menu"].commands(0)) == ("Go now", "go()")
    found["file"].setValue("/c.exr")
    assert found.node("Read1")["file"].value() == "/c.exr"


def test_flags_decide_what_is_saved(nuke: Any, tmp_path: Path) -> None:
    node = nuke.nodes.NoOp()
    for name, flag in {"never": nuke.DO_NOT_WRITE, "always": nuke.ALWAYS_SAVE, "plain": 0}.items():
        node.addKnob(nuke.Int_Knob(name))
        node[name].setFlag(flag)
    node["never"].setValue(4)
    text = again(nuke, tmp_path)
    assert "never 4" not in text
    assert "\n always 0" in text
    assert "\n plain" not in text
    assert nuke.toNode("NoOp1")["never"].value() == 0


def test_connections_come_back_as_they_were(nuke: Any, tmp_path: Path) -> None:
    one, two, mask = (nuke.nodes.Constant(color=float(i)) for i in (1, 2, 3))
    merge = nuke.nodes.Merge2(inputs=[one, two, mask])
    nuke.nodes.Grade(inputs=[merge, mask])
    keymix = nuke.nodes.Keymix()
    keymix.setInput(1, merge)
    text = again(nuke, tmp_path)
    assert "inputs 2+1" in text
    names: dict[str, list[Any]] = {
        n.name(): [n.input(i).name() if n.input(i) else None for i in range(3)] for n in nuke.allNodes()
    }
    assert names["Merge21"] == ["Constant1", "Constant2", "Constant3"]
    assert names["Grade1"][1] == "Constant3"
    assert names["Keymix1"][0] is None
    assert names["Keymix1"][1] == "Merge21"


def test_on_create_is_told_inside_out_on_making_opening_pasting_and_undoing(nuke: Any, tmp_path: Path) -> None:
    node = nuke.createNode("Tool")
    told = ["inner Tool1.Read1", "gizmo Tool1"]
    assert nuke.said == told
    nuke.said.clear()
    again(nuke, tmp_path)
    assert nuke.said == told
    nuke.said.clear()
    nuke.toNode("Tool1").setSelected(True)
    nuke.nodeCopy("%clipboard%")
    pasted = nuke.nodePaste("%clipboard%")
    assert pasted.name() == "Tool2"
    assert nuke.said == ["inner Tool2.Read1", "gizmo Tool2"]
    nuke.said.clear()
    nuke.delete(pasted)
    assert nuke.toNode("Tool2") is None
    with pytest.raises(ValueError, match="not attached"):
        pasted.name()
    nuke.undo()
    assert nuke.toNode("Tool2") is pasted
    assert nuke.said == ["inner Tool2.Read1", "gizmo Tool2"]
    with pytest.raises(ValueError, match="not attached"):
        node["mode"].value()


def test_user_creation_and_class_come_before_any(nuke: Any) -> None:
    nuke.addOnUserCreate(lambda: nuke.said.append("user"))
    nuke.addOnCreate(lambda: nuke.said.append("any"))
    nuke.addOnCreate(lambda: nuke.said.append("class"), nodeClass="Dot")
    nuke.createNode("Dot")
    assert nuke.said == ["user", "class", "any"]
    nuke.said.clear()
    nuke.nodes.Dot()
    assert nuke.said == ["class", "any"]


def test_opening_tells_nodes_then_root_then_the_load(nuke: Any, tmp_path: Path) -> None:
    nuke.nodes.Dot()
    nuke.scriptSave(str(tmp_path / "a.nk"))
    nuke.addOnCreate(lambda: nuke.said.append(nuke.thisNode().name()))
    nuke.addOnScriptLoad(lambda: nuke.said.append("load " + nuke.root()["name"].value().rpartition("/")[2]))
    nuke.addOnScriptClose(lambda: nuke.said.append("close"))
    nuke.scriptClear()
    assert nuke.said == ["close"]
    nuke.scriptOpen(str(tmp_path / "a.nk"))
    assert nuke.said == ["close", "close", "Dot1", "root", "load a.nk"]
    assert nuke.scriptName() == str(tmp_path / "a.nk")
    assert not nuke.modified()


def test_a_gizmo_is_a_group_whose_values_alone_are_saved(nuke: Any, session: Session, tmp_path: Path) -> None:
    source = nuke.nodes.Constant()
    node = nuke.nodes.Tool(inputs=[source])
    assert (node.Class(), node.name(), node.maxInputs()) == ("Tool", "Tool1", 2)
    assert (node["mode"].value(), node["mode"].getValue(), node["on"].value()) == ("very good", 1, True)
    assert node.node("Switch1")["which"].value() == 1
    node["on"].setValue(False)
    assert node.node("Switch1")["which"].value() == 0
    node["file"].setValue("/x.exr")
    session.press(node["go"])
    assert nuke.said[-1] == "go"
    text = again(nuke, tmp_path)
    assert "Tool {\n inputs 1\n name Tool1\n on false\n file /x.exr\n}" in text
    assert "Switch" not in text
    found = nuke.toNode("Tool1")
    assert found.input(0).name() == "Constant1"
    assert found.node("Read1")["file"].value() == "/x.exr"
    assert isinstance(found, nuke.Gizmo)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  which {{parent.on}}", "  which {{parent.on+1}}", "parent.on"),
        ("  which {{parent.on}}", "  witch 1", "witch"),
        (" Switch {", " Swish {", "Swish"),
        ("{7 strength R 0 2}", "{7 strength R 0}", "strength"),
        ("T Read1.file", "", "without a target"),
        ("  number 1\n", "", "same number"),
        ("end_group\n", "", "end_group"),
        ("  raw true", "  raw maybe", "maybe"),
        (' mode "very good"', " mode best", "best"),
        ("#! /usr/local/Nuke\n", "exec ls\n", "exec"),
    ],
)
def test_a_broken_gizmo_is_refused(nuke: Any, tmp_path: Path, old: str, new: str, said: str) -> None:
    assert GIZMO.count(old) == 1
    (tmp_path / "Tool.gizmo").write_text(GIZMO.replace(old, new))
    with pytest.raises((StandInError, ValueError), match=said):
        nuke.createNode("Tool")


def test_expressions_follow_parents_nodes_and_numbers_and_refuse_more(nuke: Any, tmp_path: Path) -> None:
    dial = nuke.nodes.NoOp(name="Dial")
    dial.addKnob(nuke.Int_Knob("n"))
    dial["n"].setValue(1)
    switch = nuke.nodes.Switch(inputs=[nuke.nodes.Constant(color=c) for c in (5.0, 7.0)])
    switch["which"].setExpression("Dial.n")
    dot = nuke.nodes.Dot(inputs=[switch])
    dot["disable"].setExpression("!Dial.n")
    assert (switch.sample("rgba.red", 0, 0), dot["disable"].value()) == (7, False)
    assert switch.dependencies(nuke.EXPRESSIONS) == [dial]
    assert dot in switch.dependent(nuke.INPUTS)
    again(nuke, tmp_path)
    nuke.toNode("Dial")["n"].setValue(0)
    assert nuke.toNode("Switch1").sample("rgba.red", 0, 0) == 5
    assert nuke.toNode("Dot1")["disable"].value() is True
    for text in ("Dial.n + 1", "[value Dial.n]", "frame()", "Dial.n == 1"):
        with pytest.raises(StandInError, match="numbers and knobs only"):
            nuke.toNode("Switch1")["which"].setExpression(text)
    nuke.toNode("Switch1")["which"].setExpression("Nowhere.n")
    with pytest.raises(RuntimeError, match="Nowhere"):
        nuke.toNode("Switch1")["which"].value()


def test_file_knobs_evaluate_frames_views_and_a_little_tcl(nuke: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SHOT", "sh010")
    nuke.scriptSave(str(tmp_path / "comp.nk"))
    knob = nuke.nodes.Read()["file"]
    for text, wanted in {
        "a.%04d.exr": "a.0012.exr",
        "a.####.exr": "a.0012.exr",
        "a.%d.%V.exr": "a.12.main.exr",
        "[file dirname [value root.name]]/a": f"{tmp_path}/a",
        "[python {nuke.script_directory()}]/a": f"{tmp_path}/a",
        "[getenv SHOT]/\\[a\\]": "sh010/[a]",
        "[file rootname [file tail [value root.name]]]": "comp",
    }.items():
        knob.setValue(text)
        assert knob.value() == text
        assert knob.evaluate(frame=12) == wanted
    for text in ("[exec ls]", "[python {1+1}]", "a.%s.exr", "[value", "[file join a b]"):
        knob.setValue(text)
        with pytest.raises(StandInError):
            knob.evaluate()


def test_groups_nest_and_names_are_looked_up_in_them(nuke: Any, tmp_path: Path) -> None:
    outer = nuke.nodes.Group(name="Outer")
    with outer, nuke.nodes.Group(name="Inner") as inner:
        nuke.nodes.Input()
        second = nuke.nodes.Input()
        nuke.nodes.Output(inputs=[second])
        assert nuke.thisGroup() is inner
        assert second.name() == "Input2"
    assert nuke.thisGroup() is nuke.root()
    assert [n.name() for n in nuke.allNodes(recurseGroups=True)] == ["Outer", "Inner", "Input1", "Input2", "Output1"]
    assert nuke.exists("Outer.Inner.Input2")
    again(nuke, tmp_path)
    found = nuke.toNode("Outer.Inner")
    assert found.output().name() == "Input2"
    assert [n.name() for n in found._inlets()] == ["Input1", "Input2"]


def test_create_node_connects_to_the_selection_and_opens_its_panel(nuke: Any) -> None:
    first = nuke.createNode("Constant", "color {1 2 3 4}", inpanel=False)
    second = nuke.createNode("Grade", "multiply 2 name Mine")
    assert second.input(0) is first
    assert (second.name(), second.isSelected(), first.isSelected()) == ("Mine", True, False)
    assert (first.shown(), second.shown()) == (False, True)
    with pytest.raises(StandInError, match="cannot be input"):
        first.setInput(0, second)


PULLING = r"""Group {
 inputs 1
 name Up
 addUserKnob {22 go l Pull T "import nuke\ngroup = nuke.thisNode()\nwrite, read = group.node('Pull'), group.node('Back')\nwrite\['disable'].setValue(False)\ntry:\n    nuke.execute(write, nuke.frame(), nuke.frame())\nfinally:\n    write\['disable'].setValue(True)\nread\['file'].setValue(write\['file'].evaluate())\nread\['reload'].execute()\ngroup\['ready'].setValue(True)"}
 addUserKnob {6 ready}
}
 Input {
  inputs 0
  name Image
 }
set N1 [stack 0]
 Write {
  file FOLDER/pull.%04d.exr
  raw true
  channels all
  datatype "32 bit float"
  name Pull
  disable true
 }
 Read {
  inputs 0
  raw true
  on_error error
  name Back
 }
push $N1
 Switch {
  inputs 2
  which {{parent.ready}}
  name Switch1
 }
 Output {
  name Output1
 }
end_group
"""  # noqa: E501


def test_a_group_pulls_its_input_and_shows_what_it_read_back(nuke: Any, session: Session, tmp_path: Path) -> None:
    source = nuke.nodes.Grade(
        inputs=[nuke.nodes.Constant(color=70000.0, channels="rgba")], multiply=-1, black_clamp=False
    )
    source.setSelected(True)
    nuke.scriptReadText(PULLING.replace("FOLDER", tmp_path.as_posix()))
    group = nuke.toNode("Up")
    group.setInput(0, source)
    assert group.sample("rgba.red", 1, 1) == -70000
    assert not list(tmp_path.glob("pull.*"))
    nuke.frame(12)
    session.press(group["go"])
    assert (tmp_path / "pull.0012.exr").is_file()
    source["multiply"].setValue(5)
    assert group.sample("rgba.red", 1, 1) == -70000
    assert group.node("Back").metadata("exr/nuke/node_hash") != f"{source.opHashes()[0]:016x}"
    assert nuke.nodes.Dot(inputs=[group]).channels() == ["rgba.alpha", "rgba.blue", "rgba.green", "rgba.red"]
    with pytest.raises(RuntimeError, match="is disabled"):
        nuke.execute(group.node("Pull"), 1, 1)
