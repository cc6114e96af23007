"""Settings: what a run asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deepupscale.errors import UsageError
from deepupscale.fields import Method
from deepupscale.plate import Limits
from deepupscale.plate_writer import check_compression

SCALES = (2, 4, 8)


@dataclass(frozen=True)
class Settings:
    """What a run asks for.

    Attributes:
        scale: 2, or 4 and 8 by passes.
        compression: Name of an OpenEXR compression, or None for each part's own; ``fast`` becomes what it stands for.
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
            object.__setattr__(self, "compression", check_compression(self.compression))

    @property
    def passes(self) -> int:
        """Doublings in a row."""
        return self.scale.bit_length() - 1
