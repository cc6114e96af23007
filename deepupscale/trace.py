"""Traces: what each thread did, and when, as a file that Perfetto and Chrome's trace viewer open.

Stages are marked where they are done, by :func:`span` and :func:`traced`; without a recording a mark costs next to
nothing.
The file is the Trace Event Format's JSON object: complete events (``X``), times in microseconds since the recording
began, and the names of process and threads (``M``).
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from deepupscale.temporary import whole

MOST_EVENTS = 100_000  # about 15 MB of file; frames of 2K make some 200 each
MAIN = "infer"
"""What the thread is called that runs the network: the one that calls the engine."""
_ORDER = ("read", MAIN, "write")  # of rows, as frames go; others come after

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Event = tuple[str, str, int, int, dict[str, Any]]


class Trace:
    """What was recorded.

    Args:
        most: Events kept; later ones are only counted.

    Attributes:
        left_out: Events that were not kept.
    """

    def __init__(self, most: int = MOST_EVENTS) -> None:
        self.left_out = 0
        self._most = most
        self._began = time.perf_counter_ns()
        self._events: list[_Event] = []
        self._lock = threading.Lock()

    def add(self, name: str, began: int, ended: int, arguments: dict[str, Any]) -> None:
        """Keep what this thread did from ``began`` to ``ended``, in nanoseconds of ``time.perf_counter_ns``."""
        with self._lock:
            if len(self._events) < self._most:
                self._events.append((_thread(), name, began - self._began, ended - began, arguments))
            else:
                self.left_out += 1

    def document(self) -> dict[str, Any]:
        """The file's contents, JSON-ready; events in the order in which they began, a stage before what is in it."""
        with self._lock:
            events, left_out = sorted(self._events, key=lambda event: (event[2], -event[3])), self.left_out
        found = {event[0]: None for event in events}
        rows = [*(name for name in _ORDER if name in found), *(name for name in found if name not in _ORDER)]
        threads = {name: number for number, name in enumerate(rows, 1)}
        process = "deepupscale" + (f" ({left_out} events left out, the first {self._most} kept)" if left_out else "")
        pid = os.getpid()
        named = [_meta(pid, 0, "process_name", {"name": process})]
        for thread, number in threads.items():
            named.append(_meta(pid, number, "thread_name", {"name": thread}))
            named.append(_meta(pid, number, "thread_sort_index", {"sort_index": number}))
        spans = [
            {
                "name": name, "cat": "stage", "ph": "X", "ts": began / 1000, "dur": lasted / 1000,
                "pid": pid, "tid": threads[thread], "args": arguments,
            }
            for thread, name, began, lasted, arguments in events
        ]  # fmt: skip
        told = {"most_events": self._most, "events_left_out": left_out}
        return {"traceEvents": [*named, *spans], "displayTimeUnit": "ms", "otherData": told}

    def write(self, path: Path, option: str = "") -> None:
        """Write the file, whole or not at all.

        Raises:
            WriteError: It cannot be written.
        """
        with whole(path, option) as file:
            file.write((json.dumps(self.document(), separators=(",", ":")) + "\n").encode())


def _meta(pid: int, tid: int, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "M", "pid": pid, "tid": tid, "args": arguments}


def _thread() -> str:
    current = threading.current_thread()
    return MAIN if current is threading.main_thread() else current.name


class _Recording:
    trace: Trace | None = None


class _Labels(threading.local):
    def __init__(self) -> None:
        self.now: dict[str, Any] = {}


_recording = _Recording()
_labels = _Labels()
_nothing: AbstractContextManager[None] = nullcontext()


@contextmanager
def recording(trace: Trace | None) -> Generator[None]:
    """Record every stage of this process, on all its threads; None records nothing."""
    before, _recording.trace = _recording.trace, trace
    _labels.now = {}  # what an earlier recording's end may have left
    try:
        yield
    finally:
        _recording.trace = before


def span(name: str, **arguments: Any) -> AbstractContextManager[None]:
    """A stage: from entering to leaving it.

    Args:
        name: What is done.
        arguments: What it is done to, beside this thread's labels.
    """
    trace = _recording.trace
    return _nothing if trace is None else _Span(trace, name, arguments)


def label(**labels: Any) -> None:
    """What this thread is at, for the stages that follow on it; None takes a label off."""
    if _recording.trace is not None:
        merged = _labels.now | labels
        _labels.now = {key: value for key, value in merged.items() if value is not None}


def traced(name: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Make a stage of every call of a function."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def timed(*given: _P.args, **named: _P.kwargs) -> _R:
            if _recording.trace is None:
                return function(*given, **named)
            with span(name):
                return function(*given, **named)

        return timed

    return decorate


class _Span:
    __slots__ = ("_arguments", "_began", "_name", "_trace")

    def __init__(self, trace: Trace, name: str, arguments: dict[str, Any]) -> None:
        self._trace, self._name, self._arguments = trace, name, arguments
        self._began = 0

    def __enter__(self) -> None:
        self._began = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._trace.add(self._name, self._began, time.perf_counter_ns(), _labels.now | self._arguments)
