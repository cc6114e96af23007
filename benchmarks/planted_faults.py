"""``python -m benchmarks.planted_faults PAIRS``: what the measure of coherence catches, on good pairs made bad.

Every accepted pair of a folder of ``render-pairs`` is given each fault in turn, in scene-linear HR; the table shows in
how many it is noticed. No speed is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from deepupscale.errors import DeepUpscaleError
from render import manifest
from render.coherence import fault, measure
from render.pair_files import read_rgb

Float32 = NDArray[np.float32]


def half_pixel(hr: Float32) -> Float32:
    """Moved right by half an HR pixel."""
    return 0.5 * (hr + np.roll(hr, 1, axis=1))


def lamp(gain: float) -> Callable[[Float32], Float32]:
    """A soft lamp, right of the middle, that adds ``gain`` of the light where it is strongest."""

    def lit(hr: Float32) -> Float32:
        y, x = np.meshgrid(*(np.linspace(0.0, 1.0, side) for side in hr.shape[:2]), indexing="ij")
        spot = np.exp(-((x - 0.7) ** 2 + (y - 0.4) ** 2) / 0.1)
        return hr * (1.0 + gain * spot[:, :, None]).astype(np.float32)

    return lit


def moved(hr: Float32) -> Float32:
    """What lies in a square of 80 HR pixels in the middle, moved right by 8."""
    out, (y, x) = hr.copy(), (side // 2 for side in hr.shape[:2])
    out[y - 40 : y + 40, x - 40 : x + 40] = np.roll(hr, 8, axis=1)[y - 40 : y + 40, x - 40 : x + 40]
    return out


def tint(hr: Float32) -> Float32:
    """Red up and blue down by 2 %."""
    return hr * np.array([1.02, 1.0, 0.98], np.float32)


FAULTS: Mapping[str, Callable[[Float32], Float32]] = {
    "none": lambda hr: hr,
    "shift by half an HR pixel": half_pixel,
    "shift by one HR pixel": lambda hr: np.roll(hr, 1, axis=1),
    "exposure by 3 %": lambda hr: hr * np.float32(1.03),
    "exposure by 5 %": lambda hr: hr * np.float32(1.05),
    "red up, blue down by 2 %": tint,
    "a soft lamp, 10 % stronger": lamp(0.1),
    "a soft lamp, 20 % stronger": lamp(0.2),
    "a square of 80 HR pixels moved by 8": moved,
    "mirrored": lambda hr: np.ascontiguousarray(hr[:, ::-1]),
}


def main() -> None:
    """Plant, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted_faults", description=__doc__)
    parser.add_argument("pairs", type=Path, help="a folder made by render-pairs")
    folder: Path = parser.parse_args().pairs
    try:
        records = [record for record in manifest.read(folder) if record.status == "accepted"]
        caught = dict.fromkeys([*FAULTS, "another scene"], 0)
        for number, record in enumerate(records):
            lr, hr = read_rgb(folder / record.lr), read_rgb(folder / record.hr)
            for name, plant in FAULTS.items():
                caught[name] += bool(fault(measure(lr, plant(hr))))
            caught["another scene"] += bool(fault(measure(lr, read_rgb(folder / records[number - 1].hr))))
    except DeepUpscaleError as error:
        parser.error(str(error))
    table = Table("planted", "noticed in", title=f"{len(records)} accepted pairs of {folder}")
    for name, count in caught.items():
        table.add_row(name, f"{count}")
    Console(width=None if Console().is_terminal else 100).print(table)


if __name__ == "__main__":
    main()
