"""What a node asks for, as plain values: read once from the knobs, then passed around."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from deepupscale_nuke.errors import SettingsError

METHODS = ("net", "filter", "nearest", "drop")


@dataclass(frozen=True)
class Settings:
    """Everything that decides a result, besides the plate.

    Attributes:
        model: A model's name, the absolute path of a file, or None for the default model.
        channels: What is pulled, as the knob says it.
        unpremult: The channel that colour is divided by before and multiplied with after, or ``none``.
        layers: Layer, channel or part to one of ``METHODS``.
        gpu: Whether a GPU may be used; it does not decide the result.
    """

    model: str | None = None
    scale: int = 2
    precision: str = "auto"
    channels: str = "all"
    unpremult: str = "none"
    layers: dict[str, str] = field(default_factory=dict)
    gpu: bool = True

    def document(self) -> dict[str, Any]:
        """What must be the same for a cached frame to count."""
        return {
            "model": self.model,
            "scale": self.scale,
            "precision": self.precision,
            "channels": self.channels,
            "unpremult": self.unpremult,
            "layers": dict(self.layers),
        }

    def key(self) -> str:
        """Ten digits that tell these settings from others."""
        text = json.dumps(self.document(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def params(self) -> dict[str, Any]:
        """The worker's params, without the paths."""
        return {
            "model": self.model,
            "scale": self.scale,
            "precision": self.precision,
            "layers": dict(self.layers),
            "device": "auto" if self.gpu else "cpu",
        }


def parse_layers(text: str) -> dict[str, str]:
    """A layer policy such as ``spec=drop roto=net``.

    Raises:
        SettingsError: It is no such list.
    """
    found: dict[str, str] = {}
    for word in re.split(r"[\s,;]+", text.strip()):
        if not word:
            continue
        name, equals, method = word.rpartition("=")
        if not (name and equals and method in METHODS):
            raise SettingsError(f"layer policy: {word!r} is not NAME=HOW with HOW one of {', '.join(METHODS)}")
        if found.get(name, method) != method:
            raise SettingsError(f"layer policy: {name} is given twice, as {found[name]} and as {method}")
        found[name] = method
    return found
