# ruff: noqa: N801, N802 (names are Nuke's)
"""Knobs of text: strings, files, code, links, tabs. Values follow the guide and the stubs."""

from __future__ import annotations

import re
from typing import Any

from . import expressions, paths, state, tcl
from .errors import StandInError, nested
from .knob_arrays import Array_Knob
from .knob_base import Knob
from .knob_choices import (
    CascadingEnumeration_Knob,
    Channel_Knob,
    ChannelMask_Knob,
    Enumeration_Knob,
    Format_Knob,
    Pulldown_Knob,
)


class String_Knob(Knob):
    """Text."""

    _type = 1

    def __init__(self, name: str, label: str | None = None, value: str = "") -> None:
        super().__init__(name, label)
        self._string = str(value)
        self._default = ""

    def value(self) -> str:
        """The text as it was typed."""
        self._touch()
        return self._string

    def getValue(self) -> Any:
        """The text as it was typed."""
        return self.value()

    def setValue(self, val: str) -> bool:
        """Replace the text."""
        self._touch()
        if not isinstance(val, str):
            raise TypeError(f"{self.Class()} {self._name} takes text, not {val!r}")
        self._string = val
        self._changed()
        return True

    def _text(self) -> str:
        return self._string

    def _read(self, text: str) -> None:
        self._string = text

    def _written(self) -> str | None:
        return None if self._string == self._default else tcl.quote(self._string)


class EvalString_Knob(String_Knob):
    """Text whose brackets Nuke evaluates; here the few commands of ``tcl.expand``."""

    _type = 43

    def evaluate(self, frame: int | None = None, view: str | None = None) -> str:
        """The text with brackets, frame and view put in (``view=`` as public pipelines call it)."""
        self._touch()
        session = state.current()
        with state.at(frame, view):
            return self._expanded(session.frame if session.frame is not None else session.root._frame())

    def _expanded(self, frame: int) -> str:
        return tcl.expand(self._string, self._told, self._python)

    def _told(self, path: str) -> str:
        knob = expressions.find_knob(path, self.node())
        return str(knob.evaluate()) if isinstance(knob, EvalString_Knob) else str(knob.value())

    def _python(self, code: str) -> str:
        if code != "nuke.script_directory()":
            raise StandInError(f"the stand-in does not run [python {code}] in a knob")
        return state.current().root._directory()


class Multiline_Eval_String_Knob(EvalString_Knob):
    """Several lines of such text."""


class File_Knob(EvalString_Knob):
    """A file or a sequence of files."""

    _type = 2

    def _expanded(self, frame: int) -> str:
        session = state.current()
        view = session.view or session.root._views()[0]
        return paths.expand(super()._expanded(frame), frame, view)

    def getEvaluatedValue(self) -> str:
        """As ``evaluate`` for the current frame and view."""
        return self.evaluate()

    def fromUserText(self, val: str) -> None:
        """Take ``path first-last`` as the file browser gives it, and set the frame range beside it."""
        self._touch()
        found = re.fullmatch(r"(.*?)(?:\s+(-?\d+)-(-?\d+))?", val)
        assert found
        self.setValue(found[1])
        if found[2]:
            for knob, number in zip(("first", "last", "origfirst", "origlast"), (found[2], found[3]) * 2):
                self.node()[knob].setValue(int(number))


class Script_Knob(String_Knob):
    """A button."""

    _type = 32

    def command(self) -> str:
        """What it runs."""
        return self.value()

    def setValue(self, cmd: str) -> bool:
        """Change what it runs."""
        return super().setValue(cmd)

    def setCommand(self, cmd: str) -> None:
        """Change what it runs."""
        self.setValue(cmd)

    def execute(self) -> None:
        """Press it. Pressing a node's own button, such as ``reload``, while Nuke is busy raises the nesting error."""
        self._touch()
        self.node()._press(self)


class PyScript_Knob(Script_Knob):
    """A button that runs Python on the main thread; it may render."""

    _type = 22
    _code = True

    def execute(self) -> None:
        """Press it: the code runs with ``thisNode`` and ``thisKnob`` set."""
        self._touch()
        if state.current().executing:
            raise nested()
        state.run_code(self._string, self.node(), self)


class PythonKnob(String_Knob):
    """Python that Nuke runs at its time, such as ``onCreate``."""

    _type = 52
    _code = True


class Tab_Knob(Knob):
    """A tab of the panel, or with ``group`` the start (1) or end (-1) of a folding part of it."""

    _type = 20

    def __init__(self, name: str, label: str | None = None, group: int = 0) -> None:
        super().__init__(name, label)
        self._group = group
        self._open = 0

    def value(self) -> int:
        """Whether a group is open."""
        return self._open

    def setValue(self, val: int) -> bool:
        """Open or shut a group."""
        self._open = int(val)
        return True

    def _text(self) -> str:
        return str(self._open)

    def _read(self, text: str) -> None:
        self._open = int(text)


class Text_Knob(String_Knob):
    """Words or a line between knobs."""

    _type = 26

    def _written(self) -> str | None:
        return None


class Link_Knob(Knob):
    """A second handle on a knob of another node; what is asked of its value, the other knob answers."""

    _type = 41

    def __init__(self, name: str, label: str | None = None) -> None:
        super().__init__(name, label)
        self._target = ""

    def setLink(self, s: str) -> None:
        """Point it at ``Node.knob``, seen from the node that carries it."""
        self._touch()
        self._target = s

    def makeLink(self, s: str, t: str) -> None:
        """Point it at knob ``t`` of node ``s``."""
        self.setLink(f"{s}.{t}")

    def getLink(self) -> str:
        """Where it points."""
        return self._target

    def getLinkedKnob(self) -> Knob:
        """The knob it points at."""
        self._touch()
        return expressions.find_knob(self._target, self.node())

    def value(self) -> Any:
        """The other knob's value."""
        return self.getLinkedKnob().value()

    def getValue(self) -> Any:
        """The other knob's value."""
        return self.getLinkedKnob().getValue()

    def setValue(self, val: Any) -> bool:
        """Change the other knob; both may tell knobChanged."""
        done = self.getLinkedKnob().setValue(val)
        self._changed()
        return done

    def _text(self) -> str:
        return self.getLinkedKnob()._text()

    def _read(self, text: str) -> None:
        self.getLinkedKnob()._read(text)

    def _written(self) -> str | None:
        return None  # the other knob says it, or a gizmo's user knob; see script.py


class Views_Knob(String_Knob):
    """The script's views, one a line with its colour; the stand-in's own notation of Root.views."""


KINDS: dict[int, type[Knob]] = {
    kind._type: kind
    for kind in (
        String_Knob,
        File_Knob,
        Script_Knob,
        PyScript_Knob,
        PythonKnob,
        Enumeration_Knob,
        CascadingEnumeration_Knob,
        Pulldown_Knob,
        Channel_Knob,
        ChannelMask_Knob,
        Format_Knob,
        Tab_Knob,
        Text_Knob,
        Link_Knob,
        Multiline_Eval_String_Knob,
    )
}
_ARRAYS = Array_Knob.__subclasses__()


def kind_of(number: int) -> type[Knob]:
    """The class of a user knob by the number that ``addUserKnob`` gives."""
    for kind in _ARRAYS:
        for found in (kind, *kind.__subclasses__()):
            KINDS.setdefault(found._type, found)
    if number not in KINDS:
        raise StandInError(f"the stand-in does not know user knobs of type {number}")
    return KINDS[number]
