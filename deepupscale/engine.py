"""The engine: one plate in, one plate of twice the size out.

    plate -> fields -> passes (range compression, tiles, session, addition) -> plate

One :class:`Engine` serves a whole run; models and graphs are compiled once.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from deepupscale import __version__
from deepupscale.errors import CancelledError, InferenceError, PlateError, UsageError
from deepupscale.fields import Field, Method, fields_of, names_of, unclear_channels
from deepupscale.model_file import ModelFile
from deepupscale.passes import Cancelled, Counts, DoublingPass, Progress, Strip, Watch, effort, plan
from deepupscale.plate import Limits, Part, Plate, Rows
from deepupscale.plate_writer import PlateWriter, check_compression
from deepupscale.session import Choice, Session
from deepupscale.sinks import SETTINGS_ATTRIBUTE, OutputPart
from deepupscale.upscaler import Upscaler

SCALES = (2, 4, 8)
_BLOCK = 16 << 20


@dataclass(frozen=True)
class Settings:
    """What a run asks for.

    Attributes:
        scale: 2, or 4 and 8 by passes.
        compression: Name of an OpenEXR compression, or None for each part's own.
        layers: Layer, channel or part name to method (``--layer``).
        precision: As asked for, ``auto`` included: a result made by another machine's choice still counts as done.
        overwrite: Redo frames whose result is there.
        limits: Caps on what plates may claim.
    """

    scale: int = 2
    compression: str | None = None
    layers: Mapping[str, Method] = field(default_factory=dict[str, Method])
    precision: str = "auto"
    overwrite: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise UsageError(f"scale {self.scale} is not to be had: use 2, 4 or 8")
        if self.compression is not None:
            check_compression(self.compression)


@dataclass(frozen=True)
class PlateFile:
    """A plate's file as it was read.

    Attributes:
        size: Bytes.
        mtime_ns: When it was last written to, in nanoseconds since the epoch.
        sha256: Digest of its bytes, hexadecimal.
    """

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class FrameReport:
    """What became of one frame.

    Attributes:
        source: The plate.
        result: The file written, or found done.
        status: ``done``, ``skipped`` (found done under the same settings) or ``failed``.
        seconds: Wall time.
        size: Width and height of the first part's data window in the result.
        nonfinite: Channel to number of NaN and Inf values in the plate.
        clamped: Channel to number of values too large for half in the result, written as 65504.
        message: Why it failed.
        plate: The plate's file; None if it failed.
        settings: What the result says of how it was made; empty if it failed.
    """

    source: Path
    result: Path
    status: Literal["done", "skipped", "failed"]
    seconds: float
    size: tuple[int, int] | None = None
    nonfinite: Mapping[str, int] = field(default_factory=dict[str, int])
    clamped: Mapping[str, int] = field(default_factory=dict[str, int])
    message: str = ""
    plate: PlateFile | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Engine:
    """Upscales plates with one model.

    Args:
        model: What ``load_model`` gave.
        session: What ``open_session`` gave for it.
        settings: What is asked for.

    Raises:
        ModelError: The model is for another task.
    """

    def __init__(self, model: ModelFile, session: Session, settings: Settings) -> None:
        self._model = model
        self._session = session
        self._settings = settings
        self._upscaler = Upscaler(model, session)

    @property
    def choice(self) -> Choice:
        """What the model runs on."""
        return self._session.choice

    def upscale(
        self, source: Path, result: Path, progress: Progress | None = None, cancelled: Cancelled | None = None
    ) -> FrameReport:
        """Upscale one plate to a file; a finished one is left alone unless ``overwrite`` is set.

        Args:
            source: The plate.
            result: The file to write.
            progress: Told how far the work is.
            cancelled: Asked before every field of a tile whether to stop.

        Raises:
            PlateError: The plate cannot be read, is refused, or changed while it was read.
            InferenceError: The runtime gave up on it.
            WriteError: The result could not be written; nothing of it is left.
            CancelledError: ``cancelled`` said so; nothing of the result is left.
        """
        began = time.perf_counter()
        watch = Watch(progress, cancelled)
        try:
            before = _stamp(source)
            with Plate(source, self._settings.limits) as plate:
                outputs, fields = _decide(plate, self._settings)
                settings = settings_document(self._model, self._settings, _digest(source, watch))
                box = outputs[0].source.data_window.scaled(self._settings.scale)
                status: Literal["done", "skipped"] = "skipped"
                counts, clamped, stamp = Counts(), dict[str, int](), before
                if self._settings.overwrite or _why_not(result, settings, outputs):
                    status = "done"
                    clamped, stamp = self._write(plate, result, outputs, fields, settings, watch, counts, before)
        except InferenceError as error:
            raise InferenceError(f"{source}: {error}") from None
        except CancelledError:
            raise CancelledError(f"{source}: cancelled") from None
        size, mtime_ns, _ = stamp or (0, 0, 0)
        return FrameReport(
            source, result, status, time.perf_counter() - began, (box.width, box.height), counts.nonfinite, clamped,
            plate=PlateFile(size, mtime_ns, settings["source"]), settings=settings,
        )  # fmt: skip

    def _write(
        self,
        plate: Plate,
        result: Path,
        outputs: list[OutputPart],
        fields: list[list[Field]],
        settings: Mapping[str, Any],
        watch: Watch,
        counts: Counts,
        before: _Stamp | None,
    ) -> tuple[dict[str, int], _Stamp | None]:
        """Returns what was clamped, and the plate's stamp when it was read to its end."""
        boxes = [output.source.data_window for output in outputs]
        work = sum(box.width * box.height * sum(map(effort, kept)) for box, kept in zip(boxes, fields, strict=True))
        watch.total = work * sum(4**number for number in range(self._passes))
        with PlateWriter(result, outputs, self._settings.compression, _packed(settings)) as writer:
            for index, (output, kept) in enumerate(zip(outputs, fields, strict=True)):
                for strip in self._double(plate, output.source, kept, counts, watch):
                    channels = {name: strip[f.key][:, :, i] for f in kept for i, name in enumerate(f.channels)}
                    writer.write(index, channels)
                    del strip, channels  # or they would lie beside the next strip while it is made
            after = _stamp(plate.path)
            if after != before and _digest(plate.path, watch) != settings["source"]:
                raise PlateError(f"{plate.path}: changed while it was read: do it again when it is finished")
        return writer.clamped.counts, after

    @property
    def _passes(self) -> int:
        return self._settings.scale.bit_length() - 1

    def _double(self, plate: Plate, part: Part, fields: list[Field], counts: Counts, watch: Watch) -> Iterator[Strip]:
        """Strips of a part after as many passes as the scale needs."""
        width, height = part.data_window.width, part.data_window.height
        channels = sum(len(each.channels) for each in fields)
        tiling = plan(width, height, channels)
        strips = _gather(plate.strips(part, tiling.rows), fields)
        for number in range(self._passes):
            tiling = plan(width, height, channels)
            doubling = DoublingPass(fields, self._upscaler, counts if number == 0 else None, watch)
            strips = doubling.run(strips, width, height, tiling)
            width, height = 2 * width, 2 * height
        return strips


