"""Fields: what a channel means, and what follows from it.

Every group of channels is a *field* with a *kind*. The kind alone decides how the field is upscaled (and, in training,
how it is cropped and flipped). This module is the only place that looks at channel names; the table in
``docs/channels.md`` is printed from it.

A channel is named ``layer.component`` (OpenEXR technical introduction, "Channel names"), where the layer may hold
further dots. Words are looked for in the layer's name first (``specular_normal.R`` is a normal), then the component
decides (``left.R`` is colour, ``Z`` is depth). A component without a layer in a named part takes the part's name for
its layer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


class Kind(StrEnum):
    """What the values of a field are."""

    COLOUR = "colour"  # scene-linear light, premultiplied where the layer has alpha
    ALPHA = "alpha"  # coverage that colour was premultiplied by
    UNIT_VECTOR = "unit-vector"  # normals, tangents: length 1, or the coverage at an edge
    MOTION = "motion"  # motion or disparity in pixels
    DISTANCE = "distance"  # depth along or from the camera
    POSITION = "position"  # points in space, texture coordinates
    ID = "id"  # names of things: integers, cryptomatte
    MASK = "mask"  # coverage that stands alone
    DENSITY = "density"  # amount of a volume, never negative
    VELOCITY = "velocity"  # motion in scene units
    OTHER = "other"  # data whose meaning is unknown


class Method(StrEnum):
    """How a field becomes twice as large; the first four are what ``--layer`` may ask for."""

    NET = "net"  # the network's correction over interpolation in the compressed range
    FILTER = "filter"  # the kind's own filter
    NEAREST = "nearest"  # every pixel four times
    DROP = "drop"  # not written


METHOD_OF_KIND: Mapping[Kind, Method] = {
    Kind.COLOUR: Method.NET,
    Kind.ALPHA: Method.NET,
    Kind.UNIT_VECTOR: Method.FILTER,
    Kind.MOTION: Method.FILTER,
    Kind.DISTANCE: Method.FILTER,
    Kind.POSITION: Method.FILTER,
    Kind.ID: Method.NEAREST,
    Kind.MASK: Method.FILTER,
    Kind.DENSITY: Method.FILTER,
    Kind.VELOCITY: Method.FILTER,
    Kind.OTHER: Method.FILTER,
}

# Words of a layer's name that settle its kind, strongest first.
LAYER_WORDS: Sequence[tuple[Kind, frozenset[str]]] = tuple(
    (kind, frozenset(words.split()))
    for kind, words in (
        (Kind.ID, "crypto cryptomatte id ids objectid materialid instanceid primid puid indexob indexma index"),
        (Kind.MOTION, "motion motionvector motionvectors mv mvec forward backward disparity flow vector"),
        (Kind.VELOCITY, "velocity vel"),
        (Kind.UNIT_VECTOR, "normal normals n nn ng ns tangent tangents bitangent"),
        (Kind.POSITION, "position positions pos p pworld pref pcam uv uvs st"),
        (Kind.DISTANCE, "depth z zdepth zback deptha distance"),
        (Kind.DENSITY, "density"),
        (Kind.MASK, "mask masks matte mattes roto coverage"),
    )
)

# Components that settle the kind of a channel whose layer's name says nothing.
COMPONENTS: Mapping[str, Kind] = {
    **dict.fromkeys(("r", "g", "b", "red", "green", "blue"), Kind.COLOUR),
    **dict.fromkeys(("a", "alpha", "ar", "ag", "ab"), Kind.ALPHA),
    **dict.fromkeys(("z", "zback", "depth"), Kind.DISTANCE),
    **dict.fromkeys(("u", "v"), Kind.MOTION),
    **dict.fromkeys(("id", "objectid", "materialid", "instanceid"), Kind.ID),
    **dict.fromkeys(("mask", "matte", "coverage"), Kind.MASK),
    "density": Kind.DENSITY,
}

# Components that say what they are even in a part whose name says something else (``Z`` in a part ``forward_left``).
_PLAIN_BY_THEMSELVES = frozenset({Kind.DISTANCE, Kind.MASK, Kind.ID, Kind.DENSITY})

_ORDER = {name: i for i, names in enumerate((("r", "red"), ("g", "green"), ("b", "blue"))) for name in names}


@dataclass(frozen=True)
class Field:
    """Channels that are upscaled together.

    Attributes:
        layer: Layer name as the file spells it, without the component; empty for the main layer.
        kind: What the values are.
        channels: Full channel names; red, green, blue in that order for colour, as the file has them otherwise.
        method: How the field is upscaled.
        alpha: For colour: the full name of the alpha channel it is premultiplied by, or empty.
    """

    layer: str
    kind: Kind
    channels: tuple[str, ...]
    method: Method
    alpha: str = ""

    @property
    def key(self) -> str:
        """Name of the field within its part: its first channel, which no other field has."""
        return self.channels[0]


def split_name(channel: str) -> tuple[str, str]:
    """``"a.b.R"`` to ``("a.b", "R")``; a name without a dot has the empty layer."""
    layer, _, component = channel.rpartition(".")
    return layer, component


def kind_of(channel: str, part_name: str, siblings: Collection[str], cryptomatte_layers: Collection[str] = ()) -> Kind:
    """The kind of one channel by its name.

    Args:
        channel: Full channel name.
        part_name: Name of the part, which stands in for a missing layer name; may be empty.
        siblings: Lower-case components of all channels in the same layer.
        cryptomatte_layers: Layer names that the metadata declares as cryptomatte (``cryptomatte/*/name``).
    """
    layer, component = split_name(channel)
    component = component.lower()
    if any((layer or part_name).startswith(name) for name in cryptomatte_layers if name):
        return Kind.ID
    by_layer, by_part = _kind_by_words(layer), _kind_by_words("" if layer else part_name)
    by_component = COMPONENTS.get(component, Kind.OTHER)
    if component == "z" and {"x", "y"} <= set(siblings):
        by_component = Kind.OTHER  # the third axis of a vector, no depth
    if by_component is Kind.ALPHA and by_layer not in (Kind.ID, Kind.MOTION):
        return Kind.ALPHA
    if by_layer is not None:
        return by_layer
    if by_component in _PLAIN_BY_THEMSELVES or by_part is None:
        return by_component if by_component is not Kind.OTHER else _kind_by_words(component) or Kind.OTHER
    return by_part


def _kind_by_words(name: str) -> Kind | None:
    """The kind that the words of a layer's or part's name tell, or None."""
    parts = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]", name)]
    words = {*parts, *(first + second for first, second in pairwise(parts))}
    return next((kind for kind, of_kind in LAYER_WORDS if not of_kind.isdisjoint(words)), None)


def fields_of(
    channels: Sequence[str],
    part_name: str = "",
    uint_channels: Collection[str] = (),
    cryptomatte_layers: Collection[str] = (),
    overrides: Mapping[str, Method] | None = None,
) -> list[Field]:
    """Group a part's channels into fields.

    Args:
        channels: Full channel names of one part.
        part_name: The part's name; may be empty.
        uint_channels: Channels of pixel type UINT: always ids.
        cryptomatte_layers: See :func:`kind_of`.
        overrides: Layer or full channel name (or the part's name) to method, as ``--layer`` gives them.

    Returns:
        Fields in the order of their first channel. Colour fields know their alpha.
    """
    by_layer: dict[str, list[str]] = {}
    for channel in channels:
        by_layer.setdefault(split_name(channel)[0], []).append(channel)
    groups: dict[tuple[str, Kind, Method], list[str]] = {}
    for layer, members in by_layer.items():
        siblings = {split_name(name)[1].lower() for name in members}
        for name in members:
            kind = Kind.ID if name in uint_channels else kind_of(name, part_name, siblings, cryptomatte_layers)
            groups.setdefault((layer, kind, _method(name, layer, part_name, kind, overrides or {})), []).append(name)
    fields: list[Field] = []
    for (layer, kind, method), names in groups.items():
        ordered = sorted(names, key=lambda n: _ORDER.get(split_name(n)[1].lower(), 3)) if kind is Kind.COLOUR else names
        alpha = next((n for (lay, k, _), ns in groups.items() if lay == layer and k is Kind.ALPHA for n in ns), "")
        fields.append(Field(layer, kind, tuple(ordered), method, alpha if kind is Kind.COLOUR else ""))
    return sorted(fields, key=lambda f: min(channels.index(name) for name in f.channels))


def names_of(channels: Sequence[str], part_name: str) -> set[str]:
    """The names by which overrides reach something in a part: channels, layers, the part itself."""
    return {name for name in (part_name, *channels, *(split_name(channel)[0] for channel in channels)) if name}


def _method(channel: str, layer: str, part_name: str, kind: Kind, overrides: Mapping[str, Method]) -> Method:
    """What an override says of this channel, the closest name first; else what its kind says."""
    for name in (channel, layer, part_name):
        if name and name in overrides:
            return overrides[name]
    return METHOD_OF_KIND[kind]


def unclear_channels(channels: Sequence[str], part_name: str, overrides: Mapping[str, Method]) -> str:
    """Why a part's channels cannot be carried through as they are, or the empty string.

    Luminance-chroma pictures (OpenEXR technical introduction, "Luminance/Chroma Images") are not RGB, and a channel
    ``Y`` alone may be a luminance picture or the y of a vector: whoever asks says which.
    """
    names = set(channels)
    if "RY" in names or "BY" in names:
        return "is a luminance-chroma picture (Y, RY, BY): convert it to RGB first"
    if "Y" in names and "X" not in names and not {"Y", part_name} & set(overrides):
        return "holds luminance (Y) without colour: say --layer Y=net (a grey picture) or --layer Y=filter (data)"
    return ""
