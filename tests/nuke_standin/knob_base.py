# ruff: noqa: N802 (names are Nuke's)
"""What all knobs share. Signatures follow the published stubs; behaviour follows Nuke's guide where it says any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import state
from .errors import StandInError
from .flags import FLAGS

if TYPE_CHECKING:
    from .nodes import Node


class Knob:
    """One control of a node. Reading or changing it off the main thread raises."""

    _type = -1
    _code = False  # whether its value is Python

    def __init__(self, name: str, label: str | None = None) -> None:
        self._name = name
        self._label = label if label is not None else ""
        self._tip = ""
        self._flags = 0
        self._node: Node | None = None
        self._user = False
        self._seen = True
        self._on = True

    def __repr__(self) -> str:
        return f"<{self.Class()} {self._name}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise StandInError(f"the stand-in's {type(self).__name__} has no {name}")

    def Class(self) -> str:
        """The kind of knob."""
        return type(self).__name__

    def name(self) -> str:
        """Its name in scripts."""
        return self._name

    def setName(self, name: str) -> None:
        """Rename it, which Nuke allows before it is added to a node."""
        if self._node:
            raise StandInError(f"{self._name} is on a node already and cannot be renamed")
        self._name = name

    def label(self) -> str:
        """What the panel shows beside it."""
        return self._label

    def setLabel(self, label: str) -> None:
        """Change what the panel shows beside it."""
        self._label = label

    def tooltip(self) -> str:
        """What the panel shows over it."""
        return self._tip

    def setTooltip(self, tooltip: str) -> None:
        """Change what the panel shows over it."""
        self._tip = tooltip

    def node(self) -> Node:
        """The node that carries it."""
        if self._node is None:
            raise RuntimeError(f"the knob {self._name} is on no node")
        return self._node

    def fullyQualifiedName(self, channel: int = -1) -> str:
        """Node path and knob name."""
        if channel != -1:
            raise StandInError("fullyQualifiedName of one channel")
        return f"{self.node().fullName()}.{self._name}"

    def setFlag(self, flag: int) -> None:
        """Set one of the module's knob flags; an unknown bit raises."""
        self._flags |= _known(flag)
        self._see(flag, False)

    def clearFlag(self, flag: int) -> None:
        """Clear a knob flag."""
        self._flags &= ~_known(flag)
        self._see(flag, True)

    def getFlag(self, flag: int) -> bool:
        """Whether a knob flag is set."""
        return bool(self._flags & _known(flag))

    def visible(self) -> bool:
        """Whether the panel shows it."""
        return self._seen

    def setVisible(self, visible: bool) -> None:
        """Show or hide it in the panel."""
        self._seen = bool(visible)

    def enabled(self) -> bool:
        """Whether the user may change it."""
        return self._on

    def setEnabled(self, enabled: bool) -> None:
        """Let the user change it, or grey it out."""
        self._on = bool(enabled)

    def value(self) -> Any:
        """Its value."""
        raise StandInError(f"{self.Class()} has no value in the stand-in")

    def getValue(self) -> Any:
        """Its value as a number or text."""
        return self.value()

    def setValue(self, val: Any) -> bool:
        """Change its value."""
        raise StandInError(f"{self.Class()} cannot be set in the stand-in")

    def toScript(self, quote: bool = False) -> str:
        """Its value as a script writes it, in braces when ``quote``."""
        text = self._text()
        return "{" + text + "}" if quote else text

    def fromScript(self, script: str) -> None:
        """Take its value from what ``toScript`` gave."""
        self._touch()
        self._read(script)
        self._changed()

    def isAnimated(self) -> bool:
        """Whether it is driven by an expression; the stand-in has no curves."""
        return False

    def hasExpression(self, index: int = -1) -> bool:
        """Whether an expression drives it."""
        return False

    # ------------------------------------------------------------------ within

    def _text(self) -> str:
        raise StandInError(f"{self.Class()} cannot be written to a script by the stand-in")

    def _read(self, text: str) -> None:
        raise StandInError(f"{self.Class()} cannot be read from a script by the stand-in")

    def _written(self) -> str | None:
        """The words after its name in a script, or None where it is at its default."""
        return None

    def _touch(self) -> None:
        if self._node is not None:
            state.on_main_thread(f"the knob {self._name}")
            self._node._alive()

    def _changed(self) -> None:
        if self._node is not None:
            from .callbacks import knob_changed

            knob_changed(self._node, self)

    def _see(self, flag: int, on: bool) -> None:
        if flag & FLAGS["INVISIBLE"]:
            self._seen = on
        if flag & FLAGS["DISABLED"]:
            self._on = on


def _known(flag: int) -> int:
    known = sum(FLAGS.values())
    if not isinstance(flag, int) or flag & ~known:
        raise StandInError(f"the stand-in does not know the knob flag {flag:#x}")
    return flag
