# ruff: noqa: N802 (names are Nuke's)
"""Groups, Gizmos and the Root."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import state
from .classes import Kind, kind
from .errors import StandInError
from .format import Format, FrameRange
from .nodes import Node


class Group(Node):
    """A node made of nodes; its inputs are its Input nodes, in the order of their numbers."""

    def __init__(self, made_of: Kind, parent: Group | None) -> None:
        super().__init__(made_of, parent)
        self._nodes: list[Node] = []

    def begin(self) -> Group:
        """Make new nodes in here until ``end``."""
        self._alive()
        state.current().groups.append(self)
        return self

    def end(self) -> None:
        """Leave it again."""
        groups = state.current().groups
        if not groups or groups[-1] is not self:
            raise StandInError(f"end() of {self.fullName()}, which was not begun last")
        groups.pop()

    def __enter__(self) -> Group:
        return self.begin()

    def __exit__(self, type: Any, value: Any, traceback: Any) -> None:  # noqa: A002
        self.end()

    def node(self, s: str) -> Node | None:
        """A node inside by name, by dots for deeper ones, or None."""
        self._alive()
        here: Node | None = self
        for word in s.split("."):
            here = here._child(word) if isinstance(here, Group) else None
        return here

    def nodes(self) -> list[Node]:
        """The nodes inside, the last made first as Nuke lists them."""
        self._alive()
        return self._nodes[::-1]

    def numNodes(self) -> int:
        """How many nodes are inside."""
        return len(self._nodes)

    def output(self) -> Node | None:
        """What feeds the Output node."""
        outs = [n for n in self._nodes if n.Class() == "Output"]
        return outs[0].input(0) if outs else None

    def maxInputs(self) -> int:
        """How many Input nodes are inside."""
        return len(self._inlets())

    def minInputs(self) -> int:
        """How many Input nodes are inside."""
        return self.maxInputs()

    def _inlets(self) -> list[Node]:
        return sorted((n for n in self._nodes if n.Class() == "Input"), key=lambda n: n["number"].value())

    def _child(self, name: str) -> Node | None:
        return next((n for n in self._nodes if n._knobs["name"]._text() == name), None)

    def _free(self, name: str, but: Node | None = None) -> str:
        taken = {n.name() for n in self._nodes if n is not but}
        if name not in taken:
            return name
        stem = name.rstrip("0123456789")
        return next(f"{stem}{i}" for i in range(1, len(taken) + 2) if f"{stem}{i}" not in taken)

    def _all(self) -> Iterator[Node]:
        for node in list(self._nodes):
            yield node
            if isinstance(node, Group):
                yield from node._all()


class Gizmo(Group):
    """A Group that a ``.gizmo`` file describes; scripts keep its name and values only."""

    def __init__(self, name: str, file: str, parent: Group | None) -> None:
        super().__init__(Kind(name, inputs=None), parent)
        self._file = file

    def filename(self) -> str:
        """The file that describes it."""
        return self._file

    def command(self) -> str:
        """Its class as scripts say it."""
        return self.Class()


class Root(Group):
    """The script."""

    def __init__(self) -> None:
        super().__init__(kind("Root"), None)

    def name(self) -> str:
        """``root``; the file's name is in the knob ``name``."""
        return "root"

    def frameRange(self) -> FrameRange:
        """The script's frames."""
        return FrameRange(self["first_frame"].value(), self["last_frame"].value())

    def setProxy(self, on: bool) -> None:
        """Turn proxy mode on or off."""
        self["proxy"].setValue(bool(on))

    def proxy(self) -> bool:
        """Whether proxy mode is on."""
        return self["proxy"].value()

    def setFrame(self, frame: int) -> None:
        """Go to a frame."""
        self["frame"].setValue(int(frame))

    def fps(self) -> int:
        """Frames a second, whole."""
        return int(self["fps"].value())

    def modified(self) -> bool:
        """Whether there is something to save: in the stand-in, whether it differs from the saved file."""
        from .script import write_root

        return write_root(self) != self._saved

    _saved = ""

    def _frame(self) -> int:
        return int(self["frame"].value())

    def _format(self) -> Format:
        found = self._knobs["format"]._format  # type: ignore[attr-defined]
        assert found
        return found

    def _views(self) -> list[str]:
        return [line.split()[0] for line in self["views"]._text().splitlines()]

    def _directory(self) -> str:
        name = self["name"]._text()
        return name.rpartition("/")[0]
