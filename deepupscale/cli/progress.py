"""Progress, as a bar for people, lines for logs, or the messages of an Open Job Description worker."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol

from deepupscale.cli.output import say
from deepupscale.errors import UsageError, one_line

STYLES = ("auto", "bar", "lines", "openjd", "none")


class Reporter(Protocol):
    """Told of a run as it goes."""

    def __enter__(self) -> Reporter: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def advance(self, fraction: float) -> None:
        """The current frame's finished fraction, 0 to 1."""
        ...

    def finish(self, line: str, failed: bool = False) -> None:
        """A frame is done with, one way or another; ``line`` says how."""
        ...


def reporter(style: str, total: int) -> Reporter:
    """A reporter for ``total`` frames.

    Raises:
        UsageError: An unknown style.
    """
    if style not in STYLES:
        raise UsageError(f"unknown progress style {style!r}: use {', '.join(STYLES)}")
    if style == "auto":
        style = "bar" if sys.stderr.isatty() else "lines"
    return {"bar": _Bar, "lines": _Lines, "openjd": _OpenJd, "none": _Silent}[style](total)


class _Silent:
    def __init__(self, total: int) -> None:
        self._total = total
        self._finished = 0

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def advance(self, fraction: float) -> None:
        return

    def finish(self, line: str, failed: bool = False) -> None:
        self._finished += 1


class _Lines(_Silent):
    """One line a frame."""

    def finish(self, line: str, failed: bool = False) -> None:
        super().finish(line)
        say(f"[{self._finished}/{self._total}] {one_line(line)}")


class _OpenJd(_Silent):
    """Open Job Description session messages (openjd_progress, openjd_status, openjd_fail) on standard output."""

    def advance(self, fraction: float) -> None:
        say(f"openjd_progress: {100.0 * (self._finished + fraction) / self._total:.1f}")

    def finish(self, line: str, failed: bool = False) -> None:
        super().finish(line)
        say(f"openjd_progress: {100.0 * self._finished / self._total:.1f}")
        say(f"openjd_{'fail' if failed else 'status'}: {one_line(line)}")


class _Bar(_Silent):
    """A bar with the time left, on standard error; what is worth a line scrolls by above it."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TaskProgressColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True, highlight=False),
        )
        self._task = self._bar.add_task("frames", total=total)

    def __enter__(self) -> Reporter:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, fraction: float) -> None:
        self._bar.update(self._task, completed=self._finished + fraction)

    def finish(self, line: str, failed: bool = False) -> None:
        super().finish(line)
        self._bar.update(self._task, completed=self._finished)
        self._bar.console.print(one_line(line), markup=False, soft_wrap=True)
