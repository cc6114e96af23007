# ruff: noqa: N802, N803 (names are Nuke's)
"""Nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import state
from .classes import COMMON, Kind
from .errors import StandInError
from .flags import DEPENDENCIES
from .format import Format, FrameRange, Info
from .knob_base import Knob
from .knobs import Link_Knob, Script_Knob

if TYPE_CHECKING:
    from .groups import Group, Root
    from .picture import Picture


class Node:
    """One node. A deleted one raises ``ValueError``, as Nuke's do."""

    def __init__(self, made_of: Kind, parent: Group | None) -> None:
        self._kind = made_of
        self._parent = parent
        self._inputs: list[Node | None] = []
        self._knobs: dict[str, Knob] = {}
        self._deleted = False
        self._panel = False
        self._loads = 0  # how often reload was pressed
        for maker in (*COMMON, *made_of.knobs):
            self._carry(maker())

    def __repr__(self) -> str:
        return f"<{self.Class()} {self._knobs['name']._text()}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise StandInError(f"the stand-in's {type(self).__name__} has no {name}")

    # ------------------------------------------------------------------ knobs

    def Class(self) -> str:
        """The node class."""
        return self._kind.name

    def knob(self, p: str, follow_link: bool = True) -> Any:
        """A knob by name, or None. A link comes as itself: its value is the other knob's."""
        self._alive()
        del follow_link
        return self._knobs.get(p)

    def knobs(self) -> dict[str, Any]:
        """Every knob by name."""
        self._alive()
        return dict(self._knobs)

    def allKnobs(self) -> list[Any]:
        """Every knob in order."""
        return list(self.knobs().values())

    def numKnobs(self) -> int:
        """How many knobs there are."""
        return len(self._knobs)

    def __getitem__(self, name: str) -> Any:
        self._alive()
        if name not in self._knobs:
            raise NameError(f"knob {name} does not exist on {self.fullName()} ({self.Class()})")
        return self._knobs[name]

    def addKnob(self, knob: Knob) -> None:
        """Add a user knob."""
        self._alive()
        if knob.name() in self._knobs and not knob._user:
            raise StandInError(f"{self.fullName()} has a knob {knob.name()!r} already")
        knob._user = True
        self._carry(knob)

    def removeKnob(self, knob: Knob) -> None:
        """Take a user knob off again."""
        if not knob._user:
            raise ValueError(f"{knob.name()} is no user knob")
        del self._knobs[knob.name()]

    def readKnobs(self, s: str) -> None:
        """Take knob values from ``name value ...`` as scripts write them."""
        from .script import apply

        apply(self, s)

    def writeKnobs(self, flags: int = 0) -> str:
        """The knob values as scripts write them; the stand-in writes what is not at its default."""
        from .flags import WRITING
        from .script import body

        if flags & ~(WRITING["WRITE_USER_KNOB_DEFS"] | WRITING["WRITE_NON_DEFAULT_ONLY"] | WRITING["TO_SCRIPT"]):
            raise StandInError(f"writeKnobs with flags {flags}")
        return "\n".join(body(self, bool(flags & WRITING["WRITE_USER_KNOB_DEFS"])))

    def _carry(self, knob: Knob) -> None:
        knob._node = self
        self._knobs[knob._name] = knob

    def _press(self, knob: Script_Knob) -> None:
        from .render import press

        press(self, knob.name())

    # ------------------------------------------------------------------ name and place

    def name(self) -> str:
        """Its name in its Group."""
        self._alive()
        return self._knobs["name"]._text()

    def setName(self, name: str, uncollide: bool = True, updateExpressions: bool = False) -> None:
        """Rename it; a taken name gets a number unless ``uncollide`` is off."""
        if updateExpressions:
            raise StandInError("setName(updateExpressions=True)")
        self["name"]._read(self._parent._free(name, self) if self._parent and uncollide else name)

    def fullName(self) -> str:
        """Its name with those of the Groups around it, by dots."""
        above = self._parent
        return f"{above.fullName()}.{self.name()}" if above and above._parent else self.name()

    def parent(self) -> Any:
        """The Group around it; the Root has none."""
        self._alive()
        return self._parent

    def rootNode(self) -> Root:
        """The Root."""
        return state.current().root

    def xpos(self) -> int:
        """Place in the node graph."""
        return self["xpos"].value()

    def ypos(self) -> int:
        """Place in the node graph."""
        return self["ypos"].value()

    def setXpos(self, x: int) -> None:
        """Move it."""
        self["xpos"].setValue(x)

    def setYpos(self, y: int) -> None:
        """Move it."""
        self["ypos"].setValue(y)

    def setXYpos(self, x: int, y: int) -> None:
        """Move it."""
        self.setXpos(x)
        self.setYpos(y)

    def screenWidth(self) -> int:
        """Width of its tile in the node graph."""
        return 80

    def screenHeight(self) -> int:
        """Height of its tile in the node graph."""
        return 18

    def isSelected(self) -> bool:
        """Whether it is selected."""
        return self["selected"].value()

    def setSelected(self, selected: bool) -> None:
        """Select it or not."""
        self["selected"].setValue(selected)

    def selectOnly(self) -> None:
        """Select it and nothing else in its Group."""
        for other in self.parent().nodes():
            other.setSelected(other is self)

    def shown(self) -> bool:
        """Whether its panel is open."""
        return self._panel

    def showControlPanel(self, forceFloat: bool = False) -> None:
        """Open its panel, which tells knobChanged ``showPanel``."""
        from .callbacks import knob_changed

        del forceFloat
        if not state.current().gui:
            raise StandInError("a terminal session has no panels")
        self._panel = True
        knob_changed(self, _pseudo(self, "showPanel"))

    def hideControlPanel(self) -> None:
        """Shut its panel."""
        self._panel = False

    # ------------------------------------------------------------------ connections

    def input(self, index: int) -> Node | None:
        """What is connected to an input, or None."""
        self._alive()
        return self._inputs[index] if index < len(self._inputs) else None

    def inputs(self) -> int:
        """How many inputs are in use, gaps before the last included."""
        used = [i for i, node in enumerate(self._inputs) if node]
        return used[-1] + 1 if used else 0

    def maxInputs(self) -> int:
        """How many inputs there may be."""
        return self._kind.inputs or 0

    def minInputs(self) -> int:
        """How many inputs it shows."""
        return self.maxInputs() - len(self._kind.optional)

    def canSetInput(self, i: int, node: Node) -> bool:
        """Whether ``node`` may be connected to input ``i``: both in one Group, no circle."""
        return 0 <= i < self.maxInputs() and node._parent is self._parent and self not in node._upstream()

    def setInput(self, i: int, node: Node | None) -> bool:
        """Connect or free an input; what Nuke would refuse raises."""
        from .callbacks import knob_changed

        self._alive()
        state.on_main_thread("connecting nodes")
        if node is not None and not self.canSetInput(i, node):
            raise StandInError(f"{node.fullName()} cannot be input {i} of {self.fullName()}")
        self._inputs += [None] * (i + 1 - len(self._inputs))
        self._inputs[i] = node
        knob_changed(self, _pseudo(self, "inputChange"))
        return True

    def dependencies(self, mask: int = 7) -> list[Node]:
        """The nodes that it takes pictures (``nuke.INPUTS``) or values (``nuke.EXPRESSIONS``) from."""
        found: list[Node] = []
        if mask & (DEPENDENCIES["INPUTS"] | DEPENDENCIES["HIDDEN_INPUTS"]):
            hidden = self["hide_input"].value()
            if mask & DEPENDENCIES["HIDDEN_INPUTS" if hidden else "INPUTS"]:
                found += [n for n in self._inputs if n]
        if mask & DEPENDENCIES["EXPRESSIONS"]:
            found += self._sources()
        return list(dict.fromkeys(found))

    def dependent(self, mask: int = 7, forceEvaluate: bool = True) -> list[Node]:
        """The nodes that take from it."""
        del forceEvaluate
        return [n for n in state.current().root._all() if self in n.dependencies(mask)]

    def _sources(self) -> list[Node]:
        from .expressions import PATH, find_knob

        found = []
        for knob in self._knobs.values():
            paths = [knob._target] if isinstance(knob, Link_Knob) else list(getattr(knob, "_expressions", {}).values())
            found += [find_knob(p.lstrip("! "), self).node() for p in paths if PATH.fullmatch(p) and not _is_number(p)]
        return [n for n in found if n is not self]

    def _upstream(self) -> set[Node]:
        seen: set[Node] = {self}
        todo: list[Node] = [self]
        while todo:
            for node in todo.pop()._inputs:
                if node and node not in seen:
                    seen.add(node)
                    todo.append(node)
        return seen

    # ------------------------------------------------------------------ pictures

    def _picture(self, frame: int | None = None, view: str | None = None) -> Picture:
        from .graph import evaluate

        self._alive()
        state.on_main_thread("evaluating a node")
        with state.at(frame, view):
            return evaluate(self)

    def width(self) -> int:
        """Width of its format."""
        return self.format().width()

    def height(self) -> int:
        """Height of its format."""
        return self.format().height()

    def pixelAspect(self) -> float:
        """Pixel aspect of its format."""
        return self.format().pixelAspect()

    def format(self) -> Format:
        """Its format; scaled in proxy mode."""
        return self._picture().format

    def bbox(self) -> Info:
        """Its bounding box: one larger than the data behind a Read of overscan."""
        return Info(self._picture().box)

    def channels(self) -> list[str]:
        """Its channels."""
        return sorted(self._picture().channels)

    def sample(self, channel: str, x: float, y: float, *rest: Any, frame: int | None = None) -> float:
        """One pixel; zero outside the bounding box. Filtered samples are not carried."""
        if rest:
            raise StandInError("Node.sample with dx and dy")
        return self._picture(frame).at(channel, x, y)

    def metadata(self, key: str | None = None, time: float | None = None, view: str | None = None) -> Any:
        """All metadata, or one value, or None where there is none."""
        found = self._picture(None if time is None else int(time), view).metadata
        return dict(found) if key is None else found.get(key)

    def opHashes(self) -> list[int]:
        """A number that changes with knobs, connections and paths, but not with the bytes of files."""
        from .graph import hash_of

        return [int(hash_of(self), 16)]

    def frameRange(self) -> FrameRange:
        """The frames that the pictures above it have."""
        first = self.input(0)
        if self.Class() == "FrameRange":
            return FrameRange(self["first_frame"].value(), self["last_frame"].value())
        if "first" in self._knobs and self.Class() != "Write":
            return FrameRange(self["first"].value(), self["last"].value())
        return first.frameRange() if first else self.rootNode().frameRange()

    def firstFrame(self) -> int:
        """First of those frames."""
        return self.frameRange().first()

    def lastFrame(self) -> int:
        """Last of those frames."""
        return self.frameRange().last()

    def hasError(self) -> bool:
        """Whether it cannot make its picture."""
        try:
            self._picture()
        except RuntimeError:
            return True
        return False

    def error(self) -> bool:
        """As ``hasError``."""
        return self.hasError()

    def treeHasError(self) -> bool:
        """Whether it or a node above it has an error."""
        return any(n.hasError() for n in self._upstream())

    def proxy(self) -> bool:
        """Whether the script is in proxy mode."""
        return self.rootNode()["proxy"].value()

    def forceValidate(self) -> None:
        """Nothing waits to be validated here."""
        self._alive()

    def _alive(self) -> None:
        if self._deleted:
            raise ValueError("A PythonObject is not attached to a node")


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _pseudo(node: Node, name: str) -> Knob:
    knob = Knob(name)
    knob._node = node
    return knob


class Viewer(Node):
    """A Viewer; nobody looks through it."""
