"""The network's part: doubling colour and alpha with a model's correction over interpolation.

Range compression, interpolation and the addition happen here, in float32, outside the graph; the session computes only
the correction, so a low precision touches only the correction. The correction may also be no larger than half the
largest second difference among the 25 compressed pixels around. Interpolation is exact where a plate slopes evenly, so
there is nothing to correct there, and rounding inside the graph leaves no bands on a smooth ramp; a flat area stays
flat; and no model can throw a value far from what its neighbourhood holds. Beside a step, half of the second difference
is half of the step, all that a correction can be worth there: the bound costs the default model no PSNR
(``docs/shipped-models.md``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepupscale import resample
from deepupscale.blocks import Block, blocks_around, blocks_for_network
from deepupscale.errors import ModelError
from deepupscale.fields import Kind
from deepupscale.model_file import ModelFile
from deepupscale.promise import LogTransfer
from deepupscale.resample import Float32
from deepupscale.session import Session
from deepupscale.threads import for_each
from deepupscale.tiling import Network
from deepupscale.trace import traced

_CURVATURE_RADIUS = 2
_EDGE_REACH = 3  # pixels from an edge of coverage at which colour may still overshoot because of it
_LARGEST_FLOAT = np.float32(np.finfo(np.float32).max)
_BAND_VALUES, _LEAST_BAND = 1 << 17, 4  # values of the plate and rows a band: its arrays fit a core's caches
_LEAST_COVERAGE = np.float32(1.0 / 4096.0)  # below it a premultiplied colour has no colour to speak of


class Upscaler:
    """Doubles planes with one model on one session.

    Attributes:
        margin: Pixels of context that every plane must carry on each side.
        multiple: What the sides of the graph's input must be multiples of.
        network: What the network costs, for whoever cuts tiles; None on GPUs, whose session cuts its own.
    """

    def __init__(self, model: ModelFile, session: Session) -> None:
        promise = model.promise
        plain = len(promise.inputs) == 1 and len(promise.outputs) == 1 and promise.inputs[0].frames == (0,)
        if promise.task != "upscale" or promise.rank != 2 or not plain:
            raise ModelError(
                f"{model.path}: a model for the task {promise.task}, which the engine cannot feed: use an upscale model"
            )
        self._input, self._output = promise.inputs[0], promise.outputs[0]
        transfer = self._input.transfer
        if (
            self._input.field is not Kind.COLOUR
            or len(self._input.channels) != 3
            or not isinstance(transfer, LogTransfer)
        ):
            raise ModelError(f"{model.path}: an upscale model must take three colour channels in a log transfer")
        if self._output.residual_over != self._input.name or (self._input.scale, self._output.scale) != (1, 2):
            raise ModelError(f"{model.path}: an upscale model must return a 2x residual over its input")
        self._curve = transfer.range_compression()
        self._compress = traced("compress")(self._curve.compress)
        self._session = session
        self.multiple = promise.multiple
        self.network = Network.of(model, session.choice.precision) if session.choice.device == "cpu" else None
        self._reach = max(resample.kernel_radius(self._output.interpolation), _CURVATURE_RADIUS + 1)
        self.margin = max(promise.halo, self._reach, _EDGE_REACH)

    def double_colour(self, plane: Float32) -> Float32:
        """Double scene-linear colour.

        Args:
            plane: (height, width, 1 or 3) float32, finite, with ``margin`` pixels of context on every side.

        Returns:
            (2 * (height - 2 * margin), 2 * (width - 2 * margin), channels) float32, scene-linear, finite.
        """
        compressed = resample.by_planes(self._compress(plane))
        return self._expanded(compressed, self._correction(compressed))

    def double_alpha(self, plane: Float32) -> Float32:
        """Double coverage (height, width, 1): the same network on grey, held within the nine pixels around.

        What was in [0, 1] stays there, and where alpha is constant it stays so to the bit.
        """
        low, high = resample.local_range(plane, self.margin, 1)
        out = resample.double_nearest(low, 0)
        for block in self._blocks((low != high)[:, :, 0]):
            doubled = self.double_colour(plane[block.with_context(self.margin)])
            least, most = (resample.double_nearest(bound[block.inside], 0) for bound in (low, high))
            np.clip(doubled, least, most, out=out[block.doubled])
        return out

    def interpolate_colour(self, plane: Float32) -> Float32:
        """Double scene-linear colour by interpolation in the compressed range alone."""
        return self._expanded(resample.by_planes(self._compress(plane)), None)

    def _blocks(self, wanted: NDArray[np.bool_]) -> list[Block]:
        """What the network is run on where only these pixels matter; on a GPU, which wants tiles of one size, all."""
        if not wanted.any():
            return []
        if self.network is None:
            return [Block(0, 0, *wanted.shape)]
        return blocks_for_network(wanted, self.margin)

    @traced("interpolate")
    def _expanded(self, compressed: Float32, correction: Float32 | None) -> Float32:
        """Interpolation plus the bounded correction, scene-linear: in bands of rows whose arrays stay in the cache."""
        around = self.margin - self._reach
        near = compressed[around : compressed.shape[0] - around, around : compressed.shape[1] - around]
        rows, columns, channels = near.shape[0] - 2 * self._reach, near.shape[1] - 2 * self._reach, near.shape[2]
        out = resample.empty(2 * rows, 2 * columns, channels)
        band = max(_LEAST_BAND, _BAND_VALUES // (columns * channels))

        def expand(top: int) -> None:
            bottom = min(top + band, rows)
            part = None if correction is None else correction[2 * top : 2 * bottom]
            self._expand_band(near[top : bottom + 2 * self._reach], part, out[2 * top : 2 * bottom])

        for_each(expand, range(0, rows, band))
        return out

    def _expand_band(self, near: Float32, correction: Float32 | None, out: Float32) -> None:
        bound = below = near[:0]
        if correction is not None:
            bound = resample.local_curvature(near, self._reach, _CURVATURE_RADIUS)
            bound *= np.float32(0.5)
            below = -bound
        for row, column, light in resample.double_by_phase(near, self._reach, self._output.interpolation):
            if correction is not None:
                held = np.maximum(correction[row::2, column::2], below)
                np.add(light, np.minimum(held, bound, out=held), out=light)
            with np.errstate(over="ignore"):
                self._curve.expand(light, out=light)
            np.clip(light, -_LARGEST_FLOAT, _LARGEST_FLOAT, out=out[row::2, column::2])

    def _correction(self, compressed: Float32) -> Float32:
        """The network's residual for a compressed plane with margin; one channel goes through as grey."""
        height, width, channels = compressed.shape
        padded = resample.pad(compressed, 0, -height % self.multiple, 0, -width % self.multiple)
        fed = np.broadcast_to(padded, (*padded.shape[:2], 3)) if channels == 1 else padded
        tensor = np.ascontiguousarray(fed.transpose(2, 0, 1))[np.newaxis]
        residual = self._session.run({self._input.name: tensor})[self._output.name][0]
        m = 2 * self.margin
        inner = residual[:, m : 2 * height - m, m : 2 * width - m].astype(np.float32, copy=False)
        if channels == 1:
            return np.asarray(inner.mean(axis=0, keepdims=True), np.float32).transpose(1, 2, 0)
        return inner.transpose(1, 2, 0)