def why_not_done(
    result: Path, model: ModelFile, settings: Settings, source: Path | None = None, cancelled: Cancelled | None = None
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
    if source is None:
        return _why_not(result, settings_document(model, settings, ""), None)
    with Plate(source, settings.limits) as plate:
        outputs, _ = _decide(plate, settings)
        return _why_not(result, settings_document(model, settings, _digest(source, Watch(None, cancelled))), outputs)


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


def _packed(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, separators=(",", ":"))


def _decide(plate: Plate, settings: Settings) -> tuple[list[OutputPart], list[list[Field]]]:
    """Which parts and channels are written, and how each field is doubled."""
    known = {name for part in plate.parts for name in names_of(part.channels, part.name)}
    if unknown := sorted(set(settings.layers) - known):
        raise PlateError(
            f"{plate.path}: --layer {unknown[0]}: no such layer, channel or part; it has {', '.join(sorted(known))}"
        )
    outputs: list[OutputPart] = []
    fields: list[list[Field]] = []
    for part in plate.parts:
        if unclear := unclear_channels(part.channels, part.name, settings.layers):
            raise PlateError(f"{plate.path}: {part.label}: {unclear}")
        found = fields_of(part.channels, part.name, part.uint_channels, part.cryptomatte_layers, settings.layers)
        kept = [each for each in found if each.method is not Method.DROP]
        names = {name for each in kept for name in each.channels}
        if names:
            outputs.append(OutputPart(part, tuple(c for c in part.channels if c in names), settings.scale))
            fields.append(kept)
    if not outputs:
        raise PlateError(f"{plate.path}: every channel is dropped by --layer, nothing is left to write")
    return outputs, fields


def _why_not(result: Path, wanted: Mapping[str, Any], outputs: Sequence[OutputPart] | None) -> str:
    """See :func:`why_not_done`; without ``outputs`` the plate does not count."""
    try:
        with Plate(result, Limits.none()) as found:
            for part in found.parts:
                said = part.spec.get_string_attribute(SETTINGS_ATTRIBUTE)
                if why := _difference(said, wanted, any_source=outputs is None):
                    return f"{result}: {why}"
            if outputs is not None and not _same_pictures(found.parts, outputs):
                return f"{result}: its parts, windows or channels are not those that the plate gives"
            found.read_through()
    except PlateError as error:
        return str(error)
    return ""


def _same_pictures(found: Sequence[Part], outputs: Sequence[OutputPart]) -> bool:
    return len(found) == len(outputs) and all(
        (part.data_window, part.display_window, set(part.channels))
        == (
            output.source.data_window.scaled(output.scale),
            output.source.display_window.scaled(output.scale),
            set(output.channels),
        )
        for part, output in zip(found, outputs, strict=True)
    )


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
    if said == _packed(asked):
        return ""
    key = next((key for key in asked if found.get(key) != asked[key]), "")
    if key in ("model", "source"):
        return (
            "was made by another model" if key == "model" else "was made from another plate, or the plate has changed"
        )
    if not key:
        return "was made with settings of another kind"
    return f"was made with {key} {json.dumps(found.get(key))}, not {json.dumps(asked[key])}"


_Stamp = tuple[int, int, int]


def _stamp(path: Path) -> _Stamp | None:
    """Size in bytes, time of the last write in nanoseconds and number of a file; None if there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _gather(strips: Iterator[Mapping[str, Rows]], fields: list[Field]) -> Iterator[Strip]:
    """Channels put together to fields."""
    for strip in strips:
        yield {f.key: np.stack([strip[name] for name in f.channels], axis=-1) for f in fields}


def _digest(path: Path, watch: Watch) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                watch.check()
                digest.update(block)
    except OSError as error:
        raise PlateError(f"{path}: cannot be read: {error.strerror or os.strerror(error.errno or 0)}") from None
    return digest.hexdigest()
