"""Hotspots: where the engine's own time goes, by cProfile, with the network replaced by a stand-in.

Array operators and OpenImageIO's methods have no name of their own in a Python profile: their time is that of the
function they stand in.
"""

from __future__ import annotations

import cProfile
import pstats
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.stand_in import StandInSession
from benchmarks.synthetic_plate import SyntheticPlate
from deepupscale.engine import Engine, Settings
from deepupscale.model_file import ModelFile


@dataclass(frozen=True)
class Hotspot:
    """One function.

    Attributes:
        name: File, line and function.
        milliseconds: Time in the function itself, without those it calls.
        share: That, of the whole; 0 to 1.
        inclusive: Time with those it calls, in milliseconds.
        calls: How often it was called.
    """

    name: str
    milliseconds: float
    share: float
    inclusive: float
    calls: int


def hotspots(model: ModelFile, width: int, height: int, folder: Path, most: int = 20) -> list[Hotspot]:
    """The costliest functions while the engine upscales one RGBA zip plate, file to file."""
    source, result = folder / "profiled.exr", folder / "profiled_2x.exr"
    SyntheticPlate(width, height).write(source)
    engine = Engine(model, StandInSession(model), Settings(overwrite=True))
    engine.upscale(source, result)  # warm: libraries loaded, the stand-in's answers made
    profile = cProfile.Profile()
    profile.runcall(engine.upscale, source, result)
    statistics: Any = pstats.Stats(profile)
    total = statistics.total_tt
    found = [
        Hotspot(_label(where), 1000.0 * own, own / total, 1000.0 * inclusive, calls)
        for where, (_, calls, own, inclusive, _) in statistics.stats.items()
    ]
    return sorted(found, key=lambda each: -each.milliseconds)[:most]


def _label(where: tuple[str, int, str]) -> str:
    path, line, function = where
    return function.strip("<>") if path == "~" else f"{Path(path).name}:{line} {function}"
