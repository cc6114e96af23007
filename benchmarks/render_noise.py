"""``python -m benchmarks.render_noise PAIRS``: how much of HR is noise of its own render, which nobody can foretell.

Every accepted pair of a folder of ``render-pairs`` that the generator made has its HR rendered once more, alike but
for the sampling seed. Two such renders differ by twice the variance of one, so what would know the picture without any
noise scores 3.01 dB above the figure of the two against each other: no upscaler can do better on this pair.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import usable_cores
from deepupscale.errors import DeepUpscaleError, UsageError
from deepupscale.range_compression import RangeCompression
from model.metrics import psnr
from render import manifest
from render.jobs import Settings, picture_of, sampling_seed
from render.manifest import PairRecord
from render.multilayer import read_passes, stored
from render.pair_files import read_rgb
from render.pairs import RenderError
from render.workers import JobFailedError, Worker, WorkerDiedError, find_blender

CEILING = 10.0 * math.log10(2.0)  # dB from two noisy renders' figure to that of one against the picture without noise


def once_more(record: PairRecord, worker: Worker, folder: Path, threads: int) -> Path:
    """Render a pair's HR again, with sampling noise of its own.

    Args:
        record: Of a pair that the generator made.
        worker: A Blender.
        folder: For the file.
        threads: CPU threads.

    Returns:
        Blender's multilayer file.

    Raises:
        UsageError: The pair is no generated one.
        RenderError: Blender cannot render it.
    """
    scene, render = record.scene, record.render
    try:
        asked = {name: scene[name] for name in ("kind", "seed", "index")} | {"size": list(record.size)}
        seed, frame = sampling_seed(int(render["seeds"][1]), record.name, 2), scene["frame"]
        alpha = tuple(aov for aov in render["aovs"] if aov == "alpha")
        settings = Settings(record.size, render["samples"], render["denoise"], alpha, device=render["device"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise UsageError(f"{record.name}: is none of the generator of render-pairs: it cannot be made again") from None
    path = folder / f"{record.name}.exr"
    try:
        worker.ask({"scene": asked, "frame": frame, "pictures": [picture_of(settings, path, 2, seed, threads)]})
    except (JobFailedError, WorkerDiedError) as error:
        raise RenderError(f"{record.name}: {error}") from None
    return path


def noise_of(record: PairRecord, pairs: Path, again: Path) -> float:
    """PSNR in dB, compressed range, of the second render of HR against the first, which lies in ``pairs``."""
    try:
        passes, _ = read_passes(again)
    except (OSError, RuntimeError) as error:
        raise RenderError(f"{record.name}: Blender's file cannot be read back: {error}: is the disk full?") from None
    kind = np.float32 if record.render.get("type") == "float" else np.float16
    second = np.stack([stored(passes[f"Combined.{c}"], kind) for c in "RGB"], axis=-1).astype(np.float32)
    curve = RangeCompression()
    return psnr(curve.compress(second), curve.compress(read_rgb(pairs / record.hr)))


def main(arguments: list[str] | None = None) -> int:
    """The command; exits with 2 where it cannot do it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.render_noise", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("pairs", type=Path, help="folder of render-pairs")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="the first N accepted pairs alone")
    parser.add_argument("--blender", type=Path, help="which Blender, as for render-pairs")
    parser.add_argument("--timeout", type=float, default=120.0, help="minutes for one render (120)")
    given = parser.parse_args(arguments)
    if given.limit < 0:
        parser.error(f"--limit {given.limit}: name a number from 1, or 0 for all")
    table = Table("pair", "kind", "samples", "two renders dB", "ceiling dB")
    figures: list[float] = []
    try:
        records = [record for record in manifest.read(given.pairs) if record.status == "accepted"]
        records = records[: given.limit or None]
        if not records:
            raise UsageError(f"{given.pairs}: holds no accepted pair")
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            with Worker(find_blender(given.blender), folder / "blender.log", 60.0 * given.timeout) as worker:
                for record in records:
                    again = once_more(record, worker, folder, usable_cores())
                    figures.append(noise_of(record, given.pairs, again))
                    again.unlink()
                    samples = str(record.render["samples"])
                    row = (record.name, record.scene["kind"], samples, f"{figures[-1]:.2f}")
                    table.add_row(*row, f"{figures[-1] + CEILING:.2f}")
    except DeepUpscaleError as error:
        parser.error(str(error))
    mean = sum(figures) / len(figures)
    table.add_row("mean", "", "", f"{mean:.2f}", f"{mean + CEILING:.2f}")
    Console(width=None if Console().is_terminal else 100).print(table)
    return 0


if __name__ == "__main__":
    main()
