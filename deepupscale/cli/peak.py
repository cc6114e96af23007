"""Peak: the most memory that this process has had."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_bytes() -> int | None:
    """Peak resident memory of this process in bytes; None where the system does not tell (Windows)."""
    if sys.platform == "linux":  # its ru_maxrss counts the process that started this one
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), None)
        return None if peak is None else int(peak) * 1024
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
