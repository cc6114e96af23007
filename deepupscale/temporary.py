"""Temporary files beside the results: named so that nothing takes them for frames, swept when their writer is gone."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

_LOST_OWNER_AFTER_S = 24 * 3600.0


def temporary_name(path: Path) -> Path:
    """A hidden name beside the final one that tells who writes it; it ends in .exr, or no writer would be found."""
    host = re.sub(r"[^A-Za-z0-9-]", "", socket.gethostname())[:32] or "host"
    return path.with_name(f".{path.stem}.writing-{host}-{os.getpid()}.exr")


def sweep_stale(folder: Path) -> int:
    """Remove temporary files whose writer is gone: a dead process of this host, or any host's after a day.

    Returns:
        How many were removed.
    """
    host = temporary_name(Path("x.exr")).name.removeprefix(".x.writing-").rpartition("-")[0]
    removed = 0
    for found in folder.glob(".*.writing-*-*.exr"):
        match = re.fullmatch(r"\..*\.writing-([A-Za-z0-9-]+)-(\d{1,10})(\.header)?\.exr", found.name)
        if match is None or found.is_symlink():
            continue
        try:
            old = time.time() - found.stat().st_mtime > _LOST_OWNER_AFTER_S
            if old or (match[1] == host and not _alive(int(match[2]))):
                found.unlink()
                removed += 1
        except OSError:
            continue  # another process swept it first, or it is not ours to remove
    return removed


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
