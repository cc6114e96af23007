# ruff: noqa: N802, N803 (names are Nuke's)
"""What belongs to a process rather than to nodes: threads, tasks, dialogues, menus, the plugin path, undo, env."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import state
from .errors import StandInError
from .render import forbid_in_render


def executeInMainThread(call: Callable[..., Any], args: Any = (), kwargs: Any = None) -> None:
    """Have ``call`` made by the main thread some time. It hangs on the main thread, and a terminal never gets to it."""
    _queueable("executeInMainThread")
    state.current().queue.put(lambda: _call(call, args, kwargs))


def executeInMainThreadWithResult(call: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
    """Have ``call`` made by the main thread and wait for its result; what it raises comes back too."""
    _queueable("executeInMainThreadWithResult")
    done = threading.Event()
    result: list[Any] = []
    error: list[BaseException] = []

    def run() -> None:
        try:
            result.append(_call(call, args, kwargs))
        except BaseException as raised:
            error.append(raised)
        finally:
            done.set()

    state.current().queue.put(run)
    if not done.wait(60):
        raise StandInError("nothing pumped the main thread's queue for a minute")
    if error:
        raise error[0]
    return result[0]


def _queueable(what: str) -> None:
    session = state.current()
    if threading.get_ident() == session.main_thread:
        raise StandInError(f"nuke.{what} on the main thread hangs")
    if not session.gui:
        raise StandInError(f"nuke.{what} in a terminal session: nothing ever runs its queue")


def _call(call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    return call(*(args if isinstance(args, (tuple, list)) else (args,)), **(kwargs or {}))


class ProgressTask:
    """A bar with a Cancel button; a test presses it by ``session.cancel()``. Any thread may tell it."""

    def __init__(self, title: str = "") -> None:
        self._title = title
        self._progress = 0
        self._message = ""
        state.current().tasks.append(self)

    def setProgress(self, i: int) -> None:
        """Percent done, a whole number."""
        if not isinstance(i, int) or isinstance(i, bool):
            raise TypeError(f"setProgress takes a whole number, not {i!r}")
        if not 0 <= i <= 100:
            raise StandInError(f"{i} percent")
        self._progress = i

    def setMessage(self, s: str) -> None:
        """The words beside the bar."""
        if not isinstance(s, str):
            raise TypeError(f"setMessage takes text, not {s!r}")
        self._message = s

    def isCancelled(self) -> bool:
        """Whether the user pressed Cancel."""
        return state.current().gui and state.current().cancelled


def message(prompt: str) -> None:
    """Show words to the user, who has to press a button: the GUI's only."""
    _dialogue("message")
    state.current().messages.append(prompt)


def ask(prompt: str) -> bool:
    """Ask the user yes or no; a test puts the answers into ``session.answers``."""
    _dialogue("ask")
    session = state.current()
    if not session.answers:
        raise StandInError(f"nobody answers {prompt!r}; put answers into session.answers")
    session.messages.append(prompt)
    return session.answers.pop(0)


def _dialogue(what: str) -> None:
    state.on_main_thread(f"nuke.{what}")
    if not state.current().gui:
        raise StandInError(f"nuke.{what} in a terminal session, where nobody can answer; test nuke.GUI first")
    forbid_in_render()


def tprint(*args: Any, sep: str = " ", end: str = "\n", file: Any = None) -> None:
    """Print to the terminal."""
    print(*args, sep=sep, end=end, file=file or sys.stdout)


def _logger(level: str) -> Callable[[str], None]:
    def log(message: str) -> None:
        """Put a line into the error console and the terminal."""
        state.current().messages.append(f"{level}: {message}")
        print(f"{level}: {message}", file=sys.stderr)

    log.__name__ = log.__qualname__ = level.lower()
    return log


error, warning, debug = _logger("ERROR"), _logger("WARNING"), _logger("DEBUG")


def executing(f: float | None = None) -> bool:
    """Whether Nuke renders. In a knobChanged handler it does not say so, though an execute would fail (inference)."""
    if f is not None:
        raise StandInError("nuke.executing with a frame")
    return state.current().executing


def cancel() -> None:
    """Stop the running render."""
    state.current().cancel()


# ---------------------------------------------------------------------- menus


class MenuItem:
    """One command of a menu."""

    def __init__(self, path: str, command: Any, rest: dict[str, Any]) -> None:
        self._path, self._command, self._rest, self._enabled = path, command, rest, True

    def name(self) -> str:
        """What the menu shows."""
        return self._path.rpartition("/")[2]

    def script(self) -> str:
        """The Python it runs, where it is text."""
        return self._command if isinstance(self._command, str) else ""

    def invoke(self) -> None:
        """Choose it."""
        session = state.current()
        session.namespace["nuke"] = session.nuke
        if callable(self._command):
            self._command()
        elif self._command:
            exec(compile(self._command, f"<menu {self._path}>", "exec"), session.namespace)  # noqa: S102

    def setEnabled(self, enabled: bool, recursive: bool = True) -> None:
        """Grey it out or not."""
        del recursive
        self._enabled = enabled