@traced("assemble")
def agree_with_alpha(
    colour: Float32, alpha: Float32, plate_colour: Float32, plate_alpha: Float32, margin: int
) -> Float32:
    """Hold doubled premultiplied colour to the doubled alpha along edges: no fringe appears over any background.

    Near an edge of coverage, colour / alpha of the result may leave the range that colour / alpha has among the nine
    plate pixels around by half that range at most (what an even colour is made of stays even), and where there is no
    coverage there is no colour. Pixels that glow without coverage (additive light) are left as they are, and so is
    everything that is ``_EDGE_REACH`` pixels from an edge.

    Args:
        colour: (2h, 2w, channels) doubled colour; changed in place.
        alpha: (2h, 2w, 1) doubled alpha.
        plate_colour: The plate with ``margin`` >= ``_EDGE_REACH``: (h + 2 margin, w + 2 margin, channels).
        plate_alpha: Its alpha, likewise, one channel.

    Returns:
        ``colour``.
    """
    least, most = resample.local_range(plate_alpha, margin, _EDGE_REACH)
    near_edge = (least < 1.0) & (most > 0.0)
    inner = (slice(margin - 1, 1 - margin or None),) * 2
    near_colour, near_alpha = plate_colour[inner], plate_alpha[inner]
    for block in blocks_around(near_edge[:, :, 0]):
        plate = near_colour[block.with_context(1)], near_alpha[block.with_context(1)]
        _hold(colour[block.doubled], alpha[block.doubled], *plate, near_edge[block.inside])
    return colour


def _hold(
    colour: Float32, alpha: Float32, plate_colour: Float32, plate_alpha: Float32, near_edge: NDArray[np.bool_]
) -> None:
    """:func:`agree_with_alpha` on one block, whose plate has one pixel of context."""
    covered = plate_alpha > _LEAST_COVERAGE
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        own = plate_colour / plate_alpha
        low = resample.local_range(np.where(covered, own, np.float32(np.inf)), 1, 1)[0]
        high = resample.local_range(np.where(covered, own, np.float32(-np.inf)), 1, 1)[1]
        slack = (high - low) * np.float32(0.5)
        low, high = low - slack, high + slack
    nothing = ~np.isfinite(low) | ~np.isfinite(high)
    low, high = np.where(nothing, np.float32(0.0), low), np.where(nothing, np.float32(0.0), high)
    glows = (~covered & (np.abs(plate_colour) > _LEAST_COVERAGE).any(axis=2, keepdims=True)).astype(np.float32)
    held_here = near_edge & (resample.local_range(glows, 1, 1)[1] <= 0.0)
    big = resample.double_nearest
    with np.errstate(over="ignore"):
        held = np.clip(colour, big(low, 0) * alpha, big(high, 0) * alpha)
    np.copyto(colour, held, where=big(held_here, 0))
