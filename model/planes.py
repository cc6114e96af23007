"""Planes: the fields of an EXR that a store can hold, read whole, checked, and in the type they are stored in.

Files are untrusted: they are read through :class:`deepupscale.plate.Plate`, strip by strip, under its limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from deepupscale.fields import Field, Kind, fields_of, split_name
from deepupscale.plate import Limits, Part, Plate
from deepupscale.plate_writer import Clamped
from model.store_format import BEAUTY, DTYPE_OF_KIND, FieldSpec
from model.store_format import Plane as Pixels

_ROWS = 64  # rows a strip

# Place of a component on the last axis, and what it is called in a store, whatever the file calls it.
_AXES = {name: axis for axis, names in enumerate(("x r u red", "y g v green", "z b blue")) for name in names.split()}
_CANONICAL: Mapping[Kind, tuple[str, ...]] = {
    Kind.COLOUR: ("R", "G", "B"),
    Kind.UNIT_VECTOR: ("X", "Y", "Z"),
    Kind.MOTION: ("u", "v"),
}
_ALONE: Mapping[Kind, str] = {Kind.ALPHA: "A", Kind.DISTANCE: "Z", Kind.MASK: "A"}


class UnfitError(Exception):
    """A picture that is left out of a store; ``str(error)`` is the reason."""


@dataclass(frozen=True)
class Found:
    """Where a field lies in a file.

    Attributes:
        spec: What a store would say of it.
        part: Number of the part.
        channels: Full channel names, in the order of ``spec.channels``.
    """

    spec: FieldSpec
    part: int
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """What a file holds, by its headers.

    Attributes:
        size: Width and height of the beauty's data window in pixels.
        fields: By name; always with ``rgb``.
    """

    size: tuple[int, int]
    fields: Mapping[str, Found]


def survey(path: Path, limits: Limits) -> Survey:
    """Look at the headers of a file.

    Raises:
        PlateError: It cannot be read.
        UnfitError: It has no RGB.
    """
    with Plate(path, limits) as plate:
        return _survey(plate)


def read_planes(
    path: Path, fields: Sequence[FieldSpec], limits: Limits, even: bool = False
) -> tuple[dict[str, Pixels], int]:
    """Read fields whole.

    Args:
        path: An EXR.
        fields: What to read.
        limits: Caps on what the file may claim.
        even: Cut the last row and column where a side is odd.

    Returns:
        Field name to (height, width, channels) of the data window, float16 or float32, linear and finite; and how many
        values were too large for half and became +-65504.

    Raises:
        PlateError: The file is missing or damaged.
        UnfitError: It lacks a field, is too large for the memory, or holds NaN or Inf.
    """
    with Plate(path, limits) as plate:
        seen = _survey(plate)
        width, height = (side // 2 * 2 for side in seen.size) if even else seen.size
        if not width or not height:
            raise UnfitError(f"{path.name} is {seen.size[0]}x{seen.size[1]}: too small to halve")
        if missing := [field.name for field in fields if _spec(seen, field.name) != field]:
            raise UnfitError(f"{path.name} has no {', '.join(missing)} like the other pairs")
        clamped = Clamped()
        try:
            planes = {
                field.name: np.empty((height, width, len(field.channels)), field.stored.newbyteorder("="))
                for field in fields
            }
            for part in plate.parts:
                wanted = [found for found in seen.fields.values() if found.part == part.index and found.spec in fields]
                if wanted:
                    _fill(plate, part, wanted, planes, clamped)
        except MemoryError:
            raise UnfitError(f"{path.name} is {seen.size[0]}x{seen.size[1]}: too large for the memory") from None
        return planes, sum(clamped.counts.values())


def _spec(seen: Survey, name: str) -> FieldSpec | None:
    return seen.fields[name].spec if name in seen.fields else None


def _fill(plate: Plate, part: Part, wanted: Sequence[Found], planes: Mapping[str, Pixels], clamped: Clamped) -> None:
    top = 0
    for strip in plate.strips(part, _ROWS):
        rows = len(next(iter(strip.values())))
        for found in wanted:
            plane = planes[found.spec.name][top : top + rows]
            for axis, channel in enumerate(found.channels):
                values = strip[channel]
                if not np.isfinite(values).all():
                    raise UnfitError(f"{plate.path.name} holds NaN or Inf in {channel}")
                values = values[: plane.shape[0], : plane.shape[1]]
                plane[:, :, axis] = clamped.to_half(channel, values) if found.spec.dtype == "half" else values
        top += rows


def _survey(plate: Plate) -> Survey:
    by_part = [
        (part, fields_of(part.channels, part.name, part.uint_channels, part.cryptomatte_layers)) for part in plate.parts
    ]
    beauty = [
        (part, field) for part, fields in by_part for field in fields if field.kind is Kind.COLOUR and _ordered(field)
    ]
    if not beauty:
        raise UnfitError(f"{plate.path.name} has no layer of red, green and blue")
    main, rgb = next((each for each in beauty if not each[1].layer), beauty[0])
    found: dict[str, Found] = {}
    for part, fields in by_part:
        if part.data_window != main.data_window:
            continue
        for field in fields:
            name = _name(part, field, main, rgb)
            if name in found:
                name = field.key
            if name not in found and (spec := _described(name, field)) is not None:
                found[name] = Found(spec, part.index, _ordered(field))
    return Survey((main.data_window.width, main.data_window.height), found)


def _name(part: Part, field: Field, main: Part, rgb: Field) -> str:
    if part is main and field == rgb:
        return BEAUTY
    if part is main and field.kind is Kind.ALPHA and field.layer == rgb.layer:
        return "alpha"
    name = field.layer or (part.name if part is not main else "") or split_name(field.key)[1]
    return field.key if name in (BEAUTY, "alpha") else name


def _described(name: str, field: Field) -> FieldSpec | None:
    """What a store says of the field; None where it cannot hold it."""
    channels = _ordered(field)
    if field.kind not in DTYPE_OF_KIND or not channels:
        return None
    components = tuple(split_name(channel)[1] for channel in channels)
    if len(channels) == 1:
        components = (_ALONE.get(field.kind, components[0]),)
    try:
        return FieldSpec(
            name=name, kind=field.kind, channels=_CANONICAL.get(field.kind, components), dtype=DTYPE_OF_KIND[field.kind]
        )
    except ValidationError:
        return None  # a name that a store cannot hold, or too many channels


def _ordered(field: Field) -> tuple[str, ...]:
    """The field's channels as they go on the last axis; none where its axes are not what its kind needs."""
    if field.kind not in _CANONICAL:
        return field.channels
    axes = {_AXES.get(split_name(channel)[1].lower(), -1): channel for channel in field.channels}
    count = len(_CANONICAL[field.kind])
    if len(field.channels) != count or sorted(axes) != list(range(count)):
        return ()
    return tuple(axes[axis] for axis in range(count))
