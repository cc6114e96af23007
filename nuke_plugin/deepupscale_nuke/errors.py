"""What can go wrong, as one tree. Each says in one line what, where, and what would help.

PluginError (a RuntimeError, so that Nuke stops the render that it is raised in)
├── SettingsError   a knob, a path or an option that cannot be meant
├── CacheError      the cache is missing or stale
├── WorkerError     the worker said no, or cannot be started
│   └── WorkerDied  its process ended in the middle
└── Cancelled       the user stopped it
"""

from __future__ import annotations

SETUP, FRAME, CANCELLED = -32001, -32002, -32003  # the worker's codes


class PluginError(RuntimeError):
    """Anything that the plugin refuses or fails at."""


class SettingsError(PluginError):
    """A knob, a path or an option that cannot be meant."""


class CacheError(PluginError):
    """The cache is missing or stale."""


class WorkerError(PluginError):
    """The worker answered with an error, or cannot be started.

    Attributes:
        code: The worker's code, 0 for what is the client's own.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class WorkerDied(WorkerError):  # noqa: N818 (what happened)
    """The worker's process ended before it answered."""


class Cancelled(PluginError):  # noqa: N818 (no fault)
    """The user stopped it."""

    def __init__(self, message: str = "Cancelled") -> None:
        super().__init__(message)
