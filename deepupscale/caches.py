"""Caches: how much fast memory the cores of this machine have.

Linux tells in ``/sys``; elsewhere, and where a container hides it, a modest size is assumed.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

_CPU = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_LARGEST = 1 << 34  # bytes; a larger cache than any is a misreading
ASSUMED_BYTES = 2 << 20  # a core, where the system does not tell


@dataclass(frozen=True)
class Caches:
    """Fast memory of one machine.

    Attributes:
        cores: Cores that this process may use.
        bytes: What their second and third levels hold together.
    """

    cores: int
    bytes: int


@functools.cache
def caches_here() -> Caches:
    """This machine's."""
    return read_caches(_CPU, usable_cores())


def usable_cores() -> int:
    """Cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)


def read_caches(folder: Path, cores: int) -> Caches:
    """Caches as Linux describes those of one core (Documentation/ABI/testing/sysfs-devices-system-cpu).

    Args:
        folder: ``/sys/devices/system/cpu/cpu0/cache``; what is missing or unreadable in it does not count.
        cores: Cores that share the work; all are taken to be like the one described.
    """
    held = 0
    for index in sorted(folder.glob("index*")):
        try:
            level, kind, size, sharing = (
                (index / name).read_text(encoding="ascii").strip()
                for name in ("level", "type", "size", "shared_cpu_list")
            )
            if level in ("2", "3") and kind != "Instruction":
                held += _size(size) * -(-cores // _count(sharing))
        except (OSError, ValueError):
            continue
    return Caches(cores, held or ASSUMED_BYTES * cores)


def _size(text: str) -> int:
    """Bytes of ``1024K``."""
    size = int(text[:-1]) * _UNITS[text[-1]] if text[-1:] in _UNITS else int(text)
    if not 0 < size <= _LARGEST:
        raise ValueError(text)
    return size


def _count(text: str) -> int:
    """How many a list as ``0-3,8`` names."""
    ends = [part.partition("-") for part in text.split(",")]
    return max(1, sum(int(last or first) - int(first) + 1 for first, _, last in ends))
