"""Rounds: every contestant has its turn in every round (A B C, A B C, ...).

A shared machine drifts. Contestants that are timed minutes apart are compared across that drift; here two of them are
compared within each round, and the median over the rounds is what counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """What a turn that measures itself returns.

    Attributes:
        seconds: Its time.
        peak_mib: Peak resident memory of the process that did it, in MiB; None where the system does not tell.
        engine_seconds: The part of its time that the engine reports.
    """

    seconds: float
    peak_mib: float | None = None
    engine_seconds: float | None = None


@dataclass(frozen=True)
class Series:
    """One figure per round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """Smallest of the rounds."""
        return min(self.values)

    @property
    def most(self) -> float:
        """Largest of the rounds."""
        return max(self.values)

    def over(self, other: Series) -> Series:
        """Ratios to another series, round by round."""
        return Series(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))


@dataclass
class Contestant:
    """Something to time.

    Attributes:
        section: Heading it stands under.
        name: What it is.
        turn: Does the work once; returns an :class:`Outcome` if it measured itself.
        warm_up: Done once before the first round; None for a turn.
        repeats: Turns a round, for short ones; the mean counts.
        precision: ``f32`` or ``bf16`` where it is arithmetic.
        flop: Floating-point operations of a turn, as computed (2 per multiply-add).
        useful_flop: Those that a frame without halos would have needed.
        note: Shown beside it.
    """

    section: str
    name: str
    turn: Callable[[], Outcome | None]
    warm_up: Callable[[], object] | None = None
    repeats: int = 1
    precision: str = ""
    flop: float = 0.0
    useful_flop: float = 0.0
    note: str = ""
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def seconds(self) -> Series:
        """Time of a turn, round by round."""
        return Series(tuple(outcome.seconds for outcome in self.outcomes))

    @property
    def peak_mib(self) -> float | None:
        """Highest peak over the rounds."""
        peaks = [outcome.peak_mib for outcome in self.outcomes if outcome.peak_mib is not None]
        return max(peaks, default=None)


@dataclass(frozen=True)
class Skipped:
    """Something that was not timed, and why."""

    name: str
    reason: str


def interleave(contestants: Sequence[Contestant], rounds: int, told: Callable[[str], None]) -> None:
    """Give everyone its turn in every round; outcomes are kept with the contestants.

    Args:
        contestants: In the order of their turns.
        rounds: How many.
        told: Told what comes next.
    """
    for contestant in contestants:
        told(f"warming up: {contestant.name}")
        (contestant.warm_up or contestant.turn)()
    for number in range(rounds):
        for contestant in contestants:
            told(f"round {number + 1} of {rounds}: {contestant.name}")
            contestant.outcomes.append(_turn(contestant))


def _turn(contestant: Contestant) -> Outcome:
    measured: Outcome | None = None
    began = time.perf_counter()
    for _ in range(contestant.repeats):
        measured = contestant.turn()
    return measured or Outcome((time.perf_counter() - began) / contestant.repeats)
