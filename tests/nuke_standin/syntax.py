"""Is this text what Nuke could read? A real Tcl interpreter splits the script, each node and each user knob.

``python -m nuke_standin.syntax files...`` prints what is wrong and exits 1. Node classes and knobs need not be known
here; what is checked is what holds for any script: Tcl, pairs of knobs and values, whole user knobs whose values are
among their items, links to nodes that are there, Python that compiles, Groups that end, inputs told apart.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import tcl
from .errors import StandInError
from .knob_base import Knob
from .knob_choices import Enumeration_Knob, Pulldown_Knob
from .knobs import Link_Knob, PyScript_Knob
from .userknobs import make_user_knob

NAME = re.compile(r"[A-Za-z_]\w*")
CODE = re.compile(r"on[A-Z]\w*|knobChanged|updateUI|autolabel|(before|after)(Frame)?Render|renderProgress")
GROUPS = {"Group", "Gizmo"}


@dataclass
class Found:
    """One node of a script."""

    kind: str
    knobs: dict[str, str] = field(default_factory=dict)
    users: dict[str, Knob] = field(default_factory=dict)
    inside: list[Found] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name, or its class where it has none."""
        return self.knobs.get("name", self.kind)


def check(text: str) -> list[Found]:
    """The outermost nodes of a script; ``ValueError`` (one line) for the first thing that is wrong."""
    top: list[Found] = []
    open_: list[Found] = []
    known = {"0"}

    def command(name: str, words: tuple[str, ...]) -> str:
        if name == "stack":
            token = f"token{len(known)}"
            known.add(token)
            return token
        if name == "push":
            if len(words) != 1 or words[0] not in known:
                raise ValueError(f"push of {' '.join(words)!r}, which no set made")
        elif name == "end_group":
            if not open_:
                raise ValueError("end_group without a Group")
            _whole(open_.pop())
        elif name not in {"version", "define_window_layout_xml", "add_layer"}:
            if not re.fullmatch(NAME, name):
                raise ValueError(f"{name!r} is no node class")
            if len(words) != 1:
                raise ValueError(f"{name} is not followed by one list of knobs")
            node = _node(name, words[0])
            (open_[-1].inside if open_ else top).append(node)
            if name in GROUPS:
                open_.append(node)
        return ""

    tcl.run(text, command)
    if open_:
        raise ValueError(f"end_group is missing for {open_[-1].name}")
    return top


def _node(kind: str, text: str) -> Found:
    words = tcl.split(text)
    if len(words) % 2:
        raise ValueError(f"{kind} is no list of knobs and values: {words[-1]!r} has no partner")
    node = Found(kind)
    for knob, value in zip(words[::2], words[1::2]):
        if not NAME.fullmatch(knob):
            raise ValueError(f"{kind}: {knob!r} is no name of a knob")
        if knob == "addUserKnob":
            _user(node, value)
        elif knob in node.knobs:
            raise ValueError(f"{kind}: {knob} is given twice")
        else:
            node.knobs[knob] = value
            if CODE.fullmatch(knob):
                _python(f"{kind}.{knob}", value)
            if knob in node.users:
                _value(node, node.users[knob], value)
    return node


def _user(node: Found, text: str) -> None:
    try:
        knob = make_user_knob(text)
    except StandInError as error:
        raise ValueError(f"{node.name}: {error}") from None
    if knob.name() in node.users:
        raise ValueError(f"{node.name}: two user knobs are named {knob.name()}")
    node.users[knob.name()] = knob
    if isinstance(knob, PyScript_Knob):
        _python(f"{node.name}.{knob.name()}", knob._text())
    if isinstance(knob, Pulldown_Knob):
        for n, item in enumerate(knob.values()):
            _python(f"{node.name}.{knob.name()}.{item}", knob.commands(n))


def _value(node: Found, knob: Knob, value: str) -> None:
    if isinstance(knob, Enumeration_Knob) and not value.startswith("{") and value not in knob.values():
        raise ValueError(f"{node.name}: {knob.name()} offers {knob.values()}, not {value!r}")


def _python(where: str, code: str) -> None:
    try:
        compile(code, f"<{where}>", "exec")
    except SyntaxError as error:
        raise ValueError(f"{where} is no Python: {error.msg} in line {error.lineno}: {error.text!r}") from None


def _whole(group: Found) -> None:
    there = {node.name for node in group.inside}
    if len(there) < len(group.inside):
        raise ValueError(f"{group.name}: two nodes inside have the same name")
    for knob in group.users.values():
        if isinstance(knob, Link_Knob) and knob._target.split(".")[0] not in there | {"this", "parent", "root"}:
            raise ValueError(f"{group.name}: {knob.name()} links to {knob._target}, which is not inside")
    numbers = [node.knobs.get("number", "0") for node in group.inside if node.kind == "Input"]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{group.name}: two Input nodes have the same number")
    if group.kind == "Gizmo" and sum(node.kind == "Output" for node in group.inside) != 1:
        raise ValueError(f"{group.name}: a gizmo has one Output")


def main(files: Sequence[str]) -> int:
    """Check files; 1 when one is wrong."""
    wrong = 0
    for file in files:
        try:
            check(Path(file).read_text(encoding="utf-8"))
        except ValueError as error:
            print(f"{file}: {error}", file=sys.stderr)
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
