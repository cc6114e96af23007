"""The Tcl of scripts and knobs, by the interpreter that Python carries.

Facts: a script is Tcl; each node is a command with one braced list of knobs and values (Foundry's own gizmos).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from .errors import StandInError

BARE = re.compile(r"[A-Za-z0-9_./%#:+\-,=*@~^&()<>|?!']+")
ESCAPES = {c: "\\" + c for c in '"\\[]{}$'} | {"\n": "\\n", "\t": "\\t"}
_own = threading.local()  # an interpreter belongs to its thread
COMMAND = Callable[[str, "tuple[str, ...]"], str]


def interpreter() -> Any:
    """A fresh Tcl interpreter; ``StandInError`` on a Python without tkinter."""
    try:
        import tkinter
    except ImportError as error:
        raise StandInError("this Python has no tkinter, so no Tcl to read scripts with") from error
    return tkinter.Tcl()


def split(text: str) -> tuple[str, ...]:
    """The items of a Tcl list; ``ValueError`` for what is none."""
    import tkinter

    if not hasattr(_own, "splitter"):
        _own.splitter = interpreter()
    try:
        return tuple(str(item) for item in _own.splitter.splitlist(text))
    except tkinter.TclError as error:
        raise ValueError(f"not a Tcl list: {error}: {text[:80]!r}") from error


def quote(text: str) -> str:
    """One word of a script: bare where that is safe, else in quotes with everything escaped that Tcl would touch."""
    if BARE.fullmatch(text):
        return text
    return '"' + "".join(ESCAPES.get(c, c) for c in text) + '"'


def run(text: str, command: COMMAND) -> None:
    """Read a script: ``command(name, words)`` is told every command but ``set``; what it raises comes through.

    No other command of Tcl is there: a script that wants ``if`` or ``exec`` tells so by its own name.
    """
    import tkinter

    tcl = interpreter()
    failed: list[BaseException] = []

    def told(*words: str) -> str:
        try:
            return command(words[0], words[1:])
        except BaseException as error:
            failed.append(error)
            raise

    for name in tcl.splitlist(tcl.eval("info commands")):
        if name not in {"set", "rename"}:
            tcl.eval(f"rename {{{name}}} {{}}")
    tcl.createcommand("unknown", told)
    tcl.eval("rename rename {}")
    try:
        tcl.eval(text)
    except tkinter.TclError as error:
        if failed:
            raise failed[0] from None
        raise ValueError(f"not Tcl that Nuke would read: {error}") from error


def expand(text: str, value: Callable[[str], str], python: Callable[[str], str]) -> str:
    """Evaluate the brackets of a file or string knob as Nuke would, for the few commands that are known here.

    ``value knob``, ``python {expression}``, ``file dirname|tail|rootname path`` and ``getenv name``; a backslash
    keeps the next character as it is. Everything else raises.
    """
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            out.append(text[at + 1])
            at += 2
        elif char == "[":
            end = _closing(text, at)
            out.append(_call(expand_words(text[at + 1 : end], value, python), value, python))
            at = end + 1
        else:
            out.append(char)
            at += 1
    return "".join(out)


def expand_words(text: str, value: Callable[[str], str], python: Callable[[str], str]) -> list[str]:
    """The words of one bracketed command, inner brackets evaluated."""
    words, word, at, braced = [], "", 0, False
    while at < len(text):
        char = text[at]
        if char == "[":
            end = _closing(text, at)
            word += expand(text[at : end + 1], value, python)
            at = end
        elif char == "{":
            end = text.index("}", at)
            word, at, braced = text[at + 1 : end], end, True
        elif char == " ":
            words += [word] if word or braced else []
            word, braced = "", False
        elif char in '"$;':
            raise StandInError(f"the stand-in does not evaluate {char!r} in [{text}]")
        else:
            word += char
        at += 1
    return [*words, word] if word or braced else words


def _call(words: list[str], value: Callable[[str], str], python: Callable[[str], str]) -> str:
    import os

    if len(words) == 2 and words[0] == "value":
        return value(words[1])
    if len(words) == 2 and words[0] == "python":
        return python(words[1])
    if len(words) == 2 and words[0] == "getenv":
        return os.environ.get(words[1], "")
    if len(words) == 3 and words[0] == "file" and words[1] in {"dirname", "tail", "rootname"}:
        path = PurePosixPath(words[2])
        return {"dirname": str(path.parent), "tail": path.name, "rootname": str(path.with_suffix(""))}[words[1]]
    raise StandInError(f"the stand-in does not know the Tcl of [{' '.join(words)}]")


def _closing(text: str, at: int) -> int:
    depth = 0
    for i in range(at, len(text)):
        depth += {"[": 1, "]": -1}.get(text[i], 0)
        if depth == 0:
            return i
    raise StandInError(f"a bracket without an end in {text!r}")
