"""Encoding: what a doubled plate costs to write and to read back in each of OpenEXR's compressions, and on how many
threads; alone, and beside a network that wants the same cores.

    python -m benchmarks.encoding
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine, usable_cores
from benchmarks.rounds import Series
from benchmarks.synthetic_plate import CHANNELS, SyntheticPlate
from deepupscale import Engine, Settings, load_model, open_session
from deepupscale.errors import DeepUpscaleError
from deepupscale.fields import Method
from deepupscale.passes import plan
from deepupscale.plate import Limits, Plate, Rows
from deepupscale.plate_writer import COMPRESSIONS, Clamped
from deepupscale.session import Session
from deepupscale.sinks import OutputPart, open_sink
from deepupscale.threads import set_threads

LEVELS = ("zip:1", "zip:2", "zip:6", "zip:9", "zips:1", "zips:9")
BESIDE = ("none", "zip", "zip:1")
KINDS = ("half", "float")
_BAND = 256  # rows handed to the library at once
_TILES = 2  # tiles of the network beside one plate that is written


@dataclass
class Written:
    """One way to write the plate.

    Attributes:
        kind: ``half`` or ``float``.
        compression: As ``--compression`` takes it.
        threads: Threads that the library encodes and decodes with.
        mib: Size of the file in MiB.
        lossless: What was read back equals what was written, to the bit.
        encode: Seconds to write it, round by round.
        cpu: Seconds of processor time for that, all threads together: other work on the machine changes it little.
        decode: Seconds to read it back.
    """

    kind: str
    compression: str
    threads: int
    mib: float = 0.0
    lossless: bool = False
    encode: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)


@dataclass
class Beside:
    """The plate written while the network runs.

    Attributes:
        compression: As ``--compression`` takes it.
        threads: Threads that the library encodes with.
        network: Seconds of the tiles alone, round by round.
        write: Seconds of writing alone.
        both: Seconds until both are done, begun together.
    """

    compression: str
    threads: int
    network: list[float] = field(default_factory=list)
    write: list[float] = field(default_factory=list)
    both: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Picture:
    """A doubled plate in memory: the part that it belongs to and its channels, (height, width) each."""

    part: OutputPart
    rows: Sequence[Rows]

    def write(self, path: Path, compression: str) -> None:
        """Encode it as the engine does."""
        sink = open_sink(path, path, [self.part], compression, "{}")
        for top in range(0, self.rows[0].shape[0], _BAND):
            sink.write(0, [channel[top : top + _BAND] for channel in self.rows])
        sink.close()

    def equals(self, path: Path) -> bool:
        """Whether a file holds it to the bit."""
        with Plate(path, Limits.none()) as plate:
            strip = next(plate.strips(plate.parts[0], self.rows[0].shape[0]))
        return all(
            np.array_equal(strip[name].astype(rows.dtype), rows)
            for name, rows in zip(self.part.channels, self.rows, strict=True)
        )


def doubled(width: int, height: int, session: Session, folder: Path) -> dict[str, Picture]:
    """The synthetic plate of this size, doubled by the engine's interpolation alone: in half and in float."""
    alone = Settings(layers=dict.fromkeys(CHANNELS, Method.FILTER))
    found: dict[str, Picture] = {}
    for kind in KINDS:
        source, result = folder / f"plate_{kind}.exr", folder / f"doubled_{kind}.exr"
        _write_plate(source, SyntheticPlate(width, height).rows(0, height), kind)
        if kind == "half":
            Engine(load_model(), session, alone).upscale(source, result)
            with Plate(result) as plate:
                planes = next(plate.strips(plate.parts[0], 2 * height))
        with Plate(source) as plate:
            part = OutputPart(plate.parts[0], CHANNELS, 2)
        # the float plate is the half one with the low bits that a float result has
        grain = np.random.default_rng(5)
        rows = [
            Clamped().to_half(name, planes[name])
            if kind == "half"
            else planes[name] * (1 + grain.uniform(-2e-4, 2e-4, planes[name].shape).astype(np.float32))
            for name in CHANNELS
        ]
        found[kind] = Picture(part, rows)
    return found


def _write_plate(path: Path, pixels: np.ndarray, kind: str) -> None:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], len(CHANNELS), kind)
    spec.channelnames = CHANNELS
    file = oiio.ImageOutput.create(str(path))
    if file is None or not (file.open(str(path), spec) and file.write_image(pixels) and file.close()):
        raise OSError(f"{path}: cannot be written")


def measure(
    pictures: dict[str, Picture], ways: Sequence[Written], folder: Path, rounds: int, told: Callable[[str], None]
) -> None:
    """Everyone's turn in every round; the first, which warms up, also tells the size and whether pixels are kept."""
    path = folder / "encoded.exr"
    for number in range(rounds + 1):
        for way in ways:
            told(f"round {number} of {rounds}: {way.kind} {way.compression}, {way.threads} threads")
            picture = pictures[way.kind]
            set_threads(way.threads)
            began, worked = time.perf_counter(), time.process_time()
            picture.write(path, way.compression)
            encode, cpu = time.perf_counter() - began, time.process_time() - worked
            began = time.perf_counter()
            with Plate(path, Limits.none()) as plate:
                plate.read_through()
            decode = time.perf_counter() - began
            if number == 0:
                way.mib, way.lossless = path.stat().st_size / 2**20, picture.equals(path)
                continue
            way.encode.append(encode)
            way.cpu.append(cpu)
            way.decode.append(decode)


