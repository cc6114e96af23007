# ruff: noqa: N802, N803 (names are Nuke's)
"""The functions of the module ``nuke`` that make, find, load and save nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import expressions, state
from .callbacks import created, fire
from .errors import StandInError
from .format import Format, read_format
from .groups import Group, Root
from .nodes import Node
from .render import forbid_in_render
from .script import Reader, apply, build, write_root, write_selection


def context() -> Group:
    """The Group that names are looked up in: entered by ``begin`` or ``with``, else the callback's, else the Root.

    For a Group's own code that Group is the context, as buttons of published Groups rely on.
    """
    session = state.current()
    if session.groups:
        return session.groups[-1]
    if session.this:
        node = session.this[-1][0]
        return node if isinstance(node, Group) else node.parent()
    return session.root


def root() -> Root:
    """The script's Root."""
    return state.current().root


def thisGroup() -> Group:
    """The context Group."""
    return context()


def thisNode() -> Node:
    """The node whose code or callback runs."""
    session = state.current()
    if not session.this:
        raise ValueError("no node is in context")
    return session.this[-1][0]


def thisKnob() -> Any:
    """The knob whose change or button is told."""
    session = state.current()
    if not session.this or session.this[-1][1] is None:
        raise ValueError("no knob is in context")
    return session.this[-1][1]


def thisParent() -> Group | None:
    """The Group around ``thisNode``."""
    return thisNode().parent()


def thisRoot() -> Root:
    """The Root."""
    return root()


def thisClass() -> str:
    """The class of ``thisNode``."""
    return thisNode().Class()


def thisView() -> str:
    """The view that is evaluated."""
    return state.current().view or root()._views()[0]


def toNode(s: str) -> Node | None:
    """A node by name: in the context Group, or from ``root.`` or ``this.`` on; None where there is none."""
    state.on_main_thread("looking for nodes")
    if s in {"root", "this"}:
        return root() if s == "root" else thisNode()
    first, _, rest = s.partition(".")
    if first == "root":
        return root().node(rest)
    if first == "this":
        owner = thisNode()
        return owner.node(rest) if isinstance(owner, Group) else None
    return context().node(s) or root().node(s)


def exists(s: str) -> bool:
    """Whether a node, or a knob of a node, has this name."""
    owner, _, knob = s.rpartition(".")
    above = toNode(owner) if owner else None
    return toNode(s) is not None or (above is not None and above.knob(knob) is not None)


def allNodes(
    filter: str = "",  # noqa: A002
    group: Group | None = None,
    recurseGroups: bool = False,
) -> list[Node]:
    """The nodes of the context Group or of another, of one class or all, those inside Groups too if told so."""
    where = group or context()
    found = list(where._all()) if recurseGroups else where.nodes()
    return [n for n in found if not filter or n.Class() == filter]


def selectedNodes(filter: str = "") -> list[Node]:  # noqa: A002
    """The selected nodes of the context Group."""
    return [n for n in allNodes(filter) if n.isSelected()]


def selectedNode() -> Node:
    """The selected node; ``ValueError`` where none is."""
    found = selectedNodes()
    if not found:
        raise ValueError("no node selected")
    return found[0]


def createNode(typ: str, knobs: str = "", inpanel: bool = True) -> Node:
    """Make a node below the selected one, with knobs as scripts write them; in the GUI its panel opens."""
    session = state.current()
    above = selectedNodes()
    node = _made(typ, lambda node: apply(node, knobs))
    if above and node.maxInputs():
        node.setInput(0, above[0])
    node.selectOnly()
    created(node, by_user=session.gui)
    if inpanel and session.gui:
        node.showControlPanel()
    return node


def _made(typ: str, fill: Any) -> Node:
    state.on_main_thread("making nodes")
    forbid_in_render()
    parent = context()
    with state.quietly():
        node = build(typ, parent)
        fill(node)
    node.setName(node.name() or typ + "1")
    state.current().undo.append(lambda: delete(node))
    return node


class NodeConstructor:
    """Makes nodes of one class: ``nuke.nodes.Read(file="a.exr", inputs=[above])``."""

    def __init__(self, name: str) -> None:
        self._class = name

    def __call__(self, inputs: Any = (), **knobs: Any) -> Any:
        def fill(node: Node) -> None:
            for name, value in knobs.items():
                node[name]._read(value) if isinstance(value, str) else node[name].setValue(value)

        node = _made(self._class, fill)
        for i, above in enumerate(inputs):
            node.setInput(i, above)
        created(node)
        return node


class Nodes:
    """``nuke.nodes``: a constructor for every class, known or on the plugin path."""

    def __getattr__(self, item: str) -> NodeConstructor:
        if item.startswith("_"):
            raise AttributeError(item)
        return NodeConstructor(item)


def delete(n: Node | None) -> None:
    """Delete a node: onDestroy first, then its connections go. ``undo`` brings it back and tells onCreate."""
    if n is None:
        return
    n._alive()
    fire("OnDestroy", n)
    parent = n.parent()
    below = [(m, i) for m in parent._nodes for i, above in enumerate(m._inputs) if above is n]
    at = parent._nodes.index(n)
    parent._nodes.remove(n)
    n._deleted = True
    for node, i in below:
        node._inputs[i] = None

    def back() -> None:
        n._deleted = False
        parent._nodes.insert(at, n)
        for node, i in below:
            node._inputs[i] = n
        for inner in list(n._all()) if isinstance(n, Group) else []:
            created(inner)
        created(n)

    if not state.current().undo_disabled:
        state.current().undo.append(back)


def undo() -> None:
    """Undo the last making or deleting of a node; other steps are not carried."""
    session = state.current()
    if not session.undo:
        raise StandInError("the stand-in undoes only the making and deleting of nodes, and there is none left")
    steps = session.undo
    session.undo = []
    steps.pop()()
    session.undo = steps


