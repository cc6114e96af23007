"""The engine: one plate in, one plate of twice the size out.

    plate -> fields -> passes (range compression, tiles, session, addition) -> plate

One :class:`Engine` serves a whole run; models and graphs are compiled once.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from deepupscale import __version__
from deepupscale.errors import InferenceError, PlateError, UsageError
from deepupscale.fields import Field, Method, fields_of, names_of, unclear_channels
from deepupscale.model_file import ModelFile
from deepupscale.passes import Counts, DoublingPass, Strip, plan
from deepupscale.plate import Limits, Part, Plate, Rows
from deepupscale.plate_writer import PlateWriter, check_compression
from deepupscale.session import Choice, Session
from deepupscale.sinks import SETTINGS_ATTRIBUTE, OutputPart
from deepupscale.upscaler import Upscaler

SCALES = (2, 4, 8)
Progress = Callable[[float], None]
"""Called with the fraction of the frame that is done, 0 to 1."""


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
    """

    source: Path
    result: Path
    status: Literal["done", "skipped", "failed"]
    seconds: float
    size: tuple[int, int] | None = None
    nonfinite: Mapping[str, int] = field(default_factory=dict[str, int])
    clamped: Mapping[str, int] = field(default_factory=dict[str, int])
    message: str = ""


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

    def upscale(self, source: Path, result: Path, progress: Progress | None = None) -> FrameReport:
        """Upscale one plate to a file; a finished one is left alone unless ``overwrite`` is set.

        Raises:
            PlateError: The plate cannot be read or is refused.
            InferenceError: The runtime gave up on it.
            WriteError: The result could not be written; nothing of it is left.
        """
        began = time.perf_counter()
        with Plate(source, self._settings.limits) as plate:
            outputs, fields = self._decide(plate)
            settings = self._settings_document(source)
            size = outputs[0].source.data_window.scaled(self._settings.scale)
            if not self._settings.overwrite and self._is_done(result, outputs, settings):
                return FrameReport(source, result, "skipped", time.perf_counter() - began, (size.width, size.height))
            try:
                counts, clamped = self._write(plate, result, outputs, fields, settings, progress)
            except InferenceError as error:
                raise InferenceError(f"{source}: {error}") from None
        seconds = time.perf_counter() - began
        return FrameReport(source, result, "done", seconds, (size.width, size.height), counts, clamped)

    def _decide(self, plate: Plate) -> tuple[list[OutputPart], list[list[Field]]]:
        """Which parts and channels are written, and how each field is doubled."""
        known = {name for part in plate.parts for name in names_of(part.channels, part.name)}
        if unknown := sorted(set(self._settings.layers) - known):
            raise PlateError(
                f"{plate.path}: --layer {unknown[0]}: no such layer, channel or part; it has {', '.join(sorted(known))}"
            )
        outputs: list[OutputPart] = []
        fields: list[list[Field]] = []
        for part in plate.parts:
            if unclear := unclear_channels(part.channels, part.name, self._settings.layers):
                raise PlateError(f"{plate.path}: {part.label}: {unclear}")
            found = fields_of(
                part.channels, part.name, part.uint_channels, part.cryptomatte_layers, self._settings.layers
            )
            kept = [each for each in found if each.method is not Method.DROP]
            names = {name for each in kept for name in each.channels}
            if names:
                outputs.append(OutputPart(part, tuple(c for c in part.channels if c in names), self._settings.scale))
                fields.append(kept)
        if not outputs:
            raise PlateError(f"{plate.path}: every channel is dropped by --layer, nothing is left to write")
        return outputs, fields

    def _write(
        self,
        plate: Plate,
        result: Path,
        outputs: list[OutputPart],
        fields: list[list[Field]],
        settings: str,
        progress: Progress | None,
    ) -> tuple[dict[str, int], dict[str, int]]:
        counts = Counts()
        pixels = [o.source.data_window.width * o.source.data_window.height * len(o.channels) for o in outputs]
        done = 0.0
        with PlateWriter(result, outputs, self._settings.compression, settings) as writer:
            for index, (output, kept) in enumerate(zip(outputs, fields, strict=True)):
                rows = 0
                for strip in self._double(plate, output.source, kept, counts):
                    channels = {name: strip[f.key][:, :, i] for f in kept for i, name in enumerate(f.channels)}
                    writer.write(index, channels)
                    rows += next(iter(strip.values())).shape[0]
                    del strip, channels  # or they would lie beside the next strip while it is made
                    if progress is not None:
                        part_done = rows / (output.source.data_window.height * self._settings.scale)
                        progress((done + part_done * pixels[index]) / sum(pixels))
                done += pixels[index]
        return counts.nonfinite, writer.clamped.counts

    def _double(self, plate: Plate, part: Part, fields: list[Field], counts: Counts) -> Iterator[Strip]:
        """Strips of a part after as many passes as the scale needs."""
        width, height = part.data_window.width, part.data_window.height
        channels = sum(len(each.channels) for each in fields)
        tiling = plan(width, height, channels)
        strips = _gather(plate.strips(part, tiling.rows), fields)
        for number in range(self._settings.scale.bit_length() - 1):
            tiling = plan(width, height, channels)
            doubling = DoublingPass(fields, self._upscaler, counts if number == 0 else None)
            strips = doubling.run(strips, width, height, tiling)
            width, height = 2 * width, 2 * height
        return strips

    def _settings_document(self, source: Path) -> str:
        """What a result says of how it was made, as JSON; equal documents mean equal results."""
        document = {
            "engine": __version__,
            "model": self._model.digest,
            "scale": self._settings.scale,
            "precision": self._settings.precision,
            "compression": self._settings.compression,
            "layers": {name: str(method) for name, method in sorted(self._settings.layers.items())},
            "source": _digest(source),
        }
        return json.dumps(document, separators=(",", ":"))

    def _is_done(self, result: Path, outputs: list[OutputPart], settings: str) -> bool:
        """Whether the result is there, whole, and made from this plate under these settings."""
        if not result.exists():
            return False
        try:
            with Plate(result, Limits.none()) as found:
                if len(found.parts) != len(outputs):
                    return False
                for part, output in zip(found.parts, outputs, strict=True):
                    same_windows = (part.data_window, part.display_window) == (
                        output.source.data_window.scaled(output.scale),
                        output.source.display_window.scaled(output.scale),
                    )
                    if not same_windows or set(part.channels) != set(output.channels):
                        return False
                    if part.spec.get_string_attribute(SETTINGS_ATTRIBUTE) != settings:
                        return False
                found.read_through()
        except PlateError:
            return False
        return True


def _gather(strips: Iterator[Mapping[str, Rows]], fields: list[Field]) -> Iterator[Strip]:
    """Channels put together to fields."""
    for strip in strips:
        yield {f.key: np.stack([strip[name] for name in f.channels], axis=-1) for f in fields}


def _digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PlateError(f"{path}: cannot be read: {error.strerror or os.strerror(error.errno or 0)}") from None
