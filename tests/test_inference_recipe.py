"""The recipe for Nuke's Inference node: Tcl that a real interpreter reads, with the knobs that are known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

tkinter = pytest.importorskip("tkinter", reason="this Python has no Tcl to read the recipe with")

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "gizmos" / "deepupscale_inference.nk"
TEXT = RECIPE.read_text(encoding="utf-8")
MAKER = {"torchScriptFile", "catFile", "channelsIn", "channelsOut", "modelId", "addUserKnob", "correction"}
KNOBS = {
    "StickyNote": {"inputs", "name", "label", "note_font_size", "xpos", "ypos"},
    "CatFileCreator": {"inputs", "name", "xpos", "ypos"} | MAKER,
    "Read": {"inputs", "file", "raw", "on_error", "name", "xpos", "ypos"},
    "Reformat": {"type", "scale", "filter", "name", "label", "xpos", "ypos"},
    "Inference": {"useGPUIfAvailable", "modelFile", "name", "xpos", "ypos"},
}
Node = tuple[str, dict[str, list[str]]]


def nodes_of(text: str) -> list[Node]:
    """The nodes of a script in order, each knob with its values.

    Raises:
        TclError: What Tcl cannot read.
        ValueError: A node that is not one list of knobs and values, or a knob that it is not known to have.
    """
    tcl = tkinter.Tcl()
    met: list[tuple[str, ...]] = []
    tcl.createcommand("met", lambda *words: met.append(words))
    tcl.eval("proc unknown args {met {*}$args}")
    tcl.eval(text)
    nodes: list[Node] = []
    for kind, *rest in met:
        if kind == "version":
            continue
        words = tcl.splitlist(rest[0]) if len(rest) == 1 else ("",)
        if len(words) % 2:
            raise ValueError(f"{kind} is no list of knobs and values")
        knobs: dict[str, list[str]] = {}
        for knob, value in zip(words[::2], words[1::2], strict=True):
            if knob not in KNOBS[kind]:
                raise ValueError(f"{kind} has no knob {knob}")
            knobs.setdefault(knob, []).append(value)
        nodes.append((kind, knobs))
    return nodes


def test_the_recipe_is_tcl_with_the_knobs_that_are_known() -> None:
    nodes = nodes_of(TEXT)
    assert [kind for kind, _ in nodes] == ["StickyNote", "CatFileCreator", "Read", "Reformat", "Inference"]
    made = dict(nodes)
    assert made.keys() == KNOBS.keys()
    assert made["CatFileCreator"].keys() >= MAKER
    assert made["CatFileCreator"]["channelsIn"] == made["CatFileCreator"]["channelsOut"]
    assert made["CatFileCreator"]["channelsIn"] == ["rgba.red,rgba.green,rgba.blue"]
    assert made["CatFileCreator"]["catFile"] == made["Inference"]["modelFile"]
    assert made["CatFileCreator"]["catFile"] == ["[python {nuke.script_directory()}]/deepupscale.cat"]
    assert made["Reformat"].items() >= {"type": ["scale"], "scale": ["2"], "filter": ["impulse"]}.items()
    for kind in ("Reformat", "Inference"):
        assert "inputs" not in made[kind], f"{kind} would not be connected to the node before it"


def test_the_recipes_user_knobs_are_float_attributes_of_the_module() -> None:
    pytest.importorskip("torch")
    from export.nuke_module import NukeModule
    from model.networks import ResidualGenerator

    made = dict(nodes_of(TEXT))["CatFileCreator"]
    defined = [tkinter.Tcl().splitlist(knob) for knob in made["addUserKnob"]]
    assert [knob[1] for knob in defined if knob[0] == "7"] == ["correction"]
    assert float(made["correction"][0]) == NukeModule(ResidualGenerator(width=4, blocks=1)).correction == 1.0


@pytest.mark.parametrize(
    ("old", "new"),
    [("scale 2\n", "scale\n"), ("Reformat {", "Reformat {{"), ("}\nRead", "\nRead"), (" filter ", " fliter ")],
)
def test_a_broken_recipe_does_not_pass(old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises((ValueError, tkinter.TclError)):
        nodes_of(TEXT.replace(old, new))


def test_the_document_tells_every_knob_and_leads_to_the_recipe() -> None:
    text = (ROOT / "docs" / "nuke-inference.md").read_text(encoding="utf-8")
    for knob in (MAKER - {"addUserKnob"}) | {"modelFile", "useGPUIfAvailable", "raw", "type", "scale", "filter"}:
        assert f"`{knob}`" in text, knob
    assert f"(../gizmos/{RECIPE.name})" in text
    readme = (ROOT / "gizmos" / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", readme)
    assert "../docs/nuke-inference.md" in links
    assert all((ROOT / "gizmos" / link).exists() for link in links)
