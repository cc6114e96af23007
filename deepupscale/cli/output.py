"""The one place where text leaves for the user."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from deepupscale.errors import UsageError, one_line
from deepupscale.temporary import whole


def say(text: str = "") -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """An error: one line on standard error."""
    sys.stderr.write(f"deepupscale: error: {one_line(text)}\n")
    sys.stderr.flush()


def check_json_file(path: Path, option: str = "--json") -> None:
    """Refuse a place for the file of an option that cannot be written to, before the work is done.

    Raises:
        UsageError: A folder, or a file in a folder that is not there or closed.
    """
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{option} {path}: cannot be written there, name a file in a folder that exists")


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write the file of ``--json``, whole or not at all.

    Raises:
        WriteError: It cannot be written.
    """
    with whole(path, "--json") as file:
        file.write((json.dumps(document, indent=2) + "\n").encode())
