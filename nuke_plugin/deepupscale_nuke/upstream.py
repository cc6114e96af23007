"""What is upstream of a node: in which order, and a hash of it with the files that it reads.

The hash is our own, over classes, knob texts, connections and the files' size and time: it is the same in every session
and machine that opens the script, and it sees a file that was replaced, which Nuke's hash does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import nuke

from deepupscale_nuke.cache import State, Task, stamp
from deepupscale_nuke.knobs import LOOKS

IDLE_CLASSES = {"Dot", "NoOp", "Viewer", "StickyNote", "BackdropNode"}
IDLE_KNOBS = {
    "name", "xpos", "ypos", "selected", "label", "help", "icon", "tile_color", "gl_color", "note_font",
    "note_font_size", "note_font_color", "hide_input", "cached", "postage_stamp", "postage_stamp_frame", "dope_sheet",
    "bookmark", "indicators", "onCreate", "onDestroy", "knobChanged", "updateUI", "autolabel", "panel", "lifetimeStart",
    "lifetimeEnd", "version", "cacheLocalToggle", "localizationPolicy", "reload", "mapsize", "window", "panelDropped",
    "lock_connections", "process_mask",
}  # fmt: skip
IDLE_KINDS = {"PyScript_Knob", "Script_Knob", "Tab_Knob", "BeginTabGroup_Knob", "EndTabGroup_Knob", "Text_Knob",
              "PythonKnob", "Link_Knob", "PyCustom_Knob", "Help_Knob", "Obsolete_Knob"}  # fmt: skip
ROOT_KNOBS = ("format", "fps", "colorManagement", "OCIO_config", "workingSpaceLUT", "views")


def is_ours(node: Any) -> bool:
    """Whether a node is a DeepUpscale, gizmo or Group."""
    return node.knob("deepupscale_version") is not None and isinstance(node, nuke.Group)


def real(node: Any, name: str) -> Any:
    """A knob, or the inner one that it links to."""
    knob = node[name]
    return knob.getLinkedKnob() if isinstance(knob, nuke.Link_Knob) else knob


def our_nodes() -> list[Any]:
    """Every DeepUpscale of the script, those inside Groups too."""
    return [n for n in nuke.allNodes(group=nuke.root(), recurseGroups=True) if is_ours(n)]


def above(node: Any) -> list[Any]:
    """What a node takes its picture from: through the borders of Groups, both ways."""
    found = [n for n in (node.input(i) for i in range(node.inputs())) if n is not None]
    if node.Class() == "Input" and node.parent().Class() != "Root":
        group = node.parent()
        numbers = sorted(int(n["number"].value()) for n in nuke.allNodes("Input", group=group))
        outside = group.input(numbers.index(int(node["number"].value())))
        return [] if outside is None else [outside]
    if isinstance(node, nuke.Group) and not is_ours(node):
        return [*found, *nuke.allNodes("Output", group=node)]
    return found


def ours_above(nodes: list[Any]) -> list[Any]:
    """The DeepUpscale nodes that these take from, each after those that it takes from itself."""
    ordered: list[Any] = []
    seen: set[str] = set()
    stack = [(node, False) for node in reversed(nodes)]
    while stack:
        node, left = stack.pop()
        name = node.fullName()
        if left:
            if is_ours(node):
                ordered.append(node)
        elif name not in seen:
            seen.add(name)
            stack.append((node, True))
            stack += [(n, False) for n in reversed(above(node))]
    return ordered


def active(node: Any) -> bool:
    """Whether a DeepUpscale shows its cache at all."""
    return not node["disable"].value() and not node["bypass"].value()


def state_of(pull: Any, task: Task) -> State:
    """What a pull at one frame would depend on."""
    found: dict[str, Any] = {}
    sources: list[dict[str, Any]] = []
    names: dict[str, int] = {}
    todo = above(pull)
    found["in"] = [_number(names, n) for n in todo]
    seen: set[str] = set()
    while todo:
        node = todo.pop(0)
        name = node.fullName()
        if name in seen:
            continue
        seen.add(name)
        upper = above(node)
        if is_ours(node) and active(node):
            if not node["route"].value():
                upper = []
            sources.append(stamp(_evaluated(node.node("Back")["file"], task)))
            texts = [f"{k} {real(node, k).toScript()}" for k in LOOKS]
        else:
            texts = list(_texts(node)) if node.Class() not in IDLE_CLASSES or node["disable"].value() else []
            sources += [stamp(f) for f in _files(node, task)]
        found[str(_number(names, node))] = [node.Class(), texts, [_number(names, n) for n in upper]]
        todo += upper
    root = nuke.root()
    found["root"] = [f"{k} {root[k].toScript()}" for k in ROOT_KNOBS if root.knob(k) is not None]
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    return State(digest, sorted((s for s in sources if s["file"]), key=lambda s: str(s["file"])))


def _number(names: dict[str, int], node: Any) -> int:
    """A node's number in the order that it was met: names do not count."""
    return names.setdefault(node.fullName(), len(names))


def _texts(node: Any) -> Iterator[str]:
    for knob in node.allKnobs():
        if knob.name() not in IDLE_KNOBS and knob.Class() not in IDLE_KINDS:
            yield f"{knob.name()} {knob.toScript()}"


def _files(node: Any, task: Task) -> Iterator[str]:
    if node.Class() == "Write":
        return
    for knob in node.allKnobs():
        if knob.Class() == "File_Knob" and knob.name() != "proxy" and knob.value():
            yield _evaluated(knob, task)


def _evaluated(knob: Any, task: Task) -> str:
    return str(knob.evaluate(frame=task.frame, view=task.view) or "")