def measure_beside(
    picture: Picture, tiles: Callable[[], None], ways: Sequence[Beside], folder: Path, rounds: int,
    told: Callable[[str], None],
) -> None:  # fmt: skip
    """The network and the writer alone and at once, in turns."""
    path = folder / "encoded.exr"
    tiles()
    for number in range(rounds):
        for way in ways:
            told(f"round {number + 1} of {rounds}: {way.compression} beside the network, {way.threads} threads")
            set_threads(way.threads)
            way.network.append(_timed(tiles))
            way.write.append(_timed(lambda: picture.write(path, way.compression)))  # noqa: B023 (called at once)

            def both() -> None:
                writer = threading.Thread(target=picture.write, args=(path, way.compression))  # noqa: B023
                writer.start()
                tiles()
                writer.join()

            way.both.append(_timed(both))


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _tiles(session: Session, width: int, height: int) -> Callable[[], None]:
    model = load_model()
    tiling, halo = plan(width, height, len(CHANNELS)), 2 * model.promise.halo
    multiple = model.promise.multiple
    shape = [-(-(side + halo) // multiple) * multiple for side in (tiling.rows, tiling.columns)]
    tile = np.random.default_rng(1).uniform(0.2, 0.8, (1, 3, *shape)).astype(np.float32)

    def turn() -> None:
        for _ in range(_TILES):
            session.run({model.promise.inputs[0].name: tile})

    return turn


def _encoding_table(ways: Sequence[Written]) -> Table:
    table = Table(title="doubled plate, RGBA", title_justify="left")
    heads = ("pixels", "compression", "threads", "ms", "least..most", "cpu ms", "read back ms", "MiB", "lossless")
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < 2 else "right", no_wrap=True)
    for way in ways:
        encode, cpu, decode = (Series(tuple(1e3 * s for s in t)) for t in (way.encode, way.cpu, way.decode))
        spread, kept = f"{encode.least:.0f}..{encode.most:.0f}", "yes" if way.lossless else "no"
        figures = [f"{each.median:.0f}" for each in (encode, cpu, decode)]
        table.add_row(
            way.kind, way.compression, str(way.threads), figures[0], spread, *figures[1:], f"{way.mib:.1f}", kept
        )  # fmt: skip
    return table


def _beside_table(ways: Sequence[Beside]) -> Table:
    table = Table(title=f"half plate written beside {_TILES} tiles of the network", title_justify="left")
    for head in ("compression", "threads", "network ms", "write ms", "both at once ms", "of the sum", "least..most"):
        table.add_column(head, justify="left" if head == "compression" else "right", no_wrap=True)
    for way in ways:
        network, write, both = (Series(tuple(1e3 * s for s in t)) for t in (way.network, way.write, way.both))
        share = both.over(Series(tuple(a + b for a, b in zip(network.values, write.values, strict=True))))
        table.add_row(
            way.compression, str(way.threads), f"{network.median:.0f}", f"{write.median:.0f}", f"{both.median:.0f}",
            f"{share.median:.2f}", f"{share.least:.2f}..{share.most:.2f}",
        )  # fmt: skip
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoding", description="Time the EXR writer.")
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(2048, 1080),
                        metavar="WxH", help="the plate, before it is doubled (2048x1080)")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (5)")
    parser.add_argument("--threads", type=int, action="append", metavar="N",
                        help="threads of the library, repeatable (1, and one for each core)")  # fmt: skip
    parser.add_argument("--compression", action="append", metavar="NAME", help="only this one, repeatable (all)")
    parser.add_argument("--skip-network", action="store_true", help="leave out writing beside the network")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args()
    if options.rounds < 1 or len(options.size) != 2 or min(options.size) < 1:
        parser.error("--rounds must be above 0, --size is WxH")
    return options


def main() -> None:
    """Measure, print, write."""
    options = _arguments()
    console = Console(width=140) if not sys.stdout.isatty() else Console()
    width, height = options.size
    threads = options.threads or sorted({1, usable_cores()})
    machine = Machine.here(0)
    for line in machine.lines():
        console.print(line, highlight=False, markup=False)
    names = options.compression or [*COMPRESSIONS, *LEVELS]
    ways = [Written(kind, name, count) for kind in KINDS for name in names for count in threads]
    beside = [] if options.skip_network else [Beside(name, count) for name in BESIDE for count in threads]
    with tempfile.TemporaryDirectory(prefix="deepupscale-encoding-") as name, console.status("preparing") as status:
        folder, session = Path(name), open_session(load_model(), "cpu")
        pictures = doubled(width, height, session, folder)
        measure(pictures, ways, folder, options.rounds, status.update)
        tiles = _tiles(session, width, height)
        if beside:
            measure_beside(pictures["half"], tiles, beside, folder, options.rounds, status.update)
    console.print(_encoding_table(ways))
    if beside:
        console.print(_beside_table(beside))
    if options.json is not None:
        document: dict[str, Any] = {
            "machine": machine.document(),
            "plate": {"width": width, "height": height},
            "written": [vars(way) for way in ways],
            "beside": [vars(way) for way in beside],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (DeepUpscaleError, OSError) as failure:
        sys.exit(f"benchmarks.encoding: {failure}")
