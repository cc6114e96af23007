# ruff: noqa: N802, N803 (names are Nuke's)
"""Callbacks, in the order that Nuke's guide gives: a knob's code first, then those added for the class, then for ``*``.

What a callback raises comes through to whoever caused it: Nuke shows some of these errors in a dialogue and goes on,
but a test has to see them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import state
from .errors import StandInError

if TYPE_CHECKING:
    from .knob_base import Knob
    from .nodes import Node

EVENTS = (
    "OnUserCreate",
    "OnCreate",
    "OnScriptLoad",
    "OnScriptSave",
    "OnScriptClose",
    "OnDestroy",
    "KnobChanged",
    "UpdateUI",
    "Autolabel",
    "BeforeRender",
    "BeforeFrameRender",
    "AfterFrameRender",
    "AfterRender",
    "RenderProgress",
    "FilenameFilter",
)
RENDERING = ("BeforeRender", "BeforeFrameRender", "AfterFrameRender", "AfterRender", "RenderProgress")


def knob_of(event: str) -> str:
    """The knob whose code belongs to an event: ``OnCreate`` to ``onCreate``."""
    return event[0].lower() + event[1:]


def adder(event: str) -> Callable[..., None]:
    """The ``nuke.addX`` of an event."""

    def add(call: Callable[..., Any], args: tuple = (), kwargs: Any = None, nodeClass: str = "*") -> None:
        """Have ``call`` made on this event, for nodes of one class or of any."""
        _add(event, call, args, kwargs, nodeClass, None)

    return _named(add, f"add{event}")


def remover(event: str) -> Callable[..., None]:
    """The ``nuke.removeX`` of an event."""

    def remove(call: Callable[..., Any], args: tuple = (), kwargs: Any = None, nodeClass: str = "*") -> None:
        """Take back what the adding function of this event was told with the same arguments."""
        _remove(event, call, args, kwargs, nodeClass, None)

    return _named(remove, f"remove{event}")


def addKnobChanged(
    call: Callable[..., Any],
    args: tuple = (),
    kwargs: Any = None,
    nodeClass: str = "*",
    node: Node | None = None,
) -> None:
    """Have ``call`` made when a knob changes while the panel is open, of one class, of any, or of one node."""
    _add("KnobChanged", call, args, kwargs, nodeClass, node)


def removeKnobChanged(
    call: Callable[..., Any],
    args: tuple = (),
    kwargs: Any = None,
    nodeClass: str = "*",
    node: Node | None = None,
) -> None:
    """Take back what ``addKnobChanged`` was told with the same arguments."""
    _remove("KnobChanged", call, args, kwargs, nodeClass, node)


def _named(function: Callable[..., None], name: str) -> Callable[..., None]:
    function.__name__ = function.__qualname__ = name
    return function


def _add(event: str, call: Any, args: tuple, kwargs: Any, of: str, node: Node | None) -> None:
    if not callable(call):
        raise TypeError(f"{call!r} cannot be called")
    state.current().callbacks[event][of].append((call, tuple(args), dict(kwargs or {}), node))


def _remove(event: str, call: Any, args: tuple, kwargs: Any, of: str, node: Node | None) -> None:
    there = state.current().callbacks[event][of]
    wanted = (call, tuple(args), dict(kwargs or {}), node)
    if wanted not in there:
        raise StandInError(f"no {event} callback {call!r} was added for {of}")
    there.remove(wanted)


def fire(event: str, node: Node, knob: Knob | None = None) -> list[Any]:
    """Tell a node's own code, then what was added; returns what the added calls returned."""
    own = node.knob(knob_of(event))
    if own is not None and own._text():
        state.run_code(own._text(), node, knob or own)
    answers = []
    table = state.current().callbacks[event]
    with state.this(node, knob):
        for call, args, kwargs, only in [*table[node.Class()], *table["*"]]:
            if only is None or only is node:
                answers.append(call(*args, **kwargs))
    return answers


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
    """Inside, an execute raises the nesting error."""
    session = state.current()
    session.busy.append(what)
    try:
        yield
    finally:
        session.busy.pop()


def knob_changed(node: Node, knob: Knob) -> None:
    """Tell knobChanged, if the panel is open; not while handlers of the same node run, nor while nodes are built.

    From the guide: only with the panel open, and not in circles. That ``inputChange`` needs the open panel too, and
    that an execute in a handler raises, is what users report.
    """
    session = state.current()
    if session.quiet or not node.shown() or f"knobChanged {id(node)}" in session.busy:
        return
    with refusing(f"knobChanged {id(node)}"):
        fire("KnobChanged", node, knob)


def idle() -> None:
    """updateUI, then autolabel, for every node."""
    for node in list(state.current().root._all()):
        fire("UpdateUI", node)
        fire("Autolabel", node)


def created(node: Node, by_user: bool = False) -> None:
    """Tell that a node exists: onUserCreate for the user's own, then onCreate."""
    if by_user:
        fire("OnUserCreate", node)
    fire("OnCreate", node)
