"""The check of ``.nk`` and ``.gizmo`` text by a real Tcl interpreter, and that planted faults do not pass it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")

from nuke_standin.syntax import check

TESTS = Path(__file__).resolve().parent
SHIPPED = [TESTS.parent / "gizmos", TESTS.parent / "nuke_plugin" / "ToolSets"]
FILES = sorted(p for folder in SHIPPED for kind in ("*.nk", "*.gizmo") for p in folder.rglob(kind))
GOOD = r"""#! /usr/local/Nuke15.1v3/Nuke15.1 -nx
version 15.1 v3
Gizmo {
 onCreate "import nuke\nif nuke.GUI:\n    print(\"\[made]\")"
 addUserKnob {20 User l "The \{first\} tab"}
 addUserKnob {4 mode l Mode t "Costs \$0" M {fast "very good"}}
 mode "very good"
 addUserKnob {35 menu l Menu M {Reset "nuke.thisNode()\['mode'].setValue(0)" Help "print(1)"}}
 addUserKnob {7 mix R 0 1}
 mix 0.5
 addUserKnob {41 file l File T Read1.file}
 addUserKnob {22 go l Go -STARTLINE T "for n in nuke.allNodes():\n    print(n)"}
 addUserKnob {26 "" l "" +INVISIBLE}
}
 Input {
  inputs 0
  name Input1
 }
set N1 [stack 0]
 Input {
  inputs 0
  name Inputmask
  number 1
 }
push $N1
 Read {
  inputs 0
  file "/tmp/\[value root.name]/a.%04d.exr"
  name Read1
 }
 Switch {
  inputs 2
  which {{parent.mode}}
  name Switch1
 }
 Output {
  name Output1
 }
end_group
"""
FAULTS = {  # what is replaced, by what, and what is said then
    "a brace that is not shut": ("T Read1.file}", "T Read1.file", "not Tcl"),
    "a quote that is not shut": ('l "The \\{first\\} tab"', 'l "The \\{first\\} tab', "not a Tcl list"),
    "a brace that is not escaped": ("The \\{first", "The {first", "Tcl"),
    "a bracket that is not escaped in a command": ("#! /usr", "puts [exec ls]\n#! /usr", "exec"),
    "a knob without a value": ("  number 1\n", "  number\n", "no list of knobs|no partner"),
    "an item that the choice does not have": (' mode "very good"', ' mode "very bad"', "mode offers"),
    "a menu with an odd entry": (' Help "print(1)"', " Help", "in pairs"),
    "a link to nowhere": ("T Read1.file", "T Read2.file", "which is not inside"),
    "Python that does not compile": ("():\\n    print(n)", "():\\nprint(n)", "is no Python"),
    "a callback that does not compile": ("if nuke.GUI:", "if nuke.GUI", "onCreate is no Python"),
    "a user knob of no type": ("addUserKnob {7 mix", "addUserKnob {mix", "a type and a name"),
    "a user knob of an unknown type": ("addUserKnob {7 mix", "addUserKnob {999 mix", "type 999"),
    "an unknown key of a user knob": ("mix R 0 1", "mix Q 0 1", "'Q' is not known"),
    "an unknown flag": ("-STARTLINE", "-STARTLNE", "STARTLNE"),
    "an incomplete range": ("R 0 1}", "R 0}", "'R' is not known or incomplete"),
    "a user knob that is there already": ("{7 mix R", "{7 mode R", "two user knobs"),
    "a Group that does not end": ("end_group\n", "", "end_group is missing"),
    "one end too many": ("end_group\n", "end_group\nend_group\n", "end_group without"),
    "two Inputs with one number": ("  number 1\n", "", "same number"),
    "two nodes with one name": ("name Inputmask", "name Input1", "same name"),
    "a push of nothing": ("push $N1", "push N1", "which no set made"),
    "no Output": (" Output {\n  name Output1\n }\n", "", "one Output"),
    "a value that is given twice": (" mix 0.5\n", " mix 0.5\n mix 0.6\n", "given twice"),
}


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name)
def test_what_we_ship_is_what_nuke_could_read(file: Path) -> None:
    assert check(file.read_text(encoding="utf-8"))


def test_there_is_something_to_check() -> None:
    names = {file.name for file in FILES}
    assert {"DeepUpscale.gizmo", "deepupscale_inference.nk", "Upscale_under_a_mask.nk"} <= names


def test_a_whole_gizmo_passes() -> None:
    (gizmo,) = check(GOOD)
    assert gizmo.knobs["onCreate"].splitlines()[2] == '    print("[made]")'
    assert [node.name for node in gizmo.inside] == ["Input1", "Inputmask", "Read1", "Switch1", "Output1"]
    assert gizmo.users["mode"].tooltip() == "Costs $0"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_does_not_pass(fault: str) -> None:
    old, new, said = FAULTS[fault]
    assert GOOD.count(old) == 1
    with pytest.raises(ValueError, match=said):
        check(GOOD.replace(old, new))


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name)
@pytest.mark.parametrize("fault", ["brace", "end", "quote"])
def test_a_fault_in_what_we_ship_does_not_pass(file: Path, fault: str) -> None:
    text = file.read_text(encoding="utf-8")
    broken = {"brace": text.replace("{\n", "{{\n", 1), "end": text.rstrip()[:-1], "quote": text.replace('"', "", 1)}[
        fault
    ]
    assert broken != text
    with pytest.raises(ValueError, match=r"."):
        check(broken)


def test_the_command_names_the_file_and_fails(tmp_path: Path) -> None:
    (tmp_path / "good.gizmo").write_text(GOOD)
    (tmp_path / "bad.gizmo").write_text(GOOD.replace("end_group\n", ""))
    command = [sys.executable, "-m", "nuke_standin.syntax"]
    good = subprocess.run([*command, tmp_path / "good.gizmo"], cwd=TESTS, capture_output=True, text=True, check=False)
    bad = subprocess.run([*command, tmp_path / "bad.gizmo"], cwd=TESTS, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    assert bad.returncode == 1
    assert "bad.gizmo: end_group is missing for Gizmo" in bad.stderr
