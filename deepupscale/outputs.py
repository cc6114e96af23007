"""Outputs: which parts and channels of a plate are written, and what becomes of each."""

from __future__ import annotations

from collections.abc import Sequence

from deepupscale.errors import PlateError
from deepupscale.fields import Field, Method, fields_of, names_of, unclear_channels
from deepupscale.plate import Part, Plate
from deepupscale.settings import Settings
from deepupscale.sinks import OutputPart


def decide(plate: Plate, settings: Settings) -> tuple[list[OutputPart], list[list[Field]]]:
    """Which parts and channels are written, and how each field is doubled.

    Raises:
        PlateError: A layer that the plate has not, a channel that could be anything, or nothing left to write.
    """
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


def same_pictures(found: Sequence[Part], outputs: Sequence[OutputPart]) -> bool:
    """Whether the parts of a result are those that are to be written: windows and channels."""
    return len(found) == len(outputs) and all(
        (part.data_window, part.display_window, set(part.channels))
        == (
            output.source.data_window.scaled(output.scale),
            output.source.display_window.scaled(output.scale),
            set(output.channels),
        )
        for part, output in zip(found, outputs, strict=True)
    )
