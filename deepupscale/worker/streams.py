"""Lines in and messages out, by file descriptors of their own: no library that prints can break the conversation."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deepupscale.errors import UsageError

MAX_LINE = 1 << 20
_BLOCK = 1 << 16


def take_over() -> tuple[int, int]:
    """Keep standard input and output for messages alone.

    What else reads from standard input finds it empty; what else prints, C libraries and child processes included,
    prints to standard error.

    Returns:
        Descriptors to read messages from and to write them to. No child process inherits them.

    Raises:
        UsageError: Standard input or output is closed.
    """
    try:
        for descriptor in (0, 1):
            os.fstat(descriptor)
    except OSError:
        raise UsageError("the worker talks over standard input and output, and one of them is closed") from None
    while (nothing := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # standard error is closed: now it is nothing, and no other file can take its number
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # pyright: ignore[reportUnnecessaryComparison]  (None where there is no such stream)
            stream.flush()
    source, target = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(source, os.O_BINARY)
        msvcrt.setmode(target, os.O_BINARY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return source, target


def lines(descriptor: int, longest: int = MAX_LINE) -> Iterator[bytes | None]:
    """Lines as they come, without their ends, until the other side closes. What has no end by then is no line.

    Args:
        descriptor: Read from without buffers or locks that would be in the way when the process ends.
        longest: Most bytes of a line.

    Yields:
        A line, or None for one that is too long; of that no more than ``longest`` bytes are held.
    """
    held: list[bytes] = []
    size = 0
    while block := _read(descriptor):
        *ended, rest = block.split(b"\n")
        for piece in ended:
            size += len(piece)
            yield None if size > longest else b"".join((*held, piece))
            held, size = [], 0
        size += len(rest)
        if size > longest:
            held = []
        else:
            held.append(rest)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _BLOCK)
    except OSError:
        return b""


class Messages:
    """Writes messages, each whole and on a line of its own; any thread may.

    Args:
        descriptor: Where to.
        lost: Called once when nobody reads any more; later messages are let go.
    """

    def __init__(self, descriptor: int, lost: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._lost = lost
        self._lock = threading.Lock()
        self._open = True

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one message, as ASCII: every name of a file survives."""
        line = memoryview(json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n")
        with self._lock:
            if not self._open:
                return
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
                return
            except OSError:
                self._open = False
        self._lost()
