"""A sequence: the command from end to end beside each of its stages alone.

    python -m benchmarks.sequence --frames 20 --size 2048x1080

Stages that overlap perfectly take as long together as the slowest of them alone. Everything is timed in turns, in one
process each, and the command's start and compilation are part of its time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.command import CommandFailedError
from benchmarks.machine import Machine
from benchmarks.stand_in import double_in_memory, tensors_fed
from benchmarks.synthetic_plate import CHANNELS, SyntheticPlate
from deepupscale import load_model, open_session
from deepupscale.errors import DeepUpscaleError
from deepupscale.model_file import ModelFile
from deepupscale.passes import plan
from deepupscale.plate import Plate
from deepupscale.plate_writer import PlateWriter
from deepupscale.provenance import digest
from deepupscale.session import Session, Tensor
from deepupscale.sinks import OutputPart
from deepupscale.threads import set_threads

STAGES = ("decode", "network", "encode")


@dataclass
class Stage:
    """Something that is timed.

    Attributes:
        name: What it is.
        turn: Does it for all frames.
        inner: Seconds that a turn returned, of every round.
        seconds: Time of every round.
    """

    name: str
    turn: Callable[[], object]
    seconds: list[float] = field(default_factory=list)
    inner: list[float] = field(default_factory=list)


class Work:
    """The stages of one sequence.

    Args:
        model: The model.
        session: It, compiled.
        plates: The sequence.
        folder: Where results go.
        rows: Of a doubled strip.
    """

    def __init__(self, model: ModelFile, session: Session, plates: Sequence[Path], folder: Path) -> None:
        self._model, self._session, self._plates, self._folder = model, session, plates, folder
        with Plate(plates[0]) as plate:
            box = plate.parts[0].data_window
            self._rows = plan(box.width, box.height, len(CHANNELS)).rows
            self._planes = {name: np.empty((box.height, box.width), np.float32) for name in CHANNELS}
            top = 0
            for strip in plate.strips(plate.parts[0], self._rows):
                for name, rows in strip.items():
                    self._planes[name][top : top + rows.shape[0]] = rows
                top += next(iter(strip.values())).shape[0]
        self._fed: list[Tensor] = tensors_fed(model, self._planes)
        grain = 1.0 + 0.05 * np.random.default_rng(3).standard_normal((2 * box.height, 2 * box.width), np.float32)
        self._doubled = {
            name: plane.repeat(2, axis=0).repeat(2, axis=1) * (grain if name != "A" else np.float32(1.0))
            for name, plane in self._planes.items()
        }

    def decode(self) -> None:
        """Digest and read every plate, as the engine does."""
        for source in self._plates:
            digest(source, lambda: None)
            with Plate(source) as plate:
                for _ in plate.strips(plate.parts[0], plate.parts[0].band(8 << 20)):
                    pass

    def network(self) -> None:
        """The network alone, on the tensors that the engine feeds."""
        name = self._model.promise.inputs[0].name
        for _ in self._plates:
            for tensor in self._fed:
                self._session.run({name: tensor})

    def infer(self) -> None:
        """What the network's thread does: network, range compression, interpolation, addition."""
        for _ in self._plates:
            double_in_memory(self._model, self._session, self._planes)

    def encode(self) -> None:
        """What the writing thread does: to half, encode, read back, fsync, rename."""
        for source in self._plates:
            with Plate(source) as plate:
                part = OutputPart(plate.parts[0], CHANNELS, 2)
            with PlateWriter(self._folder / f"alone_{source.name}", [part], None, "{}") as writer:
                for top in range(0, 2 * self._planes["R"].shape[0], 2 * self._rows):
                    writer.write(0, {name: plane[top : top + 2 * self._rows] for name, plane in self._doubled.items()})

    def command(self, options: Sequence[str]) -> float:
        """``deepupscale run`` on the sequence, in a process of its own.

        Returns:
            Seconds from its first frame's beginning to its last one's end, compilation included.

        Raises:
            CommandFailedError: With what it said.
        """
        report = self._folder / "run.json"
        pattern = self._plates[0].with_name("shot.####.exr")
        command = [sys.executable, "-m", "deepupscale", "run", str(pattern), str(self._folder / "run") + "/"]
        done = subprocess.run(
            [*command, "--overwrite", "--json", str(report), *options], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CommandFailedError(f"deepupscale run ended with {done.returncode}: {done.stderr or done.stdout}")
        return float(json.loads(report.read_text(encoding="utf-8"))["seconds"])


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not cross or not width.isdecimal() or not height.isdecimal() or min(int(width), int(height)) < 16:
        raise argparse.ArgumentTypeError("write WIDTHxHEIGHT, 16 or more each")
    return int(width), int(height)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sequence", description="The command beside each of its stages alone."
    )
    parser.add_argument("--frames", type=int, default=20, help="plates (20)")
    parser.add_argument("--size", type=_size, default=(2048, 1080), metavar="WxH", help="of a plate (2048x1080)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--partial", action="store_true", help="alpha is partial in every tile, not 1")
    parser.add_argument("--compression", default="zip", help="of plates and results (zip)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N")
    parser.add_argument("--precision", default="auto", help="auto, f32, bf16, f16 or int8")
    parser.add_argument("--model", metavar="NAME|FILE", help="the default if left out")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (all)")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="the trace of the last round's command")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args()
    if min(options.frames, options.rounds) < 1 or options.threads < 0:
        parser.error("--frames and --rounds must be above 0, --threads 0 or more")
    return options


