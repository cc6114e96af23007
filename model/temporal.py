"""Steadiness of a sequence: each frame against the one before, brought over along its motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepupscale.range_compression import RangeCompression

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

CROWDED = 1.5  # pixels of a frame that come from one pixel of the frame before, above which some were hidden there


@dataclass(frozen=True)
class TemporalDifference:
    """Warped temporal difference of a sequence.

    Attributes:
        difference: Mean absolute difference in the compressed range over valid pixels and channels; NaN without any.
        valid: Share of pixels compared, 0 to 1.
        by_frame: The same mean for each frame but the first; NaN where it has no valid pixel.
    """

    difference: float
    valid: float
    by_frame: tuple[float, ...]


def temporal_difference(
    frames: Sequence[Float32], backward_motion: Sequence[Float32], curve: RangeCompression | None = None
) -> TemporalDifference:
    """How much a sequence changes that motion does not explain: shimmer, boiling texture, flicker.

    Frame t at (x, y) is compared with frame t - 1 at (x + u, y - v), interpolated linearly in the compressed range.
    Highlights that travel, shadows and the interpolation itself differ too: read a figure beside that of the
    reference's own frames. A picture without detail scores best, so read it beside `model.metrics.sharpness`.

    Pixels are left out whose way leads out of the frame before, and where more than 1.5 pixels of this frame come
    from one pixel of that frame: there something hidden has come into view, together with what hid it. Both go, for
    motion alone does not say which was in front. A retreating camera passes up to about a fifth a frame.

    Args:
        frames: (height, width, 3) each, scene-linear; two or more.
        backward_motion: (height, width, 2) for each frame but the first: way to the previous frame in pixels of these
            frames, u to the right and v up, as `backward.u` and `backward.v` of a rendered pair's file.
        curve: Default: `RangeCompression()`.

    Raises:
        ValueError: For too few frames, unequal numbers or shapes, NaN or Inf.
    """
    curve = curve or RangeCompression()
    if len(frames) < 2 or len(backward_motion) != len(frames) - 1:
        raise ValueError(
            "temporal_difference needs two frames or more and the motion of all but the first, got "
            f"{len(frames)} frames and {len(backward_motion)} motions"
        )
    shape = frames[0].shape
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ValueError(f"temporal_difference needs frames (height, width, 3), got {shape}")
    before = _compressed(frames[0], shape, curve)
    sums: list[float] = []
    counts: list[int] = []
    for frame, motion in zip(frames[1:], backward_motion, strict=True):
        here = _compressed(frame, shape, curve)
        if motion.shape != (*shape[:2], 2) or not np.isfinite(motion).all():
            raise ValueError(f"temporal_difference needs finite motion {(*shape[:2], 2)}, got {motion.shape}")
        warped, valid = warp(before, motion)
        sums.append(float(np.abs(here - warped)[valid].sum()))
        counts.append(int(np.count_nonzero(valid)))
        before = here
    pixels = shape[0] * shape[1]
    means = tuple(total / (3 * n) if n else float("nan") for total, n in zip(sums, counts, strict=True))
    n = sum(counts)
    return TemporalDifference(sum(sums) / (3 * n) if n else float("nan"), n / (pixels * len(counts)), means)


def warp(previous: Float64, motion: Float32) -> tuple[Float64, NDArray[np.bool_]]:
    """The previous frame brought to this one, and where that is to be trusted.

    Args:
        previous: (height, width, channels).
        motion: (height, width, 2), u to the right and v up, in pixels, to the previous frame; finite.

    Returns:
        (height, width, channels), and (height, width) that is false where the way leads outside, or where pixels of
        this frame crowd on one of the previous.
    """
    height, width = previous.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = columns + motion[:, :, 0], rows - motion[:, :, 1]
    inside = (x >= 0.0) & (x <= width - 1) & (y >= 0.0) & (y <= height - 1)
    x, y = np.clip(x, 0.0, width - 1), np.clip(y, 0.0, height - 1)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    along, down = x - left, y - top
    corners = (
        (top, left, (1.0 - down) * (1.0 - along)),
        (top, right, (1.0 - down) * along),
        (below, left, down * (1.0 - along)),
        (below, right, down * along),
    )
    landed = np.zeros((height, width))
    for row, column, weight in corners:
        np.add.at(landed, (row[inside], column[inside]), weight[inside])
    warped = sum((previous[row, column] * weight[:, :, None] for row, column, weight in corners), np.zeros(1))
    crowd = sum((landed[row, column] * weight for row, column, weight in corners), np.zeros(1))
    return warped, inside & (crowd <= CROWDED)


def _compressed(frame: Float32, shape: tuple[int, ...], curve: RangeCompression) -> Float64:
    if frame.shape != shape:
        raise ValueError(f"temporal_difference needs frames of one shape, got {frame.shape} and {shape}")
    if not np.isfinite(frame).all():
        raise ValueError("temporal_difference has no meaning over NaN or Inf")
    return curve.compress(frame).astype(np.float64)
