"""Evaluating a graph: what each node asks of its inputs, hashes, and what a Read keeps in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import exr, state
from .errors import StandInError
from .format import Format
from .ops import OPS
from .picture import COLOURS, Picture, curve, decode, whole

if TYPE_CHECKING:
    from .groups import Group
    from .nodes import Node

SILENT = {"name", "xpos", "ypos", "selected", "label", "tile_color", "note_font", "note_font_size", "icon", "help"}
CODE = {"onCreate", "onDestroy", "knobChanged", "updateUI", "autolabel", "indicators", "bookmark", "note_font_color"}


def frame() -> int:
    """The frame that is evaluated."""
    session = state.current()
    return session.frame if session.frame is not None else session.root._frame()


def view() -> str:
    """The view that is evaluated."""
    session = state.current()
    return session.view or session.root._views()[0]


def evaluate(node: Node) -> Picture:
    """The picture of a node at the current frame and view.

    Raises:
        RuntimeError: ``node: what is wrong``, from wherever in the graph it goes wrong.
    """
    from .groups import Group

    name = node.Class()
    if name not in {"Read", "Input"} and node["disable"].value():
        name = "NoOp"
    elif isinstance(node, Group):
        name = "Group"
    if name in PASSING:
        return PASSING[name](node)
    if name not in OPS:
        raise StandInError(f"the stand-in has no picture for {name}")
    inputs = [evaluate(n) if n else None for n in (node.input(i) for i in range(node.maxInputs()))]
    for i, picture in enumerate(inputs):
        if picture is None and i not in node._kind.optional:
            needed(node, i)
    return OPS[name](node, inputs)


def inside(group: Group) -> Picture:
    """What a Group's Output gives."""
    out = next((n for n in group._nodes if n.Class() == "Output"), None)
    if out is None:
        raise RuntimeError(f"{group.fullName()}: has no Output")
    return evaluate(out)


def switch(node: Node) -> Picture:
    """The chosen input; the others are not even looked at."""
    return needed(node, chosen_input(node))


def chosen_input(node: Node) -> int:
    """The input that a Switch lets through."""
    return min(max(int(node["which"].value()), 0), max(node.inputs() - 1, 0))


def checked(node: Node) -> Picture:
    """What an Assert lets through: its input, or its message as the error."""
    if not node["expression"].value():
        raise RuntimeError(f"{node.fullName()}: {node['message'].value()}")
    return needed(node, 0)


def needed(node: Node, index: int) -> Picture:
    """The picture at an input that has to be connected."""
    above = node.input(index)
    if above is None:
        raise RuntimeError(f"{node.fullName()}: input {index} is not connected")
    return evaluate(above)


def outside(inlet: Node) -> Node:
    """What is connected to the Group's input that an Input node stands for."""
    group: Group = inlet.parent()
    above = group.input(group._inlets().index(inlet)) if group._parent else None
    if above is None:
        raise RuntimeError(f"{inlet.fullName()}: input of {group.fullName()} is not connected")
    return above


# ---------------------------------------------------------------------- Reads


def source_frame(node: Node, wanted: int) -> int | None:
    """The frame of the file for a frame of the script, or None for black."""
    if node["frame"].value() and node["frame_mode"].value() == "start at":
        wanted = wanted - int(node["frame"].value()) + node["first"].value()
    elif node["frame"].value() and node["frame_mode"].value() == "offset":
        wanted += int(node["frame"].value())
    elif node["frame"].value():
        raise StandInError("frame expressions of a Read")
    first, last = node["first"].value(), node["last"].value()
    if first <= wanted <= last:
        return wanted
    how = node["before" if wanted < first else "after"].value()
    if how == "hold":
        return first if wanted < first else last
    if how == "loop":
        return first + (wanted - first) % (last - first + 1)
    if how == "bounce":
        span = 2 * (last - first)
        at = (wanted - first) % span if span else 0
        return first + min(at, span - at)
    return None


def read(node: Node) -> Picture:
    """A Read's picture. What was loaded once stays, errors too, until a knob changes or ``reload`` is pressed.

    That is how Nuke's cache goes by hash, and the hash by path, never by the bytes of the file (Foundry, and
    Nukomfy's notes). Whether errors stay as well is inference.
    """
    session = state.current()
    at = source_frame(node, frame())
    if node["disable"].value() or at is None:
        return exr.black(session.root._format())
    path = node["file"].evaluate(frame=at, view=view())
    key = (hash_of(node), path, view())
    if key not in session.pixels:
        try:
            session.pixels[key] = _loaded(node, path, at)
        except RuntimeError as error:
            session.pixels[key] = RuntimeError(f"{node.fullName()}: {error}")
    found = session.pixels[key]
    if isinstance(found, RuntimeError):
        raise RuntimeError(str(found))
    return found


