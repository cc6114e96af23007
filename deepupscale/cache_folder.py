"""The cache folder: what runtimes compile for a machine is kept there, for the user alone.

A compiled plan is run as it is found, so a folder that others can write to is no place for one.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path

log = logging.getLogger(__name__)

ENVIRONMENT = "DEEPUPSCALE_CACHE"
"""Names another folder; it is held to the same rule."""


def cache_folder(*parts: str) -> Path | None:
    """A folder of the user's own below the cache, made if it is not there.

    Args:
        parts: Names below it, of letters, digits, ``-``, ``_`` and ``.``.

    Returns:
        The folder, or None (which is logged) where it cannot be made, is a link, belongs to someone else, or may be
        written to by others.
    """
    folder = _root()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in ("", *parts):
            folder = folder / part
            folder.mkdir(exist_ok=True, mode=0o700)
            if why := _why_unsafe(folder):
                log.warning("%s: %s: nothing is kept there, and compiling takes its time again", folder, why)
                return None
    except OSError as error:
        log.warning("%s: cannot be made (%s): nothing is kept there", folder, error.strerror or error)
        return None
    return folder


def _root() -> Path:
    if asked := os.environ.get(ENVIRONMENT):
        return Path(asked).absolute()
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        # XDG Base Directory Specification: a relative path is to be ignored
        asked = os.environ.get("XDG_CACHE_HOME", "")
        base = asked if Path(asked).is_absolute() else str(Path.home() / ".cache")
    return Path(base) / "deepupscale"


def _why_unsafe(folder: Path) -> str:
    """Why what lies there is not to be trusted; empty if it is."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return "is no folder"
    if sys.platform == "win32":
        return ""  # LOCALAPPDATA is the user's own by the system's rules
    if found.st_uid != os.getuid():
        return "belongs to another user"
    return "may be written to by others" if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else ""
