"""Scripts: reading ``.nk`` and ``.gizmo`` through Tcl into nodes, and writing nodes as Tcl."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import state, tcl
from .callbacks import created
from .classes import ALIASES, KINDS, kind
from .errors import StandInError
from .flags import FLAGS
from .groups import Gizmo, Group, Root
from .nodes import Node, Viewer
from .userknobs import describe, make_user_knob

if TYPE_CHECKING:
    from .knob_base import Knob


class Reader:
    """One script being read into a Group; ``made`` are the outermost nodes, in order."""

    def __init__(self, into: Group, gizmo: Gizmo | None = None) -> None:
        self.groups: list[Group] = [into]
        self.stacks: list[list[Node | None]] = [[]]
        self.tokens: dict[str, Node | None] = {"0": None}
        self.made: list[Node] = []
        self.gizmo = gizmo

    def read(self, text: str) -> list[Node]:
        """Read a script; ``ValueError`` for what is not Tcl, ``StandInError`` for what is not known."""
        with state.quietly():
            tcl.run(text, self.command)
        if len(self.groups) != 1:
            raise ValueError(f"end_group is missing for {self.groups[-1].name()}")
        return self.made

    def command(self, name: str, words: tuple[str, ...]) -> str:
        """One command of the script."""
        if name == "stack":
            stack = self.stacks[-1]
            at = int(words[0])
            node = stack[-1 - at] if at < len(stack) else None
            token = f"N{id(node):x}" if node else "0"
            self.tokens[token] = node
            return token
        if name == "push":
            if words[0] not in self.tokens:
                raise StandInError(f"push of {words[0]!r}, which no set made")
            self.stacks[-1].append(self.tokens[words[0]])
        elif name == "end_group":
            self._leave()
        elif name == "Root":
            apply(self.groups[-1], words[0])
        elif name not in {"version", "define_window_layout_xml", "add_layer"}:
            if len(words) != 1:
                raise ValueError(f"{name} is not followed by one list of knobs")
            self._node(name, words[0])
        return ""

    def _node(self, name: str, text: str) -> None:
        if name == "Gizmo":
            if self.gizmo is None or len(self.groups) != 1:
                raise StandInError("a Gizmo that is not the file's own")
            apply(self.gizmo, text)
            self._enter(self.gizmo)
            return
        parent = self.groups[-1]
        words = tcl.split(text)
        given = dict(zip(words[::2], words[1::2]))
        node = build(name, parent, given.get("name", ""))
        taken = _inputs(node, given)
        if name == "Input":
            node["number"]._read("0")  # what a script leaves out
        apply(node, text)
        stack = self.stacks[-1]
        above = [stack.pop() if stack else None for _ in range(taken)]
        node._inputs = above
        if not node.name():
            node.setName(name + "1")
        else:
            node.setName(node.name())
        stack.append(node)
        if len(self.groups) == 1:
            self.made.append(node)
        if isinstance(node, Group) and not isinstance(node, Gizmo):
            self._enter(node)
        else:
            created(node)

    def _enter(self, group: Group) -> None:
        self.groups.append(group)
        self.stacks.append([])

    def _leave(self) -> None:
        if len(self.groups) == 1:
            raise ValueError("end_group without a Group")
        group = self.groups.pop()
        self.stacks.pop()
        numbers = [n["number"].value() for n in group._inlets()]
        if len(set(numbers)) < len(numbers):
            raise StandInError(f"{group.name()} has Input nodes with the same number")
        if group is not self.gizmo:
            created(group)


def _inputs(node: Node, knobs: dict[str, str]) -> int:
    text = knobs.get("inputs", "0" if node.Class() in {"BackdropNode", "StickyNote"} else "1")
    numbers = [int(w) for w in text.split("+")]
    if len(numbers) == 2 and node._kind.mask is None:
        raise StandInError(f"{node.Class()} has no mask input for inputs {text}")
    if len(numbers) == 2 and numbers[0] != node._kind.mask:
        raise StandInError(f"inputs {text} of {node.Class()}")
    return sum(numbers)


def build(name: str, parent: Group, called: str = "") -> Node:
    """A new node of a class or gizmo, without telling anyone; gizmos have their name before their nodes are made."""
    name = ALIASES.get(name, name) if name != "Gizmo" else name
    if name in KINDS:
        if name == "Root":
            raise StandInError("there is one Root")
        maker = {"Group": Group, "Viewer": Viewer}.get(name, Node)
        node = maker(kind(name), parent)
        parent._nodes.append(node)
        if name == "Input":
            numbers = [n["number"].value() for n in parent._nodes if n.Class() == "Input" and n is not node]
            node["number"]._read(str(max(numbers, default=-1) + 1))
    else:
        file = find_gizmo(name)
        node = Gizmo(name, str(file), parent)
        parent._nodes.append(node)
        called = parent._free(called or name + "1", node)
        node["name"]._read(called)
        Reader(node, node).read(file.read_text(encoding="utf-8"))
        node["name"]._read(called)
        for key, knob in _values(node).items():
            if key != "name" and hasattr(knob, "_default"):
                knob._default = knob._text()  # scripts say what differs from the gizmo's file
    for key, value in state.current().knob_defaults.items():
        owner, _, knob = key.partition(".")
        if owner == name:
            node[knob]._read(value)
    return node


def find_gizmo(name: str) -> Path:
    """The file of a gizmo on the plugin path."""
    for folder in state.current().plugin_paths:
        if (folder / f"{name}.gizmo").is_file():
            return folder / f"{name}.gizmo"
    kind(name)
    raise AssertionError


def apply(node: Node, text: str) -> None:
    """Take knobs and user knobs from a node's list; a knob that is not known raises."""
    words = tcl.split(text)
    if len(words) % 2:
        raise ValueError(f"{node.Class()}: not a list of knobs and values")
    for name, value in zip(words[::2], words[1::2]):
        if name == "inputs":
            continue
        if name == "addUserKnob":
            knob = make_user_knob(value)
            if isinstance(node, Gizmo) and knob.name() in node._knobs:
                raise StandInError(f"{node.Class()} has a knob {knob.name()} already")
            node.addKnob(knob)
        elif name not in node._knobs:
            raise StandInError(f"{node.Class()} {node.name()} has no knob {name!r}")
        elif name == "name" and isinstance(node, Root):
            node["name"]._read(value)
        else:
            _late(node, node._knobs[name], value)


