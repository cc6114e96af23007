"""TVIScale nodes of a script, replaced by DeepUpscale nodes: links and knobs carried over."""

from __future__ import annotations

import re
from typing import Any

import nuke

from deepupscale_nuke import host
from deepupscale_nuke.knobs import GROUP
from deepupscale_nuke.upstream import real

OLD = "TVIScale"
ALIKE = ("channels", "inject", "invert_mask", "mix")
SAME = ("label", "disable", "tile_color", "note_font_size", "hide_input", "postage_stamp", "bookmark")


def convert_all() -> int:
    """Every TVIScale of the script, those inside Groups too; returns how many there were."""
    found = nuke.allNodes(OLD, group=nuke.root(), recurseGroups=True)
    with nuke.Undo("Convert TVIScale"):
        for node in found:
            convert(node)
    return len(found)


def convert(old: Any) -> Any:
    """One of them. The new node takes its name, place, inputs, outputs and what the two have in common."""
    name, place = old.name(), (int(old.xpos()), int(old.ypos()))
    inputs = [old.input(i) for i in range(old.inputs())]
    below = [(n, i) for n in old.dependent(nuke.INPUTS | nuke.HIDDEN_INPUTS) for i in _taken(n, old)]
    with old.parent():
        new = getattr(nuke.nodes, GROUP)()
    for knob in (*ALIKE, *SAME):
        if old.knob(knob) is not None:
            real(new, knob).fromScript(_seen_from_inside(old[knob].toScript(), old))
    masked = len(inputs) > 1 and inputs[1] is not None
    mask = old.knob("maskChannelMask" if masked and old.knob("maskChannelMask") is not None else "maskChannelInput")
    if mask is not None:
        real(new, "maskChannelInput").setValue(mask.value())
    for i, above in enumerate(inputs):
        new.setInput(i, above)
    for node, i in below:
        node.setInput(i, new)
    nuke.delete(old)
    new.setName(name)
    new.setXYpos(*place)
    host.prepare(new)
    return new


def _seen_from_inside(text: str, old: Any) -> str:
    """An expression as a node inside the new one has to say it; a plain value stays as it is."""
    if not text.startswith("{"):
        return text

    def word(match: re.Match[str]) -> str:
        if match[0] == "parent":
            return "parent.parent"
        node = old.parent().node(match[0])
        return match[0] if node is None else f"root.{node.fullName()}"

    return re.sub(r"(?<![\w.])[A-Za-z_]\w*(?=\.[A-Za-z_])", word, text)


def _taken(node: Any, above: Any) -> list[int]:
    name = above.fullName()
    return [i for i in range(node.inputs()) if node.input(i) is not None and node.input(i).fullName() == name]


def from_menu() -> None:
    """The menu item."""
    found = convert_all()
    nuke.message(f"{found} TVIScale nodes are DeepUpscale now: press Upscale range on them" if found else
                 "The script has no TVIScale")  # fmt: skip
