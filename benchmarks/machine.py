"""The machine: what the figures were taken on."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from deepupscale.cli.doctor import Examination, examine


@dataclass(frozen=True)
class Machine:
    """What was found at the start.

    Attributes:
        found: What ``deepupscale doctor`` tells.
        threads: CPU threads that every runtime is given.
        load: Load average of the last 1, 5 and 15 minutes; empty where the system has none.
    """

    found: Examination
    threads: int
    load: tuple[float, ...]

    @classmethod
    def here(cls, threads: int) -> Machine:
        """Look."""
        return cls(examine(None), threads or usable_cores(), load_average())

    def lines(self) -> list[str]:
        """The header, a line each."""
        found = self.found
        versions = {**found.packages, "rich": metadata.version("rich"), "deepupscale": found.deepupscale}
        installed = [f"{name} {version}" for name, version in versions.items() if version != "not installed"]
        lacking = [name for name, version in versions.items() if version == "not installed"]
        return [
            f"cpu       {found.cpu}, {found.cores} cores, {self.threads} threads used",
            f"          {' '.join(found.instruction_sets)}; computes in {', '.join(found.cpu_precisions)}",
            f"system    Python {found.python}",
            f"versions  {', '.join(installed)}" + (f"; without {', '.join(lacking)}" if lacking else ""),
            f"model     {found.model}; auto picks {found.auto}",
            f"load      {' '.join(f'{value:.2f}' for value in self.load) or 'unknown'} (1, 5, 15 minutes)"
            + ("; BUSY: other work will disturb the figures" if self.load and self.load[0] > 0.5 else ""),
        ]

    def document(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def usable_cores() -> int:
    """Cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def load_average() -> tuple[float, ...]:
    """Load average of the last 1, 5 and 15 minutes, where the system tells."""
    return tuple(round(value, 2) for value in os.getloadavg()) if hasattr(os, "getloadavg") else ()