def _loaded(node: Node, path: str, at: int) -> Picture:
    how = node["on_error"].value()
    try:
        if not path:
            raise RuntimeError("no file name is given")
        if not path.endswith(".exr"):
            raise StandInError(f"the stand-in reads EXR only, not {path}")
        picture = exr.read(Path(path))
    except RuntimeError:
        form = state.current().root._format()
        if how == "error":
            raise
        if how == "black":
            return exr.black(form)
        if how == "nearest frame":
            return _nearest(node, at)
        rows, columns = np.indices((form.height(), form.width())) // 16
        checks = ((rows + columns) % 2).astype(np.float32)
        return Picture(form, whole(form), dict.fromkeys(COLOURS, checks))
    if not node["raw"].value() and curve(node["colorspace"].value()):
        for name in COLOURS:
            if name in picture.channels:
                picture.channels[name] = decode(picture.channels[name])
    root = state.current().root
    return scaled(picture, root["proxy_scale"].value()) if root.proxy() else picture


def _nearest(node: Node, at: int) -> Picture:
    first, last = node["first"].value(), node["last"].value()
    for other in sorted(range(first, last + 1), key=lambda f: abs(f - at)):
        path = Path(node["file"].evaluate(frame=other, view=view()))
        if path.is_file():
            return exr.read(path)
    raise RuntimeError(f"no frame of {node['file'].value()} is there")


def scaled(picture: Picture, by: float) -> Picture:
    """A picture at proxy size by the nearest pixel; only its size is to be trusted."""
    form: Format = picture.format._scaled(by)
    across, up = form.width() / picture.format.width(), form.height() / picture.format.height()
    x, y, r, t = picture.box
    box = (round(x * across), round(y * up), round(r * across), round(t * up))
    columns = [min(max(int((i + 0.5) / across) - x, 0), r - x - 1) for i in range(box[0], box[2])]
    rows = [min(max(int((j + 0.5) / up) - y, 0), t - y - 1) for j in range(box[1], box[3])]
    channels = {n: p[np.ix_(rows, columns)] for n, p in picture.channels.items()}
    return Picture(form, box, channels, picture.metadata, picture.edged)


# ---------------------------------------------------------------------- hashes


def hash_of(node: Node) -> str:
    """A hash of what a node shows: classes, knobs, connections, paths, frame and view; no bytes of files."""
    return hashlib.sha1(repr(_state(node)).encode(), usedforsecurity=False).hexdigest()[:16]


def _state(node: Node) -> Any:
    from .groups import Group

    if node.Class() == "Input" and node.parent()._parent:
        try:
            return _state(outside(node))
        except RuntimeError:
            return "unconnected"
    knobs = []
    for name, knob in node._knobs.items():
        counts = name == "disable" if isinstance(node, Group) else name not in SILENT | CODE and not knob._code
        if counts:
            text = knob._written()
            value = knob.getValue() if getattr(knob, "_expressions", None) else None
            if text is not None:
                knobs.append((name, text, value))
    own: list[Any] = [node.Class(), knobs, node._loads]
    if node.Class() == "Read":
        own += [frame(), view(), node.rootNode().proxy(), node["file"].evaluate(frame=frame(), view=view())]
    if node.Class() == "Switch":
        return [*own, _above(node, chosen_input(node))]
    if isinstance(node, Group) and node._parent:
        inner = next((n for n in node._nodes if n.Class() == "Output"), None)
        return [*own, _state(inner) if inner else None]
    return [*own, [_above(node, i) for i in range(len(node._inputs))]]


def _above(node: Node, index: int) -> Any:
    above = node.input(index)
    return _state(above) if above else None


PASSING: dict[str, Callable[[Any], Picture]] = {
    **dict.fromkeys(("Dot", "NoOp", "Output", "Write", "Viewer", "FrameRange"), lambda node: needed(node, 0)),
    "Group": inside,
    "Input": lambda node: evaluate(outside(node)),
    "Read": read,
    "Switch": switch,
    "Assert": checked,
}
