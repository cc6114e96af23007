"""The one place where text leaves for the user."""

from __future__ import annotations

import sys

from deepupscale.errors import one_line


def say(text: str = "") -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """An error: one line on standard error."""
    sys.stderr.write(f"deepupscale: error: {one_line(text)}\n")
    sys.stderr.flush()