class Menu(MenuItem):
    """A menu: ``Nuke``, ``Nodes`` or one inside them."""

    def addCommand(
        self,
        name: str,
        command: Any = "",
        shortcut: str = "",
        icon: str = "",
        tooltip: str = "",
        index: int = -1,
        readonly: bool = False,
        node: bool = False,
        shortcutContext: int = 0,
    ) -> MenuItem:
        """Add a command: text of Python or something to call."""
        if not isinstance(command, str) and not callable(command):
            raise TypeError(f"{command!r} is no command")
        rest = {"shortcut": shortcut, "icon": icon, "tooltip": tooltip, "index": index, "node": node}
        rest.update(readonly=readonly, shortcutContext=shortcutContext)
        return self._put(MenuItem(f"{self._path}/{name}", command, rest))

    def addMenu(self, name: str, icon: str = "", tooltip: str = "", index: int = -1) -> Menu:
        """Add a menu, or find the one that is there."""
        found = self.findItem(name)
        new = Menu(f"{self._path}/{name}", None, {"icon": icon, "tooltip": tooltip, "index": index})
        return found if isinstance(found, Menu) else self._put(new)  # type: ignore[return-value]

    def addSeparator(self, index: int = -1) -> None:
        """Add a line."""
        del index

    def findItem(self, name: str) -> Any:
        """The item at a path below, or None."""
        return state.current().menus.get(f"{self._path}/{name}")

    def menu(self, name: str) -> Menu | None:
        """The menu at a path below, or None."""
        found = self.findItem(name)
        return found if isinstance(found, Menu) else None

    def items(self) -> list[MenuItem]:
        """The items right below."""
        inside = self._path + "/"
        return [v for k, v in state.current().menus.items() if k.startswith(inside) and "/" not in k[len(inside) :]]

    def removeItem(self, name: str) -> None:
        """Take an item away; nothing happens where there is none."""
        state.current().menus.pop(f"{self._path}/{name}", None)

    def _put(self, item: MenuItem) -> MenuItem:
        parts = item._path.split("/")
        for n in range(2, len(parts)):
            path = "/".join(parts[:n])
            state.current().menus.setdefault(path, Menu(path, None, {}))
        state.current().menus[item._path] = item
        return item


def menu(name: str) -> Menu:
    """One of Nuke's own menus; the GUI's only."""
    if not state.current().gui:
        raise StandInError("nuke.menu in a terminal session; menus belong into menu.py")
    if name not in {"Nuke", "Nodes", "Viewer", "Node Graph", "Pane", "Properties", "Animation", "Axis"}:
        raise StandInError(f"Nuke has no menu {name!r}")
    return Menu(name, None, {})


# ---------------------------------------------------------------------- plugin path


def pluginAddPath(args: Any, addToSysPath: bool = True) -> None:
    """Look for plugins in folders before others, and run their init.py; relative ones count from the running file."""
    _plugin_paths(args, addToSysPath, first=True)


def pluginAppendPath(args: Any, addToSysPath: bool = True) -> None:
    """Look for plugins in folders after others, and run their init.py."""
    _plugin_paths(args, addToSysPath, first=False)


def _plugin_paths(args: Any, importable: bool, first: bool) -> None:
    from .launch import add_plugin_path

    for arg in args if isinstance(args, (list, tuple)) else [args]:
        session = state.current()
        base = session.loading[-1] if session.loading else Path.cwd()
        add_plugin_path(session, (base / arg).resolve(), importable, first)


def pluginPath() -> list[str]:
    """The folders that plugins are looked for in."""
    return [path.as_posix() for path in state.current().plugin_paths]


# ---------------------------------------------------------------------- undo and env


class Undo:
    """Undo steps. The stand-in keeps making and deleting of nodes only; ``disable`` keeps deletions out of it."""

    def __init__(self, name: str = "") -> None:
        self._name = name

    @classmethod
    def begin(cls, name: str = "") -> None:
        """Start a step."""
        del name

    @classmethod
    def end(cls) -> None:
        """End a step."""

    @classmethod
    def name(cls, name: str) -> None:
        """Name the step."""
        del name

    @classmethod
    def disable(cls) -> None:
        """Keep no steps until ``enable``; each is counted."""
        state.current().undo_disabled += 1

    @classmethod
    def enable(cls) -> None:
        """Keep steps again."""
        session = state.current()
        if not session.undo_disabled:
            raise StandInError("Undo.enable without a disable")
        session.undo_disabled -= 1

    @classmethod
    def disabled(cls) -> bool:
        """Whether steps are not kept."""
        return state.current().undo_disabled > 0

    def __enter__(self) -> Undo:
        return self

    def __exit__(self, type: Any, value: Any, traceback: Any) -> None:  # noqa: A002
        return None


class GlobalsEnvironment:
    """``nuke.env``: a name that it does not know raises ``KeyError``."""

    def __init__(self, known: dict[str, Any]) -> None:
        self._known = known

    def __getitem__(self, index: str) -> Any:
        return self._known[index]

    def __contains__(self, other: str) -> bool:
        return other in self._known

    def get(self, index: str, default: Any = None) -> Any:
        """A value, or another where the name is not known."""
        return self._known.get(index, default)

    def keys(self) -> list[str]:
        """The names."""
        return list(self._known)
