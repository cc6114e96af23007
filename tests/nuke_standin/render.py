# ruff: noqa: N802, N803, N806 (names are Nuke's)
"""Rendering: what ``nuke.execute`` and its kin do, and a node's own buttons.

From the guide: beforeRender once, then beforeFrameRender and afterFrameRender around each frame, afterRender last; an
exception in any aborts the render; afterFrameRender is left out when a frame fails. Inference: the order of frames
and views of several Writes (frame by frame, views inside, Writes by render_order), that a render without views is of
all views, that executing a disabled Write raises, and that a stopped one says "Cancelled".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import exr, graph, state
from .callbacks import fire
from .errors import StandInError, nested
from .format import FrameRange, FrameRanges
from .picture import COLOURS, Picture, chosen, curve, encode

if TYPE_CHECKING:
    from .nodes import Node


def press(node: Node, button: str) -> None:
    """A node's own button: ``reload`` of a Read or Write, ``Render`` of a Write."""
    state.not_busy()
    if button == "reload":
        node._loads += 1
        node["version"]._read(str(int(node["version"].value()) + 1))
    elif button == "Render":
        execute(node)
    else:
        raise StandInError(f"the stand-in does not press {button} of {node.Class()}")


def execute(
    nameOrNode: Any,
    *where: Any,
    start: int | None = None,
    end: int | None = None,
    incr: int | None = None,
    frameRangeSet: Any = None,
    views: list[str] | None = None,
    continueOnError: bool = False,
) -> None:
    """Render one Write: over the script's range, or ``start, end, incr, views``, or ``FrameRanges, views``."""
    node = state.current().root.node(nameOrNode) if isinstance(nameOrNode, str) else nameOrNode
    if node is None:
        raise ValueError(f"there is no node {nameOrNode!r}")
    given = list(where)
    if given and isinstance(given[0], (FrameRange, FrameRanges)):
        frameRangeSet = given.pop(0)
    else:
        start = int(given.pop(0)) if given else start
        end = int(given.pop(0)) if given else end
        incr = int(given.pop(0)) if given and not isinstance(given[0], (list, tuple)) else incr
    views = given.pop(0) if given else views
    continueOnError = given.pop(0) if given else continueOnError
    if given:
        raise TypeError(f"execute does not take {given}")
    if frameRangeSet is None:
        root = state.current().root
        first = root["first_frame"].value() if start is None else start
        last = (root["last_frame"].value() if start is None else first) if end is None else end
        frameRangeSet = FrameRange(int(first), int(last), int(incr or 1))
    ranges = frameRangeSet if isinstance(frameRangeSet, FrameRanges) else FrameRanges([frameRangeSet])
    render([node], ranges, views, continueOnError)


def executeMultiple(
    nodes: Any,
    ranges: Any = None,
    views: list[str] | None = None,
    continueOnError: bool = False,
) -> None:
    """Render several Writes; ``ranges`` is ``FrameRanges`` or a list of ``(first, last, increment)``."""
    if ranges is None:
        ranges = FrameRanges([state.current().root.frameRange()])
    if not isinstance(ranges, FrameRanges):
        ranges = FrameRanges([FrameRange(*r) if isinstance(r, (tuple, list)) else r for r in ranges])
    render(list(nodes), ranges, views, continueOnError)


def render(nodes: list[Node], ranges: FrameRanges, views: list[str] | None, go_on: bool) -> None:
    """Render Writes over frames and views.

    Raises:
        RuntimeError: Nuke is busy, a node cannot be rendered, a frame failed, a callback raised, the user stopped it.
    """
    session = state.current()
    state.on_main_thread("rendering")
    state.not_busy()
    for node in nodes:
        if not node._kind.executes:
            raise RuntimeError(f"{node.fullName()}: {node.Class()} cannot be executed")
        if node["disable"].value():
            raise RuntimeError(f"{node.fullName()}: is disabled, so there is nothing to render")
    wanted = list(session.root._views() if views is None else views)
    for view in wanted:
        if view not in session.root._views():
            raise RuntimeError(f"there is no view {view!r}")
    ordered = sorted(nodes, key=lambda n: n["render_order"].value())
    session.executing, session.cancelled = True, False
    try:
        _tell("BeforeRender", ordered)
        for frame in ranges.toFrameList():
            for node in ordered:
                _frame(node, frame, wanted, go_on)
        _tell("AfterRender", ordered)
    finally:
        session.executing = False


