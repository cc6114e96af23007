"""The cost curve: time and memory of ``deepupscale run`` on plates 0.5K to 16K wide: should follow the pixels.

    python -m benchmarks.cost_curve
    python -m benchmarks.cost_curve --no-network --widths 512,1024,2048

Plates have 2K's proportions. Of those wider than ``--whole`` a band of rows with the full width is upscaled: strips and
tiles are cut as of the whole plate or nearly so, memory follows the strip, and the time is extrapolated by the rows.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.command import CommandFailedError, run_command
from benchmarks.machine import Machine
from benchmarks.rounds import Outcome
from benchmarks.synthetic_plate import CHANNELS, SyntheticPlate
from deepupscale.errors import DeepUpscaleError
from deepupscale.model_file import load_model
from deepupscale.tiling import plan

WIDTHS = "512,1024,2048,4096,8192,16384"
_BAND_STRIPS = 2


@dataclass
class Point:
    """One plate.

    Attributes:
        width: Columns.
        height: Rows of the whole plate.
        rows: Rows that are upscaled: all, or a band of them.
        outcomes: One for every round.
    """

    width: int
    height: int
    rows: int
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    @classmethod
    def of(cls, width: int, whole: int) -> Point:
        """The plate of this width; a band of it where it is wider than ``whole``."""
        height = max(1, round(width * 1080 / 2048))
        return cls(width, height, height if width <= whole else min(height, _BAND_STRIPS * strip_rows(width, height)))

    @property
    def seconds(self) -> float:
        """Median of what the engine took for the rows."""
        return statistics.median(outcome.engine_seconds or outcome.seconds for outcome in self.outcomes)

    @property
    def spread(self) -> tuple[float, float]:
        """Least and most, in milliseconds a million plate pixels."""
        each = [1e9 * (outcome.engine_seconds or outcome.seconds) / self.pixels for outcome in self.outcomes]
        return min(each), max(each)

    @property
    def pixels(self) -> int:
        """Plate pixels that were upscaled."""
        return self.width * self.rows

    @property
    def peak_mib(self) -> float:
        """Highest resident memory over the rounds."""
        return max(outcome.peak_mib or 0.0 for outcome in self.outcomes)


def strip_rows(width: int, height: int) -> int:
    """Rows of a strip as the engine plans it."""
    return plan(width, height, len(CHANNELS)).rows


def table(points: list[Point]) -> Table:
    """Time a pixel, and its ratio to that of the 2K plate, or of the first where there is none."""
    shown = Table(title="deepupscale run: the engine's time by the size of the plate")
    for name in ("plate", "done", "seconds", "whole plate", "ms/Mpx", "least..most", "ratio", "peak MiB"):
        shown.add_column(name, justify="left" if name in ("plate", "done") else "right")
    base = next((point for point in points if point.width == 2048), points[0])
    for point in points:
        part = point.rows < point.height
        cost, (least, most) = 1e9 * point.seconds / point.pixels, point.spread
        shown.add_row(
            f"{point.width}x{point.height}",
            f"{point.rows} rows" if part else "whole",
            f"{point.seconds:.2f}",
            f"{point.seconds * point.height / point.rows:.1f}" + (" extrapolated" if part else ""),
            f"{cost:.0f}",
            f"{least:.0f}..{most:.0f}",
            f"{cost / (1e9 * base.seconds / base.pixels):.2f}",
            f"{point.peak_mib:.0f}" if point.peak_mib else "unknown",
        )
    return shown


def _widths(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and 16 <= int(part) <= 65536 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r}: write widths from 16 to 65536 as 512,1024")
    return [int(part) for part in parts]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_curve", description=__doc__)
    parser.add_argument("--widths", type=_widths, default=_widths(WIDTHS), help=f"columns of the plates ({WIDTHS})")
    parser.add_argument("--whole", type=int, default=4096, help="widest plate that is upscaled whole (4096)")
    parser.add_argument("--model", default=None, help="a model by name, or a file (the default model)")
    parser.add_argument("--precision", default="auto", help="as deepupscale run takes it (auto)")
    parser.add_argument(
        "--no-network", action="store_true", help="filter every channel: the engine without its network"
    )
    parser.add_argument("--alpha", action="store_true", help="partial alpha in every tile (alpha 1)")
    parser.add_argument("--rounds", type=int, default=1, help="turns of each (1)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all")
    options = parser.parse_args()
    if options.rounds < 1 or options.threads < 0:
        parser.error("--rounds must be above 0, --threads 0 or more")
    return options


def main() -> None:
    """Measure and print."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 140)
    machine = Machine.here(options.threads)
    for line in machine.lines():
        console.print(line, highlight=False, markup=False)
    given = ["--model", str(load_model(options.model).path), "--device", "cpu", "--precision", options.precision]
    given += ["--threads", str(machine.threads)]
    if options.no_network:
        given += [option for name in CHANNELS for option in ("--layer", f"{name}=filter")]
    points = [Point.of(width, options.whole) for width in options.widths]
    with tempfile.TemporaryDirectory(prefix="deepupscale-benchmark-") as name, console.status("preparing") as status:
        folder = Path(name)
        for number in range(options.rounds):
            for point in points:
                status.update(f"round {number + 1} of {options.rounds}: {point.width}x{point.rows}")
                source = folder / "plate.exr"
                SyntheticPlate(point.width, point.rows, not options.alpha).write(source)
                point.outcomes.append(run_command(source, folder / "upscaled.exr", given))
                source.unlink()
    console.print(table(points))


if __name__ == "__main__":
    try:
        main()
    except (CommandFailedError, DeepUpscaleError, OSError) as failure:
        sys.exit(f"benchmarks: {failure}")