def nodeCopy(s: str) -> None:
    """Copy the selected nodes to a file, or to the clipboard for ``%clipboard%``."""
    chosen = [n for n in context()._nodes if n.isSelected()]
    if not chosen:
        raise RuntimeError("no node is selected")
    text = write_selection(chosen)
    if s == "%clipboard%":
        state.current().clipboard = text
    else:
        Path(s).write_text(text, encoding="utf-8")


def nodePaste(s: str) -> Node | None:
    """Paste nodes from a file or ``%clipboard%`` into the context Group; they are selected, the last is returned."""
    state.on_main_thread("pasting nodes")
    forbid_in_render()
    text = state.current().clipboard if s == "%clipboard%" else Path(s).read_text(encoding="utf-8")
    for node in context()._nodes:
        node["selected"]._read("false")
    made = Reader(context()).read(text)
    for node in made:
        node["selected"]._read("true")
    return made[-1] if made else None


def scriptReadFile(s: str) -> None:
    """Read a script into the context Group."""
    Reader(context()).read(Path(s).read_text(encoding="utf-8"))


def scriptReadText(s: str) -> None:
    """Read the text of a script into the context Group."""
    Reader(context()).read(s)


def scriptOpen(filename: str | None = None) -> None:
    """Open a script in place of the present one: nodes and their onCreate, then root's, then onScriptLoad."""
    if filename is None:
        raise StandInError("scriptOpen without a name asks the user")
    text = Path(filename).read_text(encoding="utf-8")
    scriptClear()
    session = state.current()
    Reader(session.root).read(text)
    session.root["name"]._read(Path(filename).as_posix())
    created(session.root)
    fire("OnScriptLoad", session.root)
    session.root._saved = write_root(session.root)


def scriptClear() -> None:
    """Close the script, telling onScriptClose and onDestroy, and start an empty one without onScriptLoad."""
    session = state.current()
    if session.executing:
        forbid_in_render()
    fire("OnScriptClose", session.root)
    for node in list(session.root._all()):
        fire("OnDestroy", node)
        node._deleted = True
    session.root = Root()
    session.groups, session.undo = [], []
    session.pixels.clear()


def scriptSave(filename: str | None = None) -> bool:
    """Save the script, under its own name or another."""
    session = state.current()
    name = filename or session.root["name"].value()
    if not name:
        raise RuntimeError("the script has no name")
    fire("OnScriptSave", session.root)
    if not session.root["name"].value():
        session.root["name"]._read(name)
    session.root._saved = write_root(session.root)
    Path(name).write_text(session.root._saved, encoding="utf-8")
    return True


def scriptSaveAs(filename: str | None = None, overwrite: int = -1) -> None:
    """Save under another name, which the script keeps; what is there is kept unless ``overwrite`` is 1."""
    if filename is None or (overwrite == -1 and Path(filename).exists()):
        raise StandInError("scriptSaveAs would ask the user")
    if overwrite == 0 and Path(filename).exists():
        raise RuntimeError(f"{filename} exists")
    root()["name"]._read(Path(filename).as_posix())
    scriptSave()


def scriptName() -> str:
    """The script's file; ``RuntimeError`` where it has none."""
    name = root()["name"].value()
    if not name:
        raise RuntimeError("no script is loaded")
    return name


def script_directory() -> str:
    """The folder of the script, or nothing."""
    return root()._directory()


def modified() -> bool:
    """Whether there is something to save."""
    return root().modified()


def frame(f: int | None = None) -> int:
    """The frame being rendered, or the script's; with a number the script goes there. Nuke prefers Root's knob."""
    session = state.current()
    if f is not None:
        session.root.setFrame(f)
        return f
    return session.frame if session.frame is not None else session.root._frame()


def views() -> list[str]:
    """The names of the script's views."""
    return root()._views()


def addView(s: str) -> None:
    """Add a view."""
    knob = root()["views"]
    if s in views():
        raise ValueError(f"there is a view {s!r}")
    knob.setValue(knob.value() + f"\n{s} #ffffff")


def deleteView(s: str) -> None:
    """Take a view away."""
    lines = root()["views"].value().splitlines()
    root()["views"].setValue("\n".join(line for line in lines if line.split()[0] != s))


def addFormat(s: str) -> Format:
    """Make a format known by name: ``width height [x y r t] aspect name``."""
    found = read_format(s)
    state.current().formats[found.name()] = found
    return found


def formats() -> list[Format]:
    """The formats known by name."""
    return list(state.current().formats.values())


def knobDefault(classknob: str, value: str | None = None) -> str | None:
    """The default of ``Class.knob`` for nodes made from now on, or a new one for it."""
    table = state.current().knob_defaults
    if value is None:
        return table.get(classknob)
    if classknob.count(".") != 1:
        raise StandInError(f"knobDefault wants Class.knob, not {classknob!r}")
    table[classknob] = str(value)
    return None


def filename(node: Node, i: int = 0) -> str | None:
    """The file of a node as it is typed; None where it has no file."""
    if i:
        raise StandInError("nuke.filename with a way of replacing")
    knob = node.knob("file")
    return knob.value() if knob else None


def channels(node: Node | None = None) -> list[str]:
    """The channels of a node."""
    if node is None:
        raise StandInError("nuke.channels without a node")
    return node.channels()


def layers(node: Node | None = None) -> list[str]:
    """The layers of a node."""
    return list(dict.fromkeys(c.split(".")[0] for c in channels(node)))


def value(knob: str, default: str | None = None) -> str:
    """The value of ``Node.knob`` as text."""
    try:
        return str(expressions.find_knob(knob, context()).value())
    except RuntimeError:
        if default is None:
            raise
        return default
