"""Tiling: how a part is cut into strips and tiles, from what the network costs and what the machine has.

Every tile is computed with its halo, which is lost work: large tiles waste little. What limits them is memory, and,
where a network waits for memory rather than for arithmetic, the caches. A tile's time is modelled as the longer of the
two (the roofline model: Williams, Waterman and Patterson 2009); of the tiles that are about as fast as the fastest, the
smallest is taken.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deepupscale.caches import Caches, caches_here
from deepupscale.devices import Precision
from deepupscale.model_file import ModelFile, weight_shapes

STRIP_BYTES = 192 << 20  # one strip's doubled fields
ACTIVATION_BYTES = 768 << 20  # what a session holds between the layers of one tile
_LEAST_SIDE = 16
_SLACK = 1.02  # a smaller tile may take so much longer than the fastest
_TENSORS_HELD = 4.5  # of the widest layer: measured with OpenVINO on residual networks in f32, bf16 and int8
_TENSORS_MOVED = 2.5  # read and written by a layer, skips among them
_VALUE_BYTES = {"f32": 4, "bf16": 2, "f16": 4, "int8": 4}  # between layers on CPUs; quantised graphs keep float32 there
# Measured on one core with AVX-512, networks of 8 to 64 channels (docs/benchmarks.md); only their ratios matter.
_CORE_FLOPS = {"f32": 2.5e11, "bf16": 5.1e11, "f16": 2.5e11, "int8": 9e11}
_CORE_BANDWIDTH = 8e9  # bytes a second past the caches, beside other work
_LAYER_SECONDS = 1e-8  # a pixel of a layer, however narrow
_CALL_SECONDS = 1e-3  # what a run costs besides its pixels


@dataclass(frozen=True)
class Network:
    """What a network costs.

    Attributes:
        halo: Input pixels of context on every side.
        widest: Channels of its widest layer.
        layers: Convolutions.
        weights: Values of them, each used once for every pixel that is fed.
        precision: What it is computed in.
    """

    halo: int
    widest: int
    layers: int
    weights: int
    precision: Precision = "f32"

    @classmethod
    def of(cls, model: ModelFile, precision: Precision) -> Network:
        """From the shapes of the graph's weights; where none are found, from the size of the file and the halo.

        A network that comes without a file, as a checkpoint's does, is taken to be a typical one.
        """
        shapes = [shape for shape in weight_shapes(model.data) if len(shape) >= 4]
        halo = model.promise.halo
        if shapes:
            weights = sum(int(np.prod(shape, dtype=np.float64)) for shape in shapes)
            return cls(halo, max(shape[0] for shape in shapes), len(shapes), weights, precision)
        if not model.data:
            return replace(TYPICAL, halo=halo, precision=precision)
        weights = max(1, len(model.data) // {"f32": 4, "f16": 2, "int8": 1}[model.promise.precision])
        layers = max(1, halo)  # each 3 x 3 kernel reaches one pixel further
        return cls(halo, max(3, round((weights / 9 / layers) ** 0.5)), layers, weights, precision)

    @property
    def pixel_bytes(self) -> float:
        """Memory that a fed pixel takes while a tile is computed; 60 of it are float32 RGB in, and out at 2x."""
        return _TENSORS_HELD * self.widest * _VALUE_BYTES[self.precision] + 60.0

    def seconds(self, pixels: NDArray[np.float64], caches: Caches) -> NDArray[np.float64]:
        """Modelled time of tiles of so many fed pixels."""
        layer = _TENSORS_MOVED * self.widest * _VALUE_BYTES[self.precision]
        missed = np.maximum(0.0, 1.0 - caches.bytes / (layer * pixels))
        arithmetic = 2.0 * self.weights / _CORE_FLOPS[self.precision] + self.layers * _LAYER_SECONDS
        return pixels * np.maximum(arithmetic, self.layers * layer * missed / _CORE_BANDWIDTH) / caches.cores


TYPICAL = Network(halo=27, widest=64, layers=27, weights=930_240)
"""The default network in float32: what is assumed of one that is not known."""


@dataclass(frozen=True)
class Tiling:
    """How a part is cut.

    Attributes:
        rows: Plate rows a strip.
        columns: Plate columns a tile; strips are cut into tiles for the network only.
        tile_rows: Plate rows a tile; 0 for the strip's.
        free: Made without knowing the network: who knows it may cut the strips otherwise.
    """

    rows: int
    columns: int
    tile_rows: int = 0
    free: bool = False

    def fitted(self, width: int, network: Network | None) -> Tiling:
        """The same strips, cut for this network; as they are where it is None or the tiling is not free."""
        if network is None or not self.free:
            return self
        tile_rows, columns = _best(self.rows, width, self.rows, network, caches_here())
        return Tiling(self.rows, columns, tile_rows)


def plan(
    width: int,
    height: int,
    channels: int,
    network: Network | None = None,
    caches: Caches | None = None,
    strip_bytes: int = STRIP_BYTES,
) -> Tiling:
    """Cut a part so that strips and tiles stay within their budgets, with little of the work spent on halos.

    Args:
        width: Plate columns.
        height: Plate rows.
        channels: Channels that are kept, for the strip's budget.
        network: What the tiles are for; left out, a typical one is assumed and the tiling is free.
        caches: The machine's; left out, this one's.
    """
    most = min(height, max(_LEAST_SIDE, strip_bytes // (width * 4 * channels * 4)))
    rows, columns = _best(height, width, most, network or TYPICAL, caches or caches_here())
    return Tiling(rows, columns, rows, free=network is None)


@functools.lru_cache(maxsize=64)
def _best(height: int, width: int, most_rows: int, network: Network, caches: Caches) -> tuple[int, int]:
    """Rows and columns of the tiles for an area of this size: the smallest that is about as fast as the fastest."""
    rows, columns = (_sides(side)[:, np.newaxis].astype(np.float64) for side in (height, width))
    columns = columns.T
    fed = (rows + 2 * network.halo) * (columns + 2 * network.halo)
    tiles = np.ceil(height / rows) * np.ceil(width / columns)
    seconds = tiles * (network.seconds(fed, caches) + _CALL_SECONDS)
    allowed = (rows <= most_rows) & (fed * network.pixel_bytes <= ACTIVATION_BYTES)
    if not allowed.any():
        allowed = (rows <= most_rows) & (fed == fed[np.broadcast_to(rows <= most_rows, fed.shape)].min())
    fast = allowed & (seconds <= _SLACK * seconds[allowed].min())
    at = np.unravel_index(np.where(fast, fed, np.inf).argmin(), fed.shape)
    return int(rows[at[0], 0]), int(columns[0, at[1]])


def _sides(length: int) -> NDArray[np.int64]:
    """Lengths of the parts that a line can be cut into evenly, none under the least side unless the line is."""
    least = min(length, _LEAST_SIDE)
    return np.unique([-(-length // n) for n in range(1, max(1, length // least) + 1)])