def _late(node: Node, knob: Knob, value: str) -> None:
    from .knobs import Link_Knob

    if isinstance(knob, Link_Knob) and not isinstance(node, Gizmo):
        raise StandInError(f"a value for the link {knob.name()} of {node.Class()}, whose nodes come later")
    knob._read(value)


# ---------------------------------------------------------------------- writing


def _values(node: Node) -> dict[str, Any]:
    from .knobs import Link_Knob

    linked = {k: v.getLinkedKnob() for k, v in node._knobs.items() if isinstance(v, Link_Knob)}
    return {**node._knobs, **(linked if isinstance(node, Gizmo) else {})}


def body(node: Node, user: bool = True) -> list[str]:
    """The lines of a node's list, without ``inputs``."""
    lines = []
    for name, knob in _values(node).items():
        own = node._knobs[name]
        if own._user and user and not isinstance(node, Gizmo):
            lines.append(describe(own))
        kept = own.getFlag(FLAGS["ALWAYS_SAVE"])
        text = knob._written()
        if text is None and kept:
            text = tcl.quote(knob._text())
        if text is None or own.getFlag(FLAGS["DO_NOT_WRITE"]):
            continue
        lines.append(f"{name} {text}")
    return lines


def write_nodes(nodes: list[Node], indent: str = "") -> list[str]:
    """Nodes of one Group as commands, each after those it takes from; connections to others are left out."""
    ordered: list[Node] = []

    def visit(node: Node) -> None:
        if node in ordered or node not in nodes:
            return
        for above in node._inputs:
            if above:
                visit(above)
        ordered.append(node)

    inlets = sorted((n for n in nodes if n.Class() == "Input"), key=lambda n: n["number"].value())
    for node in [*inlets, *nodes]:
        visit(node)
    names = {node: f"N{i}" for i, node in enumerate(ordered)}
    lines = []
    for node in ordered:
        count = node.inputs()
        for above in reversed(node._inputs[:count]):
            lines.append(f"{indent}push ${names[above]}" if above in names else f"{indent}push 0")
        mask = node._kind.mask
        masked = mask is not None and count == mask + 1
        lines += [f"{indent}{node.Class()} {{", f"{indent} inputs {f'{mask}+1' if masked else count}"]
        lines += [f"{indent} {line}" for line in body(node)]
        lines.append(f"{indent}}}")
        if isinstance(node, Group) and not isinstance(node, Gizmo):
            lines += [*write_nodes(node._nodes, indent + " "), f"{indent}end_group"]
        lines.append(f"{indent}set {names[node]} [stack 0]")
    return lines


def write_root(root: Root) -> str:
    """A whole script."""
    major, minor, release = state.current().version
    lines = [f"version {major}.{minor} v{release}", "Root {", *(f" {line}" for line in body(root)), "}"]
    return "\n".join([*lines, *write_nodes(root._nodes)]) + "\n"


def write_selection(nodes: list[Node]) -> str:
    """Nodes for the clipboard or a file of nodes."""
    major, minor, release = state.current().version
    head = ["set cut_paste_input [stack 0]", f"version {major}.{minor} v{release}"]
    return "\n".join([*head, *write_nodes(nodes)]) + "\n"
