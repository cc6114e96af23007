"""What the Nuke node costs over ``deepupscale run``: the driver's prepass in the stand-in beside the command.

    python benchmarks/nuke_overhead.py [--frames 10] [--size 2048x1152] [--device cpu] [--work FOLDER]

Both start from nothing and do the same frames with the default model. The driver also pulls each plate (evaluates the
graph and writes a 32-bit EXR), which is overlapped with inference; the stand-in's pull stands for Nuke's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """version 15.1 v3
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
 precision f32
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


def timed(command: list[str], **environment: str) -> float:
    """Seconds of a command, which has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--size", default="2048x1152")
    parser.add_argument("--device", choices=("cpu", "auto"), default="cpu")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    width, height = (int(n) for n in options.size.split("x"))
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        for frame in range(1, options.frames + 1):
            spec = oiio.ImageSpec(width, height, 4, oiio.HALF)
            spec.attribute("compression", "zips")
            out = oiio.ImageOutput.create(str(folder / f"in.{frame:04d}.exr"))
            assert out is not None
            assert out.open(str(folder / f"in.{frame:04d}.exr"), spec)
            small = rng.lognormal(-2, 1, (height // 16 + 1, width // 16 + 1, 4)).repeat(16, 0).repeat(16, 1)
            assert out.write_image(small[:height, :width].astype(np.float32))
            out.close()
        gpu = "true" if options.device == "auto" else "false"
        text = SCRIPT.format(w=width, h=height, folder=folder, last=options.frames, gpu=gpu)
        (folder / "s.nk").write_text(text)
        frames = f"1-{options.frames}"
        node = timed(
            [sys.executable, "-m", "nuke_standin", "-t", str(ROOT / "nuke_plugin" / "deepupscale_render.py"),
             str(folder / "s.nk"), "--frames", frames, "--prepass"],
            PYTHONPATH=str(ROOT / "tests"), NUKE_PATH=str(ROOT / "nuke_plugin"), DEEPUPSCALE_PYTHON=sys.executable,
        )  # fmt: skip
        (kept,) = (folder / "cache" / "bench").iterdir()
        run = timed(
            [sys.executable, "-m", "deepupscale", "run", f"{kept}/pull.main.####.exr", f"{folder}/run/up.main.####.exr",
             "--precision", "f32", "--device", options.device, "--progress", "none"],
        )  # fmt: skip
        same = all((folder / "run" / p.name).read_bytes() == p.read_bytes() for p in kept.glob("up.*.exr"))
    print(f"{options.frames} frames of {options.size}: node {node:.1f} s, run {run:.1f} s, "
          f"overhead {100 * (node / run - 1):+.1f} %, same bytes: {same}")  # fmt: skip


if __name__ == "__main__":
    main()
