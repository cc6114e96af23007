"""A strict stand-in for Nuke, to build and test the plugin against where no Nuke is.

It offers the part of the module ``nuke`` that the plugin may use, evaluates node graphs on real EXR files, and raises
``StandInError`` on anything it does not know. ``gui()`` and ``terminal()`` start a session in a test;
``python -m nuke_standin -t script.py`` and ``-x script.nk`` are the launchers. What it does comes from Foundry's guide
and from working code of public projects; where a docstring says inference, only a real Nuke can confirm.
"""

from __future__ import annotations

from .errors import CancelledError, StandInError
from .launch import gui, terminal
from .state import Session

__all__ = ["CancelledError", "Session", "StandInError", "gui", "terminal"]
