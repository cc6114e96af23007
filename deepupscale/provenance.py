"""Provenance: what a result says of how it was made, and whether it counts as done."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from deepupscale import __version__
from deepupscale.errors import CancelledError, PlateError
from deepupscale.model_file import ModelFile
from deepupscale.outputs import decide, same_pictures
from deepupscale.plate import Limits, Plate
from deepupscale.settings import Settings
from deepupscale.sinks import SETTINGS_ATTRIBUTE, OutputPart
from deepupscale.trace import span

Check = Callable[[], None]
"""Called between blocks of a file; raises if the work is wanted no more."""
Stamp = tuple[int, int, int]
"""Size of a file in bytes, time of its last write in nanoseconds since the epoch, and its number."""
_BLOCK = 4 << 20


def why_not_done(
    result: Path,
    model: ModelFile,
    settings: Settings,
    source: Path | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> str:
    """Whether a result is whole and made as asked. Nothing is inferred.

    Args:
        result: The file.
        model: What it should be made with.
        settings: What is asked for; ``overwrite`` does not count.
        source: The plate it should be made from; None if any will do.
        cancelled: Asked while the plate is read whether to stop.

    Returns:
        Why it is not, in one line; empty if it is.

    Raises:
        PlateError: The plate cannot be read or is refused.
        CancelledError: ``cancelled`` said so.
    """

    def check() -> None:
        if cancelled is not None and cancelled():
            raise CancelledError("cancelled")

    if source is None:
        return why_not(result, settings_document(model, settings, ""), None, check)
    with Plate(source, settings.limits) as plate:
        outputs, _ = decide(plate, settings)
        return why_not(result, settings_document(model, settings, digest(source, check)), outputs, check)


def settings_document(model: ModelFile, settings: Settings, source: str) -> dict[str, Any]:
    """What a result says of how it was made; equal documents mean equal results.

    Args:
        model: What it is made with.
        settings: What is asked for.
        source: Digest of the plate.
    """
    return {
        "engine": __version__,
        "model": model.digest,
        "scale": settings.scale,
        "precision": settings.precision,
        "compression": settings.compression,
        "layers": {name: str(method) for name, method in sorted(settings.layers.items())},
        "source": source,
    }


def packed(settings: Mapping[str, Any]) -> str:
    """The document as it stands in the result."""
    return json.dumps(settings, separators=(",", ":"))


def why_not(
    result: Path, wanted: Mapping[str, Any], outputs: Sequence[OutputPart] | None, check: Check | None = None
) -> str:
    """See :func:`why_not_done`; without ``outputs`` the plate does not count."""
    try:
        with span("verify", file=result.name), Plate(result, Limits.none()) as found:
            for part in found.parts:
                said = part.spec.get_string_attribute(SETTINGS_ATTRIBUTE)
                if why := _difference(said, wanted, any_source=outputs is None):
                    return f"{result}: {why}"
            if outputs is not None and not same_pictures(found.parts, outputs):
                return f"{result}: its parts, windows or channels are not those that the plate gives"
            found.read_through(check)
    except PlateError as error:
        return str(error)
    return ""


def _difference(said: str, wanted: Mapping[str, Any], any_source: bool) -> str:
    """Where what a result says of how it was made differs from what is asked; empty if it does not."""
    try:
        document: object = json.loads(said)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return "does not say how it was made: no result of deepupscale"
    found = cast("dict[str, Any]", document)
    asked = {**wanted, "source": found.get("source")} if any_source else wanted
    if said == packed(asked):
        return ""
    key = next((key for key in asked if found.get(key) != asked[key]), "")
    if key in ("model", "source"):
        return (
            "was made by another model" if key == "model" else "was made from another plate, or the plate has changed"
        )
    if not key:
        return "was made with settings of another kind"
    return f"was made with {key} {json.dumps(found.get(key))}, not {json.dumps(asked[key])}"


def stamp_of(path: Path) -> Stamp | None:
    """A file's stamp; None if there is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def digest(path: Path, check: Check) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises:
        PlateError: It cannot be read.
    """
    found = hashlib.sha256()
    try:
        with span("digest", file=path.name), path.open("rb") as file:
            while block := file.read(_BLOCK):
                check()
                found.update(block)
    except OSError as error:
        raise PlateError(f"{path}: cannot be read: {error.strerror or os.strerror(error.errno or 0)}") from None
    return found.hexdigest()
