"""Pipelines: a few threads that hand work on, with bounded queues between them, and that end together.

Everything that waits here waits on one condition, so that stopping wakes all of it. A stage that raises stops the
pipeline; the thread that started it sees the error when it next waits, and at the latest when it leaves.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from deepupscale.trace import span

_T = TypeVar("_T")
Polled = Callable[[], None] | None
"""Called from time to time by a thread that waits, without any lock; what it raises ends the wait."""
_POLL_S = 0.1  # between two looks at whether the work is still wanted


class StoppedError(Exception):
    """The pipeline is stopped: let go of everything and return. Reaches no user."""


class Pipeline:
    """Threads and what they wait for. Use as a context manager: when it is left, no thread of it is alive."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stopped = False
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.stop()
        self.join()
        if error is None and self._failure is not None:
            raise self._failure

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Do ``work`` on a thread of this name."""
        thread = threading.Thread(target=self._run, args=(work,), name=name)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Make everything that waits, and every :meth:`check`, raise."""
        self._stopped = True
        self.wake()

    def join(self) -> None:
        """Wait until the threads are done."""
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """Go on only if the pipeline does.

        Raises:
            StoppedError: It does not.
        """
        if self._stopped:
            raise StoppedError

    def wake(self) -> None:
        """Something changed that a thread may wait for."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, done: Callable[[], bool], what: str, polled: Polled = None) -> None:
        """Wait until ``done``, which is asked under the pipeline's lock, and does what was waited for when it says so.

        Args:
            done: Whether the wait is over.
            what: What is waited for, for the trace.
            polled: See :data:`Polled`.

        Raises:
            StoppedError: The pipeline was stopped.
            BaseException: What a thread of the pipeline raised, on a thread that is none of its own.
        """
        if self._done(done, 0.0):
            return
        with span(f"wait for {what}"):
            while not self._done(done, _POLL_S):
                if polled is not None:
                    polled()

    def _done(self, done: Callable[[], bool], timeout: float) -> bool:
        with self._changed:
            self._raise_if_stopped()
            if not done():
                if not timeout or not self._changed.wait(timeout):
                    return False
                self._raise_if_stopped()
                if not done():
                    return False
            self._changed.notify_all()
            return True

    def _raise_if_stopped(self) -> None:
        if self._stopped:
            if self._failure is not None and threading.current_thread() not in self._threads:
                raise self._failure
            raise StoppedError

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoppedError:
            pass
        except BaseException as error:
            self._failure = self._failure or error
            self.stop()


class Budget:
    """Bytes that may be in use at once. What is larger than all of it is let through alone."""

    def __init__(self, pipeline: Pipeline, limit: int, what: str) -> None:
        self._pipeline, self._limit, self._what = pipeline, limit, what
        self._used = 0
        self.peak = 0

    def take(self, size: int, polled: Polled = None) -> None:
        """Wait until ``size`` more may be used; see :meth:`Pipeline.wait`."""

        def done() -> bool:
            if self._used and self._used + size > self._limit:
                return False
            self._used += size
            self.peak = max(self.peak, self._used)
            return True

        self._pipeline.wait(done, self._what, polled)

    def give(self, size: int) -> None:
        """So much is in use no more."""

        def done() -> bool:
            self._used -= size
            return True

        self._pipeline.wait(done, self._what)


class Queue(Generic[_T]):
    """First in, first out, from one thread to another.

    Args:
        pipeline: Whose threads they are.
        most: Items that it holds.
        what: What the taker waits for.
    """

    def __init__(self, pipeline: Pipeline, most: int, what: str) -> None:
        self._pipeline, self._most, self._what = pipeline, most, what
        self._items: deque[_T] = deque()

    def put(self, item: _T, polled: Polled = None) -> None:
        """Add an item when there is room; see :meth:`Pipeline.wait`."""

        def done() -> bool:
            if len(self._items) >= self._most:
                return False
            self._items.append(item)
            return True

        self._pipeline.wait(done, "room in a queue", polled)

    def get(self, polled: Polled = None) -> _T:
        """Take the first item when there is one; see :meth:`Pipeline.wait`."""
        taken: list[_T] = []

        def done() -> bool:
            if self._items:
                taken.append(self._items.popleft())
            return bool(taken)

        self._pipeline.wait(done, self._what, polled)
        return taken.pop()
