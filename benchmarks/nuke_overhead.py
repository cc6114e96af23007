"""``python -m benchmarks.nuke_overhead``: what the Nuke node costs over ``deepupscale run``.

In every round both do the same frames from nothing, each in processes of its own: the farm's driver fills the cache of
a Read, a Grade and a DeepUpscale in the tests' stand-in for Nuke; the command takes the plates that the node pulled.
The driver also renders each plate to a 32-bit EXR while the worker is at the one before, and writes the records. The
stand-in renders by numpy on one thread and stands for Nuke here. Results are compared byte by byte.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.machine import Machine, load_average
from benchmarks.rounds import Contestant, Outcome, Series, interleave
from benchmarks.synthetic_plate import SyntheticPlate

ROOT = Path(__file__).resolve().parents[1]
SECTION = "frames from nothing"
TARGET = 0.15
_SCRIPT = """version 15.1 v3
Root {{
 format "{w} {h} 0 0 {w} {h} 1 plate"
}}
Read {{
 inputs 0
 file {folder}/in.%04d.exr
 first 1
 last {last}
 raw true
 name Read1
}}
Grade {{
 multiply 1.1
 name Grade1
}}
DeepUpscale {{
 useGPUIfAvailable {gpu}
 precision {precision}
 keep_plates true
 cache {folder}/cache
 uuid bench
 name DeepUpscale1
}}
Write {{
 file {folder}/out.%04d.exr
 name Write1
}}
"""


class Shot:
    """Plates, a script, and the two ways through them.

    Args:
        folder: An empty folder.
        width: Columns of a plate.
        height: Rows.
        frames: How many plates.
        device: ``cpu`` or ``auto``.
        precision: As the option of ``run``.
    """

    def __init__(self, folder: Path, width: int, height: int, frames: int, device: str, precision: str) -> None:
        self._folder, self._frames, self._device, self._precision = folder, frames, device, precision
        for frame in range(1, frames + 1):
            SyntheticPlate(width, height, seed=frame).write(folder / f"in.{frame:04d}.exr")
        gpu = "true" if device == "auto" else "false"
        text = _SCRIPT.format(w=width, h=height, folder=folder, last=frames, gpu=gpu, precision=precision)
        (folder / "shot.nk").write_text(text, encoding="utf-8")

    def node(self) -> Outcome:
        """Fill the node's cache."""
        shutil.rmtree(self._folder / "cache", ignore_errors=True)
        driver = ROOT / "nuke_plugin" / "deepupscale_render.py"
        return self._timed(
            ["-m", "nuke_standin", "-t", str(driver), str(self._folder / "shot.nk"),
             "--frames", f"1-{self._frames}", "--prepass"],
            PYTHONPATH=str(ROOT / "tests"), NUKE_PATH=str(ROOT / "nuke_plugin"), DEEPUPSCALE_PYTHON=sys.executable,
        )  # fmt: skip

    def run(self) -> Outcome:
        """Upscale the plates that the node pulled last, by the command."""
        shutil.rmtree(self._folder / "run", ignore_errors=True)
        return self._timed(
            ["-m", "deepupscale", "run", f"{self._kept()}/pull.main.####.exr",
             f"{self._folder}/run/up.main.####.exr", "--precision", self._precision, "--device", self._device,
             "--progress", "none"],
        )  # fmt: skip

    def different(self) -> list[str]:
        """The results that are not the same in both ways."""
        pairs = [(path, self._folder / "run" / path.name) for path in sorted(self._kept().glob("up.*.exr"))]
        if len(pairs) != self._frames:
            return [f"{len(pairs)} of {self._frames} frames"]
        return [one.name for one, other in pairs if one.read_bytes() != other.read_bytes()]

    def _kept(self) -> Path:
        (found,) = (self._folder / "cache" / "bench").iterdir()
        return found

    def _timed(self, arguments: list[str], **environment: str) -> Outcome:
        began = time.perf_counter()
        command, env = [sys.executable, *arguments], {**os.environ, **environment}
        done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            sys.exit(f"benchmarks.nuke_overhead: {' '.join(arguments[:3])} failed with {done.returncode}: {last}")
        return Outcome(time.perf_counter() - began)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it as 2048x1080")
    return int(match[1]), int(match[2])


def _line(name: str, series: Series, digits: int, unit: str) -> str:
    median, least, most = (f"{value:.{digits}f}" for value in (series.median, series.least, series.most))
    return f"{name:<16} {median:>9} {unit}  {least}..{most}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nuke_overhead", description=__doc__)
    parser.add_argument("--frames", type=int, default=10, help="plates (10)")
    parser.add_argument("--size", type=_size, default=(2048, 1080), help="of a plate (2048x1080)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="where both compute (cpu)")
    parser.add_argument("--precision", choices=("auto", "f32", "bf16", "f16"), default="auto", help="of both (auto)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args()
    if options.frames < 1 or options.rounds < 1:
        parser.error("--frames and --rounds must be above 0")
    console = Console(soft_wrap=True)
    machine = Machine.here(0)
    for line in machine.lines():
        console.print(line, highlight=False, markup=False)
    width, height = options.size
    with tempfile.TemporaryDirectory(prefix="deepupscale-nuke-") as name, console.status("preparing") as status:
        shot = Shot(Path(name), width, height, options.frames, options.device, options.precision)
        node = Contestant(SECTION, "node", shot.node)
        run = Contestant(SECTION, "deepupscale run", shot.run)
        interleave([node, run], options.rounds, status.update)
        different = shot.different()
    if different:
        sys.exit(f"benchmarks.nuke_overhead: the node's results are not those of run: {', '.join(different[:5])}")
    overhead = Series(tuple(100.0 * (ratio - 1.0) for ratio in node.seconds.over(run.seconds).values))
    heading = f"{options.frames} frames of {width}x{height}, {options.precision} on {options.device}"
    console.print(f"\n{heading}, {options.rounds} rounds\n", highlight=False)
    for each in (node, run):
        console.print(_line(each.name, each.seconds, 2, "s"), highlight=False)
    console.print(_line("overhead", overhead, 1, "%"), highlight=False)
    verdict = "within" if overhead.median <= 100.0 * TARGET else "above"
    ending = " ".join(map(str, load_average()))
    console.print(f"{verdict} the target of {TARGET:.0%}; same bytes; load at the end {ending}", highlight=False)
    if options.json is not None:
        document = {
            "machine": machine.document(), "frames": options.frames, "size": [width, height],
            "device": options.device, "precision": options.precision, "load_at_end": load_average(),
            "node_seconds": node.seconds.values, "run_seconds": run.seconds.values, "overhead_percent": overhead.values,
        }  # fmt: skip
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
