"""The pace of a run: steps a second, and how much of the time goes by waiting for data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Pace:
    """How a run goes, for a line of progress.

    Attributes:
        step: Steps done.
        steps: Of the whole run.
        stage: Its name.
        per_second: Steps a second since the last report.
        waiting: Share of that time that was spent waiting for data.
        figures: Loss terms and the like.
        left: Seconds to the end of the run at this pace.
    """

    step: int
    steps: int
    stage: str
    per_second: float
    waiting: float
    figures: dict[str, float]
    left: float


class Meter:
    """Measures one slice of a run.

    Args:
        first: Steps done before it.
        steps: Of the whole run.
    """

    def __init__(self, first: int, steps: int) -> None:
        self._steps = steps
        self._reported = first
        self._waited = 0.0
        self._since = self._lap = time.perf_counter()

    def waiting(self, items: Iterable[T]) -> Iterator[T]:
        """The items, with the time that each is waited for counted."""
        source = iter(items)
        while True:
            began = time.perf_counter()
            try:
                item = next(source)
            except StopIteration:
                return
            self._waited += time.perf_counter() - began
            yield item

    def pace(self, step: int, stage: str, figures: dict[str, float]) -> Pace:
        """The pace since the last report."""
        now = time.perf_counter()
        took = max(now - self._since, 1e-9)
        per_second = (step - self._reported) / took
        left = (self._steps - step) / per_second if per_second > 0.0 else 0.0
        pace = Pace(step, self._steps, stage, per_second, self._waited / took, figures, left)
        self._since, self._reported, self._waited = now, step, 0.0
        return pace

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        took, self._lap = now - self._lap, now
        return took