def main() -> None:
    """Measure and print."""
    options = _arguments()
    model = load_model(options.model)
    machine = Machine.here(options.threads)
    print("\n".join(machine.lines()))
    set_threads(options.threads)
    session = open_session(model, options.device, options.precision, "auto", options.threads)
    width, height = options.size
    print(f"sequence  {options.frames} plates of {width}x{height} half RGBA, {options.compression}; {session.choice}")
    given = ["--device", options.device, "--precision", options.precision, "--threads", str(options.threads)]
    given += ["--model", str(model.path), "--progress", "none"]
    given += ["--profile", str(options.profile)] if options.profile else []
    with tempfile.TemporaryDirectory(prefix="deepupscale-sequence-") as name:
        folder = Path(name)
        plates = [folder / f"shot.{number:04d}.exr" for number in range(1, options.frames + 1)]
        for seed, path in enumerate(plates):
            SyntheticPlate(width, height, not options.partial, seed).write(path, options.compression)
        work = Work(model, session, plates, folder)
        stages = [
            Stage("decode", work.decode), Stage("network", work.network), Stage("encode", work.encode),
            Stage("network's thread", work.infer), Stage("deepupscale run", lambda: work.command(given)),
        ]  # fmt: skip
        work.network()  # compiled and warm
        for _ in range(options.rounds):
            for stage in stages:
                began = time.perf_counter()
                inner = stage.turn()
                stage.seconds.append(time.perf_counter() - began)
                if isinstance(inner, float):
                    stage.inner.append(inner)
    stages.append(Stage("without its start", stages[-1].turn, stages[-1].inner))
    slowest = max(stages[:3], key=lambda stage: statistics.median(stage.seconds))
    print(f"\n{'':18} {'s':>8}  least..most  ms a frame  over {slowest.name}")
    document: dict[str, object] = {"machine": machine.document(), "slowest": slowest.name, "seconds": {}, "ratios": {}}
    for stage in stages:
        ratios = [a / b for a, b in zip(stage.seconds, slowest.seconds, strict=True)]
        median = statistics.median(stage.seconds)
        print(
            f"{stage.name:18} {median:8.2f}  {min(stage.seconds):.1f}..{max(stage.seconds):.1f}  "
            f"{1000 * median / options.frames:10.0f}  "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        )
        document["seconds"] = {**_mapping(document["seconds"]), stage.name: stage.seconds}
        document["ratios"] = {**_mapping(document["ratios"]), stage.name: ratios}
    print("\nTotal over the slowest of decode, network and encode: 1 is perfect overlap, 1.15 the target.")
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _mapping(found: object) -> dict[str, object]:
    assert isinstance(found, dict)
    return found


if __name__ == "__main__":
    try:
        main()
    except (CommandFailedError, DeepUpscaleError, OSError) as failure:
        sys.exit(f"benchmarks.sequence: {failure}")
