"""The small part of Nuke's expression language that the stand-in evaluates: numbers, knobs, one ``!`` before a knob.

A knob is ``knob``, ``parent.knob``, ``this.knob``, ``root.knob`` or ``Node.knob``, each deeper by more words. More than
that raises: an expression that only a real Nuke can check is one too many.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import StandInError

if TYPE_CHECKING:
    from .knob_base import Knob
    from .nodes import Node

PATH = re.compile(r"(!?)\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


def check(text: str) -> None:
    """Raise for what ``evaluate`` would not understand."""
    if not PATH.fullmatch(text.strip()) and _number(text) is None:
        raise StandInError(f"the stand-in evaluates numbers and knobs only, not the expression {text!r}")


def evaluate(text: str, node: Node) -> float:
    """The value of an expression on a knob of ``node``."""
    check(text)
    number = _number(text)
    if number is not None:
        return number
    found = PATH.fullmatch(text.strip())
    assert found
    value = float(find_knob(found[2], node).getValue())
    return float(not value) if found[1] else value


def find_knob(path: str, node: Node) -> Knob:
    """The knob that a dotted path means, seen from ``node``; its own knobs first, then nodes inside and beside it."""
    from .groups import Group

    *owners, name = path.split(".")
    here: Node = node
    for depth, word in enumerate(owners):
        if word == "this":
            continue
        if word == "parent":
            here = here.parent()
        elif word == "root":
            here = node.rootNode()
        elif word == "input":
            raise StandInError(f"the stand-in does not follow inputs in {path!r}")
        else:
            inside = here._child(word) if isinstance(here, Group) else None
            beside = here.parent()._child(word) if depth == 0 and here.parent() else None
            if not (inside or beside):
                raise RuntimeError(f"{node.fullName()}: nothing is named {word!r} in {path!r}")
            here = inside or beside  # type: ignore[assignment]
    found = here.knob(name)
    if found is None:
        raise RuntimeError(f"{node.fullName()}: {here.fullName()} has no knob {name!r}, wanted by {path!r}")
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
