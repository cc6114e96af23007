# ruff: noqa: N801, N802 (names are Nuke's)
"""Knobs of numbers: signatures follow the published stubs."""

from __future__ import annotations

from typing import Any

from . import expressions, tcl
from .errors import StandInError
from .knob_base import Knob


class Array_Knob(Knob):
    """Numbers, each a constant or an expression. Curves are not carried."""

    _type = 9
    _integral = False
    _folds = True  # whether equal numbers read and write as one, as a colour's do

    def __init__(self, name: str, label: str | None = None, size: int = 1) -> None:
        super().__init__(name, label)
        self._values: list[float] = [0.0] * size
        self._expressions: dict[int, str] = {}
        self._default = self._text()
        self._limits = (0.0, 1.0)

    def arraySize(self) -> int:
        """How many numbers it holds."""
        return len(self._values)

    def getValue(self, channel: int | None = None) -> Any:
        """The number, or the list of numbers of a knob that holds several."""
        self._touch()
        found = [self._number(i) for i in range(len(self._values))]
        if channel is None or channel == -1:
            return found[0] if len(found) == 1 or (self._folds and len(set(found)) == 1) else found
        return found[channel]

    def value(self, index: int | None = None) -> Any:
        """As ``getValue``, in the knob's own type."""
        return self.getValue(index)

    def setValue(self, val: Any, channel: int | None = None) -> bool:
        """Set all numbers, one of them, or each from a list; an expression there goes."""
        self._touch()
        if isinstance(val, (str, bytes)) or val is None:
            raise TypeError(f"{self.Class()} {self._name} takes numbers, not {val!r}")
        many = list(val) if isinstance(val, (list, tuple)) else [val] * len(self._values)
        if len(many) != len(self._values):
            raise TypeError(f"{self._name} holds {len(self._values)} numbers, not {len(many)}")
        for i, number in enumerate(many):
            if channel in {None, -1, i}:
                self._values[i] = self._check(float(number))
                self._expressions.pop(i, None)
        self._changed()
        return True

    def setRange(self, min: float, max: float) -> None:  # noqa: A002
        """The ends of its slider; values may lie outside."""
        self._limits = (float(min), float(max))

    def min(self) -> float:
        """Left end of the slider."""
        return self._limits[0]

    def max(self) -> float:
        """Right end of the slider."""
        return self._limits[1]

    def setDefaultValue(self, val: Any) -> None:
        """The value that scripts leave out."""
        kept = self._values
        self._values = [float(v) for v in (val if isinstance(val, (list, tuple)) else [val])]
        self._default = self._text()
        self._values = kept

    def notDefault(self) -> bool:
        """Whether a script has to say its value."""
        return self._text() != self._default

    def setExpression(self, expression: str, channel: int = -1) -> bool:
        """Drive one number, or all, by an expression that the stand-in knows."""
        self._touch()
        expressions.check(expression)
        for i in range(len(self._values)) if channel == -1 else [channel]:
            self._expressions[i] = expression
        self._changed()
        return True

    def hasExpression(self, index: int = -1) -> bool:
        """Whether an expression drives it, or that number of it."""
        return bool(self._expressions) if index == -1 else index in self._expressions

    def isAnimated(self, channel: int = -1) -> bool:
        """As ``hasExpression``: curves are not carried."""
        return self.hasExpression(channel)

    def clearAnimated(self, channel: int = -1) -> bool:
        """Put the present numbers in place of the expressions."""
        self._touch()
        for i in list(self._expressions):
            if channel in {-1, i}:
                self._values[i] = self._number(i)
                del self._expressions[i]
        return True

    def _check(self, number: float) -> float:
        return float(int(number)) if self._integral else number

    def _number(self, index: int) -> float:
        if index in self._expressions:
            return self._check(expressions.evaluate(self._expressions[index], self.node()))
        return self._values[index]

    def _word(self, index: int) -> str:
        if index in self._expressions:
            return "{" + self._expressions[index] + "}"
        return f"{self._values[index]:.10g}"

    def _text(self) -> str:
        words = [self._word(i) for i in range(len(self._values))]
        return words[0] if len(words) == 1 or (self._folds and len(set(words)) == 1) else " ".join(words)

    def _read(self, text: str) -> None:
        words = tcl.split(text)
        if len(words) == 1:
            words = words * len(self._values)
        if len(words) != len(self._values):
            raise StandInError(f"{self._name} holds {len(self._values)} numbers, not {text!r}")
        for i, word in enumerate(words):
            try:
                self._values[i] = self._check(self._parse(word))
                self._expressions.pop(i, None)
            except ValueError:
                if "{" + word + "}" not in text:
                    raise StandInError(f"{self._name} takes no {word!r}") from None
                expressions.check(word)
                self._expressions[i] = word

    def _parse(self, word: str) -> float:
        return float(int(word, 16)) if word.startswith("0x") else float(word)

    def _written(self) -> str | None:
        if self._text() == self._default:
            return None
        text = self._text()
        return text if " " not in text and "{" not in text else "{" + text + "}"


class Int_Knob(Array_Knob):
    """A whole number."""

    _type = 3
    _integral = True

    def value(self) -> int:
        """The number."""
        return int(self.getValue())


class Double_Knob(Array_Knob):
    """A number with a slider."""

    _type = 7


class Unsigned_Knob(Array_Knob):
    """A whole number from zero, such as a colour in a script's notation."""

    _integral = True

    def value(self) -> Any:
        """The number."""
        return int(self.getValue())

    def _check(self, number: float) -> float:
        if number < 0:
            raise ValueError(f"{self._name} takes no negative number")
        return super()._check(number)


class ColorChip_Knob(Unsigned_Knob):
    """A colour of the node graph."""

    _type = 40

    def _word(self, index: int) -> str:
        return f"{int(self._values[index]):#x}"


class Boolean_Knob(Array_Knob):
    """A tick box; scripts say ``true`` and ``false``."""

    _type = 6

    def __init__(self, name: str, label: str | None = None, value: bool = False) -> None:
        super().__init__(name, label)
        self._values = [float(value)]

    def value(self) -> bool:
        """Whether it is ticked."""
        return bool(self.getValue())

    def setValue(self, b: Any) -> bool:
        """Tick it or not."""
        if isinstance(b, str):
            raise TypeError(f"{self._name} takes a bool, not {b!r}")
        return super().setValue(float(bool(b)))

    def _word(self, index: int) -> str:
        return super()._word(index) if index in self._expressions else "true" if self._values[index] else "false"

    def _parse(self, word: str) -> float:
        return {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}[word] if word in {"true", "false"} else float(word)


class Disable_Knob(Boolean_Knob):
    """The tick that makes a node pass its first input through."""

    _type = 80


class Color_Knob(Array_Knob):
    """Three numbers."""

    _type = 18

    def __init__(self, name: str, label: str | None = None) -> None:
        super().__init__(name, label, 3)


class AColor_Knob(Array_Knob):
    """Four numbers: red, green, blue, alpha."""

    _type = 19

    def __init__(self, name: str, label: str | None = None) -> None:
        super().__init__(name, label, 4)


class BBox_Knob(Array_Knob):
    """A box: x, y, r and t."""

    _type = 15
    _folds = False

    def __init__(self, name: str, label: str | None = None) -> None:
        super().__init__(name, label, 4)

    def x(self) -> float:
        """Left edge."""
        return self._number(0)

    def y(self) -> float:
        """Bottom edge."""
        return self._number(1)

    def r(self) -> float:
        """Right edge."""
        return self._number(2)

    def t(self) -> float:
        """Top edge."""
        return self._number(3)
