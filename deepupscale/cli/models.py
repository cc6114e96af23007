"""``deepupscale models``: what can be asked for by name, and what cannot and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from deepupscale.cli.output import say
from deepupscale.errors import ModelError, one_line
from deepupscale.model_file import default_model_path
from deepupscale.model_store import Entry, Store, clash, scan
from deepupscale.promise import Promise

_HEADS = ("name", "version", "task", "verified", "halo", "licence", "origin")
_WIDEST = 40  # characters of a column; the last one is never cut


def show_models(as_json: bool) -> None:
    """Print the models of the store.

    Raises:
        ModelError: The default model does not work; what was found is printed before.
    """
    store = scan()
    entries = store.listed()
    if as_json:
        say(json.dumps(document(store, entries), indent=2))
    else:
        for line in _lines(store, entries):
            say(line)
    default = next((entry for entry in entries if entry.default), None)
    if default is None:
        raise ModelError(f"{default_model_path()}: the default model is missing: install deepupscale again")
    if default.promise is None:
        raise ModelError(default.problem)


def document(store: Store, entries: Sequence[Entry]) -> dict[str, Any]:
    """The models and folders as JSON-ready values."""
    return {
        "models": [_as_json(entry) for entry in entries],
        "folders": [{"path": str(f.path), "origin": f.origin, "problem": f.problem or None} for f in store.folders],
    }


def _as_json(entry: Entry) -> dict[str, Any]:
    promise = entry.promise
    return {
        "name": entry.name,
        "file": str(entry.file),
        "origin": entry.origin,
        "default": entry.default,
        "problem": entry.problem or None,
        "copies": [str(file) for file in entry.copies],
        "clashes": [str(file) for file in entry.clashes],
        "title": promise and promise.name,
        "version": promise and promise.model_version,
        "task": promise and promise.task,
        "verified": promise and _verified(promise),
        "halo": promise and promise.halo,
        "licence": promise and promise.licence,
    }


def _lines(store: Store, entries: Sequence[Entry]) -> list[str]:
    rows = [
        (entry, entry.promise)
        for entry in entries
        if entry.promise is not None and (entry.default or not entry.clashes)
    ]
    table = [_HEADS, *(_row(entry, promise) for entry, promise in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(_HEADS))]
    marks = [" ", *("*" if entry.default else " " for entry, _ in rows)]
    lines = [
        f"{mark} {'  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))}".rstrip()
        for mark, row in zip(marks, table, strict=True)
    ]
    if "*" in marks:
        lines += ["", "* is taken when no model is named"]
    clashing = {entry.name: (entry.file, *entry.clashes) for entry in reversed(entries) if entry.clashes}
    notes = [("broken", entry.problem) for entry in entries if entry.problem]
    notes += [("clash", f"{name}: {clash(files)}") for name, files in sorted(clashing.items())]
    notes += [("folder", problem) for problem in store.problems]
    return [*lines, *([""] if notes else []), *(f"{kind:<8}{one_line(text)}" for kind, text in notes)]


def _row(entry: Entry, promise: Promise) -> tuple[str, ...]:
    cells = (entry.name, promise.model_version, promise.task, " ".join(_verified(promise)) or "-", str(promise.halo),
             promise.licence)  # fmt: skip
    origin = "package" if entry.origin == "package" else one_line(str(entry.file.parent))
    return (*(_cell(text) for text in cells), origin)


def _cell(text: str) -> str:
    flat = one_line(text)
    return flat if len(flat) <= _WIDEST else flat[: _WIDEST - 3] + "..."


def _verified(promise: Promise) -> list[str]:
    """Precisions, in the order of the promise, each once."""
    return list(dict.fromkeys(each.precision for each in promise.verified))
