"""The command: ``deepupscale run`` as a user starts it, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rounds import Contestant, Outcome
from benchmarks.synthetic_plate import SyntheticPlate
from deepupscale.devices import cpu_precisions
from deepupscale.model_file import ModelFile
from deepupscale.session import choose

SECTION = "deepupscale run, end to end"
_LAUNCHER = Path(__file__).with_name("launcher.py")


class CommandFailedError(Exception):
    """The command did not exit with 0."""


def run_command(source: Path, result: Path, options: Sequence[str]) -> Outcome:
    """Upscale a plate by the command; the result is removed.

    Raises:
        CommandFailedError: With what the command said.
    """
    report = result.with_suffix(".json")
    command = [sys.executable, "-m", "deepupscale", "run", str(source), str(result), "--overwrite"]
    command += ["--progress", "none", "--json", str(report), *options]
    done = subprocess.run([sys.executable, "-I", str(_LAUNCHER), *command], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    if measured["code"] != 0:
        said = done.stderr.strip() or (report.read_text(encoding="utf-8") if report.exists() else "nothing")
        raise CommandFailedError(f"deepupscale run ended with {measured['code']}: {said}")
    seconds = json.loads(report.read_text(encoding="utf-8"))["frames"][0]["seconds"]
    report.unlink()
    result.unlink()
    return Outcome(measured["seconds"], measured["peak_mib"], seconds)


def command_contestants(model: ModelFile, width: int, height: int, folder: Path, threads: int) -> list[Contestant]:
    """An opaque and a partly covered plate in the automatic precision, and the second in f32 where that is another."""
    sources: dict[str, Path] = {}
    for name, opaque in (("alpha 1", True), ("partial alpha in every tile", False)):
        sources[name] = folder / f"plate_{'opaque' if opaque else 'partial'}.exr"
        SyntheticPlate(width, height, opaque).write(sources[name])
    automatic = choose(model, "cpu").precision
    runs = [(name, automatic) for name in sources]
    if automatic != "f32" and "f32" in cpu_precisions():
        runs.append(("partial alpha in every tile", "f32"))
    found: list[Contestant] = []
    for name, precision in runs:
        options = ["--model", str(model.path), "--device", "cpu", "--precision", precision, "--threads", str(threads)]

        def turn(source: Path = sources[name], options: Sequence[str] = options) -> Outcome:
            return run_command(source, folder / "upscaled.exr", options)

        # Every run is a new process, which nothing but the page cache can warm up.
        found.append(Contestant(SECTION, f"RGBA zip, {name}, {precision}", turn, lambda: None))
    return found
