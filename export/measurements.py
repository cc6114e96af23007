"""Measurements: the means of an evaluation's report that are of the checkpoint in hand, as a promise tells them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from deepupscale.errors import UsageError
from deepupscale.promise import Metric

_LARGEST_REPORT = 256 << 20  # bytes
_VERSION = 1  # of report.json
_UNITS = {"psnr": "dB", "pu21": "dB", "drift": "%"}


def measurements(report: Path, digest: str) -> tuple[Metric, ...]:
    """The mean figures of a checkpoint in a report of ``deepupscale evaluate``.

    Args:
        report: ``report.json``, or the folder that holds it.
        digest: SHA-256 of the checkpoint, hexadecimal.

    Returns:
        One metric for each figure that has a value, each with what it was measured on.

    Raises:
        UsageError: No such report, a damaged or newer one, or one that does not measure this checkpoint.
    """
    file = report / "report.json" if report.is_dir() else report
    document = _read(file)
    if document.get("version") != _VERSION:
        raise UsageError(f"--report {file}: is no report of deepupscale evaluate of version {_VERSION}")
    try:
        contender = next((c for c in document["contenders"] if c["sha256"] == digest), None)
        if contender is None:
            raise UsageError(
                f"--report {file}: measures other models, none of sha256 {digest[:12]}: "
                "evaluate this checkpoint by deepupscale evaluate --model CHECKPOINT"
            )
        means, pairs = document["means"][contender["name"]], _pairs(document, str(contender["runs"]))
        found = [(str(name), float(value)) for name, value in means.items() if value is not None]
        if not found or document["done"] < 1:
            raise UsageError(f"--report {file}: holds no figure of this checkpoint yet")
        if not all(math.isfinite(value) for _, value in found):
            raise ValueError("a figure is not finite")
        return tuple(Metric(name=name, value=value, unit=_UNITS.get(name, ""), pairs=pairs) for name, value in found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"--report {file}: is damaged: {error}: evaluate again") from None


def _pairs(document: dict[str, Any], runs: str) -> str:
    """What was measured on, in one sentence; of folders the last name only."""
    options, done, total = document["options"], int(document["done"]), int(document["pairs"])
    said = f"{done} of {total} pairs of {', '.join(Path(str(source)).name for source in document['sources'])}"
    if options["held_out"] is not None:
        said += f", held out {float(options['held_out']):g}"
    if any(result["kind"] == "degraded" for result in document["results"]):
        said += f", LR by {options['degrade']}"
    return f"{said}; run by {runs}"[:2000]


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST_REPORT:
            raise UsageError(f"--report {file}: is too large for a report")
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--report {file}: cannot be read as a report: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"--report {file}: is no report of deepupscale evaluate")
    return found
