"""Temporary files beside the results: named so that nothing takes them for frames, swept when their writer is gone."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deepupscale.errors import UsageError, WriteError

_LOST_OWNER_AFTER_S = 24 * 3600.0


def temporary_name(path: Path) -> Path:
    """A hidden name beside the final one that tells who writes it; it ends in .exr, or no writer would be found."""
    return path.with_name(f".{path.stem}.writing-{writer()}.exr")


def writer() -> str:
    """This process as temporary names tell it: ``host-pid``."""
    host = re.sub(r"[^A-Za-z0-9-]", "", socket.gethostname())[:32] or "host"
    return f"{host}-{os.getpid()}"


@contextmanager
def whole(path: Path, option: str = "") -> Generator[BinaryIO]:
    """A small file that is there when all of it is written, or stays as it was.

    Args:
        path: The file; one of that name is replaced.
        option: The option that named it, for the message.

    Raises:
        WriteError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{writer()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        where = f"{option} {path}" if option else str(path)
        raise WriteError(f"{where}: cannot be written: {error.strerror or error}: is the disk full?") from None
    finally:
        temporary.unlink(missing_ok=True)


def check_target(out: Path, suffix: str, overwrite: bool) -> None:
    """Refuse at once what could not be written in the end.

    Args:
        out: The file to make.
        suffix: How its name must end, as in ``.onnx``.
        overwrite: Whether it may exist.

    Raises:
        UsageError: Another ending, a folder, a folder around it that is missing or closed, or a file that may not be
            replaced.
    """
    try:
        if out.suffix != suffix:
            raise UsageError(f"{out}: name a file that ends in {suffix}")
        if out.is_dir():
            raise UsageError(f"{out}: is a folder: name a file")
        if not out.absolute().parent.is_dir():
            raise UsageError(f"{out}: there is no folder {out.absolute().parent}: make it first")
        if not os.access(out.absolute().parent, os.W_OK):
            raise UsageError(f"{out}: its folder cannot be written to")
        if os.path.lexists(out) and not overwrite:
            raise UsageError(f"{out}: exists: replace it by --overwrite, or name another file")
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror or error}") from None


def is_abandoned(name: str, touched: float) -> bool:
    """Whether the writer of something temporary is gone: a dead process of this host, or any host's after a day.

    Args:
        name: The writer, ``host-pid``.
        touched: When it was last written to, in seconds since the epoch.
    """
    host, _, pid = name.rpartition("-")
    old = time.time() - touched > _LOST_OWNER_AFTER_S
    return old or (host == writer().rpartition("-")[0] and pid.isdecimal() and not _alive(int(pid)))


def sweep_stale(folder: Path) -> int:
    """Remove temporary files whose writer is gone: a dead process of this host, or any host's after a day.

    Returns:
        How many were removed.
    """
    removed = 0
    for found in folder.glob(".*.writing-*-*.exr"):
        match = re.fullmatch(r"\..*\.writing-([A-Za-z0-9-]+-\d{1,10})(\.header)?\.exr", found.name)
        if match is None or found.is_symlink():
            continue
        try:
            if is_abandoned(match[1], found.stat().st_mtime):
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
