"""What can go wrong, as one tree.

    DeepUpscaleError                    one line to the user; carries the command's exit code
    ├── SetupError              (2)     nothing can run as asked
    │   ├── UsageError                  an argument, a frame range, a path, a compression name
    │   ├── ModelError                  a model file, its promise, or what it needs of the engine
    │   ├── StoreError                  a training store that is damaged, foreign, or cannot be written
    │   ├── RuntimeUnavailableError     a device, a runtime or a precision that this machine lacks
    │   └── MissingExtraError           a verb or option whose optional packages are not installed
    ├── FrameError              (1)     one frame failed; the others go on
    │   ├── PlateError                  the plate cannot be read, or is of a kind that is refused
    │   ├── InferenceError              the runtime gave up on the frame
    │   └── WriteError                  the result cannot be written; no part of it is left behind
    ├── CancelledError          (130)   whoever asked for a frame wants it no more; nothing of it is left behind
    └── ProtocolError           (2)     a message to the worker that is none, or not as its protocol says

Every message names what was being done, the file, and what would help. No other exception of ours reaches a user.
"""

from __future__ import annotations


class DeepUpscaleError(Exception):
    """Root of all our errors. ``str(error)`` is one line."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class SetupError(DeepUpscaleError):
    """Nothing can run as asked (exit code 2)."""


class UsageError(SetupError):
    """An argument that cannot be meant."""


class ModelError(SetupError):
    """A model that is not ours, is damaged, is too new, or does not fit the engine."""


class StoreError(SetupError):
    """A store of training pairs that is damaged, of another version, or cannot be written."""


class RuntimeUnavailableError(SetupError):
    """A device, runtime or precision that this machine does not have."""


class MissingExtraError(SetupError):
    """A verb or an option whose optional packages are not installed."""

    def __init__(self, what: str, module: str, extra: str) -> None:
        super().__init__(f"{what} needs the package {module}: pip install 'deepupscale[{extra}]'")


class FrameError(DeepUpscaleError):
    """One frame failed (exit code 1)."""

    exit_code = 1


class PlateError(FrameError):
    """A plate that cannot be read, or that is refused."""


class InferenceError(FrameError):
    """The runtime gave up on a frame, most often for want of memory."""


class WriteError(FrameError):
    """A result that could not be written whole. Nothing of it is left behind."""


class CancelledError(DeepUpscaleError):
    """Work that was stopped because whoever asked for it said so. Nothing of it is left behind."""

    exit_code = 130


class ProtocolError(DeepUpscaleError):
    """A message to the worker that cannot be read or answered.

    Args:
        message: One line.
        code: The error's number (JSON-RPC 2.0, section 5.1, and ``docs/worker.md``).
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def one_line(text: str) -> str:
    """The text with line breaks and control characters made spaces, and not longer than a terminal can bear."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= 1000 else flat[:997] + "..."