def _frame(node: Node, frame: int, views: list[str], go_on: bool) -> None:
    session = state.current()
    for view in views:
        if "%V" not in node["file"].value() and "%v" not in node["file"].value() and len(views) > 1:
            raise StandInError(f"{node.fullName()}: several views in one file; put %V into the name")
        with state.at(frame, view):
            _tell("BeforeFrameRender", [node])
            if session.cancelled:
                raise RuntimeError("Cancelled")
            try:
                write(node, frame, view)
            except RuntimeError as error:
                if not go_on:
                    raise RuntimeError(f"{node.fullName()}: {error}") from None
                session.messages.append(f"ERROR: {node.fullName()}: {error}")
                continue
            _tell("RenderProgress", [node])
            _tell("AfterFrameRender", [node])


def _tell(event: str, nodes: list[Node]) -> None:
    for node in nodes:
        fire(event, node)


def write(node: Node, frame: int, view: str) -> Path:
    """Write one frame of one view."""
    if node["reading"].value() or node["autocrop"].value() or node["noprefix"].value() or node["frame"].value():
        raise StandInError("reading, autocrop, noprefix and frame of a Write")
    if node["interleave"].getValue() or node["first_part"].value() or node["heroview"].value():
        raise StandInError("a Write of several parts")
    if node["use_limit"].value() and not node["first"].value() <= frame <= node["last"].value():
        raise RuntimeError(f"frame {frame} is outside the limits")
    knob = node["proxy" if node.rootNode().proxy() and node["proxy"].value() else "file"]
    name = filtered(node, knob.evaluate(frame=frame, view=view))
    kind = node["file_type"].value() or Path(name).suffix[1:]
    if not name or kind != "exr":
        raise RuntimeError(f"no file name or no EXR: {name!r}")
    path = Path(name)
    if node["create_directories"].value():
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.parent.is_dir():
        raise RuntimeError(f"{path}: the folder is not there")
    picture = graph.needed(node, 0)
    names = chosen(node["channels"].value(), list(picture.channels))
    if not names:
        raise RuntimeError(f"none of the channels {node['channels'].value()!r} is there to write")
    channels = {n: picture.channels[n] for n in names}
    if not node["raw"].value() and curve(node["colorspace"].value()):
        channels = {n: encode(p) if n in COLOURS else p for n, p in channels.items()}
    out = Picture(picture.format, picture.box, channels, picture.metadata, picture.edged)
    half = node["datatype"].value() == "16 bit half"
    exr.write(
        path, out, half, node["compression"].value(), node["dw_compression_level"].value(), _attributes(node, out)
    )
    return path


def filtered(node: Node, name: str) -> str:
    """The name after the filename filters, each of which may change it."""
    session = state.current()
    table = session.callbacks["FilenameFilter"]
    with state.this(node):
        for call, args, kwargs, _ in [*table[node.Class()], *table["*"]]:
            changed = call(name, *args, **kwargs)
            name = name if changed is None else changed
    return name


def _attributes(node: Node, picture: Picture) -> dict[str, Any]:
    how = node["metadata"].value()
    found: dict[str, Any] = {}
    if how == "all metadata":
        named = {k[4:]: v for k, v in picture.metadata.items() if k.startswith("exr/")}
        found.update({k: v for k, v in named.items() if isinstance(v, (str, int, float))})
    if how != "no metadata":
        found["nuke/version"] = state.current().nuke.NUKE_VERSION_STRING
    if node["write_hash"].value():
        above = node.input(0)
        assert above
        found["nuke/node_hash"] = graph.hash_of(above)
    return found


def writes() -> list[Node]:
    """Every active Write, those inside Groups too (that ``-x`` enters Groups is inference)."""

    def active(node: Node | None) -> bool:
        while node is not None and node.parent() is not None:
            if node["disable"].value():
                return False
            node = node.parent()
        return True

    return [n for n in state.current().root._all() if n._kind.executes and active(n)]


def forbid_in_render() -> None:
    """Making nodes or asking the user while rendering fails like a nested execute (one tool's report)."""
    if state.current().executing:
        raise nested()
