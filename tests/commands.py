"""The command as the tests use it: how it is called, its exit codes, and what it leaves on disk."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

FRAME_FAILED, NOTHING_RUN = 1, 2  # exit codes

RunScript = Callable[..., subprocess.CompletedProcess[str]]
Said = tuple[int, str, str]  # exit code, standard output, standard error
Command = Callable[..., Said]
Refuse = Callable[..., str]


def made(pattern: str) -> list[str]:
    """The files of that pattern in the current folder, sorted."""
    return sorted(str(file) for file in Path().glob(pattern))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below the folder with its bytes; what a refusal must leave as it was. Empty folders do not count."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def put(model: Path, *targets: Path) -> None:
    """Copies of a model file."""
    for target in targets:
        shutil.copy(model, target)
