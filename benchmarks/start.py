"""Start-up: what `deepupscale run` does before its first tile, step by step, in fresh processes; and what keeping
compiled models on disk would save of it.

    python -m benchmarks.start
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("python", "command line", "engine", "OpenVINO", "model", "session", "compile")
KEPT = "kept: SHA-256 and import"
_TILE = (1, 3, 236, 2102)  # of a 2048x1080 plate, context included


def steps(model: str | None, precision: str, begun: float) -> dict[str, tuple[float, float]]:
    """Name to wall and processor seconds of each step, in this process, which must be a fresh one.

    Args:
        model: As ``--model`` takes it.
        precision: ``f32`` or ``bf16``.
        begun: When the process was asked for, by ``time.time``.
    """
    found: dict[str, tuple[float, float]] = {"python": (time.time() - begun, time.process_time())}

    def step(name: str, work: Callable[[], Any]) -> Any:
        began, worked = time.perf_counter(), time.process_time()
        made = work()
        found[name] = time.perf_counter() - began, time.process_time() - worked
        return made

    step("command line", lambda: __import__("deepupscale.cli.app"))
    step("engine", lambda: __import__("deepupscale.cli.run"))
    step("OpenVINO", lambda: __import__("openvino"))
    from deepupscale import load_model, open_session
    from deepupscale.openvino_core import openvino_core

    loaded = step("model", lambda: load_model(model))
    step("session", lambda: open_session(loaded, "cpu", precision))
    import openvino as ov

    core = openvino_core()
    config = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32", "PERFORMANCE_HINT": "LATENCY"}

    def compiled() -> Any:
        graph = core.read_model(loaded.data)
        graph.reshape({loaded.promise.inputs[0].name: ov.PartialShape(list(_TILE))})
        made = core.compile_model(graph, "CPU", config)
        made.create_infer_request()
        return made

    blob = step("compile", compiled).export_model()
    blob = blob if isinstance(blob, bytes) else blob.getvalue()

    def imported() -> None:
        hashlib.sha256(blob).digest()
        core.import_model(blob, "CPU", config).create_infer_request()

    step(KEPT, imported)
    return found


def _fresh(model: str | None, precision: str) -> dict[str, tuple[float, float]]:
    asked = f"{model!r}, {precision!r}, {time.time()!r}"
    script = f"import json; from benchmarks.start import steps; print(json.dumps(steps({asked})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Measure and print."""
    from rich.console import Console  # not above: the processes that are measured import this module
    from rich.table import Table

    from benchmarks.machine import Machine
    from benchmarks.rounds import Series

    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description="Time the start of the command.")
    parser.add_argument("--model", metavar="NAME|FILE", help="another model than the default one")
    parser.add_argument("--precision", action="append", help="repeatable (f32, and bf16 where the CPU has it)")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes of each (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be above 0")
    machine = Machine.here(0)
    able = machine.found.cpu_precisions
    precisions = options.precision or [name for name in ("bf16", "f32") if name in able]
    console = Console(width=140) if not sys.stdout.isatty() else Console()
    for line in machine.lines():
        console.print(line, highlight=False, markup=False)
    runs: dict[str, list[dict[str, tuple[float, float]]]] = {name: [] for name in precisions}
    for _ in range(options.rounds):
        for precision in precisions:
            runs[precision].append(_fresh(options.model, precision))
    for precision, found in runs.items():
        table = Table(title=f"before the first tile, {precision}", title_justify="left")
        for head in ("step", "ms", "least..most", "cpu ms", "least..most"):
            table.add_column(head, justify="left" if head == "step" else "right", no_wrap=True)
        total = [{"all of it": tuple(sum(run[name][i] for name in STEPS) for i in (0, 1))} | run for run in found]
        for name in (*STEPS, "all of it", KEPT):
            wall, cpu = (Series(tuple(1e3 * run[name][i] for run in total)) for i in (0, 1))
            table.add_row(
                name, f"{wall.median:.0f}", f"{wall.least:.0f}..{wall.most:.0f}", f"{cpu.median:.0f}",
                f"{cpu.least:.0f}..{cpu.most:.0f}",
            )  # fmt: skip
        console.print(table)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine.document(), "runs": runs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
