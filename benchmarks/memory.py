"""Memory: the command's peak resident memory on a plate far larger than the budget."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.command import run_command
from benchmarks.rounds import Contestant
from benchmarks.synthetic_plate import CHANNELS, SyntheticPlate
from deepupscale.model_file import ModelFile
from deepupscale.session import open_session
from deepupscale.tiling import Network, plan

SECTION = "peak memory of deepupscale run"
BUDGET_MIB = 2048.0
_NETWORK_ROWS = 1024
_BYTES_PER_PIXEL = 8


@dataclass(frozen=True)
class MemoryRun:
    """One plate to upscale.

    Attributes:
        width: Columns.
        height: Rows.
        precision: As ``--precision`` takes it.
        filtered: The network is left out (``--layer R=filter`` and so on): only the streaming is measured.
    """

    width: int
    height: int
    precision: str
    filtered: bool

    @property
    def name(self) -> str:
        """What it is called in the table."""
        how = "filter, no network" if self.filtered else f"network {self.precision}"
        return f"{self.width}x{self.height} RGBA, {how}"


def memory_runs(width: int, height: int, precisions: Sequence[str], passthrough: bool) -> list[MemoryRun]:
    """The whole plate through the network; or, as pass-through, the whole plate without it and a lower one with it.

    The lower plate has a whole number of the larger one's strips, so both are cut alike, and memory follows the strip.
    """
    if not passthrough:
        return [MemoryRun(width, height, precision, False) for precision in precisions]
    rows = plan(width, height, len(CHANNELS)).rows
    lower = min(height, max(2, _NETWORK_ROWS // rows) * rows)
    return [
        MemoryRun(width, height, "f32", True),
        *(MemoryRun(width, lower, precision, False) for precision in precisions),
    ]


def measure(
    model: ModelFile, runs: Sequence[MemoryRun], folder: Path, threads: int, told: Callable[[str], None]
) -> list[Contestant]:
    """Do the runs, one after another.

    Raises:
        OSError: The temporary folder is too small, or a plate could not be written.
        CommandFailedError: An upscale failed.
    """
    done: list[Contestant] = []
    most = max(run.width * run.height for run in runs) * _BYTES_PER_PIXEL * 5  # the plate and one of four times as much
    if (free := shutil.disk_usage(folder).free) < most:
        raise OSError(f"{folder}: the plates need up to {most >> 20} MiB of disk, {free >> 20} MiB are free (TMPDIR)")
    for run in runs:
        told(f"writing a plate of {run.width}x{run.height}")
        source = folder / "large.exr"
        SyntheticPlate(run.width, run.height).write(source)
        if not run.filtered:
            estimate = estimated_seconds(model, run, threads)
            told(f"{run.name}: the network alone will take about {estimate:.0f} s")
        else:
            told(run.name)
        options = ["--model", str(model.path), "--device", "cpu", "--threads", str(threads)]
        options += ["--precision", run.precision]
        if run.filtered:
            options += [option for name in CHANNELS for option in ("--layer", f"{name}=filter")]
        contestant = Contestant(SECTION, run.name, lambda: None)
        contestant.outcomes.append(run_command(source, folder / "large_2x.exr", options))
        peak = contestant.peak_mib
        if peak is not None:
            contestant.note = f"{peak / BUDGET_MIB:.0%} of {BUDGET_MIB:.0f} MiB"
        done.append(contestant)
        source.unlink()
    return done


def estimated_seconds(model: ModelFile, run: MemoryRun, threads: int) -> float:
    """Time of the network on a plate, from one tile: colour and alpha of every tile at most, halos included."""
    session = open_session(model, "cpu", run.precision, "auto", threads)
    network = Network.of(model, session.choice.precision)
    tiling = plan(run.width, run.height, len(CHANNELS)).fitted(run.width, network)
    halo, name = 2 * network.halo, model.promise.inputs[0].name
    tile = np.full((1, 3, tiling.tile_rows + halo, tiling.columns + halo), 0.5, np.float32)
    session.run({name: tile})
    began = time.perf_counter()
    session.run({name: tile})
    tiles = -(-run.height // tiling.tile_rows) * -(-run.width // tiling.columns)
    return 2 * tiles * (time.perf_counter() - began)
