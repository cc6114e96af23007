"""Stages: what the engine does around the network, each alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.rounds import Contestant
from benchmarks.stand_in import StandInSession, double_in_memory
from benchmarks.synthetic_plate import CHANNELS, SyntheticPlate, write_half
from deepupscale.model_file import ModelFile
from deepupscale.passes import plan
from deepupscale.plate import Plate
from deepupscale.plate_writer import PlateWriter
from deepupscale.sinks import OutputPart

COMPRESSIONS = ("none", "zip", "zips", "piz", "dwaa")
RESULT_COMPRESSIONS = ("zip", "dwaa")
READ, WRITE, ENGINE = "decode, half RGBA plate", "encode, half RGBA plate", "engine without the network"


def stage_contestants(model: ModelFile, width: int, height: int, folder: Path) -> list[Contestant]:
    """Decoding, encoding, range compression with interpolation and addition, and writing of the doubled plate."""
    picture = SyntheticPlate(width, height)
    pixels = picture.rows(0, height)
    rows = plan(width, height, len(CHANNELS)).rows
    found: list[Contestant] = []
    for compression in COMPRESSIONS:
        path = folder / f"read_{compression}.exr"
        picture.write(path, compression)
        note = f"{path.stat().st_size / 2**20:.1f} MiB"
        found.append(Contestant(READ, f"decode {compression}", _decode(path, rows), repeats=3, note=note))
    for compression in COMPRESSIONS:
        found.append(Contestant(WRITE, f"encode {compression}", _encode(folder, pixels, compression, rows), repeats=3))
    planes = {name: pixels[:, :, i].astype(np.float32) for i, name in enumerate(CHANNELS)}
    colour = {name: planes[name] for name in "RGB"}
    opaque = {**colour, "A": np.ones_like(planes["A"])}
    session = StandInSession(model)
    for name, part in (("RGB", colour), ("RGBA, alpha 1", opaque), ("RGBA, partial alpha in every tile", planes)):
        found.append(Contestant(ENGINE, f"pre and post {name}", _double(model, session, part), repeats=3))
    for compression in RESULT_COMPRESSIONS:
        name = f"write the doubled plate, {compression}"
        note = "to half, encode, read back, fsync"
        turn = _write_result(folder / "read_zip.exr", pixels, compression, 2 * rows)
        found.append(Contestant(ENGINE, name, turn, note=note))
    return found


def _decode(path: Path, rows: int) -> Callable[[], None]:
    def turn() -> None:
        with Plate(path) as plate:
            for _ in plate.strips(plate.parts[0], rows):
                pass

    return turn


def _encode(folder: Path, pixels: np.ndarray, compression: str, rows: int) -> Callable[[], None]:
    height, width = pixels.shape[:2]
    path = folder / f"encoded_{compression}.exr"

    def turn() -> None:
        write_half(path, width, height, (pixels[top : top + rows] for top in range(0, height, rows)), compression)

    return turn


def _double(model: ModelFile, session: StandInSession, planes: dict[str, np.ndarray]) -> Callable[[], None]:
    return lambda: double_in_memory(model, session, planes)


def _write_result(source: Path, pixels: np.ndarray, compression: str, rows: int) -> Callable[[], None]:
    """The engine's writer on a plate of twice the size, which is ready in memory."""
    doubled = pixels.astype(np.float32).repeat(2, axis=0).repeat(2, axis=1)
    grain = np.random.default_rng(3).standard_normal(doubled.shape[:2], np.float32)[:, :, np.newaxis]
    doubled[:, :, :3] *= 1.0 + 0.05 * grain  # repeated pixels would compress too well
    result = source.with_name(f"result_{compression}.exr")

    def turn() -> None:
        with Plate(source) as plate:
            part = OutputPart(plate.parts[0], CHANNELS, 2)
        with PlateWriter(result, [part], compression, "{}") as writer:
            for top in range(0, doubled.shape[0], rows):
                strip = doubled[top : top + rows]
                writer.write(0, {name: strip[:, :, i] for i, name in enumerate(CHANNELS)})

    return turn
