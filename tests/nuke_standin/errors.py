"""What the stand-in refuses.

``StandInError`` (an ``AttributeError``)
    A name, node, knob, item, Tcl word or expression that the stand-in does not carry, or a call that would hang or do
    nothing in Nuke. It always names what is missing: the plugin does without it, or the stand-in learns it.

Errors that Nuke itself raises keep Nuke's types (``RuntimeError``, ``NameError``, ``ValueError``, ``TypeError``).
"""

from __future__ import annotations


class StandInError(AttributeError):
    """Something that the stand-in does not know, or that would hang in Nuke."""


class CancelledError(Exception):
    """Raised to a caller whose render the user stopped; ``nuke.CancelledError``."""


BUSY = "I'm already executing something else"


def nested() -> RuntimeError:
    """The error of an execute, a ``reload`` or a new node while Nuke is busy (working code of public projects)."""
    return RuntimeError(BUSY)
