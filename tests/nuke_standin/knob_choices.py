# ruff: noqa: N801, N802 (names are Nuke's)
"""Knobs of choice: items, menus, channels, formats."""

from __future__ import annotations

import re
from typing import Any

from . import state, tcl
from .errors import StandInError
from .format import Format, read_format
from .knob_arrays import Unsigned_Knob
from .knob_base import Knob


class Enumeration_Knob(Unsigned_Knob):
    """A choice; ``value`` is the item, ``getValue`` its number. An unknown item raises."""

    _type = 4

    def __init__(self, name: str, label: str | None = None, values: Any = ()) -> None:
        super().__init__(name, label)
        self._items = [str(v) for v in values]

    def value(self) -> str:
        """The chosen item."""
        at = int(self.getValue())
        return self._items[at] if at < len(self._items) else ""

    def values(self) -> list[str]:
        """Every item."""
        return list(self._items)

    def numValues(self) -> int:
        """How many items there are."""
        return len(self._items)

    def enumName(self, n: int) -> str:
        """Item ``n``."""
        return self._items[n]

    def setValues(self, items: Any) -> None:
        """Replace the items; the chosen number stays where it can."""
        self._touch()
        self._items = [str(v) for v in items]
        self._values[0] = min(self._values[0], float(max(0, len(self._items) - 1)))

    def setValue(self, val: Any) -> bool:
        """Choose by item or by number."""
        return super().setValue(self._find(val) if isinstance(val, str) else val)

    def _find(self, item: str) -> float:
        if item not in self._items:
            raise StandInError(f"{self._name} offers {self._items}, not {item!r}")
        return float(self._items.index(item))

    def _check(self, number: float) -> float:
        if not 0 <= number < max(1, len(self._items)):
            raise StandInError(f"{self._name} has {len(self._items)} items, none is number {number:g}")
        return super()._check(number)

    def _text(self) -> str:
        if 0 in self._expressions:
            return "{" + self._expressions[0] + "}"
        return self._items[int(self._values[0])] if getattr(self, "_items", None) else ""

    def _read(self, text: str) -> None:
        if text.startswith("{"):
            super()._read(text)
        else:
            self._values[0] = self._find(text)
            self._expressions.clear()

    def _written(self) -> str | None:
        if 0 in self._expressions:
            return "{" + self._text() + "}"
        return None if self._text() == self._default else tcl.quote(self._text())


class CascadingEnumeration_Knob(Enumeration_Knob):
    """A choice in nested menus."""

    _type = 68


class Pulldown_Knob(Enumeration_Knob):
    """A menu of commands: ``{name: Python}``."""

    _type = 35

    def __init__(self, name: str, label: str | None = None, values: Any = None) -> None:
        pairs = dict(values or {})
        super().__init__(name, label, list(pairs))
        self._commands = [str(c) for c in pairs.values()]

    def setValues(self, items: Any) -> None:
        """Replace the menu: a dict of names and commands."""
        pairs = dict(items)
        super().setValues(list(pairs))
        self._commands = [str(c) for c in pairs.values()]

    def itemName(self, n: int) -> str:
        """Name of entry ``n``."""
        return self._items[n]

    def commands(self, n: int) -> str:
        """Python of entry ``n``."""
        return self._commands[n]


class Channel_Knob(Knob):
    """A layer or a channel by name: ``rgba``, ``rgba.alpha``, ``all``, ``none``, or several, ``-`` taking away."""

    _type = 11

    def __init__(self, name: str, label: str | None = None, init: str = "", input: int = 0) -> None:  # noqa: A002
        super().__init__(name, label)
        self._channels = init or "none"
        self._default = self._channels
        self._input = input

    def value(self) -> str:
        """The names."""
        self._touch()
        return self._channels

    def inputNumber(self) -> int:
        """The input whose channels it offers."""
        return self._input

    def setValue(self, name: str) -> bool:  # type: ignore[override]
        """Choose channels; a name that no layer has yet is accepted, as layers appear with files."""
        self._touch()
        if not isinstance(name, str):
            raise TypeError(f"{self._name} takes a name, not {name!r}")
        self._read(name)
        self._changed()
        return True

    def _text(self) -> str:
        return self._channels

    def _read(self, text: str) -> None:
        for word in text.split():
            if not re.fullmatch(r"-?[A-Za-z_][\w]*(\.[A-Za-z_]\w*)?", word):
                raise StandInError(f"{self._name}: {word!r} is no layer or channel")
        self._channels = text

    def _written(self) -> str | None:
        if self._channels == self._default:
            return None
        return "{" + self._channels + "}" if " " in self._channels else self._channels


class ChannelMask_Knob(Channel_Knob):
    """Several channels."""

    _type = 10


class Format_Knob(Knob):
    """A format: ``value`` is a ``Format``, scripts write its numbers and name."""

    _type = 17

    def __init__(self, name: str, label: str | None = None) -> None:
        super().__init__(name, label)
        self._format: Format | None = None

    def value(self) -> Format:
        """The format; the script's where none is set."""
        self._touch()
        return self._format or state.current().root._format()

    def name(self) -> str:
        """Its name in scripts."""
        return self._name

    def setValue(self, val: Any) -> bool:
        """Set a format, or the name of one that ``addFormat`` made known."""
        self._touch()
        if isinstance(val, str):
            if val not in state.current().formats:
                raise StandInError(f"no format is named {val!r}")
            val = state.current().formats[val]
        if not isinstance(val, Format):
            raise TypeError(f"{self._name} takes a format, not {val!r}")
        self._format = val
        self._changed()
        return True

    def notDefault(self) -> bool:
        """Whether a format was set."""
        return self._format is not None

    def _text(self) -> str:
        return self._format._text() if self._format else ""

    def _read(self, text: str) -> None:
        named = state.current().formats
        self._format = named[text] if text in named else read_format(text)

    def _written(self) -> str | None:
        return '"' + self._text() + '"' if self._format else None
