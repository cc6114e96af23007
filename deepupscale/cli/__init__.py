"""The ``deepupscale`` command: a set of verbs, each in a module of its own.

Every verb returns a result; :mod:`deepupscale.cli.output` prints it. Errors of ours become one line on standard error
and their exit code: 0 done, 1 some frame failed, 2 usage, model or configuration.
"""

from __future__ import annotations

from deepupscale.cli.app import main

__all__ = ["main"]
