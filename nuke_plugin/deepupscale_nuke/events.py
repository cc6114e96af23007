"""What Nuke tells the plugin: a node was made, a knob was turned, a frame is about to be rendered."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import nuke

from deepupscale_nuke import __version__, host, upstream
from deepupscale_nuke.cache import Task
from deepupscale_nuke.errors import CacheError, PluginError
from deepupscale_nuke.knobs import DEFAULT_MODEL, KNOBS, NODE_VERSION

MODELS = "DEEPUPSCALE_MODELS"
SHIFTING = {"TimeOffset", "FrameHold", "Retime", "Kronos", "OFlow", "OFlow2", "TimeWarp", "TimeBlur", "TimeEcho",
            "FrameBlend", "TimeClip", "AppendClip", "TemporalMedian"}  # fmt: skip
TRANSIENT = ("model", "status", "about")
QUIET = {"status", "about", "model", "ready", "route", "cache_used", "uuid", "name", "selected", "xpos",
         "ypos", "tile_color", "range_first", "range_last", "read_file", "mask_channel", "premult"}  # fmt: skip
engine_models: list[str] = []  # what a worker said last


def on_create(node: Any) -> None:
    """A node was made, loaded, pasted or brought back."""
    migrate(node)
    for name in TRANSIENT:
        node[name].setFlag(nuke.DO_NOT_WRITE)
    host.fill_models(node, model_names())
    fresh = uuid.uuid4().hex if nuke.GUI else hashlib.sha256(node.fullName().encode()).hexdigest()
    others = {n["uuid"].value() for n in upstream.our_nodes() if n.fullName() != node.fullName()}
    if not node["uuid"].value() or node["uuid"].value() in others:
        node["uuid"].setValue(fresh[:12])
        node["cache_used"].setValue("")
    node["about"].setValue(f"DeepUpscale {__version__}")
    host.prepare(node)
    host.say(node, status(node))


def migrate(node: Any) -> None:
    """Bring a node that an older plugin saved up to date; one of a newer plugin is left as it is.

    Version 0 is what was saved before there were versions: its frames have no records, so they do not count.
    """
    found = int(node["deepupscale_version"].value())
    for knob in KNOBS:
        if knob.target and node.knob(knob.name) is None:
            raise PluginError(f"{node.fullName()}: has no knob {knob.name}: replace it by a new DeepUpscale")
    if found < 1:
        node["cache_used"].setValue("")
    if found < NODE_VERSION:
        node["deepupscale_version"].setValue(NODE_VERSION)


def knob_changed(node: Any, knob: Any) -> None:
    """A knob was turned in the panel, or the panel opened."""
    name = knob.name()
    if name == "showPanel":
        host.fill_models(node, model_names())
    if name == "model":
        chosen = node["model"].value()
        node["model_name"].setValue("" if chosen == DEFAULT_MODEL else chosen)
    if name in QUIET and name != "model":
        return
    host.prepare(node)
    host.say(node, status(node))


def status(node: Any) -> str:
    """One line on the cache."""
    if node["ready"].value():
        first, last = (int(upstream.real(node, n).value()) for n in ("range_first", "range_last"))
        return f"upscaled, frames {first}-{last}"
    return "not upscaled with these knobs"


def model_names() -> list[str]:
    """Models that can be named: files in the studio's folders, and what a worker told."""
    found = list(engine_models)
    for folder in os.environ.get(MODELS, "").split(os.pathsep):
        if os.path.isabs(folder) and os.path.isdir(folder):
            found += [p.stem for p in Path(folder).glob("*.onnx") if not p.name.startswith(".")]
    return sorted(set(found) - {DEFAULT_MODEL})


def before_frame(frame: int, view: str, write: Any) -> None:
    """Look at every DeepUpscale that a Write is about to read; it only looks, it never renders.

    Raises:
        CacheError: A frame is missing or stale, and the render must not go on.
    """
    for node in upstream.ours_above([write]):
        if not upstream.active(node) or _shifted(write, node):
            continue
        why = why_not(node, Task(frame, view))
        if why:
            raise CacheError(f"{node.fullName()}: {why}: press Upscale range, or run the prepass")


def why_not(node: Any, task: Task) -> str:
    """Why a frame that a node shows does not count; empty where it does."""
    settings = host.settings_of(node)
    where = host.cache_of(node, settings)
    if upstream.real(node, "read_file").value() != where.pattern("up"):
        return "the knobs changed after it was upscaled"
    return host.look(node, task, settings, where).why


def _shifted(write: Any, node: Any) -> bool:
    """Whether time is changed between a node and a Write, so that the frame that is read is not known here."""
    seen = {node.fullName()}
    todo = [write]
    while todo:
        at = todo.pop()
        if at.fullName() in seen:
            continue
        seen.add(at.fullName())
        if at.Class() in SHIFTING and node in upstream.ours_above([at]):
            return True
        todo += upstream.above(at)
    return False


def on_before_frame_render() -> None:
    """Registered by ``init.py`` for every Write."""
    node = nuke.thisNode()
    if node.knob("file") is not None:
        before_frame(int(nuke.frame()), str(nuke.thisView()), node)


def on_script_load() -> None:
    """The script has its name now, and with it the folder beside it."""
    for node in upstream.our_nodes():
        host.prepare(node)
        host.say(node, status(node))


def register() -> None:
    """Have the callbacks made."""
    nuke.addOnScriptLoad(on_script_load)
    nuke.addBeforeFrameRender(on_before_frame_render, nodeClass="Write")
