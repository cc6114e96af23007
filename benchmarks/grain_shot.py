"""``python -m benchmarks.grain_shot PLATE OUT``: a static shot with grain, as pairs for ``deepupscale evaluate``.

Every frame is the plate with grain of its own: normal, a little blurred, in proportion to the light, drawn apart for
each channel. LR is each grainy frame reduced by a filter, so it holds what a camera of half the resolution would see
of the same grain. ``backward`` motion is zero, so *shimmer* is what changes from frame to frame.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from deepupscale.errors import DeepUpscaleError, UsageError
from model.pixel_filters import blackman_harris, box, reduce_whole
from render.exr_file import write_planes
from render.pair_files import read_rgb

Float32 = NDArray[np.float32]
FILTERS = {"blackman-harris": blackman_harris, "box": box}
_BLUR = np.array([0.25, 0.5, 0.25])  # of the grain, both ways, in HR pixels
_LARGEST_HALF = 65504.0


def grain(shape: tuple[int, int, int], rng: np.random.Generator) -> Float32:
    """Noise (height, width, channels) of mean 0 and standard deviation 1, correlated over neighbours."""
    noise = rng.standard_normal(shape)
    for axis in (0, 1):
        noise = sum(weight * np.roll(noise, shift, axis) for weight, shift in zip(_BLUR, (-1, 0, 1), strict=True))
    return (noise / np.sum(_BLUR**2)).astype(np.float32)


def write_shot(plate: Path, out: Path, frames: int, amount: float, side: int, filter_name: str, seed: int) -> None:
    """Write ``lr/shot.0001.exr`` and ``hr/shot.0001.exr`` and so on.

    Args:
        plate: An EXR file; the centre of its first RGB layer is the shot.
        out: A folder that does not hold such a shot yet.
        frames: How many.
        amount: Standard deviation of the grain, as a share of the light.
        side: Of HR, at most; even.
        filter_name: A key of ``FILTERS``.
        seed: Of the grain.

    Raises:
        UsageError: Files of a shot are there already.
        PlateError: The plate cannot be read.
        WriteError: A frame cannot be written.
    """
    if (out / "hr").exists() or (out / "lr").exists():
        raise UsageError(f"{out}: holds pairs already: name another folder")
    picture = read_rgb(plate)
    height, width = (min(side, each) // 2 * 2 for each in picture.shape[:2])
    y, x = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    picture = np.nan_to_num(np.clip(picture[y : y + height, x : x + width], 0.0, _LARGEST_HALF))
    rng = np.random.default_rng(seed)
    for folder in ("lr", "hr"):
        (out / folder).mkdir(parents=True)
    for number in range(1, frames + 1):
        hr = np.clip(picture * (1.0 + amount * grain(picture.shape, rng)), 0.0, _LARGEST_HALF).astype(np.float32)
        for folder, here in (("hr", hr), ("lr", reduce_whole(hr, FILTERS[filter_name](), 2))):
            planes = {name: np.ascontiguousarray(here[:, :, i], np.float16) for i, name in enumerate("RGB")}
            still = np.zeros(here.shape[:2], np.float16)
            write_planes(
                out / folder / f"shot.{number:04d}.exr", {**planes, "backward.u": still, "backward.v": still}, {}
            )


def main(arguments: list[str] | None = None) -> int:
    """The command; 2 where it cannot do it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grain_shot", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("plate", type=Path, help="an EXR file")
    parser.add_argument("out", type=Path, help="folder for the pairs")
    parser.add_argument("--frames", type=int, default=12, help="how many (12)")
    parser.add_argument("--grain", type=float, default=0.05, help="standard deviation as a share of the light (0.05)")
    parser.add_argument("--side", type=int, default=768, help="of the centre that is taken, in HR pixels (768)")
    parser.add_argument("--filter", choices=sorted(FILTERS), default="blackman-harris", help="what makes LR")
    parser.add_argument("--seed", type=int, default=1, help="of the grain (1)")
    given = parser.parse_args(arguments)
    if not 2 <= given.frames <= 1000 or not 0.0 <= given.grain <= 1.0 or given.side < 64:
        parser.error("wants 2 to 1000 frames, grain of 0 to 1 and a side of 64 or more")
    try:
        write_shot(given.plate, given.out, given.frames, given.grain, given.side, given.filter, given.seed)
    except DeepUpscaleError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
