"""User knobs: the list after ``addUserKnob``, both ways.

``{type name [l label] [t tooltip] [T text] [M {items}] [R low high] [n group] [+FLAG|-FLAG ...]}``
"""

from __future__ import annotations

from typing import Any

from . import tcl
from .errors import StandInError
from .flags import FLAGS, WORDS
from .knob_arrays import Array_Knob
from .knob_base import Knob
from .knob_choices import Enumeration_Knob, Pulldown_Knob
from .knobs import Link_Knob, String_Knob, Tab_Knob, kind_of


def make_user_knob(text: str) -> Knob:
    """The knob that an ``addUserKnob`` list describes; ``ValueError`` or ``StandInError`` for a broken one."""
    words = list(tcl.split(text))
    if len(words) < 2 or not words[0].isdigit():
        raise ValueError(f"addUserKnob wants a type and a name: {text!r}")
    knob: Any = kind_of(int(words[0]))(words[1])
    rest = words[2:]
    while rest:
        word = rest.pop(0)
        if word[:1] in "+-" and word[1:] in WORDS:
            (knob.setFlag if word[0] == "+" else knob.clearFlag)(WORDS[word[1:]])
        elif word in {"l", "t", "T", "M", "n"} and rest:
            _set(knob, word, rest.pop(0))
        elif word == "R" and len(rest) >= 2 and isinstance(knob, Array_Knob):
            knob.setRange(float(rest.pop(0)), float(rest.pop(0)))
        else:
            raise StandInError(f"addUserKnob of {words[1]}: {word!r} is not known or incomplete")
    if hasattr(knob, "_default"):
        knob._default = knob._text()
    if isinstance(knob, Link_Knob) and not knob._target:
        raise ValueError(f"addUserKnob of {words[1]}: a link without a target")
    return knob


def _set(knob: Any, word: str, value: str) -> None:
    if word == "l":
        knob.setLabel(value)
    elif word == "t":
        knob.setTooltip(value)
    elif word == "n" and isinstance(knob, Tab_Knob):
        knob._group = int(value)
    elif word == "M" and isinstance(knob, Pulldown_Knob):
        items = tcl.split(value)
        if len(items) % 2:
            raise ValueError(f"addUserKnob of {knob.name()}: a menu wants names and commands in pairs")
        knob.setValues(dict(zip(items[::2], items[1::2])))
    elif word == "M" and isinstance(knob, Enumeration_Knob):
        knob.setValues(tcl.split(value))
    elif word == "T" and isinstance(knob, Link_Knob):
        knob._target = value
    elif word == "T" and isinstance(knob, String_Knob):
        knob._string = value
    else:
        raise StandInError(f"addUserKnob of {knob.name()}: {word} on a {knob.Class()}")


def describe(knob: Any) -> str:
    """The ``addUserKnob`` command of a user knob."""
    words = [str(knob._type), tcl.quote(knob.name())]
    if knob.label():
        words += ["l", tcl.quote(knob.label())]
    if knob.tooltip():
        words += ["t", tcl.quote(knob.tooltip())]
    if isinstance(knob, Tab_Knob) and knob._group:
        words += ["n", str(knob._group)]
    if isinstance(knob, Link_Knob):
        words += ["T", tcl.quote(knob._target)]
    elif isinstance(knob, String_Knob) and knob._string and knob._type in {22, 26, 32}:
        words += ["T", tcl.quote(knob._string)]
    elif isinstance(knob, Pulldown_Knob):
        words += ["M", "{" + " ".join(tcl.quote(w) for p in zip(knob._items, knob._commands) for w in p) + "}"]
    elif isinstance(knob, Enumeration_Knob):
        words += ["M", "{" + " ".join(tcl.quote(item) for item in knob._items) + "}"]
    elif isinstance(knob, Array_Knob) and knob._limits != (0.0, 1.0):
        words += ["R", *(f"{end:g}" for end in knob._limits)]
    said = {"STARTLINE", "INVISIBLE", "DISABLED", "NO_ANIMATION", "DO_NOT_WRITE"}
    words += [f"+{name}" for name in sorted(said) if knob.getFlag(FLAGS[name])]
    return "addUserKnob {" + " ".join(words) + "}"
