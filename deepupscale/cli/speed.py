"""Speed: what this machine will take for a frame, measured on a small plate and extrapolated by pixels.

Every stage is timed alone, over a few rounds: reading, the network in every precision that can be had, the engine's own
arithmetic around it, writing; then a short sequence is run as ``deepupscale run`` would, where the stages overlap.
Reading, arithmetic and writing grow with the plate's pixels, the network with those that it is fed, halos included.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from deepupscale.cli.peak import peak_bytes
from deepupscale.cli.stages import CHANNELS, RUN_SECONDS, Clock, SmallPlate, Spread, TimedNetwork, Timer
from deepupscale.devices import PRECISIONS, Precision
from deepupscale.errors import DeepUpscaleError
from deepupscale.model_file import ModelFile
from deepupscale.plate_writer import FAST, check_compression
from deepupscale.session import Choice, choose
from deepupscale.writing import UNDER_WAY_BYTES

FRAMES = (("2K", 2048, 1080), ("4K", 4096, 2160))
READ, AROUND, WRITE = "read", "around the network", "write"
_FIRST = FRAMES[0][1], FRAMES[0][2]
_LARGEST = 960, 540  # of the plate that is measured
_SMALLEST = 320, 180


@dataclass(frozen=True)
class FrameSpeed:
    """One size of frame.

    Attributes:
        name: What it is called.
        width: Pixels.
        height: Pixels.
        networks: Precision to the network's seconds.
        stages: Seconds of the other stages, each alone.
        in_a_row: All stages one after another, the network in what ``auto`` picks.
        overlapped: A frame of a sequence, where they overlap.
        peak_mib: Memory at its peak, estimated; None where the system does not tell.
    """

    name: str
    width: int
    height: int
    networks: dict[str, Spread]
    stages: dict[str, Spread]
    in_a_row: Spread
    overlapped: Spread
    peak_mib: int | None


@dataclass(frozen=True)
class Speed:
    """What was found.

    Attributes:
        plate: What was measured on.
        seconds: How long measuring took.
        choice: What ``auto`` picks.
        frames: One for each size.
        unavailable: Precision to why it cannot be had.
        limit: The stage that takes longest.
        advice: One line.
        load: Load average of the last minute when measuring began; None where the system has none.
    """

    plate: str
    seconds: float
    choice: str
    frames: tuple[FrameSpeed, ...]
    unavailable: dict[str, str]
    limit: str
    advice: str
    load: float | None


def measure(model: ModelFile, clock: Clock = time.perf_counter) -> Speed:
    """Measure this machine with a model, in under a minute unless it is very busy.

    Raises:
        DeepUpscaleError: The model cannot be run here, or the folder for temporary files cannot be written to.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    began, timer = clock(), Timer(clock)
    choices, unavailable = _choices(model)
    auto = choose(model)
    networks: dict[str, TimedNetwork] = {auto.precision: TimedNetwork.measured(model, auto, _FIRST, timer)}
    width, height = _plate_size(networks[auto.precision])
    with tempfile.TemporaryDirectory(prefix="deepupscale-doctor-") as name:
        bench = SmallPlate(model, networks[auto.precision].session, Path(name), width, height, timer)
        stages = {READ: bench.read(), AROUND: bench.around(), WRITE: bench.write("zip")}
        fast = bench.write(check_compression(FAST))
        overlapped = bench.sequence()
    peak = peak_bytes()
    for precision, choice in choices.items():
        if precision not in networks and not timer.late:
            networks[precision] = TimedNetwork.measured(model, choice, _FIRST, timer)
    own = networks[auto.precision]
    small = stages[READ] + stages[AROUND] + stages[WRITE] + own.on_a_frame(width, height)
    share = overlapped * (1.0 / small.median) if small.median else Spread(1.0, 1.0, 1.0)
    frames: list[FrameSpeed] = []
    for label, wide, high in FRAMES:
        by_pixels = wide * high / (width * height)
        scaled = {stage: spread * by_pixels for stage, spread in stages.items()}
        runs = {precision: network.on_a_frame(wide, high) for precision, network in networks.items()}
        total = sum(scaled.values(), runs[auto.precision])
        more = own.tile_bytes(wide, high) + _under_way(wide, high) - _under_way(width, height)
        peak_mib = None if peak is None else round((peak + more) / 2**20)
        frames.append(FrameSpeed(label, wide, high, runs, scaled, total, share * total.median, peak_mib))
    first = frames[0]
    parts = {"the network": first.networks[auto.precision], **first.stages}
    limit = max(parts, key=lambda name: parts[name].median)
    saved = fast * (first.width * first.height / (width * height))
    return Speed(
        plate=f"{width}x{height} half RGBA, alpha 1, zip, in {tempfile.gettempdir()}",
        seconds=clock() - began,
        choice=str(auto),
        frames=tuple(frames),
        unavailable=unavailable,
        limit=limit,
        advice=_advice(limit, auto, first, saved, unavailable, clock),
        load=load,
    )


def _choices(model: ModelFile) -> tuple[dict[Precision, Choice], dict[str, str]]:
    """Every precision that can be had of this model here, and why the others cannot."""
    found: dict[Precision, Choice] = {}
    refused: dict[str, str] = {}
    for precision in PRECISIONS:
        try:
            found[precision] = choose(model, precision=precision)
        except DeepUpscaleError as error:
            refused[precision] = str(error)
    return found, refused


def _advice(
    limit: str, auto: Choice, frame: FrameSpeed, fast: Spread, unavailable: dict[str, str], clock: Clock
) -> str:
    network = frame.networks[auto.precision].median
    if limit == WRITE:
        return f"--compression {FAST} writes a {frame.name} frame in {_short(fast.median)} instead of " + _short(
            frame.stages[WRITE].median
        )
    if limit != "the network":
        return f"{limit} takes longest: several frames at once, each with fewer --threads, would use the cores better"
    best = min(frame.networks, key=lambda name: frame.networks[name].median)
    if best != auto.precision and frame.networks[best].median < 0.8 * network:
        return (
            f"{best} would take {_short(frame.networks[best].median)} a {frame.name} frame, but auto picks "
            f"{auto.precision} ({auto.reason}); --precision {best} asks for it"
        )
    if auto.device != "cpu" or auto.precision == "int8":
        return "the network takes longest, and it runs in the fastest way that is to be had here"
    from deepupscale.runtimes import int8_gain

    base = frame.networks["f32"].median if "f32" in frame.networks else network
    int8 = base / int8_gain(clock)
    if int8 > 0.9 * network:
        return f"the network takes longest, in {auto.precision} as fast as this CPU can: more cores, or a GPU"
    why = "bf16 is not available: " if "bf16" in unavailable else ""
    asked = "an int8 file of this model (deepupscale export --precision int8)"
    return f"{why}{asked} would take about {_short(int8)} of network a {frame.name} frame"


def _short(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1.0 else f"{seconds:.2f} s"


def _plate_size(network: TimedNetwork) -> tuple[int, int]:
    """A plate whose network takes about as long as one run may."""
    (wide, high), (narrow, low) = _LARGEST, _SMALLEST
    full = network.on_a_frame(wide, high).median
    part = min(1.0, (RUN_SECONDS / full) ** 0.5) if full > 0.0 else 1.0
    return max(narrow, round(wide * part) // 16 * 16), max(low, round(high * part) // 2 * 2)


def _under_way(width: int, height: int) -> int:
    """Bytes of doubled rows that are in memory at once, at most."""
    return min(UNDER_WAY_BYTES, 4 * width * height * len(CHANNELS) * 4)
